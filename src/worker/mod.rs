//! Workers: one OS thread for each traced thread group.
//!
//! A worker attaches to its process, waits for it alone (`__WALL|__WNOTHREAD`), turns each stop at a
//! syscall into a handler's verdict, and outlives it. A process that one of its tasks forks is parked
//! and handed to another worker (`birth`); where that cannot be, it stays as a *foster* child.
//!
//! *Invariant:* a worker knows no syscall by name or number: what a call means is the table's.

mod answer;
mod areas;
mod arrival;
mod birth;
mod book;
mod counters;
mod demand;
mod devices;
mod exec;
mod eyes;
mod filters;
mod guardian;
mod guest;
mod handover;
mod inside;
mod instead;
mod labels;
mod listed;
mod listener;
mod meanwhile;
mod mounts;
mod notified;
mod peers;
mod pool;
mod raise;
mod shared;
mod sight;
mod site;
mod stops;
mod tally;
mod told;
mod tracee;

pub use counters::{Count, Counters};
pub use demand::{Demand, NO_PTRACE, begin, lacks_for_demand};
pub use guardian::Guardian;
pub use pool::{News, Pool};
pub use shared::{Shared, has_proc};
pub use tally::Tally;

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::time::{Duration, Instant};

use crate::ptrace::{self, Lost, Report, Stop, Traced, decode};
use crate::sys::{self, Errno, Tid};
use crate::syscalls::Stage;
use listener::Task;
use parking_lot::Mutex;
use pool::{Handle, Message};
use tracee::{Born, Group, Tracee};

/// A tracee that ran longer than this without a stop may have been moved to another CPU by the
/// scheduler; its worker then goes after it, also after one that has ended: exec moves a child to an idle CPU, and so
/// two storms that began on one CPU part. A look costs two microseconds, and twenty at those of which only `/proc` tells: so
/// those that have ended are looked at once in so long.
const LONG: Duration = Duration::from_millis(1);
/// See [`LONG`].
const RARELY: Duration = Duration::from_millis(20);
/// How often a worker asks who else lives on its CPU.
const PARTS: Duration = Duration::from_millis(4);

/// One worker thread's state.
#[derive(Debug)]
pub(crate) struct Worker {
    shared: Arc<Shared>,
    handle: Arc<Handle>,
    tracees: HashMap<Tid, Tracee>,
    /// By thread group id; more than one only with foster children.
    groups: HashMap<Tid, Group>,
    /// First stops whose birth has not been reported yet, and since when.
    unannounced: HashMap<Tid, (Stop, Instant)>,
    /// The task that ended last: it may have made what nobody announces.
    last_dead: Option<Tracee>,
    /// Births whose first stop has not come yet.
    expected: HashMap<Tid, Born>,
    /// Tasks adopted before their birth was reported, in case it still is.
    adopted_early: HashSet<Tid>,
    /// Who executes an injected call right now, each served while the one before was waited for.
    busy: Vec<Tid>,
    /// Reports of those, which another has taken.
    set_aside: HashMap<Tid, i32>,
    /// Reports that wait until fewer are busy.
    late: VecDeque<(Tid, i32)>,
    /// When it was last looked where one had run that has ended.
    followed: Option<Instant>,
    /// When it was last asked who else lives on its CPU.
    parted: Option<Instant>,
}

impl Worker {
    fn new(shared: Arc<Shared>, handle: Arc<Handle>) -> Worker {
        Worker {
            shared,
            handle,
            tracees: HashMap::new(),
            groups: HashMap::new(),
            unannounced: HashMap::new(),
            last_dead: None,
            expected: HashMap::new(),
            adopted_early: HashSet::new(),
            busy: Vec::new(),
            set_aside: HashMap::new(),
            late: VecDeque::new(),
            followed: None,
            parted: None,
        }
    }

