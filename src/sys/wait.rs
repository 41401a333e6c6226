//! Waiting for tracees, and being woken from it without a race.

use std::sync::atomic::AtomicU32;

use super::{Errno, Result, Tid};

/// The signal that wakes a thread from [`any`]; never sent to a tracee.
const WAKE: i32 = libc::SIGUSR1;

// waitid that a wake-up cannot miss. The waker sets the flag, then signals the thread. A signal that
// comes before `begin` is seen as the flag; one that comes between the look at the flag and the
// `syscall` instruction finds the program counter in [begin, end) and is sent to `woken` by the
// handler; a later one interrupts the call itself.
core::arch::global_asm!(
    ".globl remainroot_wait_begin, remainroot_wait_end, remainroot_wait_woken, remainroot_waitid",
    "remainroot_waitid:", // rdi = kind, rsi = id, rdx = siginfo, rcx = flag, r8 = options
    "mov r10, r8",
    "xor r8d, r8d",
    "remainroot_wait_begin:",
    "cmp dword ptr [rcx], 0",
    "jne remainroot_wait_woken",
    "mov eax, 247",
    "syscall",
    "remainroot_wait_end:",
    "ret",
    "remainroot_wait_woken:",
    "mov rax, -4",
    "ret",
);

unsafe extern "C" {
    fn remainroot_waitid(
        kind: i64,
        id: i64,
        info: *mut libc::siginfo_t,
        flag: *const AtomicU32,
        options: i64,
    ) -> i64;
    static remainroot_wait_begin: u8;
    static remainroot_wait_end: u8;
    static remainroot_wait_woken: u8;
}

extern "C" fn woken(_signal: i32, _info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    let context = context.cast::<libc::ucontext_t>();
    // SAFETY: the kernel passes the interrupted context; only addresses of the labels are taken.
    unsafe {
        let begin = (&raw const remainroot_wait_begin) as i64;
        let end = (&raw const remainroot_wait_end) as i64;
        if let Some(counter) = (*context).uc_mcontext.gregs.get_mut(libc::REG_RIP as usize)
            && (begin..end).contains(counter)
        {
            *counter = (&raw const remainroot_wait_woken) as i64;
        }
    }
}

/// Installs the handler of the wake-up signal for the process.
pub fn install_wake_handler() -> Result<()> {
    // SAFETY: a zeroed sigaction is valid; the handler only touches the interrupted context.
    let outcome = unsafe {
        let mut action: libc::sigaction = std::mem::zeroed();
        action.sa_sigaction = woken as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO;
        libc::sigaction(WAKE, &raw const action, std::ptr::null_mut())
    };
    Errno::result(outcome).map(drop)
}

/// Lets the wake-up signal through to the calling thread.
pub fn accept_wake() {
    // SAFETY: the set is initialised before use and only read.
    unsafe {
        let mut set: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut set);
        libc::sigaddset(&raw mut set, WAKE);
        libc::pthread_sigmask(libc::SIG_UNBLOCK, &raw const set, std::ptr::null_mut());
    }
}

/// Wakes thread `tid` of this process from [`any`]; its flag must have been set before.
pub fn wake(tid: Tid) -> Result<()> {
    super::process::tgkill(std::process::id() as Tid, tid, WAKE)
}

/// Waits for any of this thread's own tracees (waitid(2), `__WALL|__WNOTHREAD`) and gives its wait status.
///
/// # Errors
/// `EINTR` when `flag` is not 0 or the thread was woken; `ECHILD` when it has no tracee left.
pub fn any(flag: &AtomicU32) -> Result<(Tid, i32)> {
    wait(flag, 0).map(|(tid, code, status)| (tid, wait_status(code, status)))
}

/// The same, and leaves it to report (`WNOWAIT`), for [`poll_one`] to take. Gives the task, and whether it has ended.
///
/// # Errors
/// As of [`any`].
pub fn look(flag: &AtomicU32) -> Result<(Tid, bool)> {
    let ends = [libc::CLD_EXITED, libc::CLD_KILLED, libc::CLD_DUMPED];
    wait(flag, libc::WNOWAIT).map(|(tid, code, _)| (tid, ends.contains(&code)))
}

/// The task, and what its siginfo has as code and status.
fn wait(flag: &AtomicU32, options: i32) -> Result<(Tid, i32, i32)> {
    let options = libc::__WALL | libc::__WNOTHREAD | libc::WEXITED | options;
    // SAFETY: a zeroed siginfo is valid, and the kernel fills it as for SIGCHLD; the flag lives over the call.
    unsafe {
        let mut info: libc::siginfo_t = std::mem::zeroed();
        let outcome = remainroot_waitid(i64::from(libc::P_ALL), 0, &raw mut info, flag, i64::from(options));
        if outcome < 0 {
            return Err(Errno::from_raw(-outcome as i32));
        }
        Ok((info.si_pid(), info.si_code, info.si_status()))
    }
}

