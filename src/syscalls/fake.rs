//! A guest for unit tests: sparse memory, credentials, and a kernel that answers by script.
#![allow(dead_code)] // not every kind of handler needs every fixture

mod memory;

use std::collections::{BTreeMap, VecDeque};
use std::ffi::CStr;
use std::ffi::CString;
use std::ops::Range;
use std::path::PathBuf;
use std::sync::Arc;

pub(crate) use memory::Memory;

use super::inode::Place;
use super::layers::Layers;
use super::limits::{Limits, Pair};
use super::mounted::{Listed, Mounted};
use super::{Guest, Look, Peer, Peers, Planned, SCRATCH_BYTES, Share, Stage, Stages, Verdict, table};
use crate::abi::stat::Statx;
use crate::abi::{Abi, Call, Errno, KernelCall, SysResult};
use crate::cred::{Credentials, Uid, View};
use crate::ownership::{Device, Ownership};

/// What answers an injected call; it may read and write the guest's memory as the kernel would.
type Kernel = Box<dyn FnMut(&mut Memory, &'static KernelCall, [u64; 6]) -> SysResult>;

/// A [`Guest`] of values; every field is open to the test.
pub(crate) struct FakeGuest {
    pub(crate) call: Call,
    pub(crate) memory: Memory,
    pub(crate) credentials: Arc<Credentials>,
    /// Other traced tasks, by id.
    pub(crate) others: BTreeMap<i32, Arc<Credentials>>,
    pub(crate) task_limits: BTreeMap<i32, Pair>,
    /// Whose processes got which stages.
    pub(crate) raised_in: Vec<(i32, Stage)>,
    pub(crate) limits: Limits,
    /// Those of them that are in the guest's session.
    pub(crate) session: Vec<i32>,
    /// Whether the guest is in the tracer's pid namespace.
    pub(crate) with_tracer: bool,
    pub(crate) view: View,
    pub(crate) ownership: Ownership,
    /// Answers to injected calls in order; used before `kernel`.
    pub(crate) results: VecDeque<SysResult>,
    /// Answers injected calls once `results` is empty; without it such a call fails the test.
    pub(crate) kernel: Option<Kernel>,
    /// Every injected call.
    pub(crate) injected: Vec<(&'static str, [u64; 6])>,
    /// How often a handler committed credentials.
    pub(crate) commits: usize,
    /// Every stage raised, by a commit too.
    pub(crate) raised: Vec<Stage>,
    /// The programs that it has loaded as filters.
    pub(crate) filters: Vec<Option<Vec<u8>>>,
    /// Whether they let nothing pass.
    pub(crate) refuses: bool,
    /// Where the memory is by which the task answers itself.
    pub(crate) own_memory: Option<Range<u64>>,
    /// What a handler had put back.
    pub(crate) may_make_room: bool,
    pub(crate) put_back: Vec<Range<u64>>,
    /// Whether a handler has ended that.
    pub(crate) outside: bool,
    /// What the tracer sees: by descriptor and name.
    pub(crate) observed: BTreeMap<(u64, Vec<u8>), Statx>,
    /// Whether mounts are nodev.
    pub(crate) nodev: bool,
    /// The container's devices, by name.
    pub(crate) devices: BTreeMap<Device, &'static CStr>,
    /// What was put on descriptors.
    pub(crate) labels: BTreeMap<u64, u8>,
    /// Sockets that got a descriptor of `/dev`.
    pub(crate) lent: Vec<u64>,
    /// What the tracer reaches of open files.
    pub(crate) open_files: BTreeMap<u64, PathBuf>,
    /// How often a handler said that a task may be elsewhere.
    pub(crate) moves: usize,
    pub(crate) unmounts: Vec<bool>,
    /// Types of filesystems that it was about to mount.
    pub(crate) mounted: Vec<Vec<u8>>,
    /// What was asked of filesystems that are not mounted yet.
    pub(crate) plans: BTreeMap<u64, Planned>,
    pub(crate) filesystems: Mounted,
    pub(crate) layers: Layers,
    /// The device number of what was mounted.
    pub(crate) filesystem: Option<&'static str>,
    /// Lists of mounts that are open.
    pub(crate) lists: BTreeMap<u64, Listed>,
    /// Device number of procfs.
    pub(crate) proc: Option<u64>,
    /// Where the scratch memory is; `None`: none can be had.
    pub(crate) scratch: Option<u64>,
}

/// Where [`FakeGuest::new`] maps the scratch memory.
pub(crate) const SCRATCH: u64 = 0x7000_0000;

impl FakeGuest {
    /// Root in a namespace that maps only 0, on x86_64, with nothing mapped but the scratch memory.
    pub(crate) fn new() -> FakeGuest {
        let view = View::of_root_alone();
        let mut memory = Memory::default();
        memory.map(SCRATCH, &[0; SCRATCH_BYTES]);
        FakeGuest {
            call: Call { abi: Abi::X86_64, number: 0, args: [0; 6] },
            memory,
            credentials: Arc::new(view.initial.clone()),
            others: BTreeMap::new(),
            task_limits: BTreeMap::new(),
            raised_in: Vec::new(),
            limits: Limits::default(),
            session: Vec::new(),
            with_tracer: true,
            view,
            ownership: Ownership::default(),
            results: VecDeque::new(),
            kernel: None,
            injected: Vec::new(),
            commits: 0,
            raised: Vec::new(),
            filters: Vec::new(),
            refuses: false,
            own_memory: None,
            may_make_room: false,
            put_back: Vec::new(),
            outside: false,
            observed: BTreeMap::new(),
            nodev: false,
            devices: BTreeMap::new(),
            labels: BTreeMap::new(),
            lent: Vec::new(),
            open_files: BTreeMap::new(),
            moves: 0,
            unmounts: Vec::new(),
            mounted: Vec::new(),
            plans: BTreeMap::new(),
            filesystems: Mounted::default(),
            layers: Layers::default(),
            filesystem: None,
            lists: BTreeMap::new(),
            proc: None,
            scratch: Some(SCRATCH),
        }
    }

    /// The same with other credentials.
    pub(crate) fn with(credentials: Credentials) -> FakeGuest {
        FakeGuest { credentials: Arc::new(credentials), ..FakeGuest::new() }
    }

    /// Makes the call `name` of the table in `abi` and gives the handler's verdict.
    pub(crate) fn verdict(&mut self, abi: Abi, name: &str, args: &[u64]) -> Verdict {
        let operation = table::TABLE.iter().find(|operation| operation.name == name);
        let operation = operation.unwrap_or_else(|| panic!("{name} is not in the table"));
        let number = operation.numbers.of(abi);
        let number = number.unwrap_or_else(|| panic!("{abi:?} has no {name}"));
        let mut all = [0; 6];
        all.iter_mut().zip(args).for_each(|(slot, &arg)| *slot = arg);
        self.call = Call { abi, number, args: all };
        (operation.handler)(self)
    }

    /// The same for a handler that must reply.
    pub(crate) fn reply(&mut self, abi: Abi, name: &str, args: &[u64]) -> SysResult {
        match self.verdict(abi, name, args) {
            Verdict::Reply(result) => result,
            other => panic!("{name} did not reply but {other:?}"),
        }
    }

    /// The same on x86_64.
    pub(crate) fn sys(&mut self, name: &str, args: &[u64]) -> SysResult {
        self.reply(Abi::X86_64, name, args)
    }

    /// Makes the call, lets the kernel give `result` where it runs anything, and returns what the
    /// guest gets.
    pub(crate) fn finish(&mut self, abi: Abi, name: &str, args: &[u64], result: SysResult) -> SysResult {
        match self.verdict(abi, name, args) {
            Verdict::Reply(reply) => reply,
            Verdict::Run => result,
            Verdict::Amend(finish) | Verdict::Replace(_, _, finish) => finish(self, result),
        }
    }
}

impl Guest for FakeGuest {
    fn call(&self) -> &Call {
        &self.call
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        self.memory.read(address, into)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.memory.write(address, bytes)
    }

    fn credentials(&self) -> Arc<Credentials> {
        self.credentials.clone()
    }

    fn commit(&mut self, new: Credentials) {
        self.commits += 1;
        if new != self.view.initial {
            self.raised.push(Stage::Identity);
        }
        self.credentials = Arc::new(new);
    }

    fn credentials_of(&self, tid: i32) -> Option<Arc<Credentials>> {
        match tid {
            0 => Some(self.credentials.clone()),
            _ => self.others.get(&tid).cloned(),
        }
    }

    fn peers(&self) -> Peers {
        let peer = |(&id, credentials): (&i32, &Arc<Credentials>)| {
            let in_session = self.session.contains(&id);
            Peer { id, credentials: Arc::clone(credentials), in_session }
        };
        Peers { with_tracer: self.with_tracer, processes: self.others.iter().map(peer).collect() }
    }

    fn task_limit(&self, whose: i32) -> Result<Pair, Errno> {
        Ok(self.task_limits.get(&whose).copied().unwrap_or([u64::MAX; 2]))
    }

    fn set_task_limit(&mut self, whose: i32, pair: Pair) -> Result<(), Errno> {
        self.task_limits.insert(whose, pair);
        Ok(())
    }

    fn raise_in(&mut self, whose: i32, stage: Stage) {
        self.raised_in.push((whose, stage));
    }

    fn note_excess(&mut self, exceeds: bool) {
        self.limits.note_excess(0, exceeds);
    }

    fn exceeds(&self) -> bool {
        self.limits.exceeds(0)
    }

    fn limits(&self) -> &Limits {
        &self.limits
    }

    /// The guest's own is one of them.
    fn has_tasks(&self, uid: Uid, count: u64) -> bool {
        1 + self.others.values().filter(|other| other.uid == uid).count() as u64 >= count
    }

    fn view(&self) -> &View {
        &self.view
    }

    fn is_proc(&self, dev: u64) -> bool {
        self.proc == Some(dev)
    }

    fn ownership(&self) -> &Ownership {
        &self.ownership
    }

    fn open_file(&self, descriptor: u64) -> Option<CString> {
        let place = self.open_files.get(&descriptor)?;
        CString::new(place.to_str()?).ok()
    }

    fn sight(&mut self, _: &Look<'_>) -> Option<Result<[u8; Statx::SIZE], Errno>> {
        None
    }

    fn seen(&self, _: Place) -> Option<CString> {
        None
    }

    fn make(&mut self, _: Place, _: Share) -> Option<Result<(), Errno>> {
        None
    }

    fn must_stop(&mut self) -> bool {
        false
    }

    fn wait_for_affinity(&mut self, _whose: i32) {}

    fn moved(&mut self) {
        self.moves += 1;
    }

    fn mounting(&mut self, kind: &[u8]) {
        self.mounted.push(kind.to_vec());
    }

    fn planned(&self, descriptor: u64) -> Planned {
        self.plans.get(&descriptor).cloned().unwrap_or_default()
    }

    fn plan(&mut self, descriptor: u64, planned: Planned) {
        self.plans.insert(descriptor, planned);
    }

    fn mounted(&self) -> &Mounted {
        &self.filesystems
    }

    fn layers(&self) -> &Layers {
        &self.layers
    }

    fn is_mounted(&self, _: u64) -> bool {
        true
    }

    fn filesystem(&self, _: Option<u64>) -> Option<String> {
        self.filesystem.map(str::to_owned)
    }

    fn listed(&self, descriptor: u64) -> Option<Listed> {
        self.lists.get(&descriptor).cloned()
    }

    fn send_list(&mut self, socket: u64, _: u64, _: &str) -> Result<(), Errno> {
        self.lent.push(socket);
        Ok(())
    }

    fn copied_list(&self, _: u64) -> Option<Vec<u8>> {
        None
    }

    fn sees_other_mounts(&mut self) {}

    fn unmounting(&mut self, begins: bool) {
        self.unmounts.push(begins);
    }

    fn observe(&self, descriptor: u64, name: &[u8]) -> Result<Statx, Errno> {
        self.observed.get(&(descriptor, name.to_vec())).copied().ok_or(Errno::ENOENT)
    }

    fn is_nodev(&self, _descriptor: u64) -> bool {
        self.nodev
    }

    fn has_devices(&self, _: Place) -> Option<bool> {
        Some(!self.nodev)
    }

    fn real_device(&self, device: Device) -> Result<&'static CStr, Errno> {
        self.devices.get(&device).copied().ok_or(Errno::ENXIO)
    }

    fn label(&self, descriptor: u64) -> Option<u8> {
        Some(descriptor as u8)
    }

    fn stick(&mut self, descriptor: u64, label: u8) {
        self.labels.insert(descriptor, label);
    }

    fn stands_in(&self, _: Place) -> bool {
        false
    }

    fn send_devices(&mut self, socket: u64) -> Result<(), Errno> {
        self.lent.push(socket);
        Ok(())
    }

    fn proc_text(&self, _descriptor: u64) -> Option<String> {
        None
    }

    fn send_text(&mut self, socket: u64, _text: &[u8]) -> Result<(), Errno> {
        self.lent.push(socket);
        Ok(())
    }

    fn inject(&mut self, call: &'static KernelCall, args: [u64; 6]) -> SysResult {
        if self.refuses {
            return Err(Errno::EPERM);
        }
        self.injected.push((call.name, args));
        if let Some(result) = self.results.pop_front() {
            return result;
        }
        match self.kernel.as_mut() {
            Some(kernel) => kernel(&mut self.memory, call, args),
            None => panic!("nothing answers the injected {}{args:x?}", call.name),
        }
    }

    fn scratch(&mut self) -> Result<u64, Errno> {
        self.scratch.ok_or(Errno::ENOMEM)
    }

    fn may(&mut self, _: &'static KernelCall, _: [u64; 6]) -> bool {
        !self.refuses
    }

    fn filtered(&self) -> bool {
        !self.filters.is_empty()
    }

    fn own_memory(&mut self) -> Option<Range<u64>> {
        self.own_memory.clone()
    }

    fn make_room(&mut self) -> bool {
        self.own_memory.take_if(|_| self.may_make_room).is_some()
    }

    fn put_back(&mut self, text: &Range<u64>) {
        self.put_back.push(text.clone());
    }

    fn answer_from_outside(&mut self) {
        self.outside = true;
    }

    fn expect_filter(&mut self, _: &[u8]) {
        self.raised.extend(Stage::ALL.into_iter().filter(|&stage| Stages::LASTING.contains(stage)));
    }

    fn add_filter(&mut self, program: Option<&[u8]>, _: bool) {
        self.filters.push(program.map(<[u8]>::to_vec));
    }

    fn raise_for_all(&mut self, stage: Stage) {
        self.raised.push(stage);
    }

    fn raise(&mut self, stage: Stage) {
        self.raised.push(stage);
    }
}

#[test]
fn memory_faults_outside_what_is_mapped_and_keeps_what_was_written_before_the_fault() {
    let mut memory = Memory::default();
    memory.map(0x1000, &[1, 2, 3, 4]);
    memory.map_read_only(0x2000, b"path\0");
    let mut four = [0; 4];
    assert_eq!(memory.read(0x1000, &mut four), Ok(()));
    assert_eq!(four, [1, 2, 3, 4]);
    assert_eq!(memory.read(0x1001, &mut four), Err(Errno::EFAULT));
    assert_eq!(memory.write(0x1002, &[9, 9, 9]), Err(Errno::EFAULT));
    assert_eq!(memory.read(0x1000, &mut four), Ok(()));
    assert_eq!(four, [1, 2, 9, 9]);
    assert_eq!(memory.write(0x2000, b"x"), Err(Errno::EFAULT));
    assert_eq!(memory.string(0x2000), Ok(b"path".to_vec()));
}
