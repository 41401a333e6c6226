//! ptrace(2), request by request.

use std::mem::{MaybeUninit, size_of};
use std::ptr::null_mut;

use libc::{c_uint, c_void};

use super::{Errno, Result, Tid};

/// General registers of a stopped tracee (`struct user_regs_struct`).
#[cfg(target_arch = "x86_64")]
pub type Registers = libc::user_regs_struct;

#[cfg(not(target_arch = "x86_64"))]
compile_error!("remainroot's tracer knows the registers of x86_64 only");

/// One request whose address and data arguments are plain words.
fn request(request: c_uint, tid: Tid, addr: usize, data: usize) -> Result<()> {
    // SAFETY: none of the requests made through this function reads or writes the tracer's memory:
    // address and data are values, not pointers.
    Errno::result(unsafe { libc::ptrace(request, tid, addr, data) }).map(drop)
}

/// PTRACE_SEIZE with `PTRACE_O_*` options.
pub fn seize(tid: Tid, options: i32) -> Result<()> {
    request(libc::PTRACE_SEIZE, tid, 0, options as usize)
}

/// PTRACE_INTERRUPT: the tracee stops with PTRACE_EVENT_STOP before it runs user code again.
pub fn interrupt(tid: Tid) -> Result<()> {
    request(libc::PTRACE_INTERRUPT, tid, 0, 0)
}

/// PTRACE_CONT with a signal to deliver, or 0.
pub fn cont(tid: Tid, signal: i32) -> Result<()> {
    request(libc::PTRACE_CONT, tid, 0, signal as usize)
}

/// PTRACE_SYSCALL: as [`cont`], stopping at the next syscall entry or exit.
pub fn syscall(tid: Tid, signal: i32) -> Result<()> {
    request(libc::PTRACE_SYSCALL, tid, 0, signal as usize)
}

/// PTRACE_LISTEN: stay in a group-stop and report its end.
pub fn listen(tid: Tid) -> Result<()> {
    request(libc::PTRACE_LISTEN, tid, 0, 0)
}

/// PTRACE_DETACH with a signal to deliver, or 0.
pub fn detach(tid: Tid, signal: i32) -> Result<()> {
    request(libc::PTRACE_DETACH, tid, 0, signal as usize)
}

/// PTRACE_SETOPTIONS.
pub fn set_options(tid: Tid, options: i32) -> Result<()> {
    request(libc::PTRACE_SETOPTIONS, tid, 0, options as usize)
}

/// Whether SIGSYS is about to be delivered to a stopped task because a filter has killed its process for the call that it has
/// made (PTRACE_PEEKSIGINFO). The result register holds the call's number then (`syscall_rollback`).
pub fn is_killed_by_a_filter(tid: Tid) -> bool {
    const SYS_SECCOMP: i32 = 1;
    const MANY: usize = 16;
    let from_the_first = libc::ptrace_peeksiginfo_args { off: 0, flags: 0, nr: MANY as i32 };
    let mut pending = [const { MaybeUninit::<libc::siginfo_t>::zeroed() }; MANY];
    // SAFETY: the kernel reads the one structure and fills no more of the other than it asks for.
    let count = unsafe {
        libc::ptrace(libc::PTRACE_PEEKSIGINFO, tid, &raw const from_the_first, pending.as_mut_ptr())
    };
    // SAFETY: zeroed before the call, so initialised whatever was written.
    let pending = pending.iter().map(|info| unsafe { info.assume_init_ref() });
    pending
        .take(usize::try_from(count).unwrap_or(0))
        .any(|info| info.si_signo == libc::SIGSYS && info.si_code == SYS_SECCOMP)
}

/// PTRACE_GETEVENTMSG: the new task's id, the former id at an exec, the exit status, or
/// SECCOMP_RET_DATA.
pub fn event_message(tid: Tid) -> Result<u64> {
    let mut message: libc::c_ulong = 0;
    // SAFETY: the kernel writes one unsigned long to `message`.
    let outcome =
        unsafe { libc::ptrace(libc::PTRACE_GETEVENTMSG, tid, null_mut::<c_void>(), &raw mut message) };
    Errno::result(outcome).map(|_| message)
}

/// Where a task's `struct rseq` is (PTRACE_GET_RSEQ_CONFIGURATION, Linux 5.13); `None` where it has none.
pub fn rseq_address(tid: Tid) -> Option<u64> {
    const GET_RSEQ_CONFIGURATION: i32 = 0x420f;
    // struct ptrace_rseq_configuration: an address, then four words.
    let mut configuration = [0_u64; 3];
    let (size, into) = (size_of_val(&configuration), configuration.as_mut_ptr());
    // SAFETY: the kernel writes at most the size given.
    let outcome = unsafe { libc::syscall(libc::SYS_ptrace, GET_RSEQ_CONFIGURATION, tid, size, into) };
    let [address, ..] = configuration;
    (outcome > 0 && address != 0).then_some(address)
}

