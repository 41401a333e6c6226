//! `--list-owners[=FORMAT] DIR`: what is recorded in a tree, in the forms that other tools read.

use std::io::{self, BufWriter, Write};

use clap::{Arg, ArgMatches};

use super::export::{failure, operand, place, warn};
use crate::export::list::{self, Format};
use crate::launch::Failure;

/// The option.
pub(super) const NAME: &str = "list-owners";

pub(super) fn argument() -> Arg {
    Arg::new(NAME)
        .long(NAME)
        .value_name("FORMAT")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("text")
        .value_parser(Format::ALL.map(|(name, _)| name))
        .help(
            "List what is recorded below the directory that stands in COMMAND's place: for people (text), bsdtar (mtree, \
             everything), mksquashfs -pf and -ef, fakeroot -i, or programs (json)",
        )
}

/// Does it.
pub(super) fn run(matches: &ArgMatches, format: &str) -> Result<(), Failure> {
    let top = operand(matches, "--list-owners needs one directory")?;
    let (_, format) =
        Format::ALL.into_iter().find(|(name, _)| *name == format).unwrap_or(("text", Format::Text));
    let (ownership, view, believes) = place(matches)?;
    let mut out = BufWriter::new(io::stdout().lock());
    let failed = |error: io::Error| failure(&error);
    let report = list::write(&top, format, (&ownership, &view, believes), &mut out).map_err(failed)?;
    out.flush().map_err(failed)?;
    warn(&report);
    Ok(())
}
