//! Who sees to it that a killed tracer leaves nobody behind who sleeps or notices.
//!
//! The kernel kills the tracees of a tracer that dies, but a parked task has no tracer: it would sleep
//! for ever. So a second process waits for the tracer's end, and kills what is parked then.
//!
//! It also shares the tracer's descriptors. Those of a process are closed before its tracees are killed, and a call
//! whose listener is closed fails with `ENOSYS`: so they stay open until all are dead.

use std::os::fd::{AsFd, OwnedFd};

use crate::sys::descriptor::open_process;
use crate::sys::process::{Forked, await_end, exit_now, fork_sharing_descriptors, kill};
use crate::sys::shared::SharedIds;
use crate::sys::{self, Tid};

/// The tracer's side.
#[derive(Debug)]
pub struct Guardian {
    parked: SharedIds,
    /// The waiting process.
    pid: Tid,
    /// By which it knows the tracer; open as long as either lives.
    _tracer: OwnedFd,
}

impl Guardian {
    /// Forks the waiting process away. To be called while the tracer has one thread.
    ///
    /// # Errors
    /// What mmap(2), pidfd_open(2) or clone(2) gave.
    pub fn start() -> sys::Result<Guardian> {
        let parked = SharedIds::map()?;
        let tracer = open_process(std::process::id() as Tid)?;
        match fork_sharing_descriptors()? {
            Forked::Parent(pid) => Ok(Guardian { parked, pid, _tracer: tracer }),
            Forked::Child => wait_and_kill(&tracer, parked),
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Tid {
        self.pid
    }

    /// A task is about to be parked; gives what [`Self::unparked`] wants back. `None` where no more can
    /// be watched: then it must not be parked.
    pub fn parking(&self, tid: Tid) -> Option<usize> {
        self.parked.note(tid)
    }

    /// The task has a tracer again, or has ended.
    pub fn unparked(&self, slot: usize) {
        self.parked.clear(slot);
    }
}

/// The guardian's life. Where the tracer has ended as it should nobody is parked.
fn wait_and_kill(tracer: &OwnedFd, parked: SharedIds) -> ! {
    await_end(tracer.as_fd());
    for tid in parked.all() {
        let _ = kill(tid, libc::SIGKILL);
    }
    exit_now(0)
}
