//! A tracee stopped at a syscall that can be answered, changed, or made to execute others first.
//!
//! At the entry (a seccomp stop, or the entry stop of PTRACE_SYSCALL) the number and arguments are
//! exchanged for those of the injected call and the tracee runs to its exit stop. To get back to the
//! entry it is *rewound*: its own registers again, the program counter back on its entry instruction,
//! all signals blocked, and it stops at the same entry once more. Nothing but the kernel ever runs in
//! between, and the last step restores registers and mask.
//!
//! A stop signal that comes meanwhile takes effect at once, for the whole process: its parent is told, and SIGCONT ends
//! it. The tracee alone goes on inside the kernel (PTRACE_CONT in a group-stop), and is interrupted when it is let go, so
//! that it stops as well if its process is still stopped then.

use std::marker::PhantomData;

use super::failure::{Lost, Traced, TracerError, traced};
use super::registers::{self, NO_SYSCALL, NUMBER_OFFSET, RESULT_OFFSET};
use super::stop::{Event, Report, Stop, SyscallStop, decode};
use super::{narrowed, placement, waiting};
use crate::abi::{Abi, Call, Numbers};
use crate::sys::ptrace::{Registers, cont, syscall};
use crate::sys::{self, Tid};

/// How the tracee came to its entry, and comes there again when rewound.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// By the filter: any resumption stops there.
    Seccomp,
    /// By PTRACE_SYSCALL, before any filter has seen the call.
    Syscall,
}

/// getpid(2): all but the strictest filters let it pass.
const GETPID: Numbers = Numbers { x86_64: Some(39), i386: Some(20), aarch64: Some(172) };

/// So many stops may come before the one that is waited for: a process may be stopped and continued again and again.
const MOST_STOPS: usize = 10_000;

/// What must be remembered while the kernel runs a call whose result will be corrected.
#[derive(Debug)]
pub struct Suspended {
    call: Call,
    entry: Entry,
    /// The guest's own registers, where the call was replaced.
    original: Option<Registers>,
    group_stop: bool,
    /// Whether it has its own affinity.
    own: Narrowed,
}

/// Whether the tracee is kept on its worker's CPU, which it is from the first resumption to the last:
/// in between only the kernel runs it.
#[derive(Debug, Clone, Copy)]
enum Narrowed {
    /// Not looked at yet.
    NotYet,
    /// Done, and whether that was another.
    Done(bool),
}

/// See the module.
#[derive(Debug)]
#[must_use]
pub struct Intercepted {
    tid: Tid,
    call: Call,
    entry: Entry,
    /// Whether it stands at the entry (else after a call that has run).
    at_entry: bool,
    /// Its registers at the entry; read when first needed.
    original: Option<Registers>,
    /// Its own signal mask, while all signals are blocked.
    mask: Option<u64>,
    /// Whether its process was stopped meanwhile, which it may still be.
    group_stop: bool,
    /// The result that stands in the tracee's registers, all of which are its own.
    standing: Option<i64>,
    /// Whether it has ended, or is about to.
    gone: bool,
    /// The call that stands for none, where that is not getpid(2).
    idle: Option<(u32, [u64; 6])>,
    own: Narrowed,
    thread_bound: PhantomData<*const ()>,
}

type Request = fn(Tid, i32) -> sys::Result<()>;

/// Waits for a task's next status.
pub type Next<'a> = &'a mut dyn FnMut(Tid) -> sys::Result<i32>;

impl Intercepted {
    /// Takes a stop at the entry of a call; gives the stop back when it is no entry, or of an ABI
    /// that is not in the table.
    pub fn at_entry(stop: SyscallStop, entry: Entry) -> Traced<Result<Intercepted, SyscallStop>> {
        let tid = stop.tid();
        let info = traced("reading the syscall", tid, sys::ptrace::syscall_info(tid))?;
        let (Some(abi), Some((number, args))) =
            (Abi::from_audit_arch(info.arch), sys::ptrace::entry_of(&info))
        else {
            return Ok(Err(stop));
        };
        let call = Call::made(abi, number as u32, args, info.instruction_pointer);
        Ok(Ok(Intercepted {
            tid,
            call,
            entry,
            at_entry: true,
            original: None,
            mask: None,
            group_stop: false,
            standing: None,
            gone: false,
            idle: None,
            own: Narrowed::NotYet,
            thread_bound: PhantomData,
        }))
    }

