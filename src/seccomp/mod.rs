//! From the syscall table to a seccomp filter program.
//!
//! *Invariant:* pure code generation. It never loads a filter and knows no handler.
//!
//! A program looks at the architecture, then walks a binary tree over the syscall numbers. A number
//! that never stops reaches its `ALLOW` without a look at the arguments, which lets the kernel cache
//! the answer per number (`seccomp_is_const_allow`, kernel/seccomp.c): such a call costs nothing.

mod compile;
mod instruction;
mod interpreter;
#[cfg(test)]
mod tests;

pub use instruction::{Instruction, bytes, parse};
pub use interpreter::{Data, Outcome, run};

use std::sync::OnceLock;

use crate::abi::Abi;
use crate::syscalls::{Stage, Stages, TABLE};

/// The longest program the kernel takes (`BPF_MAXINSNS`, linux/bpf_common.h).
pub const MAX_INSTRUCTIONS: usize = 4096;

/// The ABIs a task of this machine can make syscalls with; a call of any other is refused.
pub const ABIS: &[Abi] =
    if cfg!(target_arch = "aarch64") { &[Abi::Aarch64] } else { &[Abi::X86_64, Abi::I386] };

/// The sizes of the programs, a line a stage, for `--list-syscalls`.
pub fn sizes() -> String {
    let line = |stage: Stage| format!("{stage}: {} instructions\n", program(stage).len());
    Stage::ALL.map(line).concat()
}

/// The filter that stops what `stage` stops; stacked on those of the stages before.
///
/// A stop is `SECCOMP_RET_TRACE` with the row's index in [`TABLE`] as `SECCOMP_RET_DATA`: a hint only,
/// since a filter of the guest's own can forge it. In the stages of notifications it is `SECCOMP_RET_USER_NOTIF`, which
/// outranks it: what such a stage holds does not stop any more.
pub fn program(stage: Stage) -> &'static [Instruction] {
    static PROGRAMS: [OnceLock<Vec<Instruction>>; Stage::ALL.len()] =
        [const { OnceLock::new() }; Stage::ALL.len()];
    let [first, ..] = &PROGRAMS;
    let slot = PROGRAMS.get(stage as usize).unwrap_or(first);
    slot.get_or_init(|| compile::program(TABLE, ABIS, stage, Stages::NONE))
}

/// The same of a run's first filter, where what happens is told to people: it stops what is [watched](Stage::Watched) as well.
pub fn watching_program(stage: Stage) -> Vec<Instruction> {
    compile::program(TABLE, ABIS, stage, Stage::Watched.only())
}
