//! Worker threads: made when needed, kept when idle, spoken to over channels.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::time::Instant;

use crossbeam_channel::{Receiver, Sender, unbounded};
use parking_lot::Mutex;

use super::site::Calling;
use super::tracee::Born;
use super::{Count, Shared, Worker};
use crate::ownership::Evidence;
use crate::ptrace::{self, Parked};
use crate::sys::sched::{self, CpuSet};
use crate::sys::{self, Tid};
use crate::syscalls::{Stage, Stages};

/// Stack of a worker thread, in bytes.
const STACK: usize = 512 * 1024;

/// A worker is busy that has served a stop within so many milliseconds.
const RECENTLY: u64 = 10;

/// Under which slot the guardian watches a parked task.
pub type Watched = usize;

/// What a worker is told.
#[derive(Debug)]
pub enum Message {
    /// Take over a process born elsewhere.
    Adopt(Parked, Born, Watched),
    /// Attach to the first process, and say how that went.
    Seize(Tid, Sender<sys::Result<()>>),
    /// Attach to a process at large, and say how that went.
    Attach {
        /// The process.
        tgid: Tid,
        /// Where it last ran.
        cpu: Option<usize>,
        /// Whether it is known to be of this run.
        proven: bool,
        /// What it is to have besides what those at large have.
        wanted: Stages,
        /// How that went.
        reply: Sender<sys::Result<()>>,
    },
    /// Another run has left the first facts.
    Evidence(Evidence),
    /// Make sure that none of your tracees runs user code any more without the stages that every
    /// process must have; say when.
    Raise(Sender<()>),
    /// Raise these stages for the process of this task, and say whether it is yours.
    Want(Tid, Stages, Sender<bool>),
    /// Have this task stop and make its call again, which the listener of this stage cannot answer, or which is to be answered
    /// inside from now on where it is made by this instruction, or once its process has these stages; say whether it is yours.
    Fetch(Tid, Stage, (Option<Calling>, Stages), Sender<bool>),
}

/// One worker as the others see it.
#[derive(Debug)]
pub(crate) struct Handle {
    outbox: Sender<Message>,
    pub(super) inbox: Receiver<Message>,
    /// Not 0 when there is something in the inbox that a worker with tracees must read.
    pub(super) flag: AtomicU32,
    /// Its thread id, once it runs.
    tid: AtomicI32,
    /// The CPU it lives on, plus one; 0 if none.
    home: AtomicUsize,
    /// When it was last known to have served a stop, in milliseconds of the run.
    seen: AtomicU64,
}

impl Handle {
    /// Sends to a worker that has tracees.
    pub(super) fn interrupt(&self, message: Message) {
        let _ = self.outbox.send(message);
        self.nudge();
    }

    /// Has a worker that waits for its tracees look around.
    pub(super) fn nudge(&self) {
        self.flag.store(1, Ordering::SeqCst);
        let tid = self.tid.load(Ordering::SeqCst);
        if tid != 0 {
            let _ = sys::wait::wake(tid);
        }
    }

    /// Gives work to a worker reserved with [`Pool::reserve`].
    pub(super) fn assign(&self, message: Message) {
        let _ = self.outbox.send(message);
    }
}

/// All workers of a run.
#[derive(Debug)]
pub struct Pool {
    idle: Mutex<Vec<Arc<Handle>>>,
    all: Mutex<Vec<Arc<Handle>>>,
    /// Workers that have work or are reserved for some.
    busy: AtomicUsize,
    /// When the run began.
    begun: Instant,
    supervisor: Sender<News>,
}

/// What the supervisor is told.
#[derive(Debug)]
pub enum News {
    /// The first process is about to end; it goes on when the answer comes.
    FirstEnds(Sender<()>),
    /// No worker has a tracee any more.
    AllEnded,
}

impl Pool {
    /// An empty pool that reports to `supervisor`.
    pub fn new(supervisor: Sender<News>) -> Pool {
        let (idle, all) = (Mutex::default(), Mutex::default());
        Pool { idle, all, busy: AtomicUsize::new(0), begun: Instant::now(), supervisor }
    }

    /// Lets the supervisor do what must be done before the first process's end can be seen.
    pub(super) fn first_ends(&self) {
        let (done, answer) = unbounded();
        if self.supervisor.send(News::FirstEnds(done)).is_ok() {
            let _ = answer.recv();
        }
    }

    /// Gives the first process to a worker; the outcome of attaching to it.
    ///
    /// # Errors
    /// `EPERM` where ptrace is refused, `EAGAIN` where no thread can be made.
    pub fn seize(shared: &Arc<Shared>, tid: Tid) -> sys::Result<()> {
        let worker = Pool::reserve(shared, None).ok_or(sys::Errno::EAGAIN)?;
        let (reply, outcome) = unbounded();
        worker.assign(Message::Seize(tid, reply));
        outcome.recv().unwrap_or(Err(sys::Errno::ESRCH))
    }

