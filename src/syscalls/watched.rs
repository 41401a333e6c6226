//! Calls that only the kernel's own privilege answers, and that nothing here replaces.
//!
//! They are the kernel's. Where a run is explained it is told what came of them, and only then they stop.

use super::{Guest, Stage, Test, Verdict};

/// Stops where the run is explained.
pub const STOPS: &[(Stage, Test)] = &[(Stage::Watched, Test::Always)];

/// init_module(2), swapon(2), settimeofday(2) and their like.
pub fn run(_: &mut dyn Guest) -> Verdict {
    Verdict::Run
}
