//! Who sees to it that no task stays parked when the tracer is killed.
//!
//! The kernel kills the tracees of a tracer that dies, but a parked task has no tracer: it would sleep
//! for ever, as would one that waits for an answer without being traced. So a second process waits for the tracer's end,
//! and kills what is parked or waits then, and what asks later.

use std::collections::HashSet;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::Duration;

use crate::sys::process::{Forked, close, close_all_but, exit_now, fork, kill, listed, status, tasks};
use crate::sys::shared::SharedIds;
use crate::sys::{self, Tid};

/// Who waits so long for a listener without having run waits for one that has taken its call and is gone.
const STUCK: Duration = Duration::from_millis(50);

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
    /// Forks the waiting process away. To be called while the tracer has one thread. The listener is that of tasks which
    /// the tracer answers without tracing them.
    ///
    /// # Errors
    /// What mmap(2), pipe2(2) or fork(2) gave.
    pub fn start(listener: Option<&OwnedFd>) -> sys::Result<Guardian> {
        let parked = SharedIds::map()?;
        let (listen, alive) = nix::unistd::pipe()?;
        match fork()? {
            Forked::Parent(pid) => Ok(Guardian { parked, pid, alive }),
            Forked::Child => {
                drop(alive);
                wait_and_kill(&listen, listener, parked)
            }
        }
    }

    /// Its process id.
    pub fn pid(&self) -> Tid {
        self.pid
    }

    /// A task is about to be parked, or is kept waiting for an answer; gives what [`Self::unparked`] wants back. `None` where no more can
    /// be watched: then it must not be parked.
    pub fn parking(&self, tid: Tid) -> Option<usize> {
        self.parked.note(tid)
    }

    /// The task has a tracer again, or an answer, or has ended.
    pub fn unparked(&self, slot: usize) {
        self.parked.clear(slot);
    }

    /// The tracer ends as it should: nothing is to be killed.
    pub fn dismiss(&self) {
        let _ = nix::unistd::write(&self.alive, b".");
    }
}

/// The guardian's life. It holds no descriptor but those it listens on.
fn wait_and_kill(listen: &OwnedFd, listener: Option<&OwnedFd>, parked: SharedIds) -> ! {
    for standard in 0..=2 {
        let _ = close(standard);
    }
    let mut kept: Vec<_> = listener.into_iter().chain([listen]).map(AsRawFd::as_raw_fd).collect();
    kept.sort_unstable();
    close_all_but(&kept);
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
        if let Some(listener) = listener {
            kill_who_asks(listener);
        }
    }
    exit_now(0)
}

/// Kills whoever waits for an answer of the tracer's, and whoever asks what nobody answers any more, until nobody is left
/// who might.
fn kill_who_asks(listener: &OwnedFd) {
    // Else who waits would wait for ever: when this ends he gets ENOSYS.
    let Some(waiting) = waiting() else { return };
    std::thread::sleep(STUCK);
    for (pid, _) in self::waiting().unwrap_or_default().intersection(&waiting) {
        let _ = kill(*pid, libc::SIGKILL);
    }
    loop {
        match sys::seccomp::receive(listener.as_fd()) {
            Ok(notification) => {
                let _ = kill(notification.pid as Tid, libc::SIGKILL);
            }
            Err(sys::Errno::EINTR) => {}
            Err(sys::Errno::ENOENT) if sys::seccomp::is_used(listener.as_fd()) => {}
            Err(_) => return,
        }
    }
}

/// Tasks that nobody traces and that wait for a listener, and how often each has gone to sleep. `None` where the kernel does
/// not tell who waits for what.
fn waiting() -> Option<HashSet<(Tid, String)>> {
    let place = |tid| sys::process::text(&format!("/proc/{tid}/wchan")).unwrap_or_default();
    let waits = |tid: &Tid| place(*tid).starts_with("seccomp_do_user_notification");
    let is_free = |tid: &Tid| status(*tid, "TracerPid:").as_deref() == Some("0");
    let switches = |tid| Some((tid, status(tid, "voluntary_ctxt_switches:")?));
    if place(std::process::id() as Tid).is_empty() {
        return None;
    }
    Some(listed()?.into_iter().flat_map(tasks).filter(waits).filter(is_free).filter_map(switches).collect())
}
