//! Kinds of stops, and the one decoder of wait statuses.

use std::marker::PhantomData;

use super::failure::{Traced, traced};
use super::placement::{here, keep_here};
use super::registers;
use crate::abi::{Abi, Call};
use crate::sys::{Tid, ptrace};

/// A tracee that is stopped: consumed by what resumes it.
#[derive(Debug)]
#[must_use]
pub(super) struct Stopped {
    pub(super) tid: Tid,
    thread_bound: PhantomData<*const ()>,
}

impl Stopped {
    pub(super) fn new(tid: Tid) -> Stopped {
        Stopped { tid, thread_bound: PhantomData }
    }

    /// PTRACE_CONT, or PTRACE_SYSCALL when the next syscall stop is wanted.
    pub(super) fn resume(self, to_syscall: bool, signal: i32) -> Traced<()> {
        let tid = self.tid;
        let request = if to_syscall { ptrace::syscall } else { ptrace::cont };
        traced("resuming", tid, here(tid, || request(tid, signal)))
    }
}

macro_rules! stops {
    ($($(#[$doc:meta])* $name:ident;)*) => {
        $($(#[$doc])*
        #[derive(Debug)]
        #[must_use]
        pub struct $name(pub(super) Stopped);

        impl $name {
            /// The stopped task.
            pub fn tid(&self) -> Tid {
                self.0.tid
            }

            /// Resumes it, to its next syscall stop or to whatever comes.
            pub fn resume(self, to_syscall: bool) -> Traced<()> {
                self.0.resume(to_syscall, 0)
            }
        })*
    };
}

stops! {
    /// At a syscall: before it by the filter's order, or at its entry or exit as PTRACE_SYSCALL asked.
    SyscallStop;
    /// Before a signal is delivered; a plain resume drops the signal.
    SignalStop;
    /// With its group, by a stop signal; a plain resume ends the stop for this task.
    GroupStop;
    /// PTRACE_EVENT_STOP without a stop signal: the first stop of a task, or one asked for.
    TrapStop;
    /// In a fork, vfork, clone, exec or exit.
    EventStop;
}

impl TrapStop {
    /// Resumes it to whatever comes, and keeps it on the worker's CPU.
    pub fn resume_and_keep(self) -> Traced<()> {
        let tid = self.0.tid;
        traced("resuming", tid, keep_here(tid, || ptrace::cont(tid, 0)))
    }
}

impl SignalStop {
    /// A call that was made while it waited for a listener is made again, whatever handler the signal has, if it is one
    /// that `restarts`: the kernel itself cannot be interrupted in it.
    pub fn restart_where(&self, restarts: impl FnOnce(&Call) -> bool) -> Traced<()> {
        let tid = self.0.tid;
        let now = traced("reading the registers", tid, ptrace::registers(tid))?;
        if !registers::was_put_off(&now) {
            return Ok(());
        }
        let word = ptrace::peek(tid, registers::entry_address(&now)).unwrap_or(0);
        let abi = registers::entry_abi(word).unwrap_or(Abi::X86_64);
        let args = registers::arguments(&now, abi);
        if restarts(&Call::made(abi, now.orig_rax as u32, args, now.rip)) {
            let again = registers::again(&now);
            traced("writing the registers", tid, ptrace::set_registers(tid, &again))?;
        }
        Ok(())
    }

    /// Resumes and delivers `signal` with the siginfo it came with.
    pub fn deliver(self, signal: i32, to_syscall: bool) -> Traced<()> {
        self.0.resume(to_syscall, signal)
    }
}

impl GroupStop {
    /// Leaves it stopped until SIGCONT (PTRACE_LISTEN).
    pub fn listen(self) -> Traced<()> {
        traced("listening", self.0.tid, ptrace::listen(self.0.tid))
    }
}

impl TrapStop {
    /// After an interruption that the guest must not notice: a call that ended with `EINTR` only
    /// because of it (epoll_wait and others that the kernel does not restart, signal(7)) is made
    /// again. A signal that is pending as well ends it again at once.
    pub fn restart_if_cut_short(&self) -> Traced<()> {
        let tid = self.0.tid;
        let mut now = traced("reading the registers", tid, ptrace::registers(tid))?;
        if registers::was_interrupted(&now) {
            let number = now.orig_rax;
            registers::rewind(&mut now, number);
            traced("writing the registers", tid, ptrace::set_registers(tid, &now))?;
        }
        Ok(())
    }
}

impl EventStop {
    /// PTRACE_GETEVENTMSG.
    pub fn message(&self) -> Traced<u64> {
        traced("reading the event", self.0.tid, ptrace::event_message(self.0.tid))
    }

    /// ABI, number and arguments of the call the event comes from; where `tells` knows the ABI by the number, it need not be
    /// looked for in the task's text.
    pub fn call(&self, tells: impl FnOnce(u32) -> Option<Abi>) -> Traced<(Abi, u32, [u64; 6])> {
        let now = self.registers()?;
        let number = now.orig_rax as u32;
        let stands = || {
            let word = ptrace::peek(self.0.tid, registers::entry_address(&now)).unwrap_or(0);
            registers::entry_abi(word).unwrap_or(Abi::X86_64)
        };
        let abi = tells(number).unwrap_or_else(stands);
        Ok((abi, number, registers::arguments(&now, abi)))
    }

    /// Its registers.
    pub fn registers(&self) -> Traced<ptrace::Registers> {
        traced("reading the registers", self.0.tid, ptrace::registers(self.0.tid))
    }

    /// Has it go on at this address.
    pub fn go_to(&self, address: u64) -> Traced<()> {
        let outcome = ptrace::poke_user(self.0.tid, registers::NEXT_OFFSET, address);
        traced("writing a register", self.0.tid, outcome)
    }
}

/// What an [`EventStop`] is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// fork or clone of a task with its own memory or of a thread: the message is the new task's id.
    Birth,
    /// vfork: the same; the parent sleeps until the child execs or ends.
    Vfork,
    /// exec: the message is the id that the calling thread had.
    Exec,
    /// About to end: the message is the wait status.
    Exit,
}

/// A stop, by kind.
#[derive(Debug)]
#[must_use]
pub enum Stop {
    /// SECCOMP_RET_TRACE.
    Seccomp(SyscallStop),
    /// Entry or exit after PTRACE_SYSCALL.
    Syscall(SyscallStop),
    /// A signal about to be delivered, with its number.
    Signal(SignalStop, i32),
    /// A group-stop, with the stop signal.
    Group(GroupStop, i32),
    /// See [`TrapStop`].
    Trap(TrapStop),
    /// See [`EventStop`].
    Event(EventStop, Event),
}

impl Stop {
    /// Lets the task go.
    pub fn release(self) -> Traced<()> {
        let (stopped, signal) = match self {
            Stop::Seccomp(stop) | Stop::Syscall(stop) => (stop.0, 0),
            Stop::Signal(stop, signal) => (stop.0, signal),
            Stop::Group(stop, signal) => (stop.0, signal),
            Stop::Trap(stop) => (stop.0, 0),
            Stop::Event(stop, _) => (stop.0, 0),
        };
        traced("detaching", stopped.tid, ptrace::detach(stopped.tid, signal))
    }
}

/// What a wait reported.
#[derive(Debug)]
#[must_use]
pub enum Report {
    /// The task has ended, by exit or by signal; the raw wait status.
    Ended(Tid, i32),
    /// The task stopped.
    Stopped(Stop),
}

/// Decodes a wait status (wait(2), ptrace(2)).
pub fn decode(tid: Tid, status: i32) -> Report {
    if !libc::WIFSTOPPED(status) {
        return Report::Ended(tid, status);
    }
    let stopped = Stopped::new(tid);
    let signal = libc::WSTOPSIG(status);
    Report::Stopped(match status >> 16 {
        libc::PTRACE_EVENT_SECCOMP => Stop::Seccomp(SyscallStop(stopped)),
        libc::PTRACE_EVENT_FORK | libc::PTRACE_EVENT_CLONE => Stop::Event(EventStop(stopped), Event::Birth),
        libc::PTRACE_EVENT_VFORK => Stop::Event(EventStop(stopped), Event::Vfork),
        libc::PTRACE_EVENT_EXEC => Stop::Event(EventStop(stopped), Event::Exec),
        libc::PTRACE_EVENT_EXIT => Stop::Event(EventStop(stopped), Event::Exit),
        libc::PTRACE_EVENT_STOP if signal == libc::SIGTRAP => Stop::Trap(TrapStop(stopped)),
        libc::PTRACE_EVENT_STOP => Stop::Group(GroupStop(stopped), signal),
        _ if signal == libc::SIGTRAP | 0x80 => Stop::Syscall(SyscallStop(stopped)),
        _ => Stop::Signal(SignalStop(stopped), signal),
    })
}
