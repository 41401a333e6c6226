//! Who sees to it that no task stays parked when the tracer is killed.
//!
//! The kernel kills the tracees of a tracer that dies, but a parked task has no tracer: it would sleep
//! for ever. So a second process waits for the tracer's end, and kills what is parked then.

use std::os::fd::{AsRawFd, OwnedFd};

use crate::sys::process::{Forked, close, close_all_but, exit_now, fork, kill};
use crate::sys::shared::SharedIds;
use crate::sys::{self, Tid};

/// The tracer's side.
#[derive(Debug)]
pub struct Guardian {
    parked: SharedIds,
    /// The waiting process.
    pid: Tid,
    /// Its end of file is the tracer's end.
    alive: OwnedFd,
}

impl Guardian {
    /// Forks the waiting process away. To be called while the tracer has one thread.
    ///
    /// # Errors
    /// What mmap(2), pipe2(2) or fork(2) gave.
    pub fn start() -> sys::Result<Guardian> {
        let parked = SharedIds::map()?;
        let (listen, alive) = nix::unistd::pipe()?;
        match fork()? {
            Forked::Parent(pid) => Ok(Guardian { parked, pid, alive }),
            Forked::Child => {
                drop(alive);
                wait_and_kill(&listen, parked)
            }
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

    /// The tracer ends as it should: nothing is to be killed.
    pub fn dismiss(&self) {
        let _ = nix::unistd::write(&self.alive, b".");
    }
}

/// The guardian's life. It holds no descriptor but the one it listens on.
fn wait_and_kill(listen: &OwnedFd, parked: SharedIds) -> ! {
    for standard in 0..=2 {
        let _ = close(standard);
    }
    close_all_but(&[listen.as_raw_fd()]);
    let mut word = [0];
    let dismissed = loop {
        match nix::unistd::read(listen, &mut word) {
            Err(sys::Errno::EINTR) => {}
            outcome => break outcome == Ok(1),
        }
    };
    if !dismissed {
        for tid in parked.all() {
            let _ = kill(tid, libc::SIGKILL);
        }
    }
    exit_now(0)
}
