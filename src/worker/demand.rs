//! Attaching on demand.
//!
//! As long as nobody has credentials of his own and no inode an owner, most processes never need anybody: a shell's
//! children exec, do their work and end. So a run of which nothing is known begins without a tracee. Its first process
//! loads one filter, whose verdict on what the kernel would get wrong is `SECCOMP_RET_USER_NOTIF` instead of a stop, and
//! all that descend from it are *at large* under it: nothing of theirs stops, and their ends, signals and debuggers are
//! the kernel's business.
//!
//! - A call that takes no more than looking is answered by the threads that wait for this listener as for any other.
//! - A signal with a handler interrupts a call that no thread has taken yet, as it would not interrupt the call itself.
//!   Where it must not, a tracer sees to it; so who catches signals is attached to once it has made a first such call. In
//!   that one call, in the two microseconds before it is taken, a handler without `SA_RESTART` gives `EINTR`.
//! - For what takes more the worker of an idle thread attaches to the process, all its threads, and serves the call at a
//!   stop. From then on it is traced. What it forks is left at large again as long as its credentials are those of the
//!   start (`Worker::leaves_children`).
//! - The first fact makes kernels' answers wrong for everybody. Before it is told, whoever is at large is looked for in
//!   `/proc` and attached to: whoever has as many filters. As others may have as many, it is made to ask its listener
//!   whose it is before anything else, and let go where that is another; another run that does so at the same moment is
//!   waited for. What somebody was making when he was interrupted is seen once he has stopped, so `/proc` is read again.
//! - What another run leaves meanwhile is asked for now and then, since births are not seen. (inotify(7) would tell it, but one
//!   watch of anybody's on a filesystem makes each open and close there 100 ns longer, for everybody.)
//!
//! When the tracer is killed the guardian kills who waits for an answer, and whoever asks from then on.

use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;
use parking_lot::Mutex;

use super::guest::Live;
use super::inside::Quarters;
use super::tracee::{Born, Group, Memory, Tracee};
use super::{Message, Pool, Shared, Worker, listener, shared, told};
use crate::abi::WHOSE;
use crate::ownership::Evidence;
use crate::ptrace::{self, Intercepted, Stop, Traced};
use crate::sys::process::{field, status, status_text, tasks};
use crate::sys::{self, Errno, Tid, sched};
use crate::syscalls::{Stage, Stages, kernel};

/// How long what another run leaves may stay unseen, in the first quarter of a second of a run, and in the end.
const SOON: Duration = Duration::from_millis(5);
const LATE: Duration = Duration::from_millis(200);

/// How long another run may take to find out that a process is not its own, where that may be the other's, and where it is
/// this run's for certain.
const HELD: Duration = Duration::from_millis(100);
const HELD_OF_OURS: Duration = Duration::from_secs(10);

/// How long who was interrupted may take to stop, on a machine that has no time for it.
const CALM: Duration = Duration::from_secs(2);

/// The first of the results that the kernel itself takes for an interruption.
const ERESTARTSYS: i32 = 512;

/// How often it may be interrupted in a row.
const TRIES: usize = 100;

/// A run whose processes are attached to on demand.
#[derive(Debug)]
pub struct Demand {
    /// The stage of the filter that its processes have from the start.
    first: Stage,
    /// The run's first process.
    command: Tid,
    /// Held while a process is attached to.
    attaching: Mutex<()>,
    /// Which run it is; no address, and not negative.
    name: u32,
    /// How many filters its processes have, as `/proc` says it, that have loaded none themselves.
    filters: Option<String>,
    /// Whether everybody is attached to.
    gathered: AtomicBool,
    /// How often who is at large was answered; forgotten now and then.
    answered: Mutex<HashMap<Tid, u32>>,
    /// Who was interrupted while everybody is looked for, and has not stopped yet: it may be making a child.
    moving: Mutex<HashSet<Tid>>,
}

/// Who was answered so often asks on. Of who is attached to it is known where its paths start, and no signal interrupts what it
/// asks.
const OFTEN: u32 = 8;
/// So many are counted at most.
const MOST: usize = 1000;

impl Demand {
    /// Of the run of this command, which has the filter of this stage.
    pub fn of(command: Tid, first: Stage) -> Demand {
        Demand {
            first,
            command,
            attaching: Mutex::default(),
            name: RandomState::new().build_hasher().finish() as u32 >> 1 | 1,
            filters: status(command, "Seccomp_filters:"),
            gathered: AtomicBool::new(false),
            answered: Mutex::default(),
            moving: Mutex::default(),
        }
    }