/// PTRACE_GETREGS.
pub fn registers(tid: Tid) -> Result<Registers> {
    let mut registers = MaybeUninit::<Registers>::uninit();
    // SAFETY: the kernel fills one user_regs_struct, which is plain data.
    let outcome =
        unsafe { libc::ptrace(libc::PTRACE_GETREGS, tid, null_mut::<c_void>(), registers.as_mut_ptr()) };
    // SAFETY: on success all of it was written.
    Errno::result(outcome).map(|_| unsafe { registers.assume_init() })
}

/// PTRACE_SETREGS.
pub fn set_registers(tid: Tid, registers: &Registers) -> Result<()> {
    // SAFETY: the kernel reads one user_regs_struct.
    let outcome = unsafe {
        libc::ptrace(libc::PTRACE_SETREGS, tid, null_mut::<c_void>(), std::ptr::from_ref(registers))
    };
    Errno::result(outcome).map(drop)
}

/// PTRACE_GET_SYSCALL_INFO at a syscall or seccomp stop.
pub fn syscall_info(tid: Tid) -> Result<libc::ptrace_syscall_info> {
    let mut info = MaybeUninit::<libc::ptrace_syscall_info>::zeroed();
    // SAFETY: the kernel writes at most the size given; the rest stays zero, a valid value.
    let outcome = unsafe {
        libc::ptrace(
            libc::PTRACE_GET_SYSCALL_INFO,
            tid,
            size_of::<libc::ptrace_syscall_info>(),
            info.as_mut_ptr(),
        )
    };
    // SAFETY: zeroed before the call, so initialised whatever was written.
    Errno::result(outcome).map(|_| unsafe { info.assume_init() })
}

/// The arguments of a syscall in the information of a syscall-entry or seccomp stop: number and
/// argument registers; `None` for another kind of stop.
pub fn entry_of(info: &libc::ptrace_syscall_info) -> Option<(u64, [u64; 6])> {
    match info.op {
        // SAFETY: `op` says which member of the union the kernel filled.
        libc::PTRACE_SYSCALL_INFO_ENTRY => Some(unsafe { (info.u.entry.nr, info.u.entry.args) }),
        // SAFETY: as above.
        libc::PTRACE_SYSCALL_INFO_SECCOMP => Some(unsafe { (info.u.seccomp.nr, info.u.seccomp.args) }),
        _ => None,
    }
}

/// PTRACE_POKEUSER: writes one word of the register area; `offset` is that of [`Registers`].
pub fn poke_user(tid: Tid, offset: usize, word: u64) -> Result<()> {
    request(libc::PTRACE_POKEUSER, tid, offset, word as usize)
}

/// PTRACE_GETSIGMASK: the mask of blocked signals.
pub fn signal_mask(tid: Tid) -> Result<u64> {
    let mut mask = 0_u64;
    // SAFETY: the kernel writes the eight bytes announced.
    let outcome = unsafe { libc::ptrace(libc::PTRACE_GETSIGMASK, tid, size_of::<u64>(), &raw mut mask) };
    Errno::result(outcome).map(|_| mask)
}

/// PTRACE_SETSIGMASK.
pub fn set_signal_mask(tid: Tid, mask: u64) -> Result<()> {
    // SAFETY: the kernel reads the eight bytes announced.
    let outcome = unsafe { libc::ptrace(libc::PTRACE_SETSIGMASK, tid, size_of::<u64>(), &raw const mask) };
    Errno::result(outcome).map(drop)
}

/// PTRACE_PEEKDATA: one word of the tracee's memory.
pub fn peek(tid: Tid, address: u64) -> Result<u64> {
    let mut word = 0_u64;
    // SAFETY: the raw request stores the word through its data argument, eight bytes.
    let outcome = unsafe {
        libc::syscall(
            libc::SYS_ptrace,
            i64::from(libc::PTRACE_PEEKDATA),
            i64::from(tid),
            address,
            &raw mut word,
        )
    };
    Errno::result(outcome).map(|_| word)
}

/// PTRACE_POKEDATA: writes one word of the tracee's memory, read-only pages included.
pub fn poke(tid: Tid, address: u64, word: u64) -> Result<()> {
    request(libc::PTRACE_POKEDATA, tid, address as usize, word as usize)
}
