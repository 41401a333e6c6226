//! bind(2) of a unix-domain socket to a path: that makes a file.

use super::inode::{self, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Stage, Test, Verdict, undo};
use crate::abi::{Errno, SysResult};

const AF_UNIX: u16 = 1;
/// Bytes of `sun_path`.
const SUN_PATH: u64 = 108;
/// `SYS_BIND` of socketcall(2).
const SYS_BIND: u32 = 2;

/// Stops of i386's socketcall(call, args).
pub const SOCKETCALL_STOPS: &[(Stage, Test)] = &[
    (Stage::Identity, Test::AnyOf { arg: 0, values: &[SYS_BIND] }),
    (Stage::Ownership, Test::AnyOf { arg: 0, values: &[SYS_BIND] }),
];

/// bind(2).
pub fn bind(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    bound(guest, call.arg(1), call.arg(2), |guest, result| {
        let call = *guest.call();
        made(guest, call.arg(1), call.arg(2), result)
    })
}

/// i386's socketcall(2) of bind: the arguments stand in memory.
pub fn socketcall(guest: &mut dyn Guest) -> Verdict {
    if guest.call().arg(0) as u32 != SYS_BIND {
        return Verdict::Run;
    }
    match arguments(guest) {
        Ok((address, length)) => bound(guest, address, length, |guest, result| {
            let (address, length) = arguments(guest)?;
            made(guest, address, length, result)
        }),
        Err(_) => Verdict::Run,
    }
}

/// Address and length of the socket address in a socketcall.
fn arguments(guest: &mut dyn Guest) -> Result<(u64, u64), Errno> {
    let mut words = [0; 12];
    guest.read(guest.call().arg(1), &mut words)?;
    let [_, address, length] = words.as_chunks::<4>().0 else { return Err(Errno::EFAULT) };
    Ok((u32::from_le_bytes(*address).into(), u32::from_le_bytes(*length).into()))
}

fn bound(guest: &mut dyn Guest, address: u64, length: u64, finish: super::Finish) -> Verdict {
    let Some(path) = path(guest, address, length) else { return Verdict::Run };
    let parent = |guest: &mut dyn Guest| parent(guest, &path);
    if inode::creation_matters(guest, parent) { Verdict::Amend(finish) } else { Verdict::Run }
}

/// The path of a unix-domain socket address that is not abstract.
fn path(guest: &mut dyn Guest, address: u64, length: u64) -> Option<Vec<u8>> {
    let mut family = [0; 2];
    guest.read(address, &mut family).ok()?;
    let length = length.checked_sub(family.len() as u64)?.min(SUN_PATH);
    let mut path = vec![0; length as usize];
    guest.read(address.checked_add(family.len() as u64)?, &mut path).ok()?;
    let end = path.iter().position(|&byte| byte == 0).unwrap_or(path.len());
    path.truncate(end);
    (u16::from_le_bytes(family) == AF_UNIX && !path.is_empty()).then_some(path)
}

fn parent(guest: &mut dyn Guest, path: &[u8]) -> Option<Place> {
    inode::place_in_scratch(guest, AT_FDCWD, inode::dirname(path), 0)
}

/// The socket has been bound. The path is looked at while it stands in the scratch memory, then its
/// directory in the same place.
fn made(guest: &mut dyn Guest, address: u64, length: u64, result: SysResult) -> SysResult {
    result?;
    let Some(path) = path(guest, address, length) else { return result };
    let Some(made) = inode::place_in_scratch(guest, AT_FDCWD, &path, AT_SYMLINK_NOFOLLOW) else {
        return result;
    };
    // A socket bears no attributes: its path, which is overwritten here, is needed no more.
    let kept = inode::remember_new(guest, made, 0, |guest| parent(guest, &path), |shown| shown);
    let Some(made) = inode::place_in_scratch(guest, AT_FDCWD, &path, AT_SYMLINK_NOFOLLOW) else {
        return kept.and(result);
    };
    undo::made(guest, made, kept).and(result)
}

#[cfg(test)]
mod tests;
