//! `--store`: where owners, modes and devices are kept.
//!
//! A word names a store, and a path with a slash a file. A name without a slash is a mistyped word.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use clap::builder::{PossibleValue, PossibleValuesParser, TypedValueParser};
use clap::{Arg, Command, ValueHint};

use super::whole;
use crate::launch::Failure;
use crate::ownership::Choice;

/// The words that name a store.
const WORDS: [&str; 3] = ["auto", "xattr", "memory"];

pub(super) fn argument() -> Arg {
    Arg::new("store")
        .long("store")
        .value_name("WHERE")
        .value_parser(WordOrFile)
        .value_hint(ValueHint::FilePath)
        .hide_possible_values(true)
        .default_value("auto")
        .help(
            "Where owners, modes and devices are kept that the kernel cannot keep: auto, on the files as umoci \
             does and, for what cannot bear it, in a file of your state directory; xattr, on the files only; \
             memory, for this run only, as always with --load and --save; or in a file alone, named with a \
             slash, as ./FILE",
        )
}

/// Takes a word of [`WORDS`], or a path.
#[derive(Clone)]
struct WordOrFile;

impl TypedValueParser for WordOrFile {
    type Value = OsString;

    fn parse_ref(
        &self,
        command: &Command,
        argument: Option<&Arg>,
        value: &OsStr,
    ) -> Result<OsString, clap::Error> {
        if value.as_bytes().contains(&b'/') {
            return Ok(value.to_owned());
        }
        PossibleValuesParser::new(WORDS).parse_ref(command, argument, value).map(OsString::from)
    }

    fn possible_values(&self) -> Option<Box<dyn Iterator<Item = PossibleValue> + '_>> {
        Some(Box::new(WORDS.into_iter().map(PossibleValue::new)))
    }
}

/// The store that `said` names.
pub(super) fn choice(said: Option<&OsString>) -> Result<Choice, Failure> {
    let Some(said) = said else { return Ok(Choice::Memory) };
    match said.to_str() {
        Some("memory") => Ok(Choice::Memory),
        Some("xattr") => Ok(Choice::Attributes),
        Some("auto") => {
            let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
            let state = || match variable("HOME")? {
                // No home at all: a directory there would lie about in the root.
                root if root == Path::new("/") => Some(PathBuf::from("/var/lib")),
                home => Some(home.join(".local/state")),
            };
            let state = variable("XDG_STATE_HOME").or_else(state).filter(|state| state.is_absolute());
            Ok(Choice::Auto(state.map(|state| state.join("remainroot/facts"))))
        }
        _ => whole(Path::new(said)).map(Choice::File),
    }
}
