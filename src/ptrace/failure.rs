//! Why a request about a tracee failed.

use crate::sys::{Errno, Tid};

/// A ptrace request the kernel refused: a defect of ours or of the machine, never the guest's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct TracerError {
    /// What was asked for.
    pub operation: &'static str,
    /// Of which task.
    pub tid: Tid,
    /// What the kernel said.
    pub source: Errno,
}

impl std::fmt::Display for TracerError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} (task {}): {}", self.operation, self.tid, self.source.desc())
    }
}

impl std::error::Error for TracerError {}

/// Why there is nothing more to do with a stop.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lost {
    /// It was killed; its exit will be reported, or has been.
    Gone,
    /// A request failed.
    Failed(TracerError),
}

/// The outcome of a request about a tracee.
pub type Traced<T> = Result<T, Lost>;

/// Names the operation of a failed request; `ESRCH` means killed.
pub(super) fn traced<T>(operation: &'static str, tid: Tid, outcome: crate::sys::Result<T>) -> Traced<T> {
    outcome.map_err(|source| match source {
        Errno::ESRCH | Errno::ECHILD => Lost::Gone,
        _ => Lost::Failed(TracerError { operation, tid, source }),
    })
}
