//! From the syscall table to a seccomp filter program.
//!
//! *Invariant:* pure code generation. It never loads a filter and knows no handler.
