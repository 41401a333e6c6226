//! `--log` and `--log-format`: every answered call, while it is made.

use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches};

use super::output;
use crate::journal::{Format, Target};
use crate::launch::Failure;

const NAME: &str = "log";
const FORMAT: &str = "log-format";

/// The options.
pub(super) fn arguments() -> [Arg; 2] {
    let format = Arg::new(FORMAT)
        .long(FORMAT)
        .value_name("FORMAT")
        .value_parser(["text", "json"])
        .requires(NAME)
        .help("How --log writes: text, as strace does, or json, an object a line [default: by the end of FILE's name]");
    [output::argument(NAME, "Write each answered call to FILE, or - for stderr, while COMMAND runs"), format]
}

/// Where to write what is asked for, and how.
pub(super) fn target(matches: &ArgMatches) -> Result<Option<(Target, Format)>, Failure> {
    let said = matches.get_one::<String>(FORMAT).map(String::as_str);
    let format = match (said, matches.get_one::<PathBuf>(NAME)) {
        (Some("json"), _) => Format::Json,
        (None, Some(path)) if is_json(path) => Format::Json,
        _ => Format::Text,
    };
    Ok(output::target(matches, NAME, "the log")?.map(|target| (target, format)))
}

/// Whether a file's name says that it is of JSON.
fn is_json(path: &Path) -> bool {
    path.extension().is_some_and(|end| end == "json" || end == "jsonl" || end == "ndjson")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_files_name_says_how_it_is_written() {
        let json = ["a.json", "/x/b.jsonl", "c.ndjson"].map(Path::new);
        let text = ["json", "a.txt", "-", "/dev/stderr", ".json"].map(Path::new);
        assert!(json.into_iter().all(is_json) && !text.into_iter().any(is_json));
    }
}
