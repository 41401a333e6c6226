//! The [`Guest`] that handlers see: a stopped tracee and its worker.

use std::ffi::{CStr, CString};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::Arc;

use super::eyes::Eyes;
use super::inside::Quarters;
use super::peers::{self, ids_of, is_itself, is_known_as};
use super::tracee::SCRATCH_LENGTH;
use super::{Count, Worker, devices, listed, mounts};
use crate::abi::stat::Statx;
use crate::abi::{Abi, Call, Errno, KernelCall, SysResult};
use crate::cred::{Credentials, Uid, View};
use crate::ownership::{Device, Ownership};
use crate::ptrace::{self, Intercepted, Lost, Traced, memory};
use crate::sys::{self, Tid};
use crate::syscalls::inode::Place;
use crate::syscalls::layers::Layers;
use crate::syscalls::limits::{Limits, Pair};
use crate::syscalls::mounted::{Listed, Mounted};
use crate::syscalls::{Guest, Look, Peers, Planned, SCRATCH_BYTES, Share, Stage, Stages, kernel, table};

const PROT_READ_WRITE: u64 = 3;
const MAP_PRIVATE_ANONYMOUS: u64 = 0x22;
const MAP_32BIT: u64 = 0x40;

/// How many filesystems may be about to be mounted.
const MOST_PLANNED: usize = 1024;

/// A tracee at a syscall, while its handler runs.
pub struct Live<'a> {
    worker: &'a mut Worker,
    stop: &'a mut Intercepted,
    /// Why nothing more can be done with it.
    lost: Option<Lost>,
    eyes: Eyes,
    /// The scratch memory where the task may map none: nothing that the task itself is made to execute finds it.
    apart: Option<Vec<u8>>,
}

/// Where [`Live::apart`] stands: where the kernel keeps a task from mapping anything.
const fn apart(abi: Abi) -> u64 {
    if abi.word() == 4 { 0xFFFF_E000 } else { 0xFFFF_FFFF_FFFF_0000 }
}

/// Where in scratch memory at `base` an address is.
fn within(base: u64, address: u64) -> Option<usize> {
    let offset = address.checked_sub(base)? as usize;
    (offset < SCRATCH_BYTES).then_some(offset)
}

impl<'a> Live<'a> {
    /// The guest of a stop.
    pub fn new(worker: &'a mut Worker, stop: &'a mut Intercepted) -> Live<'a> {
        let eyes = Eyes::of(stop.tid(), false);
        Live { worker, stop, lost: None, eyes, apart: None }
    }

    /// `Err` when the task was lost while the handler ran, whatever the handler made of it.
    pub fn outcome(self) -> Traced<()> {
        self.lost.map_or(Ok(()), Err)
    }

    /// Makes the task execute a call. `ENOSYS` where its ABI lacks it.
    pub fn execute(&mut self, call: &KernelCall, args: [u64; 6]) -> Traced<SysResult> {
        let abi = self.stop.call().abi;
        let marked = call.numbers.of(abi).map_or(args, |number| table::marked(abi, number, args));
        self.execute_told(call, marked)
    }

    /// The same of one that its listener is told of.
    pub fn execute_told(&mut self, call: &KernelCall, args: [u64; 6]) -> Traced<SysResult> {
        let Some(number) = call.numbers.of(self.stop.call().abi) else { return Ok(Err(Errno::ENOSYS)) };
        if !self.passes(call, args)? {
            let outcome = self.instead(call, args);
            tracing::debug!(tid = self.stop.tid(), call = call.name, ?args, ?outcome, "made from outside");
            return Ok(outcome);
        }
        self.worker.shared.counters.add(Count::Injected);
        self.worker.watch(self.stop.tid())?;
        let Live { worker, stop, .. } = self;
        let outcome = stop.inject(number, args, &mut |tid| worker.next_of(tid)).map(Errno::split);
        tracing::trace!(tid = self.stop.tid(), call = call.name, ?args, ?outcome, "injected");
        if self.worker.shared.sights.mounts().any_served() {
            self.heed_new_listener();
        }
        outcome
    }

    /// Whether the task can be made to execute a call: its own filters let it, and what it is about stands in its memory.
    fn passes(&mut self, call: &KernelCall, args: [u64; 6]) -> Traced<bool> {
        let abi = self.stop.call().abi;
        let apart = self.apart.is_some() && args.iter().any(|&arg| within(apart(abi), arg).is_some());
        let Some(number) = call.numbers.of(abi) else { return Ok(true) };
        Ok(!apart && self.worker.lets_pass(self.stop, Call { abi, number, args })?)
    }

    /// The task.
    pub(super) fn tid(&self) -> Tid {
        self.stop.tid()
    }

    /// The part of the scratch memory that stands with the tracer, from this address on.
    fn apart_from(&mut self, address: u64, length: usize) -> Option<&mut [u8]> {
        let start = within(apart(self.stop.call().abi), address)?;
        self.apart.as_deref_mut()?.get_mut(start..)?.get_mut(..length)
    }

    /// Another thread of its process that was served meanwhile may have loaded a filter that tells a listener of this
    /// call, instead of a stop.
    fn heed_new_listener(&mut self) {
        let call = self.stop.call();
        let stages = self.worker.tracees.get(&self.stop.tid()).map_or(Stages::NONE, |it| it.stages);
        if table::lookup(call.abi, call.number).is_some_and(|it| it.is_told(stages, &call.args)) {
            self.stop.unfiltered();
        }
    }

    fn note<T>(&mut self, outcome: Traced<T>) -> Result<T, Errno> {
        outcome.map_err(|lost| {
            self.lost = Some(lost);
            Errno::ESRCH
        })
    }
}

