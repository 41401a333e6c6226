//! A caller whose children are born into another pid namespace than its own: unshare(2) or setns(2) with `CLONE_NEWPID`.
//!
//! Nobody in there could trace the command, and the first to end in there ends all. So the tracer is made in the caller's own
//! namespace, if that may be entered again. Where it may not, the command itself goes where its children would have gone,
//! below a process that ends as it does, and this process waits for it.

use std::fs::File;
use std::os::fd::OwnedFd;

use super::Failure;
use crate::sys::process::{self, Forked};
use crate::sys::{self, Errno, Tid};

/// Where the children of this process go once the tracer is made.
#[derive(Debug)]
#[must_use]
pub(super) enum Children {
    /// As they go now.
    Here,
    /// Into a pid namespace that nobody was born into yet.
    Unborn,
    /// Into this one.
    There(OwnedFd),
}

impl Children {
    /// Sees to it that a child of this process can trace it. What returns may be another process, where the command has to go
    /// elsewhere.
    ///
    /// # Errors
    /// Where there is no way.
    pub(super) fn bring_home() -> Result<Children, Failure> {
        let Ok(own) = File::open("/proc/self/ns/pid").map(OwnedFd::from) else { return Ok(Children::Here) };
        let children = match File::open("/proc/self/ns/pid_for_children").map(OwnedFd::from) {
            Ok(theirs) if sys::descriptor::are_same(&own, &theirs) => return Ok(Children::Here),
            Ok(theirs) => Children::There(theirs),
            // The kernel shows it once somebody was born into it.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound && exists("pid_for_children") => {
                Children::Unborn
            }
            Err(_) => return Ok(Children::Here),
        };
        match process::enter_pid_namespace(&own) {
            Ok(()) => Ok(children),
            Err(_) => go_there().map(|()| Children::Here).map_err(|errno| {
                Failure::Place(format!(
                    "this process's children are to be born into another pid namespace (unshare --pid), where none \
                     can be made ({}); run unshare with --fork",
                    errno.desc()
                ))
            }),
        }
    }

    /// The tracer is made: the next child goes where it would have gone.
    ///
    /// # Errors
    /// Where the other namespace cannot be entered again.
    pub(super) fn let_go(self) -> Result<(), Failure> {
        let gone = match self {
            Children::Here => Ok(()),
            Children::Unborn => process::unshare_pid_namespace(),
            Children::There(theirs) => process::enter_pid_namespace(&theirs),
        };
        gone.map_err(Failure::errno("entering the pid namespace of this process's children"))
    }
}

/// Whether `/proc` has such a link, wherever it leads.
fn exists(name: &str) -> bool {
    std::fs::symlink_metadata(format!("/proc/self/ns/{name}")).is_ok()
}

/// Returns in a child, in the other namespace; if that is the first there, in a child of its own, since signals do to the first
/// process only what it wants. The others wait, and end as the child does.
fn go_there() -> sys::Result<()> {
    let mut made = process::fork()?;
    if made == Forked::Child && std::process::id() == 1 {
        let _ = process::set_parent_death_signal(libc::SIGKILL);
        made = process::fork()?;
    }
    match made {
        Forked::Child => Ok(()),
        Forked::Parent(child) => stand_for(child),
    }
}

/// This process's remaining life: hands on what it is sent, and ends as its child does. It holds nothing open.
fn stand_for(child: Tid) -> ! {
    process::close_all_but(&[]);
    for standard in 0..=2 {
        let _ = process::close(standard);
    }
    sys::wait::hold_signals();
    loop {
        while let Ok(Some((ended, status))) = sys::wait::ended_child() {
            if ended == child {
                end_as(status);
            }
        }
        match sys::wait::held_signal() {
            // What the terminal sends the child gets as well.
            Ok((signal, true)) if signal != libc::SIGCHLD => {
                let _ = process::kill(child, signal);
            }
            Ok(_) | Err(Errno::EINTR) => {}
            Err(_) => process::exit_now(super::EXIT_OWN_FAILURE.into()),
        }
    }
}

/// Ends with a wait status; of a signal as a shell does, where the first process of a namespace cannot die of it.
fn end_as(status: i32) -> ! {
    if libc::WIFEXITED(status) {
        process::exit_now(libc::WEXITSTATUS(status));
    }
    let signal = libc::WTERMSIG(status);
    process::die_of(signal);
    process::exit_now(128 + signal)
}
