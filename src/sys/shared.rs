//! Memory shared with other processes.

use std::fs::File;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicI32, AtomicU64, Ordering};

use super::{Errno, Result, Tid};

/// The beginning of a file that other processes change.
#[derive(Debug)]
pub struct Watched(&'static [AtomicU64; Watched::WORDS]);

impl Watched {
    /// How many words of it are watched.
    pub const WORDS: usize = 6;

    /// Maps it for the rest of the process's life. `EINVAL` where the file is too short.
    pub fn map(file: &File) -> Result<Watched> {
        let length = size_of::<[AtomicU64; Watched::WORDS]>();
        if file.metadata().map_or(0, |file| file.len()) < length as u64 {
            return Err(Errno::EINVAL);
        }
        let (protection, fd) = (libc::PROT_READ, file.as_raw_fd());
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let page = unsafe { libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, fd, 0) };
        if page == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        // SAFETY: the mapping is page-aligned, as long as the array, and never unmapped; the words are only
        // read.
        Ok(Watched(unsafe { &*page.cast::<[AtomicU64; Watched::WORDS]>() }))
    }

    /// What stands there now.
    pub fn read(&self) -> [u64; Watched::WORDS] {
        self.0.each_ref().map(|word| word.load(Ordering::Acquire))
    }
}

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
