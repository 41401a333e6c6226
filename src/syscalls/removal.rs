//! Calls that take names away, where it is to be told in the end what still exists: an inode whose last
//! name went is told of no more, though a descriptor may keep it alive.
//!
//! What it was is looked at before; the kernel's call is made in the handler, so that nothing has to be
//! carried to an exit stop.

use super::inode::{self, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Verdict, kernel};
use crate::abi::KernelCall;
use crate::abi::stat::{S_IFDIR, S_IFMT, Statx};
use crate::ownership::Identity;

/// unlinkat(2) of a directory.
const AT_REMOVEDIR: u64 = 0x200;
/// renameat2(2) that changes two names for each other.
const RENAME_EXCHANGE: u64 = 2;

/// unlink(2).
pub fn unlink(guest: &mut dyn Guest) -> Verdict {
    let path = guest.call().arg(0);
    take(guest, [AT_FDCWD, path], &kernel::UNLINKAT, [AT_FDCWD, path, 0, 0, 0, 0])
}

/// rmdir(2).
pub fn rmdir(guest: &mut dyn Guest) -> Verdict {
    let path = guest.call().arg(0);
    take(guest, [AT_FDCWD, path], &kernel::UNLINKAT, [AT_FDCWD, path, AT_REMOVEDIR, 0, 0, 0])
}

/// unlinkat(2).
pub fn unlinkat(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    take(guest, [call.arg(0), call.arg(1)], &kernel::UNLINKAT, call.args)
}

/// rename(2): what had the new name loses it.
pub fn rename(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    let args = [AT_FDCWD, call.arg(0), AT_FDCWD, call.arg(1), 0, 0];
    take(guest, [AT_FDCWD, call.arg(1)], &kernel::RENAMEAT2, args)
}

/// renameat(2).
pub fn renameat(guest: &mut dyn Guest) -> Verdict {
    let [old_directory, old, directory, path, ..] = guest.call().args;
    take(guest, [directory, path], &kernel::RENAMEAT2, [old_directory, old, directory, path, 0, 0])
}

/// renameat2(2).
pub fn renameat2(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    if call.arg(4) & RENAME_EXCHANGE != 0 {
        return Verdict::Run;
    }
    take(guest, [call.arg(2), call.arg(3)], &kernel::RENAMEAT2, call.args)
}

/// Makes a call that takes the name at `path` away from the inode that has it.
fn take(
    guest: &mut dyn Guest,
    [directory, path]: [u64; 2],
    call: &'static KernelCall,
    args: [u64; 6],
) -> Verdict {
    if guest.sandboxed() || !guest.ownership().records_all() {
        return Verdict::Run;
    }
    let place = Place::at(directory, path, AT_SYMLINK_NOFOLLOW);
    let last = inode::inspect(guest, place).ok().filter(is_last).map(|statx| Identity::of(&statx));
    let result = guest.inject(call, args);
    if let (Ok(_), Some(gone)) = (result, last)
        // A file renamed to its own name keeps it.
        && inode::look(guest, place).map(|statx| Identity::of(&statx)) != Ok(gone)
    {
        guest.ownership().forget(gone);
    }
    Verdict::Reply(result)
}

/// Whether the inode has no other name. Directories count their children's too, or none at all.
fn is_last(statx: &Statx) -> bool {
    statx.links <= 1 || statx.mode & S_IFMT == S_IFDIR
}

#[cfg(test)]
mod tests;
