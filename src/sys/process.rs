//! Processes: making them, naming them, signalling one thread.

use std::ffi::CStr;
use std::fs::File;
use std::io::Read;
use std::mem::MaybeUninit;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};

use super::{Errno, Result, Tid};

/// What [`fork`] returned to whom.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Forked {
    /// In the parent, with the child's id.
    Parent(Tid),
    /// In the child.
    Child,
}

/// fork(2). To be called while the process has one thread.
pub fn fork() -> Result<Forked> {
    // SAFETY: called with one thread, so no lock is held by a thread that the child lacks.
    match Errno::result(unsafe { libc::fork() })? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid)),
    }
}

/// clone(2) of a process whose exit sends no signal, so that no plain wait(2) of the parent sees it.
pub fn fork_unseen() -> Result<Forked> {
    // SAFETY: without flags this is a fork with exit signal 0; called with one thread.
    match Errno::result(unsafe { libc::syscall(libc::SYS_clone, 0, 0, 0, 0, 0) })? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(pid as Tid)),
    }
}

/// _exit(2).
pub fn exit_now(status: i32) -> ! {
    // SAFETY: ends the process without running any destructor or handler.
    unsafe { libc::_exit(status) }
}

/// execvp(3); returns only on failure. `argv` ends with a null pointer.
pub fn exec(file: &CStr, argv: &[&CStr]) -> Errno {
    let mut pointers: Vec<*const libc::c_char> = argv.iter().map(|arg| arg.as_ptr()).collect();
    pointers.push(std::ptr::null());
    // SAFETY: every pointer is a C string that lives over the call, and the array ends with null.
    unsafe { libc::execvp(file.as_ptr(), pointers.as_ptr()) };
    Errno::last()
}

/// setenv(3): what [`exec`] hands on. `EINVAL` for a name with `=`. For a process of one thread.
pub fn set_variable(name: &CStr, value: &CStr) -> Result<()> {
    // SAFETY: both are C strings, which are copied; nothing else reads the environment meanwhile, since
    // there is no other thread before exec.
    Errno::result(unsafe { libc::setenv(name.as_ptr(), value.as_ptr(), 1) }).map(drop)
}

/// prctl(PR_SET_PTRACER): lets `tid` attach under Yama's restricted mode. `EINVAL` without Yama.
pub fn allow_tracer(tid: Tid) -> Result<()> {
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PTRACER, tid as libc::c_ulong, 0, 0, 0) }).map(drop)
}

/// prctl(PR_SET_NO_NEW_PRIVS).
pub fn set_no_new_privs() -> Result<()> {
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) }).map(drop)
}

/// prctl(PR_SET_NAME) of the calling thread, at most 15 bytes.
pub fn set_name(name: &CStr) -> Result<()> {
    // SAFETY: the kernel reads a C string of at most 16 bytes.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_NAME, name.as_ptr(), 0, 0, 0) }).map(drop)
}

/// close_range(2), both ends included.
pub fn close_range(first: RawFd, last: RawFd) -> Result<()> {
    if first > last {
        return Ok(());
    }
    // SAFETY: closes descriptors; the caller owns none in the range any more.
    Errno::result(unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) }).map(drop)
}

/// close(2) of a descriptor by number.
pub fn close(fd: RawFd) -> Result<()> {
    // SAFETY: the caller says that nothing of this process uses the descriptor any more.
    Errno::result(unsafe { libc::close(fd) }).map(drop)
}

/// Closes every descriptor from 3 on that is not in `kept`, which is sorted; one by one where the kernel
/// has no close_range.
pub fn close_all_but(kept: &[RawFd]) {
    let mut first = 3;
    for &fd in kept.iter().chain([&RawFd::MAX]).filter(|&&fd| fd >= 3) {
        if close_range(first, fd - 1) == Err(Errno::ENOSYS) {
            let open = std::fs::read_dir("/proc/self/fd").into_iter().flatten().flatten();
            let numbers: Vec<RawFd> =
                open.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
            for fd in numbers.into_iter().filter(|fd| *fd >= 3 && !kept.contains(fd)) {
                let _ = close(fd);
            }
            return;
        }
        first = fd.saturating_add(1);
    }
}

/// dup2(2).
pub fn duplicate(from: RawFd, to: RawFd) -> Result<()> {
    // SAFETY: all arguments are values; the caller decides what `to` was.
    Errno::result(unsafe { libc::dup2(from, to) }).map(drop)
}

