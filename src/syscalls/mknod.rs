//! mknod(2): devices as placeholders, everything else as any new file.

use super::create::{self, names};
use super::inode::{self, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Stage, Test, Verdict, kernel, nodes, undo};
use crate::abi::stat::{PERMISSIONS, S_IFBLK, S_IFCHR, S_IFMT, S_IFREG};
use crate::abi::{DeviceNumber, Errno, SysResult};
use crate::cred::Cap;
use crate::ownership::{Attributes, Device};

const O_WRONLY: u64 = 1;
const O_CLOEXEC: u64 = 0o2_000_000;
/// With `O_DIRECTORY`, as open(2) has it.
const O_TMPFILE: u64 = 0o20_200_000;

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
/// the same permissions, less the umask, and the device is remembered. The file gets its name last, so that nobody sees it
/// before it is a device; where it cannot be without a name (`O_TMPFILE`), or get this one, the kernel makes it by name.
pub fn mknod<const DIRECTORY: usize, const PATH: usize>(guest: &mut dyn Guest) -> Verdict {
    let mode = guest.call().arg(PATH + 1) as u16;
    let Some(device) = device::<PATH>(guest) else {
        return create::make::<DIRECTORY, PATH>(guest);
    };
    let may = guest.credentials().has(Cap::MKNOD);
    if !may && guest.view().is_of_all_ids() {
        return Verdict::Reply(Err(Errno::EPERM)); // a real root's kernel would make it
    }
    if !may {
        return Verdict::Run;
    }
    if guest.view().is_of_all_ids() {
        return Verdict::Amend(made_by_real_root::<DIRECTORY, PATH>);
    }
    if let Some(result) = made_whole::<DIRECTORY, PATH>(guest, device) {
        return Verdict::Reply(result);
    }
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    let placeholder = u64::from(S_IFREG | (mode & PERMISSIONS));
    Verdict::Replace(&kernel::MKNODAT, [directory, path, placeholder, 0, 0, 0], made::<DIRECTORY, PATH>)
}

/// A real root's kernel makes the device itself; where it must not, in a container, a placeholder stands for it.
fn made_by_real_root<const DIRECTORY: usize, const PATH: usize>(
    guest: &mut dyn Guest,
    result: SysResult,
) -> SysResult {
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    let asked = guest.call().arg(PATH + 1) as u16;
    if result == Err(Errno::EPERM) {
        let placeholder = u64::from(S_IFREG | (asked & PERMISSIONS));
        let result = guest.inject(&kernel::MKNODAT, [directory, path, placeholder, 0, 0, 0]);
        return made::<DIRECTORY, PATH>(guest, result);
    }
    result?;
    let made = Place::at(directory, path, AT_SYMLINK_NOFOLLOW);
    let kept =
        inode::remember_new(guest, made, asked, |_| Some(Place::Parent { directory, path }), |shown| shown);
    undo::made(guest, made, kept)?;
    result
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

/// Makes the placeholder without a name and gives it that in the end; `None` where the kernel is to say what is wrong with
/// the path, or to make it by name.
fn made_whole<const DIRECTORY: usize, const PATH: usize>(
    guest: &mut dyn Guest,
    device: Device,
) -> Option<SysResult> {
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    let asked = guest.call().arg(PATH + 1) as u16;
    if inode::look(guest, Place::at(directory, path, AT_SYMLINK_NOFOLLOW)) != Err(Errno::ENOENT) {
        return None;
    }
    let parent = Place::Parent { directory, path };
    let (from, its_path, _) = parent.spell(guest).ok()?;
    let (how, mode) = (O_TMPFILE | O_WRONLY | O_CLOEXEC, u64::from(asked & PERMISSIONS));
    let open = guest.inject(&kernel::OPENAT, [from, its_path, how, mode, 0, 0]).ok()?;
    let made = Place::Descriptor(open);
    let complete = |shown| Attributes { device: Some(device), ..shown };
    let kept = inode::remember_new(guest, made, asked, |_| Some(parent), complete);
    let result = match kept {
        Ok(()) => {
            let path = inode::string(guest, path).unwrap_or_default();
            nodes::made(guest, Some(device), made, &path, Some(parent));
            named::<DIRECTORY, PATH>(guest, open).then_some(Ok(0))
        }
        Err(errno) => Some(Err(errno)),
    };
    let _ = guest.inject(&kernel::CLOSE, [open, 0, 0, 0, 0, 0]); // nothing was written to it
    result
}

/// Gives what is open the name of the call at hand; by its path in `/proc` before Linux 6.10, where else a capability is asked for.
fn named<const DIRECTORY: usize, const PATH: usize>(guest: &mut dyn Guest, open: u64) -> bool {
    const AT_SYMLINK_FOLLOW: u64 = 0x400;
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    let Ok((from, empty, flags)) = Place::Descriptor(open).spell(guest) else { return false };
    let outcome = guest.inject(&kernel::LINKAT, [from, empty, directory, path, flags.into(), 0]);
    if outcome != Err(Errno::ENOENT) {
        return outcome.is_ok();
    }
    let name = format!("/proc/self/fd/{open}");
    let Some(Place::Path { directory: from, path: name, .. }) =
        inode::place_in_scratch(guest, AT_FDCWD, name.as_bytes(), 0)
    else {
        return false;
    };
    guest.inject(&kernel::LINKAT, [from, name, directory, path, AT_SYMLINK_FOLLOW, 0]).is_ok()
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
