//! What immutable and append-only inodes refuse where only a fact says that they are: names, and to be opened
//! for writing (`may_open`, `may_delete`, `may_create`, fs/namei.c). What is open already stays so.

use super::inode::{self, AT_SYMLINK_NOFOLLOW, Place};
use super::sticky::Name;
use super::{Guest, Stage};
use crate::ownership::rules::{FROZEN, IMMUTABLE};

const O_ACCMODE: u32 = 0o3;
const O_TRUNC: u32 = 0o1000;
const O_APPEND: u32 = 0o2000;
const O_PATH: u32 = 0o10_000_000;

/// Has every process asked from now on.
pub fn raise(guest: &mut dyn Guest) {
    guest.ownership().set_freezes();
    guest.raise(Stage::Removal);
    guest.raise(Stage::Devices);
}

/// Which of the two flags the inode has by its fact; `None` where there is no such inode.
fn by_fact(guest: &mut dyn Guest, place: Place) -> Option<u32> {
    let statx = inode::inspect(guest, place).ok()?;
    let shown = inode::attributes(guest, &statx).1;
    Some(shown.flags & inode::flags(&statx, &shown))
}

fn may_refuse(guest: &dyn Guest) -> bool {
    guest.ownership().freezes()
}

fn directory(guest: &mut dyn Guest, [directory, path]: Name) -> u32 {
    by_fact(guest, Place::Parent { directory, path }).unwrap_or(0)
}

fn named([directory, path]: Name) -> Place {
    Place::at(directory, path, AT_SYMLINK_NOFOLLOW)
}

/// Whether an open with `flags` is `EPERM`, of what is there or for what would be made.
pub fn refuses_open(guest: &mut dyn Guest, name: Name, flags: u32, creates: bool) -> bool {
    if !may_refuse(guest) || flags & O_PATH != 0 {
        return false;
    }
    let truncates = flags & O_TRUNC != 0;
    match by_fact(guest, Place::at(name[0], name[1], 0)) {
        None => creates && directory(guest, name) & IMMUTABLE != 0,
        Some(0) => false,
        Some(frozen) if frozen & IMMUTABLE != 0 => flags & O_ACCMODE != 0 || truncates,
        Some(_) => flags & O_ACCMODE != 0 && flags & O_APPEND == 0 || truncates,
    }
}

/// Whether truncate(2) of the inode is `EPERM`.
pub fn refuses_truncation(guest: &mut dyn Guest, place: Place) -> bool {
    may_refuse(guest) && by_fact(guest, place).is_some_and(|frozen| frozen != 0)
}

/// Whether to take the name away is `EPERM`.
pub fn refuses_removal(guest: &mut dyn Guest, name: Name) -> bool {
    may_refuse(guest)
        && by_fact(guest, named(name)).is_some_and(|own| (own | directory(guest, name)) & FROZEN != 0)
}

/// Whether to make a new name is `EPERM`.
pub fn refuses_new(guest: &mut dyn Guest, name: Name) -> bool {
    may_refuse(guest) && by_fact(guest, named(name)).is_none() && directory(guest, name) & IMMUTABLE != 0
}

/// Whether to rename is `EPERM`.
pub fn refuses_rename(guest: &mut dyn Guest, old: Name, new: Name) -> bool {
    let exists = may_refuse(guest) && by_fact(guest, named(old)).is_some();
    exists && (refuses_removal(guest, old) || refuses_removal(guest, new) || refuses_new(guest, new))
}

/// Whether to give the inode at `old` another name is `EPERM`.
pub fn refuses_link(guest: &mut dyn Guest, old: Place, new: Name) -> bool {
    may_refuse(guest)
        && by_fact(guest, named(new)).is_none()
        && (by_fact(guest, old).is_some_and(|own| own != 0) || refuses_new(guest, new))
}
