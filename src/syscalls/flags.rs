//! The flags of chattr(1): ioctl(2) and file_setattr(2).
//!
//! The kernel keeps what it would let the namespace's root set. `FS_IMMUTABLE_FL` and `FS_APPEND_FL`, which it
//! keeps for root of the initial namespace, and every flag of an inode that is not ours are remembered.
//! Calls on the inode obey the two, and what makes and takes names ([`frozen`]).

use super::inode::{self, Place};
use super::{Guest, Stage, Test, Verdict, frozen, kernel};
use crate::abi::{Errno, KernelCall, SysResult};
use crate::cred::Cap;
use crate::ownership::{Attributes, rules};

/// How a call tells flags.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Form {
    get: &'static KernelCall,
    set: &'static KernelCall,
    /// Of the ioctl: to get, and to set.
    requests: [u32; 2],
    /// Bytes of its structure, which begins with the flags.
    size: usize,
    /// Each of its flags with that of chattr(1), where they differ; none where they do not.
    names: &'static [[u32; 2]],
}

/// `FS_XFLAG_*` and `FS_*_FL` (`fileattr_fill_xflags`, fs/file_attr.c).
const XFLAGS: &[[u32; 2]] = &[[0x20, 0x8], [0x8, 0x10], [0x10, 0x20], [0x80, 0x40], [0x40, 0x80]];

/// `FS_IOC_GETFLAGS` and `FS_IOC_SETFLAGS` of 64 bits.
const FLAGS: Form = Form {
    get: &kernel::IOCTL,
    set: &kernel::IOCTL,
    requests: [0x8008_6601, 0x4008_6602],
    size: 4,
    names: &[],
};
/// The same of 32 bits.
const FLAGS32: Form = Form { requests: [0x8004_6601, 0x4004_6602], ..FLAGS };
/// `FS_IOC_FSGETXATTR` and `FS_IOC_FSSETXATTR`, of a `struct fsxattr`.
const EXTENDED: Form = Form { requests: [0x801C_581F, 0x401C_5820], size: 28, names: XFLAGS, ..FLAGS };
/// file_getattr(2) and file_setattr(2), of a `struct file_attr`.
const FILE_ATTR: Form = Form {
    get: &kernel::FILE_GETATTR,
    set: &kernel::FILE_SETATTR,
    requests: [0; 2],
    size: 24,
    names: XFLAGS,
};

/// Stops of ioctl(descriptor, request, address).
pub const STOPS: &[(Stage, Test)] = &[
    (Stage::Base, Test::AnyOf { arg: 1, values: &[0x4008_6602, 0x4004_6602, 0x401C_5820] }),
    (Stage::Ownership, Test::AnyOf { arg: 1, values: &[0x8008_6601, 0x8004_6601, 0x801C_581F] }),
];

/// Flags that a filesystem lets its user set (`FS_FL_USER_MODIFIABLE`).
const MODIFIABLE: u32 = 0x0003_80FF;

/// ioctl(2).
pub fn ioctl(guest: &mut dyn Guest) -> Verdict {
    let request = guest.call().arg(1) as u32;
    match [FLAGS, FLAGS32, EXTENDED].into_iter().find(|form| form.requests.contains(&request)) {
        None => Verdict::Run,
        Some(form) if form.requests.first() == Some(&request) => Verdict::Amend(shown),
        Some(form) => set(guest, &form),
    }
}

/// file_getattr(2).
pub fn file_getattr(_: &mut dyn Guest) -> Verdict {
    Verdict::Amend(shown)
}

/// file_setattr(2).
pub fn file_setattr(guest: &mut dyn Guest) -> Verdict {
    if guest.call().arg(3) < FILE_ATTR.size as u64 {
        return Verdict::Run;
    }
    set(guest, &FILE_ATTR)
}

/// The form of the call at hand, the inode it is about, and where its structure stands.
fn request(guest: &dyn Guest) -> (Form, Place, u64) {
    const AT_SYMLINK_NOFOLLOW_AND_EMPTY_PATH: u32 = 0x1100;
    let call = guest.call();
    let request = call.arg(1) as u32;
    let by_request = [FLAGS, FLAGS32, EXTENDED].into_iter().find(|form| form.requests.contains(&request));
    match by_request {
        Some(form) if kernel::IOCTL.numbers.of(call.abi) == Some(call.number) => {
            (form, Place::Descriptor(call.arg(0)), call.arg(2))
        }
        _ => {
            let flags = call.arg(4) as u32 & AT_SYMLINK_NOFOLLOW_AND_EMPTY_PATH;
            (FILE_ATTR, Place::at(call.arg(0), call.arg(1), flags), call.arg(2))
        }
    }
}

