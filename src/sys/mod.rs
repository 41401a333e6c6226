//! The only unsafe code: one kernel call per function, typed at the boundary.
//!
//! *Invariant:* no policy. A function here makes one kernel call and reports what came of it.
