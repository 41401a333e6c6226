//! The tracer process: starts the first worker, outlives the last, and writes the summary and the listing.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::{AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crossbeam_channel::unbounded;

use crate::cred::View;
use crate::journal::{Journal, Wanted};
use crate::ownership::{Home, Ownership, Voice};
use crate::ptrace;
use crate::sys::{self, Tid};
use crate::syscalls::Stage;
use crate::worker::{self, Count, Demand, Guardian, News, Pool, Shared, Tally};

/// What the tracer writes, and where.
#[derive(Debug)]
pub struct Outputs {
    /// Facts that outlast the run.
    pub home: Home,
    /// The summary.
    pub summary: Option<File>,
    /// What is told of what happens.
    pub journal: Wanted,
    /// Where what is known is listed in the end.
    pub save: Option<PathBuf>,
    /// How much is said on stderr.
    pub verbosity: u8,
    /// Which file the command's stderr is, by device and inode number.
    pub stderr: Option<(u64, u64)>,
    /// Says one sentence there.
    pub say: fn(&str),
}

impl Outputs {
    /// Whether anything may be said on stderr.
    pub fn speak(&self) -> bool {
        self.verbosity > 0 || self.save.is_some() || self.summary.is_some() || self.journal.calls()
    }
}

/// Attaches to `command`, tells `attached` how that went, and returns when the last tracee has ended. Where it has the
/// filter of a stage with a `listener` it is attached to, and what descends from it, on demand.
pub fn run(
    view: View,
    outputs: Outputs,
    command: Tid,
    listener: Option<(OwnedFd, Stage)>,
    attached: impl FnOnce(sys::Result<()>),
) {
    let watch_first = outputs.summary.is_some() || outputs.speak();
    let Outputs { home, mut summary, journal, mut save, verbosity, stderr, say } = outputs;
    log(verbosity);
    ptrace::be_prompt();
    let guardian = match Guardian::start(listener.as_ref().map(|(listener, _)| listener)) {
        Ok(guardian) => guardian,
        Err(errno) => return attached(Err(errno)),
    };
    let (outbox, news) = unbounded();
    let pool = Pool::new(outbox);
    let mut ownership = Ownership::at(home, voice(command, stderr));
    if journal.calls() {
        ownership.have_changes_told();
    }
    let journal = match Journal::start(journal, view.initial.effective, say) {
        Ok(journal) => journal,
        Err(errno) => return attached(Err(errno)),
    };
    let demand = listener.as_ref().map(|&(_, stage)| Demand::of(command, stage));
    let mut shared = Shared::new(view, ownership, pool, guardian, summary.is_some(), watch_first, demand);
    shared.journal = journal;
    let shared = Arc::new(shared);
    let tried = sys::wait::install_wake_handler().and_then(|()| ptrace::try_on(command));
    let outcome = tried.and_then(|()| match listener {
        Some((listener, _)) => {
            worker::begin(&shared, listener)?;
            if watch_first { Pool::seize(&shared, command) } else { Ok(()) }
        }
        None => Pool::seize(&shared, command),
    });
    attached(outcome);
    if outcome.is_err() {
        shared.guardian.dismiss();
        return;
    }
    for event in news {
        match event {
            News::FirstEnds(go_on) => {
                write_summary(summary.take(), &shared, say);
                write_listing(save.take(), &shared, say);
                shared.journal.iter().for_each(Journal::first_ends);
                leave_stderr();
                drop(go_on);
            }
            News::AllEnded => break,
        }
    }
    write_summary(summary.take(), &shared, say);
    write_listing(save.take(), &shared, say);
    shared.journal.iter().for_each(Journal::close);
    shared.ownership.close();
    shared.guardian.dismiss();
}

/// Says on the command's stderr what must be said while it runs. Nothing of the command's is held open for
/// that: its own descriptor is borrowed, as long as it is still the one that the command was started with.
fn voice(command: Tid, stderr: Option<(u64, u64)>) -> Voice {
    let command = sys::descriptor::open_task(command).ok();
    Voice::new(move |sentence| {
        let borrowed = command
            .as_ref()
            .and_then(|command| sys::descriptor::take(command, libc::STDERR_FILENO).ok().map(File::from));
        if let Some(mut file) = borrowed
            && let Ok(found) = file.metadata()
            && stderr == Some((found.dev(), found.ino()))
        {
            // Nobody else can be told that nobody listens.
            let _ = file.write_all(format!("remainroot: {sentence}\n").as_bytes());
        }
    })
}

/// What is known, where that was asked for and has not been written.
fn write_listing(path: Option<PathBuf>, shared: &Shared, say: fn(&str)) {
    let Some(path) = path else { return };
    if let Err(error) = replace(&path, shared.ownership.listing(&shared.view).as_bytes()) {
        say(&format!("saving to {} failed: {error}", path.display()));
    }
}

/// Writes a file in one step, so that who reads it finds the old or the new whole; in place where it is
/// no regular file.
pub fn replace(path: &Path, text: &[u8]) -> io::Result<()> {
    let path = &path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if path.metadata().is_ok_and(|found| !found.is_file()) {
        return File::options().write(true).open(path)?.write_all(text);
    }
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}", std::process::id()));
    let new = path.with_file_name(name);
    let written = File::options().write(true).create_new(true).open(&new).and_then(|mut file| {
        file.write_all(text)?;
        std::fs::rename(&new, path)
    });
    written.inspect_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            let _ = std::fs::remove_file(&new);
        }
    })
}

/// Whoever reads the command's stderr must not wait for the daemons that it leaves behind.
fn leave_stderr() {
    if let Ok(null) = File::options().write(true).open("/dev/null") {
        let _ = sys::process::duplicate(null.as_raw_fd(), libc::STDERR_FILENO);
    }
}

/// Diagnostics go to stderr, and only when asked for: stderr belongs to the command.
fn log(verbosity: u8) {
    let level = match verbosity {
        0 => return,
        1 => tracing::Level::WARN,
        2 => tracing::Level::DEBUG,
        _ => tracing::Level::TRACE,
    };
    let subscriber = tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(std::io::stderr)
        .with_ansi(false)
        .finish();
    let _ = tracing::subscriber::set_global_default(subscriber);
}

/// What was answered, and a line for each count, where a summary was asked for and has not been written.
fn write_summary(file: Option<File>, shared: &Shared, say: fn(&str)) {
    let Some(mut file) = file else { return };
    let answers = shared.tally.as_ref().map(Tally::table).unwrap_or_default();
    let counts: String = Count::ALL
        .iter()
        .map(|&count| format!("{:>10} {}\n", shared.counters.get(count), count.name()))
        .collect();
    let complaint = shared.ownership.complaint().map(|complaint| format!("\n{complaint}\n"));
    let text = format!("{answers}\n{counts}{}", complaint.unwrap_or_default());
    if let Err(error) = file.write_all(text.as_bytes()) {
        say(&format!("writing the summary failed: {error}"));
    }
}