impl Form {
    /// The flags as chattr(1) knows them.
    fn known(&self, flags: u32) -> u32 {
        match self.names {
            [] => flags,
            names => names.iter().filter(|[own, _]| flags & own != 0).fold(0, |all, [_, flag]| all | flag),
        }
    }

    /// `flags` with those of chattr(1) in `flips` turned round.
    fn flip(&self, flags: u32, flips: u32) -> u32 {
        match self.names {
            [] => flags ^ flips,
            names => {
                names.iter().filter(|[_, flag]| flips & flag != 0).fold(flags, |all, [own, _]| all ^ own)
            }
        }
    }

    /// Makes the guest execute one of the calls on what its own call has named.
    fn execute(&self, guest: &mut dyn Guest, call: &'static KernelCall, which: usize, at: u64) -> SysResult {
        let [first, second, _, size, flags, _] = guest.call().args;
        let request = self.requests.get(which).copied().unwrap_or_default();
        match *self == FILE_ATTR {
            true => guest.inject(call, [first, second, at, size.min(self.size as u64), flags, 0]),
            false => guest.inject(call, [first, request.into(), at, 0, 0, 0]),
        }
    }

    /// What the kernel has.
    fn fetch(&self, guest: &mut dyn Guest) -> Result<u32, Errno> {
        let scratch = guest.scratch()? + STRUCTURE;
        self.execute(guest, self.get, 0, scratch)?;
        read_word(guest, scratch)
    }
}

/// Where in the scratch memory a structure stands, behind what a look needs.
const STRUCTURE: u64 = 512;

fn read_word(guest: &mut dyn Guest, address: u64) -> Result<u32, Errno> {
    let mut word = [0; 4];
    guest.read(address, &mut word)?;
    Ok(u32::from_le_bytes(word))
}

/// Sets flags.
fn set(guest: &mut dyn Guest, form: &Form) -> Verdict {
    let (_, place, address) = request(guest);
    let mut bytes = vec![0; form.size];
    if guest.read(address, &mut bytes).is_err() {
        return Verdict::Run; // EFAULT
    }
    // What has no flags at all is refused before it is asked who asks.
    let Ok(real) = form.fetch(guest) else { return Verdict::Run };
    let Ok(statx) = inode::inspect(guest, place) else { return Verdict::Run };
    let shown = inode::attributes(guest, &statx).1;
    let word = bytes.first_chunk().map_or(0, |word| u32::from_le_bytes(*word));
    let (want, have) = (form.known(word), form.known(real));
    let who = guest.credentials();
    let owner = who.fsuid == shown.uid || who.has(Cap::FOWNER);
    let frozen = (want ^ have ^ shown.flags) & rules::FROZEN;
    if !owner || frozen != 0 && !who.has(Cap::LINUX_IMMUTABLE) {
        return Verdict::Reply(Err(inode::refusal(guest, place, Errno::EPERM))); // fileattr_set_prepare
    }
    let asked = form.flip(word, (want ^ have) & rules::FROZEN);
    for (byte, new) in bytes.iter_mut().zip(asked.to_le_bytes()) {
        *byte = new;
    }
    Verdict::Reply(set_to(guest, form, place, (&statx, shown), &bytes, want))
}

/// Has the kernel set what it does for the namespace's root, and remembers the rest.
fn set_to(
    guest: &mut dyn Guest,
    form: &Form,
    place: Place,
    (statx, before): (&crate::abi::stat::Statx, Attributes),
    bytes: &[u8],
    want: u32,
) -> SysResult {
    let scratch = guest.scratch()? + STRUCTURE;
    guest.write(scratch, bytes)?;
    let outside = match form.execute(guest, form.set, 1, scratch) {
        Ok(_) => false,
        Err(Errno::EPERM) if !inode::known(statx).is_ours(guest.view()) => {
            let _ = inode::touch(guest, place); // that the kernel cannot even move ctime matters to nobody
            true
        }
        Err(errno) => return Err(errno),
    };
    let real = form.known(form.fetch(guest)?);
    let flags = (want ^ real) & if outside { MODIFIABLE } else { rules::FROZEN };
    let now = inode::look(guest, place)?;
    inode::remember_after(guest, place, &now, before, |shown| Attributes { flags, ..shown })?;
    if flags & rules::FROZEN != 0 {
        frozen::raise(guest);
    }
    Ok(0)
}

/// Corrects the flags that the kernel has told.
fn shown(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    let value = result?;
    let (form, place, address) = request(guest);
    let Ok(statx) = inode::inspect(guest, place) else { return Ok(value) };
    let flips = inode::attributes(guest, &statx).1.flags;
    if flips != 0 {
        let flags = form.flip(read_word(guest, address)?, flips);
        guest.write(address, &flags.to_le_bytes())?;
    }
    Ok(value)
}

#[cfg(test)]
mod tests;
