//! Serving others while something is waited for that a tracee may have to bring about.
//!
//! An injected call on a filesystem that a tracee serves (FUSE) ends when that tracee has answered, which may itself be at
//! a stop of this worker. So the stops of others are served before that of the task that is waited for: one in the
//! other, each on the stack of the one before. Where no such filesystem is visible, a worker waits for the one task alone.

use std::sync::Arc;

use crossbeam_channel::bounded;

use super::{Shared, Worker};
use crate::ptrace::{self, Traced};
use crate::sys::{self, Errno, Tid};

/// How many stops are served one in the other at most. Each takes some kilobytes of the worker's stack.
const DEEPEST: usize = 16;

/// Stack of a thread that looks aside, in bytes.
const STACK: usize = 128 * 1024;

impl Worker {
    /// Has a task that is about to execute an injected call stop if it ends for that. Of a leader that ends alone, because a
    /// filter which is not known here kills threads, nothing else is reported as long as its siblings live: they may wait
    /// for this worker.
    pub(super) fn watch(&mut self, tid: Tid) -> Traced<()> {
        let Some(tracee) = self.tracees.get_mut(&tid).filter(|tracee| tracee.tgid == tid) else {
            return Ok(());
        };
        let options = tracee.options | libc::PTRACE_O_TRACEEXIT;
        // Of a thread that has just been made only its maker's stop may be known.
        let has_siblings = self.groups.get(&tid).is_some_and(|group| group.threads > 1 || group.is_crowded());
        if has_siblings && options != tracee.options {
            ptrace::set_options(tid, options)?;
            tracee.options = options;
        }
        Ok(())
    }

    /// The next status of a task that executes an injected call.
    pub(super) fn next_of(&mut self, tid: Tid) -> sys::Result<i32> {
        if !self.shared.sights.mounts().any_served() {
            return ptrace::next_of(tid);
        }
        self.busy.push(tid);
        let status = self.wait_and_serve(tid);
        self.busy.pop();
        status
    }

    fn wait_and_serve(&mut self, tid: Tid) -> sys::Result<i32> {
        loop {
            if let Some(status) = self.set_aside.remove(&tid) {
                return Ok(status);
            }
            // It may be gone without a report.
            if let Some(status) = sys::wait::poll_one(tid)? {
                return Ok(status);
            }
            match ptrace::next(&self.handle.flag) {
                Ok((reported, status)) if reported == tid => return Ok(status),
                Ok((other, status)) => self.serve_meanwhile(other, status),
                Err(Errno::EINTR) => self.heed(),
                Err(errno) => return Err(errno),
            }
        }
    }

    /// Serves another's report, or keeps it for the one who waits for it.
    fn serve_meanwhile(&mut self, other: Tid, status: i32) {
        if self.busy.contains(&other) {
            self.set_aside.insert(other, status);
        } else if self.busy.len() > DEEPEST {
            self.late.push_back((other, status));
        } else {
            // The group's scratch memory may be in use.
            let group = self.tracees.get(&other).map(|tracee| tracee.tgid);
            let is_shared = |group: &Tid| {
                self.busy.iter().any(|busy| self.tracees.get(busy).is_some_and(|it| it.tgid == *group))
            };
            let group = group.filter(is_shared);
            let lent = group.and_then(|group| self.groups.get_mut(&group)).map(|group| group.lend_scratch());
            self.report(other, status);
            if let (Some(group), Some(lent)) = (group.and_then(|group| self.groups.get_mut(&group)), lent) {
                group.take_back(lent);
            }
        }
    }

    /// Has another thread do what may wait for a filesystem that a tracee serves, and serves others meanwhile. `None` where
    /// the task that it is for has ended, or no thread can be made.
    pub(super) fn aside<T: Send + 'static>(
        &mut self,
        tid: Tid,
        work: impl FnOnce(&Shared) -> T + Send + 'static,
    ) -> Option<T> {
        let (done, outcome) = bounded(1);
        let (shared, worker) = (Arc::clone(&self.shared), Arc::clone(&self.handle));
        let look = move || {
            let _ = done.send(work(&shared));
            worker.nudge();
        };
        std::thread::Builder::new().stack_size(STACK).spawn(look).ok()?;
        loop {
            if let Ok(outcome) = outcome.try_recv() {
                return Some(outcome);
            }
            if !self.tracees.contains_key(&tid) {
                return None;
            }
            match ptrace::next(&self.handle.flag) {
                Ok((other, status)) => self.serve_meanwhile(other, status),
                Err(Errno::EINTR) => self.heed(),
                Err(_) => return None,
            }
        }
    }
}
