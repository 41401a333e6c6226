//! Opening what stands for a device gives the container's own device.
//!
//! While there may be any, every open stops that might meet one; [`nodes`](super::nodes) says which these are.
//! Where the tracer can tell by itself what the path names (`Guest::sight`) nothing more is done about the
//! others; else the kernel opens, and the tracer looks at what is open then: one stop more. What an open
//! truncates is looked at before it does, since that would show in the placeholder's times.
//!
//! Where it is a placeholder the guest closes it and opens the device below the container's `/dev`, of
//! which the tracer sends it a descriptor: through a socket that the guest is made to make, so that it
//! works whatever the guest's root, namespaces and ids are. It is the guest that opens, so that flags are
//! its own, and `/dev/tty` is its own terminal.
//!
//! What it costs: no open stops before the first device. debootstrap makes one in its first second, and of
//! its opens 200,000 are a shell's redirections to `/dev/null`, which stop from then on, each once.
//!
//! What differs from real Linux: fstat(2) shows the placeholder only of devices of memory, which bear a label
//! ([`Guest::stick`]); of the others it shows the container's node, with the same type and number, but another
//! inode, owner and permissions, and what changes an inode by descriptor finds that. An open needs one
//! descriptor more for a moment. A guest with a seccomp filter of its own opens the placeholder, as nothing can
//! be done with it, unless that lets it do all this.

use std::ffi::CStr;

use super::inode::{self, Place};
use super::{Finish, Guest, SCRATCH_BYTES, Verdict, frozen, kernel, mounted};
use crate::abi::stat::{S_IFCHR, S_IFMT, S_IFREG, Statx};
use crate::abi::{Errno, SysResult};
use crate::ownership::Device;

const O_CREAT: u32 = 0o100;
const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;
/// Only for an inode's owner, which the guest is not of the host's.
const O_NOATIME: u32 = 0o1_000_000;
const O_PATH: u32 = 0o10_000_000;
const O_CLOEXEC: u32 = 0o2_000_000;
/// `O_DIRECTORY` of x86_64 and i386.
const O_DIRECTORY: u32 = 0o200_000;
/// `O_NOFOLLOW` of x86_64 and i386.
const O_NOFOLLOW: u32 = 0o400_000;
/// Opens with one of these never reach a device.
pub const INERT: u32 = O_PATH | O_DIRECTORY;

/// `/dev/null`.
pub const NULL: Device = Device { block: false, major: 1, minor: 3 };

/// The verdict on an open: where nothing else is to be done about it, `finish` looks at what it opened,
/// unless that can be told before. It is to call [`opened`].
pub fn guard(
    guest: &mut dyn Guest,
    verdict: Verdict,
    place: Option<Place>,
    flags: u32,
    finish: Finish,
) -> Verdict {
    let open = matches!(verdict, Verdict::Run) && flags & INERT == 0;
    let must_be_new = flags & (O_CREAT | O_EXCL) == O_CREAT | O_EXCL;
    let has_devices = guest.ownership().devices().any();
    if !open || must_be_new || !has_devices && !guest.mounted().any() {
        return verdict;
    }
    if !may_open_real(guest) {
        return verdict;
    }
    let Some(place) = place else { return Verdict::Amend(finish) };
    // A link that the call does not follow is not followed by looking either: that sets its atime.
    let place = if flags & O_NOFOLLOW != 0 { place.unfollowed() } else { place };
    let found = match inode::sight(guest, place, 0, Statx::MASK) {
        None if flags & O_TRUNC != 0 => inode::inspect(guest, place).ok(),
        None => return Verdict::Amend(finish),
        Some(seen) => seen.ok().map(|bytes| Statx::parse(&bytes)),
    };
    let Some(found) = found.filter(|found| has_devices && found.mode & S_IFMT == S_IFREG) else {
        return Verdict::Run;
    };
    // What cannot be read is no reason to keep a file from being opened.
    let fact = inode::fact_of_seen(guest, place, &found).ok().flatten();
    match (fact.and_then(|fact| fact.device), place) {
        (Some(_), Place::Path { directory, path, .. }) => {
            let flags = flags & !(O_TRUNC | O_CREAT);
            let result = guest.inject(&kernel::OPENAT, [directory, path, flags.into(), 0, 0, 0]);
            Verdict::Reply(finish(guest, result))
        }
        _ => Verdict::Run,
    }
}

