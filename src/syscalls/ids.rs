//! User and group ids: set*id and get*id (kernel/sys.c; the 16-bit forms: kernel/uid16.c).

use std::sync::Arc;

use super::{Guest, Verdict, kernel, limits, prctl};
use crate::abi::Errno;
use crate::cred::{Credentials, Gid, Uid};

/// How wide an id is in a call: [`Wide`] or [`Narrow`].
pub trait Width {
    /// Bytes of an id in memory.
    const BYTES: usize;
    /// Reads an id argument or an id from memory; −1 in this width is `None`.
    fn read(raw: u64) -> Option<u32>;
    /// The id as it is reported in this width.
    fn show(id: u32) -> u32;
}

/// 32-bit ids.
#[derive(Debug, Clone, Copy)]
pub struct Wide;

impl Width for Wide {
    const BYTES: usize = 4;
    fn read(raw: u64) -> Option<u32> {
        Uid::from_arg(raw).map(|id| id.0)
    }
    fn show(id: u32) -> u32 {
        id
    }
}

/// The 16-bit ids of i386's oldest calls.
#[derive(Debug, Clone, Copy)]
pub struct Narrow;

impl Width for Narrow {
    const BYTES: usize = 2;
    fn read(raw: u64) -> Option<u32> {
        Uid::from_arg16(raw).map(|id| id.0)
    }
    fn show(id: u32) -> u32 {
        Uid(id).to_16().into()
    }
}

/// Argument `index` as a user id.
fn uid<W: Width>(guest: &dyn Guest, index: usize) -> Option<Uid> {
    W::read(guest.call().arg(index)).map(Uid)
}

/// Argument `index` as a group id.
fn gid<W: Width>(guest: &dyn Guest, index: usize) -> Option<Gid> {
    W::read(guest.call().arg(index)).map(Gid)
}

/// Answers with what a rule made of `old`: commits it and replies 0, or replies its errno. The
/// signal of `PR_SET_PDEATHSIG` is the kernel's, which must forget it where it would have.
pub(super) fn adopt(
    guest: &mut dyn Guest,
    old: &Arc<Credentials>,
    change: Result<Credentials, Errno>,
) -> Verdict {
    let outcome = change.map(|mut new| {
        if old.outgrows_parent(&new) {
            let forgotten = guest.inject(&kernel::PRCTL, [prctl::SET_PDEATHSIG.into(), 0, 0, 0, 0, 0]);
            new.heeds_parent = forgotten.is_err();
        }
        if new.uid != old.uid {
            limits::note_user(guest, new.uid);
        }
        if new != **old {
            guest.commit(new);
        }
        0
    });
    outcome.into()
}

/// setuid(2).
pub fn setuid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let change = old.setuid(uid::<W>(guest, 0));
    adopt(guest, &old, change)
}

/// setgid(2).
pub fn setgid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let change = old.setgid(gid::<W>(guest, 0));
    adopt(guest, &old, change)
}

/// setreuid(2).
pub fn setreuid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let change = old.setreuid(uid::<W>(guest, 0), uid::<W>(guest, 1));
    adopt(guest, &old, change)
}

/// setregid(2).
pub fn setregid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let change = old.setregid(gid::<W>(guest, 0), gid::<W>(guest, 1));
    adopt(guest, &old, change)
}

/// setresuid(2).
pub fn setresuid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let change = old.setresuid(uid::<W>(guest, 0), uid::<W>(guest, 1), uid::<W>(guest, 2));
    adopt(guest, &old, change)
}

/// setresgid(2).
pub fn setresgid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let change = old.setresgid(gid::<W>(guest, 0), gid::<W>(guest, 1), gid::<W>(guest, 2));
    adopt(guest, &old, change)
}

/// setfsuid(2): the previous id, whatever came of it; never narrowed to 16 bits.
pub fn setfsuid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let new = old.setfsuid(uid::<W>(guest, 0));
    let _ = adopt(guest, &old, Ok(new));
    Verdict::Reply(Ok(old.fsuid.0.into()))
}

/// setfsgid(2): the previous id, whatever came of it; never narrowed to 16 bits.
pub fn setfsgid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let new = old.setfsgid(gid::<W>(guest, 0));
    let _ = adopt(guest, &old, Ok(new));
    Verdict::Reply(Ok(old.fsgid.0.into()))
}

/// getuid(2).
pub fn getuid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    Verdict::Reply(Ok(W::show(guest.credentials().uid.0).into()))
}

/// geteuid(2).
pub fn geteuid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    Verdict::Reply(Ok(W::show(guest.credentials().euid.0).into()))
}

/// getgid(2).
pub fn getgid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    Verdict::Reply(Ok(W::show(guest.credentials().gid.0).into()))
}

/// getegid(2).
pub fn getegid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    Verdict::Reply(Ok(W::show(guest.credentials().egid.0).into()))
}

/// getresuid(2): real, effective, saved, each written before the next is tried.
pub fn getresuid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let own = guest.credentials();
    put_three::<W>(guest, [own.uid.0, own.euid.0, own.suid.0])
}

/// getresgid(2): real, effective, saved, each written before the next is tried.
pub fn getresgid<W: Width>(guest: &mut dyn Guest) -> Verdict {
    let own = guest.credentials();
    put_three::<W>(guest, [own.gid.0, own.egid.0, own.sgid.0])
}

/// Writes an id to the address in each of the first three arguments.
fn put_three<W: Width>(guest: &mut dyn Guest, ids: [u32; 3]) -> Verdict {
    let put = (0..).zip(ids).try_for_each(|(index, id)| {
        let bytes = W::show(id).to_le_bytes();
        let address = guest.call().arg(index);
        put_user(guest, address, bytes.get(..W::BYTES).unwrap_or(&bytes))
    });
    put.map(|()| 0).into()
}

/// `put_user`: a number of a few bytes is written whole or not at all, even across two pages.
pub(super) fn put_user(guest: &mut dyn Guest, address: u64, bytes: &[u8]) -> Result<(), Errno> {
    const PAGE: u64 = 4096;
    let here = (PAGE - address % PAGE) as usize;
    let Some((low, high)) = bytes.split_at_checked(here).filter(|(_, high)| !high.is_empty()) else {
        return guest.write(address, bytes);
    };
    let next = address.wrapping_add(here as u64);
    let mut old = vec![0; high.len()];
    guest.read(next, &mut old)?;
    guest.write(next, high)?;
    guest.write(address, low).or_else(|fault| guest.write(next, &old).and(Err(fault)))
}

#[cfg(test)]
mod tests;
