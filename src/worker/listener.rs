//! Listeners: calls that only look at an inode, answered without a stop; and, as long as nobody is traced, all that would
//! stop (`demand`).
//!
//! A process that has looked often is made to load a filter whose verdict on such calls is `SECCOMP_RET_USER_NOTIF`
//! (seccomp_unotify(2)); that outranks the stops of the other stages, and its children inherit it. A thread of the tracer's
//! waits for the calls, has the same handlers answer them as a stop would, and wakes the task, with both on one CPU
//! wherever the scheduler puts them (`SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`).
//!
//! - There is always a thread that waits: whoever takes a call and leaves nobody makes another. So a look at a
//!   filesystem that a tracee serves (FUSE) blocks nobody but who looked.
//! - A call that takes more than looking is *fetched*: the worker of its task interrupts that, it is answered with
//!   `ERESTARTNOINTR`, so that it stops and makes the call again, and is served at the entry as at any stop.
//! - Calls that a tracee is made to execute are marked in an argument that they do not have, and pass.
//! - A filter chain can have one listener. A process that wants one of its own below gets `EBUSY`.

use std::collections::HashMap;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::{Mutex, RwLock};

use super::answer::Answering;
use super::filters::Filters;
use super::guest::{Live, map_scratch};
use super::pool::Handle;
use super::raise::{SET_MODE_FILTER, write_program};
use super::site::Calling;
use super::tracee::Memory;
use super::{Shared, Worker};
use crate::abi::Errno;
use crate::ownership::Inode;
use crate::ptrace::{self, Intercepted, Lost, Traced, TracerError};
use crate::seccomp;
use crate::sys::afterlife::Afterlife;
use crate::sys::sched::{self, CpuSet};
use crate::sys::{self, Tid};
use crate::syscalls::{Stage, Stages, kernel, table};

/// The first Linux that wakes who waits for a listener when the last task with its filter has ended.
const SINCE: (u32, u32) = (6, 11);
/// After so many looks a listener has paid: it costs as much as ten stops.
const MANY: u32 = 24;
/// More threads than this do not wait for the same listener: one that answers, and one that waits meanwhile. All that wait wake
/// for each call (`recv_wait_event` in kernel/seccomp.c), on the CPU of who made it.
const MOST_WAITING: usize = 2;
/// Stack of a thread, in bytes.
const STACK: usize = 256 * 1024;

/// All listeners of a run.
#[derive(Debug)]
pub struct Listeners {
    /// Who serves which task, and where it looks from.
    tasks: RwLock<HashMap<Tid, Arc<Task>>>,
    /// Work for threads without a listener to wait for, and how many of them nobody has claimed.
    work: (Sender<Arc<Listener>>, Receiver<Arc<Listener>>),
    idle: AtomicUsize,
    /// Where the tracer may run: a worker, which makes threads, has one CPU.
    affinity: Option<CpuSet>,
    /// The kernel lacks something.
    refused: AtomicBool,
}

/// What a listener must know of a task.
#[derive(Debug)]
pub(super) struct Task {
    pub(super) worker: Arc<Handle>,
    /// How often its image has looked since it was last made to answer something inside.
    pub(super) looks: AtomicU32,
    /// How often it made a call that is not answered inside, or was not that time.
    pub(super) asides: AtomicU32,
    /// How often in a row a call of its was sent back to be served at a stop, and was not yet.
    pub(super) sent_back: AtomicU32,
    /// Whether it was seen to look at an inode of an id that the namespace lacks.
    pub(super) knows_foreign: AtomicBool,
    /// By which instructions it makes calls that cannot be answered inside, or are.
    pub(super) tried: Mutex<Vec<u64>>,
    /// Where it runs.
    pub(super) memory: Weak<Memory>,
    /// And what, where that is known.
    pub(super) image: Option<Inode>,
    /// Its own filters: what they have a tracer asked of comes here before.
    pub(super) filters: Filters,
}

