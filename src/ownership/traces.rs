//! Traces of earlier runs in sight of one that begins, where nothing says that there were any: the root directory may have been
//! rebuilt from layers, which carry no attributes of it.

use std::ffi::{CStr, CString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::xattr::OWNER;
use crate::abi::stat::Statx;
use crate::sys::{self, files};

/// What package managers give away in nearly every system.
const USUAL: [&CStr; 6] = [
    c"/etc/shadow",
    c"/etc/gshadow",
    c"/var/mail",
    c"/var/log/btmp",
    c"/var/local",
    c"/var/cache/apt/archives/partial",
];
/// So many names of the working directory are looked at, each in less than a microsecond.
const MOST: usize = 64;
/// `AT_STATX_DONT_SYNC`: no server of a filesystem is asked, which might not answer.
const DONT_SYNC: i32 = 0x4000;

/// Whether something that is usually given away, or something in the working directory, was.
pub(super) fn are_any() -> bool {
    USUAL.into_iter().any(was_given) || (is_on_root() && is_any_here())
}

fn is_any_here() -> bool {
    let names = fs::read_dir(".").into_iter().flatten().flatten().take(MOST);
    let given = |name: CString| was_given(&name);
    given(c".".to_owned())
        || names.filter_map(|entry| CString::new(entry.file_name().as_bytes()).ok()).any(given)
}

/// Whether the working directory is on the filesystem of the root directory.
fn is_on_root() -> bool {
    let device = |path| files::statx(files::CWD, path, DONT_SYNC, 0).map(|told| Statx::parse(&told).dev);
    device(c".").is_ok_and(|here| device(c"/") == Ok(here))
}

/// Whether an inode of ours bears an owner.
fn was_given(path: &CStr) -> bool {
    sys::xattr::length(path, OWNER).is_ok() && is_ours(path)
}

/// Whether it may be believed: no link, and of an id of the namespace.
fn is_ours(path: &CStr) -> bool {
    let path = Path::new(std::ffi::OsStr::from_bytes(path.to_bytes()));
    let found = fs::symlink_metadata(path);
    found.is_ok_and(|found| !found.is_symlink() && found.uid() == nix::unistd::geteuid().as_raw())
}