/// tgkill(2): a signal to one thread; signal 0 only asks whether `tid` is a thread of `tgid`.
pub fn tgkill(tgid: Tid, tid: Tid, signal: i32) -> Result<()> {
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::syscall(libc::SYS_tgkill, tgid, tid, signal) }).map(drop)
}

/// The name of a task (`/proc/TID/comm`), which may be any bytes; `?` once it is gone.
pub fn name_of(tid: Tid) -> String {
    let name = text(&format!("/proc/{tid}/comm"));
    name.map_or_else(|| "?".to_owned(), |name| name.trim_end().to_owned())
}

/// Major and minor of the kernel that runs; `None` where there is no `/proc`.
pub fn kernel_version() -> Option<(u32, u32)> {
    version(&std::fs::read_to_string("/proc/sys/kernel/osrelease").ok()?)
}

/// Major and minor of a release like `6.1.0-37-amd64`.
pub fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|c: char| !c.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// The processes that `/proc` lists; `None` where it is missing or another pid namespace's.
pub fn listed() -> Option<Vec<Tid>> {
    let own = std::process::id().to_string();
    if std::fs::read_link("/proc/self").ok()?.to_str() != Some(&own) {
        return None;
    }
    let names = std::fs::read_dir("/proc").ok()?.flatten().map(|entry| entry.file_name());
    Some(names.filter_map(|name| name.to_str()?.parse().ok()).collect())
}

/// The processes of this pid namespace, asked for one by one up to the last id that was given out.
pub fn probed() -> Vec<Tid> {
    let number = |file| std::fs::read_to_string(file).ok()?.trim().parse().ok();
    let last = number("/proc/sys/kernel/ns_last_pid").or_else(|| number("/proc/sys/kernel/pid_max"));
    (1..=last.unwrap_or(1 << 15)).filter(|&pid| tgkill(pid, pid, 0) != Err(Errno::ESRCH)).collect()
}

/// kcmp(2): whether a task has the address space of a process, whose first thread may have ended before others.
pub fn share_memory(task: Tid, process: Tid) -> bool {
    const KCMP_VM: i32 = 1;
    let shares = |other: Tid| {
        // SAFETY: all arguments are values.
        unsafe { libc::syscall(libc::SYS_kcmp, task, other, KCMP_VM, 0, 0) == 0 }
    };
    shares(process) || tasks(process).into_iter().any(|other| other != process && shares(other))
}

/// A resource limit of setrlimit(2) that would hold the tracer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum Limit {
    /// `RLIMIT_CPU`.
    Time = libc::RLIMIT_CPU,
    /// `RLIMIT_FSIZE`.
    FileSize = libc::RLIMIT_FSIZE,
    /// `RLIMIT_DATA`.
    Data = libc::RLIMIT_DATA,
    /// `RLIMIT_STACK`.
    Stack = libc::RLIMIT_STACK,
    /// `RLIMIT_NPROC`.
    Tasks = libc::RLIMIT_NPROC,
    /// `RLIMIT_NOFILE`.
    Files = libc::RLIMIT_NOFILE,
    /// `RLIMIT_AS`.
    Memory = libc::RLIMIT_AS,
}

impl Limit {
    /// All of them.
    pub const ALL: [Limit; 7] =
        [Limit::Time, Limit::FileSize, Limit::Data, Limit::Stack, Limit::Tasks, Limit::Files, Limit::Memory];
}

/// The hard limit of this process.
pub fn most_of(limit: Limit) -> Result<u64> {
    limits_of(limit).map(|limits| limits.rlim_max)
}

/// Raises a soft limit of this process to the hard one.
pub fn lift(limit: Limit) -> Result<()> {
    let mut limits = limits_of(limit)?;
    limits.rlim_cur = limits.rlim_max;
    // SAFETY: the kernel reads one structure.
    Errno::result(unsafe { libc::setrlimit64(limit as u32, &raw const limits) }).map(drop)
}

/// Does something with a soft limit of this process raised to the hard one.
pub fn lifted<T>(limit: Limit, act: impl FnOnce() -> T) -> T {
    let before = limits_of(limit);
    let _ = lift(limit); // what cannot be lifted stays
    let done = act();
    if let Ok(before) = before {
        // SAFETY: the kernel reads one structure.
        unsafe { libc::setrlimit64(limit as u32, &raw const before) };
    }
    done
}

fn limits_of(limit: Limit) -> Result<libc::rlimit64> {
    let mut limits = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills one structure.
    Errno::result(unsafe { libc::getrlimit64(limit as u32, &raw mut limits) })?;
    Ok(limits)
}