    /// The stages of a process at large.
    pub(super) fn stages(&self) -> Stages {
        Stage::Base.only().union(self.first.only())
    }

    /// Whether nobody is at large any more.
    pub(super) fn has_gathered(&self) -> bool {
        self.gathered.load(Ordering::SeqCst)
    }

    /// A task was interrupted.
    pub(super) fn note_moving(&self, tid: Tid) {
        if !self.has_gathered() {
            self.moving.lock().insert(tid);
        }
    }

    /// It has stopped, or ended.
    pub(super) fn note_stopped(&self, tid: Tid) {
        if !self.has_gathered() {
            self.moving.lock().remove(&tid);
        }
    }

    /// Whether nobody who was interrupted runs on: a child that it is making would not be seen yet.
    fn is_calm(&self) -> bool {
        let moving: Vec<Tid> = self.moving.lock().iter().copied().collect();
        !moving.into_iter().any(|tid| status(tid, "State:").is_some_and(|state| state.starts_with('R')))
    }

    /// What the listener says to who asks whose it is: the run's name to who names it, and who answers to who does not.
    pub fn whose(&self, named: u64) -> Result<u64, crate::abi::Errno> {
        match named {
            0 => Ok(u64::from(std::process::id())),
            named if named == u64::from(self.name) => Ok(named),
            _ => Err(crate::abi::Errno::EINVAL),
        }
    }

    /// Whether a task at large that is being answered once more is to be attached to: it asks often, a signal with a
    /// handler might interrupt its next question, or it was not found when everybody was looked for.
    pub(super) fn is_due(&self, tid: Tid) -> bool {
        if self.has_gathered() {
            return true;
        }
        let mut answered = self.answered.lock();
        if answered.len() >= MOST {
            answered.clear();
        }
        let times = answered.entry(tid).or_default();
        *times += 1;
        let is_frequent = *times >= OFTEN;
        if is_frequent {
            answered.remove(&tid);
        }
        drop(answered);
        is_frequent || catches_signals(tid)
    }

    /// Whether a process may be at large: it has the filters, and nobody traces it.
    fn standing(&self, pid: Tid) -> Standing {
        let is_dead = |status: &String| field(status, "State:").is_none_or(|state| state.starts_with('Z'));
        let mut status = status_text(pid).unwrap_or_default();
        if is_dead(&status) && field(&status, "Threads:") != Some("1") {
            // Its first thread may have ended before the others; all of them where it is being killed.
            let mut others = tasks(pid).into_iter().filter_map(status_text);
            status = others.find(|other| !is_dead(other)).unwrap_or_default();
        }
        if is_dead(&status) {
            return Standing::No;
        }
        let field = |name| field(&status, name).unwrap_or_default();
        let filters = self.filters.as_deref().is_none_or(|filters| field("Seccomp_filters:") == filters);
        match field("TracerPid:") {
            _ if field("Seccomp:") != "2" || !filters => Standing::No,
            "0" => Standing::AtLarge,
            tracer if is_another_runs(tracer) => Standing::Held,
            _ => Standing::No,
        }
    }
}

/// Whether a process is another one's, or descends from it, as far as nobody between them has ended.
fn descends(pid: Tid, from: Tid) -> bool {
    const MOST: usize = 1000;
    let parent = |&pid: &Tid| status(pid, "PPid:").and_then(|id| id.parse().ok()).filter(|&id| id > 1);
    std::iter::successors(Some(pid), parent).take(MOST).any(|pid| pid == from)
}

/// Whether a process is at large, as far as that can be seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Standing {
    No,
    AtLarge,
    /// Another run traces it, perhaps only until it has found out whose it is.
    Held,
}

/// Whether a task is none of this run's: nobody traces it, and it has not the filter of those at large.
pub(super) fn is_strange(shared: &Shared, tid: Tid) -> bool {
    let is_traced = status(tid, "TracerPid:").is_some_and(|tracer| tracer != "0");
    !is_traced && shared.demand.as_ref().is_none_or(|demand| demand.standing(tid) != Standing::AtLarge)
}

/// Whether a tracer is one of another remainroot's threads, or has ended since: then its tracees are at large, or about to be.
fn is_another_runs(tracer: &str) -> bool {
    let own = format!("/proc/self/task/{tracer}");
    let name = tracer.parse().map(sys::process::name_of).unwrap_or_default();
    matches!(name.as_str(), "remainroot" | "?") && !std::path::Path::new(&own).exists()
}

