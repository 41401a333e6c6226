//! Memory shared with a forked process.

use std::sync::atomic::{AtomicI32, Ordering};

use super::{Errno, Result, Tid};

/// How many ids one page holds.
const SLOTS: usize = 1024;

/// A table of task ids that a process forked later shares.
#[derive(Debug, Clone, Copy)]
pub struct SharedIds(&'static [AtomicI32; SLOTS]);

impl SharedIds {
    /// An empty table, mapped for the rest of the process's life.
    pub fn map() -> Result<SharedIds> {
        let (protection, flags) =
            (libc::PROT_READ | libc::PROT_WRITE, libc::MAP_SHARED | libc::MAP_ANONYMOUS);
        let length = size_of::<[AtomicI32; SLOTS]>();
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, flags, -1, 0) };
        if page == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // SAFETY: the mapping is page-aligned, as long as the array, zeroed, and never unmapped.
        Ok(SharedIds(unsafe { &*page.cast::<[AtomicI32; SLOTS]>() }))
    }

    /// Notes an id and gives its slot; `None` when the table is full.
    pub fn note(&self, tid: Tid) -> Option<usize> {
        let free =
            |slot: &AtomicI32| slot.compare_exchange(0, tid, Ordering::SeqCst, Ordering::SeqCst).is_ok();
        self.0.iter().position(free)
    }

    /// Empties a slot.
    pub fn clear(&self, slot: usize) {
        if let Some(slot) = self.0.get(slot) {
            slot.store(0, Ordering::SeqCst);
        }
    }

    /// Every id in the table.
    pub fn all(&self) -> impl Iterator<Item = Tid> {
        self.0.iter().map(|slot| slot.load(Ordering::SeqCst)).filter(|&tid| tid != 0)
    }
}