/// A filter's listener.
#[derive(Debug)]
pub(super) struct Listener {
    pub(super) fd: OwnedFd,
    /// A killed process closes its files before its tracees are killed, and a call whose listener is closed fails with
    /// `ENOSYS`.
    _afterlife: Option<Afterlife>,
    /// Threads that wait for a call, or will before they do anything else.
    waiting: AtomicUsize,
    /// That of its filter.
    pub(super) stage: Stage,
    /// Whether it is that of all who are [at large](super::demand), and has not ended: the run lasts as long.
    lasts: AtomicBool,
}

impl Default for Listeners {
    /// None yet. To be called by a thread that may run everywhere.
    fn default() -> Listeners {
        Listeners {
            tasks: RwLock::default(),
            work: unbounded(),
            idle: AtomicUsize::new(0),
            affinity: sched::affinity(0).ok(),
            refused: AtomicBool::new(!are_known()),
        }
    }
}

impl Listeners {
    /// A worker has got a task, or a task of its has got a new image.
    pub(super) fn adopt(&self, tid: Tid, task: Task) {
        self.tasks.write().insert(tid, Arc::new(task));
    }

    /// A task has ended.
    pub(super) fn forget(&self, tid: Tid) {
        self.tasks.write().remove(&tid);
    }

    /// Whether a task is attached to.
    pub(super) fn serves(&self, tid: Tid) -> bool {
        self.tasks.read().contains_key(&tid)
    }

    /// What was sent back is served.
    pub(super) fn served(&self, tid: Tid) {
        if let Some(task) = self.task(tid) {
            task.sent_back.store(0, Ordering::Relaxed);
        }
    }

    pub(super) fn task(&self, tid: Tid) -> Option<Arc<Task>> {
        self.tasks.read().get(&tid).cloned()
    }
}

impl Worker {
    /// Counts a call that took a stop and could have been left to a listener; loads a filter with one where there were
    /// many.
    pub(super) fn looked(&mut self, stop: &mut Intercepted) -> Traced<()> {
        let tid = stop.tid();
        let Some(tracee) = self.tracees.get(&tid) else { return Ok(()) };
        let (tgid, stages) = (tracee.tgid, tracee.stages);
        let shared = &self.shared;
        if stages.listens() || shared.listeners.refused.load(Ordering::Relaxed) || !shared.sights.any() {
            return Ok(());
        }
        let Some(suits) = self.suiting(stages) else { return Ok(()) };
        let parent = self.groups.get(&tgid).and_then(|group| group.parent);
        let mut is_due = |tgid: Tid| {
            let Some(group) = self.groups.get_mut(&tgid) else { return false };
            group.looks = group.looks.saturating_add(1);
            group.looks >= MANY && !group.filtered
        };
        let (parent, own) = (parent.filter(|&parent| is_due(parent)), is_due(tgid));
        // A parent whose children look does not look itself, but those to come inherit its filter.
        if let Some(parent) = parent {
            self.want_listener(parent);
        }
        if own { self.raise_here(stop, suits.only()) } else { Ok(()) }
    }

    /// Sees to it that the process of the task at this entry has a listener; whether it has.
    pub(super) fn get_listener(&mut self, stop: &mut Intercepted) -> Traced<bool> {
        let tid = stop.tid();
        let stages = self.tracees.get(&tid).map_or(Stages::NONE, |tracee| tracee.stages);
        if !stages.listens()
            && !self.shared.listeners.refused.load(Ordering::Relaxed)
            && let Some(suits) = self.suiting(stages)
        {
            self.raise_here(stop, suits.only())?;
        }
        Ok(self.tracees.get(&tid).is_some_and(|tracee| tracee.stages.listens()))
    }

    /// The stage with a listener that suits a process with these, if one does.
    fn suiting(&self, stages: Stages) -> Option<Stage> {
        // Before there is a fact looks do not stop, and must not begin to cost anything.
        let looks = self.shared.common_stages().contains(Stage::Ownership);
        match (looks, stages.contains(Stage::Identity)) {
            (true, false) => Some(Stage::Notify),
            (true, true) => Some(Stage::NotifyIdentity),
            (false, true) => Some(Stage::NotifyIds),
            (false, false) => None,
        }
    }

