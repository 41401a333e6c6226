//! link(2): who may give another name to what is not his (`may_linkat`, fs/namei.c).
//!
//! The kernel asks that where `fs.protected_hardlinks` is set, and takes every guest for root.

use super::inode::{self, AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Verdict, frozen, kernel};
use crate::abi::Errno;
use crate::cred::Cap;
use crate::ownership::rules;

const AT_SYMLINK_FOLLOW: u32 = 0x400;

/// link(2).
pub fn link(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    judged(guest, Place::link(call.arg(0)), [AT_FDCWD, call.arg(1)])
}

/// linkat(2).
pub fn linkat(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    let flags = call.arg(4) as u32;
    let follow = if flags & AT_SYMLINK_FOLLOW == 0 { AT_SYMLINK_NOFOLLOW } else { 0 };
    if flags & !(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH) != 0 {
        return Verdict::Run; // EINVAL
    }
    let old = Place::at(call.arg(0), call.arg(1), (flags & AT_EMPTY_PATH) | follow);
    judged(guest, old, [call.arg(2), call.arg(3)])
}

fn judged(guest: &mut dyn Guest, old: Place, new: [u64; 2]) -> Verdict {
    if frozen::refuses_link(guest, old, new) {
        return Verdict::Reply(Err(Errno::EPERM));
    }
    match refusal(guest, old, new) {
        Some(errno) => Verdict::Reply(Err(errno)),
        None => Verdict::Run,
    }
}

/// Why the guest may not link, if that is for who owns what; what else is wrong the kernel finds itself.
fn refusal(guest: &mut dyn Guest, old: Place, [directory, path]: [u64; 2]) -> Option<Errno> {
    let who = guest.credentials();
    if !guest.view().protects_hardlinks || who.has(Cap::FOWNER) {
        return None;
    }
    let statx = inode::inspect(guest, old).ok()?;
    if rules::may_link(&who, inode::attributes(guest, &statx).1) {
        return None;
    }
    let parent = Place::Parent { directory, path };
    let target = inode::look(guest, parent).ok()?;
    let (from, spelled, _) = parent.spell(guest).ok()?;
    // A directory cannot be linked: whatever else is said of the new name comes first.
    match guest.inject(&kernel::LINKAT, [from, spelled, directory, path, 0, 0]) {
        Ok(_) | Err(Errno::EPERM) if target.dev != statx.dev => Some(Errno::EXDEV),
        Ok(_) | Err(Errno::EPERM) => Some(Errno::EPERM),
        Err(errno) => Some(errno),
    }
}

#[cfg(test)]
mod tests;
