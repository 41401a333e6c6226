//! Extended attributes: setxattr(2), getxattr(2), listxattr(2), removexattr(2), their `l`, `f` and `at` forms.
//!
//! The kernel of a one-id namespace keeps `user.*` and `security.capability` on inodes of ours as it would for
//! real root, and POSIX ACLs but for the names in them. What it refuses is remembered ([`Extra`]): all of
//! it, or what the kernel's own value lacks, so that what makes the kernel drop or change its part (a
//! chmod, a write, a chown) needs no care here. Who may goes by the emulated credentials.
//!
//! *Invariant:* what is wrong with a call before an inode's permissions are asked, and in which order that is
//! found out, is only ever said by the kernel.
//!
//! [`Extra`]: crate::ownership::Extra

mod acl;
mod aftermath;
mod capability;
mod class;
mod foreign;
mod get;
mod hidden;
mod list;
mod privileged;
mod remove;
mod request;
mod set;
mod users;

pub use acl::{inherit, passes_names_on};
pub use aftermath::{of_chmod, of_chown};
pub use get::get;
pub use list::list;
pub use remove::remove;
pub use set::set;

/// The inode is named by a path.
pub const PATH: u8 = 0;
/// By a path whose final symbolic link is not followed.
pub const LINK: u8 = 1;
/// By a descriptor.
pub const DESCRIPTOR: u8 = 2;
/// By a descriptor of a directory, a path and flags.
pub const AT: u8 = 3;

#[cfg(test)]
mod tests;
