//! Raising stages: loading one more filter into processes that run.
//!
//! A stopped task at the entry of a syscall is made to execute seccomp(2) first. A running one is
//! interrupted and then stops at its next syscall entry (PTRACE_SYSCALL), where that is done: user
//! code that makes no syscall needs no filter. So a stage is *up* for a process from the moment it has
//! been interrupted: no later syscall of its escapes.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::{RecvTimeoutError, unbounded};

use super::guest::{Live, map_scratch};
use super::pool::Handle;
use super::{Message, Worker, demand, told};
use crate::abi::Abi;
use crate::ownership::Evidence;
use crate::ptrace::{Intercepted, Traced, memory};
use crate::seccomp::{self, Instruction};
use crate::sys::Tid;
use crate::sys::seccomp::{ALL_THREADS, AS_FAST};
use crate::syscalls::{SCRATCH_BYTES, Stage, Stages, kernel};

/// How long a worker may take to answer, on a machine that has no time for it.
const PATIENCE: Duration = Duration::from_secs(2);

/// `SECCOMP_SET_MODE_FILTER`.
pub(super) const SET_MODE_FILTER: u64 = 1;

impl Worker {
    /// The stages a task lacks.
    pub(super) fn missing(&self, tid: Tid) -> Stages {
        self.tracees.get(&tid).map_or(Stages::NONE, |tracee| {
            self.shared.common_stages().union(tracee.wanted).minus(tracee.stages)
        })
    }

    /// Raises what the task at this entry lacks.
    pub(super) fn raise_missing(&mut self, stop: &mut Intercepted) -> Traced<()> {
        let missing = self.missing(stop.tid());
        if missing.is_empty() {
            return Ok(());
        }
        let filters = self.filters(stop.tid());
        if !Worker::can_load(stop, &filters)? {
            // It got every stage before its own filter, which does not let it load another.
            if let Some(tracee) = self.tracees.get_mut(&stop.tid()) {
                tracee.wanted = tracee.wanted.minus(Stages::LISTENING);
                tracee.stages = tracee.stages.union(missing.minus(Stages::LISTENING));
            }
            return Ok(());
        }
        if !self.is_due_again(stop.tid()) {
            return Ok(());
        }
        for stage in Stage::ALL.into_iter().filter(|&stage| missing.contains(stage)) {
            match stage {
                stage if Stages::LISTENING.contains(stage) => self.load_listener(stop, stage)?,
                stage => self.load(stop, stage)?,
            }
        }
        Ok(())
    }

    /// Raises stages for the process of the task at this entry.
    pub(super) fn raise_here(&mut self, stop: &mut Intercepted, stages: Stages) -> Traced<()> {
        if let Some(tracee) = self.tracees.get_mut(&stop.tid()) {
            tracee.wanted = tracee.wanted.union(stages);
        }
        self.raise_missing(stop)
    }

    /// Raises a stage for every process, and returns when it is up.
    pub(super) fn raise_for_all(&mut self, stop: &mut Intercepted, stage: Stage) -> Traced<()> {
        self.raise_everywhere(stop.tid(), stage);
        self.raise_missing(stop)
    }

    /// Raises what another run's facts need for every process, if it has left the first meanwhile: it
    /// can tell nobody, so this is asked whenever a process or thread is born, by a task that is stopped.
    pub(super) fn raise_by_evidence(&mut self, stopped: Tid) {
        let found = self.shared.ownership.finds_evidence();
        self.raise_for_evidence(stopped, found);
    }

    /// The same of what was found.
    pub(super) fn raise_for_evidence(&mut self, stopped: Tid, found: Evidence) {
        if found != Evidence::Nothing {
            self.raise_everywhere(stopped, Stage::Ownership);
        }
        let freezes = self.shared.ownership.freezes();
        if found == Evidence::Devices || freezes {
            self.raise_everywhere(stopped, Stage::Devices);
        }
        if freezes {
            self.raise_everywhere(stopped, Stage::Removal);
        }
    }

