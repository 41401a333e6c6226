//! Options that name a file which is written to while the command runs.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, value_parser};

use crate::journal::Target;
use crate::launch::Failure;

/// Names of stderr.
pub(super) const STDERR: &str = "/dev/stderr";
const DASH: &str = "-";

/// Whether a path stands for stderr.
pub(super) fn is_stderr(path: &Path) -> bool {
    [STDERR, DASH].iter().any(|name| path == Path::new(name))
}

/// Such an option.
pub(super) fn argument(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("FILE")
        .require_equals(true)
        .value_parser(value_parser!(PathBuf))
        .help(help)
}

/// Opens the file that an option names, before the command starts.
pub(super) fn target(
    matches: &ArgMatches,
    name: &str,
    what: &'static str,
) -> Result<Option<Target>, Failure> {
    let Some(path) = matches.get_one::<PathBuf>(name) else { return Ok(None) };
    let opened =
        if is_stderr(path) { super::diagnostics().and_then(Target::stderr) } else { Target::create(path) };
    opened.map(Some).map_err(|error| {
        let path = path.display();
        Failure::Output(format!("{path} cannot be written, which {what} was to go to: {error}"))
    })
}
