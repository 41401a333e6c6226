//! What is done about each kind of stop.

use std::sync::Arc;
use std::time::Instant;

use super::guest::Live;
use super::tracee::Group;
use super::{Count, Tally, Worker};
use crate::abi::{Call, Errno, KernelCall};
use crate::cred::Credentials;
use crate::journal::Way;
use crate::ptrace::{self, Entry, Event, Intercepted, Stop, SyscallStop, Traced};
use crate::sys::{self, Tid};
use crate::syscalls::{Finish, Operation, Stage, Stages, Verdict, table};

impl Worker {
    /// Serves one stop of a known task.
    pub(super) fn stopped(&mut self, tid: Tid, stop: Stop) -> Traced<()> {
        let count = match &stop {
            Stop::Seccomp(_) => Count::Seccomp,
            Stop::Syscall(_) => Count::Syscall,
            Stop::Signal(..) => Count::Signal,
            Stop::Event(_, Event::Birth | Event::Vfork) => Count::Birth,
            Stop::Event(_, Event::Exec) => Count::Exec,
            Stop::Event(_, Event::Exit) => Count::Exit,
            Stop::Group(..) | Stop::Trap(_) => Count::Other,
        };
        self.shared.counters.add(count);
        self.serve_stop(tid, stop)
    }

    /// The same for a stop that was counted.
    pub(super) fn serve_stop(&mut self, tid: Tid, stop: Stop) -> Traced<()> {
        self.settle_down(tid);
        let group = self.tracees.get(&tid).and_then(|tracee| self.groups.get(&tracee.tgid));
        let is_foreign = group.is_some_and(|group| group.foreign);
        // Who has stopped in a call may be let run it anywhere.
        if is_foreign || matches!(stop, Stop::Seccomp(_) | Stop::Syscall(_) | Stop::Group(..)) {
            ptrace::widen(tid);
        }
        if is_foreign {
            return self.let_go_of_another(tid, stop);
        }
        match stop {
            // A call that was served at its entry, before the filter has seen it.
            Stop::Seccomp(stop) if self.tracees.get(&tid).is_some_and(|it| it.pending.is_some()) => {
                stop.resume(true)
            }
            Stop::Seccomp(stop) => self.entry(stop, Entry::Seccomp),
            Stop::Syscall(stop) => {
                match self.tracees.get_mut(&tid).and_then(|tracee| tracee.pending.take()) {
                    Some((suspended, finish)) => {
                        let (stop, raw) = Intercepted::at_exit(stop, suspended)?;
                        self.exit(stop, raw, finish)
                    }
                    None => self.entry(stop, Entry::Syscall),
                }
            }
            Stop::Signal(stop, signal) => {
                let stages = self.tracees.get(&tid).map_or(Stages::NONE, |tracee| tracee.stages);
                if stages.listens() {
                    stop.restart_where(|call| {
                        let row = table::lookup(call.abi, call.number);
                        row.is_some_and(|it| it.is_told(stages, &call.args))
                    })?;
                }
                let to_syscall = self.settle(tid)?;
                stop.deliver(signal, to_syscall)
            }
            Stop::Group(stop, _) => stop.listen(),
            Stop::Trap(stop) => {
                let interrupted =
                    self.tracees.get_mut(&tid).is_some_and(|tracee| std::mem::take(&mut tracee.interrupted));
                if interrupted {
                    stop.restart_if_cut_short()?;
                }
                let to_syscall = self.settle(tid)?;
                let Some(tracee) = self.tracees.get_mut(&tid) else { return stop.resume(to_syscall) };
                if !tracee.will_exec() || to_syscall {
                    return stop.resume(to_syscall);
                }
                stop.resume_and_keep()
            }
            Stop::Event(stop, event @ (Event::Birth | Event::Vfork)) => self.birth(stop, event),
            Stop::Event(stop, Event::Exec) => self.exec(stop),
            Stop::Event(stop, Event::Exit) => {
                self.ends(tid);
                let to_syscall = self.settle(tid)?;
                stop.resume(to_syscall)
            }
        }
    }

    /// A task is about to end: perhaps the first process, whose end is watched.
    fn ends(&self, tid: Tid) {
        if self.tracees.get(&tid).is_some_and(|tracee| tracee.watched) {
            self.shared.pool.first_ends();
        }
    }

    /// Whether a task is resumed where its worker is: not one whose children are nobody's, since they would inherit that, nor
    /// where several run at once, which are better off on two CPUs.
    pub(super) fn places(&self, tid: Tid) -> bool {
        self.groups.len() <= 2 && !self.leaves_children(tid)
    }

