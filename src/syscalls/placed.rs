//! Affinity calls. A worker narrows its tracee's affinity for the moment of a wake-up, and some a little longer. So these
//! calls of a tracee's stop, and what is narrowed of the task that they are about is given back; nothing else.

use super::{Guest, Verdict};

/// sched_setaffinity(2), sched_getaffinity(2).
pub fn run(guest: &mut dyn Guest) -> Verdict {
    let whose = guest.call().arg(0) as i32;
    guest.wait_for_affinity(whose);
    Verdict::Run
}