    /// An idle worker, best one that lives on CPU `home`, or a new one; `None` where no thread can be
    /// made. It must be given work or be [released](Pool::release).
    pub(super) fn reserve(shared: &Arc<Shared>, home: Option<usize>) -> Option<Arc<Handle>> {
        let pool = &shared.pool;
        pool.enter();
        let idle = {
            let mut idle = pool.idle.lock();
            let wanted = home.map_or(0, |cpu| cpu + 1);
            let near = idle.iter().rposition(|worker| worker.home.load(Ordering::Relaxed) == wanted);
            near.or(idle.len().checked_sub(1)).map(|index| idle.swap_remove(index))
        };
        let worker = idle.or_else(|| Pool::spawn(shared));
        if worker.is_none() {
            pool.busy.fetch_sub(1, Ordering::SeqCst);
        }
        worker
    }

    /// Puts a reserved worker back.
    pub(super) fn release(&self, worker: Arc<Handle>) {
        self.idle.lock().push(worker);
        self.leave();
    }

    /// There is something more that the run lasts for.
    pub(super) fn enter(&self) {
        self.busy.fetch_add(1, Ordering::SeqCst);
    }

    /// It has ended.
    pub(super) fn leave(&self) {
        if self.busy.fetch_sub(1, Ordering::SeqCst) == 1 {
            let _ = self.supervisor.send(News::AllEnded);
        }
    }

    /// Every worker but `own`.
    pub(super) fn others(&self, own: &Arc<Handle>) -> Vec<Arc<Handle>> {
        self.all.lock().iter().filter(|worker| !Arc::ptr_eq(worker, own)).cloned().collect()
    }

    /// A busy worker that lives on CPU `home` asks where to live: where another one does that is as busy, and none on one of
    /// the CPUs that `may` gives, it is to move there.
    pub(super) fn part(
        &self,
        own: &Arc<Handle>,
        home: usize,
        may: impl FnOnce() -> Option<CpuSet>,
    ) -> Option<usize> {
        let all = self.all.lock();
        let now = self.begun.elapsed().as_millis() as u64;
        own.seen.store(now, Ordering::Relaxed);
        own.home.store(home + 1, Ordering::Relaxed);
        let is_busy = |worker: &Handle| now.saturating_sub(worker.seen.load(Ordering::Relaxed)) <= RECENTLY;
        let lives_on = |worker: &Handle, cpu: usize| worker.home.load(Ordering::Relaxed) == cpu + 1;
        let others = || all.iter().filter(|worker| !Arc::ptr_eq(worker, own) && is_busy(worker));
        if !others().any(|worker| lives_on(worker, home)) {
            return None;
        }
        let may = may()?;
        let is_free = |&cpu: &usize| sched::holds(&may, cpu) && !others().any(|worker| lives_on(worker, cpu));
        let cpu = (0..sched::MOST_CPUS).find(is_free)?;
        own.home.store(cpu + 1, Ordering::Relaxed);
        Some(cpu)
    }

    fn spawn(shared: &Arc<Shared>) -> Option<Arc<Handle>> {
        let (outbox, inbox) = unbounded();
        let handle = Arc::new(Handle {
            outbox,
            inbox,
            flag: AtomicU32::new(0),
            tid: AtomicI32::new(0),
            home: AtomicUsize::new(0),
            seen: AtomicU64::new(0),
        });
        let (mine, theirs) = (Arc::clone(shared), Arc::clone(&handle));
        let thread = std::thread::Builder::new().stack_size(STACK);
        thread.spawn(move || live(&mine, &theirs)).ok()?;
        shared.counters.add(Count::Worker);
        shared.pool.all.lock().push(Arc::clone(&handle));
        Some(handle)
    }
}

/// A worker's life: wait for work, serve it to its end, be idle again. A panic ends this thread, and
/// with it its tracees (PTRACE_O_EXITKILL), and nobody else's.
fn live(shared: &Arc<Shared>, handle: &Arc<Handle>) {
    sys::wait::accept_wake();
    handle.tid.store(sys::process::thread_id(), Ordering::SeqCst);
    let guard = Leave { shared, handle };
    let mut worker = Worker::new(Arc::clone(shared), Arc::clone(handle));
    while let Ok(message) = handle.inbox.recv() {
        let brings_work = !matches!(message, Message::Raise(_) | Message::Want(..) | Message::Fetch(..));
        worker.take(message);
        if !brings_work {
            // There is nothing to serve, and what serving would read next may be work.
            continue;
        }
        worker.serve();
        handle.home.store(ptrace::home().map_or(0, |cpu| cpu + 1), Ordering::Relaxed);
        shared.pool.release(Arc::clone(handle));
    }
    drop(guard);
}

/// Counts a worker out that ends by a panic while it has work; whoever waits for its answer learns
/// that there will be none when the last of its handles is dropped.
struct Leave<'a> {
    shared: &'a Arc<Shared>,
    handle: &'a Arc<Handle>,
}

impl Drop for Leave<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.shared.pool.all.lock().retain(|worker| !Arc::ptr_eq(worker, self.handle));
            self.shared.pool.leave();
        }
    }
}
