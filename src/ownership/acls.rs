//! The names in POSIX ACLs: the users and groups that the kernel of a one-id namespace does not know.
//! The rest of a list, its mask above all, the kernel keeps itself.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use super::Identity;
use crate::abi::acl::Entry;

/// Which of an inode's lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum List {
    /// Who may access it.
    Access,
    /// What new inodes in a directory get.
    Default,
}

/// The named entries of every list that has any; for the run.
#[derive(Debug, Default)]
pub struct Acls(RwLock<Names>);

type Names = HashMap<(Identity, List), Arc<[Entry]>>;

impl Acls {
    /// Whether no list has names.
    pub fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    /// The names in a list.
    pub fn names(&self, identity: Identity, list: List) -> Option<Arc<[Entry]>> {
        self.0.read().get(&(identity, list)).cloned()
    }

    /// Replaces the names in a list.
    pub fn set(&self, identity: Identity, list: List, names: &[Entry]) {
        let mut all = self.0.write();
        if names.is_empty() {
            all.remove(&(identity, list));
        } else {
            all.insert((identity, list), names.into());
        }
    }
}
