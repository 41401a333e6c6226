//! `--explain`: what was done, in plain words, when the command ends.

use clap::{Arg, ArgMatches};

use super::output;
use crate::journal::Target;
use crate::launch::Failure;

const NAME: &str = "explain";

/// The option.
pub(super) fn argument() -> Arg {
    output::argument(NAME, "Say in words, when COMMAND ends: who became whom, which files got which owners, what was refused and why")
        .num_args(0..=1)
        .default_missing_value(output::STDERR)
}

/// Where it is to be said.
pub(super) fn target(matches: &ArgMatches) -> Result<Option<Target>, Failure> {
    output::target(matches, NAME, "the explanation")
}
