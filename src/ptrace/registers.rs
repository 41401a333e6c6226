//! The registers of a syscall, by the ABI it was made with.

use crate::abi::Abi;
use crate::sys::ptrace::Registers;

/// Bytes of every instruction that enters the kernel on x86: `syscall`, `int 0x80`, and the
/// `int 0x80` that the vDSO keeps before its sysenter landing.
const ENTRY_INSTRUCTION: u64 = 2;

/// Offset of the result register in the tracee's user area.
pub const RESULT_OFFSET: usize = std::mem::offset_of!(Registers, rax);
/// Offset of the syscall number there.
pub const NUMBER_OFFSET: usize = std::mem::offset_of!(Registers, orig_rax);

/// Offset there of the address of the next instruction.
pub const NEXT_OFFSET: usize = std::mem::offset_of!(Registers, rip);

/// The number that makes the kernel run no syscall.
pub const NO_SYSCALL: u64 = u64::MAX;

/// Sets number and arguments of the syscall about to run at an entry stop.
pub fn set_call(registers: &mut Registers, abi: Abi, number: u32, args: [u64; 6]) {
    registers.orig_rax = u64::from(number);
    let [a, b, c, d, e, f] = args;
    match abi {
        Abi::I386 => {
            [registers.rbx, registers.rcx, registers.rdx] = [a, b, c];
            [registers.rsi, registers.rdi, registers.rbp] = [d, e, f];
        }
        Abi::X86_64 | Abi::Aarch64 => {
            [registers.rdi, registers.rsi, registers.rdx] = [a, b, c];
            [registers.r10, registers.r8, registers.r9] = [d, e, f];
        }
    }
}

/// The arguments of the syscall a task is in.
pub fn arguments(registers: &Registers, abi: Abi) -> [u64; 6] {
    let r = registers;
    match abi {
        Abi::I386 => [r.rbx, r.rcx, r.rdx, r.rsi, r.rdi, r.rbp].map(|word| word & 0xFFFF_FFFF),
        Abi::X86_64 | Abi::Aarch64 => [r.rdi, r.rsi, r.rdx, r.r10, r.r8, r.r9],
    }
}

/// Whether the task is in a syscall that has just failed with `EINTR`.
pub fn was_interrupted(registers: &Registers) -> bool {
    const EINTR: i32 = 4;
    registers.orig_rax as i64 >= 0 && registers.rax as i32 == -EINTR
}

/// Whether the task is in a syscall that a signal has put off, and that is only made again where the handler says so
/// (`ERESTARTSYS`).
pub fn was_put_off(registers: &Registers) -> bool {
    const ERESTARTSYS: i32 = 512;
    registers.orig_rax as i64 >= 0 && registers.rax as i32 == -ERESTARTSYS
}

/// The same with a syscall that is made again in any case (`ERESTARTNOINTR`).
pub fn again(registers: &Registers) -> Registers {
    const ERESTARTNOINTR: i64 = 513;
    Registers { rax: -ERESTARTNOINTR as u64, ..*registers }
}

/// Points a task that has just entered the kernel back at its entry instruction, about to make
/// syscall `number`.
pub fn rewind(registers: &mut Registers, number: u64) {
    registers.rip = registers.rip.wrapping_sub(ENTRY_INSTRUCTION);
    registers.rax = number;
    registers.orig_rax = NO_SYSCALL;
}

/// Where the instruction stands through which the task entered the kernel.
pub fn entry_address(registers: &Registers) -> u64 {
    registers.rip.wrapping_sub(ENTRY_INSTRUCTION)
}

/// The ABI that the instruction at [`entry_address`] uses, from the bytes that stand there; `None`
/// if it is no instruction that enters the kernel.
pub fn entry_abi(word: u64) -> Option<Abi> {
    match word.to_le_bytes() {
        [0x0F, 0x05, ..] => Some(Abi::X86_64),
        [0xCD, 0x80, ..] => Some(Abi::I386),
        _ => None,
    }
}

/// A syscall's raw result. Of 32-bit results only the errnos are sign-extended: the upper half of the
/// address space is no negative number.
pub fn result(registers: &Registers, abi: Abi) -> i64 {
    match abi {
        Abi::I386 => match registers.rax as i32 {
            errno @ -4095..0 => errno.into(),
            value => i64::from(value as u32),
        },
        Abi::X86_64 | Abi::Aarch64 => registers.rax as i64,
    }
}

/// Whether a raw result is one of the kernel's restart codes, `ERESTARTSYS` to `ERESTART_RESTARTBLOCK`.
pub fn restarts(raw: i64) -> bool {
    (-516..=-512).contains(&raw)
}

/// The stack pointer and the size of a word there: 4 for a 32-bit program (its code segment).
pub fn stack_pointer(registers: &Registers) -> (u64, usize) {
    (registers.rsp, if registers.cs == 0x23 { 4 } else { 8 })
}
