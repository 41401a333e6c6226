//! What is to become of a stopped syscall.

use super::Guest;
use crate::abi::{KernelCall, SysResult};

/// Called at the exit stop with the kernel's result; returns what the guest gets. `guest.call()`
/// is still the call as the guest made it.
pub type Finish = fn(guest: &mut dyn Guest, result: SysResult) -> SysResult;

/// A handler's decision.
#[derive(Debug, Clone, Copy)]
#[must_use]
pub enum Verdict {
    /// The kernel never runs it: this is the answer.
    Reply(SysResult),
    /// The kernel runs it as it is.
    Run,
    /// The kernel runs it as it is, then the result is corrected at the exit stop.
    Amend(Finish),
    /// The kernel runs this instead, then the result is corrected at the exit stop.
    Replace(&'static KernelCall, [u64; 6], Finish),
}

impl From<SysResult> for Verdict {
    fn from(result: SysResult) -> Verdict {
        Verdict::Reply(result)
    }
}
