//! The kernel as oracle: the probe (`tests/probe`) performs the same calls natively as root and under
//! remainroot in a one-id namespace, and must print the same.
//!
//! `REMAINROOT_SEQUENCES=10000` makes the random part that long; `REMAINROOT_SEED=N` repeats a run.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;

mod capabilities;
mod cast;
mod execution;
mod groups;
mod ids;
mod names;
mod oracle;
mod process_controls;
mod random;
mod tasks;