/// prlimit(2) of a process's `RLIMIT_NPROC`, soft and hard: sets it to `new`, if that is given, and gives what it was.
pub fn limit_of_tasks(pid: Tid, new: Option<[u64; 2]>) -> Result<[u64; 2]> {
    let new = new.map(|[soft, hard]| libc::rlimit64 { rlim_cur: soft, rlim_max: hard });
    let mut old = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    let from = new.as_ref().map_or(std::ptr::null(), std::ptr::from_ref);
    // SAFETY: the kernel reads one structure, or none, and fills one.
    Errno::result(unsafe { libc::prlimit64(pid, libc::RLIMIT_NPROC, from, &raw mut old) })?;
    Ok([old.rlim_cur, old.rlim_max])
}

/// Whether a process may map as much as it likes (`RLIMIT_AS`).
pub fn may_map_without_limit(pid: Tid) -> bool {
    let mut limit = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
    // SAFETY: the kernel fills one structure.
    let outcome = unsafe { libc::prlimit64(pid, libc::RLIMIT_AS, std::ptr::null(), &raw mut limit) };
    outcome == 0 && limit.rlim_cur == libc::RLIM64_INFINITY
}

/// getsid(2); 0 for a session that began outside this pid namespace.
pub fn session(pid: Tid) -> Option<Tid> {
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::getsid(pid) }).ok()
}

/// kill(2) of a process.
pub fn kill(pid: Tid, signal: i32) -> Result<()> {
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::kill(pid, signal) }).map(drop)
}

/// Asks the listener that this process has, if it has one, who answers there.
pub fn answerer() -> Option<Tid> {
    let whose = u64::from(crate::abi::WHOSE);
    // SAFETY: the kernel itself refuses to unmap nothing.
    let outcome = unsafe { libc::syscall(libc::SYS_munmap, 0, 0, 0, 0, 0, whose) };
    Tid::try_from(outcome).ok().filter(|&tid| tid > 0)
}

/// A line of `/proc/TID/status`, by its name with the colon.
pub fn status(tid: Tid, name: &str) -> Option<String> {
    field(&status_text(tid)?, name).map(str::to_owned)
}

/// All of it.
pub fn status_text(tid: Tid) -> Option<String> {
    text(&format!("/proc/{tid}/status"))
}

/// The same line of all of it.
pub fn field<'a>(status: &'a str, name: &str) -> Option<&'a str> {
    status.lines().find_map(|line| line.strip_prefix(name)).map(str::trim)
}

/// The children that a process's first thread has made or adopted.
pub fn children(pid: Tid) -> Option<Vec<Tid>> {
    let text = text(&format!("/proc/{pid}/task/{pid}/children"))?;
    Some(text.split_whitespace().filter_map(|id| id.parse().ok()).collect())
}

/// A file of `/proc`, by as few calls as can be; what is no text in it is replaced.
pub fn text(path: &str) -> Option<String> {
    // Most fit in one read(2). One that gave less may still have more: records that did not fit.
    let mut bytes = Vec::with_capacity(4096);
    // Nobody is asked for the size, which is not known.
    File::open(path).ok()?.take(u64::MAX).read_to_end(&mut bytes).ok()?;
    Some(String::from_utf8_lossy(&bytes).into_owned())
}

/// The tasks of a process, as `/proc` lists them.
pub fn tasks(pid: Tid) -> Vec<Tid> {
    let names = std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
    names.filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect()
}

/// gettid(2).
pub fn thread_id() -> Tid {
    // SAFETY: takes no arguments.
    unsafe { libc::gettid() }
}

/// unshare(CLONE_NEWUSER). To be called while the process has one thread.
pub fn unshare_user_namespace() -> Result<()> {
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::unshare(libc::CLONE_NEWUSER) }).map(drop)
}

/// unshare(CLONE_NEWNS). To be called while the process has one thread.
pub fn unshare_mounts() -> Result<()> {
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::unshare(libc::CLONE_NEWNS) }).map(drop)
}

/// unshare(2) of a user namespace with a flag that the kernel itself refuses (`EINVAL`) before it looks at who asks: every other
/// answer is a seccomp filter's.
pub fn unshare_wrongly() -> Errno {
    // SAFETY: all arguments are values; the kernel does nothing.
    match Errno::result(unsafe { libc::unshare(libc::CLONE_NEWUSER | libc::CLONE_PTRACE) }) {
        Ok(_) => Errno::UnknownErrno,
        Err(errno) => errno,
    }
}

