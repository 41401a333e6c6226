//! What a worker remembers of a task and of its thread group.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::arrival::Arriving;
use super::filters::Filters;
use super::inside::Quarters;
use super::site::Calling;
use super::{Demand, Shared};
use crate::cred::Credentials;
use crate::journal::Noted;
use crate::ownership::Inode;
use crate::ptrace::{self, Suspended};
use crate::sys::{self, Tid};
use crate::syscalls::{Finish, SCRATCH_BYTES, Stage, Stages};

/// One traced task.
#[derive(Debug)]
pub struct Tracee {
    /// Its thread group.
    pub tgid: Tid,
    /// What it is allowed.
    pub credentials: Arc<Credentials>,
    /// The stages its filters hold.
    pub stages: Stages,
    /// Stages it must have besides those of every process.
    pub wanted: Stages,
    /// A call the kernel is running whose result will be corrected.
    pub pending: Option<(Suspended, Finish)>,
    /// What is to be told of that call.
    pub noted: Option<Box<Noted>>,
    /// Its `PTRACE_O_*`.
    pub options: i32,
    /// Whether its end is reported: the first process's, where that is watched.
    pub watched: bool,
    /// What a child born before the next stop inherits for certain.
    pub heritage: Heritage,
    /// Whether it was asked to stop, so that a call may have been cut short by us.
    pub interrupted: bool,
    /// Whether it was attached to while it ran and has not stopped since, so that it may be making a thread.
    pub fresh: bool,
    /// Whether a listener could not answer it, so that the call is served at its entry.
    pub fetched: bool,
    /// How many calls it has entered since a filter could not be loaded into it.
    pub unloaded: Option<u32>,
    /// By which instruction it makes calls that it is to answer inside.
    pub moves_in: Option<Calling>,
    /// What is to be undone where it cannot map what answers it.
    pub arriving: Option<Arriving>,
    /// How many calls more it makes with stops at each entry instead of [`Stage::Identity`], because its credentials
    /// have become others, but perhaps not for long.
    pub trial: Option<u8>,
    /// Whether it is a new process that has not run yet.
    pub newborn: bool,
    /// Its own seccomp filters.
    pub filters: Filters,
}

/// apt becomes another user for ten calls to see what that one may read; a filter would stay, in all its children too.
const TRIAL: u8 = 32;

impl Tracee {
    /// Whether it is a new process that has not run yet, and its exec is reported; it is new but once.
    pub fn will_exec(&mut self) -> bool {
        std::mem::take(&mut self.newborn) && self.options & libc::PTRACE_O_TRACEEXEC != 0
    }

    /// Its credentials are new; `differ` says whether the kernel's own answers about them are wrong.
    pub fn become_other(&mut self, differ: bool) {
        let has = self.stages.union(self.wanted).contains(Stage::Identity);
        if differ && self.filters.any() {
            // A call that is answered before its own filters have seen it would be seen by them as another.
            return self.want_identity();
        }
        self.trial = (differ && !has).then(|| self.trial.unwrap_or(TRIAL));
    }

    /// It enters the kernel once more on trial.
    pub fn try_on(&mut self) {
        self.trial = self.trial.and_then(|left| left.checked_sub(1));
        if self.trial == Some(0) {
            self.want_identity();
        }
    }

    /// The stages that whoever takes over from it must get: a trial is its own.
    pub fn bequeaths(&self) -> Stages {
        let own = if self.trial.is_some() { Stage::Identity.only() } else { Stages::NONE };
        self.wanted.union(own)
    }

    /// What it has on trial it needs for good.
    pub fn want_identity(&mut self) {
        self.trial = None;
        self.wanted = self.wanted.union(Stage::Identity.only());
    }
}

/// What the kernel copies at a birth, as it was when the parent was last resumed: another thread of
/// the parent may have changed it since, before or after the birth.
#[derive(Debug, Clone, Copy)]
pub struct Heritage {
    /// Its filters' stages.
    pub stages: Stages,
    /// Its scratch mapping.
    pub scratch: Option<u64>,
    /// What is inside its address space.
    pub inside: Option<Quarters>,
}

/// A task's birthright, from its birth event to its first stop, and on to another worker.
#[derive(Debug)]
pub struct Born {
    /// The credentials of the task that made it.
    pub credentials: Arc<Credentials>,
    /// See [`Heritage::stages`].
    pub stages: Stages,
    /// Stages it must get.
    pub wanted: Stages,
    /// Its address space.
    pub memory: Arc<Memory>,
    /// See [`Group::shares_with`].
    pub shares_with: Option<Tid>,
    /// The thread group that made it.
    pub parent: Option<Tid>,
    /// The thread group it joins, if it is a thread.
    pub joins: Option<Tid>,
    /// Its own seccomp filters.
    pub filters: Filters,
    /// See [`Group::secluded`].
    pub secluded: bool,
    /// See [`Tracee::arriving`].
    pub arriving: Option<Arriving>,
    /// The `PTRACE_O_*` that it has: those of the task that made it.
    pub options: i32,
}

