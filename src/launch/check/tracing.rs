//! The kernel, and what of it answers for a guest: tracing, filters, calls about other processes.

use std::io::IoSliceMut;
use std::os::fd::AsRawFd;

use nix::sys::uio::{RemoteIoVec, process_vm_readv as read_memory};
use nix::unistd::Pid;

use super::obstacle::Obstacle;
use super::{Ground, Need, privilege};
use crate::launch::{self, Failure, kernel};
use crate::ptrace as tracer;
use crate::sys::process::{self, Forked};
use crate::sys::{self, Errno, descriptor};
use crate::syscalls::Stage;

/// Version and architecture.
pub(super) fn kernel(_: &Ground) -> Need {
    let release = kernel::release().map_or("of a release that /proc does not tell".to_owned(), |it| it);
    let detail = format!("Linux {release}, {}", std::env::consts::ARCH);
    match (kernel::age(), kernel::replaced().as_slice()) {
        (Err(failure), _) => Need::no(failure.to_string()).for_want_of(Obstacle::Kernel),
        (Ok(()), []) => Need::ok(detail),
        (Ok(()), replaced) => {
            Need { effect: Some(replaced.join("; ")), ..Need::ok(detail).for_want_of(Obstacle::Kernel) }
        }
    }
}

/// What an errno says that a trial's process ended with; `ENOTRECOVERABLE` where it was killed.
fn in_child(trial: impl FnOnce() -> sys::Result<()>) -> sys::Result<()> {
    match process::fork_unseen()? {
        Forked::Child => {
            let _ = process::set_parent_death_signal(libc::SIGKILL);
            process::exit_now(trial().err().map_or(0, |errno| errno as i32))
        }
        Forked::Parent(child) => match sys::wait::one(child)? {
            0 => Ok(()),
            status if libc::WIFEXITED(status) => Err(Errno::from_raw(libc::WEXITSTATUS(status))),
            _ => Err(Errno::ENOTRECOVERABLE),
        },
    }
}

/// Has a process of its own attach to this one, as a run's tracer does.
fn attach() -> sys::Result<()> {
    // The tracer of a run is in its namespace.
    let _ = privilege::view();
    let (ours, theirs) = launch::sockets()?;
    let own = process::thread_id();
    match process::fork_unseen()? {
        Forked::Child => {
            let _ = process::set_parent_death_signal(libc::SIGKILL);
            drop(ours);
            let permitted = descriptor::receive(&theirs).map(drop);
            let outcome = permitted.and_then(|()| tracer::try_on(own));
            process::exit_now(outcome.err().map_or(0, |errno| errno as i32))
        }
        Forked::Parent(child) => {
            let _ = process::allow_tracer(child);
            descriptor::send(&ours, &[])?;
            match sys::wait::one(child)? {
                0 => Ok(()),
                status if libc::WIFEXITED(status) => Err(Errno::from_raw(libc::WEXITSTATUS(status))),
                _ => Err(Errno::ENOTRECOVERABLE),
            }
        }
    }
}

/// Whether a process can be attached to.
pub(super) fn ptrace(_: &Ground) -> Need {
    let scope = process::text("/proc/sys/kernel/yama/ptrace_scope");
    let scope: Option<u8> = scope.and_then(|scope| scope.trim().parse().ok());
    match attach() {
        // A request that is missing has a line of its own.
        Ok(()) | Err(Errno::EIO) => Need::ok(match scope {
            Some(scope) => format!("allowed (kernel.yama.ptrace_scope={scope})"),
            None => "allowed".to_owned(),
        }),
        Err(errno) => {
            let denies = process::text("/sys/fs/selinux/booleans/deny_ptrace");
            let obstacle = match scope {
                _ if launch::already_traced().is_some() => Obstacle::OtherTracer,
                _ if errno == Errno::ENOTRECOVERABLE => Obstacle::Profile("ptrace"),
                _ if sys::ptrace::seize(i32::MAX, 0) != Err(Errno::ESRCH) => Obstacle::Profile("ptrace"),
                Some(scope @ 2..) => Obstacle::Yama(scope),
                _ if denies.is_some_and(|denies| denies.starts_with('1')) => Obstacle::Selinux,
                _ => Obstacle::Module,
            };
            Need::no(format!("refused ({})", errno.desc()))
                .for_want_of(obstacle)
                .with_effect("nothing can be run")
        }
    }
}

