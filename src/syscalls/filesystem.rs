//! Which filesystem an inode is on.
//!
//! The tracer asks by the path with which it has just seen the inode; where there is none, the guest is made to
//! ask. It holds no more than one descriptor for that, and none that its own threads could not close.

use super::inode::{AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, inode, kernel};
use crate::abi::stat::Statx;
use crate::abi::statfs::Statfs;
use crate::abi::{Abi, Errno};
use crate::ownership::{Filesystem, reach};

/// Finds it out where it has to be known. An inode whose filesystem cannot be found out is kept nowhere.
pub fn find(guest: &mut dyn Guest, place: Place, statx: &Statx) {
    if !guest.ownership().wants_filesystem(statx) {
        return;
    }
    let outside = guest.seen(place).and_then(|path| reach::statfs(&path).ok());
    let found = match outside {
        Some(statfs) => Ok(statfs),
        None => ask(guest, place),
    };
    if let Ok(statfs) = found {
        guest.ownership().know_filesystem(statx, Filesystem::of(statfs, statx.dev));
    }
}

/// Makes the guest ask.
fn ask(guest: &mut dyn Guest, place: Place) -> Result<Statfs, Errno> {
    const O_PATH: u64 = 0o10_000_000;
    const O_CLOEXEC: u64 = 0o2_000_000;
    if let Place::Descriptor(descriptor) = place {
        return by_descriptor(guest, descriptor);
    }
    let (directory, path, flags) = place.spell(guest)?;
    if inode::string(guest, path)?.is_empty() && directory as u32 != inode::AT_FDCWD as u32 {
        return by_descriptor(guest, directory);
    }
    let no_follow = flags & AT_SYMLINK_NOFOLLOW != 0;
    let no_follow = if no_follow { u64::from(guest.call().abi.no_follow()) } else { 0 };
    let opened = guest.inject(&kernel::OPENAT, [directory, path, O_PATH | O_CLOEXEC | no_follow, 0, 0, 0])?;
    let found = by_descriptor(guest, opened);
    guest.inject(&kernel::CLOSE, [opened, 0, 0, 0, 0, 0])?;
    found
}

/// Of an open file.
fn by_descriptor(guest: &mut dyn Guest, descriptor: u64) -> Result<Statfs, Errno> {
    let (abi, scratch) = (guest.call().abi, guest.scratch()?);
    let size = Statfs::size(abi);
    let args = match abi {
        Abi::I386 => [descriptor, size as u64, scratch, 0, 0, 0],
        Abi::X86_64 | Abi::Aarch64 => [descriptor, scratch, 0, 0, 0, 0],
    };
    guest.inject(&kernel::FSTATFS, args)?;
    let mut bytes = [0; Statfs::LARGEST];
    let bytes = bytes.get_mut(..size).unwrap_or_default();
    guest.read(scratch, bytes)?;
    Ok(Statfs::parse(abi, bytes))
}
