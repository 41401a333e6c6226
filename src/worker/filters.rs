//! The seccomp filters that a guest has loaded for itself, as the tracer knows them.
//!
//! The kernel runs them over every call that the tracer makes a task execute, as over the task's own. So the tracer
//! keeps each program when it is loaded, and asks it before: a call that it would not let pass is not injected.
//!
//! - Filters are a task's: its threads and children inherit them, exec keeps them, and `SECCOMP_FILTER_FLAG_TSYNC`
//!   gives the loading thread's to all of its process.
//! - What is kept is bounded as the kernel's own is: a chain has no more than `MAX_INSNS_PER_PATH` instructions.

use std::sync::Arc;

use super::Worker;
use super::tracee::Tracee;
use crate::abi::{Abi, Call, Errno, KernelCall, Numbers};
use crate::ptrace::{Entry, Intercepted, Traced};
use crate::seccomp::{self, Data, Instruction};
use crate::sys::Tid;
use crate::sys::seccomp::ALL_THREADS;
use crate::syscalls::{Stages, kernel};

/// `SECCOMP_RET_KILL_PROCESS`.
const KILL_PROCESS: u32 = 0x8000_0000;
/// `SECCOMP_RET_TRACE`.
const TRACE: u32 = 0x7ff0_0000;
/// `SECCOMP_RET_LOG`.
const LOG: u32 = 0x7ffc_0000;
/// `SECCOMP_RET_ALLOW`.
const ALLOW: u32 = 0x7fff_0000;
/// `SECCOMP_RET_ACTION_FULL`.
const ACTION: u32 = 0xffff_0000;

/// Calls that change nothing with arguments of −1, the likeliest to be let pass first: getpid(2), gettid(2), close(2),
/// read(2), write(2), lseek(2). With such arguments nor does any that the tracer answers.
const IDLE: [Numbers; 6] = [
    Numbers { x86_64: Some(39), i386: Some(20), aarch64: Some(172) },
    Numbers { x86_64: Some(186), i386: Some(224), aarch64: Some(178) },
    Numbers { x86_64: Some(3), i386: Some(6), aarch64: Some(57) },
    Numbers { x86_64: Some(0), i386: Some(3), aarch64: Some(63) },
    Numbers { x86_64: Some(1), i386: Some(4), aarch64: Some(64) },
    Numbers { x86_64: Some(8), i386: Some(19), aarch64: Some(62) },
];

/// A task's own filters.
#[derive(Debug, Clone, Default)]
pub struct Filters(Option<Arc<Vec<Arc<[Instruction]>>>>);

impl Filters {
    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.0.is_some()
    }

    /// One more. Of a program that is not known it is known that it lets nothing pass.
    pub fn with(&self, program: Option<&[u8]>) -> Filters {
        let unknown = || vec![Instruction::plain(0x06, KILL_PROCESS)];
        let program = program.map_or_else(unknown, seccomp::parse);
        let mut all = self.0.as_deref().cloned().unwrap_or_default();
        all.push(program.into());
        Filters(Some(Arc::new(all)))
    }

    /// What comes of a call: of several answers the one that refuses most (`seccomp_run_filters`).
    fn verdict(&self, data: &Data) -> u32 {
        let action = |program: &Arc<[Instruction]>| {
            let action = seccomp::run(program, data).map_or(KILL_PROCESS, |outcome| outcome.action);
            action & ACTION
        };
        let all = self.0.as_deref().map_or(&[][..], Vec::as_slice);
        all.iter().map(action).min_by_key(|action| action.cast_signed()).unwrap_or(ALLOW)
    }

    /// Whether they have a tracer asked about a call: the guest has none, so that it fails with `ENOSYS`.
    pub fn ask_a_tracer(&self, Call { abi, number, args }: Call, pointer: u64) -> bool {
        self.any() && self.verdict(&Data { number, arch: abi.audit_arch(), pointer, args }) == TRACE
    }

    /// Whether a call that the tracer injects is executed, and nobody else is told of it: the tracer resumes a task that
    /// stops for `SECCOMP_RET_TRACE` once more.
    pub fn let_pass(&self, data: &Data) -> bool {
        matches!(self.verdict(data), TRACE | LOG | ALLOW)
    }
}

impl Worker {
    /// A task's own filters.
    pub(super) fn filters(&self, tid: Tid) -> Filters {
        self.tracees.get(&tid).map(|tracee| tracee.filters.clone()).unwrap_or_default()
    }

