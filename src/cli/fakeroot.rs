//! The command line of fakeroot(1), for when remainroot is called by that name.
//!
//! What concerns fakeroot's library and daemon is taken and means nothing.

use std::ffi::{CString, OsStr, OsString};
use std::path::{Path, PathBuf};

use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use super::{loaded, print, whole};
use crate::launch::{self, EXIT_OWN_FAILURE, Failure, Plan, say};

/// The name that this goes by.
const NAME: &str = "fakeroot";
/// The name in a package, where `fakeroot` may be another program.
const NAME_IN_PACKAGE: &str = "fakeroot-remainroot";
/// What fakeroot exits with where it fails itself.
const EXIT_FAILURE: u8 = 1;
/// The fakeroot whose options these are, as its `-v` says it.
const VERSION: &str = concat!("fakeroot version 1.31 (remainroot ", env!("CARGO_PKG_VERSION"), ")\n");
const USAGE: &str = "usage: fakeroot [-l|--lib LIBRARY] [-f|--faked DAEMON] [-i FILE] [-s FILE] \
     [-u|--unknown-is-real] [-b|--fd-base FD] [-h|--help] [-v|--version] [--] [COMMAND [ARG]...]";

/// Whether remainroot was called by the name of fakeroot.
pub(super) fn is_meant(words: &[OsString]) -> bool {
    let name = words.first().and_then(|word| Path::new(word).file_name());
    name.is_some_and(|name| [NAME, NAME_IN_PACKAGE].iter().any(|meant| name == OsStr::new(meant)))
}

fn command() -> Command {
    let path = |name, short| {
        Arg::new(name).short(short).num_args(1).allow_hyphen_values(true).value_parser(value_parser!(PathBuf))
    };
    let flag = |name, short| Arg::new(name).short(short).long(name).action(ArgAction::SetTrue);
    Command::new(NAME)
        .disable_help_flag(true)
        .disable_version_flag(true)
        .args_override_self(true)
        .infer_long_args(true)
        .arg(path("load", 'i'))
        .arg(path("save", 's'))
        .arg(path("lib", 'l').long("lib"))
        .arg(path("faked", 'f').long("faked"))
        .arg(path("fd-base", 'b').long("fd-base"))
        .arg(flag("unknown-is-real", 'u'))
        .arg(flag("help", 'h'))
        .arg(flag("version", 'v'))
        .arg(Arg::new("command").value_parser(value_parser!(OsString)).num_args(1..).trailing_var_arg(true))
}

/// As [`super::main`].
pub(super) fn main(words: Vec<OsString>) -> u8 {
    let matches = match command().try_get_matches_from(words) {
        Ok(matches) if !matches.get_flag("help") => matches,
        _ => {
            say(USAGE);
            return EXIT_FAILURE;
        }
    };
    if matches.get_flag("version") {
        return print(VERSION);
    }
    if is_preloaded() {
        say(
            "the real fakeroot is around this already, and its library would wait for a daemon of ours for ever",
        );
        return EXIT_FAILURE;
    }
    let failure = match plan(&matches) {
        Ok(plan) => launch::run(plan),
        Err(failure) => failure,
    };
    say(&failure.sentence());
    match failure.status() {
        EXIT_OWN_FAILURE => EXIT_FAILURE,
        status => status,
    }
}

/// Whether the command would be loaded with fakeroot's library, which finds its daemon by `FAKEROOTKEY`. The
/// real fakeroot refuses too where it finds that set.
fn is_preloaded() -> bool {
    std::env::var_os("LD_PRELOAD").is_some_and(|names| names.to_string_lossy().contains("libfakeroot"))
}

fn plan(matches: &ArgMatches) -> Result<Plan, Failure> {
    let mut command: Vec<OsString> = matches.get_many("command").into_iter().flatten().cloned().collect();
    if command.is_empty() {
        let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty());
        command.push(shell.unwrap_or_else(|| "/bin/sh".into()));
    }
    let load = match matches.get_one::<PathBuf>("load") {
        Some(path) if path.is_file() => loaded(path)?,
        // fakeroot goes on without: a first run with -i and -s of one file has none yet.
        Some(path) => {
            say(&format!("database file {} does not exist.", path.display()));
            vec![]
        }
        None => vec![],
    };
    let save = matches.get_one::<PathBuf>("save").map(|path| whole(path)).transpose()?;
    let unknown_is_real = matches.get_flag("unknown-is-real");
    let mode = if unknown_is_real { c"unknown-is-real" } else { c"unknown-is-root" };
    // A number that no other fakeroot of this user has, as the key of its daemon's message queue is.
    let key = CString::new(std::process::id().to_string()).unwrap_or_default();
    let variables = vec![(c"FAKEROOTKEY", key), (c"FAKED_MODE", mode.to_owned())];
    Ok(Plan {
        command,
        load,
        save,
        unknown_is_real,
        needs_root: true,
        variables,
        allow_real_root: true,
        quiet: true, // as fakeroot, of which nobody expects what is missing
        ..Plan::default()
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Option<ArgMatches> {
        command().try_get_matches_from(line.split(' ')).ok()
    }

    #[test]
    fn fakeroots_options_are_taken_as_getopt_does() {
        let line = "fakeroot -ufd -l lib --fa=x -b 9 -i a -sb -i c -- ls -l -- -h";
        let matches = parsed(line).expect("it is right");
        assert_eq!(matches.get_one::<PathBuf>("load"), Some(&"c".into()), "the last counts");
        assert_eq!(matches.get_one::<PathBuf>("save"), Some(&"b".into()));
        assert!(matches.get_flag("unknown-is-real") && !matches.get_flag("help"));
        let words: Vec<&OsString> = matches.get_many("command").into_iter().flatten().collect();
        assert_eq!(words, ["ls", "-l", "--", "-h"]);
        assert!(parsed("fakeroot debian/rules -s x binary").is_some(), "options end at the command");
        assert!(parsed("fakeroot -x").is_none() && parsed("fakeroot -s").is_none());
    }

    #[test]
    fn only_the_name_itself_means_it() {
        let meant = |name: &str| is_meant(&[name.into()]);
        assert!(
            meant("fakeroot") && meant("/usr/local/bin/fakeroot") && meant("/usr/bin/fakeroot-remainroot")
        );
        assert!(!meant("remainroot") && !meant("fakeroot-ng") && !meant("/fakeroot/remainroot"));
        assert!(!is_meant(&[]));
    }
}
