//! What the kernel does with a program, for the tests.

use super::instruction::{
    AND, ARCH, Instruction, JUMP, JUMP_ANY_BIT, JUMP_AT_LEAST, JUMP_EQUAL, LOAD, NUMBER, RETURN, argument,
    upper,
};

/// What came of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The action returned.
    pub action: u32,
    /// Whether only the number and the architecture were looked at: then the kernel caches an `ALLOW`
    /// (`seccomp_is_const_allow`).
    pub constant: bool,
    /// Instructions run.
    pub steps: usize,
}

/// Runs a program; `None` where it leaves its end, loads what is not there or is not understood.
pub fn run(program: &[Instruction], arch: u32, number: u32, args: &[u64; 6]) -> Option<Outcome> {
    let (mut pc, mut accumulator, mut constant, mut steps) = (0usize, 0u32, true, 0);
    loop {
        let at = program.get(pc)?;
        pc += 1;
        steps += 1;
        let mut jump = |holds: bool| pc += usize::from(if holds { at.jt } else { at.jf });
        match at.code {
            LOAD if at.k == NUMBER => accumulator = number,
            LOAD if at.k == ARCH => accumulator = arch,
            LOAD => {
                constant = false;
                let index = (0..6u8).find(|&index| [argument(index), upper(index)].contains(&at.k))?;
                let shift = if at.k == argument(index) { 0 } else { u32::BITS };
                accumulator = (*args.get(usize::from(index))? >> shift) as u32;
            }
            AND => accumulator &= at.k,
            JUMP => pc += at.k as usize,
            JUMP_EQUAL => jump(accumulator == at.k),
            JUMP_AT_LEAST => jump(accumulator >= at.k),
            JUMP_ANY_BIT => jump(accumulator & at.k != 0),
            RETURN => return Some(Outcome { action: at.k, constant, steps }),
            _ => return None,
        }
    }
}
