//! Where facts are kept.

use std::collections::HashMap;
use std::fmt::Debug;

use parking_lot::RwLock;

use super::{Fact, Identity, Inode};

/// A fact and the birth time of the inode it was made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Record {
    /// Birth time, as in [`Identity`].
    pub birth: i128,
    /// What is known.
    pub fact: Fact,
}

impl Record {
    /// The fact, if it was made for this very inode.
    fn of(self, identity: Identity) -> Option<Fact> {
        (self.birth == identity.birth).then_some(self.fact)
    }
}

/// A home for facts. There is at most one record an inode number, since of two inodes with one
/// number only the younger can live; a put for another birth time displaces the older.
///
/// Several workers use a store at once. Its locks are leaves.
pub trait Store: Debug + Send + Sync {
    /// The record under this inode number, whatever its birth time.
    fn get(&self, inode: Inode) -> Option<Record>;

    /// Replaces the fact of one inode by what `change` makes of it, in one step; the default fact
    /// is no record. Gives the new fact.
    fn put(&self, identity: Identity, change: &dyn Fn(Option<Fact>) -> Fact) -> Fact;

    /// Forgets a record, if it was not meanwhile replaced by one with another birth time.
    fn remove(&self, inode: Inode, birth: i128);

    /// Whether nothing is known of any inode.
    fn is_empty(&self) -> bool;
}

/// A store that ends with the run.
#[derive(Debug, Default)]
pub struct Memory {
    records: RwLock<HashMap<Inode, Record>>,
}

impl Store for Memory {
    fn get(&self, inode: Inode) -> Option<Record> {
        self.records.read().get(&inode).copied()
    }

    fn put(&self, identity: Identity, change: &dyn Fn(Option<Fact>) -> Fact) -> Fact {
        let mut records = self.records.write();
        let old = records.get(&identity.inode()).and_then(|record| record.of(identity));
        let fact = change(old);
        if fact.is_empty() {
            records.remove(&identity.inode());
        } else {
            records.insert(identity.inode(), Record { birth: identity.birth, fact });
        }
        fact
    }

    fn remove(&self, inode: Inode, birth: i128) {
        let mut records = self.records.write();
        if records.get(&inode).is_some_and(|record| record.birth == birth) {
            records.remove(&inode);
        }
    }

    fn is_empty(&self) -> bool {
        self.records.read().is_empty()
    }
}
