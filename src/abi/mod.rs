//! How a syscall looks in each ABI: numbers, argument widths, errno values, struct layouts.
//!
//! *Invariant:* pure data and arithmetic. This module never performs I/O, knows no credentials and
//! holds no locks; the ABI is a run-time value taken from a stop, never a `cfg`.

pub mod acl;
mod device;
pub mod dirent;
pub mod errno;
pub mod stat;
pub mod statfs;
mod vfscap;
pub mod window;

pub use device::DeviceNumber;
pub use errno::Errno;
pub use vfscap::VfsCaps;

/// What a syscall gives back: a value, or an errno.
pub type SysResult = Result<u64, Errno>;

/// What stands in an argument that a call does not have, so that no filter stops it: no address of a 32-bit program, and odd.
/// In half an argument a filter believes it of a 32-bit program, and of the code that answers inside a process.
pub const MARK: u32 = 0xFFFF_F5ED;

/// The same in a whole argument, as the tracer marks calls.
pub const WHOLE_MARK: u64 = (MARK as u64) << u32::BITS | MARK as u64;

/// What stands there where a listener is asked to open in the task what answers it inside.
pub const BRING: u32 = 0xFFFF_F5EF;

/// What stands there where a listener is asked whose a process is, in a munmap(2) of nothing, which every sandbox lets
/// pass: the fourth argument is the run that is meant.
pub const WHOSE: u32 = 0xFFFF_F5EB;

/// The calling convention a syscall was made with, taken from the stop (`AUDIT_ARCH_*`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Abi {
    /// 64-bit `syscall` on x86.
    X86_64,
    /// `int 0x80` or `sysenter`: 32-bit programs, and 64-bit programs that enter this way.
    I386,
    /// `svc 0` on 64-bit Arm.
    Aarch64,
}

impl Abi {
    /// Every ABI in the syscall table.
    pub const ALL: [Abi; 3] = [Abi::X86_64, Abi::I386, Abi::Aarch64];

    /// The ABI of an `AUDIT_ARCH_*` value (linux/audit.h).
    pub const fn from_audit_arch(arch: u32) -> Option<Abi> {
        match arch {
            0xC000_003E => Some(Abi::X86_64),
            0x4000_0003 => Some(Abi::I386),
            0xC000_00B7 => Some(Abi::Aarch64),
            _ => None,
        }
    }

    /// The `AUDIT_ARCH_*` value of this ABI.
    pub const fn audit_arch(self) -> u32 {
        match self {
            Abi::X86_64 => 0xC000_003E,
            Abi::I386 => 0x4000_0003,
            Abi::Aarch64 => 0xC000_00B7,
        }
    }

    /// Bytes of a pointer, `long` and `size_t`.
    pub const fn word(self) -> usize {
        match self {
            Abi::I386 => 4,
            Abi::X86_64 | Abi::Aarch64 => 8,
        }
    }

    /// `O_NOFOLLOW` of open(2).
    pub const fn no_follow(self) -> u32 {
        match self {
            Abi::X86_64 | Abi::I386 => 0o400_000,
            Abi::Aarch64 => 0o100_000,
        }
    }
}

/// One operation's syscall number in every ABI; `None` where the ABI has no such call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Numbers {
    /// Number for [`Abi::X86_64`].
    pub x86_64: Option<u32>,
    /// Number for [`Abi::I386`].
    pub i386: Option<u32>,
    /// Number for [`Abi::Aarch64`].
    pub aarch64: Option<u32>,
}

impl Numbers {
    /// The number in `abi`.
    pub const fn of(self, abi: Abi) -> Option<u32> {
        match abi {
            Abi::X86_64 => self.x86_64,
            Abi::I386 => self.i386,
            Abi::Aarch64 => self.aarch64,
        }
    }
}

/// A kernel call that remainroot makes a stopped tracee execute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct KernelCall {
    /// Its name in the manual.
    pub name: &'static str,
    /// Its numbers.
    pub numbers: Numbers,
}

/// A syscall as the tracee made it. 32-bit arguments are zero-extended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Call {
    /// The convention it was made with.
    pub abi: Abi,
    /// The syscall number in that ABI.
    pub number: u32,
    /// The six argument registers, in order.
    pub args: [u64; 6],
}

impl Call {
    /// The call that a task is in which is to go on at `pointer`, as its registers say it. A mark that a filter believes is whole:
    /// a signal handler that interrupts a marked call has its mark in a register, and a call of its own may bear it.
    pub fn made(abi: Abi, number: u32, args: [u64; 6], pointer: u64) -> Call {
        // 64-bit code that enters by `int 0x80` may leave anything in the upper halves.
        let mut args = if abi.word() == 4 { args.map(|word| word & 0xFFFF_FFFF) } else { args };
        let [.., sixth] = &mut args;
        if *sixth as u32 == MARK && (abi != Abi::X86_64 || window::has_code(pointer)) {
            *sixth = WHOLE_MARK;
        }
        Call { abi, number, args }
    }

    /// Argument `index` as the register holds it; 0 for an index past the sixth.
    pub fn arg(&self, index: usize) -> u64 {
        self.args.get(index).copied().unwrap_or(0)
    }

    /// Argument `index` as the C type `int`.
    pub fn int(&self, index: usize) -> i32 {
        self.arg(index) as u32 as i32
    }
}
