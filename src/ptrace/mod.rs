//! Tracees of the calling thread: typed stops, registers, memory, injected calls, parking.
//!
//! A stop is a value that is consumed by what resumes it, so that a tracee cannot be resumed twice or
//! forgotten; it is not `Send`, because only the thread that attached may make requests. What crosses
//! threads is [`Parked`], which is detached.
//!
//! *Invariant:* no policy. This module knows neither credentials nor handlers: it says where a tracee
//! stopped, and does what it is told.

mod failure;
mod intercepted;
pub mod memory;
mod narrowed;
mod parked;
mod placement;
mod registers;
mod stop;
mod waiting;

pub use failure::{Lost, Traced, TracerError};
pub use intercepted::{Entry, Intercepted, Suspended};
pub use narrowed::{all_stand_still, forget, inherit, stand_still, widen};
pub use parked::{Parked, park};
pub use placement::{be_prompt, follow, home, set_home, set_places};
pub use registers::stack_pointer;
pub use stop::{Event, EventStop, GroupStop, Report, SignalStop, Stop, SyscallStop, TrapStop, decode};
pub use waiting::{next, next_of, next_to_end, poll};

use crate::sys;

/// Options every tracee is seized with: births are reported, syscall stops are told from signals,
/// and no tracee outlives the thread that answers for it.
pub const OPTIONS: i32 = libc::PTRACE_O_TRACESYSGOOD
    | libc::PTRACE_O_TRACEFORK
    | libc::PTRACE_O_TRACEVFORK
    | libc::PTRACE_O_TRACECLONE
    | libc::PTRACE_O_TRACESECCOMP
    | libc::PTRACE_O_EXITKILL;

/// Those of [`OPTIONS`] that have a process's children traced.
pub const FORKS: i32 = libc::PTRACE_O_TRACEFORK | libc::PTRACE_O_TRACEVFORK;

/// What a tracee is seized with that may be none of ours: its births are not reported, and it lives on without its tracer.
pub const BARE_OPTIONS: i32 =
    libc::PTRACE_O_TRACESYSGOOD | libc::PTRACE_O_TRACESECCOMP | libc::PTRACE_O_TRACEEXEC;

/// [`OPTIONS`] with exec reported.
pub const OPTIONS_WITH_EXEC: i32 = OPTIONS | libc::PTRACE_O_TRACEEXEC;

/// Attaches to a task, asks what every kernel must answer, and lets it go again.
///
/// # Errors
/// Why it cannot be traced: `EPERM` where ptrace is refused, `EIO` where the kernel does not know what is asked.
pub fn try_on(tid: sys::Tid) -> sys::Result<()> {
    sys::ptrace::seize(tid, 0)?;
    sys::ptrace::interrupt(tid)?;
    match decode(tid, sys::wait::one(tid)?) {
        // A signal may have come first.
        Report::Stopped(stop) => {
            let is_known = sys::ptrace::syscall_info(tid).and_then(|_| {
                let mask = sys::ptrace::signal_mask(tid)?;
                sys::ptrace::set_signal_mask(tid, mask)
            });
            stop.release().map_err(|_| sys::Errno::ESRCH)?;
            is_known
        }
        Report::Ended(..) => Err(sys::Errno::ESRCH),
    }
}

/// Sets a stopped tracee's options.
pub fn set_options(tid: sys::Tid, options: i32) -> Traced<()> {
    failure::traced("setting the options", tid, sys::ptrace::set_options(tid, options))
}

/// Asks a running tracee to stop before it runs user code again. One that is gone is nobody's loss.
pub fn interrupt(tid: sys::Tid) {
    let _ = sys::ptrace::interrupt(tid);
}
