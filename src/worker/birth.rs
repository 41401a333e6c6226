//! Births: which task is whose child, and which worker gets it.
//!
//! A new task's first stop and its parent's birth event come in either order; whichever comes first
//! waits for the other. A parent that is killed in between never tells: its child is adopted when the
//! parent's process has ended, or after a second where other threads of that live.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::tracee::{Born, Group, Heritage, Memory, Tracee};
use super::{Count, Worker};
use crate::abi::{Abi, KernelCall};
use crate::cred::Credentials;
use crate::ptrace::{self, Event, EventStop, Stop, Traced, memory};
use crate::sys::{self, Tid};
use crate::syscalls::kernel;

const CLONE_VM: u64 = 0x100;
const CLONE_NEWNS: u64 = 0x0002_0000;
const CLONE_NEWUSER: u64 = 0x1000_0000;

/// How long a birth may take to be announced while its maker's process lives. The maker announces it
/// next thing it does, unless it was killed; only a machine without time for it makes that long.
const PATIENCE: Duration = Duration::from_secs(1);

impl Worker {
    /// The parent's side of a birth.
    pub(super) fn birth(&mut self, stop: EventStop, event: Event) -> Traced<()> {
        let parent = stop.tid();
        let child = stop.message()? as Tid;
        ptrace::inherit(parent, child);
        self.raise_by_evidence(parent);
        if !self.adopted_early.remove(&child)
            && let Some(born) = self.birthright(&stop, event, child)?
        {
            match self.unannounced.remove(&child) {
                Some((first, _)) => self.begin(child, born, first),
                None => {
                    // Its user has one task more when its maker goes on.
                    self.publish_of(child, &born.credentials);
                    self.expected.insert(child, born);
                }
            }
        }
        let to_syscall = self.settle(parent)?;
        stop.resume(to_syscall)
    }

    /// What the child of a birth event inherits.
    fn birthright(&mut self, stop: &EventStop, event: Event, child: Tid) -> Traced<Option<Born>> {
        let Some(parent) = self.tracees.get(&stop.tid()) else { return Ok(None) };
        let Some(group) = self.groups.get_mut(&parent.tgid) else { return Ok(None) };
        let joins = sys::process::tgkill(parent.tgid, child, 0).is_ok().then_some(parent.tgid);
        if joins.is_some() && group.deferred.take().is_some() {
            self.shared.counters.add(Count::Foster);
        }
        let flags = clone_flags(stop, event)?;
        if flags & (CLONE_NEWNS | CLONE_NEWUSER) == 0 {
            self.shared.sights.inherit(stop.tid(), child);
        }
        let shares = joins.is_none() && flags & CLONE_VM != 0;
        // Who has called vfork sleeps as long as its child is there.
        if joins.is_some() || shares && event != Event::Vfork {
            group.memory(parent.tgid).crowd();
        }
        let memory = if shares {
            Arc::clone(group.memory(parent.tgid))
        } else {
            Arc::new(Memory::copied(&parent.heritage))
        };
        let shares_with = shares.then_some(parent.tgid);
        let secluded = group.secluded;
        Ok(Some(Born { shares_with, secluded, ..inherit(parent, memory, joins) }))
    }

    /// The child's side.
    pub(super) fn first_stop(&mut self, tid: Tid, stop: Stop) {
        self.shared.counters.add(Count::First);
        match self.expected.remove(&tid) {
            Some(born) => self.begin(tid, born, stop),
            None => {
                self.unannounced.insert(tid, (stop, Instant::now()));
                if self.groups.is_empty() {
                    self.adopt_unannounced(tid);
                }
            }
        }
    }

    /// When every thread of group `died` is gone, or all but the one that has just called exec: what
    /// they made and will not announce any more. A thread that ends while its group lives on has
    /// announced its children; a birth that is still to be announced is another's.
    pub(super) fn adopt_orphans(&mut self, died: Tid) {
        if self.unannounced.is_empty() {
            return;
        }
        let lives = |id: Tid| id != died && self.groups.contains_key(&id);
        // CLONE_PARENT gives a new process its maker's parent.
        let is_sibling = |parent: Tid| self.groups.keys().any(|&id| lives(id) && family(id).1 == parent);
        let made_by_the_dead = |&tid: &Tid| match family(tid) {
            (group, _) if group != tid => !lives(group),
            (_, parent) => !lives(parent) && !is_sibling(parent),
        };
        let orphans: Vec<Tid> = self.unannounced.keys().copied().filter(made_by_the_dead).collect();
        for tid in orphans {
            self.adopt_unannounced(tid);
        }
    }

