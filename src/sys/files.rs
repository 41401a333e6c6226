//! Looking at files without opening them.

use std::ffi::{CStr, CString};
use std::mem::size_of;
use std::os::fd::{AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{Errno, Result};

/// `AT_FDCWD`.
pub const CWD: RawFd = libc::AT_FDCWD;
/// Fail with `ELOOP` at a link that `/proc` makes up, whose meaning depends on who follows it.
pub const NO_MAGIC_LINKS: u64 = libc::RESOLVE_NO_MAGICLINKS;
/// Fail with `ELOOP` at any link.
pub const NO_LINKS: u64 = libc::RESOLVE_NO_SYMLINKS;
/// Fail with `EXDEV` where the path leaves the directory.
pub const BENEATH: u64 = libc::RESOLVE_BENEATH;
/// Fail with `EAGAIN` where the kernel would have to ask a filesystem.
pub const CACHED: u64 = 0x20;
/// Fail with `EXDEV` where the path leaves the mount.
pub const ONE_MOUNT: u64 = libc::RESOLVE_NO_XDEV;
/// Take the directory for the root.
pub const IN_ROOT: u64 = libc::RESOLVE_IN_ROOT;

/// openat2(2) with `O_PATH`: a descriptor that only names the inode, and whose making nobody notices.
///
/// # Errors
/// Those of the path's resolution; `EMFILE`.
pub fn name(directory: RawFd, path: &CStr, follow: bool, resolve: u64) -> Result<OwnedFd> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut how: libc::open_how = unsafe { std::mem::zeroed() };
    how.flags = (libc::O_PATH | libc::O_CLOEXEC | if follow { 0 } else { libc::O_NOFOLLOW }) as u64;
    how.resolve = resolve;
    let (size, how) = (size_of::<libc::open_how>(), &raw const how);
    // SAFETY: the path is a C string and `how` a whole structure; both live over the call.
    let outcome = unsafe { libc::syscall(libc::SYS_openat2, directory, path.as_ptr(), how, size) };
    let fd = Errno::result(outcome)?;
    // SAFETY: the kernel has just made this descriptor for nobody else.
    Ok(unsafe { OwnedFd::from_raw_fd(fd as RawFd) })
}

/// statx(2): the structure as the kernel fills it.
///
/// # Errors
/// Those of the path's resolution.
pub fn statx(directory: RawFd, path: &CStr, flags: i32, mask: u32) -> Result<[u8; 256]> {
    let mut bytes = [0; 256];
    let into = bytes.as_mut_ptr();
    // SAFETY: the path is a C string, and `bytes` has the size of the structure.
    let outcome = unsafe { libc::syscall(libc::SYS_statx, directory, path.as_ptr(), flags, mask, into) };
    Errno::result(outcome).map(|_| bytes)
}

/// statx(2) of a path of the caller's: basic attributes and birth time.
///
/// # Errors
/// As [`statx`].
pub fn describe(path: &CStr, follow: bool) -> Result<[u8; 256]> {
    let flags = if follow { 0 } else { libc::AT_SYMLINK_NOFOLLOW };
    statx(CWD, path, flags, libc::STATX_BASIC_STATS | libc::STATX_BTIME)
}

/// statx(2) of what a descriptor names.
///
/// # Errors
/// `EIO` and its like, from the filesystem.
pub fn statx_of(fd: BorrowedFd<'_>, flags: i32, mask: u32) -> Result<[u8; 256]> {
    statx(fd.as_raw_fd(), c"", flags | libc::AT_EMPTY_PATH, mask)
}

/// statfs(2): the filesystem's kind and its id.
///
/// # Errors
/// Those of the path's resolution.
pub fn statfs(path: &CStr) -> Result<(u64, u64)> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: the path is a C string, and `found` a whole structure; both live over the call.
    Errno::result(unsafe { libc::statfs(path.as_ptr(), &raw mut found) })?;
    // SAFETY: the id is two integers, whose names are hidden.
    let id: [u32; 2] = unsafe { std::mem::transmute(found.f_fsid) };
    let [low, high] = id.map(u64::from);
    Ok((found.f_type.cast_unsigned(), low | high << 32))
}

/// utimensat(2) of a path, followed: seconds and nanoseconds of last access and last modification.
///
/// # Errors
/// `EPERM` and `EACCES` where the caller may not; `EINVAL`.
pub fn set_times(path: &CStr, times: [[i64; 2]; 2]) -> Result<()> {
    let times = times.map(|[tv_sec, tv_nsec]| libc::timespec { tv_sec, tv_nsec });
    // SAFETY: the path is a C string; it and the two timespecs live over the call.
    Errno::result(unsafe { libc::utimensat(libc::AT_FDCWD, path.as_ptr(), times.as_ptr(), 0) }).map(drop)
}

