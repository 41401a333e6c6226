//! Where a task may run, and where it does.

use std::mem::{MaybeUninit, size_of};

use super::{Errno, Result, Tid};

/// A set of CPUs a task may run on.
pub type CpuSet = libc::cpu_set_t;

/// sched_getaffinity(2); 0 is the calling thread.
pub fn affinity(tid: Tid) -> Result<CpuSet> {
    let mut set = MaybeUninit::<CpuSet>::zeroed();
    // SAFETY: the kernel writes at most the size given; the rest stays zero.
    let outcome = unsafe { libc::sched_getaffinity(tid, size_of::<CpuSet>(), set.as_mut_ptr()) };
    // SAFETY: zeroed before the call.
    Errno::result(outcome).map(|_| unsafe { set.assume_init() })
}

/// sched_setaffinity(2); 0 is the calling thread.
pub fn set_affinity(tid: Tid, set: &CpuSet) -> Result<()> {
    // SAFETY: the kernel reads one cpu_set_t.
    Errno::result(unsafe { libc::sched_setaffinity(tid, size_of::<CpuSet>(), set) }).map(drop)
}

/// How many CPUs a set has room for.
pub const MOST_CPUS: usize = libc::CPU_SETSIZE as usize;

/// The set that holds only `cpu`, which is below [`MOST_CPUS`].
pub fn only(cpu: usize) -> CpuSet {
    // SAFETY: a cpu_set_t is a bit array; all zero is the empty set. CPU_SET checks the bound.
    unsafe {
        let mut set = MaybeUninit::<CpuSet>::zeroed().assume_init();
        libc::CPU_SET(cpu, &mut set);
        set
    }
}

/// The set of all CPUs that a set has room for.
pub fn every() -> CpuSet {
    let mut set = only(0);
    for cpu in 1..MOST_CPUS {
        // SAFETY: a cpu_set_t is a bit array; CPU_SET checks the bound.
        unsafe { libc::CPU_SET(cpu, &mut set) };
    }
    set
}

/// Whether `set` holds `cpu`.
pub fn holds(set: &CpuSet, cpu: usize) -> bool {
    // SAFETY: CPU_ISSET reads the bit array; an index past its end panics in neither case because
    // CPU numbers come from the kernel and are below CPU_SETSIZE.
    cpu < MOST_CPUS && unsafe { libc::CPU_ISSET(cpu, set) }
}

/// sched_setattr(2): the calling thread, and those that it makes, ask for slices of this many nanoseconds (`sched_runtime` of
/// `SCHED_OTHER`, Linux 6.12).
pub fn set_slice(nanoseconds: u64) -> Result<()> {
    // struct sched_attr (linux/sched/types.h) in its first version: size, policy; flags; nice, priority; runtime; two more.
    const WORDS: usize = 6;
    const SIZE: usize = WORDS * size_of::<u64>();
    const RUNTIME: usize = 3;
    let mut attributes = [0_u64; WORDS];
    // SAFETY: the kernel fills at most as many bytes as it is told.
    Errno::result(unsafe { libc::syscall(libc::SYS_sched_getattr, 0, attributes.as_mut_ptr(), SIZE, 0) })?;
    attributes[RUNTIME] = nanoseconds;
    // SAFETY: the kernel reads one structure, whose first word says its size.
    Errno::result(unsafe { libc::syscall(libc::SYS_sched_setattr, 0, attributes.as_ptr(), 0) }).map(drop)
}

/// The CPU the calling thread runs on.
pub fn current_cpu() -> usize {
    // SAFETY: takes no arguments.
    usize::try_from(unsafe { libc::sched_getcpu() }).unwrap_or(0)
}

/// The CPU a task last ran on (field 39 of `/proc/TID/stat`).
pub fn last_cpu(tid: Tid) -> Option<usize> {
    let stat = super::process::text(&format!("/proc/{tid}/stat"))?;
    // The name in parentheses may hold anything; what follows it starts with field 3.
    let (_, fields) = stat.rsplit_once(')')?;
    fields.split_whitespace().nth(36)?.parse().ok()
}
