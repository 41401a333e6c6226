//! Descriptors that go from one process to another.

use std::cell::RefCell;
use std::io::{IoSlice, IoSliceMut};
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::socket::{ControlMessage, ControlMessageOwned, MsgFlags, recvmsg, sendmsg};

use super::{Errno, Result, Tid};

/// pidfd_open(2) of a task, whoever has its id later; where the kernel knows only processes (before 6.9), of a
/// process.
pub fn open_task(tid: Tid) -> Result<OwnedFd> {
    const PIDFD_THREAD: i32 = libc::O_EXCL;
    match pidfd_open(tid, PIDFD_THREAD) {
        Err(Errno::EINVAL) => pidfd_open(tid, 0),
        outcome => outcome,
    }
}

fn pidfd_open(tid: Tid, flags: i32) -> Result<OwnedFd> {
    // SAFETY: all arguments are values.
    let fd = Errno::result(unsafe { libc::syscall(libc::SYS_pidfd_open, tid, flags) })?;
    // SAFETY: the descriptor is new, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// The namespace around a pid namespace (ioctl_ns(2)); `EPERM` where the calling process is not in it.
pub fn parent_namespace(namespace: &OwnedFd) -> Result<OwnedFd> {
    const NS_GET_PARENT: libc::c_ulong = 0xb702;
    // SAFETY: the request has no argument.
    let fd = Errno::result(unsafe { libc::ioctl(namespace.as_raw_fd(), NS_GET_PARENT) })?;
    // SAFETY: the descriptor is new, so nothing else owns it.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// Whether two descriptors are of one file.
pub fn are_same(one: &OwnedFd, other: &OwnedFd) -> bool {
    let identity = |fd: &OwnedFd| nix::sys::stat::fstat(fd).map(|found| (found.st_dev, found.st_ino)).ok();
    identity(one).is_some_and(|it| identity(other) == Some(it))
}

/// pidfd_getfd(2), Linux 5.6: another task's descriptor.
pub fn take(task: &OwnedFd, descriptor: RawFd) -> Result<OwnedFd> {
    // SAFETY: all arguments are values.
    let fd = unsafe { libc::syscall(libc::SYS_pidfd_getfd, task.as_raw_fd(), descriptor, 0) };
    // SAFETY: the descriptor is new, so nothing else owns it.
    Errno::result(fd).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// The same of the task that this thread asked last, without opening that again: a descriptor of a task that has ended
/// is not another's.
pub fn take_from(tid: Tid, descriptor: RawFd) -> Result<OwnedFd> {
    thread_local! {
        static LAST: RefCell<Option<(Tid, OwnedFd)>> = const { RefCell::new(None) };
    }
    LAST.with_borrow_mut(|last| {
        if let Some((_, task)) = last.as_ref().filter(|(known, _)| *known == tid) {
            match take(task, descriptor) {
                Err(Errno::ESRCH) => {}
                outcome => return outcome,
            }
        }
        let (_, task) = last.insert((tid, open_task(tid)?));
        take(task, descriptor)
    })
}

/// fcntl(2) with `F_SETSIG`: the signal that tells of readiness, where that is asked for.
pub fn set_signal(open: &OwnedFd, signal: i32) -> Result<()> {
    const F_SETSIG: i32 = 10;
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::fcntl(open.as_raw_fd(), F_SETSIG, signal) }).map(drop)
}

/// fcntl(2) with `F_GETSIG`.
pub fn signal(open: &OwnedFd) -> Result<i32> {
    const F_GETSIG: i32 = 11;
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::fcntl(open.as_raw_fd(), F_GETSIG) })
}

/// Takes one byte from a unix-domain socket, and the descriptor that comes with it, if one does.
///
/// # Errors
/// `EPIPE` where the other end is closed; else what recvmsg(2) gave.
pub fn receive(socket: &OwnedFd) -> Result<Option<OwnedFd>> {
    let mut byte = [0];
    let mut into = [IoSliceMut::new(&mut byte)];
    let mut space = nix::cmsg_space!(RawFd);
    let flags = MsgFlags::MSG_CMSG_CLOEXEC;
    let message = recvmsg::<()>(socket.as_raw_fd(), &mut into, Some(&mut space), flags)?;
    if message.bytes == 0 {
        return Err(Errno::EPIPE);
    }
    let rights = message.cmsgs()?.find_map(|it| match it {
        ControlMessageOwned::ScmRights(rights) => rights.first().copied(),
        _ => None,
    });
    // SAFETY: the descriptor is new, so nothing else owns it.
    Ok(rights.map(|fd| unsafe { OwnedFd::from_raw_fd(fd) }))
}

/// Sends one byte and descriptors through a unix-domain socket (`SCM_RIGHTS`).
pub fn send<const COUNT: usize>(socket: &OwnedFd, descriptors: &[BorrowedFd<'_>; COUNT]) -> Result<()> {
    let rights = descriptors.map(|it| it.as_raw_fd());
    let byte = [IoSlice::new(&[0])];
    let flags = MsgFlags::MSG_DONTWAIT | MsgFlags::MSG_NOSIGNAL;
    sendmsg::<()>(socket.as_raw_fd(), &byte, &[ControlMessage::ScmRights(&rights)], flags, None).map(drop)
}