/// Whether a stopped process tells of its call.
pub(super) fn syscall_info(_: &Ground) -> Need {
    match attach() {
        Ok(()) => Need::ok("known, as PTRACE_SETSIGMASK is"),
        Err(Errno::EIO) => {
            let need = Need::no("missing: that, PTRACE_SEIZE or PTRACE_SETSIGMASK is answered EIO");
            need.for_want_of(Obstacle::Sandbox).with_effect("nothing can be run")
        }
        Err(_) => Need::no("cannot be tried").with_cause("see ptrace"),
    }
}

/// Whether a filter can be loaded, and which there are.
pub(super) fn filters(_: &Ground) -> Need {
    let _ = privilege::view();
    let status = process::status_text(process::thread_id()).unwrap_or_default();
    let above = match (process::field(&status, "Seccomp:"), process::field(&status, "Seccomp_filters:")) {
        (Some("2"), Some(count)) => format!("{count} above"),
        (Some("2"), None) => "some above".to_owned(),
        (Some(_), _) => "none above".to_owned(),
        (None, _) => "above it not known".to_owned(),
    };
    let load = || {
        launch::load_filters(vec![Stage::Base], false, false).map_err(|failure| match failure {
            Failure::Seccomp(errno) => errno,
            _ => Errno::EINVAL,
        })
    };
    match in_child(load) {
        Ok(()) => Need::ok(format!("can be loaded; {above}")),
        Err(errno) => {
            let obstacle =
                if errno == Errno::EINVAL { Obstacle::Kernel } else { Obstacle::Profile("seccomp") };
            let need = Need::no(format!("refused ({}); {above}", errno.desc())).for_want_of(obstacle);
            need.with_effect("nothing can be run")
        }
    }
}

/// Whether a filter can have somebody told.
pub(super) fn listener(_: &Ground) -> Need {
    let _ = privilege::view();
    let obstacle = match in_child(|| {
        launch::load_filter(Stage::NotifyBase, false, sys::seccomp::load_listener).map(drop)
    }) {
        Ok(()) => return Need::ok("can be had; none is there already"),
        Err(Errno::EBUSY) => Obstacle::OtherListener,
        Err(Errno::EINVAL) => Obstacle::Kernel,
        Err(_) => Obstacle::Profile("seccomp"),
    };
    Need::degraded("none can be had", "every process is traced from its start, and each look at a file stops")
        .for_want_of(obstacle)
}

/// Whether files can be looked at.
pub(super) fn statx(_: &Ground) -> Need {
    match kernel::denied() {
        Ok(()) => Need::ok("allowed"),
        Err(failure) => {
            let errno = if let Failure::Denied { errno, .. } = failure { errno.desc() } else { "" };
            let need = Need::no(format!("refused ({errno})")).for_want_of(Obstacle::Profile("statx"));
            need.with_effect("nothing can be run")
        }
    }
}

/// What is to be done where a call about another process is refused.
fn replaced(call: &'static str, outcome: sys::Result<()>, effect: &str) -> Need {
    match outcome {
        Ok(()) => Need::ok("allowed"),
        Err(Errno::ENOSYS) if kernel::release().is_some_and(|it| process::version(&it) < Some((5, 6))) => {
            Need::ok("the kernel is too old for it").with_effect(effect)
        }
        Err(errno) => {
            let need = Need::degraded(format!("refused ({})", errno.desc()), effect);
            need.for_want_of(Obstacle::Profile(call))
        }
    }
}

/// Whether another's descriptor can be had.
pub(super) fn pidfd_getfd(_: &Ground) -> Need {
    let outcome = launch::sockets().and_then(|(one, _other)| {
        let task = descriptor::open_task(process::thread_id())?;
        descriptor::take(&task, one.as_raw_fd()).map(drop)
    });
    replaced("pidfd_getfd", outcome, "open files of a program are reached through /proc, which takes longer")
}

/// Whether another's memory can be read.
pub(super) fn process_vm_readv(_: &Ground) -> Need {
    let (from, mut into) = ([7_u8; 8], [0; 8]);
    let remote = [RemoteIoVec { base: from.as_ptr() as usize, len: from.len() }];
    let read = read_memory(Pid::this(), &mut [IoSliceMut::new(&mut into)], &remote).map(drop);
    replaced("process_vm_readv", read, "memory is read through /proc or word by word, which takes longer")
}
