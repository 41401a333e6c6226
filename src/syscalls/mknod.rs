//! mknod(2): devices as placeholders, everything else as any new file.

use super::create::{self, names};
use super::inode::{self, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Stage, Test, Verdict, kernel, nodes, undo};
use crate::abi::stat::{PERMISSIONS, S_IFBLK, S_IFCHR, S_IFMT, S_IFREG};
use crate::abi::{DeviceNumber, SysResult};
use crate::cred::Cap;
use crate::ownership::{Attributes, Device};

/// Stops of mknod(path, mode, device).
pub const STOPS: &[(Stage, Test)] = &[
    (Stage::Base, Test::DeviceNode { mode: 1, dev: 2 }),
    (Stage::Identity, Test::Always),
    (Stage::Ownership, Test::Always),
];

/// Stops of mknodat(directory, path, mode, device).
pub const STOPS_AT: &[(Stage, Test)] = &[
    (Stage::Base, Test::DeviceNode { mode: 2, dev: 3 }),
    (Stage::Identity, Test::Always),
    (Stage::Ownership, Test::Always),
];

/// mknod(2), mknodat(2): mode and device follow the path.
///
/// A device needs `CAP_MKNOD`; without it the kernel says what is wrong, and it says so in the right
/// order, since it never lets a user namespace make one. With it the kernel makes a regular file with
/// the same permissions, less the umask, and the device is remembered.
pub fn mknod<const DIRECTORY: usize, const PATH: usize>(guest: &mut dyn Guest) -> Verdict {
    let mode = guest.call().arg(PATH + 1) as u16;
    if device::<PATH>(guest).is_none() {
        return create::make::<DIRECTORY, PATH>(guest);
    }
    if !guest.credentials().has(Cap::MKNOD) {
        return Verdict::Run;
    }
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    let placeholder = u64::from(S_IFREG | (mode & PERMISSIONS));
    Verdict::Replace(&kernel::MKNODAT, [directory, path, placeholder, 0, 0, 0], made::<DIRECTORY, PATH>)
}

/// The device that the call is to make; `None` for what the kernel makes itself, a whiteout (the
/// character device 0:0) among them.
fn device<const PATH: usize>(guest: &dyn Guest) -> Option<Device> {
    let call = guest.call();
    let DeviceNumber { major, minor } = DeviceNumber::decode(call.arg(PATH + 2) as u32);
    match call.arg(PATH + 1) as u16 & S_IFMT {
        S_IFBLK => Some(Device { block: true, major, minor }),
        S_IFCHR if (major, minor) != (0, 0) => Some(Device { block: false, major, minor }),
        _ => None,
    }
}

/// The placeholder has been made.
fn made<const DIRECTORY: usize, const PATH: usize>(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    result?;
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    let device = device::<PATH>(guest);
    let made = Place::at(directory, path, AT_SYMLINK_NOFOLLOW);
    let parent = Place::Parent { directory, path };
    let asked = guest.call().arg(PATH + 1) as u16;
    let kept =
        inode::remember_new(guest, made, asked, |_| Some(parent), |shown| Attributes { device, ..shown });
    undo::made(guest, made, kept)?;
    let path = inode::string(guest, path).unwrap_or_default();
    nodes::made(guest, device, made, &path, Some(parent));
    result
}

#[cfg(test)]
mod tests;
