//! chown(2) and its relatives, and the 16-bit forms of i386.
//!
//! The kernel resolves the path and does its share with ids of −1: errors of the path and the
//! filesystem, ctime and set-id bits are real. Who may is decided by the emulated credentials and
//! owner, and the new owner is remembered.

use super::ids::{Wide, Width};
use super::inode::{self, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Verdict, undo, xattr};
use crate::abi::stat::Statx;
use crate::abi::{Errno, SysResult};
use crate::cred::{Cap, Credentials, Gid, Uid, View};
use crate::ownership::{Attributes, rules};

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
    /// Whom the kernel is to give it to: the guest's root, who has it already, where it is ours; a real root's kernel the
    /// owner himself.
    fn for_the_kernel(self, is_ours: bool, view: &View) -> [u32; 2] {
        if view.is_of_all_ids() {
            let [uid, gid] = [self.uid.map(|uid| uid.0), self.gid.map(|gid| gid.0)];
            return [uid, gid].map(|id| id.unwrap_or(inode::NOBODY));
        }
        let given = [(self.uid.is_some(), view.kernel_uid), (self.gid.is_some(), view.kernel_gid)];
        given.map(|(given, id)| if given && is_ours { id } else { inode::NOBODY })
    }

    /// Whether the kernel can do it: it knows these ids. In a namespace that maps one id that is root's; without privilege no
    /// owner gives an inode to another.
    fn exists(self, view: &View) -> bool {
        let is_given = |id: u32| !view.lacks_privilege() || id == 0;
        let uid = self.uid.is_none_or(|uid| view.uids.contains(uid.0) && is_given(uid.0));
        let gid = self.gid.is_none_or(|gid| view.gids.contains(gid.0) && is_given(gid.0));
        uid && gid && !view.translates()
    }
}

/// The whole call; the ids are the arguments from `index` on.
fn give<W: Width>(guest: &mut dyn Guest, place: Place, index: usize) -> Verdict {
    let call = *guest.call();
    let uid = W::read(call.arg(index)).map(Uid);
    let gid = W::read(call.arg(index + 1)).map(Gid);
    let owner = Owner { uid, gid };
    if inode::is_out_of_sight(guest, place) {
        return if owner.exists(guest.view()) { Verdict::Run } else { Verdict::Reply(Err(Errno::EPERM)) };
    }
    if owner.exists(guest.view()) && !guest.view().lacks_privilege() {
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
    let seen = match first {
        // What is seen from outside can be touched from there.
        None => inode::sight(guest, place, 0, Statx::MASK).transpose()?.map(|seen| Statx::parse(&seen)),
        first => first,
    };
    // What is open in place of a device is not what was seen.
    let is_ours =
        seen.is_some_and(|seen| inode::known(&seen).is_ours(guest.view())) && !guest.stands_in(place);
    let ids = owner.for_the_kernel(is_ours, guest.view());
    let touched = inode::set_owner(guest, place, ids);
    if let Err(errno) = touched
        && !matches!(errno, Errno::EPERM | Errno::EOVERFLOW)
    {
        return Err(errno);
    }
    let statx = inode::inspect(guest, place)?;
    if let Some(first) = &first {
        guest.ownership().note_copied(first, &statx);
    }
    if inode::known(&statx).is_ours(guest.view()) {
        touched?; // elsewhere the kernel takes no set-id bits: they are remembered as taken
    }
    let now = inode::attributes(guest, &statx).1;
    let (before, after) = match judged {
        Some(judged) => judged,
        None => (now, rules::chown(&who, now, inode::flags(&statx, &now), owner.uid, owner.gid)?),
    };
    if inode::is_fleeting(guest, &statx) {
        return fleeting(guest, &statx, owner);
    }
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

/// A process's inode in procfs takes every owner and soon forgets it; a sysctl's takes none
/// (`proc_setattr`, `proc_sys_setattr`), and of those that are not ours nearly all are sysctls'.
fn fleeting(guest: &dyn Guest, statx: &Statx, owner: Owner) -> SysResult {
    let leaves = owner.uid.is_none() && owner.gid.is_none();
    if leaves || inode::known(statx).is_ours(guest.view()) { Ok(0) } else { Err(Errno::EPERM) }
}

/// What the inode is now, and what the rules make of it.
fn judge(guest: &mut dyn Guest, place: Place, owner: Owner) -> Result<(Attributes, Attributes), Errno> {
    let statx = inode::inspect(guest, place)?;
    let before = inode::attributes(guest, &statx).1;
    let flags = inode::flags(&statx, &before);
    let after = rules::chown(&guest.credentials(), before, flags, owner.uid, owner.gid);
    after.map(|after| (before, after)).map_err(|errno| inode::refusal(guest, place, errno))
}

#[cfg(test)]
mod tests;
