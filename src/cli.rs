//! The command line.

mod check;
mod explain;
mod export;
mod fakeroot;
mod generate;
mod help;
mod list_owners;
mod log;
mod mistakes;
mod output;
mod store;
mod timeline;

use std::ffi::OsString;
use std::fs::File;
use std::io::{IsTerminal, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};

use clap::error::ErrorKind;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};

use crate::journal::Wanted;
use crate::launch::{self, EXIT_OWN_FAILURE, Failure, Plan, say};
use crate::ownership::Choice;
use crate::ownership::listing::{self, Entry};
use crate::seccomp;
use crate::syscalls::table;

/// The licence, whole.
const LICENCE: &str = include_str!("../COPYING");

fn command() -> Command {
    Command::new("remainroot")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Run a program that sees what real root would see, in a namespace that maps one id")
        .after_help(help::after())
        .override_usage("remainroot [OPTIONS] [--] COMMAND [ARG]...")
        .arg(flag("license", 'L', "Print the licence (GPL-3.0-or-later) and exit"))
        .arg(flag("list-syscalls", '\0', "List the syscalls that are answered, with their numbers, and exit"))
        .args(check::arguments())
        .arg(flag("allow-real-root", '\0', "Run even as real root of the initial user namespace"))
        .arg(
            Arg::new("shim-type")
                .short('s')
                .long("shim-type")
                .value_name("TYPE")
                .value_parser(["ptrace"])
                .default_value("ptrace")
                .help("How the command is followed"),
        )
        .arg(attach_argument())
        .arg(flag("adopt", '\0', "See owners that umoci and others left on the files here, now and later"))
        .arg(store::argument())
        .arg(file(
            "load",
            "Take owners, modes and devices over from a file that fakeroot -s or --save has written",
        ))
        .arg(file(
            "save",
            "Write owners, modes and devices to a file for --load or fakeroot -i when COMMAND ends",
        ))
        .arg(export::argument())
        .arg(list_owners::argument())
        .arg(
            Arg::new("summary")
                .short('c')
                .long("summary")
                .value_name("FILE")
                .num_args(0..=1)
                .require_equals(true)
                .default_missing_value(output::STDERR)
                .value_parser(value_parser!(PathBuf))
                .help("Tell what was answered, how often and for which program, when COMMAND ends"),
        )
        .arg(explain::argument())
        .args(log::arguments())
        .arg(timeline::argument())
        .arg(verbose_argument())
        .arg(generate::argument())
        .arg(
            Arg::new("command")
                .value_name("COMMAND")
                .value_parser(value_parser!(OsString))
                .num_args(1..)
                .trailing_var_arg(true)
                .help("The program to run, and its arguments"),
        )
}

fn verbose_argument() -> Arg {
    Arg::new("verbose").short('v').long("verbose").action(ArgAction::Count).help(
        "Say on stderr what was chosen, how the run is followed and what changes that; twice: what goes on",
    )
}

fn attach_argument() -> Arg {
    Arg::new("attach")
        .long("attach")
        .value_name("WHEN")
        .value_parser(["demand", "start"])
        .default_value("demand")
        .help("Trace a process on demand, as long as no file here has an owner of its own; or from its start")
}

fn file(name: &'static str, help: &'static str) -> Arg {
    Arg::new(name).long(name).value_name("FILE").value_parser(value_parser!(PathBuf)).help(help)
}

fn flag(name: &'static str, short: char, help: &'static str) -> Arg {
    let arg = Arg::new(name).long(name).action(ArgAction::SetTrue).help(help);
    if short == '\0' { arg } else { arg.short(short) }
}