    /// What has waited so long for its announcement that its maker must have been killed, though
    /// other threads of the same process live.
    pub(super) fn adopt_overdue(&mut self) {
        let overdue = |since: &Instant| since.elapsed() > PATIENCE;
        let tids: Vec<Tid> =
            self.unannounced.iter().filter(|(_, (_, since))| overdue(since)).map(|(&tid, _)| tid).collect();
        for tid in tids {
            self.adopt_unannounced(tid);
        }
    }

    /// Takes the task that ended last for the maker of one that nobody announces.
    fn adopt_unannounced(&mut self, tid: Tid) {
        let Some(dead) = &self.last_dead else { return };
        let Some((stop, _)) = self.unannounced.remove(&tid) else { return };
        self.adopted_early.insert(tid);
        // How it was made is not known any more; it is taken to share nothing.
        let (group, _) = family(tid);
        let memory = Arc::new(Memory::unknown(dead.heritage.inside));
        memory.crowd();
        let born = inherit(dead, memory, (group != tid).then_some(group));
        self.begin(tid, born, stop);
    }

    /// A task whose parent and first stop are both known.
    fn begin(&mut self, tid: Tid, born: Born, stop: Stop) {
        self.tell_birth(tid, born.joins.unwrap_or(tid), born.parent);
        if let Some(tgid) = born.joins {
            self.join(tid, tgid, born, stop);
            return;
        }
        let deferred = matches!(&stop, Stop::Trap(_) if !born.filters.any()).then(Instant::now);
        if deferred.is_none() {
            self.shared.counters.add(Count::Foster);
        }
        let mut group = Group::new(&born);
        group.deferred = deferred;
        self.groups.insert(tid, group);
        let tracee = Tracee { newborn: true, ..Tracee::new(tid, &born) };
        self.start(tid, tracee, stop);
    }

    fn join(&mut self, tid: Tid, tgid: Tid, born: Born, stop: Stop) {
        let mut stages = born.stages;
        match self.groups.get_mut(&tgid) {
            Some(group) => {
                group.threads += 1;
                stages = stages.union(group.synced);
            }
            None => {
                self.groups.insert(tgid, Group::new(&born));
            }
        }
        self.start(tid, Tracee { stages, ..Tracee::new(tgid, &born) }, stop);
    }

    /// A task has these credentials from its birth on.
    fn publish_of(&self, tid: Tid, credentials: &Arc<Credentials>) {
        if **credentials != self.shared.view.initial {
            self.shared.registry.publish(tid, Arc::clone(credentials));
        }
    }

    /// Lets a task go from its first stop.
    pub(super) fn start(&mut self, tid: Tid, tracee: Tracee, stop: Stop) {
        self.publish_of(tid, &tracee.credentials);
        self.insert(tid, tracee);
        let outcome = self.serve_stop(tid, stop);
        self.settle_loss(tid, outcome);
    }
}

/// A task's thread group and its parent process.
fn family(tid: Tid) -> (Tid, Tid) {
    let status = sys::process::status_text(tid).unwrap_or_default();
    let field = |name: &str| sys::process::field(&status, name).and_then(|value| value.parse().ok());
    (field("Tgid:").unwrap_or(tid), field("PPid:").unwrap_or(0))
}

fn inherit(parent: &Tracee, memory: Arc<Memory>, joins: Option<Tid>) -> Born {
    let Heritage { stages, .. } = parent.heritage;
    let wanted = parent.bequeaths();
    let credentials = Arc::clone(&parent.credentials);
    Born {
        credentials,
        stages,
        wanted,
        memory,
        shares_with: None,
        parent: Some(parent.tgid),
        joins,
        filters: parent.filters.clone(),
        secluded: false,
        arriving: None,
        options: parent.options,
    }
}

/// The flags of the clone, clone3, fork or vfork that a birth event is about.
fn clone_flags(stop: &EventStop, event: Event) -> Traced<u64> {
    // Of those that make a task only clone3 has the same number in two ABIs.
    let tells = |number| {
        let is = |abi| kernel::CLONE.numbers.of(abi) == Some(number);
        let abi = if is(Abi::I386) { Abi::I386 } else { Abi::X86_64 };
        (kernel::CLONE3.numbers.of(abi) != Some(number)).then_some(abi)
    };
    let (abi, number, args) = stop.call(tells)?;
    let is = |call: &KernelCall| call.numbers.of(abi) == Some(number);
    Ok(if is(&kernel::CLONE) {
        args.first().copied().unwrap_or(0)
    } else if is(&kernel::CLONE3) {
        let mut flags = [0; 8];
        let at = args.first().copied().unwrap_or(0);
        if memory::read(stop.tid(), at, &mut flags) { u64::from_le_bytes(flags) } else { 0 }
    } else if event == Event::Vfork {
        CLONE_VM
    } else {
        0
    })
}