/// What the guest gets for an open of `place` with `flags` that gave `result`.
pub fn opened(guest: &mut dyn Guest, result: SysResult, place: Place, flags: u32) -> SysResult {
    let descriptor = match result {
        Ok(descriptor) => descriptor,
        // A device can be written where its filesystem cannot (`sb_permission`, fs/namei.c).
        Err(Errno::EROFS) => match open_path(guest, place) {
            Ok(descriptor) => descriptor,
            Err(_) => return result,
        },
        Err(_) => return result,
    };
    if result.is_ok() {
        // What cannot be told otherwise is as the kernel has it.
        let _ = mounted::opened(guest, descriptor);
    }
    let found = match guest.observe(descriptor, b"") {
        Err(_) => inode::inspect(guest, Place::Descriptor(descriptor)),
        found => found,
    };
    let device = found.ok().and_then(|found| device(guest, &found));
    if device.is_none() && result.is_ok() {
        return result;
    }
    let real = match device {
        None => Err(Errno::EROFS),
        // `may_open_dev`, fs/namei.c.
        Some(_) if guest.is_nodev(descriptor) => Err(Errno::EACCES),
        Some(device) => guest.real_device(device),
    };
    let none = real.is_err_and(|errno| errno != Errno::EACCES);
    if none && device == Some(NULL) && result.is_ok() {
        // A container without one: an empty file is the next best, and all else would be in the way.
        let _ = guest.inject(&kernel::FTRUNCATE, [descriptor, 0, 0, 0, 0, 0]);
        return result;
    }
    let label = if device.is_some_and(Device::is_memory) { guest.label(descriptor) } else { None };
    guest.inject(&kernel::CLOSE, [descriptor, 0, 0, 0, 0, 0])?;
    let opened = open_real(guest, real?, flags)?;
    if let Some(label) = label {
        guest.stick(opened, label);
    }
    Ok(opened)
}

/// The device that a regular file stands for.
pub fn device(guest: &dyn Guest, found: &Statx) -> Option<Device> {
    if found.mode & S_IFMT != S_IFREG {
        return None;
    }
    inode::attributes(guest, found).0.and_then(|fact| fact.device)
}

fn open_path(guest: &mut dyn Guest, place: Place) -> SysResult {
    let Place::Path { directory, path, .. } = place else { return Err(Errno::EBADF) };
    guest.inject(&kernel::OPENAT, [directory, path, u64::from(O_PATH | O_CLOEXEC), 0, 0, 0])
}

/// Whether filters of the guest's own let it do what [`open_real`] needs.
pub(super) fn may_open_real(guest: &mut dyn Guest) -> bool {
    const NONE: u64 = u32::MAX as u64;
    let calls = [&kernel::SOCKETPAIR, &kernel::RECVMSG, &kernel::OPENAT, &kernel::CLOSE];
    !guest.filtered() || calls.into_iter().all(|call| guest.may(call, [NONE, 0, 0, 0, 0, 0]))
}

/// Opens the container's own device.
pub(super) fn open_real(guest: &mut dyn Guest, name: &CStr, flags: u32) -> SysResult {
    let directory = match borrow(guest, |guest, socket| guest.send_devices(socket)) {
        // A container's profile forbids what it takes (pidfd_getfd(2)).
        Err(Errno::EPERM | Errno::ENOSYS) => own_directory(guest, name)?,
        borrowed => borrowed?,
    };
    let scratch = guest.scratch()?;
    guest.write(scratch, name.to_bytes_with_nul())?;
    let flags = flags & !(O_CREAT | O_EXCL | O_TRUNC | O_NOATIME);
    let opened = guest.inject(&kernel::OPENAT, [directory, scratch, flags.into(), 0, 0, 0]);
    guest.inject(&kernel::CLOSE, [directory, 0, 0, 0, 0, 0])?;
    opened.map_err(|errno| match errno {
        // The container's own is not for us; the kernel's device cgroup says it so.
        Errno::EACCES | Errno::ENOENT => Errno::EPERM,
        errno => errno,
    })
}

