//! Owners that do not reach the process which stores the file, and saying so once.
//!
//! A FUSE filesystem's server is not told of an owner that the kernel is not told of. Who has an image made by one must hear
//! that it has root's owners.

use std::sync::atomic::{AtomicBool, Ordering};

use super::{Ownership, Voice};

/// What is said of such owners in a run.
#[derive(Debug, Default)]
pub(super) struct Unheard {
    voice: Voice,
    /// Whether there is such a filesystem, and nothing was said yet.
    awaited: AtomicBool,
    said: AtomicBool,
}

impl Unheard {
    pub(super) fn to(voice: Voice) -> Unheard {
        Unheard { voice, ..Unheard::default() }
    }
}

impl Ownership {
    /// Some filesystem's server is not told of owners. Until that is said the tracer must know of each owner that is given: no
    /// process gives one by itself.
    pub fn await_unheard(&self) {
        if !self.unheard.said.load(Ordering::SeqCst) {
            self.unheard.awaited.store(true, Ordering::SeqCst);
            self.restrain_slate();
        }
    }

    /// Whether such an owner is still to be said.
    pub fn awaits_unheard(&self) -> bool {
        self.unheard.awaited.load(Ordering::Relaxed)
    }

    /// Says it.
    pub fn say_unheard(&self, sentence: &str) {
        if !self.unheard.said.swap(true, Ordering::SeqCst) {
            self.unheard.voice.say(sentence);
        }
        self.unheard.awaited.store(false, Ordering::SeqCst);
        if let Some(slate) = self.slate() {
            slate.release();
        }
    }

    /// Has the slate know that such an owner is to be said.
    pub(super) fn restrain_slate(&self) {
        if let Some(slate) = self.slate().filter(|_| self.awaits_unheard()) {
            slate.restrain();
        }
    }
}
