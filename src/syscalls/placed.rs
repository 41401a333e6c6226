//! Affinity calls. A worker narrows its tracee's affinity for the moment of a wake-up; it has given
//! it back before it serves the tracee's next stop. So these calls of a tracee's stop, all that is narrowed
//! at that moment is given back, and nothing else.

use super::{Guest, Verdict};

/// sched_setaffinity(2), sched_getaffinity(2).
pub fn run(guest: &mut dyn Guest) -> Verdict {
    guest.wait_for_affinity();
    Verdict::Run
}

/// What is asked of nobody but the listener.
pub fn aside(_guest: &mut dyn Guest) -> Verdict {
    Verdict::Run
}