    /// Takes the exit stop of a call resumed with [`Self::run_to_exit`] or [`Self::replace`], and the
    /// kernel's raw result; `None` when the kernel is about to restart the call: then the registers
    /// are the guest's own again, and [`Self::leave`] is all that is left to do.
    pub fn at_exit(stop: SyscallStop, suspended: Suspended) -> Traced<(Intercepted, Option<i64>)> {
        let tid = stop.tid();
        let now = traced("reading the registers", tid, sys::ptrace::registers(tid))?;
        let Suspended { call, entry, original, group_stop, own } = suspended;
        let raw = registers::result(&now, call.abi);
        let restarting = registers::restarts(raw);
        if let (true, Some(own_registers)) = (restarting, &original) {
            let mut restored = *own_registers;
            restored.rax = now.rax;
            traced("writing the registers", tid, sys::ptrace::set_registers(tid, &restored))?;
        }
        let standing = original.is_none().then_some(raw);
        let intercepted = Intercepted {
            tid,
            call,
            entry,
            at_entry: false,
            original: original.or(Some(now)),
            mask: None,
            group_stop,
            standing,
            gone: false,
            idle: None,
            own,
            thread_bound: PhantomData,
        };
        Ok((intercepted, (!restarting).then_some(raw)))
    }

    /// The task.
    pub fn tid(&self) -> Tid {
        self.tid
    }

    /// The call as the guest made it.
    pub fn call(&self) -> &Call {
        &self.call
    }

    /// How it comes to its entry.
    pub fn entry(&self) -> Entry {
        self.entry
    }

    /// It has a filter now that keeps this call from stopping for another: only PTRACE_SYSCALL leads to its entry.
    pub fn unfiltered(&mut self) {
        self.entry = Entry::Syscall;
    }

    /// Where the instruction stands by which the guest has entered the kernel.
    pub fn entry_address(&mut self) -> Traced<u64> {
        self.original().map(|registers| registers::entry_address(&registers))
    }

    /// Where the next instruction stands, which is what a filter sees of where the guest has entered the kernel.
    pub fn next_instruction(&mut self) -> Traced<u64> {
        self.original().map(|registers| registers.rip)
    }

    /// Says which call is to be run that changes nothing where the kernel is to run none: filters of the tracee's own do
    /// not let getpid(2) pass.
    pub fn idle_by(&mut self, number: u32, args: [u64; 6]) {
        self.idle = Some((number, args));
    }

    /// Makes the tracee execute another call and gives its raw result. `next` waits for its next status: the call ends when
    /// whoever serves the filesystem that it is about has answered.
    pub fn inject(&mut self, number: u32, args: [u64; 6], next: Next<'_>) -> Traced<i64> {
        if self.gone {
            return Err(Lost::Gone);
        }
        self.rewind()?;
        let mut registers = self.original()?;
        registers::set_call(&mut registers, self.call.abi, number, args);
        self.store(&registers)?;
        self.at_entry = false;
        self.run_with(syscall, |stop| matches!(stop, Stop::Syscall(_)), next)?;
        let after = traced("reading the registers", self.tid, sys::ptrace::registers(self.tid))?;
        let result = registers::result(&after, self.call.abi);
        if result == i64::from(number) && sys::ptrace::is_killed_by_a_filter(self.tid) {
            // The signal for that is not delivered yet. Were it blocked, the task would die alone, and its process live on.
            self.gone = true;
            traced("resuming", self.tid, cont(self.tid, 0))?;
            return Err(Lost::Gone);
        }
        Ok(result)
    }