impl Born {
    /// The birthright of the first process.
    pub fn first(shared: &Shared) -> Born {
        Born {
            credentials: Arc::new(shared.view.initial.clone()),
            stages: shared.first_stages(),
            wanted: Stages::NONE,
            memory: Arc::default(),
            shares_with: None,
            parent: None,
            joins: None,
            filters: Filters::default(),
            secluded: false,
            arriving: None,
            options: shared.options_of_the_first(),
        }
    }
}

impl Born {
    /// That of a task at large.
    pub fn at_large(shared: &Shared, memory: Arc<Memory>, suspect: bool) -> Born {
        let options = if suspect { ptrace::BARE_OPTIONS } else { ptrace::OPTIONS_WITH_EXEC };
        let stages = shared.demand.as_ref().map_or(Stages::NONE, Demand::stages);
        Born { stages, memory, options, ..Born::first(shared) }
    }
}

impl Tracee {
    /// A task at its first stop.
    pub fn new(tgid: Tid, born: &Born) -> Tracee {
        Tracee {
            tgid,
            credentials: Arc::clone(&born.credentials),
            stages: born.stages,
            wanted: born.wanted,
            pending: None,
            noted: None,
            options: born.options,
            watched: false,
            heritage: Heritage { stages: born.stages, scratch: None, inside: *born.memory.inside.lock() },
            interrupted: false,
            fresh: false,
            fetched: false,
            unloaded: None,
            moves_in: None,
            arriving: born.arriving.clone(),
            trial: None,
            newborn: false,
            filters: born.filters.clone(),
        }
    }
}

/// One thread group.
#[derive(Debug)]
pub struct Group {
    /// Its address space.
    memory: Arc<Memory>,
    /// The parent it shared `memory` with when it was born (vfork, posix_spawn). Whether it still
    /// does is found out when it matters: its exec need not be reported for that.
    shares_with: Option<Tid>,
    /// The stages of filters that were loaded for all its threads: a new thread has them, whoever made it.
    pub synced: Stages,
    /// The part of a scratch mapping that it uses.
    scratch: Option<u64>,
    /// Whether a task of its has a seccomp filter of its own.
    pub filtered: bool,
    /// Whether it, or one that it descends from, could not take from the tracer what answers it inside.
    pub secluded: bool,
    /// Whether it may be another run's.
    pub suspect: bool,
    /// Whether it is.
    pub foreign: bool,
    /// How many of its tasks are traced.
    pub threads: usize,
    /// The name of the program it runs, once the summary has asked.
    pub program: Option<Arc<str>>,
    /// The file of its image, where that was looked at.
    pub image: Option<Inode>,
    /// Since when it is with its parent's worker until it has shown that it lives.
    pub deferred: Option<Instant>,
    /// How often it could not be parked when it was due.
    pub refusals: u8,
    /// How often it, or a child of its in its worker, has looked at an inode.
    pub looks: u32,
    /// How often it, or a child of its, has stopped for what could be answered inside.
    pub stays: u32,
    /// Who made it.
    pub parent: Option<Tid>,
}

/// How long a process must have lived to be worth a worker of its own. Most that a shell makes are gone by then.
const LIVES: Duration = Duration::from_millis(5);

impl Group {
    /// A group with its first task.
    pub fn new(born: &Born) -> Group {
        Group {
            memory: Arc::clone(&born.memory),
            shares_with: born.shares_with,
            synced: Stages::NONE,
            scratch: None,
            filtered: born.filters.any(),
            secluded: born.secluded,
            suspect: false,
            foreign: false,
            threads: 1,
            program: None,
            image: None,
            deferred: None,
            refusals: 0,
            looks: 0,
            stays: 0,
            parent: born.parent,
        }
    }

    /// Whether it is to be given to another worker. A process of several threads cannot be parked.
    pub fn is_due(&self) -> bool {
        self.threads == 1 && !self.filtered && self.deferred.is_some_and(|since| since.elapsed() > LIVES)
    }

    /// Its address space; `tgid` is its own id.
    pub fn memory(&mut self, tgid: Tid) -> &Arc<Memory> {
        if let Some(parent) = self.shares_with.take()
            && !sys::process::share_memory(tgid, parent)
        {
            self.memory = Arc::default();
        }
        &self.memory
    }

    /// Its address space and the parent that it may share that with, for another worker to find out.
    pub fn shared_memory(&self) -> (Arc<Memory>, Option<Tid>) {
        (Arc::clone(&self.memory), self.shares_with)
    }

    /// Where the scratch mapping of its address space is, if that is known to exist.
    pub fn known_scratch(&self) -> Option<u64> {
        if self.shares_with.is_some() { None } else { self.memory.first_scratch() }
    }

    /// What is inside its address space, or was inside its parent's that it shares: as long as something is, its exec is
    /// reported.
    pub fn known_inside(&self) -> Option<Quarters> {
        *self.memory.inside.lock()
    }

