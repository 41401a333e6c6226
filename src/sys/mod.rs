//! The only unsafe code: one kernel call per function, typed at the boundary.
//!
//! *Invariant:* no policy. A function here makes one kernel call and reports what came of it; the
//! error is the call's errno as the tracer got it, never the guest's.

pub mod afterlife;
pub mod database;
pub mod descriptor;
pub mod files;
pub mod inside;
pub mod memory;
pub mod process;
pub mod ptrace;
pub mod sched;
pub mod seccomp;
pub mod shared;
pub mod wait;
pub mod xattr;

pub use nix::errno::Errno;

/// A kernel call's outcome.
pub type Result<T> = std::result::Result<T, Errno>;

/// A thread or process id in the tracer's pid namespace.
pub type Tid = i32;
