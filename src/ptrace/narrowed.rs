//! Whose affinity is narrowed to his worker's CPU at the moment, in the whole process, and what he has himself.
//!
//! Narrowed is who is being woken, for as long as that takes, and a new process from its first stop to the next. That is about
//! to exec, and the kernel looks for an idle CPU then (`sched_exec`). With its maker asleep, but still counted where both
//! are, that is the other one: its exec stop then crosses to its worker, and it comes back with cold caches. One
//! that does not exec gets its own back in a moment, from a thread that is there as long as children are made. To keep makers
//! too, from the end of a child on, so that the next is born here, gained one or two per cent of a shell's loop and nothing in an
//! installation; but what somebody outside of the run sets of a task that is narrowed is lost if it is the very same CPU.
//!
//! *Invariant:* nothing is given back twice, nor over what somebody else has set meanwhile: before a guest's affinity call
//! whoever it is about is given his back, and is not narrowed until the kernel has run it; of a call from outside the set itself
//! tells.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Mutex, MutexGuard};

use crate::sys::Tid;
use crate::sys::sched::{self, CpuSet};

/// A child that will exec has done so by then.
const MOMENT: Duration = Duration::from_millis(2);
/// For how many moments nobody must have been kept for the thread to end.
const QUIET: u32 = 50;
const STACK: usize = 64 * 1024;
/// The kernel has run a call by then that was let go, on a busy machine too.
const CALL: Duration = Duration::from_millis(100);

/// By task id: workers narrow without waiting for each other.
static TABLES: [Mutex<Table>; 32] =
    [const { Mutex::new(Table { narrowed: BTreeMap::new(), still: BTreeMap::new() }) }; 32];
/// Until when nobody is narrowed.
static STILL: Mutex<Option<Instant>> = Mutex::new(None);
/// Whether `STILL` says so.
static STANDS: AtomicBool = AtomicBool::new(false);
/// Whether there is a thread that looks after those that are kept.
static WATCHED: AtomicBool = AtomicBool::new(false);

#[derive(Debug)]
struct Table {
    narrowed: BTreeMap<Tid, Task>,
    /// Until when these are not.
    still: BTreeMap<Tid, Instant>,
}

#[derive(Debug, Clone, Copy)]
struct Task {
    own: CpuSet,
    cpu: usize,
    /// Since when it is kept, if it is.
    kept: Option<Instant>,
}

/// Narrows a stopped task's affinity to `cpu`, if it is not yet; says whether it is, and [`widen`] undoes it.
pub(super) fn narrow(tid: Tid, cpu: usize) -> bool {
    table(tid).narrow(tid, cpu, None)
}

/// The same for a task that will exec, for a moment at most.
pub(super) fn keep(tid: Tid, cpu: usize) -> bool {
    let keeps = table(tid).narrow(tid, cpu, Some(Instant::now()));
    if keeps && !WATCHED.swap(true, Ordering::SeqCst) {
        let thread = std::thread::Builder::new().stack_size(STACK).spawn(watch);
        if thread.is_err() {
            WATCHED.store(false, Ordering::SeqCst);
            widen(tid);
            return false;
        }
    }
    keeps
}

/// A task that has not run yet has what its maker had when it made it, and is narrowed if that was: its own is its maker's.
pub fn inherit(maker: Tid, child: Tid) {
    let narrowed = table(maker).narrowed.get(&maker).copied();
    match narrowed {
        Some(task) => {
            table(child).narrowed.insert(child, Task { kept: Some(Instant::now()), ..task });
            if do_all_stand_still() {
                widen(child);
            }
        }
        // It may have got it back since.
        None => {
            if let (Ok(own), Ok(inherited)) = (sched::affinity(maker), sched::affinity(child))
                && own != inherited
            {
                let _ = sched::set_affinity(child, &own);
            }
        }
    }
}

/// Gives a task its own affinity back, where nobody has yet.
pub fn widen(tid: Tid) {
    table(tid).widen(tid);
}

