//! What each syscall means under emulated credentials.
//!
//! *Invariant:* a handler sees only [`Guest`]: never a ptrace request, a thread or a channel. It is
//! short, named after its syscall, and returns a [`Verdict`].

mod capabilities;
#[cfg(test)]
pub(crate) mod fake;
mod groups;
mod guest;
mod ids;
pub mod kernel;
mod prctl;
mod refused;
mod sandbox;
mod stage;
pub mod table;
mod verdict;

pub use guest::{Guest, SCRATCH_BYTES};
pub use stage::{Stage, Stages, Test};
pub use table::{Operation, TABLE};
pub use verdict::{Finish, Verdict};
