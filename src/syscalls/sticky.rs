//! The sticky bit: whose names in a directory only owners may take away (`__check_sticky`, fs/namei.c).
//!
//! The kernel takes every guest for root. Here its other reasons to refuse are found out before, as it
//! would have found them first.

use super::inode::{self, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, kernel};
use crate::abi::Errno;
use crate::abi::stat::{S_IFDIR, S_IFMT, Statx};
use crate::cred::Cap;
use crate::ownership::rules;

/// A directory argument and a path.
pub type Name = [u64; 2];

/// renameat2(2) that takes no name from anything.
const RENAME_NOREPLACE: u64 = 1;
/// renameat2(2) that changes two names for each other.
pub const RENAME_EXCHANGE: u64 = 2;
/// renameat2(2) that leaves a whiteout behind.
pub const RENAME_WHITEOUT: u64 = 4;

/// Whether the guest might be kept from anything.
fn minds(guest: &dyn Guest) -> bool {
    !guest.credentials().has(Cap::FOWNER)
}

/// The inode at a name, if it is there; of a path that the kernel refuses to take away, whoever asks, none.
fn inode_at(guest: &mut dyn Guest, [directory, path]: Name) -> Option<Statx> {
    let text = inode::string(guest, path).ok()?;
    let last = text.rsplit(|&byte| byte == b'/').find(|part| !part.is_empty())?;
    if last == b"." || last == b".." {
        return None;
    }
    inode::inspect(guest, Place::at(directory, path, AT_SYMLINK_NOFOLLOW)).ok()
}

/// Whether the directory that the name stands in keeps it from the guest.
fn keeps(guest: &mut dyn Guest, [directory, path]: Name, inode: &Statx) -> bool {
    let parent = Place::Parent { directory, path };
    let Ok(parent) = inode::inspect(guest, parent) else { return false };
    let (parent, inode) = (inode::attributes(guest, &parent).1, inode::attributes(guest, inode).1);
    !rules::may_take(&guest.credentials(), parent, inode)
}

/// Why the guest may not unlink, or remove, what is at `name`.
pub fn refuses_removal(guest: &mut dyn Guest, name: Name, is_rmdir: bool) -> Option<Errno> {
    if !minds(guest) {
        return None;
    }
    let inode = inode_at(guest, name)?;
    if !is_rmdir && inode::string(guest, name[1]).ok()?.ends_with(b"/") || !keeps(guest, name, &inode) {
        return None;
    }
    // The call for the other kind removes nothing and fails late: whatever else it says comes first.
    let other = if inode.mode & S_IFMT == S_IFDIR { 0 } else { AT_REMOVEDIR };
    match guest.inject(&kernel::UNLINKAT, [name[0], name[1], other, 0, 0, 0]) {
        Ok(_) | Err(Errno::EISDIR | Errno::ENOTDIR) => Some(Errno::EPERM),
        Err(errno) => Some(errno),
    }
}

/// Why the guest may not rename `old` to `new`. A directory that is to go below itself counts as any other.
pub fn refuses_rename(guest: &mut dyn Guest, old: Name, new: Name, flags: u64) -> Option<Errno> {
    if !minds(guest) || !flags_valid(flags) {
        return None;
    }
    let source = inode_at(guest, old)?;
    let target = inode_at(guest, new);
    let same = target.is_some_and(|target| (target.dev, target.ino) == (source.dev, source.ino));
    let settled = match target {
        Some(_) => flags & RENAME_NOREPLACE != 0,
        None => flags & RENAME_EXCHANGE != 0,
    };
    if same || settled {
        return None;
    }
    let parent = Place::Parent { directory: new[0], path: new[1] };
    if inode::look(guest, parent).ok()?.dev != source.dev {
        return None; // EXDEV
    }
    if keeps(guest, old, &source) || target.is_some_and(|target| keeps(guest, new, &target)) {
        let place = Place::at(old[0], old[1], AT_SYMLINK_NOFOLLOW);
        return Some(inode::refusal(guest, place, Errno::EPERM));
    }
    None
}

/// Whether renameat2(2) takes them at all.
const fn flags_valid(flags: u64) -> bool {
    let flags = flags as u32 as u64;
    let exchange = flags & RENAME_EXCHANGE != 0;
    flags <= 7 && !(exchange && flags & (RENAME_NOREPLACE | RENAME_WHITEOUT) != 0)
}
