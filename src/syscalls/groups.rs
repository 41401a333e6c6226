//! Supplementary groups: kernel/groups.c; the 16-bit forms: kernel/uid16.c.

use super::ids::{Width, adopt, put_user};
use super::{Guest, Verdict};
use crate::abi::{Errno, SysResult};
use crate::cred::Gid;

/// `NGROUPS_MAX` (linux/limits.h).
const NGROUPS_MAX: u32 = 65536;

/// How much of a list is read at a time: never across a page, so that a fault spoils nothing before.
const PAGE: u64 = 4096;

/// getgroups(2).
pub fn getgroups<W: Width>(guest: &mut dyn Guest) -> Verdict {
    report::<W>(guest).into()
}

/// The number of groups, which are written where the given size is not 0.
fn report<W: Width>(guest: &mut dyn Guest) -> SysResult {
    let size = usize::try_from(guest.call().int(0)).map_err(|_| Errno::EINVAL)?;
    let address = guest.call().arg(1);
    let groups = guest.credentials().groups.clone();
    if size != 0 {
        if groups.len() > size {
            return Err(Errno::EINVAL);
        }
        let bytes: Vec<u8> =
            groups.iter().flat_map(|gid| W::show(gid.0).to_le_bytes().into_iter().take(W::BYTES)).collect();
        match address % W::BYTES as u64 {
            // No id lies across two pages: all at once fault where one by one would.
            0 if !bytes.is_empty() => guest.write(address, &bytes)?,
            _ => bytes.chunks(W::BYTES).enumerate().try_for_each(|(index, id)| {
                put_user(guest, address.wrapping_add((index * W::BYTES) as u64), id)
            })?,
        }
    }
    Ok(groups.len() as u64)
}

/// setgroups(2).
pub fn setgroups<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let count = guest.call().arg(0) as u32;
    let address = guest.call().arg(1);
    let change = old.may_setgroups().and_then(|()| {
        if count > NGROUPS_MAX {
            return Err(Errno::EINVAL);
        }
        read_list::<W>(guest, address, count as usize).map(|groups| old.setgroups(groups))
    });
    adopt(guest, &old, change)
}

/// Reads `count` ids in order; whichever comes first, a fault or an id of −1, decides the errno.
fn read_list<W: Width>(guest: &mut dyn Guest, address: u64, count: usize) -> Result<Vec<Gid>, Errno> {
    let mut list = Vec::with_capacity(count);
    let mut page = [0; PAGE as usize];
    let mut next = address;
    while list.len() < count {
        let left = (count - list.len()) * W::BYTES;
        let fits = (PAGE - next % PAGE) as usize / W::BYTES * W::BYTES;
        let length = fits.max(W::BYTES).min(left);
        let Some(chunk) = page.get_mut(..length) else { break };
        guest.read(next, chunk)?;
        for raw in chunk.chunks_exact(W::BYTES) {
            let raw = raw.iter().rev().fold(0, |raw, &byte| raw << 8 | u64::from(byte));
            list.push(Gid(W::read(raw).ok_or(Errno::EINVAL)?));
        }
        next = next.wrapping_add(length as u64);
    }
    Ok(list)
}

#[cfg(test)]
mod tests;
