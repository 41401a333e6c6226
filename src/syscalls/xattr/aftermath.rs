//! What a chmod or a chown does to attributes of which the kernel has no part: those of others' inodes.

use super::class::ACCESS;
use crate::abi::stat::Statx;
use crate::abi::{Errno, acl};
use crate::ownership::{Attributes, CAPABILITY, CAPABILITY_NAME, Extra, Identity};
use crate::syscalls::inode::{self, Place};
use crate::syscalls::{Guest, attributes, home};

/// A chmod changes the list too (`posix_acl_chmod`).
///
/// # Errors
/// As [`home::remember_extras`].
pub fn of_chmod(guest: &mut dyn Guest, place: Place, statx: &Statx, mode: u16) -> Result<(), Errno> {
    if !guest.ownership().may_have_foreign_extras() {
        return Ok(());
    }
    let extras = guest.ownership().extras(Identity::of(statx));
    let Some(Extra::Whole(list)) = extras.get(ACCESS) else { return Ok(()) };
    let changed = acl::bytes(&acl::after_chmod(&acl::parse(list).unwrap_or_default(), mode));
    home::remember_extras(guest, place, statx, true, |extras| {
        extras.set(ACCESS, Some(Extra::Whole(changed.clone())));
        Ok(())
    })
}

/// A chown takes the capabilities of what is no directory (`chown_common`, `cap_inode_killpriv`).
///
/// # Errors
/// As [`home::remember_extras`].
pub fn of_chown(guest: &mut dyn Guest, place: Place, statx: &Statx, seen: Attributes) -> Result<(), Errno> {
    if seen.is_directory() || inode::known(statx).is_ours(guest.view()) && !guest.view().lacks_privilege() {
        return Ok(()); // the kernel has done it
    }
    let stays = matches!(attributes::get(guest, place, CAPABILITY_NAME), Ok(_) | Err(Errno::EOVERFLOW));
    let known = guest.ownership().extras(Identity::of(statx)).get(CAPABILITY).cloned();
    let now = stays.then_some(Extra::Gone);
    if known == now {
        return Ok(());
    }
    home::remember_extras(guest, place, statx, true, |extras| {
        extras.set(CAPABILITY, now.clone());
        Ok(())
    })
}
