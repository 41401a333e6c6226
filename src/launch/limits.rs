//! What of the caller's resource limits (setrlimit(2)) would keep the tracer from its work. They are the command's business: the
//! tracer lifts its own as far as it may, and where that is not far enough nothing is begun.

use super::Failure;
use crate::sys::process::{self, Limit};

/// A limit that holds the tracer, how it is said in a shell, and how little is too little.
const NEEDS: &[(Limit, &str, u64)] = &[
    (Limit::Files, "open files (ulimit -n)", 16),
    (Limit::Data, "data (ulimit -d)", 8 << 20),
    (Limit::Memory, "virtual memory (ulimit -v)", 16 << 20),
];

/// Refuses to run where no limit that the tracer may set for itself is enough.
///
/// # Errors
/// [`Failure::Place`].
pub(super) fn check() -> Result<(), Failure> {
    for &(limit, name, needed) in NEEDS {
        match process::most_of(limit) {
            Ok(most) if most < needed => {
                return Err(Failure::Place(format!(
                    "the hard limit of {name} is {most}, and remainroot itself needs {needed}: raise it, or set it \
                     inside, by remainroot sh -c 'ulimit …; exec COMMAND'"
                )));
            }
            _ => {}
        }
    }
    Ok(())
}

/// Lifts this process's limits as far as they may be.
pub(super) fn lift() {
    for limit in Limit::ALL {
        let _ = process::lift(limit); // what cannot be lifted stays
    }
}
