//! Where in a process the memory may be by which it answers itself: a filter knows calls about it by their addresses.

use std::ops::Range;

/// Its first address, modulo two to the power of [`BITS`].
pub const FIRST: u32 = 0x1EED_0000;
/// See [`FIRST`]. Within the reach of a jump there are always two such addresses.
pub const BITS: u32 = 30;
/// So many bytes at most.
pub const LENGTH: u32 = 4 << 20;

/// Where in it the code is, modulo two to the power of [`BITS`].
pub const CODE: u32 = FIRST + (64 << 10);
/// The bits of an address that say whether it is the code's: of 16 KB.
pub const CODE_MASK: u32 = (1 << BITS) - (16 << 10);

/// Whether the code may stand at this address.
pub const fn has_code(address: u64) -> bool {
    address as u32 & CODE_MASK == CODE
}

/// Whether there is such memory between two such addresses that a range has a byte of.
pub const fn meets(start: u64, length: u64) -> bool {
    let into = (start as u32).wrapping_sub(FIRST) & ((1 << BITS) - 1);
    into < LENGTH || length > (1 << BITS) - into as u64
}

/// Where it is to be so that text from `start` on reaches it by jumps: at least 256 MB below, beyond what most load there,
/// or above text that has no room below.
pub const fn place(start: u64) -> u64 {
    const APART: u64 = 256 << 20;
    const PERIOD: u64 = 1 << BITS;
    match start.checked_sub(APART + FIRST as u64) {
        Some(room) => room / PERIOD * PERIOD + FIRST as u64,
        None => PERIOD + FIRST as u64,
    }
}

/// What a range has before another and behind it; `None` where it has nothing of it.
pub fn around(range: &Range<u64>, inner: &Range<u64>) -> Option<[Range<u64>; 2]> {
    let meets = range.start < inner.end && inner.start < range.end;
    meets.then(|| [range.start..inner.start.max(range.start), inner.end.min(range.end)..range.end])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_meets_it_where_they_have_a_byte_in_common() {
        let (first, length) = (u64::from(FIRST) + (5 << BITS), u64::from(LENGTH));
        for (start, size, expected) in [
            (first, 1, true),
            (first + length - 1, 1, true),
            (first + length, 1, false),
            (first + length, (1 << BITS) - length, false),
            (first + length, (1 << BITS) - length + 1, true),
            (first - 4096, 4096, false),
            (first - 4096, 4097, true),
            (first - 4096, u64::MAX, true),
            (0, 4096, false),
            (first, 0, true),
        ] {
            assert_eq!(meets(start, size), expected, "{start:x} {size:x}");
        }
    }

    #[test]
    fn every_text_reaches_its_place() {
        for start in [0x40_0000, 0x5555_5555_4000, 0x7FFF_F7DD_0000, 0x7F00_0000_0000, 0x1_0000_0000] {
            let place = place(start);
            assert!(
                meets(place, 1) && place.abs_diff(start) + u64::from(LENGTH) < i32::MAX as u64 - (64 << 20)
            );
        }
    }

    #[test]
    fn what_is_around_is_what_is_left() {
        assert_eq!(around(&(0..9), &(3..5)), Some([0..3, 5..9]));
        assert_eq!(around(&(3..4), &(3..5)), Some([3..3, 4..4]));
        assert_eq!(around(&(4..9), &(3..5)), Some([4..4, 5..9]));
        assert_eq!(around(&(0..3), &(3..5)), None);
    }
}
