//! Call sites as C libraries have them, `mov eax, NUMBER; syscall`, and what has them lead elsewhere.
//!
//! *Invariant:* bytes in, bytes out: nothing is written here.

use super::inside::Quarters;
use crate::sys::inside;
use crate::sys::{self, Tid};

/// Where a call's `syscall` is, and its number.
pub type Calling = (u64, u32);

/// Bytes of a site.
pub(super) const SITE: u64 = 7;

/// A call site.
#[derive(Debug, Clone, Copy)]
pub(super) struct Site {
    pub address: u64,
    pub number: u32,
    /// What stands before it.
    pub before: [u8; BEFORE],
}

/// So many bytes before a site say that it is one.
pub(super) const BEFORE: usize = 4;
/// They and the site.
pub(super) const WITH_BEFORE: usize = BEFORE + SITE as usize;

impl Site {
    /// The one whose `syscall` is at `entry`, if it has the form that can be rewritten, of this call, which is answered inside.
    pub fn of(tid: Tid, (entry, number): Calling) -> Option<Site> {
        Site::all(tid, [entry.checked_sub(SITE - 2)?]).pop().filter(|site| site.number == number)
    }

    /// Those of these addresses that are such sites.
    pub fn all(tid: Tid, addresses: impl IntoIterator<Item = u64>) -> Vec<Site> {
        let starts = addresses.into_iter().filter_map(|address| address.checked_sub(BEFORE as u64));
        let starts: Vec<u64> = starts.collect();
        let stands = sys::memory::read_each(tid, &starts);
        starts.iter().zip(&stands).filter_map(|(&start, bytes)| Site::in_bytes(start, bytes)).collect()
    }

    /// The site in the bytes at this address, if one ends there.
    pub fn in_bytes(start: u64, bytes: &[u8; WITH_BEFORE]) -> Option<Site> {
        let &[a, b, c, d, 0xB8, ref number @ .., 0x0F, 0x05] = bytes else { return None };
        let number = u32::from_le_bytes(*number);
        let before = [a, b, c, d];
        let is_site = inside::entry(number).is_some() && begins_behind(before);
        is_site.then_some(Site { address: start + BEFORE as u64, number, before })
    }

    /// What has it jump to a thunk at this address, and that to the code: what is to be written where. `None` where that is
    /// too far.
    pub fn lead(self, Quarters { base }: Quarters, thunk: u64) -> Option<[(u64, Vec<u8>); 2]> {
        let there = jump(self.address, 0, thunk)?;
        let on = jump(thunk, 7, base + inside::entry(self.number)? as u64)?;
        // lea rcx, [rip + 5]; jmp entry; where the syscall stands; its number.
        let parts: [&[u8]; 4] = [
            &[0x48, 0x8D, 0x0D, 5, 0, 0, 0],
            &on,
            &(self.address + SITE - 2).to_le_bytes(),
            &self.number.to_le_bytes(),
        ];
        Some([(thunk, parts.concat()), (self.address, there.to_vec())])
    }

    /// What stands there.
    pub fn bytes(self) -> Vec<u8> {
        let parts: [&[u8]; 3] = [&[0xB8], &self.number.to_le_bytes(), &[0x0F, 0x05]];
        parts.concat()
    }
}

/// Whether 0xB8 behind these bytes begins an instruction, and is no byte of one that began before. Nobody can tell from where
/// code is to be read, so all that may be such an instruction is taken for it.
fn begins_behind(before: [u8; BEFORE]) -> bool {
    let [fourth, third, second, first] = before;
    // REX, FS, GS, the sizes, ES, CS, SS, DS, LOCK, REPNE, REP, and an opcode's first byte.
    let is_prefix =
        matches!(first, 0x40..=0x4F | 0x64..=0x67 | 0x26 | 0x2E | 0x36 | 0x3E | 0xF0 | 0xF2 | 0xF3 | 0x0F);
    // mov REGISTER, eight bytes, of which these are the first.
    let is_in_a_number = matches!(fourth, 0xB8..=0xBF);
    // In an address: behind rax, which holds the call's number, nothing can be read, but behind r8.
    let extends = |byte: u8| byte & 0xF1 == 0x41;
    let has_operand = |byte: u8| {
        matches!(byte, 0x00..=0x3F if byte & 4 == 0)
            || matches!(byte, 0x62 | 0x63 | 0x69 | 0x6B | 0x80..=0x8F)
            || matches!(byte, 0xC0 | 0xC1 | 0xC4..=0xC7 | 0xD0..=0xD3 | 0xD8..=0xDF | 0xF6 | 0xF7 | 0xFE | 0xFF)
    };
    let is_operand = extends(second) && has_operand(first) || extends(third) && second == 0x0F;
    let is_index = (extends(third) || extends(fourth)) && first & 0xC7 == 0x84;
    // The distance from an address, behind which a number stands that is stored or compared there.
    let has_number = |byte: u8| matches!(byte, 0x69 | 0x81 | 0xC7 | 0xF7);
    let is_distance =
        has_number(second) && first & 0xC0 == 0x40 || has_number(third) && second & 0xC7 == 0x44;
    !(is_prefix || is_in_a_number || is_operand || is_index || is_distance)
}

/// The five bytes of a jump, which stand `offset` bytes behind `from`, to `to`; `None` where that is too far.
pub(super) fn jump(from: u64, offset: u64, to: u64) -> Option<[u8; 5]> {
    let next = from.wrapping_add(offset + 5);
    let distance = i32::try_from(to.wrapping_sub(next).cast_signed()).ok()?;
    let [a, b, c, d] = distance.to_le_bytes();
    Some([0xE9, a, b, c, d])
}
