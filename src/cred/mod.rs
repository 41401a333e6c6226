//! Credentials as values, and the kernel's rules for changing them.
//!
//! *Invariant:* pure. No I/O, no libc, no locks, no process: a rule takes an old [`Credentials`] and
//! returns a new one or an errno. Ids are the guest's; −1 and the 16-bit forms were parsed before.

mod caps;
mod capset;
mod exec;
mod ids;
mod setid;
mod view;

pub use caps::{Cap, CapSet, Securebits};
pub use capset::CapSets;
pub use exec::{ExecFile, Execed, FileCaps};
pub use ids::{Gid, Uid};
pub use view::{IdMap, View};

use std::sync::Arc;

/// What `struct cred` holds for one task, as the guest sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Real user id.
    pub uid: Uid,
    /// Effective user id.
    pub euid: Uid,
    /// Saved set-user-id.
    pub suid: Uid,
    /// Filesystem user id.
    pub fsuid: Uid,
    /// Real group id.
    pub gid: Gid,
    /// Effective group id.
    pub egid: Gid,
    /// Saved set-group-id.
    pub sgid: Gid,
    /// Filesystem group id.
    pub fsgid: Gid,
    /// Supplementary groups, sorted as the kernel keeps them.
    pub groups: Arc<[Gid]>,
    /// Inheritable capabilities.
    pub inheritable: CapSet,
    /// Permitted capabilities.
    pub permitted: CapSet,
    /// Effective capabilities.
    pub effective: CapSet,
    /// Capability bounding set.
    pub bounding: CapSet,
    /// Ambient capabilities.
    pub ambient: CapSet,
    /// Securebits.
    pub securebits: Securebits,
    /// `no_new_privs` as the guest has asked for it.
    pub no_new_privs: bool,
    /// Whether a signal of `PR_SET_PDEATHSIG` may be in force, which a change of ids is to end.
    pub heeds_parent: bool,
}

impl Credentials {
    /// What root has after boot: every id 0, no groups, every capability.
    pub fn root() -> Credentials {
        Credentials {
            uid: Uid::ROOT,
            euid: Uid::ROOT,
            suid: Uid::ROOT,
            fsuid: Uid::ROOT,
            gid: Gid::ROOT,
            egid: Gid::ROOT,
            sgid: Gid::ROOT,
            fsgid: Gid::ROOT,
            groups: Arc::from([]),
            inheritable: CapSet::EMPTY,
            permitted: CapSet::FULL,
            effective: CapSet::FULL,
            bounding: CapSet::FULL,
            ambient: CapSet::EMPTY,
            securebits: Securebits::default(),
            no_new_privs: false,
            heeds_parent: false,
        }
    }

    /// Whether `cap` is effective (`capable`, `ns_capable`).
    pub fn has(&self, cap: Cap) -> bool {
        self.effective.has(cap)
    }

    /// Whether the task may send a signal to one of these credentials (`kill_ok_by_cred`).
    pub fn may_signal(&self, target: &Credentials) -> bool {
        let ids = [target.suid, target.uid];
        ids.contains(&self.euid) || ids.contains(&self.uid) || self.has(Cap::KILL)
    }

    /// Whether the task belongs to a group for file permissions (`in_group_p`).
    pub fn in_group(&self, gid: Gid) -> bool {
        gid == self.fsgid || self.groups.binary_search(&gid).is_ok()
    }

    /// The same with the effective group id in place of the filesystem's (`in_egroup_p`).
    pub fn in_egroup(&self, gid: Gid) -> bool {
        gid == self.egid || self.groups.binary_search(&gid).is_ok()
    }
}

#[cfg(test)]
mod tests;
