//! Credentials as values, and the kernel's rules for changing them.
//!
//! *Invariant:* pure. No I/O, no libc, no locks, no process: a rule takes an old [`Credentials`] and
//! returns a new one or an errno. Ids are the guest's; −1 and the 16-bit forms were parsed before.

mod ids;
mod view;

pub use ids::{Gid, Uid};
pub use view::{IdMap, View};

use std::sync::Arc;

/// A set of capabilities: bit *n* is capability number *n* of capabilities(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapSet(pub u64);

/// The securebits flags of capabilities(7), `SECBIT_*`; keepcaps is `SECBIT_KEEP_CAPS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Securebits(pub u32);

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
}