/// chown(2) of what is open, if only as a path where it may be, to a user and a group.
///
/// # Errors
/// `EROFS`; `EPERM` where the caller may not; `EBADF` where it is open as a path and may not be.
pub fn set_owner(fd: BorrowedFd<'_>, [uid, gid]: [u32; 2], may_be_path: bool) -> Result<()> {
    // SAFETY: the path is empty; all else is values.
    let outcome = unsafe {
        match may_be_path {
            true => libc::fchownat(fd.as_raw_fd(), c"".as_ptr(), uid, gid, libc::AT_EMPTY_PATH),
            false => libc::fchown(fd.as_raw_fd(), uid, gid),
        }
    };
    Errno::result(outcome).map(drop)
}

/// chmod(2) of what is open, if only as a path where it may be.
///
/// # Errors
/// As [`set_owner`].
pub fn set_mode(fd: BorrowedFd<'_>, mode: u16, may_be_path: bool) -> Result<()> {
    let path = CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default();
    // SAFETY: the path is a C string; all else is values.
    let outcome = unsafe {
        match may_be_path {
            true => libc::chmod(path.as_ptr(), mode.into()),
            false => libc::fchmod(fd.as_raw_fd(), mode.into()),
        }
    };
    Errno::result(outcome).map(drop)
}

/// Whether a descriptor names something on a `proc` filesystem (fstatfs(2)).
///
/// # Errors
/// As [`statx_of`].
pub fn is_on_proc(fd: BorrowedFd<'_>) -> Result<bool> {
    // SAFETY: all fields are integers, for which zero is a value.
    let mut found: libc::statfs = unsafe { std::mem::zeroed() };
    // SAFETY: `found` is a whole structure that lives over the call.
    Errno::result(unsafe { libc::fstatfs(fd.as_raw_fd(), &raw mut found) })?;
    Ok(found.f_type == libc::PROC_SUPER_MAGIC)
}

/// mknod(2) with a file mode creation mask, which the calling thread has for itself from then on.
///
/// # Errors
/// Those of the path's resolution; `EPERM` for a device.
pub fn make_node(path: &CStr, mode: u32, device: u64, mask: u32) -> Result<()> {
    // SAFETY: all arguments are values. The thread no longer shares root, directory and mask with others.
    Errno::result(unsafe { libc::unshare(libc::CLONE_FS) })?;
    // SAFETY: the path is a C string that lives over the call; all else is values.
    let outcome = unsafe {
        let own = libc::umask(mask);
        let outcome = Errno::result(libc::mknod(path.as_ptr(), mode, device));
        libc::umask(own);
        outcome
    };
    outcome.map(drop)
}

/// unlinkat(2) of a path of the caller's.
///
/// # Errors
/// Those of unlink(2) and rmdir(2).
pub fn unlink(path: &CStr, flags: i32) -> Result<()> {
    // SAFETY: the path is a C string that lives over the call.
    Errno::result(unsafe { libc::unlinkat(CWD, path.as_ptr(), flags) }).map(drop)
}

/// A file of memory with this text, open to be read.
///
/// # Errors
/// `EMFILE`, `ENFILE`, `ENOMEM`.
pub fn with_text(text: &[u8]) -> Result<OwnedFd> {
    let file = std::fs::File::from(memfd_create(c"status", MFdFlags::MFD_CLOEXEC)?);
    let failed = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    std::os::unix::fs::FileExt::write_all_at(&file, text, 0).map_err(failed)?;
    // Without /proc it stays as it is, and can be written to.
    let read_only = std::fs::File::open(format!("/proc/self/fd/{}", file.as_raw_fd()));
    Ok(read_only.unwrap_or(file).into())
}

/// memfd_create(2), or a file without a name in a directory (`O_TMPFILE`): it is gone with its descriptor.
///
/// # Errors
/// `EOPNOTSUPP` where the filesystem has no such files; those of open(2).
pub fn nameless(directory: Option<&CStr>) -> Result<OwnedFd> {
    const FLAGS: i32 = libc::O_TMPFILE | libc::O_RDWR | libc::O_CLOEXEC;
    // SAFETY: the path or the name is a C string that lives over the call; all else is values.
    let outcome = unsafe {
        match directory {
            Some(directory) => libc::open(directory.as_ptr(), FLAGS, 0o600),
            None => libc::memfd_create(c"remainroot".as_ptr(), libc::MFD_CLOEXEC),
        }
    };
    // SAFETY: the kernel has just made this descriptor for nobody else.
    Errno::result(outcome).map(|fd| unsafe { OwnedFd::from_raw_fd(fd) })
}
