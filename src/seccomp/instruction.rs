//! One classic-BPF instruction, and the few kinds a filter is made of.

/// `struct sock_filter` (linux/filter.h).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(C)]
pub struct Instruction {
    /// What it does: class, size or operation, and source.
    pub code: u16,
    /// Instructions to skip where a condition holds.
    pub jt: u8,
    /// Instructions to skip where it does not.
    pub jf: u8,
    /// The operand.
    pub k: u32,
}

/// `BPF_LD | BPF_W | BPF_ABS`: load a word of `struct seccomp_data`.
pub const LOAD: u16 = 0x20;
/// `BPF_ALU | BPF_AND | BPF_K`.
pub const AND: u16 = 0x54;
/// `BPF_ALU | BPF_ADD | BPF_K`.
pub const ADD: u16 = 0x04;
/// `BPF_ALU | BPF_ADD | BPF_X`.
pub const ADD_INDEX: u16 = 0x0c;
/// `BPF_MISC | BPF_TAX`.
pub const TO_INDEX: u16 = 0x07;
/// `BPF_JMP | BPF_JA`.
pub const JUMP: u16 = 0x05;
/// `BPF_JMP | BPF_JEQ | BPF_K`.
pub const JUMP_EQUAL: u16 = 0x15;
/// `BPF_JMP | BPF_JGE | BPF_K`, unsigned.
pub const JUMP_AT_LEAST: u16 = 0x35;
/// `BPF_JMP | BPF_JSET | BPF_K`.
pub const JUMP_ANY_BIT: u16 = 0x45;
/// `BPF_RET | BPF_K`.
pub const RETURN: u16 = 0x06;

/// Offset of `nr` in `struct seccomp_data`.
pub const NUMBER: u32 = 0;
/// Offset of `arch` in `struct seccomp_data`.
pub const ARCH: u32 = 4;

/// Offset of the low half of `instruction_pointer` there.
pub const POINTER: u32 = 8;

/// Offset of the low half of argument `index` in `struct seccomp_data` (little-endian).
pub const fn argument(index: u8) -> u32 {
    16 + 8 * index as u32
}

/// Offset of its upper half.
pub const fn upper(index: u8) -> u32 {
    argument(index) + 4
}

impl Instruction {
    /// An instruction without jump targets.
    pub const fn plain(code: u16, k: u32) -> Instruction {
        Instruction { code, jt: 0, jf: 0, k }
    }

    /// The instruction as the kernel reads it from memory.
    pub const fn to_bytes(self) -> [u8; 8] {
        let [c0, c1] = self.code.to_ne_bytes();
        let [k0, k1, k2, k3] = self.k.to_ne_bytes();
        [c0, c1, self.jt, self.jf, k0, k1, k2, k3]
    }

    /// The instruction that the kernel would read there.
    pub const fn from_bytes([c0, c1, jt, jf, k0, k1, k2, k3]: [u8; 8]) -> Instruction {
        Instruction { code: u16::from_ne_bytes([c0, c1]), jt, jf, k: u32::from_ne_bytes([k0, k1, k2, k3]) }
    }
}

/// A whole program as the kernel reads it from memory.
pub fn bytes(program: &[Instruction]) -> Vec<u8> {
    program.iter().flat_map(|instruction| instruction.to_bytes()).collect()
}

/// The program that the kernel would read there.
pub fn parse(bytes: &[u8]) -> Vec<Instruction> {
    bytes.as_chunks::<8>().0.iter().map(|&bytes| Instruction::from_bytes(bytes)).collect()
}
