//! The lists of mounts that tasks open in `/proc`, and their copies in memory.

use std::ffi::CString;
use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use nix::sys::memfd::{MFdFlags, memfd_create};

use super::mounts::Kind;
use super::sight::Sights;
use crate::sys::{self, Tid, files};
use crate::syscalls::mounted::{COPY, Listed};

/// The list that is open at a descriptor, if it is one.
pub fn of(sights: &Sights, tid: Tid, descriptor: u64) -> Option<Listed> {
    let link = link_of(tid, descriptor);
    let path = std::fs::read_link(&link).ok()?;
    let is_info = match path.file_name()?.as_bytes() {
        b"mounts" => false,
        b"mountinfo" => true,
        _ => return None,
    };
    // A file of that name may be on a filesystem that a tracee serves.
    let open = files::name(files::CWD, &CString::new(link.as_os_str().as_bytes()).ok()?, true, 0).ok()?;
    if sights.mounts().kind(tid, open.as_fd()) != Kind::Proc {
        return None;
    }
    let mut text = String::new();
    let open = File::open(format!("/proc/self/fd/{}", open.as_raw_fd())).ok()?;
    (&open).read_to_string(&mut text).ok()?;
    let info = || {
        let is_ours = std::fs::metadata("/proc").ok()?.dev() == open.metadata().ok()?.dev();
        // The same filesystem knows the task by the same number, wherever the guest has mounted it.
        let whose = path.parent().and_then(|it| it.file_name()?.to_str()?.parse::<Tid>().ok());
        let theirs = whose
            .filter(|_| is_ours)
            .and_then(|whose| sys::process::text(&format!("/proc/{whose}/mountinfo")));
        theirs.or_else(|| sys::process::text(&format!("/proc/{tid}/mountinfo")))
    };
    let info = if is_info { None } else { Some(info()?) };
    Some(Listed { text, info })
}

/// Sends a file that says `text` in place of the list at a descriptor, through a socket of the task's.
pub fn send(tid: Tid, socket: i32, descriptor: u64, text: &str) -> sys::Result<()> {
    let path = std::fs::read_link(link_of(tid, descriptor)).unwrap_or_default();
    let name = [COPY.as_bytes(), path.as_os_str().as_bytes()].concat();
    let mut file =
        File::from(memfd_create(CString::new(name).unwrap_or_default().as_c_str(), MFdFlags::MFD_CLOEXEC)?);
    let wrong = |error: std::io::Error| sys::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
    file.write_all(text.as_bytes()).map_err(wrong)?;
    file.set_permissions(std::fs::Permissions::from_mode(0o444)).map_err(wrong)?;
    // For reading alone.
    let copy = File::open(format!("/proc/self/fd/{}", file.as_raw_fd())).map_err(wrong)?;
    let task = sys::descriptor::open_task(tid)?;
    sys::descriptor::send(&sys::descriptor::take(&task, socket)?, &[copy.as_fd()])
}

/// The path of the list whose copy is open at a descriptor.
pub fn copied(tid: Tid, descriptor: u64) -> Option<Vec<u8>> {
    let path = std::fs::read_link(link_of(tid, descriptor)).ok()?;
    let name = path.as_os_str().as_bytes().strip_prefix(b"/memfd:")?.strip_prefix(COPY.as_bytes())?;
    Some(name.strip_suffix(b" (deleted)").unwrap_or(name).to_vec())
}

fn link_of(tid: Tid, descriptor: u64) -> PathBuf {
    Path::new("/proc").join(format!("{tid}/fd/{}", descriptor as i32))
}
