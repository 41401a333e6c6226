//! The one table of operations: number in every ABI, handler, and which calls stop in which stage.

use super::{Guest, Stage, Test, Verdict};
use crate::abi::{Abi, Numbers};

/// One syscall that remainroot answers.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// Its name in the manual; the 16-bit forms of i386 end in `16`.
    pub name: &'static str,
    /// Its number in every ABI.
    pub numbers: Numbers,
    /// What it means.
    pub handler: fn(&mut dyn Guest) -> Verdict,
    /// Which calls stop in which stage.
    pub stops: &'static [(Stage, Test)],
}

/// Every operation.
pub const TABLE: &[Operation] = &[];

/// The operation with this number in this ABI.
pub fn lookup(abi: Abi, number: u32) -> Option<&'static Operation> {
    TABLE.iter().find(|operation| operation.numbers.of(abi) == Some(number))
}
