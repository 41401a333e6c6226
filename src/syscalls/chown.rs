//! chown(2) and its relatives, and the 16-bit forms of i386.
//!
//! The kernel resolves the path and does its share with ids of −1: errors of the path and the
//! filesystem, ctime and set-id bits are real. Who may is decided by the emulated credentials and
//! owner, and the new owner is remembered.

use super::ids::{Wide, Width};
use super::inode::{self, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Stage, Test, Verdict, kernel, undo, xattr};
use crate::abi::{Errno, SysResult};
use crate::cred::{Cap, Credentials, Gid, Uid, View};
use crate::ownership::{Attributes, rules};

/// Stops of chown(path, uid, gid) and fchown(fd, uid, gid).
pub const STOPS: &[(Stage, Test)] = &[
    (Stage::Base, Test::ForeignIds { uid: 1, gid: 2 }),
    (Stage::Identity, Test::Always),
    (Stage::Ownership, Test::Always),
];

/// The same with 16-bit ids.
pub const STOPS16: &[(Stage, Test)] = &[
    (Stage::Base, Test::ForeignIds16 { uid: 1, gid: 2 }),
    (Stage::Identity, Test::Always),
    (Stage::Ownership, Test::Always),
];

/// Stops of fchownat(directory, path, uid, gid, flags).
pub const STOPS_AT: &[(Stage, Test)] = &[
    (Stage::Base, Test::ForeignIds { uid: 2, gid: 3 }),
    (Stage::Identity, Test::Always),
    (Stage::Ownership, Test::Always),
];

/// chown(2).
pub fn chown<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let place = Place::path(guest.call().arg(0));
    give::<W>(guest, place, 1)
}

/// lchown(2).
pub fn lchown<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let place = Place::link(guest.call().arg(0));
    give::<W>(guest, place, 1)
}

/// fchown(2).
pub fn fchown<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let place = Place::Descriptor(guest.call().arg(0));
    give::<W>(guest, place, 1)
}

/// fchownat(2).
pub fn fchownat(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    let flags = call.arg(4) as u32;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Verdict::Reply(Err(Errno::EINVAL)); // do_fchownat looks at the flags first
    }
    if call.arg(1) == 0 {
        return Verdict::Reply(Err(Errno::EFAULT)); // only a stat takes no path for an empty one
    }
    give::<Wide>(guest, Place::at(call.arg(0), call.arg(1), flags), 2)
}

/// Whom to give an inode to; `None` leaves it.
#[derive(Debug, Clone, Copy)]
struct Owner {
    uid: Option<Uid>,
    gid: Option<Gid>,
}

impl Owner {
    /// Whether the kernel can do it: it knows these ids. In a namespace that maps one id that is root's.
    fn exists(self, view: &View) -> bool {
        let uid = self.uid.is_none_or(|uid| view.uids.contains(uid.0));
        let gid = self.gid.is_none_or(|gid| view.gids.contains(gid.0));
        uid && gid && !view.translates()
    }
}

/// The whole call; the ids are the arguments from `index` on.
fn give<W: Width>(guest: &mut dyn Guest, place: Place, index: usize) -> Verdict {
    let call = *guest.call();
    let uid = W::read(call.arg(index)).map(Uid);
    let gid = W::read(call.arg(index + 1)).map(Gid);
    let owner = Owner { uid, gid };
    if guest.sandboxed() {
        // It cannot be made to look which inode this is, so a foreign owner could not be remembered.
        return if owner.exists(guest.view()) { Verdict::Run } else { Verdict::Reply(Err(Errno::EPERM)) };
    }
    if owner.exists(guest.view()) {
        match kernel_can(guest, place) {
            Ok(true) => return Verdict::Run,
            Ok(false) => {}
            Err(errno) => return Verdict::Reply(Err(errno)),
        }
    }
    Verdict::Reply(give_to(guest, place, owner))
}

/// Whether the kernel's own chown is right in everything.
fn kernel_can(guest: &mut dyn Guest, place: Place) -> Result<bool, Errno> {
    let statx = inode::inspect(guest, place)?;
    let ours = inode::known(&statx).is_ours(guest.view());
    let untouched = inode::attributes(guest, &statx).0.is_none() && !guest.ownership().records_all();
    Ok(ours && untouched && is_almighty(&guest.credentials()))
}

/// Whether no rule can stop this caller, and no set-id bit of what he changes goes by group.
fn is_almighty(who: &Credentials) -> bool {
    [Cap::CHOWN, Cap::FOWNER, Cap::FSETID].iter().all(|&cap| who.has(cap))
}

/// Decides, does the kernel's share and remembers the rest.
fn give_to(guest: &mut dyn Guest, place: Place, owner: Owner) -> SysResult {
    let who = guest.credentials();
    // What is known need not be known before where none of it stays.
    let blindly = is_almighty(&who) && owner.uid.is_some() && owner.gid.is_some();
    let judged = if blindly { None } else { Some(judge(guest, place, owner)?) };
    let first = guest.ownership().lasts().then(|| inode::look(guest, place)).transpose()?;
    let touched = touch(guest, place);
    if let Err(errno) = touched
        && !matches!(errno, Errno::EPERM | Errno::EOVERFLOW)
    {
        return Err(errno);
    }
    let statx = inode::inspect(guest, place)?;
    if inode::known(&statx).is_ours(guest.view()) {
        touched?; // elsewhere the kernel takes no set-id bits: they are remembered as taken
    }
    let now = inode::attributes(guest, &statx).1;
    let (before, after) = match judged {
        Some(judged) => judged,
        None => (now, rules::chown(&who, now, statx.frozen(), owner.uid, owner.gid)?),
    };
    let kept = inode::remember_after(guest, place, &statx, before, |shown| Attributes {
        uid: owner.uid.unwrap_or(shown.uid),
        gid: owner.gid.unwrap_or(shown.gid),
        ..shown.with_permissions(after.permissions())
    });
    undo::mode(guest, place, &first.unwrap_or(statx), kept)?;
    xattr::of_chown(guest, place, &statx, now)?;
    inode::attributes(guest, &statx); // as it is now, so that the next stat need not look again
    Ok(0)
}

/// What the inode is now, and what the rules make of it.
fn judge(guest: &mut dyn Guest, place: Place, owner: Owner) -> Result<(Attributes, Attributes), Errno> {
    let statx = inode::inspect(guest, place)?;
    let before = inode::attributes(guest, &statx).1;
    let after = rules::chown(&guest.credentials(), before, statx.frozen(), owner.uid, owner.gid);
    after.map(|after| (before, after)).map_err(|_| inode::refusal(guest, place))
}

/// The kernel's chown to nobody: it finds what is wrong with the path and the filesystem, sets ctime
/// and takes set-id bits.
fn touch(guest: &mut dyn Guest, place: Place) -> SysResult {
    const UNCHANGED: u64 = u32::MAX as u64;
    match place {
        Place::Descriptor(descriptor) => {
            guest.inject(&kernel::FCHOWN, [descriptor, UNCHANGED, UNCHANGED, 0, 0, 0])
        }
        Place::Path { directory, path, flags } => {
            guest.inject(&kernel::FCHOWNAT, [directory, path, UNCHANGED, UNCHANGED, flags.into(), 0])
        }
    }
}

#[cfg(test)]
mod tests;