    /// A task has loaded a filter, for all threads of its process or for itself.
    pub(super) fn filter(&mut self, tid: Tid, program: Option<&[u8]>, all: bool) {
        let Some(tracee) = self.tracees.get(&tid) else { return };
        let (tgid, filters, stages) = (tracee.tgid, tracee.filters.with(program), tracee.stages);
        let has = |&(&other, it): &(&Tid, &Tracee)| other == tid || all && it.tgid == tgid;
        let tids: Vec<Tid> = self.tracees.iter().filter(has).map(|(&tid, _)| tid).collect();
        for tid in tids {
            if let Some(tracee) = self.tracees.get_mut(&tid) {
                tracee.filters = filters.clone();
                tracee.stages = tracee.stages.union(stages); // all that the one has
            }
            self.tell_listeners(tid);
        }
        if all {
            let unborn = self.expected.values_mut().filter(|born| born.joins == Some(tgid));
            unborn.for_each(|born| born.filters = filters.clone());
        }
        if let Some(group) = self.groups.get_mut(&tgid) {
            group.filtered = true;
            group.synced = group.synced.union(if all { stages } else { Stages::NONE });
        }
        self.move_out(tid);
    }

    /// Raises for the process of the task at this entry, which is about to load a filter, what could not be raised then.
    pub(super) fn raise_before(&mut self, stop: &mut Intercepted, program: &[u8]) -> Traced<()> {
        let filters = self.filters(stop.tid()).with(Some(program));
        if Worker::can_load(stop, &filters)? { Ok(()) } else { self.raise_here(stop, Stages::LASTING) }
    }

    /// Whether the task at this entry may be made to execute a call.
    pub(super) fn lets_pass(&self, stop: &mut Intercepted, call: Call) -> Traced<bool> {
        let filters = self.filters(stop.tid());
        Ok(!filters.any() || filters.let_pass(&data(stop, call)?))
    }

    /// Whether a task with these filters can be made to load one of remainroot's.
    pub(super) fn can_load(stop: &mut Intercepted, filters: &Filters) -> Traced<bool> {
        const SCRATCH: [u64; 6] = [0, 1 << 16, 3, 0x22, u64::MAX, 0];
        if !filters.any() {
            return Ok(true);
        }
        for &abi in seccomp::ABIS {
            let mut passes = |call: &KernelCall, args| {
                let number = call.numbers.of(abi).unwrap_or(u32::MAX);
                Ok(filters.let_pass(&data(stop, Call { abi, number, args })?))
            };
            // An ABI of which not even this passes is not used.
            let is_used = abi == Abi::X86_64 || passes(&kernel::GETPID, [0; 6])?;
            let load = [super::raise::SET_MODE_FILTER, ALL_THREADS, 0, 0, 0, 0];
            if is_used && !(passes(&kernel::SECCOMP, load)? && passes(&kernel::MMAP, SCRATCH)?) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Leaves the call at this entry to filters of the guest's own, where they do not let it pass; else gives the stop back.
    pub(super) fn leave_to_filters(&mut self, mut stop: Intercepted) -> Traced<Option<Intercepted>> {
        let filters = self.filters(stop.tid());
        if !filters.any() {
            return Ok(Some(stop));
        }
        let call = *stop.call();
        if stop.entry() == Entry::Syscall {
            choose_idle(&mut stop, &filters)?;
        }
        let verdict = filters.verdict(&data(&mut stop, call)?);
        match (verdict, stop.entry()) {
            // The guest has no tracer.
            (TRACE, _) => {
                let to_syscall = self.settle(stop.tid())?;
                stop.reply(Errno::join(Err(Errno::ENOSYS)), to_syscall)?;
            }
            (ALLOW | LOG, _) | (_, Entry::Seccomp) => return Ok(Some(stop)),
            // The kernel refuses it when its filters see it.
            (_, Entry::Syscall) => {
                let to_syscall = self.settle(stop.tid())?;
                stop.proceed(to_syscall)?;
            }
        }
        Ok(None)
    }
}

/// Says which call may stand in place of one that is answered before the filters have seen it.
fn choose_idle(stop: &mut Intercepted, filters: &Filters) -> Traced<()> {
    let call = *stop.call();
    let args = [u64::MAX; 6];
    for number in IDLE.iter().filter_map(|number| number.of(call.abi)).chain([call.number]) {
        if filters.let_pass(&data(stop, Call { number, args, ..call })?) {
            stop.idle_by(number, args);
            break;
        }
    }
    Ok(())
}

/// What a filter sees of a call made at this entry.
fn data(stop: &mut Intercepted, Call { abi, number, args }: Call) -> Traced<Data> {
    let args = if abi.word() == 4 { args.map(|arg| arg & 0xFFFF_FFFF) } else { args };
    Ok(Data { number, arch: abi.audit_arch(), pointer: stop.next_instruction()?, args })
}