    /// Whether its address space is known to be its own: nobody that is born, or about to be, has it too.
    pub fn has_own_memory(&self) -> bool {
        self.shares_with.is_none() && Arc::strong_count(&self.memory) == 1
    }

    /// Whether something may be answered inside its address space.
    pub fn is_open(&self) -> bool {
        !self.filtered && !self.memory.is_closed()
    }

    /// Whether several tasks may run in its address space, or did.
    pub fn is_crowded(&self) -> bool {
        self.memory.is_crowded()
    }

    /// A new image: a new address space and another program (exec).
    pub fn leave_image(&mut self) {
        self.release_scratch();
        self.memory = Arc::default();
        self.shares_with = None;
        self.program = None;
        self.image = None;
    }

    fn release_scratch(&mut self) {
        if let Some(part) = self.scratch.take() {
            self.memory.give_back(part);
        }
    }

    /// Leaves its part of the scratch memory to who uses it, so that it takes another.
    pub fn lend_scratch(&mut self) -> Option<(Arc<Memory>, u64)> {
        self.scratch.take().map(|scratch| (Arc::clone(&self.memory), scratch))
    }

    /// Uses again what it had before, unless it has another image by now.
    pub fn take_back(&mut self, lent: Option<(Arc<Memory>, u64)>) {
        if let Some((memory, scratch)) = lent
            && Arc::ptr_eq(&memory, &self.memory)
        {
            self.release_scratch();
            self.scratch = Some(scratch);
        }
    }

    /// The address of this group's own part of a scratch mapping; `None` where there has to be one more.
    pub fn scratch(&mut self) -> Option<u64> {
        if self.scratch.is_none() {
            self.scratch = self.memory.take_part();
        }
        self.scratch
    }

    /// The same of one that was mapped for it at `base`.
    pub fn use_scratch(&mut self, base: u64) -> u64 {
        self.memory.scratch.lock().push(Scratch { base, taken: 1 });
        self.scratch = Some(base);
        base
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.release_scratch();
    }
}

/// An address space; shared by a process and the children it made with CLONE_VM (vfork, posix_spawn).
#[derive(Debug, Default)]
pub struct Memory {
    /// What is inside, if something is.
    pub inside: Mutex<Option<Quarters>>,
    /// Whether nothing is to be answered inside from now on.
    closed: AtomicBool,
    /// Whether several tasks run in it, or did.
    crowded: AtomicBool,
    /// Scratch mappings, of which each of the groups that share the memory uses one part.
    scratch: Mutex<Vec<Scratch>>,
}

/// A scratch mapping.
#[derive(Debug, Clone, Copy)]
struct Scratch {
    base: u64,
    /// Which of its [`PARTS`] are in use.
    taken: u8,
}

/// Parts of a scratch mapping.
const PARTS: u8 = 8;
/// Bytes of one.
pub const SCRATCH_LENGTH: u64 = PARTS as u64 * SCRATCH_BYTES as u64;

impl Scratch {
    fn take(&mut self) -> Option<u64> {
        let part = self.taken.trailing_ones();
        self.taken |= 1_u8.checked_shl(part)?;
        Some(self.base + u64::from(part) * SCRATCH_BYTES as u64)
    }

    fn give_back(&mut self, part: u64) {
        let index = part.wrapping_sub(self.base) / SCRATCH_BYTES as u64;
        if index < u64::from(PARTS) {
            self.taken &= !(1 << index);
        }
    }
}

impl Memory {
    /// One of which nothing is known but what is inside, which a copy has as well as who shares it.
    pub fn unknown(inside: Option<Quarters>) -> Memory {
        Memory { inside: Mutex::new(inside), ..Memory::default() }
    }

    /// The copy that fork(2) makes: mapped where the parent's was for certain.
    pub fn copied(parent: &Heritage) -> Memory {
        let memory = Memory::unknown(parent.inside);
        memory.scratch.lock().extend(parent.scratch.map(|base| Scratch { base, taken: 0 }));
        memory
    }

    /// Nothing is answered inside from now on.
    pub fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
    }

    /// Whether that is so.
    pub fn is_closed(&self) -> bool {
        self.closed.load(Ordering::SeqCst)
    }

    /// One more task is about to run in it.
    pub fn crowd(&self) {
        self.crowded.store(true, Ordering::SeqCst);
    }

    /// Whether several tasks may run in it.
    pub fn is_crowded(&self) -> bool {
        self.crowded.load(Ordering::SeqCst)
    }

    fn first_scratch(&self) -> Option<u64> {
        self.scratch.lock().first().map(|scratch| scratch.base)
    }

    fn take_part(&self) -> Option<u64> {
        self.scratch.lock().iter_mut().find_map(Scratch::take)
    }

    fn give_back(&self, part: u64) {
        self.scratch.lock().iter_mut().for_each(|scratch| scratch.give_back(part));
    }
}
