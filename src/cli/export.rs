//! `--export=OUT IN`: an image in which everybody finds the owners that are recorded in it.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

use clap::{Arg, ArgMatches, value_parser};

use super::store;
use crate::cred::View;
use crate::export::{self, Input, Report};
use crate::launch::{self, Belief, Failure, say};
use crate::ownership::{Home, Ownership, Voice};

/// The option.
pub(super) const NAME: &str = "export";

pub(super) fn argument() -> Arg {
    Arg::new(NAME).long(NAME).value_name("OUT").value_parser(value_parser!(PathBuf)).help(
        "Write IN, which stands in COMMAND's place, to OUT with every owner, mode, device and capability in it, for who has \
         no remainroot: a root directory or a layer becomes a tar archive, an image (docker or podman save, an OCI \
         archive or directory) an image. - is stdin or stdout",
    )
}

/// Does it.
pub(super) fn run(matches: &ArgMatches, out: &Path) -> Result<(), Failure> {
    let input = operand(matches, "--export=OUT needs one IN: a root directory, a layer or an image")?;
    let failed = |error: io::Error| match failure(&error) {
        Failure::Export(cause) if export::is_whole(out) => {
            Failure::Export(format!("{cause}; nothing was written"))
        }
        failure => failure,
    };
    let report = match Input::open(&input, out).map_err(failed)? {
        Input::Tree(top) => {
            let (ownership, view, believes) = place(matches)?;
            export::pack(&top, out, (&ownership, &view, believes)).map_err(failed)?
        }
        other => export::convert(&other, out).map_err(failed)?,
    };
    warn(&report);
    Ok(())
}

/// Why nothing, or but a part, was made.
pub(super) fn failure(error: &io::Error) -> Failure {
    match error.kind() {
        io::ErrorKind::BrokenPipe => Failure::Unread,
        _ => Failure::Export(error.to_string()),
    }
}

/// What stands in the place of the command.
pub(super) fn operand(matches: &ArgMatches, wrong: &'static str) -> Result<PathBuf, Failure> {
    let words: Vec<&OsString> = matches.get_many("command").into_iter().flatten().collect();
    match words.as_slice() {
        [only] => Ok(PathBuf::from(only)),
        _ => Err(Failure::Options(wrong)),
    }
}

/// What is recorded on this machine, and how its ids are shown: those that a run here would show; and whether what a tree
/// itself says of owners counts.
pub(super) fn place(matches: &ArgMatches) -> Result<(Ownership, View, bool), Failure> {
    let choice = store::choice(matches.get_one("store"))?;
    let (view, belief) = launch::enter()?;
    let home = Home::prepare(belief.limit(choice)).map_err(Failure::Store)?;
    Ok((Ownership::at(home, Voice::new(say)), view, belief != Belief::Nobody))
}

/// Says what the person is to know of what was made.
pub(super) fn warn(report: &Report) {
    for sentence in report.sentences() {
        say(&format!("warning: {sentence}"));
    }
}