/// A descriptor of the guest's own `/dev`, where that has the device as the kernel has it.
fn own_directory(guest: &mut dyn Guest, name: &CStr) -> SysResult {
    const O_DIRECTORY: u32 = 0o200_000;
    const DIRECTORY: &[u8] = b"/dev/";
    let at = |guest: &mut dyn Guest, path: &[u8]| {
        inode::place_in_scratch(guest, inode::AT_FDCWD, path, 0).ok_or(Errno::ENOMEM)
    };
    let device = at(guest, &[DIRECTORY, name.to_bytes()].concat())?;
    if inode::look(guest, device)?.mode & S_IFMT != S_IFCHR {
        return Err(Errno::EPERM);
    }
    let Place::Path { directory, path, .. } = at(guest, DIRECTORY)? else { return Err(Errno::EPERM) };
    let flags = u64::from(O_PATH | O_DIRECTORY | O_CLOEXEC);
    guest.inject(&kernel::OPENAT, [directory, path, flags, 0, 0, 0])
}

/// Where the structures of recvmsg(2) stand in the scratch memory.
const MESSAGE: u64 = 64;
const VECTOR: u64 = 128;
const CONTROL: u64 = 192;
const BYTE: u64 = 256;
const _: () = assert!(BYTE < SCRATCH_BYTES as u64);

/// What the tracer sends through a socket of the guest's, as a descriptor of the guest's.
pub(super) fn borrow(
    guest: &mut dyn Guest,
    send: impl FnOnce(&mut dyn Guest, u64) -> Result<(), Errno>,
) -> SysResult {
    const AF_UNIX: u64 = 1;
    const SOCK_DGRAM_CLOEXEC: u64 = 0o2_000_002;
    let scratch = guest.scratch()?;
    guest.inject(&kernel::SOCKETPAIR, [AF_UNIX, SOCK_DGRAM_CLOEXEC, 0, scratch, 0, 0])?;
    let mut pair = [0; 8];
    guest.read(scratch, &mut pair)?;
    let [ours, theirs] = *pair.as_chunks::<4>().0 else { return Err(Errno::EFAULT) };
    let [ours, theirs] = [ours, theirs].map(|number| u64::from(u32::from_le_bytes(number)));
    let sent = send(guest, theirs);
    guest.inject(&kernel::CLOSE, [theirs, 0, 0, 0, 0, 0])?;
    let received = sent.and_then(|()| receive(guest, scratch, ours));
    guest.inject(&kernel::CLOSE, [ours, 0, 0, 0, 0, 0])?;
    received
}

/// Receives one descriptor from a socket.
fn receive(guest: &mut dyn Guest, scratch: u64, socket: u64) -> SysResult {
    const MSG_DONTWAIT_CMSG_CLOEXEC: u64 = 0x4000_0040;
    let word = guest.call().abi.word();
    let header = 2 * size_of::<u32>() + word;
    let control = (header + size_of::<u32>()).next_multiple_of(word);
    let words = |values: &[u64]| -> Vec<u8> {
        values.iter().flat_map(|value| value.to_le_bytes().into_iter().take(word)).collect()
    };
    guest.write(scratch + VECTOR, &words(&[scratch + BYTE, 1]))?;
    guest.write(scratch + CONTROL, &[0; 32])?;
    // struct msghdr: no name; one vector; room for one descriptor; flags.
    let message = [0, 0, scratch + VECTOR, 1, scratch + CONTROL, control as u64, 0];
    guest.write(scratch + MESSAGE, &words(&message))?;
    let flags = MSG_DONTWAIT_CMSG_CLOEXEC;
    guest.inject(&kernel::RECVMSG, [socket, scratch + MESSAGE, flags, 0, 0, 0])?;
    let (mut length, mut number) = ([0; 4], [0; 4]);
    guest.read(scratch + CONTROL, &mut length)?;
    guest.read(scratch + CONTROL + header as u64, &mut number)?;
    // A guest out of descriptors gets the byte alone.
    if u32::from_le_bytes(length) as usize != header + size_of::<u32>() {
        return Err(Errno::EMFILE);
    }
    Ok(u32::from_le_bytes(number).into())
}

/// truncate(2) and its 64-bit form on i386: `vfs_truncate`, fs/open.c.
pub fn truncate(guest: &mut dyn Guest) -> Verdict {
    let place = Place::path(guest.call().arg(0));
    if frozen::refuses_truncation(guest, place) {
        return Verdict::Reply(Err(Errno::EPERM));
    }
    if !guest.ownership().devices().any() {
        return Verdict::Run;
    }
    match inode::inspect(guest, place) {
        Ok(found) if device(guest, &found).is_some() => Verdict::Reply(Err(Errno::EINVAL)),
        _ => Verdict::Run,
    }
}

#[cfg(test)]
mod tests;