/// What wait4(2) would have said (`wait_task_zombie`, `wait_task_stopped`).
fn wait_status(code: i32, status: i32) -> i32 {
    const CORE: i32 = 0x80;
    const STOPPED: i32 = 0x7F;
    match code {
        libc::CLD_EXITED => status << 8,
        libc::CLD_KILLED => status,
        libc::CLD_DUMPED => status | CORE,
        _ => status << 8 | STOPPED,
    }
}

/// wait4(−1) for this thread's own tracees, without waiting; `None` when there is nothing to report.
///
/// # Errors
/// `ECHILD` when it has no tracee left.
pub fn poll() -> Result<Option<(Tid, i32)>> {
    let mut status = 0;
    let options = libc::__WALL | libc::__WNOTHREAD | libc::WNOHANG;
    // SAFETY: the kernel writes one int to `status`.
    let outcome = unsafe { libc::waitpid(-1, &raw mut status, options) };
    Errno::result(outcome).map(|tid| (tid != 0).then_some((tid, status)))
}

/// wait4 for one task of this thread (`__WALL|__WNOTHREAD`), without waiting; `None` when there is nothing to report.
///
/// # Errors
/// `ECHILD` when it is not this thread's, or gone.
pub fn poll_one(tid: Tid) -> Result<Option<i32>> {
    let mut status = 0;
    let options = libc::__WALL | libc::__WNOTHREAD | libc::WNOHANG;
    // SAFETY: the kernel writes one int to `status`.
    let outcome = unsafe { libc::waitpid(tid, &raw mut status, options) };
    Errno::result(outcome).map(|found| (found != 0).then_some(status))
}

/// waitpid(2) for one task of this thread, `__WALL|__WNOTHREAD`; a wake-up does not end it.
pub fn one(tid: Tid) -> Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: the kernel writes one int to `status`.
        let outcome = unsafe { libc::waitpid(tid, &raw mut status, libc::__WALL | libc::__WNOTHREAD) };
        match Errno::result(outcome) {
            Err(Errno::EINTR) => {}
            Err(errno) => return Err(errno),
            Ok(_) => return Ok(status),
        }
    }
}

/// Blocks every signal of this process but those that stop it and let it go on, and has its children's ends be told.
pub fn hold_signals() {
    // SAFETY: the default disposition runs no code, and the set is initialised by sigfillset.
    unsafe {
        libc::signal(libc::SIGCHLD, libc::SIG_DFL);
        let all = held();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const all, std::ptr::null_mut());
    }
}

/// All signals but those of job control.
fn held() -> libc::sigset_t {
    let mut all = std::mem::MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        for signal in [libc::SIGTSTP, libc::SIGTTIN, libc::SIGTTOU, libc::SIGCONT] {
            libc::sigdelset(all.as_mut_ptr(), signal);
        }
        all.assume_init()
    }
}

/// The next signal that [`hold_signals`] holds, and whether a process has sent it to this one.
pub fn held_signal() -> Result<(i32, bool)> {
    let all = held();
    let mut info = std::mem::MaybeUninit::<libc::siginfo_t>::zeroed();
    // SAFETY: the kernel reads the set and fills the structure.
    let signal = Errno::result(unsafe { libc::sigwaitinfo(&raw const all, info.as_mut_ptr()) })?;
    // SAFETY: zeroed before the call.
    Ok((signal, unsafe { info.assume_init() }.si_code <= 0))
}

/// A child of this process that has ended, and how, if there is one.
pub fn ended_child() -> Result<Option<(Tid, i32)>> {
    let mut status = 0;
    // SAFETY: the kernel writes one int to `status`.
    let ended = Errno::result(unsafe { libc::waitpid(-1, &raw mut status, libc::WNOHANG) })?;
    Ok((ended != 0).then_some((ended, status)))
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;
    use std::process::ExitStatus;

    use super::*;

    #[test]
    fn ends_and_stops_are_told_as_wait4_tells_them() {
        let told = |code, status| ExitStatus::from_raw(wait_status(code, status));
        assert_eq!(told(libc::CLD_EXITED, 3).code(), Some(3));
        let killed = told(libc::CLD_KILLED, libc::SIGKILL);
        assert_eq!((killed.signal(), killed.core_dumped()), (Some(libc::SIGKILL), false));
        let dumped = told(libc::CLD_DUMPED, libc::SIGSEGV);
        assert_eq!((dumped.signal(), dumped.core_dumped()), (Some(libc::SIGSEGV), true));
        let event = wait_status(libc::CLD_TRAPPED, libc::SIGTRAP | libc::PTRACE_EVENT_EXEC << 8);
        assert!(libc::WIFSTOPPED(event));
        assert_eq!((libc::WSTOPSIG(event), event >> 16), (libc::SIGTRAP, libc::PTRACE_EVENT_EXEC));
    }
}
