//! Whose affinity is narrowed to his worker's CPU at the moment, in the whole process, and what he has himself.
//!
//! Narrowed is who is being woken, for as long as that takes, and a new process from its first stop to the next. That is about
//! to exec, and the kernel looks for an idle CPU then (`sched_exec`). With its maker asleep, but still counted where both
//! are, that is the other one: its exec stop then crosses to its worker, and it comes back with cold caches. One
//! that does not exec gets its own back in a moment, from a thread that is there as long as children are made.
//!
//! *Invariant:* nothing is given back twice, so that what somebody else sets meanwhile stays: before a guest's affinity call
//! all are given back, and nobody is narrowed until the kernel has run it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use crate::sys::sched::{self, CpuSet};
use crate::sys::{Result, Tid};

/// A child that will exec has done so by then.
const MOMENT: Duration = Duration::from_millis(2);
/// For how many moments nobody must have been kept for the thread to end.
const QUIET: u32 = 50;
const STACK: usize = 64 * 1024;
/// The kernel has run a call by then that was let go, on a busy machine too.
const CALL: Duration = Duration::from_millis(100);

static TABLE: Mutex<Table> = Mutex::new(Table { tasks: BTreeMap::new(), still: None, watched: false });

#[derive(Debug)]
struct Table {
    tasks: BTreeMap<Tid, Task>,
    /// Until when nobody is narrowed.
    still: Option<Instant>,
    /// Whether there is a thread that looks after those that are kept.
    watched: bool,
}

#[derive(Debug)]
struct Task {
    own: CpuSet,
    /// Since when it is kept, if it is.
    kept: Option<Instant>,
}

/// Narrows a stopped task's affinity to `cpu`; says whether that was to be done, and [`widen`] undoes it.
pub(super) fn narrow(tid: Tid, cpu: usize) -> bool {
    TABLE.lock().narrow(tid, cpu, None)
}

/// The same for a task that will exec, for a moment at most.
pub(super) fn keep(tid: Tid, cpu: usize) -> bool {
    let mut table = TABLE.lock();
    if !table.watched {
        table.watched = std::thread::Builder::new().stack_size(STACK).spawn(watch).is_ok();
    }
    table.watched && table.narrow(tid, cpu, Some(Instant::now()))
}

/// Gives a task its own affinity back, where nobody has yet.
pub fn widen(tid: Tid) {
    let mut table = TABLE.lock();
    if let Some(task) = table.tasks.remove(&tid) {
        let _ = task.give_back(tid);
    }
}

/// A task has ended: its id may be another's.
pub fn forget(tid: Tid) {
    TABLE.lock().tasks.remove(&tid);
}

/// Gives all of them theirs back, and leaves them alone until a call that looks at an affinity, or sets one, has run.
pub fn stand_still() {
    let mut table = TABLE.lock();
    table.give_back_if(|_| true);
    table.still = Some(Instant::now() + CALL);
}

impl Table {
    fn narrow(&mut self, tid: Tid, cpu: usize, kept: Option<Instant>) -> bool {
        if self.stands_still() {
            return false;
        }
        let here = sched::only(cpu);
        let Ok(own) = sched::affinity(tid) else { return false };
        let narrows = sched::holds(&own, cpu) && own != here && sched::set_affinity(tid, &here).is_ok();
        if narrows {
            self.tasks.insert(tid, Task { own, kept });
        }
        narrows
    }

    fn stands_still(&mut self) -> bool {
        self.still = self.still.filter(|&until| Instant::now() < until);
        self.still.is_some()
    }

    fn give_back_if(&mut self, due: impl Fn(&Task) -> bool) {
        self.tasks.retain(|&tid, task| {
            let gives = due(task);
            if gives {
                let _ = task.give_back(tid);
            }
            !gives
        });
    }
}

impl Task {
    /// One that is gone needs none.
    fn give_back(&self, tid: Tid) -> Result<()> {
        sched::set_affinity(tid, &self.own)
    }
}

/// Gives back what nobody asked for in a moment, for as long as there is something now and then.
fn watch() {
    // Whoever made this thread has it run where he does.
    let _ = sched::set_affinity(0, &sched::every());
    let mut quiet = 0;
    while quiet < QUIET {
        std::thread::sleep(MOMENT);
        let mut table = TABLE.lock();
        let keeps = table.tasks.values().any(|task| task.kept.is_some());
        quiet = if keeps { 0 } else { quiet + 1 };
        table.give_back_if(|task| task.kept.is_some_and(|since| since.elapsed() >= MOMENT));
        table.watched = quiet < QUIET;
    }
}
