//! Who owns which inode as the guest sees it, and where that is kept.
//!
//! *Invariant:* this module never makes a tracee do anything and knows no syscall: it is told an
//! inode's [`Identity`] and answers with its [`Fact`].
//!
//! A fact belongs to an inode, not to a path, so renames and hard links need no care. What a stat
//! reports of an inode, device and number, is used again soon after an unlink: a fact is therefore
//! kept with the inode's *birth time*, which the number's next owner does not have (DESIGN, "Ownership
//! of files"; a file made anew must never inherit an owner). Only statx(2) tells the birth time, so a
//! lookup goes in two steps: [`Ownership::ask`] with what any stat reports, which nearly always
//! answers that there is nothing; and [`Ownership::confirm`] with the birth time. A confirmed inode is
//! remembered with its ctime: an inode that took the number over has another, so the same ctime needs
//! no second look. What both times cannot tell apart is a number freed and taken again within one
//! tick of the kernel's clock (4 ms at 250 Hz) on a filesystem that hands numbers out again at once, and
//! that only before Linux 6.13, where a time that was looked at never comes again.
//! And an overlayfs mounted inside a user namespace shows a file that was copied up under its lower
//! number only until the kernel drops it from its caches, and under another through a new hard link:
//! there a table of numbers forgets, which is why facts that last belong on the inode itself.
//!
//! What the guest sees is computed in one place, [`Attributes::seen`], from what the kernel says, the
//! namespace's [`View`](crate::cred::View) and the fact; who may change it stands in [`rules`].

mod acls;
mod attributes;
mod fact;
pub mod rules;
mod store;
pub mod xattr;

pub use acls::{Acls, List};
pub use attributes::{Attributes, Kernel};
pub use fact::{Device, Fact, Identity, Inode};
pub use store::{Memory, Record, Store};

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::abi::stat::Ctime;

/// What is known of an inode by its number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the kernel's attributes are right.
    Nothing,
    /// This fact, and it is this inode's.
    Known(Fact),
    /// A fact of this inode or of an earlier one: look at the birth time.
    Unsure(Fact),
}

/// The facts of one run.
#[derive(Debug)]
pub struct Ownership {
    store: Box<dyn Store>,
    /// Change times at which an inode's birth time was found to be its record's.
    confirmed: RwLock<HashMap<Inode, Ctime>>,
    /// Whether a set-gid directory may have an emulated group.
    inherits: AtomicBool,
    acls: Acls,
}

impl Default for Ownership {
    fn default() -> Ownership {
        Ownership::new(Box::<Memory>::default())
    }
}

impl Ownership {
    /// The facts in `store`.
    pub fn new(store: Box<dyn Store>) -> Ownership {
        let inherits = AtomicBool::new(!store.is_empty());
        Ownership { store, confirmed: RwLock::default(), inherits, acls: Acls::default() }
    }

    /// Whether nothing is known of any inode.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty()
    }

    /// What is known of the inode with this number that has this ctime, if the caller has one.
    pub fn ask(&self, inode: Inode, ctime: Option<Ctime>) -> Answer {
        match self.store.get(inode) {
            None => Answer::Nothing,
            Some(record) if ctime.is_some() && self.confirmed.read().get(&inode).copied() == ctime => {
                Answer::Known(record.fact)
            }
            Some(record) => Answer::Unsure(record.fact),
        }
    }

    /// The fact of an inode whose birth time is known. A record of another birth time is of an inode
    /// that is gone and is dropped.
    pub fn confirm(&self, identity: Identity, ctime: Ctime) -> Option<Fact> {
        let inode = identity.inode();
        let record = self.store.get(inode)?;
        if record.birth == identity.birth {
            if self.confirmed.read().get(&inode) != Some(&ctime) {
                self.confirmed.write().insert(inode, ctime);
            }
            Some(record.fact)
        } else {
            self.store.remove(inode, record.birth);
            self.confirmed.write().remove(&inode);
            None
        }
    }

    /// Changes what is known of an inode, in one step, and gives the new fact; an empty one is
    /// forgotten.
    pub fn change(&self, identity: Identity, change: impl Fn(Option<Fact>) -> Fact) -> Fact {
        let fact = self.store.put(identity, &change);
        if fact.is_empty() {
            self.confirmed.write().remove(&identity.inode());
        }
        fact
    }

    /// The names in ACLs.
    pub fn acls(&self) -> &Acls {
        &self.acls
    }

    /// There is a set-gid directory with an emulated group.
    pub fn set_inherits(&self) {
        self.inherits.store(true, Ordering::Release);
    }

    /// Whether some set-gid directory may pass an emulated group on to what is made in it.
    pub fn inherits(&self) -> bool {
        self.inherits.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
