//! Parking: how a task changes its tracer without anybody seeing it.
//!
//! A task that is about to leave the kernel, at the exit of a syscall, is pointed back at the instruction
//! through which it entered, with the number of `pause` and with all signals blocked, and is detached. It
//! sleeps there, in a plain syscall, until another thread attaches, puts registers and mask back, and
//! resumes it. No stop signal and no SIGCHLD is involved, so neither it nor its parent can tell.

use super::failure::{Traced, traced};
use super::registers;
use super::stop::{Report, Stop, SyscallStop, decode};
use super::{Lost, placement, waiting};
use crate::abi::{Abi, Numbers};
use crate::sys::ptrace::Registers;
use crate::sys::{self, Tid};

/// pause(2), by ABI.
const PAUSE: Numbers = Numbers { x86_64: Some(34), i386: Some(29), aarch64: None };

/// A task asleep and detached, with what it takes to wake it as it was.
#[derive(Debug)]
pub struct Parked {
    tid: Tid,
    registers: Box<Registers>,
    mask: u64,
    /// The CPU its parent's worker lives on.
    pub home: Option<usize>,
}

/// Parks a task; gives the stop back where that is impossible: it did not enter the kernel through a plain
/// syscall instruction, or the kernel is about to restart its call.
pub fn park(stop: SyscallStop) -> Traced<Result<Parked, SyscallStop>> {
    let tid = stop.tid();
    let own = traced("reading the registers", tid, sys::ptrace::registers(tid))?;
    if registers::restarts(own.rax as i64) {
        return Ok(Err(stop));
    }
    let word = sys::ptrace::peek(tid, registers::entry_address(&own)).unwrap_or(0);
    let Some(number) = registers::entry_abi(word).and_then(|abi: Abi| PAUSE.of(abi)) else {
        return Ok(Err(stop));
    };
    let mask = traced("reading the signal mask", tid, sys::ptrace::signal_mask(tid))?;
    let mut asleep = own;
    registers::rewind(&mut asleep, u64::from(number));
    traced("blocking signals", tid, sys::ptrace::set_signal_mask(tid, u64::MAX))?;
    traced("writing the registers", tid, sys::ptrace::set_registers(tid, &asleep))?;
    let home = placement::home();
    traced("detaching", tid, placement::here(tid, || sys::ptrace::detach(tid, 0)))?;
    Ok(Ok(Parked { tid, registers: Box::new(own), mask, home }))
}

impl Parked {
    /// The task.
    pub fn tid(&self) -> Tid {
        self.tid
    }

    /// Attaches the calling thread to the task and puts it back as it was, stopped.
    pub fn unpark(self, options: i32) -> Traced<Stop> {
        let tid = self.tid;
        traced("attaching", tid, sys::ptrace::seize(tid, options))?;
        traced("interrupting", tid, sys::ptrace::interrupt(tid))?;
        let status = traced("waiting", tid, waiting::next_of(tid))?;
        let Report::Stopped(stop) = decode(tid, status) else { return Err(Lost::Gone) };
        traced("writing the registers", tid, sys::ptrace::set_registers(tid, &self.registers))?;
        traced("restoring the signal mask", tid, sys::ptrace::set_signal_mask(tid, self.mask))?;
        Ok(stop)
    }
}