    /// Has every task raise a stage before its next syscall, but the one that is stopped right now.
    fn raise_everywhere(&mut self, but: Tid, stage: Stage) {
        let shared = Arc::clone(&self.shared);
        // Whoever comes second waits for the first, and heeds its messages meanwhile.
        let raising = loop {
            if let Some(raising) = shared.raising.try_lock_for(Duration::from_millis(1)) {
                break raising;
            }
            self.heed();
        };
        if shared.raised_for_all(stage).is_some_and(|raised| !raised.swap(true, Ordering::SeqCst)) {
            let (done, all_done) = unbounded();
            for other in shared.pool.others(&self.handle) {
                other.interrupt(Message::Raise(done.clone()));
            }
            drop(done);
            self.interrupt_all(Some(but));
            // Ends when every worker has answered, or has ended and dropped its message; or when one waits too long for
            // what a tracee may have to bring about.
            while all_done.recv_timeout(PATIENCE).is_ok() {}
            shared.tell_mode(|| told::of_everybody(stage).to_owned());
            demand::gather(&shared);
        }
        drop(raising);
    }

    /// Raises stages for the process of a task, whoever serves it, for the one that is `stopped`. To what nobody serves it is
    /// attached.
    pub(super) fn raise_in(&mut self, stopped: Tid, task: Tid, stages: Stages) {
        let (shared, since) = (Arc::clone(&self.shared), Instant::now());
        // On its way from one worker to another it is nobody's for a moment.
        while since.elapsed() < PATIENCE && !self.want(Some(stopped), task, stages) {
            match shared.listeners.task(task) {
                Some(other) if self.has_want(&other.worker, task, stages) => return,
                Some(_) => {}
                None if demand::is_strange(&shared, task) => return,
                // What came of it is seen at the next look.
                None => drop(demand::attach(&shared, task, (false, Stages::NONE))),
            }
            self.heed();
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Has another worker raise them; whether the task is that one's.
    fn has_want(&mut self, other: &Handle, task: Tid, stages: Stages) -> bool {
        let (reply, answer) = unbounded();
        other.interrupt(Message::Want(task, stages, reply));
        let since = Instant::now();
        // That one may wait for this one's answer meanwhile.
        loop {
            match answer.recv_timeout(Duration::from_millis(1)) {
                Err(RecvTimeoutError::Timeout) if since.elapsed() < PATIENCE => self.heed(),
                outcome => return outcome == Ok(true),
            }
        }
    }

    /// The same of a task of this worker's; whether it is.
    pub(super) fn want(&mut self, stopped: Option<Tid>, task: Tid, stages: Stages) -> bool {
        if let Some(born) = self.expected.get_mut(&task) {
            born.wanted = born.wanted.union(stages);
            return true;
        }
        let Some(tgid) = self.tracees.get(&task).map(|tracee| tracee.tgid) else { return false };
        for tracee in self.tracees.values_mut().filter(|tracee| tracee.tgid == tgid) {
            tracee.wanted = tracee.wanted.union(stages);
        }
        self.interrupt_all(stopped);
        true
    }

    /// Interrupts every tracee that lacks a stage, but not the one that is stopped right now.
    pub(super) fn interrupt_all(&mut self, but: Option<Tid>) {
        // Who executes an injected call is at a stop, and gets the stage after it.
        let is_running = |tid: &Tid| Some(*tid) != but && !self.busy.contains(tid);
        let tids: Vec<Tid> = self.tracees.keys().copied().filter(is_running).collect();
        for tid in tids {
            if self.missing(tid).is_empty() {
                continue;
            }
            self.interrupt(tid);
        }
    }

    /// Makes the task load a stage's filter, for all threads of its process where the kernel can.
    fn load(&mut self, stop: &mut Intercepted, stage: Stage) -> Traced<()> {
        let tid = stop.tid();
        let program = seccomp::program(stage);
        let scratch = map_scratch(self, stop)?;
        tracing::debug!(tid, ?scratch, call = ?stop.call(), "loading a filter");
        let loaded = match scratch {
            Ok(scratch) if write_program(tid, stop.call().abi, scratch, program) => {
                self.execute_seccomp(stop, scratch)?
            }
            _ => None,
        };
        match loaded {
            Some(true) => self.note_synced(tid, stage),
            Some(false) => self.note_loaded_alone(tid, stage),
            None => {
                // What this stage answers is served at each entry until another try succeeds.
                tracing::warn!(tid, ?stage, "a filter could not be loaded into a process yet");
                if let Some(tracee) = self.tracees.get_mut(&tid) {
                    tracee.unloaded.get_or_insert(0);
                }
            }
        }
        Ok(())
    }

    /// All threads of a task's process have the filter of a stage, and those to come.
    pub(super) fn note_synced(&mut self, tid: Tid, stage: Stage) {
        let Some(tgid) = self.tracees.get(&tid).map(|tracee| tracee.tgid) else { return };
        if let Some(group) = self.groups.get_mut(&tgid) {
            group.synced = group.synced.union(stage.only());
        }
        self.tell_stage(tgid, stage);
        for tracee in self.tracees.values_mut().filter(|tracee| tracee.tgid == tgid) {
            tracee.stages = tracee.stages.union(stage.only());
            tracee.unloaded = None;
        }
    }

    /// A task alone has it: its siblings are to load it themselves.
    fn note_loaded_alone(&mut self, tid: Tid, stage: Stage) {
        let Some(tgid) = self.tracees.get(&tid).map(|tracee| tracee.tgid) else { return };
        for (&task, tracee) in self.tracees.iter_mut().filter(|(_, tracee)| tracee.tgid == tgid) {
            let stages = if task == tid { &mut tracee.stages } else { &mut tracee.wanted };
            *stages = stages.union(stage.only());
            tracee.unloaded = None;
        }
        self.interrupt_all(Some(tid));
    }

    /// Whether a task into which a filter could not be loaded is to try once more: ever more rarely.
    fn is_due_again(&mut self, tid: Tid) -> bool {
        let Some(tracee) = self.tracees.get_mut(&tid) else { return false };
        tracee.unloaded = tracee.unloaded.map(|entries| entries.saturating_add(1));
        tracee.unloaded.is_none_or(u32::is_power_of_two)
    }

    /// `Some(true)` when all threads have the filter, `Some(false)` when only this one has, because
    /// another has a filter of its own.
    fn execute_seccomp(&mut self, stop: &mut Intercepted, program: u64) -> Traced<Option<bool>> {
        // All threads would get its own filters too.
        let alone = self.filters(stop.tid()).any();
        let mut guest = Live::new(self, stop);
        for (flags, all) in [(ALL_THREADS, true), (AS_FAST, false)].into_iter().skip(usize::from(alone)) {
            let outcome = guest.execute(&kernel::SECCOMP, [SET_MODE_FILTER, flags, program, 0, 0, 0])?;
            match outcome {
                Ok(0) => return Ok(Some(all)),
                outcome => tracing::debug!(?outcome, all, "seccomp refused a filter"),
            }
        }
        Ok(None)
    }
}

/// Writes a `struct sock_fprog` and its instructions to the scratch area.
pub(super) fn write_program(tid: Tid, abi: Abi, scratch: u64, program: &[Instruction]) -> bool {
    let Ok(length) = u16::try_from(program.len()) else { return false };
    let mut bytes = vec![0; 16];
    let pointer = (scratch + 16).to_le_bytes();
    let (offset, width) = if abi.word() == 4 { (4, 4) } else { (8, 8) };
    for (to, from) in bytes.iter_mut().zip(length.to_le_bytes()) {
        *to = from;
    }
    for (to, from) in bytes.iter_mut().skip(offset).zip(pointer.iter().take(width)) {
        *to = *from;
    }
    bytes.extend(seccomp::bytes(program));
    bytes.len() <= SCRATCH_BYTES && memory::write(tid, scratch, &bytes)
}
