//! Extended attributes of files that the tracer itself knows by path.

use std::ffi::CStr;
use std::os::fd::{AsRawFd, BorrowedFd};

use super::{Errno, Result};

/// getxattr(2) without a buffer: the length of the attribute's value.
///
/// # Errors
/// `ENODATA` where there is no such attribute; `EOPNOTSUPP` where there can be none.
pub fn length(path: &CStr, name: &CStr) -> Result<usize> {
    // SAFETY: both are C strings that live over the call; with a size of 0 the kernel writes nothing.
    let length = unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), std::ptr::null_mut(), 0) };
    Errno::result(length).map(isize::unsigned_abs)
}

/// getxattr(2): the value, which `into` holds.
///
/// # Errors
/// As [`length`]; `ERANGE` where it is longer.
pub fn get<'a>(path: &CStr, name: &CStr, into: &'a mut [u8]) -> Result<&'a [u8]> {
    // SAFETY: both are C strings that live over the call, and the kernel writes at most `into.len()` bytes.
    let length =
        unsafe { libc::getxattr(path.as_ptr(), name.as_ptr(), into.as_mut_ptr().cast(), into.len()) };
    let length = Errno::result(length)?.unsigned_abs();
    Ok(into.get(..length).unwrap_or_default())
}

/// listxattr(2): the names, each with a NUL behind it, which `into` holds.
///
/// # Errors
/// `ERANGE` where they are longer.
pub fn list<'a>(path: &CStr, into: &'a mut [u8]) -> Result<&'a [u8]> {
    // SAFETY: it is a C string that lives over the call, and the kernel writes at most `into.len()` bytes.
    let length = unsafe { libc::listxattr(path.as_ptr(), into.as_mut_ptr().cast(), into.len()) };
    let length = Errno::result(length)?.unsigned_abs();
    Ok(into.get(..length).unwrap_or_default())
}

/// removexattr(2).
///
/// # Errors
/// As [`length`].
pub fn remove(path: &CStr, name: &CStr) -> Result<()> {
    // SAFETY: both are C strings that live over the call.
    let outcome = unsafe { libc::removexattr(path.as_ptr(), name.as_ptr()) };
    Errno::result(outcome).map(drop)
}

/// setxattr(2).
pub fn set(path: &CStr, name: &CStr, value: &[u8]) -> Result<()> {
    set_with(path, name, value, 0)
}

/// The same, unless it is there.
///
/// # Errors
/// `EEXIST` where it is.
pub fn create(path: &CStr, name: &CStr, value: &[u8]) -> Result<()> {
    set_with(path, name, value, libc::XATTR_CREATE)
}

/// The same with `XATTR_CREATE` or `XATTR_REPLACE`, or neither.
///
/// # Errors
/// As setxattr(2).
pub fn set_with(path: &CStr, name: &CStr, value: &[u8], flags: i32) -> Result<()> {
    // SAFETY: both are C strings that live over the call, and the kernel reads `value.len()` bytes.
    let outcome =
        unsafe { libc::setxattr(path.as_ptr(), name.as_ptr(), value.as_ptr().cast(), value.len(), flags) };
    Errno::result(outcome).map(drop)
}

/// fsetxattr(2).
///
/// # Errors
/// As setxattr(2).
pub fn set_open(file: BorrowedFd<'_>, name: &CStr, value: &[u8]) -> Result<()> {
    let (from, length) = (value.as_ptr().cast(), value.len());
    // SAFETY: the name is a C string that lives over the call, and the kernel reads `length` bytes.
    Errno::result(unsafe { libc::fsetxattr(file.as_raw_fd(), name.as_ptr(), from, length, 0) }).map(drop)
}
