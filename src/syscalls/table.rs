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

/// A row; −1 stands for "this ABI has no such call".
#[allow(dead_code)]
const fn row(
    name: &'static str,
    [x86_64, i386, aarch64]: [i32; 3],
    handler: fn(&mut dyn Guest) -> Verdict,
    stops: &'static [(Stage, Test)],
) -> Operation {
    const fn number(n: i32) -> Option<u32> {
        if n < 0 { None } else { Some(n as u32) }
    }
    let numbers = Numbers { x86_64: number(x86_64), i386: number(i386), aarch64: number(aarch64) };
    Operation { name, numbers, handler, stops }
}

/// Every operation.
#[rustfmt::skip]
pub const TABLE: &[Operation] = &[
    // User and group ids.
    // Groups.
    // Capabilities and prctl.
    // Owners of files.
    // Attributes of files.
    // New files.
    // Sandboxes and what is refused.
];

/// The operation with this number in this ABI.
pub fn lookup(abi: Abi, number: u32) -> Option<&'static Operation> {
    TABLE.iter().find(|operation| operation.numbers.of(abi) == Some(number))
}
