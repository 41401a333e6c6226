//! What the kernel does with a program: every instruction that a seccomp filter may hold (`seccomp_check_filter`).

use super::instruction::{ARCH, Instruction, LOAD, NUMBER, POINTER, argument, upper};

/// What a program looks at: `struct seccomp_data`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Data {
    /// The call's number.
    pub number: u32,
    /// The `AUDIT_ARCH_*` value of its ABI.
    pub arch: u32,
    /// Where the instruction behind the one stands that entered the kernel.
    pub pointer: u64,
    /// The call's arguments.
    pub args: [u64; 6],
}

impl Data {
    /// Bytes of the structure.
    const SIZE: u32 = 64;

    /// The word at an offset.
    fn word(&self, offset: u32) -> Option<u32> {
        match offset {
            NUMBER => Some(self.number),
            ARCH => Some(self.arch),
            POINTER => Some(self.pointer as u32),
            _ if offset == POINTER + 4 => Some((self.pointer >> u32::BITS) as u32),
            _ => {
                let index = (0..6u8).find(|&index| [argument(index), upper(index)].contains(&offset))?;
                let shift = if offset == argument(index) { 0 } else { u32::BITS };
                Some((*self.args.get(usize::from(index))? >> shift) as u32)
            }
        }
    }
}

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

/// Runs a program; `None` where the kernel would not have taken it. It ends, since jumps lead forward.
pub fn run(program: &[Instruction], data: &Data) -> Option<Outcome> {
    let mut machine = Machine::default();
    let (mut pc, mut constant, mut steps) = (0usize, true, 0);
    loop {
        let at = program.get(pc)?;
        pc += 1;
        steps += 1;
        constant &= at.code != LOAD || [NUMBER, ARCH].contains(&at.k);
        match machine.step(at, data)? {
            Step::Next => {}
            Step::Skip(count) => pc += count,
            Step::Return(action) => return Some(Outcome { action, constant, steps }),
        }
    }
}

/// The registers and the scratch memory of a program.
#[derive(Debug, Default)]
struct Machine {
    accumulator: u32,
    index: u32,
    memory: [u32; 16],
}

/// What comes after an instruction.
enum Step {
    Next,
    Skip(usize),
    Return(u32),
}

impl Machine {
    fn step(&mut self, at: &Instruction, data: &Data) -> Option<Step> {
        const CLASS: u16 = 7;
        let slot = usize::try_from(at.k).ok();
        match at.code {
            // BPF_LD: of the data, its length, a constant, or the memory.
            LOAD => self.accumulator = data.word(at.k)?,
            0x80 => self.accumulator = Data::SIZE,
            0x00 => self.accumulator = at.k,
            0x60 => self.accumulator = *self.memory.get(slot?)?,
            // BPF_LDX: the same but of the data.
            0x81 => self.index = Data::SIZE,
            0x01 => self.index = at.k,
            0x61 => self.index = *self.memory.get(slot?)?,
            // BPF_ST, BPF_STX.
            0x02 => *self.memory.get_mut(slot?)? = self.accumulator,
            0x03 => *self.memory.get_mut(slot?)? = self.index,
            // BPF_MISC: TAX, TXA.
            0x07 => self.index = self.accumulator,
            0x87 => self.accumulator = self.index,
            // BPF_RET.
            0x06 => return Some(Step::Return(at.k)),
            0x16 => return Some(Step::Return(self.accumulator)),
            code if code & CLASS == 0x04 => return self.compute(at),
            code if code & CLASS == 0x05 => return self.jump(at),
            _ => return None,
        }
        Some(Step::Next)
    }

    /// The second operand: the constant or the index register.
    fn operand(&self, at: &Instruction) -> u32 {
        const FROM_INDEX: u16 = 0x08;
        if at.code & FROM_INDEX == 0 { at.k } else { self.index }
    }

    /// BPF_ALU.
    fn compute(&mut self, at: &Instruction) -> Option<Step> {
        let (a, b) = (self.accumulator, self.operand(at));
        self.accumulator = match at.code & 0xf0 {
            0x00 => a.wrapping_add(b),
            0x10 => a.wrapping_sub(b),
            0x20 => a.wrapping_mul(b),
            0x30 => match a.checked_div(b) {
                Some(quotient) => quotient,
                // The program ends (`BPF_EMIT_JMP` to an exit with 0, net/core/filter.c).
                None => return Some(Step::Return(0)),
            },
            0x40 => a | b,
            0x50 => a & b,
            0x60 => a.wrapping_shl(b),
            0x70 => a.wrapping_shr(b),
            0x80 => a.wrapping_neg(),
            0xa0 => a ^ b,
            _ => return None,
        };
        Some(Step::Next)
    }

    /// BPF_JMP.
    fn jump(&self, at: &Instruction) -> Option<Step> {
        let (a, b) = (self.accumulator, self.operand(at));
        let holds = match at.code & 0xf0 {
            0x00 => return Some(Step::Skip(at.k as usize)),
            0x10 => a == b,
            0x20 => a > b,
            0x30 => a >= b,
            0x40 => a & b != 0,
            _ => return None,
        };
        Some(Step::Skip(usize::from(if holds { at.jt } else { at.jf })))
    }
}
