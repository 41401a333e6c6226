//! Where the two sides of a stop run.
//!
//! A wake-up that crosses to another CPU costs ten times the stop itself, so a worker stays on one
//! CPU, its *home*, and resumes its tracee there: the tracee's affinity is narrowed to that CPU for
//! the moment of the wake-up and given back at once; that of a new process at its next stop, which is its
//! exec as a rule (`narrowed.rs`). A tracee that asks for an affinity stops first
//! (`sched_getaffinity` is in the base stage), and whoever it asks about is given his back then, so it never sees the narrowed
//! set, and what it sets stays.

use std::cell::Cell;

use super::{memory, narrowed};
use crate::sys::{self, Result, Tid, sched};

thread_local! {
    static HOME: Cell<Option<usize>> = const { Cell::new(None) };
}

thread_local! {
    static PLACES: Cell<bool> = const { Cell::new(true) };
}

/// Nanoseconds, the least that can be asked for.
const SLICE: u64 = 100_000;

/// Has the calling thread, and those that it makes, run before tracees on the same CPU, and be interrupted by none that it
/// resumes: the scheduler goes by who is to end a slice first, and these are short. Else a worker waits behind whom it has
/// just resumed, with that one's affinity narrowed meanwhile, and with the stops of others.
pub fn be_prompt() {
    if let Err(errno) = sched::set_slice(SLICE) {
        tracing::debug!(?errno, "no short slices");
    }
}

/// Whether what is resumed next is placed: not a task whose children are nobody's, since they would inherit the narrowed
/// affinity.
pub fn set_places(places: bool) {
    PLACES.set(places);
}

/// The calling worker's CPU, if it has one.
pub fn home() -> Option<usize> {
    HOME.get()
}

/// Moves the calling worker to `cpu`; without a right to run there it stays where it is.
pub fn set_home(cpu: usize) {
    if HOME.get() != Some(cpu) && sched::set_affinity(0, &sched::only(cpu)).is_ok() {
        HOME.set(Some(cpu));
    }
}

/// Moves the calling worker to the CPU where `tid`, which has stopped, last ran: as it left that for itself
/// (rseq(2)), which costs a tenth of what `/proc` takes to tell.
pub fn follow(tid: Tid) {
    const CPU_ID: u64 = 4;
    let own = sys::ptrace::rseq_address(tid).and_then(|address| {
        let mut cpu = [0; 4];
        memory::read(tid, address + CPU_ID, &mut cpu).then_some(u32::from_le_bytes(cpu) as usize)
    });
    // It is the task's memory, and may hold anything.
    if let Some(cpu) = own.or_else(|| sched::last_cpu(tid)).filter(|&cpu| cpu < sched::MOST_CPUS) {
        set_home(cpu);
    }
}

pub(super) fn places() -> bool {
    PLACES.get()
}

/// Narrows a stopped task's affinity to this worker's CPU; says whether it is, to be given back with
/// [`widen`](narrowed::widen) once it was made to run user code again.
pub(super) fn narrow(tid: Tid) -> bool {
    home().is_some_and(|cpu| narrowed::narrow(tid, cpu))
}

/// Does `wake`, which makes `tid` run, so that it runs on this worker's CPU if it may.
pub(super) fn here<T>(tid: Tid, wake: impl FnOnce() -> Result<T>) -> Result<T> {
    let narrows = places() && narrow(tid);
    if !narrows {
        narrowed::widen(tid);
    }
    let outcome = wake();
    if narrows {
        narrowed::widen(tid);
    }
    outcome
}

/// The same for one that will exec, and keeps it there until its next stop.
pub(super) fn keep_here(tid: Tid, wake: impl FnOnce() -> Result<()>) -> Result<()> {
    let keeps = places() && home().is_some_and(|cpu| narrowed::keep(tid, cpu));
    if !keeps {
        narrowed::widen(tid);
    }
    wake()
}
