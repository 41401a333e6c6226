//! seccomp(2) and seccomp_unotify(2).

use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use super::{Errno, Result};

/// `SECCOMP_FILTER_FLAG_SPEC_ALLOW`: kernels before 5.16 take it that who has a filter runs what it does not trust, and slow it
/// down (`spec_store_bypass_disable=seccomp`), which prctl(2) would show.
pub const AS_FAST: u64 = libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW;
/// `SECCOMP_FILTER_FLAG_TSYNC`: for all threads.
pub const ALL_THREADS: u64 = libc::SECCOMP_FILTER_FLAG_TSYNC | AS_FAST;
/// The flags of a filter with a listener, for all threads: what only looks is to be interrupted by nothing but a kill
/// once the listener has it (`SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV`, Linux 5.19).
pub const LISTENER: u64 = libc::SECCOMP_FILTER_FLAG_NEW_LISTENER
    | ALL_THREADS
    | libc::SECCOMP_FILTER_FLAG_TSYNC_ESRCH
    | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;

/// A call that waits for an answer.
pub type Notification = libc::seccomp_notif;

/// What the kernel is told about it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Response {
    /// The call is not run, and this is its raw result.
    Result(i64),
    /// The call is run as it is (`SECCOMP_USER_NOTIF_FLAG_CONTINUE`).
    Continue,
}

/// SECCOMP_SET_MODE_FILTER of a program of eight-byte instructions, for the calling thread.
///
/// # Errors
/// `EACCES` without CAP_SYS_ADMIN and without no_new_privs; `EINVAL` for a bad program or a kernel
/// without seccomp filters.
pub fn load(program: &[u8]) -> Result<()> {
    let count = u16::try_from(program.len() / 8).map_err(|_| Errno::E2BIG)?;
    let fprog = libc::sock_fprog { len: count, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel copies `count` instructions of eight bytes from `program`, which holds them.
    let outcome =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, AS_FAST, &raw const fprog) };
    Errno::result(outcome).map(drop)
}

/// The same with a listener, for the calling thread alone.
///
/// # Errors
/// As [`load`]; `EBUSY` where there is a listener already.
pub fn load_listener(program: &[u8]) -> Result<OwnedFd> {
    const FLAGS: u64 =
        libc::SECCOMP_FILTER_FLAG_NEW_LISTENER | libc::SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV | AS_FAST;
    let count = u16::try_from(program.len() / 8).map_err(|_| Errno::E2BIG)?;
    let fprog = libc::sock_fprog { len: count, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: as above.
    let outcome =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, FLAGS, &raw const fprog) };
    // SAFETY: the descriptor is new, so nothing else owns it.
    Errno::result(outcome).map(|fd| unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// `SECCOMP_USER_NOTIF_FD_SYNC_WAKE_UP`, Linux 6.6: either side wakes the other on its own CPU.
///
/// # Errors
/// `EINVAL` from older kernels.
pub fn wake_synchronously(listener: BorrowedFd<'_>) -> Result<()> {
    const SYNC_WAKE_UP: libc::c_ulong = 1;
    // SAFETY: all arguments are values.
    let outcome =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SET_FLAGS, SYNC_WAKE_UP) };
    Errno::result(outcome).map(drop)
}

/// Waits for the next call.
///
/// # Errors
/// `ENOENT` where its task was killed meanwhile, and, from Linux 6.11, where no task has the filter any more.
pub fn receive(listener: BorrowedFd<'_>) -> Result<Notification> {
    let mut notification = MaybeUninit::<Notification>::zeroed();
    let into = notification.as_mut_ptr();
    // SAFETY: the kernel wants a zeroed structure, and fills it.
    let outcome = unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_RECV, into) };
    // SAFETY: all of it is integers, for which zero is a value.
    Errno::result(outcome).map(|_| unsafe { notification.assume_init() })
}

/// Whether the task still waits, so that its id is still its own.
pub fn waits(listener: BorrowedFd<'_>, id: u64) -> bool {
    // SAFETY: the kernel reads eight bytes.
    unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ID_VALID, &raw const id) == 0 }
}

/// Opens a file in the task that waits, too, closed on exec; its descriptor there is the call's result.
///
/// # Errors
/// `ENOENT` where the task was killed meanwhile; `EMFILE`. Then it waits still.
pub fn bring(listener: BorrowedFd<'_>, id: u64, file: BorrowedFd<'_>) -> Result<i32> {
    let mut request = libc::seccomp_notif_addfd {
        id,
        flags: libc::SECCOMP_ADDFD_FLAG_SEND as u32,
        srcfd: file.as_raw_fd() as u32,
        newfd: 0,
        newfd_flags: libc::O_CLOEXEC as u32,
    };
    // SAFETY: the kernel reads one structure.
    let outcome =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_ADDFD, &raw mut request) };
    Errno::result(outcome)
}

/// Whether any task has the filter (`POLLHUP` says that none has).
pub fn is_used(listener: BorrowedFd<'_>) -> bool {
    let mut poll = libc::pollfd { fd: listener.as_raw_fd(), events: 0, revents: 0 };
    // SAFETY: one structure, and no time to wait.
    unsafe { libc::poll(&raw mut poll, 1, 0) == 0 }
}

/// Answers a call.
///
/// # Errors
/// `ENOENT` where its task was killed meanwhile.
pub fn respond(listener: BorrowedFd<'_>, id: u64, response: Response) -> Result<()> {
    let mut answer = match response {
        // The kernel takes a negative result from `error` alone.
        Response::Result(raw) if raw < 0 => {
            libc::seccomp_notif_resp { id, val: 0, error: raw as i32, flags: 0 }
        }
        Response::Result(raw) => libc::seccomp_notif_resp { id, val: raw, error: 0, flags: 0 },
        Response::Continue => {
            let flags = libc::SECCOMP_USER_NOTIF_FLAG_CONTINUE as u32;
            libc::seccomp_notif_resp { id, val: 0, error: 0, flags }
        }
    };
    // SAFETY: the kernel reads one structure.
    let outcome =
        unsafe { libc::ioctl(listener.as_raw_fd(), libc::SECCOMP_IOCTL_NOTIF_SEND, &raw mut answer) };
    Errno::result(outcome).map(drop)
}
