//! The permission bits that an inode's owner keeps on the disk.
//!
//! Root reads, writes and searches what no bit permits. Where the kernel knows the guest's root as the plain user who
//! owns the inode, the owner's bits stay on the disk, and the mode that the guest has set is remembered.

use super::inode::{self, Place};
use super::{Finish, Guest, Verdict, chmod};
use crate::abi::Errno;
use crate::abi::stat::{PERMISSIONS, S_IFDIR, S_IFLNK, S_IFMT, Statx};

/// The mode on the disk of an inode of this type where the guest sets `mode`. So it is in a run whose listing is saved too:
/// whoever uses that later is root only to the program.
pub fn on_disk(guest: &dyn Guest, kind: u16, mode: u16) -> u16 {
    let keeps = guest.view().lacks_privilege() || guest.ownership().records_all();
    let is_searched = kind & S_IFMT == S_IFDIR || mode & 0o111 != 0;
    match (keeps, is_searched) {
        (false, _) => mode,
        (true, true) => mode | 0o700,
        (true, false) => mode | 0o600,
    }
}

/// Lets the owner of an inode that the guest has just made use it, where the kernel would not; what it is like then.
pub fn let_owner_in(guest: &mut dyn Guest, place: Place, made: Statx) -> Statx {
    match lent(guest, place, &made) {
        Some(Ok(())) => inode::look(guest, place).unwrap_or(made),
        _ => made,
    }
}

/// The call at hand makes an inode of which nothing else is to be remembered.
pub fn makes(guest: &dyn Guest, make: Finish) -> Verdict {
    if guest.view().lacks_privilege() { Verdict::Amend(make) } else { Verdict::Run }
}

/// It has made it.
///
/// # Errors
/// As [`inode::remember`].
pub fn made(guest: &mut dyn Guest, place: Place) -> Result<(), Errno> {
    let Ok(made) = inode::look(guest, place) else { return Ok(()) };
    let now = let_owner_in(guest, place, made);
    if now.mode == made.mode {
        return Ok(());
    }
    inode::remember(guest, place, &now, |shown| shown.with_permissions(made.mode & PERMISSIONS))
}

/// Does something about an inode for which the kernel asks the owner's bits. Where they lack, they are there meanwhile.
///
/// # Errors
/// What it gives.
pub fn as_root<T>(
    guest: &mut dyn Guest,
    place: Place,
    act: impl Fn(&mut dyn Guest) -> Result<T, Errno>,
) -> Result<T, Errno> {
    let refused = act(guest);
    if !matches!(refused, Err(Errno::EACCES)) || !guest.view().lacks_privilege() {
        return refused;
    }
    let Ok(before) = inode::look(guest, place) else { return refused };
    match lent(guest, place, &before) {
        Some(Ok(())) => {}
        _ => return refused,
    }
    let outcome = inode::look(guest, place).and_then(|_| act(guest));
    let _ = chmod::by_the_kernel(guest, place, before.mode & PERMISSIONS); // it could be changed a moment ago
    outcome
}

/// Gives the owner what the disk does not; `None` where nothing lacks, or the inode is not ours.
fn lent(guest: &mut dyn Guest, place: Place, statx: &Statx) -> Option<Result<(), Errno>> {
    let (kind, mode) = (statx.mode & S_IFMT, statx.mode & PERMISSIONS);
    let lends = guest.view().lacks_privilege() && statx.uid == guest.view().kernel_uid && kind != S_IFLNK;
    let whole = on_disk(guest, kind, mode);
    (lends && whole != mode).then(|| chmod::by_the_kernel(guest, place, whole))
}
