//! Which inodes may stand for devices: what is opened and what a directory lists is looked at for their
//! sake, so it is worth knowing that there are none, and which cannot be one.

use std::collections::HashSet;
use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::Slate;

/// Where devices stand, below a root, that processes read and that read otherwise than an empty file.
pub const READABLE: [&CStr; 6] =
    [c"/dev/zero", c"/dev/full", c"/dev/random", c"/dev/urandom", c"/dev/tty", c"/dev/console"];

/// The devices of one run.
#[derive(Debug, Default)]
pub struct Devices {
    /// Whether there may be any.
    any: AtomicBool,
    /// Whether there may be some that this run has not met.
    unknown: AtomicBool,
    /// Whether one is open somewhere in place of the file that stands for it.
    replaced: AtomicBool,
    /// Whether some stood in `/dev` at the start that read otherwise than an empty file.
    read: bool,
    /// The inode numbers of those that it has, whatever their filesystem: an overlayfs lists and reports
    /// the same number, but not the same device.
    numbers: RwLock<HashSet<u64>>,
}

impl Devices {
    /// None yet, but what there may be from earlier runs.
    pub(super) fn new(evidence: bool, read: bool) -> Devices {
        let [any, unknown] = [evidence; 2].map(AtomicBool::new);
        Devices { any, unknown, read, ..Devices::default() }
    }

    /// There may be some that this run has not met.
    pub(super) fn expect(&self, slate: Option<&Slate>) {
        self.unknown.store(true, Ordering::Release);
        self.any.store(true, Ordering::Release);
        if let Some(slate) = slate {
            slate.expect_devices();
        }
    }

    /// Whether there may be any.
    pub fn any(&self) -> bool {
        self.any.load(Ordering::Acquire)
    }

    /// Whether every process may meet one that reads otherwise than an empty file.
    pub fn read(&self) -> bool {
        self.read
    }

    /// Whether an inode with this number may be one. It need not, nor be there any more.
    pub fn may_be(&self, ino: u64) -> bool {
        self.unknown.load(Ordering::Acquire) || self.numbers.read().contains(&ino)
    }

    /// The inode with this number is one.
    pub(super) fn note(&self, ino: u64, slate: Option<&Slate>) {
        self.any.store(true, Ordering::Release);
        if !self.numbers.read().contains(&ino) {
            self.numbers.write().insert(ino);
        }
        if let Some(slate) = slate {
            slate.note_device(ino);
        }
    }

    /// One is about to be open in place of the file that stands for it.
    pub(super) fn note_replaced(&self, slate: Option<&Slate>) {
        self.replaced.store(true, Ordering::SeqCst);
        if let Some(slate) = slate {
            slate.note_replaced();
        }
    }

    /// Has a new slate, which all can see by now, say the same.
    pub(super) fn tell(&self, slate: &Slate) {
        if self.replaced.load(Ordering::SeqCst) {
            slate.note_replaced();
        }
        if self.unknown.load(Ordering::Acquire) {
            slate.expect_devices();
        }
        for &ino in self.numbers.read().iter() {
            slate.note_device(ino);
        }
    }
}
