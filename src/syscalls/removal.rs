//! Calls that take names away.
//!
//! A process that has dropped may be kept from it by a [`sticky`] bit, and makes whiteouts of its own. Where it
//! is to be told in the end what still exists, an inode whose last name went is told of no more, though a
//! descriptor may keep it alive: what it was is looked at before, and the kernel's call is made in the
//! handler, so that nothing has to be carried to an exit stop.

use std::path::PathBuf;

use super::inode::{self, AT_FDCWD, AT_REMOVEDIR, AT_SYMLINK_NOFOLLOW, Place};
use super::sticky::{self, Name, RENAME_EXCHANGE, RENAME_WHITEOUT};
use super::{Guest, Verdict, create, frozen, home, kernel};
use crate::abi::stat::{S_IFDIR, S_IFMT, Statx};
use crate::abi::{Errno, KernelCall};
use crate::ownership::Identity;

/// unlink(2).
pub fn unlink(guest: &mut dyn Guest) -> Verdict {
    let path = guest.call().arg(0);
    remove(guest, [AT_FDCWD, path], 0)
}

/// rmdir(2).
pub fn rmdir(guest: &mut dyn Guest) -> Verdict {
    let path = guest.call().arg(0);
    remove(guest, [AT_FDCWD, path], AT_REMOVEDIR)
}

/// unlinkat(2).
pub fn unlinkat(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    remove(guest, [call.arg(0), call.arg(1)], call.arg(2))
}

fn remove(guest: &mut dyn Guest, name: Name, flags: u64) -> Verdict {
    let is_rmdir = flags as u32 == AT_REMOVEDIR as u32;
    if frozen::refuses_removal(guest, name) {
        return Verdict::Reply(Err(Errno::EPERM));
    }
    if (is_rmdir || flags as u32 == 0)
        && let Some(errno) = sticky::refuses_removal(guest, name, is_rmdir)
    {
        return Verdict::Reply(Err(errno));
    }
    take(guest, name, None, &kernel::UNLINKAT, [name[0], name[1], flags, 0, 0, 0])
}

/// rename(2): what had the new name loses it.
pub fn rename(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    change(guest, [AT_FDCWD, call.arg(0)], [AT_FDCWD, call.arg(1)], 0)
}

/// renameat(2).
pub fn renameat(guest: &mut dyn Guest) -> Verdict {
    let [old_directory, old, directory, path, ..] = guest.call().args;
    change(guest, [old_directory, old], [directory, path], 0)
}

/// renameat2(2).
pub fn renameat2(guest: &mut dyn Guest) -> Verdict {
    let [old_directory, old, directory, path, flags, _] = guest.call().args;
    change(guest, [old_directory, old], [directory, path], flags)
}

fn change(guest: &mut dyn Guest, old: Name, new: Name, flags: u64) -> Verdict {
    if frozen::refuses_rename(guest, old, new) {
        return Verdict::Reply(Err(Errno::EPERM));
    }
    if let Some(errno) = sticky::refuses_rename(guest, old, new, flags) {
        return Verdict::Reply(Err(errno));
    }
    if flags & RENAME_WHITEOUT != 0 && !guest.ownership().records_all() {
        if are_one(guest, old, new) {
            return Verdict::Run; // nothing is moved, and nothing made
        }
        return create::make::<0, 1>(guest); // at the old name
    }
    if flags & RENAME_EXCHANGE != 0 {
        return Verdict::Run;
    }
    take(guest, new, Some(old), &kernel::RENAMEAT2, [old[0], old[1], new[0], new[1], flags, 0])
}

/// Whether two names are the same inode's.
fn are_one(guest: &mut dyn Guest, old: Name, new: Name) -> bool {
    let [Ok(old), Ok(new)] = [old, new]
        .map(|[directory, path]| inode::inspect(guest, Place::at(directory, path, AT_SYMLINK_NOFOLLOW)))
    else {
        return false;
    };
    Identity::of(&old) == Identity::of(&new)
}

/// Makes a call that takes a name away from the inode that has it, and may give it to the one that is `moved`.
fn take(
    guest: &mut dyn Guest,
    name: Name,
    moved: Option<Name>,
    call: &'static KernelCall,
    args: [u64; 6],
) -> Verdict {
    let listed = guest.ownership().records_all();
    if !listed && !guest.ownership().keeps_beside() || !guest.may(call, args) {
        return Verdict::Run;
    }
    let place = Place::at(name[0], name[1], AT_SYMLINK_NOFOLLOW);
    let last = look(guest, place).filter(is_last);
    let named = last.is_some_and(|last| guest.ownership().is_named(&last));
    let last = last.map(|statx| Identity::of(&statx));
    let told = last.is_some_and(|last| guest.ownership().tells_of(last));
    let moved = moved.and_then(|old| Moved::of(guest, old));
    if !listed && !told && !named && moved.is_none() {
        return Verdict::Run;
    }
    let path = named.then(|| home::whole_path(guest, place)).flatten();
    let result = guest.inject(call, args);
    let after = if result.is_ok() { inode::look(guest, place).ok() } else { None };
    if let (Ok(_), Some(gone)) = (result, last)
        // A file renamed to its own name keeps it.
        && after.map(|statx| Identity::of(&statx)) != Some(gone)
    {
        guest.ownership().forget(gone);
        if let Some(path) = path {
            guest.ownership().note_gone(&path);
        }
    }
    if let (Some(moved), Some(after)) = (moved, after) {
        moved.note(guest, place, &after);
    }
    Verdict::Reply(result)
}

/// An inode; what is known of it, too, where that matters.
fn look(guest: &mut dyn Guest, place: Place) -> Option<Statx> {
    let look = if guest.ownership().notes_names() { inode::inspect } else { inode::look };
    look(guest, place).ok()
}

/// An inode that gets another name, of which, or of what is in it, something may be noted by path.
struct Moved {
    statx: Statx,
    path: PathBuf,
}

impl Moved {
    fn of(guest: &mut dyn Guest, [directory, path]: Name) -> Option<Moved> {
        if !guest.ownership().notes_names() {
            return None;
        }
        let place = Place::at(directory, path, AT_SYMLINK_NOFOLLOW);
        let statx = look(guest, place)?;
        let matters = guest.ownership().is_named(&statx) || statx.mode & S_IFMT == S_IFDIR;
        let path = matters.then(|| home::whole_path(guest, place)).flatten()?;
        Some(Moved { statx, path })
    }

    /// It has the name at `place` from now on, if `after` stands there.
    fn note(self, guest: &mut dyn Guest, place: Place, after: &Statx) {
        if Identity::of(&self.statx) != Identity::of(after) {
            return;
        }
        if self.statx.mode & S_IFMT != S_IFDIR {
            guest.ownership().note_gone(&self.path);
            home::note_name(guest, place, after);
        } else if let Some(new) = home::whole_path(guest, place) {
            guest.ownership().note_moved(&self.path, &new);
        }
    }
}

/// Whether the inode has no other name. Directories count their children's too, or none at all.
fn is_last(statx: &Statx) -> bool {
    statx.links <= 1 || statx.mode & S_IFMT == S_IFDIR
}

#[cfg(test)]
mod tests;
