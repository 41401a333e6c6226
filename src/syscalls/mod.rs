//! What each syscall means under emulated credentials.
//!
//! *Invariant:* a handler sees only [`Guest`]: never a ptrace request, a thread or a channel. It is
//! short, named after its syscall, and returns a [`Verdict`].

mod access;
mod attributes;
mod bind;
mod capabilities;
mod chmod;
mod chown;
mod create;
mod device;
mod exec;
#[cfg(test)]
pub(crate) mod fake;
#[cfg(test)]
pub(crate) mod files;
mod filesystem;
mod flags;
mod frozen;
mod fsconfig;
mod groups;
mod guest;
mod home;
mod ids;
pub mod inner;
pub mod inode;
pub mod kernel;
mod kill;
pub mod layers;
pub mod limits;
mod link;
mod list;
mod mappings;
mod mknod;
mod mount;
pub mod mounted;
mod moves;
mod nodes;
mod placed;
mod prctl;
mod refused;
mod removal;
mod rooted;
mod sandbox;
mod stage;
mod stat;
mod status;
mod statx;
mod sticky;
pub mod table;
mod undo;
mod utimes;
mod verdict;
mod watched;
mod xattr;

pub use fsconfig::Planned;
pub use guest::{Guest, Look, Peer, Peers, SCRATCH_BYTES, Share};
pub use stage::{ROOT_OR_NONE, Stage, Stages, Test};
pub use table::{Operation, Room, TABLE, Tried};
pub use verdict::{Finish, Verdict};
