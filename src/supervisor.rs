//! The tracer process: starts the first worker, outlives the last, and writes the summary.

use std::fs::File;
use std::io::Write;
use std::os::fd::AsRawFd;
use std::sync::Arc;

use crossbeam_channel::unbounded;

use crate::cred::View;
use crate::ownership::{Home, Ownership};
use crate::sys::{self, Tid};
use crate::worker::{Count, News, Pool, Shared, Tally};

/// What the tracer writes, and where.
#[derive(Debug)]
pub struct Outputs {
    /// Facts that outlast the run.
    pub home: Home,
    /// The summary.
    pub summary: Option<File>,
    /// How much is said on stderr.
    pub verbosity: u8,
}

/// Attaches to `command`, tells `attached` how that went, and returns when the last tracee has ended.
pub fn run(view: View, outputs: Outputs, command: Tid, attached: impl FnOnce(sys::Result<()>)) {
    let Outputs { home, mut summary, verbosity } = outputs;
    log(verbosity);
    let (outbox, news) = unbounded();
    let watch_first = summary.is_some() || verbosity > 0;
    let pool = Pool::new(outbox);
    let shared = Arc::new(Shared::new(view, Ownership::at(home), pool, summary.is_some(), watch_first));
    let outcome = sys::wait::install_wake_handler().and_then(|()| Pool::seize(&shared, command));
    attached(outcome);
    if outcome.is_err() {
        return;
    }
    for event in news {
        match event {
            News::FirstEnds(go_on) => {
                write_summary(summary.take(), &shared);
                leave_stderr();
                drop(go_on);
            }
            News::AllEnded => break,
        }
    }
    write_summary(summary.take(), &shared);
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
fn write_summary(file: Option<File>, shared: &Shared) {
    let Some(mut file) = file else { return };
    let answers = shared.tally.as_ref().map(Tally::table).unwrap_or_default();
    let counts: String = Count::ALL
        .iter()
        .map(|&count| format!("{:>10} {}\n", shared.counters.get(count), count.name()))
        .collect();
    let _ = file.write_all(format!("{answers}\n{counts}").as_bytes());
}