    fn want_listener(&mut self, tgid: Tid) {
        let tids: Vec<Tid> =
            self.tracees.iter().filter(|(_, it)| it.tgid == tgid).map(|(&tid, _)| tid).collect();
        for tid in tids {
            let stages = self.tracees.get(&tid).map_or(Stages::ALL, |it| it.stages.union(it.wanted));
            let suits = if stages.listens() { None } else { self.suiting(stages) };
            if let (Some(suits), Some(tracee)) = (suits, self.tracees.get_mut(&tid)) {
                tracee.wanted = tracee.wanted.union(suits.only());
            }
        }
    }

    /// Makes the task load the filter of a stage with a listener for its process, and starts to listen. Where that
    /// cannot be, its calls stop as before.
    pub(super) fn load_listener(&mut self, stop: &mut Intercepted, stage: Stage) -> Traced<()> {
        let (tid, call) = (stop.tid(), *stop.call());
        if self.can_listen(tid) {
            match self.execute_listener(stop, stage)? {
                Ok(descriptor) => {
                    if table::lookup(call.abi, call.number)
                        .is_some_and(|it| it.is_told(stage.only(), &call.args))
                    {
                        stop.unfiltered();
                    }
                    self.listen(tid, descriptor, stage)?;
                    let _ = Live::new(self, stop).execute(&kernel::CLOSE, [descriptor, 0, 0, 0, 0, 0])?;
                }
                Err(errno) => tracing::debug!(tid, ?errno, "no listener"),
            }
        }
        self.note_synced(tid, stage);
        Ok(())
    }

    /// Whether a listener could be served: once its filter is loaded there is no way back.
    fn can_listen(&self, tid: Tid) -> bool {
        let listens = self.tracees.get(&tid).is_some_and(|tracee| tracee.stages.listens());
        // What is not open there cannot be taken, but may.
        let may_take = || {
            let task = sys::descriptor::open_task(tid);
            task.is_ok_and(|task| {
                sys::descriptor::take(&task, -1).is_err_and(|errno| errno == sys::Errno::EBADF)
            })
        };
        !listens && reserve(&self.shared) && may_take()
    }

    /// The guest's descriptor of a listener.
    fn execute_listener(&mut self, stop: &mut Intercepted, stage: Stage) -> Traced<Result<u64, Errno>> {
        let scratch = match map_scratch(self, stop)? {
            Ok(scratch) => scratch,
            Err(errno) => return Ok(Err(errno)),
        };
        if !write_program(stop.tid(), stop.call().abi, scratch, seccomp::program(stage)) {
            return Ok(Err(Errno::EFAULT));
        }
        let args = [SET_MODE_FILTER, sys::seccomp::LISTENER, scratch, 0, 0, 0];
        let outcome = Live::new(self, stop).execute(&kernel::SECCOMP, args)?;
        if outcome == Err(Errno::EINVAL) {
            self.shared.listeners.refused.store(true, Ordering::Relaxed);
        }
        Ok(outcome)
    }

    /// Takes the task's descriptor of a listener, and has a thread wait for it.
    fn listen(&self, tid: Tid, descriptor: u64, stage: Stage) -> Traced<()> {
        let task = sys::descriptor::open_task(tid);
        let taken = task.and_then(|task| sys::descriptor::take(&task, descriptor as i32));
        let failed = |source| Lost::Failed(TracerError { operation: "taking a listener", tid, source });
        let fd = taken.map_err(failed)?;
        match seat(&self.shared, &Listener::of(fd, stage)) {
            true => Ok(()),
            false => Err(failed(sys::Errno::EAGAIN)),
        }
    }

    /// Has a task stop that waits for the listener of this stage; whether it is this worker's. It has that stage, whatever is
    /// known of it: a child of one thread does not know what another has loaded for all of them meanwhile.
    pub(super) fn fetch(
        &mut self,
        tid: Tid,
        stage: Stage,
        (moves_in, wanted): (Option<Calling>, Stages),
    ) -> bool {
        let Some(tracee) = self.tracees.get_mut(&tid) else { return false };
        tracee.fetched = true;
        tracee.stages = tracee.stages.union(stage.only());
        tracee.wanted = tracee.wanted.union(wanted);
        tracee.moves_in = moves_in.or(tracee.moves_in);
        ptrace::interrupt(tid);
        true
    }
}

