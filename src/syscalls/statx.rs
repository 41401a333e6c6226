//! statx(2): as stat, but often it tells the birth time itself.

use super::inode::{self, AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Verdict, nodes, stat};
use crate::abi::stat::{STATX, Statx};
use crate::abi::{Errno, SysResult};
use crate::ownership::{Fact, Identity};

/// What tells an inode.
const TOLD: u32 = Statx::INO | Statx::CTIME | Statx::BTIME;
/// `AT_STATX_FORCE_SYNC` and `AT_STATX_DONT_SYNC`.
const SYNC: u32 = 0x6000;
/// `STATX__RESERVED`: refused in a mask.
const RESERVED: u32 = 0x8000_0000;
/// `STATX_MNT_ID`: told whether asked or not, unless another id of the mount is asked.
const MOUNT_ID: u32 = 0x1000;

/// Answers at once where the inode can be seen from outside; else lets the kernel answer and corrects it.
pub fn statx(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    let (flags, mask, buffer) = (call.arg(2) as u32, call.arg(3) as u32, call.arg(4));
    let known = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT | SYNC;
    if flags & !known != 0 || flags & SYNC == SYNC || mask & RESERVED != 0 {
        return Verdict::Amend(correct);
    }
    let place = Place::at(call.arg(0), call.arg(1), flags);
    match inode::sight_to_read(guest, place, flags & SYNC, mask | MOUNT_ID) {
        Some(Ok(mut seen)) => match show(guest, place, flags & SYNC, &mut seen) {
            Ok(true) => Verdict::Reply(guest.write(buffer, &seen).map(|()| 0)),
            Ok(false) => Verdict::Amend(correct),
            Err(errno) => Verdict::Reply(Err(errno)),
        },
        Some(Err(errno)) => Verdict::Reply(Err(errno)),
        None => Verdict::Amend(correct),
    }
}

/// Corrects what was seen, unless its inode cannot be told or is gone by now.
fn show(
    guest: &mut dyn Guest,
    place: Place,
    flags: u32,
    seen: &mut [u8; Statx::SIZE],
) -> Result<bool, Errno> {
    let mut statx = Statx::parse(seen);
    if statx.mask & TOLD != TOLD && !guest.ownership().is_empty() {
        // The guest has asked for too little. Filesystems tell all but the birth time whatever is asked.
        let Some(Ok(whole)) = inode::sight(guest, place, flags, Statx::MASK) else { return Ok(false) };
        let whole = Statx::parse(&whole);
        if Identity::of(&whole).inode() != Identity::of(&statx).inode() || whole.ctime != statx.ctime {
            return Ok(false);
        }
        statx = whole;
    }
    let fact = inode::fact_of_seen(guest, place, &statx)?;
    if fact.is_none() && guest.ownership().has_outlived(Identity::of(&statx)) {
        return Ok(false);
    }
    nodes::told(guest, fact.and_then(|fact| fact.device), Some(place));
    guest.ownership().enter(&statx, guest.view());
    stat::patch(guest, &STATX, seen, fact);
    Ok(true)
}

fn correct(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    let value = result?;
    let call = *guest.call();
    let buffer = call.arg(4);
    let mut bytes = [0; Statx::SIZE];
    guest.read(buffer, &mut bytes)?;
    let place = Place::at(call.arg(0), call.arg(1), call.int(2) as u32);
    let fact = fact_of(guest, &Statx::parse(&bytes), place)?;
    nodes::told(guest, fact.and_then(|fact| fact.device), Some(place));
    stat::overwrite(guest, &STATX, &mut bytes, fact, buffer)?;
    Ok(value)
}

/// The fact about the inode. A guest may have asked for too little to tell which it is: then a second
/// statx is asked for everything.
fn fact_of(guest: &mut dyn Guest, statx: &Statx, place: Place) -> Result<Option<Fact>, Errno> {
    if guest.ownership().is_empty() {
        return Ok(None);
    }
    let identity = Identity::of(statx);
    if statx.mask & TOLD == TOLD && !guest.ownership().is_unread(identity.inode(), Some(statx.ctime)) {
        return Ok(inode::attributes(guest, statx).0);
    }
    stat::fact_of(guest, &statx.reported(), place)
}

#[cfg(test)]
mod tests;
