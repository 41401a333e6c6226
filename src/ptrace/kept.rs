//! Children that stay on their worker's CPU from their first stop to the next.
//!
//! A new process is about to exec, and the kernel looks for an idle CPU then (`sched_exec`). With its maker asleep, but
//! still counted where both are, that is the other one: its exec stop then crosses to its worker, and it comes back with
//! cold caches. So its affinity stays narrowed until it stops again, for exec as a rule. What does not gets its own back
//! in a moment, from a thread that is there as long as children are made; whoever wants to look at an affinity, or to set
//! one, has all given back first.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::placement;
use crate::sys::sched::{self, CpuSet};
use crate::sys::{Result, Tid};

/// A child that will exec has done so by then.
const MOMENT: Duration = Duration::from_millis(2);
/// For how many moments nothing must have been kept for the thread to end.
const QUIET: u32 = 50;
const STACK: usize = 64 * 1024;

/// Who is kept where a worker is, in a whole run.
#[derive(Debug, Default)]
pub struct Kept(Mutex<Tasks>);

#[derive(Debug, Default)]
struct Tasks {
    /// What each had, and since when it has not.
    own: HashMap<Tid, (CpuSet, Instant)>,
    /// Whether there is a thread that looks after them.
    watched: bool,
}

impl Kept {
    /// Does `wake`, which makes `tid` run, on this worker's CPU, and keeps it there where it may be. Says whether it does.
    pub(super) fn keep(self: &Arc<Kept>, tid: Tid, wake: impl FnOnce() -> Result<()>) -> Result<bool> {
        let own = if placement::places() { placement::narrow(tid) } else { None };
        let keeps = own.is_some_and(|own| self.note(tid, own));
        let outcome = wake();
        if !keeps {
            placement::widen(tid, own);
        } else if outcome.is_err() {
            self.give_back(tid);
        }
        outcome.map(|()| keeps)
    }

    /// Remembers what a task has; not where nobody would give it back in time.
    fn note(self: &Arc<Kept>, tid: Tid, own: CpuSet) -> bool {
        let mut tasks = self.0.lock();
        if !tasks.watched {
            let kept = Arc::clone(self);
            let thread = std::thread::Builder::new().stack_size(STACK);
            tasks.watched = thread.spawn(move || kept.watch()).is_ok();
        }
        if tasks.watched {
            tasks.own.insert(tid, (own, Instant::now()));
        }
        tasks.watched
    }

    /// Gives a task that is kept its own affinity back, before anybody else may have its id.
    pub fn give_back(&self, tid: Tid) {
        if let Some((own, _)) = self.0.lock().own.remove(&tid) {
            placement::widen(tid, Some(own));
        }
    }

    /// Gives all of them theirs back.
    pub fn give_all_back(&self) {
        self.0.lock().give_back_if(|_| true);
    }

    /// Gives back what nobody asked for in a moment, for as long as there is something now and then.
    fn watch(&self) {
        // Whoever made this thread has it run where he does.
        let _ = sched::set_affinity(0, &sched::every());
        let mut quiet = 0;
        while quiet < QUIET {
            std::thread::sleep(MOMENT);
            let mut tasks = self.0.lock();
            quiet = if tasks.own.is_empty() { quiet + 1 } else { 0 };
            tasks.give_back_if(|since| since.elapsed() >= MOMENT);
            tasks.watched = quiet < QUIET;
        }
    }
}

impl Tasks {
    fn give_back_if(&mut self, due: impl Fn(&Instant) -> bool) {
        for (tid, (own, _)) in self.own.extract_if(|_, (_, since)| due(since)) {
            placement::widen(tid, Some(own));
        }
    }
}
