//! A tracee's memory.

use crate::sys::{self, Errno, Tid};

/// Fills `into` from `address`; `false` where not all of it is readable.
pub fn read(tid: Tid, address: u64, into: &mut [u8]) -> bool {
    match sys::memory::read(tid, address, into) {
        Ok(count) => count == into.len(),
        Err(Errno::EPERM | Errno::ENOSYS) => peek_all(tid, address, into).is_ok(),
        Err(_) => false,
    }
}

/// Writes all of `bytes` to `address`; `false` where not all of it is writable.
pub fn write(tid: Tid, address: u64, bytes: &[u8]) -> bool {
    match sys::memory::write(tid, address, bytes) {
        Ok(count) => count == bytes.len(),
        Err(Errno::EPERM | Errno::ENOSYS) => poke_all(tid, address, bytes).is_ok(),
        Err(_) => false,
    }
}

/// Reads word by word: an attached tracer may always do that, also where process_vm_readv is refused
/// (an executable the user may not read).
fn peek_all(tid: Tid, address: u64, into: &mut [u8]) -> sys::Result<()> {
    let mut at = address;
    for chunk in into.chunks_mut(8) {
        // A short last word is the one that ends with the last byte, so that none past it is touched.
        let before = 8 - chunk.len();
        let word = sys::ptrace::peek(tid, at.wrapping_sub(before as u64))?.to_le_bytes();
        for (to, from) in chunk.iter_mut().zip(word.iter().skip(before)) {
            *to = *from;
        }
        at = at.wrapping_add(8);
    }
    Ok(())
}

/// Writes word by word, keeping the bytes beside a part of a word.
fn poke_all(tid: Tid, address: u64, bytes: &[u8]) -> sys::Result<()> {
    let mut at = address;
    for chunk in bytes.chunks(8) {
        let before = 8 - chunk.len();
        let start = at.wrapping_sub(before as u64);
        let mut word = if before == 0 { [0; 8] } else { sys::ptrace::peek(tid, start)?.to_le_bytes() };
        for (to, from) in word.iter_mut().skip(before).zip(chunk) {
            *to = *from;
        }
        sys::ptrace::poke(tid, start, u64::from_le_bytes(word))?;
        at = at.wrapping_add(8);
    }
    Ok(())
}