/// Parses the command line and runs it; returns only when no command runs in this process.
pub fn main() -> u8 {
    let words: Vec<OsString> = std::env::args_os().collect();
    if fakeroot::is_meant(&words) {
        return fakeroot::main(words);
    }
    let matches = match command().try_get_matches_from(&words) {
        Ok(matches) => matches,
        Err(error) => return refuse(&error),
    };
    if let Some(what) = matches.get_one::<String>("generate") {
        return print(&generate::text(what, command()));
    }
    if matches.get_flag("license") {
        return print(LICENCE);
    }
    if matches.get_flag("list-syscalls") {
        return print(&format!("{}\nFilters\n{}", table::listing(), seccomp::sizes()));
    }
    let done = if let Some(out) = matches.get_one::<PathBuf>(export::NAME) {
        export::run(&matches, out).map(|()| 0)
    } else if let Some(format) = matches.get_one::<String>(list_owners::NAME) {
        list_owners::run(&matches, format).map(|()| 0)
    } else if let Some(done) = check::main(&matches) {
        done
    } else {
        plan(&matches).and_then(|plan| Err(launch::run(plan)))
    };
    done.unwrap_or_else(|failure| {
        let behind = matches.get_many::<OsString>("command").map_or(0, |all| all.len());
        match mistakes::meant(&command(), &words, behind) {
            Some(meant) if matches!(failure, Failure::Exec { .. }) => {
                say(&format!("{}; {meant}", failure.sentence()));
            }
            _ if matches!(failure, Failure::Unread) => {}
            _ => say(&failure.sentence()),
        }
        failure.status()
    })
}

fn plan(matches: &ArgMatches) -> Result<Plan, Failure> {
    let command: Vec<OsString> = matches.get_many("command").into_iter().flatten().cloned().collect();
    let summary = matches.get_one::<PathBuf>("summary").map(|path| summary(path)).transpose()?;
    let allow_real_root = matches.get_flag("allow-real-root");
    let adopt = matches.get_flag("adopt");
    let load = matches.get_one::<PathBuf>("load");
    let save = matches.get_one::<PathBuf>("save").map(|path| whole(path)).transpose()?;
    let lists = load.is_some() || save.is_some();
    let unsaid = matches.value_source("store") == Some(ValueSource::DefaultValue);
    let store = if lists && unsaid { Choice::Memory } else { store::choice(matches.get_one("store"))? };
    if lists && (store != Choice::Memory || adopt) {
        return Err(Failure::Options(
            "--load and --save are for --store=memory: other stores keep facts themselves",
        ));
    }
    if adopt && !matches!(store, Choice::Auto(_) | Choice::Attributes) {
        return Err(Failure::Options("--adopt is for stores on the files: auto or xattr"));
    }
    let load = load.map(|path| loaded(path)).transpose()?.unwrap_or_default();
    let attach_at_start = matches.get_one::<String>("attach").is_some_and(|when| when == "start");
    let verbosity = matches.get_count("verbose");
    let quiet = check::is_quiet(matches);
    let journal = Wanted {
        log: log::target(matches)?,
        timeline: timeline::target(matches)?,
        explain: explain::target(matches)?,
        modes: verbosity > 0,
        command: Vec::clone(&command),
    };
    Ok(Plan {
        command,
        store,
        adopt,
        load,
        save,
        attach_at_start,
        allow_real_root,
        summary,
        quiet,
        journal,
        verbosity,
        ..Plan::default()
    })
}

/// A path that means the same file from everywhere.
fn whole(path: &Path) -> Result<PathBuf, Failure> {
    std::path::absolute(path).map_err(Failure::io("finding the working directory"))
}

/// What a listing says.
fn loaded(path: &Path) -> Result<Vec<Entry>, Failure> {
    let unusable = |cause: String| Failure::Listing { path: path.to_owned(), cause };
    let text = std::fs::read(path).map_err(|error| unusable(error.to_string()))?;
    listing::entries(&text).map_err(|malformed| unusable(malformed.to_string()))
}

/// Another descriptor of stderr.
fn diagnostics() -> std::io::Result<OwnedFd> {
    std::io::stderr().as_fd().try_clone_to_owned()
}

fn summary(path: &Path) -> Result<File, Failure> {
    let file = if output::is_stderr(path) { diagnostics().map(File::from) } else { File::create(path) };
    file.map_err(Failure::io("creating the summary file"))
}

/// Help and version go to stdout; everything else clap says is an error of the caller's, told in one
/// sentence.
fn refuse(error: &clap::Error) -> u8 {
    if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) {
        return if error.print().is_ok() { 0 } else { EXIT_OWN_FAILURE };
    }
    say(&mistakes::sentence(&command(), error));
    EXIT_OWN_FAILURE
}

/// Whether a person may be looking at what is printed.
fn speaks_to_terminal() -> bool {
    std::io::stdout().is_terminal()
}

fn print(text: &str) -> u8 {
    match std::io::stdout().write_all(text.as_bytes()) {
        Ok(()) => 0,
        Err(_) => EXIT_OWN_FAILURE,
    }
}
