//! Waiting for the calling thread's tracees: for any, or for one whose next stop is wanted now.
//!
//! Who waits for one takes the reports of the others too, and keeps them. It must: the end of a thread group's leader is
//! reported only when its other threads have been reaped, so that who waits for a leader alone waits for ever once
//! the whole group is killed.

use std::cell::RefCell;
use std::collections::VecDeque;
use std::sync::atomic::AtomicU32;

use super::placement::here;
use crate::sys::{self, Errno, Tid, wait};

/// A task and its wait status.
type Status = (Tid, i32);

thread_local! {
    /// What was reported while one was waited for, in its order.
    static KEPT: RefCell<VecDeque<Status>> = const { RefCell::new(VecDeque::new()) };
}

fn kept() -> Option<Status> {
    KEPT.with_borrow_mut(VecDeque::pop_front)
}

/// Keeps a report of a task that was waited for, which is not what was to come.
pub fn keep(tid: Tid, status: i32) {
    KEPT.with_borrow_mut(|kept| kept.push_back((tid, status)));
}

/// The next report of any tracee.
///
/// # Errors
/// `EINTR` when `flag` is not 0 or the thread was woken; `ECHILD` when it has no tracee left.
pub fn next(flag: &AtomicU32) -> sys::Result<Status> {
    kept().map_or_else(|| wait::any(flag), Ok)
}

/// The same where to take an end may wake who waits for it: `waiting_for` says who that is, if he is to be woken here.
///
/// # Errors
/// As of [`next`].
pub fn next_to_end(flag: &AtomicU32, waiting_for: impl FnOnce(Tid) -> Option<Tid>) -> sys::Result<Status> {
    if let Some(status) = kept() {
        return Ok(status);
    }
    let (tid, ended) = wait::look(flag)?;
    let maker = if ended { waiting_for(tid) } else { None };
    let status = match maker {
        Some(maker) => here(maker, || wait::poll_one(tid)),
        None => wait::poll_one(tid),
    };
    // Who was killed in its stop has nothing to report until it has ended.
    status?.map(|status| (tid, status)).ok_or(Errno::EINTR)
}

/// The same without waiting; `None` when there is nothing to report.
///
/// # Errors
/// `ECHILD` when it has no tracee left.
pub fn poll() -> sys::Result<Option<Status>> {
    kept().map_or_else(wait::poll, |status| Ok(Some(status)))
}

/// The next status of a task that runs.
///
/// # Errors
/// `ECHILD` when it is gone, or not this thread's.
pub fn next_of(tid: Tid) -> sys::Result<i32> {
    let never = AtomicU32::new(0);
    loop {
        match wait::any(&never) {
            Ok((reported, status)) if reported == tid => return Ok(status),
            Ok((other, status)) => keep(other, status),
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
        }
        // It may be gone without a report.
        if let Some(status) = wait::poll_one(tid)? {
            return Ok(status);
        }
    }
}
