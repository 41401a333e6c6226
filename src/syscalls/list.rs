//! getdents(2): a directory lists a device as one.
//!
//! The kernel lists a placeholder as the regular file it is. What may be one by its inode number, and while
//! earlier runs may have left some every regular file, is looked at by the tracer itself; the guest does
//! nothing for it. Where that is not possible the type is unknown to the guest, which then asks stat(2).

use super::{Guest, Verdict, device, nodes};
use crate::abi::dirent::{self, DIRENT64, DT_BLK, DT_CHR, DT_REG, DT_UNKNOWN, DirentLayout, Entry};
use crate::abi::{Errno, SysResult};

/// How much of a listing is read at once.
const PIECE: usize = 1 << 15;

/// getdents64(2).
pub fn getdents64(_: &mut dyn Guest) -> Verdict {
    Verdict::Amend(|guest, result| correct(guest, result, &DIRENT64))
}

/// getdents(2) with the type behind the name.
pub fn getdents(_: &mut dyn Guest) -> Verdict {
    Verdict::Amend(|guest, result| {
        let layout = dirent::dirent(guest.call().abi);
        correct(guest, result, layout)
    })
}

/// Corrects the types in what the kernel has listed.
fn correct(guest: &mut dyn Guest, result: SysResult, layout: &DirentLayout) -> SysResult {
    let length = result?;
    if !guest.ownership().devices().any() {
        return result;
    }
    let buffer = guest.call().arg(1);
    let mut done = 0;
    while done < length {
        let mut piece = vec![0; PIECE.min((length - done) as usize)];
        guest.read(buffer.wrapping_add(done), &mut piece)?;
        let corrected = correct_piece(guest, layout, &piece, buffer.wrapping_add(done))?;
        if corrected == 0 {
            break;
        }
        done += corrected as u64;
    }
    result
}

/// Corrects the whole records of a piece that stands at `address`; gives their length.
fn correct_piece(
    guest: &mut dyn Guest,
    layout: &DirentLayout,
    piece: &[u8],
    address: u64,
) -> Result<usize, Errno> {
    let mut done = 0;
    while let Some(entry) = piece.get(done..).and_then(|rest| layout.read(rest)) {
        let kind = kind(guest, &entry);
        if kind != entry.kind {
            guest.write(address.wrapping_add((done + entry.kind_at) as u64), &[kind])?;
        }
        done += entry.length;
    }
    Ok(done)
}

/// The type that the guest sees.
fn kind(guest: &mut dyn Guest, entry: &Entry<'_>) -> u8 {
    if entry.kind != DT_REG || !guest.ownership().devices().may_be(entry.ino) {
        return entry.kind;
    }
    let found = match guest.observe(guest.call().arg(0), entry.name) {
        Ok(found) => device::device(guest, &found),
        Err(Errno::ENOENT) => None,
        Err(_) => return DT_UNKNOWN,
    };
    nodes::told(guest, found, None);
    match found {
        None => DT_REG,
        Some(device) if device.block => DT_BLK,
        Some(_) => DT_CHR,
    }
}

#[cfg(test)]
mod tests;