impl Listener {
    /// Whether the run lasts as long as it is used.
    pub(super) fn lasts(&self) -> bool {
        self.lasts.load(Ordering::Relaxed)
    }

    fn of(fd: OwnedFd, stage: Stage) -> Arc<Listener> {
        // A kernel that does not know it is only slower.
        let _ = sys::seccomp::wake_synchronously(fd.as_fd());
        let afterlife = Afterlife::of(fd.as_fd());
        let afterlife = afterlife.inspect_err(|errno| tracing::debug!(?errno, "no afterlife")).ok();
        let (waiting, lasts) = (AtomicUsize::new(0), AtomicBool::new(stage.only().is_first()));
        Arc::new(Listener { fd, _afterlife: afterlife, waiting, stage, lasts })
    }
}

/// Whether this kernel has listeners of which it is known when nobody has their filter any more.
pub(super) fn are_known() -> bool {
    sys::process::kernel_version().is_some_and(|kernel| kernel >= SINCE)
}

/// Has a thread wait for those who are at large by the filter of this stage; the run lasts as long as one of them.
///
/// # Errors
/// `EAGAIN` where no thread can be made.
pub(super) fn wait_for_run(shared: &Arc<Shared>, filter: OwnedFd, stage: Stage) -> sys::Result<()> {
    shared.pool.enter();
    if seat(shared, &Listener::of(filter, stage)) { Ok(()) } else { Err(sys::Errno::EAGAIN) }
}

/// Has one thread more wait for a listener; whether there is one.
fn seat(shared: &Arc<Shared>, listener: &Arc<Listener>) -> bool {
    let listeners = &shared.listeners;
    let claim = || {
        let one_less = |idle: usize| idle.checked_sub(1);
        listeners.idle.fetch_update(Ordering::SeqCst, Ordering::SeqCst, one_less).is_ok()
    };
    let claimed = claim() || (reserve(shared) && claim());
    if claimed {
        listener.waiting.fetch_add(1, Ordering::SeqCst);
    }
    claimed && listeners.work.0.send(Arc::clone(listener)).is_ok()
}

/// Sees to it that there is a thread without work.
fn reserve(shared: &Arc<Shared>) -> bool {
    let idle = &shared.listeners.idle;
    if idle.load(Ordering::SeqCst) > 0 {
        return true;
    }
    let mine = Arc::clone(shared);
    let thread = std::thread::Builder::new().stack_size(STACK).spawn(move || live(&mine));
    if thread.is_ok() {
        idle.fetch_add(1, Ordering::SeqCst);
    }
    thread.is_ok()
}

/// A thread's life: it waits for calls of one listener after another.
fn live(shared: &Arc<Shared>) {
    if let Some(everywhere) = &shared.listeners.affinity {
        let _ = sched::set_affinity(0, everywhere);
    }
    while let Ok(listener) = shared.listeners.work.1.recv() {
        listen(shared, &listener);
        drop(listener);
        shared.listeners.idle.fetch_add(1, Ordering::SeqCst);
    }
}

/// Waits for calls and answers them, until no task has the filter or enough other threads wait.
fn listen(shared: &Arc<Shared>, listener: &Arc<Listener>) {
    let fd = listener.fd.as_fd();
    loop {
        match sys::seccomp::receive(fd) {
            Ok(notification) => {
                if listener.waiting.fetch_sub(1, Ordering::SeqCst) == 1 {
                    seat(shared, listener);
                }
                Answering::of(listener, &notification, shared).answer(shared);
                if listener.waiting.fetch_add(1, Ordering::SeqCst) >= MOST_WAITING {
                    break;
                }
            }
            Err(sys::Errno::EINTR) => {}
            Err(sys::Errno::ENOENT) if sys::seccomp::is_used(fd) => {}
            Err(_) => {
                if listener.lasts.swap(false, Ordering::SeqCst) {
                    shared.pool.leave();
                }
                break;
            }
        }
    }
    listener.waiting.fetch_sub(1, Ordering::SeqCst);
}