    /// Makes a stopped task ready to run: its options, and what its children inherit. Returns whether
    /// it must stop at its next syscall boundary.
    pub(super) fn settle(&mut self, tid: Tid) -> Traced<bool> {
        let missing = !self.missing(tid).is_empty();
        let leaves_children = self.leaves_children(tid);
        ptrace::set_places(self.places(tid));
        let Some(tracee) = self.tracees.get_mut(&tid) else { return Ok(false) };
        let group = self.groups.get(&tracee.tgid);
        let scratch = group.and_then(Group::known_scratch);
        let inside = group.and_then(Group::known_inside);
        let reports_exec = scratch.is_some()
            || inside.is_some()
            || group.is_some_and(|group| group.threads > 1)
            || *tracee.credentials != self.shared.view.initial
            || self.shared.view.lacks_privilege()
            || self.shared.common_stages().contains(Stage::Ownership)
            || self.shared.tells_lives();
        let exec = if reports_exec { libc::PTRACE_O_TRACEEXEC } else { 0 };
        // What an injected call has set stays as long as there are siblings.
        let has_siblings = group.is_some_and(|group| group.threads > 1);
        let kept = if has_siblings { tracee.options & libc::PTRACE_O_TRACEEXIT } else { 0 };
        let exit = if tracee.watched { libc::PTRACE_O_TRACEEXIT } else { kept };
        let forks = if leaves_children { ptrace::FORKS } else { 0 };
        let options = match group.is_some_and(|group| group.suspect) {
            true => ptrace::BARE_OPTIONS,
            false => ptrace::OPTIONS & !forks | exec | exit,
        };
        if options != tracee.options {
            ptrace::set_options(tid, options)?;
            tracee.options = options;
        }
        tracee.heritage.stages = tracee.stages;
        tracee.heritage.scratch = scratch;
        tracee.heritage.inside = inside;
        let watched = tracee.fetched || tracee.moves_in.is_some() || tracee.trial.is_some();
        Ok(missing || watched || tracee.pending.is_some() || group.is_some_and(Group::is_due))
    }

    /// Changes a task's credentials.
    pub(super) fn publish(&mut self, tid: Tid, credentials: Arc<Credentials>) {
        if let Some(tracee) = self.tracees.get_mut(&tid) {
            tracee.credentials = Arc::clone(&credentials);
        }
        self.shared.registry.publish(tid, credentials);
    }

    /// A call that has not run yet.
    fn entry(&mut self, stop: SyscallStop, entry: Entry) -> Traced<()> {
        let tid = stop.tid();
        let mut stop = match Intercepted::at_entry(stop, entry)? {
            Ok(stop) => stop,
            Err(stop) => return self.leaving(stop),
        };
        if !self.is_ours(&mut stop)? {
            return self.let_go(stop);
        }
        if entry == Entry::Syscall
            && let Some(tracee) = self.tracees.get_mut(&tid)
        {
            tracee.try_on();
        }
        if self.has_failed_to_arrive(&mut stop)? {
            let to_syscall = self.settle(tid)?;
            return stop.reply(0, to_syscall);
        }
        self.raise_missing(&mut stop)?;
        if let Some(calling) = self.tracees.get_mut(&tid).and_then(|tracee| tracee.moves_in.take()) {
            self.move_in(&mut stop, calling)?;
        }
        let Some(mut stop) = self.leave_to_filters(stop)? else { return Ok(()) };
        let call = *stop.call();
        let operation =
            table::lookup(call.abi, call.number).filter(|it| self.is_served(tid, entry, it, &call.args));
        let Some(operation) = operation else {
            let to_syscall = self.settle(tid)?;
            return stop.proceed(to_syscall);
        };
        let since = self.shared.tally.is_some().then(Instant::now);
        if entry == Entry::Seccomp {
            if operation.stops_in(Stages::LOOKING, &call.args) {
                self.looked(&mut stop)?;
            }
            self.stayed(&mut stop)?;
        }
        let noted = self.note_call(tid, operation, &call);
        let mut guest = Live::new(self, &mut stop);
        let verdict = (operation.handler)(&mut guest);
        guest.outcome()?;
        tracing::trace!(tid, syscall = operation.name, args = ?call.args, ?verdict);
        let verdict = self.tell_verdict(tid, noted, verdict);
        let stages = self.tracees.get(&tid).map_or(Stages::NONE, |tracee| tracee.stages);
        let told = stop.entry() == Entry::Syscall && operation.is_told(stages, &call.args);
        match verdict {
            Verdict::Run if told => self.run_marked(stop, |_, result| result)?,
            Verdict::Amend(finish) if told => self.run_marked(stop, finish)?,
            verdict => self.carry_out(stop, verdict)?,
        }
        if let Some(since) = since {
            let failed = matches!(verdict, Verdict::Reply(Err(_)));
            let way = Way::Stop;
            self.tell(tid, |tally, program| {
                tally.add_call((program, operation.name, way), since.elapsed(), failed)
            });
        }
        Ok(())
    }