    /// Resumes with `raw` as the result of a call that the kernel does not run, or has run; `to_syscall` as in
    /// [`SyscallStop::resume`].
    ///
    /// At a seccomp stop no filter sees that there is no call any more (`__seccomp_filter`). At an entry by PTRACE_SYSCALL all of
    /// them do, a container's too, which knows no such number: there another call is run that changes nothing.
    pub fn reply(mut self, raw: i64, to_syscall: bool) -> Traced<()> {
        let request = if to_syscall { syscall } else { cont };
        if self.at_entry
            && self.entry == Entry::Syscall
            && let Some((number, args)) =
                self.idle.or(GETPID.of(self.call.abi).map(|number| (number, [0; 6])))
        {
            self.inject(number, args, &mut waiting::next_of)?;
        }
        if self.standing == Some(raw) {
            return self.resume(request);
        }
        if let Some(mut registers) = self.original.take() {
            registers.orig_rax = NO_SYSCALL;
            registers.rax = raw as u64;
            self.store(&registers)?;
        } else {
            let tid = self.tid;
            let poke =
                |offset, word| traced("writing a register", tid, sys::ptrace::poke_user(tid, offset, word));
            poke(NUMBER_OFFSET, NO_SYSCALL)?;
            poke(RESULT_OFFSET, raw as u64)?;
        }
        self.resume(request)
    }

    /// Resumes and lets the kernel run the call as it is. At an entry by PTRACE_SYSCALL the filter
    /// sees the call only then. The tracee runs wherever it likes: the call may be one that looks at
    /// its affinity.
    pub fn proceed(mut self, to_syscall: bool) -> Traced<()> {
        self.rewind()?;
        self.restore()?;
        self.widen();
        let request = if to_syscall { syscall } else { cont };
        traced("resuming", self.tid, request(self.tid, 0))
    }

    /// Lets the kernel run the call as it is, and the tracee go.
    pub fn release(mut self) -> Traced<()> {
        self.rewind()?;
        self.restore()?;
        self.widen();
        traced("detaching", self.tid, sys::ptrace::detach(self.tid, 0))
    }

    /// Resumes at an exit whose result stands as it is.
    pub fn leave(self) -> Traced<()> {
        self.resume(cont)
    }

    /// Resumes to the exit stop of the call as it is.
    pub fn run_to_exit(mut self) -> Traced<Suspended> {
        self.rewind()?;
        let group_stop = std::mem::take(&mut self.group_stop);
        self.restore()?;
        self.narrow();
        let suspended =
            Suspended { call: self.call, entry: self.entry, original: None, group_stop, own: self.own };
        traced("resuming", self.tid, syscall(self.tid, 0))?;
        Ok(suspended)
    }

    /// Resumes to the exit stop of another call in its place.
    pub fn replace(self, number: u32, args: [u64; 6]) -> Traced<Suspended> {
        self.replace_placed(number, args, true)
    }

    /// The same where the call may be one that looks at its affinity.
    pub fn replace_anywhere(self, number: u32, args: [u64; 6]) -> Traced<Suspended> {
        self.replace_placed(number, args, false)
    }

    fn replace_placed(mut self, number: u32, args: [u64; 6], here: bool) -> Traced<Suspended> {
        self.rewind()?;
        let original = self.original()?;
        let mut registers = original;
        registers::set_call(&mut registers, self.call.abi, number, args);
        self.store(&registers)?;
        // Narrowed no longer than for the wake-up: what it makes now, a child, would inherit that.
        let suspended = Suspended {
            call: self.call,
            entry: self.entry,
            original: Some(original),
            group_stop: std::mem::take(&mut self.group_stop),
            own: Narrowed::NotYet,
        };
        self.resume_placed(syscall, here)?;
        Ok(suspended)
    }

    fn original(&mut self) -> Traced<Registers> {
        if let Some(original) = self.original {
            return Ok(original);
        }
        let now = traced("reading the registers", self.tid, sys::ptrace::registers(self.tid))?;
        Ok(*self.original.insert(now))
    }

