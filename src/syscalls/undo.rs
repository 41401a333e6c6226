//! Taking back the kernel's share of a call whose other share could not be kept, for want of room: the guest is
//! told that the call failed, so nothing of it may stay.

use super::inode::{self, AT_REMOVEDIR, Place};
use super::{Guest, chmod, kernel};
use crate::abi::Errno;
use crate::abi::stat::{S_IFDIR, S_IFLNK, S_IFMT, Statx};

/// Takes away what has just been made at a path, where its owner could not be kept.
///
/// # Errors
/// That of `kept`.
pub fn made(guest: &mut dyn Guest, made: Place, kept: Result<(), Errno>) -> Result<(), Errno> {
    if kept.is_err()
        && let Place::Path { directory, path, .. } = made
        && let Ok(statx) = inode::look(guest, made)
    {
        let how = if statx.mode & S_IFMT == S_IFDIR { AT_REMOVEDIR } else { 0 };
        let _ = guest.inject(&kernel::UNLINKAT, [directory, path, how, 0, 0, 0]); // kept: says why
    }
    kept
}

/// The same of a file that is open too.
///
/// # Errors
/// As [`made`].
pub fn opened(
    guest: &mut dyn Guest,
    descriptor: u64,
    name: Option<Place>,
    kept: Result<(), Errno>,
) -> Result<(), Errno> {
    if kept.is_err() {
        let _ = guest.inject(&kernel::CLOSE, [descriptor, 0, 0, 0, 0, 0]); // as above
    }
    name.map_or(kept, |name| made(guest, name, kept))
}

/// Gives an inode back the mode that it had before the kernel's share, where the rest could not be kept.
///
/// # Errors
/// As [`made`].
pub fn mode(
    guest: &mut dyn Guest,
    place: Place,
    before: &Statx,
    kept: Result<(), Errno>,
) -> Result<(), Errno> {
    if kept.is_err()
        && before.mode & S_IFMT != S_IFLNK
        && inode::look(guest, place).is_ok_and(|now| now.mode != before.mode)
    {
        let (call, args) = chmod::kernels(place, before.mode);
        let _ = guest.inject(call, args); // as above
    }
    kept
}