    /// Whether a call is served at this entry: where the filter has stopped it, a listener could not answer it or is told
    /// of all calls of the base stage, or it would stop in a stage that is on trial or could not be loaded. What a loaded
    /// filter stops comes here once more.
    fn is_served(&mut self, tid: Tid, entry: Entry, operation: &Operation, args: &[u64; 6]) -> bool {
        let Some(tracee) = self.tracees.get_mut(&tid) else { return false };
        let stages = tracee.stages;
        if operation.is_told(stages, args) && std::mem::take(&mut tracee.fetched) {
            self.shared.listeners.served(tid);
            return true;
        }
        let on_trial = if tracee.trial.is_some() { Stage::Identity.only() } else { Stages::NONE };
        let lacking = self.missing(tid).union(on_trial);
        entry == Entry::Seccomp
            || operation.is_told(stages.common(Stages::FIRST), args)
            || operation.stops_in(lacking, args) && !operation.stops_itself(stages, args)
    }

    /// Lets the kernel run a call that a listener would be told of again.
    fn run_marked(&mut self, stop: Intercepted, finish: Finish) -> Traced<()> {
        let (tid, Call { abi, number, args }) = (stop.tid(), *stop.call());
        self.settle(tid)?;
        let suspended = stop.replace_anywhere(number, table::marked(abi, number, args))?;
        self.suspend(tid, suspended, finish);
        Ok(())
    }

    /// Counts an answer for the summary.
    fn tell(&mut self, tid: Tid, count: impl FnOnce(&Tally, &Arc<str>)) {
        let Some(tally) = &self.shared.tally else { return };
        let Some(tgid) = self.tracees.get(&tid).map(|tracee| tracee.tgid) else { return };
        let Some(group) = self.groups.get_mut(&tgid) else { return };
        let program = group.program.get_or_insert_with(|| sys::process::name_of(tgid).into());
        count(tally, program);
    }

    fn carry_out(&mut self, stop: Intercepted, verdict: Verdict) -> Traced<()> {
        let tid = stop.tid();
        match verdict {
            Verdict::Reply(result) => {
                let to_syscall = self.settle(tid)?;
                stop.reply(Errno::join(result), to_syscall)
            }
            Verdict::Run => {
                let to_syscall = self.settle(tid)?;
                stop.proceed(to_syscall)
            }
            Verdict::Amend(finish) => {
                self.settle(tid)?;
                let suspended = stop.run_to_exit()?;
                self.suspend(tid, suspended, finish);
                Ok(())
            }
            Verdict::Replace(call, args, finish) => self.replace(stop, call, args, finish),
        }
    }

    fn replace(
        &mut self,
        mut stop: Intercepted,
        call: &KernelCall,
        args: [u64; 6],
        finish: Finish,
    ) -> Traced<()> {
        let tid = stop.tid();
        self.settle(tid)?;
        let Some(number) = call.numbers.of(stop.call().abi) else {
            return stop.reply(Errno::join(Err(Errno::ENOSYS)), false);
        };
        let abi = stop.call().abi;
        let args = table::marked(abi, number, args);
        if !self.lets_pass(&mut stop, Call { abi, number, args })? {
            let mut guest = Live::new(self, &mut stop);
            let outcome = guest.instead(call, args);
            let result = finish(&mut guest, outcome);
            guest.outcome()?;
            self.tell_result(tid, result, None);
            let to_syscall = self.settle(tid)?;
            return stop.reply(Errno::join(result), to_syscall);
        }
        let suspended = stop.replace(number, args)?;
        self.suspend(tid, suspended, finish);
        Ok(())
    }

    fn suspend(&mut self, tid: Tid, suspended: ptrace::Suspended, finish: Finish) {
        if let Some(tracee) = self.tracees.get_mut(&tid) {
            tracee.pending = Some((suspended, finish));
        }
    }

    /// A call that the kernel has run, or is about to restart.
    fn exit(&mut self, mut stop: Intercepted, raw: Option<i64>, finish: Finish) -> Traced<()> {
        let tid = stop.tid();
        let Some(raw) = raw else {
            self.forget_call(tid);
            self.settle(tid)?;
            return stop.leave();
        };
        let since = self.shared.measures().then(Instant::now);
        let call = *stop.call();
        let mut guest = Live::new(self, &mut stop);
        let result = finish(&mut guest, Errno::split(raw));
        guest.outcome()?;
        tracing::trace!(tid, kernel = raw, ?result, "amended");
        self.tell_result(tid, result, since);
        let to_syscall = self.settle(tid)?;
        stop.reply(Errno::join(result), to_syscall)?;
        if let (Some(since), Some(operation)) = (since, table::lookup(call.abi, call.number)) {
            let failed = result.is_err();
            let way = Way::Stop;
            self.tell(tid, |tally, program| {
                tally.add_exit((program, operation.name, way), since.elapsed(), failed)
            });
        }
        Ok(())
    }
}