/// Whether another run traces a task, perhaps only until it has found out whose it is.
pub(super) fn is_held(tid: Tid) -> bool {
    status(tid, "TracerPid:").is_some_and(|tracer| is_another_runs(&tracer))
}

/// The same, or it has been let go by now.
pub(super) fn may_be_let_go(tid: Tid) -> bool {
    status(tid, "TracerPid:").is_some_and(|tracer| tracer == "0" || is_another_runs(&tracer))
}

impl Shared {
    /// Whether processes are left at large.
    pub(super) fn leaves_at_large(&self) -> bool {
        self.demand.is_some() && self.common_stages() == Stage::Base.only()
    }
}

/// What is said where root may not trace whom it likes.
pub const NO_PTRACE: &str = "root lacks CAP_SYS_PTRACE";

/// What is missing for it, if anything: a kernel that says when a listener has ended, `/proc` to find processes in, and
/// `CAP_SYS_PTRACE`.
///
/// Without that capability a tracer cannot be sure to reach a process that nobody traces:
/// - After the exec of a program that its user may not read (mode 0711), of a script's interpreter or of a loader like that, a
///   process cannot be attached to, nor its memory read (`would_dump`, `ptrace_may_access`): not even an answer can be written.
///   Such an exec must have been told before. To tell a listener of each exec costs 45 µs, and who has opened the file at the
///   time of the exec is not certain when it is told. A process that is traced already stays so.
/// - `PR_SET_DUMPABLE` does the same, which could be told.
/// - Under Yama a tracer attaches to its descendants only; this one is nobody's ancestor, so that nobody sees it.
pub fn lacks_for_demand() -> Option<&'static str> {
    const CAP_SYS_PTRACE: u32 = 19;
    let may_attach =
        sys::process::capabilities().is_ok_and(|[effective, ..]| effective >> CAP_SYS_PTRACE & 1 != 0);
    match () {
        () if !shared::has_proc() => Some("/proc is not there, or another pid namespace's"),
        () if !listener::are_known() => Some("it takes Linux 6.11"),
        () if !may_attach => Some(NO_PTRACE),
        () => None,
    }
}

/// Begins to answer those who are at large, and to watch for what other runs leave.
///
/// # Errors
/// `EAGAIN` where no thread can be made.
pub fn begin(shared: &Arc<Shared>, filter: OwnedFd) -> sys::Result<()> {
    let stage = shared.demand.as_ref().map_or(Stage::NotifyBase, |demand| demand.first);
    listener::wait_for_run(shared, filter, stage)?;
    let (mine, begun) = (Arc::downgrade(shared), Instant::now());
    let mut found = Evidence::Nothing;
    let attend = move || {
        while let Some(shared) = mine.upgrade().filter(|it| it.leaves_at_large()) {
            // It is found once.
            found = found.max(shared.ownership.finds_evidence());
            if found != Evidence::Nothing
                && let Some(worker) = Pool::reserve(&shared, None)
            {
                return worker.assign(Message::Evidence(found));
            }
            drop(shared);
            std::thread::sleep(SOON.max(begun.elapsed() / 50).min(LATE));
        }
    };
    std::thread::Builder::new().stack_size(64 << 10).spawn(attend).map(drop).map_err(|_| Errno::EAGAIN)
}

/// Whether a task catches signals. One that comes before a listener has taken a call interrupts that, which a tracer can
/// put right: who catches any is attached to when it has made the first such call.
fn catches_signals(tid: Tid) -> bool {
    status(tid, "SigCgt:").is_none_or(|caught| caught.chars().any(|digit| digit != '0'))
}

/// Attaches to the process of a task at large; to one that is attached to already nothing is done. `proven` says
/// whether it is of this run, `wanted` what it is to have besides.
pub(super) fn attach(shared: &Arc<Shared>, tid: Tid, (proven, wanted): (bool, Stages)) -> sys::Result<()> {
    let demand = shared.demand.as_ref().ok_or(Errno::ESRCH)?;
    let tgid = status(tid, "Tgid:").and_then(|id| id.parse().ok()).ok_or(Errno::ESRCH)?;
    let _attaching = demand.attaching.lock();
    if tasks(tgid).into_iter().any(|task| shared.listeners.serves(task)) {
        return Ok(());
    }
    let cpu = sched::last_cpu(tid).filter(|&cpu| cpu < sched::MOST_CPUS);
    let worker = Pool::reserve(shared, cpu).ok_or(Errno::EAGAIN)?;
    let (reply, outcome) = bounded(1);
    worker.assign(Message::Attach { tgid, cpu, proven, wanted, reply });
    outcome.recv().unwrap_or(Err(Errno::ESRCH))
}

