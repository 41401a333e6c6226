//! The areas in which code inside a process works, and those among them that are left taken: a signal handler has interrupted a
//! call there and never returned, as longjmp(3) has it, or another thread was in it when fork(2) made a copy.
//!
//! Who goes back to such a call does so by registers that the kernel has saved, stack pointer and next instruction side by
//! side, for sigreturn(2). Where they stand nowhere in a task's memory, nobody goes back.
//!
//! *Invariant:* only areas of a task that is stopped outside of the code, and shares its memory with nobody, are given back.

use std::ops::Range;

use super::inside::Quarters;
use crate::abi::window;
use crate::ptrace::memory;
use crate::sys::inside::{AREA, AREAS, BEGIN, LACKED};
use crate::sys::{self, Tid};

/// More memory is not searched.
const MOST: u64 = 64 << 20;
/// So much is read at once.
const CHUNK: usize = 256 << 10;
/// After a search by which nothing was found so many calls have to find no area until there is another.
const IN_VAIN: i32 = -100_000;

/// Whether calls have found no area since it was last looked for some that are left.
pub(super) fn are_lacking(tid: Tid, quarters: Quarters) -> bool {
    let mut count = [0; 4];
    memory::read(tid, quarters.base + LACKED, &mut count) && i32::from_le_bytes(count) > 0
}

/// Gives back what areas are left; whether none is taken then.
pub(super) fn give_back(tid: Tid, quarters: Quarters) -> bool {
    let Some(mut left) = taken(tid, quarters) else { return false };
    let all = left.len();
    let is_searched = search(tid, quarters, &mut left);
    let free = |&(area, _): &(u64, u64)| memory::write(tid, area, &0_u64.to_le_bytes());
    let count = if is_searched { left.iter().filter(|area| free(area)).count() } else { 0 };
    tracing::debug!(tid, all, count, is_searched, "areas given back");
    let lacked = if count == 0 { IN_VAIN } else { 0 };
    memory::write(tid, quarters.base + LACKED, &lacked.to_le_bytes());
    count == all
}

/// The addresses of areas that are taken, and the stack pointers of who has them.
fn taken(tid: Tid, quarters: Quarters) -> Option<Vec<(u64, u64)>> {
    let addresses: Vec<u64> = (quarters.base - BEGIN as u64..).step_by(AREA).take(AREAS).collect();
    let owners: Vec<[u8; 8]> = sys::memory::read_each(tid, &addresses);
    let areas = addresses.iter().copied().zip(owners.iter().map(|&owner| u64::from_le_bytes(owner)));
    (owners.len() == AREAS).then(|| areas.filter(|&(_, owner)| owner != 0).collect())
}

/// Takes those out of `areas` to which somebody may go back; whether all memory was searched.
fn search(tid: Tid, quarters: Quarters, areas: &mut Vec<(u64, u64)>) -> bool {
    let own = quarters.range();
    let ranges = sys::memory::writable(tid);
    let ranges: Vec<Range<u64>> = ranges.into_iter().flat_map(|range| outside(&range, &own)).collect();
    if ranges.iter().map(|range| range.end - range.start).sum::<u64>() > MOST {
        return false;
    }
    let mut bytes = vec![0; CHUNK];
    ranges.iter().all(|range| {
        let mut before = 0;
        (range.start..range.end).step_by(CHUNK).all(|start| {
            let length = usize::try_from(range.end - start).unwrap_or(CHUNK).min(CHUNK);
            let Some(part) = bytes.get_mut(..length) else { return false };
            let is_read = memory::read(tid, start, part);
            for word in part.chunks_exact(8).filter_map(<[u8]>::first_chunk).map(|&it| u64::from_le_bytes(it))
            {
                if window::has_code(word) && own.contains(&word) {
                    areas.retain(|&(_, owner)| owner != before);
                }
                before = word;
            }
            is_read
        })
    })
}

/// What a range has before another and behind it.
fn outside(range: &Range<u64>, inner: &Range<u64>) -> Vec<Range<u64>> {
    match window::around(range, inner) {
        Some(parts) => parts.into_iter().filter(|part| !part.is_empty()).collect(),
        None => vec![range.clone()],
    }
}
