//! What openat2(2) makes with `RESOLVE_IN_ROOT`.
//!
//! Its path means something else to every other call, so what it names is found by openat2(2) itself, as a
//! descriptor that is only a path and is closed again.

use super::inode::{self, Place};
use super::{Guest, kernel, undo};
use crate::abi::{Errno, SysResult};

const O_PATH: u64 = 0o10_000_000;
const O_CLOEXEC: u64 = 0o2_000_000;
/// Where in the scratch memory a `struct open_how` stands, behind a `struct statx` and an empty string.
const HOW: u64 = 264;

/// Makes the guest look for `path` as its own call does.
fn find(guest: &mut dyn Guest, path: u64, resolve: u64) -> SysResult {
    let how = guest.scratch()? + HOW;
    let fields = [O_PATH | O_CLOEXEC, 0, resolve].map(u64::to_le_bytes);
    guest.write(how, &fields.concat())?;
    let [directory, ..] = guest.call().args;
    guest.inject(&kernel::OPENAT2, [directory, path, how, fields.concat().len() as u64, 0, 0])
}

fn close(guest: &mut dyn Guest, descriptor: u64) {
    let _ = guest.inject(&kernel::CLOSE, [descriptor, 0, 0, 0, 0, 0]); // it was only a path
}

/// The directory in which the call's path names its last component.
fn parent(guest: &mut dyn Guest, resolve: u64) -> Option<u64> {
    let [directory, path, ..] = guest.call().args;
    let (_, path, _) = Place::Parent { directory, path }.spell(guest).ok()?;
    find(guest, path, resolve).ok()
}

/// Whether the owner of what the call may make is to be remembered.
pub fn matters(guest: &mut dyn Guest, resolve: u64) -> bool {
    let Some(parent) = parent(guest, resolve) else { return false };
    let matters = inode::creation_matters(guest, |_| Some(Place::Descriptor(parent)));
    close(guest, parent);
    matters
}

/// Whether the call will make the file.
pub fn is_absent(guest: &mut dyn Guest, resolve: u64) -> bool {
    let [_, path, ..] = guest.call().args;
    match find(guest, path, resolve) {
        Ok(found) => {
            close(guest, found);
            false
        }
        Err(errno) => errno == Errno::ENOENT,
    }
}

/// The call has made it.
pub fn made(guest: &mut dyn Guest, result: SysResult, asked: u16, resolve: u64) -> SysResult {
    let opened = result?;
    let parent = parent(guest, resolve);
    let place = parent.map(Place::Descriptor);
    let kept = inode::remember_new(guest, Place::Descriptor(opened), asked, |_| place, |shown| shown);
    if let Some(parent) = parent {
        close(guest, parent);
    }
    undo::opened(guest, opened, None, kept).and(result)
}