/// Attaches to everybody who is at large: nobody runs user code any more without the stages that every process must
/// have. Whoever is born meanwhile is born to one who is attached to, or is found the next time round.
pub(super) fn gather(shared: &Arc<Shared>) {
    let Some(demand) = shared.demand.as_ref().filter(|it| !it.has_gathered()) else {
        return;
    };
    let (mut tried, mut since, mut attached) = (HashSet::new(), Instant::now(), 0);
    loop {
        let (mut found, mut held, mut ours, calm) = (false, false, false, demand.is_calm());
        for pid in sys::process::listed().unwrap_or_default() {
            match demand.standing(pid) {
                Standing::AtLarge if tried.insert(pid) => match attach(shared, pid, (false, Stages::NONE)) {
                    // Another run may have been faster.
                    Err(Errno::EPERM) => held |= tried.remove(&pid),
                    outcome => {
                        tracing::debug!(pid, ?outcome, "gathered");
                        attached += u64::from(outcome.is_ok());
                        found = true;
                    }
                },
                Standing::Held => {
                    held = true;
                    ours |= descends(pid, demand.command);
                }
                _ => {}
            }
        }
        if found {
            since = Instant::now();
        } else if is_within(since, &[(held, HELD), (ours, HELD_OF_OURS), (!calm, CALM)]) {
            std::thread::sleep(Duration::from_millis(1));
        } else {
            break;
        }
    }
    demand.gathered.store(true, Ordering::SeqCst);
    shared.tell_mode(|| format!("{} attached to: nobody is at large any more", told::processes(attached)));
}

/// Whether a time since then is within one of those that apply.
fn is_within(since: Instant, times: &[(bool, Duration)]) -> bool {
    times.iter().any(|&(applies, time)| applies && since.elapsed() < time)
}

impl Worker {
    /// Attaches to every task of a process at large.
    pub(super) fn attach(
        &mut self,
        tgid: Tid,
        cpu: Option<usize>,
        (proven, wanted): (bool, Stages),
    ) -> sys::Result<()> {
        if let Some(cpu) = cpu {
            ptrace::set_home(cpu);
        }
        // Who made it may have had what answers inside.
        let slate = self.shared.ownership.slate();
        let inside = slate.and_then(|slate| slate.inside().address_in(tgid)).map(Quarters::of);
        let memory = Arc::new(Memory::unknown(inside));
        let born = Born { wanted, ..Born::at_large(&self.shared, memory, !proven) };
        let mut group = Group::new(&born);
        (group.suspect, group.threads) = (!proven, 0);
        self.groups.insert(tgid, group);
        let outcome = self.seize_all(tgid, &born);
        if outcome.is_err() {
            self.groups.remove(&tgid);
        } else if self.is_crowded(tgid) {
            born.memory.crowd();
        }
        self.interrupt_all(None);
        outcome
    }

    /// Attaches to every task of a process that this worker does not know. Where there are several, one may be making one
    /// more that cannot be seen yet: each stops, and then its like is looked for again.
    fn seize_all(&mut self, tgid: Tid, born: &Born) -> sys::Result<()> {
        let mut tried: HashSet<Tid> = self.tracees.keys().copied().collect();
        let (mut outcome, mut seized) = (Err(Errno::ESRCH), Vec::new());
        loop {
            let new: Vec<Tid> = tasks(tgid).into_iter().filter(|&task| tried.insert(task)).collect();
            if new.is_empty() {
                break;
            }
            for tid in new {
                // What a seized one has made is this thread's already, and will say so.
                match sys::ptrace::seize(tid, born.options) {
                    Ok(()) => {
                        if let Some(group) = self.groups.get_mut(&tgid) {
                            group.threads += 1;
                        }
                        self.insert(tid, Tracee { fresh: true, ..Tracee::new(tgid, born) });
                        self.tell_birth(tid, tgid, None);
                        seized.push(tid);
                        outcome = Ok(());
                    }
                    Err(errno) => outcome = outcome.or(Err(errno)),
                }
                let group = self.groups.get(&tgid);
                if group.is_some_and(|group| group.suspect || group.threads > 1) {
                    seized.drain(..).for_each(|tid| self.interrupt(tid));
                }
            }
        }
        outcome
    }

