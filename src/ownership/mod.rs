//! Who owns which inode as the guest sees it, and where that is kept.
//!
//! *Invariant:* this module never makes a tracee do anything and knows no syscall: it is told an
//! inode's [`Identity`] and answers with its [`Fact`].

mod fact;

pub use fact::{Device, Fact, Identity};

/// The facts of one run.
#[derive(Debug, Default)]
pub struct Ownership {}
