//! Which credentials each task has, for whoever asks about a task that is not its own.
//!
//! *Invariant:* its lock is a leaf: nothing is called while it is held.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::RwLock;

use crate::cred::Credentials;
use crate::sys::Tid;

/// Credentials that differ from those the guest started with, by task.
///
/// A worker keeps its own tasks' credentials beside them and publishes them here; a task that is not
/// here still has the initial ones, so that a fork of an undropped process costs nothing.
#[derive(Debug, Default)]
pub struct Registry(RwLock<HashMap<Tid, Arc<Credentials>>>);

impl Registry {
    /// Publishes a task's credentials.
    pub fn publish(&self, tid: Tid, credentials: Arc<Credentials>) {
        self.0.write().insert(tid, credentials);
    }

    /// Forgets a task that ended.
    pub fn forget(&self, tid: Tid) {
        if self.0.read().contains_key(&tid) {
            self.0.write().remove(&tid);
        }
    }

    /// A task's published credentials.
    pub fn get(&self, tid: Tid) -> Option<Arc<Credentials>> {
        self.0.read().get(&tid).cloned()
    }

    /// The tasks whose credentials are published.
    pub fn tasks(&self) -> Vec<Tid> {
        self.0.read().keys().copied().collect()
    }
}