    /// Interrupts a task.
    pub(super) fn interrupt(&mut self, tid: Tid) {
        ptrace::interrupt(tid);
        if let Some(demand) = &self.shared.demand {
            demand.note_moving(tid);
        }
        if let Some(tracee) = self.tracees.get_mut(&tid) {
            tracee.interrupted = true;
        }
    }

    /// A task has stopped: what it was making can be seen by now.
    pub(super) fn settle_down(&mut self, tid: Tid) {
        let Some(demand) = &self.shared.demand else { return };
        demand.note_stopped(tid);
        let Some(tracee) = self.tracees.get_mut(&tid).filter(|tracee| tracee.fresh) else { return };
        tracee.fresh = false;
        let tgid = tracee.tgid;
        let Some(group) = self.groups.get(&tgid).filter(|group| !group.foreign) else { return };
        let born = Born::at_large(&self.shared, group.shared_memory().0, group.suspect);
        if self.seize_all(tgid, &born).is_ok()
            && let Some(group) = self.groups.get_mut(&tgid)
        {
            group.memory(tgid).crowd();
        }
    }

    /// Whether several tasks may run in a process's address space, as far as that can be known from outside.
    fn is_crowded(&self, tgid: Tid) -> bool {
        let parent = status(tgid, "PPid:").and_then(|id| id.parse().ok());
        let Some(children) = sys::process::children(tgid) else { return true };
        let others = children.into_iter().chain(parent);
        self.groups.get(&tgid).is_none_or(|group| group.threads != 1)
            || others.into_iter().any(|other| sys::process::share_memory(tgid, other))
    }

    /// Whether a process is one whose children are left at large: nothing about it is anybody's business but the kernel's.
    pub(super) fn leaves_children(&self, tid: Tid) -> bool {
        let Some(tracee) = self.tracees.get(&tid) else { return false };
        let stages = self.shared.first_stages();
        self.shared.leaves_at_large()
            && tracee.stages == stages
            && tracee.wanted.minus(stages).is_empty()
            && tracee.trial.is_none()
            && *tracee.credentials == self.shared.view.initial
            && self.groups.get(&tracee.tgid).is_some_and(|group| group.threads == 1 && !group.filtered)
    }

    /// Whether the process of the task at this entry is of this run, which it is made to ask where it is not known.
    pub(super) fn is_ours(&mut self, stop: &mut Intercepted) -> Traced<bool> {
        let Some(tgid) = self.tracees.get(&stop.tid()).map(|tracee| tracee.tgid) else { return Ok(true) };
        if !self.groups.get(&tgid).is_some_and(|group| group.suspect) {
            return Ok(true);
        }
        let name = self.shared.demand.as_ref().map_or(0, |demand| u64::from(demand.name));
        let args = [0, 0, 0, name, 0, WHOSE.into()];
        // A signal that is on its way interrupts what no listener has taken yet; from the second time on only SIGSTOP can.
        let mut answer = Live::new(self, stop).execute_told(&kernel::MUNMAP, args)?;
        for _ in 0..TRIES {
            if answer.is_ok() || answer.is_err_and(|errno| errno.0 < ERESTARTSYS) {
                break;
            }
            answer = Live::new(self, stop).execute_told(&kernel::MUNMAP, args)?;
        }
        let ours = answer == Ok(name);
        if let Some(group) = self.groups.get_mut(&tgid) {
            (group.suspect, group.foreign) = (false, !ours);
        }
        Ok(ours)
    }

    /// Lets a process go that is another run's, beginning with the task at this entry.
    pub(super) fn let_go(&mut self, stop: Intercepted) -> Traced<()> {
        let tid = stop.tid();
        let tgid = self.tracees.get(&tid).map_or(tid, |tracee| tracee.tgid);
        for (&other, _) in self.tracees.iter().filter(|(other, it)| **other != tid && it.tgid == tgid) {
            ptrace::interrupt(other);
        }
        self.ended(tid);
        stop.release()
    }

    /// The same of another of its tasks, at any stop.
    pub(super) fn let_go_of_another(&mut self, tid: Tid, stop: Stop) -> Traced<()> {
        self.ended(tid);
        stop.release()
    }
}