/// unshare(CLONE_NEWPID): where the next child is born.
pub fn unshare_pid_namespace() -> Result<()> {
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::unshare(libc::CLONE_NEWPID) }).map(drop)
}

/// setns(2): the same, in this one.
pub fn enter_pid_namespace(namespace: &OwnedFd) -> Result<()> {
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::setns(namespace.as_raw_fd(), libc::CLONE_NEWPID) }).map(drop)
}

/// prctl(PR_SET_PDEATHSIG).
pub fn set_parent_death_signal(signal: i32) -> Result<()> {
    // SAFETY: all arguments are values.
    Errno::result(unsafe { libc::prctl(libc::PR_SET_PDEATHSIG, signal, 0, 0, 0) }).map(drop)
}

/// Dies of a signal, if this process can: returns where it cannot.
pub fn die_of(signal: i32) {
    // SAFETY: the default disposition runs no code, and the set is initialised by sigfillset. No core file of this process is
    // left where its child has left one.
    unsafe {
        let none = libc::rlimit64 { rlim_cur: 0, rlim_max: 0 };
        libc::setrlimit64(libc::RLIMIT_CORE, &raw const none);
        libc::signal(signal, libc::SIG_DFL);
        let mut all = MaybeUninit::<libc::sigset_t>::uninit();
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_UNBLOCK, all.as_ptr(), std::ptr::null_mut());
        libc::raise(signal);
    }
}

/// pthread_sigmask(3): blocks every signal for the calling thread.
pub fn block_signals() {
    let mut all = MaybeUninit::<libc::sigset_t>::uninit();
    // SAFETY: sigfillset initialises the set, which is then only read.
    unsafe {
        libc::sigfillset(all.as_mut_ptr());
        libc::pthread_sigmask(libc::SIG_SETMASK, all.as_ptr(), std::ptr::null_mut());
    }
}

/// capget(2) of the calling thread, version 3: effective, permitted, inheritable.
pub fn capabilities() -> Result<[u64; 3]> {
    let header = [0x2008_0522_u32, 0];
    let mut data = [[0_u32; 3]; 2];
    // SAFETY: a version 3 header is two words; the kernel writes two times three words.
    Errno::result(unsafe { libc::syscall(libc::SYS_capget, header.as_ptr(), data.as_mut_ptr()) })?;
    let [low, high] = data;
    let mut sets = [0_u64; 3];
    for ((set, low), high) in sets.iter_mut().zip(low).zip(high) {
        *set = u64::from(low) | u64::from(high) << 32;
    }
    Ok(sets)
}

/// prctl(2) with values only; gives its result.
pub fn prctl(option: i32, args: [u64; 4]) -> Result<i32> {
    let [a, b, c, d] = args;
    // SAFETY: the options of the kernel's that this crate asks for have values as arguments; the one of its own
    // that has an address is answered by a tracer, which writes no further than the length beside it.
    Errno::result(unsafe { libc::prctl(option, a, b, c, d) })
}

/// getgroups(2).
pub fn groups() -> Result<Vec<u32>> {
    // SAFETY: size 0 only asks for the count.
    let count = Errno::result(unsafe { libc::getgroups(0, std::ptr::null_mut()) })?;
    let mut groups = vec![0; count as usize];
    // SAFETY: the kernel writes at most `count` ids.
    let count = Errno::result(unsafe { libc::getgroups(count, groups.as_mut_ptr()) })?;
    groups.truncate(count as usize);
    Ok(groups)
}

/// Whether the mount that holds `path` is nosuid (statvfs(3)).
pub fn is_nosuid(path: &CStr) -> Result<bool> {
    Ok(mount_flags(path)? & libc::ST_NOSUID != 0)
}

/// Whether the mount that holds `path` is nodev.
pub fn is_nodev(path: &CStr) -> Result<bool> {
    Ok(mount_flags(path)? & libc::ST_NODEV != 0)
}

/// Whether the mount that holds `path` is noexec.
pub fn is_noexec(path: &CStr) -> Result<bool> {
    Ok(mount_flags(path)? & libc::ST_NOEXEC != 0)
}

fn mount_flags(path: &CStr) -> Result<libc::c_ulong> {
    let mut filesystem = MaybeUninit::<libc::statvfs>::zeroed();
    // SAFETY: the call reads a C string and writes one struct statvfs.
    Errno::result(unsafe { libc::statvfs(path.as_ptr(), filesystem.as_mut_ptr()) })?;
    // SAFETY: zeroed before the call.
    Ok(unsafe { filesystem.assume_init() }.f_flag)
}
