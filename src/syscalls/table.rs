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

/// The operation with this number in this ABI, in constant time.
pub fn lookup(abi: Abi, number: u32) -> Option<&'static Operation> {
    static ROWS: [[u16; NUMBERS]; 3] = [rows(Abi::X86_64), rows(Abi::I386), rows(Abi::Aarch64)];
    let [x86_64, i386, aarch64] = &ROWS;
    let rows = match abi {
        Abi::X86_64 => x86_64,
        Abi::I386 => i386,
        Abi::Aarch64 => aarch64,
    };
    TABLE.get(usize::from(*rows.get(number as usize)?))
}

/// Numbers the index has room for; the build fails when a row's is higher.
const NUMBERS: usize = 512;

/// For every number of `abi` the row that describes it, or one past the last.
#[expect(clippy::indexing_slicing, reason = "runs when the crate is built, and fails the build")]
const fn rows(abi: Abi) -> [u16; NUMBERS] {
    let mut rows = [TABLE.len() as u16; NUMBERS];
    let mut row = TABLE.len();
    while row > 0 {
        row -= 1;
        if let Some(number) = TABLE[row].numbers.of(abi) {
            rows[number as usize] = row as u16;
        }
    }
    rows
}

/// The table for people: a line per operation with its numbers, and which calls stop in which stage.
pub fn listing() -> String {
    let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let mut text = format!("{:<22}{:>7}{:>6}{:>9}  {}\n", "operation", "x86_64", "i386", "aarch64", "stops");
    for Operation { name, numbers, stops, .. } in TABLE {
        let stops: Vec<String> = stops.iter().map(|(stage, test)| format!("{stage}: {test}")).collect();
        let [x86_64, i386, aarch64] = [numbers.x86_64, numbers.i386, numbers.aarch64].map(number);
        text += &format!("{name:<22}{x86_64:>7}{i386:>6}{aarch64:>9}  {}\n", stops.join("; "));
    }
    text
}

#[cfg(test)]
mod tests;
