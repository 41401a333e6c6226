//! What a run takes over from a [listing](super::listing) and puts into one at its end.

use std::collections::{HashMap, HashSet};

use parking_lot::RwLock;

use super::listing::Entry;
use super::{Attributes, Fact, Identity, Inode, Kernel};
use crate::abi::stat::Statx;
use crate::cred::View;

/// Entries that nobody has met yet, and what was last seen of inodes.
#[derive(Debug, Default)]
pub(super) struct Carried {
    /// Taken over, of inodes that nothing has looked at since.
    waiting: RwLock<HashMap<Inode, Entry>>,
    /// What a line says beside the fact; only where one is to be written.
    notes: RwLock<Notes>,
}

/// What was seen of inodes, and which have lost their last names: a descriptor may show these again, unlike a
/// temporary file that never had a name and may get one yet.
#[derive(Debug, Default)]
struct Notes {
    seen: HashMap<Inode, Note>,
    gone: HashSet<Identity>,
}

/// What the kernel said of an inode when it was last looked at.
#[derive(Debug, Clone, Copy)]
struct Note {
    identity: Identity,
    kernel: Kernel,
    links: u64,
}

impl Carried {
    /// Takes entries over.
    pub(super) fn take_over(&self, loaded: Vec<Entry>) {
        self.waiting.write().extend(loaded.into_iter().map(|entry| (entry.inode, entry)));
    }

    /// Whether some inode's entry waits for it.
    pub(super) fn is_waiting(&self) -> bool {
        !self.waiting.read().is_empty()
    }

    /// What waits for the inode with this number.
    pub(super) fn waiting(&self, inode: Inode) -> Option<Fact> {
        self.waiting.read().get(&inode).map(Entry::fact)
    }

    /// An inode was looked at, which is noted where a listing is to be written. Has `keep` keep what waited
    /// for it, if it is the one that was meant, before anybody can find it gone from here.
    pub(super) fn meet(&self, statx: &Statx, notes: bool, keep: impl FnOnce(Identity, Kernel, Fact)) {
        let identity = Identity::of(statx);
        let kernel = Kernel { uid: statx.uid, gid: statx.gid, mode: statx.mode };
        if notes {
            let mut notes = self.notes.write();
            if !notes.gone.contains(&identity) {
                notes.seen.insert(identity.inode(), Note { identity, kernel, links: statx.links });
            }
        }
        if self.waiting(identity.inode()).is_none() {
            return;
        }
        let mut waiting = self.waiting.write();
        if let Some(entry) = waiting.get(&identity.inode()) {
            if entry.is_of(statx) {
                keep(identity, kernel, entry.fact().found(kernel));
            }
            waiting.remove(&identity.inode());
        }
    }

    /// An inode has no name any more.
    pub(super) fn forget(&self, identity: Identity) {
        let mut notes = self.notes.write();
        notes.gone.insert(identity);
        if notes.seen.get(&identity.inode()).is_some_and(|note| note.identity == identity) {
            notes.seen.remove(&identity.inode());
        }
    }

    /// A line for each inode with a fact, by number; those that wait still as they came.
    pub(super) fn entries(&self, view: &View, remembered: impl Fn(Identity) -> Fact) -> Vec<Entry> {
        let mut entries: Vec<Entry> = self.waiting.read().values().copied().collect();
        let notes: Vec<Note> = self.notes.read().seen.values().copied().collect();
        for note in notes {
            let fact = remembered(note.identity);
            if !fact.is_empty() {
                let seen = Attributes::seen(note.kernel, view, Some(fact));
                entries.push(Entry::new(note.identity, &seen, note.links));
            }
        }
        entries.sort_unstable_by_key(|entry| (entry.inode.dev, entry.inode.ino));
        entries
    }
}
