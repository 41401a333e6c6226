//! Extended attributes, filesystems and beginnings of files that the tracer itself reaches, by a path of its
//! own.

use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use super::xattr::LONGEST;
use crate::abi::Errno;
use crate::abi::statfs::Statfs;
use crate::sys;

/// Whether it is a script: what is executed is its interpreter.
pub fn is_script(path: &CStr) -> bool {
    let mut head = [0; 2];
    let path = Path::new(OsStr::from_bytes(path.to_bytes()));
    File::open(path).and_then(|mut file| file.read_exact(&mut head)).is_ok() && head == *b"#!"
}

/// The names of all, each with a NUL behind it.
///
/// # Errors
/// `ERANGE` where they are longer than `most`; what else the kernel says.
pub fn list(path: &CStr, most: usize) -> Result<Vec<u8>, Errno> {
    let mut names = vec![0; most];
    sys::xattr::list(path, &mut names).map(<[u8]>::to_vec).map_err(errno)
}

/// The value of one.
///
/// # Errors
/// `ENODATA` where there is no such attribute; what else the kernel says.
pub fn get(path: &CStr, name: &CStr) -> Result<Vec<u8>, Errno> {
    let mut value = [0; LONGEST];
    sys::xattr::get(path, name, &mut value).map(<[u8]>::to_vec).map_err(errno)
}

/// The value of one that may be long.
///
/// # Errors
/// As [`get`].
pub fn get_long(path: &CStr, name: &CStr) -> Result<Vec<u8>, Errno> {
    let mut value = vec![0; sys::xattr::length(path, name).map_err(errno)?];
    sys::xattr::get(path, name, &mut value).map(<[u8]>::to_vec).map_err(errno)
}

/// Sets one.
///
/// # Errors
/// `ENOSPC`, `EDQUOT`, and what else the kernel says.
pub fn set(path: &CStr, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    sys::xattr::set(path, name, value).map_err(errno)
}

/// Sets one with the flags of setxattr(2).
///
/// # Errors
/// As [`set`]; `EEXIST` and `ENODATA` for the flags.
pub fn set_as(path: &CStr, name: &CStr, value: &[u8], flags: i32) -> Result<(), Errno> {
    sys::xattr::set_with(path, name, value, flags).map_err(errno)
}

/// Removes one.
///
/// # Errors
/// As [`get`].
pub fn remove(path: &CStr, name: &CStr) -> Result<(), Errno> {
    sys::xattr::remove(path, name).map_err(errno)
}

/// What statfs(2) says of the filesystem.
///
/// # Errors
/// What the kernel says.
pub fn statfs(path: &CStr) -> Result<Statfs, Errno> {
    let (kind, id) = sys::files::statfs(path).map_err(errno)?;
    Ok(Statfs { kind, id })
}

/// Sets the times of last access and last modification, in seconds and nanoseconds.
///
/// # Errors
/// As utimensat(2).
pub fn set_times(path: &CStr, times: [[i64; 2]; 2]) -> Result<(), Errno> {
    sys::files::set_times(path, times).map_err(errno)
}

fn errno(errno: sys::Errno) -> Errno {
    Errno(errno as i32)
}