    /// Takes over what a message brings and serves it until its last tracee has ended.
    fn take(&mut self, message: Message) {
        match message {
            Message::Adopt(parked, born, watched) => self.adopt(parked, born, watched),
            Message::Seize(tid, reply) => {
                let outcome = self.seize(tid);
                let _ = reply.send(outcome);
            }
            Message::Attach { tgid, cpu, proven, wanted, reply } => {
                let outcome = self.attach(tgid, cpu, (proven, wanted));
                let _ = reply.send(outcome);
            }
            Message::Evidence(found) => self.raise_for_evidence(0, found),
            Message::Raise(done) => {
                self.interrupt_all(None);
                let _ = done.send(());
            }
            Message::Want(tid, stages, reply) => {
                let _ = reply.send(self.want(None, tid, stages));
            }
            Message::Fetch(tid, stage, moves_in, reply) => {
                let _ = reply.send(self.fetch(tid, stage, moves_in));
            }
        }
    }

    /// Waits and serves until there is no tracee left.
    fn serve(&mut self) {
        loop {
            let since = Instant::now();
            match self.next() {
                Ok((tid, status)) => {
                    if since.elapsed() > LONG {
                        self.follow(tid, status);
                    }
                    self.part(tid, since);
                    self.report(tid, status);
                }
                Err(Errno::EINTR) => self.heed(),
                Err(_) => break,
            }
        }
        self.tracees.clear();
        self.groups.clear();
        self.unannounced.clear();
        self.last_dead = None;
        self.expected.clear();
        self.adopted_early.clear();
    }

    /// Goes after a tracee that ran for long.
    fn follow(&mut self, tid: Tid, status: i32) {
        if !libc::WIFSTOPPED(status) {
            if self.followed.is_some_and(|since| since.elapsed() < RARELY) {
                return;
            }
            self.followed = Some(Instant::now());
        }
        ptrace::follow(tid);
    }

    /// Now and then, leaves a CPU where another worker is busy for one where none is, and this tracee may run. What is placed
    /// stays together: no exec moves it away, nor does the scheduler, to which everybody is runnable for a moment at a time.
    fn part(&mut self, tid: Tid, now: Instant) {
        if self.parted.is_some_and(|since| now.duration_since(since) < PARTS) {
            return;
        }
        self.parted = Some(now);
        let may = || sys::sched::affinity(tid).ok();
        if let Some(home) = ptrace::home()
            && let Some(cpu) = self.shared.pool.part(&self.handle, home, may)
        {
            ptrace::set_home(cpu);
        }
    }

    /// The next report. While there is a child that perhaps nobody will announce, because the one who
    /// made it was killed, it is not waited for without end.
    fn next(&mut self) -> sys::Result<(Tid, i32)> {
        if let Some(report) = self.late.pop_front() {
            return Ok(report);
        }
        let since = Instant::now();
        while self.last_dead.is_some() && !self.unannounced.is_empty() {
            if let Some(report) = ptrace::poll()? {
                return Ok(report);
            }
            if self.handle.flag.load(Ordering::SeqCst) != 0 {
                return Err(Errno::EINTR);
            }
            self.adopt_overdue();
            std::thread::sleep(since.elapsed().clamp(Duration::from_micros(20), Duration::from_millis(5)));
        }
        let (flag, worker) = (&self.handle.flag, &*self);
        // With a single process nobody here is waited for by another.
        if self.groups.len() == 1 {
            return ptrace::next(flag);
        }
        ptrace::next_to_end(flag, |tid| worker.waiting_for(tid))
    }

    /// Who made a process that has ended and may wait for it, where its SIGCHLD is best stopped here.
    fn waiting_for(&self, tid: Tid) -> Option<Tid> {
        let maker = self.groups.get(&tid)?.parent?;
        let alone = self.groups.get(&maker)?.threads == 1;
        (alone && self.places(maker)).then_some(maker)
    }

