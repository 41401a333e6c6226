//! chmod(2) and its relatives.
//!
//! The kernel sets the mode; the emulated credentials decide who may, and whether `S_ISGID` stays. On
//! an inode that is not ours the kernel refuses: then the mode is remembered.

use super::inode::{self, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Share, Verdict, access, kernel, undo, xattr};
use crate::abi::stat::{PERMISSIONS, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, Statx};
use crate::abi::{Errno, KernelCall, SysResult};
use crate::ownership::{Attributes, rules};

/// chmod(2).
pub fn chmod(guest: &mut dyn Guest) -> Verdict {
    let place = Place::path(guest.call().arg(0));
    set(guest, place, 1)
}

/// fchmod(2).
pub fn fchmod(guest: &mut dyn Guest) -> Verdict {
    let place = Place::Descriptor(guest.call().arg(0));
    set(guest, place, 1)
}

/// fchmodat(2) as a syscall: without flags.
pub fn fchmodat(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    set(guest, Place::at(call.arg(0), call.arg(1), 0), 2)
}

/// fchmodat2(2).
pub fn fchmodat2(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    let flags = call.arg(3) as u32;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Verdict::Reply(Err(Errno::EINVAL)); // do_fchmodat looks at the flags first
    }
    if call.arg(1) == 0 {
        return Verdict::Reply(Err(Errno::EFAULT)); // only a stat takes no path for an empty one
    }
    set(guest, Place::at(call.arg(0), call.arg(1), flags), 2)
}

/// The whole call; the mode is argument `index`.
fn set(guest: &mut dyn Guest, place: Place, index: usize) -> Verdict {
    let mode = guest.call().arg(index) as u16 & PERMISSIONS;
    let statx = match inode::inspect(guest, place) {
        Ok(statx) => statx,
        Err(Errno::EPERM) if inode::is_out_of_sight(guest, place) => return Verdict::Run,
        Err(errno) => return Verdict::Reply(Err(errno)),
    };
    if statx.mode & S_IFMT == S_IFLNK || inode::is_fleeting(guest, &statx) {
        return Verdict::Run; // nobody may, and the kernel says so before it asks who
    }
    let (fact, before) = inode::attributes(guest, &statx);
    let flags = inode::flags(&statx, &before);
    let Ok(allowed) = rules::chmod(&guest.credentials(), before, flags, mode) else {
        return Verdict::Reply(Err(inode::refusal(guest, place, Errno::EPERM)));
    };
    let ours = inode::known(&statx).is_ours(guest.view());
    let recorded = guest.ownership().records_all()
        || rules::loses_set_id(&before.with_permissions(mode))
        || access::on_disk(guest, statx.mode, mode) != mode;
    if fact.is_none() && ours && allowed == mode && !recorded && !may_be_copied_up(guest, &statx) {
        return Verdict::Run;
    }
    Verdict::Reply(set_to(guest, place, statx, before, allowed))
}

/// Has the kernel set `mode`, and remembers what it did not.
fn set_to(guest: &mut dyn Guest, place: Place, statx: Statx, before: Attributes, mode: u16) -> SysResult {
    let whole = access::on_disk(guest, statx.mode, mode);
    if !guest.stands_in(place) {
        match by_the_kernel(guest, place, whole) {
            Ok(()) => {}
            Err(Errno::EPERM | Errno::EOVERFLOW) if !inode::known(&statx).is_ours(guest.view()) => {
                let _ = inode::touch(guest, place); // that the kernel cannot even move ctime matters to nobody
            }
            Err(errno) => return Err(errno),
        }
    }
    // The kernel leaves out S_ISGID where it does not know the group, and all where it refused.
    let now = inode::look(guest, place)?;
    guest.ownership().note_copied(&statx, &now);
    let kept = inode::remember_after(guest, place, &now, before, |shown| shown.with_permissions(mode));
    undo::mode(guest, place, &statx, kept)?;
    xattr::of_chmod(guest, place, &now, mode).map(|()| 0)
}

/// Whether an overlay may make another inode of it, and an owner that it is given later could be kept only by
/// its number.
fn may_be_copied_up(guest: &dyn Guest, statx: &Statx) -> bool {
    guest.ownership().keeps_beside() && !matches!(statx.mode & S_IFMT, S_IFREG | S_IFDIR)
}

/// Has the kernel set a mode.
///
/// # Errors
/// The kernel's.
pub(super) fn by_the_kernel(guest: &mut dyn Guest, place: Place, mode: u16) -> Result<(), Errno> {
    if let Some(made) = guest.make(place, Share::Mode(mode)) {
        return made;
    }
    let (call, args) = kernels(place, mode);
    guest.inject(call, args).map(drop)
}

/// The kernel's call for a place that a call has named.
pub(super) const fn kernels(place: Place, mode: u16) -> (&'static KernelCall, [u64; 6]) {
    let mode = mode as u64;
    match place {
        Place::Descriptor(descriptor) => (&kernel::FCHMOD, [descriptor, mode, 0, 0, 0, 0]),
        Place::Path { directory, path, flags: 0 } | Place::Parent { directory, path } => {
            (&kernel::FCHMODAT, [directory, path, mode, 0, 0, 0])
        }
        Place::Path { directory, path, flags } => {
            (&kernel::FCHMODAT2, [directory, path, mode, flags as u64, 0, 0])
        }
    }
}

#[cfg(test)]
mod tests;