    fn store(&mut self, registers: &Registers) -> Traced<()> {
        self.standing = None;
        traced("writing the registers", self.tid, sys::ptrace::set_registers(self.tid, registers))
    }

    /// Brings the tracee back to the entry of its own call.
    fn rewind(&mut self) -> Traced<()> {
        if self.at_entry {
            return Ok(());
        }
        if self.mask.is_none() {
            self.mask =
                Some(traced("reading the signal mask", self.tid, sys::ptrace::signal_mask(self.tid))?);
            let all = sys::ptrace::set_signal_mask(self.tid, u64::MAX);
            traced("blocking signals", self.tid, all)?;
        }
        let number = u64::from(self.call.number);
        let mut registers = self.original()?;
        registers::rewind(&mut registers, number);
        self.store(&registers)?;
        match self.entry {
            Entry::Seccomp => self.run(cont, |stop| matches!(stop, Stop::Seccomp(_)))?,
            Entry::Syscall => self.run(syscall, |stop| matches!(stop, Stop::Syscall(_)))?,
        }
        self.at_entry = true;
        // What the registers hold at an entry differs from what was saved at an exit only in the
        // result, which the kernel has set to -ENOSYS.
        self.original = None;
        Ok(())
    }

    /// Resumes with `request` and waits for the expected stop. Only SIGSTOP, group-stops and traps can come
    /// before it, since all else is blocked.
    fn run(&mut self, request: Request, expected: impl Fn(&Stop) -> bool) -> Traced<()> {
        self.run_with(request, expected, &mut waiting::next_of)
    }

    /// The same, waiting with `next`.
    fn run_with(&mut self, request: Request, expected: impl Fn(&Stop) -> bool, next: Next<'_>) -> Traced<()> {
        let (tid, mut deliver) = (self.tid, 0);
        for _ in 0..MOST_STOPS {
            self.narrow();
            traced("resuming", tid, request(tid, std::mem::take(&mut deliver)))?;
            let status = traced("waiting", tid, next(tid))?;
            match decode(tid, status) {
                // What that means to others is its worker's to find.
                Report::Ended(..) | Report::Stopped(Stop::Event(_, Event::Exit)) => {
                    waiting::keep(tid, status);
                    self.gone = true;
                    return Err(Lost::Gone);
                }
                Report::Stopped(stop) if expected(&stop) => return Ok(()),
                Report::Stopped(Stop::Signal(_, signal)) => deliver = signal,
                Report::Stopped(Stop::Group(..)) => self.group_stop = true,
                Report::Stopped(_) => {}
            }
        }
        Err(Lost::Failed(TracerError { operation: "waiting", tid, source: sys::Errno::ELOOP }))
    }

    /// The last step: the guest's own signal mask again, then off.
    fn resume(self, request: Request) -> Traced<()> {
        let here = placement::places();
        self.resume_placed(request, here)
    }

    fn resume_placed(mut self, request: Request, here: bool) -> Traced<()> {
        self.restore()?;
        if here {
            self.narrow()
        } else {
            self.widen()
        }
        let outcome = request(self.tid, 0);
        self.widen();
        traced("resuming", self.tid, outcome)
    }

    fn narrow(&mut self) {
        if matches!(self.own, Narrowed::NotYet) {
            self.own = Narrowed::Done(placement::narrow(self.tid));
        }
    }

    fn widen(&mut self) {
        if let Narrowed::Done(true) = std::mem::replace(&mut self.own, Narrowed::NotYet) {
            narrowed::widen(self.tid);
        }
    }

    fn restore(&self) -> Traced<()> {
        let tid = self.tid;
        if let Some(mask) = self.mask {
            traced("restoring the signal mask", tid, sys::ptrace::set_signal_mask(tid, mask))?;
        }
        if self.group_stop {
            // It is reported as stopped only if SIGCONT has not come (`do_jobctl_trap`).
            let _ = sys::ptrace::interrupt(tid);
        }
        Ok(())
    }
}