/// The task's scratch area: its process's part of a mapping that is made when none has one to spare.
pub fn map_scratch(worker: &mut Worker, stop: &mut Intercepted) -> Traced<Result<u64, Errno>> {
    let tid = stop.tid();
    let Some(tgid) = worker.tracees.get(&tid).map(|tracee| tracee.tgid) else { return Err(Lost::Gone) };
    let Some(group) = worker.groups.get_mut(&tgid) else { return Err(Lost::Gone) };
    group.memory(tgid);
    if let Some(scratch) = group.scratch() {
        return Ok(Ok(scratch));
    }
    let abi = stop.call().abi;
    let below = if abi == Abi::X86_64 { MAP_32BIT } else { 0 };
    let nowhere = u64::from(u32::MAX) | if abi.word() == 8 { u64::MAX } else { 0 };
    let args = [0, SCRATCH_LENGTH, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS | below, nowhere, 0];
    let mapped = Live::new(worker, stop).execute(&kernel::MMAP, args)?;
    let Some(group) = worker.groups.get_mut(&tgid) else { return Err(Lost::Gone) };
    Ok(mapped.map(|base| group.use_scratch(base)))
}

impl Guest for Live<'_> {
    fn call(&self) -> &Call {
        self.stop.call()
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        if let Some(bytes) = self.apart_from(address, into.len()) {
            into.copy_from_slice(bytes);
            return Ok(());
        }
        if memory::read(self.stop.tid(), address, into) { Ok(()) } else { Err(Errno::EFAULT) }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.eyes.overwritten(address, bytes.len());
        if let Some(apart) = self.apart_from(address, bytes.len()) {
            apart.copy_from_slice(bytes);
            return Ok(());
        }
        if memory::write(self.stop.tid(), address, bytes) { Ok(()) } else { Err(Errno::EFAULT) }
    }

    fn credentials(&self) -> Arc<Credentials> {
        match self.worker.tracees.get(&self.stop.tid()) {
            Some(tracee) => Arc::clone(&tracee.credentials),
            None => Arc::new(self.worker.shared.view.initial.clone()),
        }
    }

    fn commit(&mut self, new: Credentials) {
        let tid = self.stop.tid();
        let needs_identity = self.worker.shared.needs_identity(&new);
        self.worker.publish(tid, Arc::new(new));
        if let Some(tracee) = self.worker.tracees.get_mut(&tid) {
            tracee.become_other(needs_identity);
        }
        self.worker.tell_inside(tid);
    }

    fn credentials_of(&self, tid: i32) -> Option<Arc<Credentials>> {
        let own = self.stop.tid();
        if tid == 0 {
            return Some(self.credentials());
        }
        let shared = &self.worker.shared;
        let depth = ids_of(own).len();
        if depth > ids_of(std::process::id() as Tid).len() {
            let named = |&task: &Tid| is_known_as(task, tid, own, depth);
            return shared
                .registry
                .tasks()
                .into_iter()
                .find(named)
                .and_then(|task| shared.registry.get(task));
        }
        if tid == own {
            return Some(self.credentials());
        }
        let exists = || sys::process::kill(tid, 0) != Err(sys::Errno::ESRCH);
        shared.registry.get(tid).or_else(|| exists().then(|| Arc::new(shared.view.initial.clone())))
    }

    fn peers(&self) -> Peers {
        let own = self.worker.tracees.get(&self.stop.tid()).map_or(self.stop.tid(), |tracee| tracee.tgid);
        peers::of(&self.worker.shared, own)
    }

    fn task_limit(&self, whose: i32) -> Result<Pair, Errno> {
        peers::limit(self.stop.tid(), whose)
    }

    fn set_task_limit(&mut self, whose: i32, pair: Pair) -> Result<(), Errno> {
        peers::set_limit(self.stop.tid(), whose, pair)
    }

    fn raise_in(&mut self, whose: i32, stage: Stage) {
        if let Ok(task) = peers::task_of(self.stop.tid(), whose) {
            self.worker.raise_in(self.stop.tid(), task, stage.only());
        }
    }

    fn note_excess(&mut self, exceeds: bool) {
        self.worker.shared.limits.note_excess(self.stop.tid(), exceeds);
    }

    fn exceeds(&self) -> bool {
        self.worker.shared.limits.exceeds(self.stop.tid())
    }

    fn limits(&self) -> &Limits {
        &self.worker.shared.limits
    }

    fn has_tasks(&self, uid: Uid, count: u64) -> bool {
        peers::has_tasks(&self.worker.shared, uid, count)
    }

    fn view(&self) -> &View {
        &self.worker.shared.view
    }

    fn is_proc(&self, dev: u64) -> bool {
        self.eyes.is_proc(dev)
    }

    fn ownership(&self) -> &Ownership {
        &self.worker.shared.ownership
    }

    fn open_file(&self, descriptor: u64) -> Option<CString> {
        self.eyes.open_file(&self.worker.shared, descriptor)
    }

    fn sight(&mut self, look: &Look<'_>) -> Option<Result<[u8; Statx::SIZE], Errno>> {
        self.eyes.sight(&self.worker.shared, look)
    }

    fn seen(&self, place: Place) -> Option<CString> {
        self.eyes.seen(place)
    }

    fn make(&mut self, place: Place, share: Share) -> Option<Result<(), Errno>> {
        self.eyes.make(place, share)
    }

    fn must_stop(&mut self) -> bool {
        false
    }

    fn wait_for_affinity(&mut self, whose: i32) {
        let tid = self.stop.tid();
        // Who another is depends on the guest's pid namespace.
        if is_itself(tid, whose) { ptrace::stand_still(tid) } else { ptrace::all_stand_still() }
    }

    fn moved(&mut self) {
        self.worker.shared.sights.moved();
    }

    fn mounting(&mut self, kind: &[u8]) {
        self.worker.shared.sights.mounts().note(kind);
    }

    fn planned(&self, descriptor: u64) -> Planned {
        let Some(tracee) = self.worker.tracees.get(&self.stop.tid()) else { return Planned::default() };
        let planned = self.worker.shared.planned.lock();
        planned.get(&(tracee.tgid, descriptor as i32)).cloned().unwrap_or_default()
    }

    fn plan(&mut self, descriptor: u64, planned: Planned) {
        let Some(tracee) = self.worker.tracees.get(&self.stop.tid()) else { return };
        let (key, mut all) = ((tracee.tgid, descriptor as i32), self.worker.shared.planned.lock());
        if all.len() >= MOST_PLANNED {
            all.clear(); // nobody has mounted what they were about
        }
        match planned == Planned::default() {
            true => all.remove(&key),
            false => all.insert(key, planned),
        };
    }

    fn mounted(&self) -> &Mounted {
        &self.worker.shared.mounted
    }

    fn layers(&self) -> &Layers {
        &self.worker.shared.layers
    }

    fn is_mounted(&self, dev: u64) -> bool {
        self.eyes.is_mounted(dev)
    }

    fn filesystem(&self, open: Option<u64>) -> Option<String> {
        mounts::filesystem(self.stop.tid(), open)
    }

    fn listed(&self, descriptor: u64) -> Option<Listed> {
        listed::of(&self.worker.shared.sights, self.stop.tid(), descriptor)
    }

    fn send_list(&mut self, socket: u64, descriptor: u64, text: &str) -> Result<(), Errno> {
        listed::send(self.stop.tid(), socket as i32, descriptor, text).map_err(|errno| Errno(errno as i32))
    }

    fn copied_list(&self, descriptor: u64) -> Option<Vec<u8>> {
        listed::copied(self.stop.tid(), descriptor)
    }

    fn sees_other_mounts(&mut self) {
        self.worker.shared.sights.mounts().entered(self.stop.tid());
    }

    fn unmounting(&mut self, begins: bool) {
        let (sights, tid) = (&self.worker.shared.sights, self.stop.tid());
        if begins { sights.unmounting(tid) } else { sights.unmounted(tid) }
    }

    fn observe(&self, descriptor: u64, name: &[u8]) -> Result<Statx, Errno> {
        self.eyes.observe(&self.worker.shared, descriptor, name)
    }

    fn is_nodev(&self, descriptor: u64) -> bool {
        self.eyes.is_nodev(&self.worker.shared, descriptor)
    }

    fn has_devices(&self, place: Place) -> Option<bool> {
        self.eyes.has_devices(place)
    }

    fn real_device(&self, device: Device) -> Result<&'static CStr, Errno> {
        devices::name(device)
    }

    fn label(&self, descriptor: u64) -> Option<u8> {
        self.worker.shared.ownership.note_replaced();
        self.worker.shared.labels.of(self.stop.tid(), &self.open_file(descriptor)?)
    }

    fn stick(&mut self, descriptor: u64, label: u8) {
        if let Some(open) = self.open_file(descriptor) {
            self.worker.shared.labels.stick(self.stop.tid(), &open, descriptor as i32, label);
        }
    }

    fn stands_in(&self, place: Place) -> bool {
        self.eyes.stands_in(place)
    }

    fn send_devices(&mut self, socket: u64) -> Result<(), Errno> {
        devices::send(self.stop.tid(), socket as i32).map_err(|errno| Errno(errno as i32))
    }

    fn proc_text(&self, descriptor: u64) -> Option<String> {
        self.eyes.proc_text(&self.worker.shared, descriptor)
    }

    fn send_text(&mut self, socket: u64, text: &[u8]) -> Result<(), Errno> {
        let text = sys::files::with_text(text).map_err(|errno| Errno(errno as i32))?;
        devices::lend(self.stop.tid(), socket as i32, text.as_fd()).map_err(|errno| Errno(errno as i32))
    }

    fn inject(&mut self, call: &'static KernelCall, args: [u64; 6]) -> SysResult {
        self.eyes.close();
        let outcome = self.execute(call, args);
        self.note(outcome)?
    }

    fn scratch(&mut self) -> Result<u64, Errno> {
        let outcome = map_scratch(self.worker, self.stop);
        let outcome = self.note(outcome)?;
        if outcome.is_ok() || !self.filtered() {
            return outcome;
        }
        self.apart.get_or_insert_with(|| vec![0; SCRATCH_BYTES]);
        Ok(apart(self.stop.call().abi))
    }

    fn own_memory(&mut self) -> Option<Range<u64>> {
        self.worker.quarters(self.stop.tid()).map(Quarters::range)
    }

    fn make_room(&mut self) -> bool {
        let outcome = self.worker.make_room(self.stop);
        self.note(outcome).unwrap_or(false)
    }

    fn put_back(&mut self, text: &Range<u64>) {
        let tid = self.stop.tid();
        if let Some(quarters) = self.worker.quarters(tid) {
            quarters.put_back(tid, text);
        }
    }

    fn answer_from_outside(&mut self) {
        self.worker.move_out(self.stop.tid());
    }

    fn may(&mut self, call: &'static KernelCall, args: [u64; 6]) -> bool {
        let outcome = self.passes(call, args);
        self.note(outcome).unwrap_or(false)
    }

    fn filtered(&self) -> bool {
        self.worker.filters(self.stop.tid()).any()
    }

    fn expect_filter(&mut self, program: &[u8]) {
        let outcome = self.worker.raise_before(self.stop, program);
        let _ = self.note(outcome);
    }

    fn add_filter(&mut self, program: Option<&[u8]>, for_all_threads: bool) {
        self.worker.filter(self.stop.tid(), program, for_all_threads);
    }

    fn raise_for_all(&mut self, stage: Stage) {
        let outcome = self.worker.raise_for_all(self.stop, stage);
        let _ = self.note(outcome);
    }

    fn raise(&mut self, stage: Stage) {
        let outcome = match stage {
            Stage::Base | Stage::NotifyBase | Stage::NotifyForeign | Stage::Watched => Ok(()),
            Stage::Identity
            | Stage::Reading
            | Stage::Limits
            | Stage::Notify
            | Stage::NotifyIdentity
            | Stage::NotifyIds => self.worker.raise_here(self.stop, stage.only()),
            Stage::Ownership | Stage::Removal | Stage::Devices => self.worker.raise_for_all(self.stop, stage),
        };
        let _ = self.note(outcome);
    }
}
