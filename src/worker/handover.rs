//! Handing a process over to a worker of its own.
//!
//! A child stays with its parent's worker until it has shown that it lives: most children of a shell or a
//! package manager exec, do their work without a stop, and are gone before it would be worth the four
//! stops and the wake-up of another thread that a new tracer costs. From then on it is due, and goes at
//! the next exit of a syscall. One that has made a thread by then, or has a filter of its own that might
//! forbid the call it would sleep in, stays: a *foster* child.

use std::sync::Arc;

use super::pool::Watched;
use super::tracee::{Born, Group, Tracee};
use super::{Count, Message, Pool, Worker};
use crate::ptrace::{self, Lost, Parked, SyscallStop, Traced};
use crate::sys::Tid;

impl Worker {
    /// A task on its way out of a syscall, where it stopped for a stage or to be handed over.
    pub(super) fn leaving(&mut self, stop: SyscallStop) -> Traced<()> {
        let tid = stop.tid();
        let waits = self.tracees.get(&tid).is_some_and(|tracee| tracee.interrupted);
        if !waits && self.groups.get(&tid).is_some_and(Group::is_due) {
            return self.hand_over(stop);
        }
        let to_syscall = self.settle(tid)?;
        stop.resume(to_syscall)
    }

    fn hand_over(&mut self, stop: SyscallStop) -> Traced<()> {
        let tid = stop.tid();
        let Some(born) = self.reborn(tid) else {
            return self.keep(stop);
        };
        let Some(worker) = Pool::reserve(&self.shared, ptrace::home()) else {
            return self.keep(stop);
        };
        let Some(watched) = self.shared.guardian.parking(tid) else {
            self.shared.pool.release(worker);
            return self.keep(stop);
        };
        let kept = match ptrace::park(stop) {
            Ok(Ok(parked)) => {
                self.tracees.remove(&tid);
                self.groups.remove(&tid);
                self.shared.counters.add(Count::HandedOver);
                worker.assign(Message::Adopt(parked, born, watched));
                return Ok(());
            }
            Ok(Err(stop)) => Ok(stop),
            Err(lost) => Err(lost),
        };
        self.shared.guardian.unparked(watched);
        self.shared.pool.release(worker);
        self.keep(kept?)
    }

    /// What a process's next worker must know; `None` of one that is unknown here, which nobody could take over
    /// once it sleeps.
    fn reborn(&self, tid: Tid) -> Option<Born> {
        let (tracee, group) = (self.tracees.get(&tid)?, self.groups.get(&tid)?);
        let (memory, shares_with) = group.shared_memory();
        Some(Born {
            credentials: Arc::clone(&tracee.credentials),
            stages: tracee.stages,
            wanted: tracee.bequeaths(),
            memory,
            shares_with,
            parent: group.parent,
            joins: None,
            filters: tracee.filters.clone(),
            secluded: group.secluded,
            arriving: tracee.arriving.clone(),
            options: ptrace::OPTIONS,
        })
    }

    /// Keeps a process that is due and cannot go. After an exec it can at the next call.
    fn keep(&mut self, stop: SyscallStop) -> Traced<()> {
        const PATIENCE: u8 = 3;
        let tid = stop.tid();
        if let Some(group) = self.groups.get_mut(&tid) {
            group.refusals += 1;
            if group.refusals == PATIENCE {
                group.deferred = None;
                self.shared.counters.add(Count::Foster);
            }
        }
        let to_syscall = self.settle(tid)?;
        stop.resume(to_syscall)
    }

    /// Takes over a process that another worker parked.
    pub(super) fn adopt(&mut self, parked: Parked, born: Born, watched: Watched) {
        let tid = parked.tid();
        if let Some(cpu) = parked.home {
            ptrace::set_home(cpu);
        }
        let unparked = parked.unpark(ptrace::OPTIONS);
        self.shared.guardian.unparked(watched);
        match unparked {
            Ok(stop) => {
                self.groups.insert(tid, Group::new(&born));
                self.start(tid, Tracee::new(tid, &born), stop);
            }
            Err(Lost::Gone) => {}
            Err(failed) => self.settle_loss(tid, Err(failed)),
        }
    }
}