    /// Reads the messages that a wake-up announced.
    fn heed(&mut self) {
        self.handle.flag.store(0, Ordering::SeqCst);
        while let Ok(message) = self.handle.inbox.try_recv() {
            self.take(message);
        }
    }

    fn report(&mut self, tid: Tid, status: i32) {
        match decode(tid, status) {
            Report::Ended(tid, _) => {
                self.tell_end(tid, status);
                self.ended(tid);
            }
            Report::Stopped(stop) if self.tracees.contains_key(&tid) => {
                let outcome = self.stopped(tid, stop);
                self.settle_loss(tid, outcome);
            }
            Report::Stopped(stop) => self.first_stop(tid, stop),
        }
    }

    /// A task that is gone will be reported as ended; one that could not be served must not stay
    /// stopped for ever: it is killed, and that is said.
    fn settle_loss(&self, tid: Tid, outcome: Traced<()>) {
        if let Err(Lost::Failed(error)) = outcome {
            tracing::error!(%error, "a tracee could not be served and is killed");
            let group = self.tracees.get(&tid).map_or(tid, |tracee| tracee.tgid);
            let _ = sys::process::kill(group, libc::SIGKILL);
        }
    }

    pub(super) fn ended(&mut self, tid: Tid) {
        self.forget(tid);
        self.unannounced.remove(&tid);
        self.expected.remove(&tid);
        self.adopted_early.remove(&tid);
        if let Some(tracee) = self.tracees.remove(&tid) {
            let last = match self.groups.get_mut(&tracee.tgid) {
                Some(group) => {
                    group.threads = group.threads.saturating_sub(1);
                    group.threads == 0
                }
                None => true,
            };
            let tgid = tracee.tgid;
            self.last_dead = Some(tracee);
            if last {
                self.groups.remove(&tgid);
                self.adopt_orphans(tgid);
            }
        }
    }

    /// Attaches to the first process, which is waiting to be traced.
    fn seize(&mut self, tid: Tid) -> sys::Result<()> {
        let born = Born::first(&self.shared);
        sys::ptrace::seize(tid, born.options)?;
        ptrace::set_home(sys::sched::current_cpu());
        let mut tracee = Tracee::new(tid, &born);
        tracee.watched = self.shared.watch_first;
        self.groups.insert(tid, Group::new(&born));
        self.insert(tid, tracee);
        self.tell_birth(tid, tid, None);
        Ok(())
    }

    /// A task is this worker's from now on.
    fn insert(&mut self, tid: Tid, tracee: Tracee) {
        self.tracees.insert(tid, tracee);
        self.tell_listeners(tid);
    }

    /// Listeners serve a task of this worker from now on, which may have got a new image, or filters of its own.
    fn tell_listeners(&self, tid: Tid) {
        let Some(tracee) = self.tracees.get(&tid) else { return };
        let group = self.groups.get(&tracee.tgid);
        let memory = group.map(|group| Arc::downgrade(&group.shared_memory().0)).unwrap_or_default();
        let image = group.and_then(|group| group.image);
        let (worker, filters) = (Arc::clone(&self.handle), tracee.filters.clone());
        let ([looks, asides, sent_back], tried) = ([0; 3].map(AtomicU32::new), Mutex::default());
        let stages = self.shared.common_stages().union(tracee.stages).union(tracee.wanted);
        let knows_foreign = AtomicBool::new(stages.contains(Stage::Ownership));
        let task = Task { worker, looks, asides, sent_back, knows_foreign, tried, memory, image, filters };
        self.shared.listeners.adopt(tid, task);
    }

    /// A task has ended: whoever has its id next is another.
    fn forget(&self, tid: Tid) {
        ptrace::forget(tid);
        self.shared.registry.forget(tid);
        self.shared.sights.forget(tid);
        self.shared.listeners.forget(tid);
        self.shared.limits.note_excess(tid, false);
        if let Some(demand) = &self.shared.demand {
            demand.note_stopped(tid);
        }
    }
}
