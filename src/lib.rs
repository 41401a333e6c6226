//! remainroot runs an unmodified program inside a rootless container (a user namespace that maps one
//! uid and one gid) so that it sees what it would see as real root.
//!
//! It is a faithful illusion for programs that need root's view, not a security boundary: that is the
//! container around it.
//!
//! # The layers
//!
//! Top to bottom; a module uses only what stands below it (`tests/tidy.rs` holds the table of allowed
//! arrows). Each module opens with what it owns and what it must never know.
//!
//! ```text
//! main, cli                      parse, launch; nothing else knows clap
//!   export/                      images with every owner in them, and lists of owners
//!   launch, supervisor           fork the tracer away, filter, exec; adopt parked children
//!     worker/                    one thread group: wait → verdict → resume
//!       journal/                 what happened, for people; one thread writes it
//!       ptrace/  registry        typed stops, parking, memory; tid → Arc<Credentials>
//!         syscalls/  seccomp/    what each syscall means; table → filter program
//!           ownership/           who owns which inode, and where that is kept
//!             cred/  abi/        pure: no I/O, no libc, no locks
//!   sys/                         the only unsafe code: one kernel call per function
//! ```
//!
//! # One call's trip
//!
//! A package manager that started as root drops to user 42: `setresuid(42, 42, 42)`.
//!
//! 1. The [filter](seccomp) that [`launch`] loaded before the exec asks for a stop at syscall 117, or, as long as nobody is traced,
//!    tells a listener, whose thread has a worker attach to the process.
//! 2. The thread group's [`worker`] decodes the wait status into a [`ptrace::Stop`], and that becomes a
//!    [`ptrace::Intercepted`], which must be consumed by what resumes the task.
//! 3. The call's number finds a row of the [table](syscalls::table), and its handler is called with a [`syscalls::Guest`].
//! 4. The handler asks [`cred::Credentials`] what the kernel would do: a pure rule from the old value to a new one or an errno.
//! 5. The new value is published in the [`registry`]. The kernel runs nothing; the result register is 0.
//!
//! [`docs::design`] tells this trip whole, that of a `stat` and of an open, and how processes are born and handed over.
//!
//! # Where to start
//!
//! - [`syscalls::table`] says of each call when it stops and who answers it; one file a family stands beside it.
//! - [`cred`] has the kernel's rules for ids and capabilities, [`ownership`] those for inodes.
//! - [`worker`] runs the loop from a wait to a reply, [`launch`] everything before the command's first instruction.
//! - [`docs::owners`], [`docs::limits`] and [`docs::costs`] are for people who use it, [`docs::measured`] is what experiments
//!   have told.
#![cfg_attr(not(test), warn(clippy::all))]

pub mod abi;
pub mod cli;
pub mod cred;
pub mod docs;
pub mod export;
pub mod journal;
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
