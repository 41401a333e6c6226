//! `--timeline`: the run as a trace that Perfetto shows.

use clap::{Arg, ArgMatches};

use super::output;
use crate::journal::Target;
use crate::launch::Failure;

const NAME: &str = "timeline";

/// The option.
pub(super) fn argument() -> Arg {
    output::argument(
        NAME,
        "Write a trace of all processes and their waits to FILE, for ui.perfetto.dev; traces from the start",
    )
}

/// Where to write it.
pub(super) fn target(matches: &ArgMatches) -> Result<Option<Target>, Failure> {
    output::target(matches, NAME, "the timeline")
}
