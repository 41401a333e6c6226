//! remainroot runs an unmodified program inside a rootless container so that it sees what it would
//! see as real root.
//!
//! The layers, top to bottom; a module may use only what stands below it (`tests/tidy.rs`):
//!
//! ```text
//! main, cli                      parse, launch; nothing else knows clap
//!   launch, supervisor           fork the tracer away, filter, exec; adopt parked children
//!     worker/                    one thread group: wait → verdict → resume
//!       ptrace/  registry        typed stops, parking, memory; tid → Arc<Credentials>
//!         syscalls/  seccomp/    what each syscall means; table → filter program
//!           ownership/           who owns which inode, and where that is kept
//!             cred/  abi/        pure: no I/O, no libc, no locks
//!   sys/                         the only unsafe code: one kernel call per function
//! ```
#![cfg_attr(not(test), warn(clippy::all))]

pub mod abi;
pub mod cli;
pub mod cred;
pub mod launch;
pub mod ownership;
pub mod ptrace;
pub mod registry;
pub mod seccomp;
pub mod supervisor;
#[allow(unsafe_code)]
pub mod sys;
pub mod syscalls;
pub mod worker;