/// A task has ended: its id may be another's.
pub fn forget(tid: Tid) {
    let mut table = table(tid);
    table.narrowed.remove(&tid);
    table.still.remove(&tid);
}

/// Gives a task its own back, and leaves it alone until a call that looks at its affinity, or sets it, has run.
pub fn stand_still(tid: Tid) {
    let mut table = table(tid);
    table.still.insert(tid, Instant::now() + CALL);
    table.widen(tid);
}

/// The same of all.
pub fn all_stand_still() {
    *STILL.lock() = Some(Instant::now() + CALL);
    STANDS.store(true, Ordering::SeqCst);
    give_back_if(|_| true);
}

fn do_all_stand_still() -> bool {
    STANDS.load(Ordering::SeqCst) && {
        let mut still = STILL.lock();
        *still = still.filter(|&until| Instant::now() < until);
        STANDS.store(still.is_some(), Ordering::SeqCst);
        still.is_some()
    }
}

#[expect(clippy::indexing_slicing, reason = "a remainder is below the length")]
fn table(tid: Tid) -> MutexGuard<'static, Table> {
    TABLES[tid.unsigned_abs() as usize % TABLES.len()].lock()
}

impl Table {
    fn stands_still(&mut self, tid: Tid) -> bool {
        let stands = self.still.get(&tid).is_some_and(|&until| Instant::now() < until);
        if !stands {
            self.still.remove(&tid);
        }
        stands
    }

    fn widen(&mut self, tid: Tid) {
        if let Some(task) = self.narrowed.remove(&tid) {
            task.give_back(tid);
        }
    }

    fn narrow(&mut self, tid: Tid, cpu: usize, kept: Option<Instant>) -> bool {
        if self.stands_still(tid) || do_all_stand_still() {
            return false;
        }
        let here = sched::only(cpu);
        if let Some(task) = self.narrowed.get_mut(&tid) {
            if task.cpu != cpu && sched::holds(&task.own, cpu) && sched::set_affinity(tid, &here).is_ok() {
                task.cpu = cpu;
            }
            task.kept = kept;
            return true;
        }
        let Ok(own) = sched::affinity(tid) else { return false };
        let narrows = sched::holds(&own, cpu) && own != here && sched::set_affinity(tid, &here).is_ok();
        if narrows {
            self.narrowed.insert(tid, Task { own, cpu, kept });
        }
        narrows
    }
}

fn give_back_if(due: impl Fn(&Task) -> bool) {
    for table in &TABLES {
        table.lock().narrowed.retain(|&tid, task| {
            let gives = due(task);
            if gives {
                task.give_back(tid);
            }
            !gives
        });
    }
}

impl Task {
    /// One that is gone needs none, nor does one of which somebody has set another: of 400 sets from outside, while a shell made
    /// one process after another, ten were lost without this look, and none or one with it.
    fn give_back(&self, tid: Tid) {
        if sched::affinity(tid) == Ok(sched::only(self.cpu)) {
            let _ = sched::set_affinity(tid, &self.own);
        }
    }
}

/// Gives back what nobody asked for in a moment, for as long as there is something now and then.
fn watch() {
    // Whoever made this thread has it run where he does.
    let _ = sched::set_affinity(0, &sched::every());
    let keeps = || TABLES.iter().any(|table| table.lock().narrowed.values().any(|task| task.kept.is_some()));
    let mut quiet = 0;
    loop {
        std::thread::sleep(MOMENT);
        quiet = if keeps() { 0 } else { quiet + 1 };
        give_back_if(|task| task.kept.is_some_and(|since| since.elapsed() >= MOMENT));
        if quiet >= QUIET {
            WATCHED.store(false, Ordering::SeqCst);
            // Who was kept a moment ago has found it watched.
            if !keeps() || WATCHED.swap(true, Ordering::SeqCst) {
                break;
            }
            quiet = 0;
        }
    }
}
