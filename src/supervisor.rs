//! The tracer process: starts the first worker, outlives the last, and writes the summary.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use crossbeam_channel::unbounded;

use crate::cred::View;
use crate::ownership::Ownership;
use crate::sys::{self, Tid};
use crate::worker::{Count, News, Pool, Shared};

/// What the tracer writes, and where.
#[derive(Debug)]
pub struct Outputs {
    /// The summary.
    pub summary: Option<File>,
    /// How much is said on stderr.
    pub verbosity: u8,
}

/// Attaches to `command`, tells `attached` how that went, and returns when the last tracee has ended.
pub fn run(view: View, outputs: Outputs, command: Tid, attached: impl FnOnce(sys::Result<()>)) {
    log(outputs.verbosity);
    let (outbox, news) = unbounded();
    let summary = outputs.summary;
    let shared = Arc::new(Shared::new(view, Ownership::default(), Pool::new(outbox), summary.is_some()));
    let outcome = sys::wait::install_wake_handler().and_then(|()| Pool::seize(&shared, command));
    attached(outcome);
    if outcome.is_err() {
        return;
    }
    let mut summary = summary;
    for event in news {
        match event {
            News::FirstEnds(go_on) => {
                if let Some(file) = summary.take() {
                    write_summary(file, &shared);
                }
                drop(go_on);
            }
            News::AllEnded => break,
        }
    }
    if let Some(file) = summary.take() {
        write_summary(file, &shared);
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

/// One line for each count.
fn write_summary(mut file: File, shared: &Shared) {
    let lines: String = Count::ALL
        .iter()
        .map(|&count| format!("{:>10} {}\n", shared.counters.get(count), count.name()))
        .collect();
    let _ = file.write_all(lines.as_bytes());
}
