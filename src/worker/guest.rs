//! The [`Guest`] that handlers see: a stopped tracee and its worker.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::sync::Arc;

use super::tracee::SLOTS;
use super::{Count, Worker, devices};
use crate::abi::stat::{S_IFMT, S_IFREG, Statx};
use crate::abi::{Abi, Call, DeviceNumber, Errno, KernelCall, SysResult};
use crate::cred::{Credentials, View};
use crate::ownership::{Device, Identity, Kernel, Ownership};
use crate::ptrace::{Intercepted, Lost, Traced, memory};
use crate::sys::{self, Tid, files};
use crate::syscalls::inode::Place;
use crate::syscalls::{Guest, Look, SCRATCH_BYTES, Stage, Stages, kernel};

const PROT_READ_WRITE: u64 = 3;
const MAP_PRIVATE_ANONYMOUS: u64 = 0x22;
const MAP_32BIT: u64 = 0x40;
/// The longest path with its NUL.
const PATH_MAX: u64 = 4096;

/// A tracee at a syscall, while its handler runs.
pub struct Live<'a> {
    worker: &'a mut Worker,
    stop: &'a mut Intercepted,
    /// Why nothing more can be done with it.
    lost: Option<Lost>,
    /// What was looked at, until something happens that may make the place mean another inode.
    seen: Vec<(Place, OwnedFd)>,
    /// What was open in the task.
    fetched: RefCell<Vec<OwnedFd>>,
    /// Where a device is open, and the placeholder was seen by which it was opened.
    stand_ins: Vec<Place>,
}

impl<'a> Live<'a> {
    /// The guest of a stop.
    pub fn new(worker: &'a mut Worker, stop: &'a mut Intercepted) -> Live<'a> {
        Live {
            worker,
            stop,
            lost: None,
            seen: Vec::new(),
            fetched: RefCell::default(),
            stand_ins: Vec::new(),
        }
    }

    /// `Err` when the task was lost while the handler ran, whatever the handler made of it.
    pub fn outcome(self) -> Traced<()> {
        self.lost.map_or(Ok(()), Err)
    }

    /// Makes the task execute a call. `ENOSYS` where its ABI lacks it.
    pub fn execute(&mut self, call: &KernelCall, args: [u64; 6]) -> Traced<SysResult> {
        let Some(number) = call.numbers.of(self.stop.call().abi) else { return Ok(Err(Errno::ENOSYS)) };
        self.worker.shared.counters.add(Count::Injected);
        let outcome = self.stop.inject(number, args).map(Errno::split);
        tracing::trace!(tid = self.stop.tid(), call = call.name, ?args, ?outcome, "injected");
        outcome
    }

    /// Gets what is open at a descriptor for the tracer too, as long as the handler runs.
    fn fetch(&self, descriptor: u64) -> Option<RawFd> {
        let tgid = self.worker.tracees.get(&self.stop.tid())?.tgid;
        let process = sys::descriptor::open_task(tgid).ok()?;
        let open = sys::descriptor::take(&process, descriptor as RawFd).ok()?;
        let number = open.as_raw_fd();
        self.fetched.borrow_mut().push(open);
        Some(number)
    }

    fn note<T>(&mut self, outcome: Traced<T>) -> Result<T, Errno> {
        outcome.map_err(|lost| {
            self.lost = Some(lost);
            Errno::ESRCH
        })
    }
}

/// A name in a directory.
fn below(directory: &CStr, name: &[u8]) -> Option<CString> {
    CString::new([directory.to_bytes(), b"/", name].concat()).ok()
}

/// The task's scratch area: its process's part of a mapping that is made when first needed.
pub fn map_scratch(worker: &mut Worker, stop: &mut Intercepted) -> Traced<Result<u64, Errno>> {
    let tid = stop.tid();
    let abi = stop.call().abi;
    let group = |worker: &mut Worker| worker.tracees.get(&tid).map(|tracee| tracee.tgid);
    let Some(tgid) = group(worker) else { return Err(Lost::Gone) };
    let Some(memory) = worker.groups.get_mut(&tgid).map(|group| Arc::clone(group.memory(tgid))) else {
        return Err(Lost::Gone);
    };
    let base = match memory.scratch.get() {
        Some(&base) => base,
        None => {
            let below = if abi == Abi::X86_64 { MAP_32BIT } else { 0 };
            let length = (SLOTS * SCRATCH_BYTES) as u64;
            let flags = MAP_PRIVATE_ANONYMOUS | below;
            let nowhere = u64::from(u32::MAX) | if abi.word() == 8 { u64::MAX } else { 0 };
            let args = [0, length, PROT_READ_WRITE, flags, nowhere, 0];
            match Live::new(worker, stop).execute(&kernel::MMAP, args)? {
                Ok(base) => *memory.scratch.get_or_init(|| base),
                Err(errno) => return Ok(Err(errno)),
            }
        }
    };
    let slot = worker.groups.get_mut(&tgid).and_then(|group| group.scratch_at(base));
    Ok(slot.ok_or(Errno::ENOMEM))
}

impl Guest for Live<'_> {
    fn call(&self) -> &Call {
        self.stop.call()
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        if memory::read(self.stop.tid(), address, into) { Ok(()) } else { Err(Errno::EFAULT) }
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        // A path may have stood there.
        self.seen.retain(|(place, _)| match *place {
            Place::Descriptor(_) => true,
            Place::Path { path, .. } => {
                path >= address.saturating_add(bytes.len() as u64) || address >= path.saturating_add(PATH_MAX)
            }
        });
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
        if needs_identity {
            self.raise(Stage::Identity);
        }
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

    fn peers(&self) -> Option<Vec<i32>> {
        let tracer = std::process::id() as Tid;
        let own = self.worker.tracees.get(&self.stop.tid())?.tgid;
        let guardian = self.worker.shared.guardian.pid();
        let pids = match sys::process::listed() {
            Some(_) if ids_of(own).len() > ids_of(tracer).len() => return None,
            Some(pids) => pids,
            None => sys::process::probed(),
        };
        Some(pids.into_iter().filter(|pid| ![1, own, tracer, guardian].contains(pid)).collect())
    }

    fn view(&self) -> &View {
        &self.worker.shared.view
    }

    fn is_proc(&self, dev: u64) -> bool {
        let mounts = std::fs::read_to_string(format!("/proc/{}/mountinfo", self.stop.tid()));
        let number = DeviceNumber::decode(dev as u32);
        let number = format!("{}:{}", number.major, number.minor);
        mounts.unwrap_or_default().lines().any(|line| {
            let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next());
            line.split(' ').nth(2) == Some(&number) && kind == Some("proc")
        })
    }

    fn ownership(&self) -> &Ownership {
        &self.worker.shared.ownership
    }

    fn open_file(&self, descriptor: u64) -> Option<CString> {
        let path = match self.worker.shared.has_proc {
            true => format!("/proc/{}/fd/{}", self.stop.tid(), descriptor as i32),
            false => format!("/proc/self/fd/{}", self.fetch(descriptor)?),
        };
        CString::new(path).ok()
    }

    fn sight(&mut self, look: &Look<'_>) -> Option<Result<[u8; Statx::SIZE], Errno>> {
        let tid = self.stop.tid();
        let standing = &mut self.worker.tracees.get_mut(&tid)?.standing;
        let shared = &self.worker.shared;
        let outcome = shared.sights.look(tid, standing, look)?;
        Some(outcome.map(|(bytes, inode)| {
            let by_placeholder = shared.labels.read(tid, look, &bytes);
            self.stand_ins.extend(by_placeholder.as_ref().map(|_| look.place));
            let (bytes, inode) = by_placeholder.unwrap_or((bytes, Some(inode)));
            self.seen.retain(|(place, _)| *place != look.place);
            self.seen.extend(inode.map(|inode| (look.place, inode)));
            bytes
        }))
    }

    fn seen(&self, place: Place) -> Option<CString> {
        let (_, inode) = self.seen.iter().find(|(seen, _)| *seen == place)?;
        CString::new(format!("/proc/self/fd/{}", inode.as_raw_fd())).ok()
    }

    fn moved(&mut self) {
        self.worker.shared.sights.moved();
    }

    fn observe(&self, descriptor: u64, name: &[u8]) -> Result<Statx, Errno> {
        let shared = &self.worker.shared;
        let open = self.open_file(descriptor).ok_or(Errno::ENOSYS)?;
        let (path, follow) = match name {
            [] => (open.clone(), true),
            name => (below(&open, name).ok_or(Errno::ENOSYS)?, false),
        };
        let found = match files::describe(&path, follow) {
            // Without any /proc there are no paths of the tracer's own.
            Err(sys::Errno::ENOENT) if files::describe(&open, true).is_err() => return Err(Errno::ENOSYS),
            found => Statx::parse(&found.map_err(|errno| Errno(errno as i32))?),
        };
        let kernel = Kernel { uid: found.uid, gid: found.gid, mode: found.mode };
        shared.ownership.meet(&found, &shared.view);
        if found.mode & S_IFMT == S_IFREG {
            shared.ownership.recall(&path, Identity::of(&found), found.ctime, kernel);
        }
        Ok(found)
    }

    fn is_nodev(&self, descriptor: u64) -> bool {
        let path = self.open_file(descriptor);
        path.is_some_and(|path| sys::process::is_nodev(&path).unwrap_or(false))
    }

    fn has_devices(&self, place: Place) -> Option<bool> {
        Some(!sys::process::is_nodev(&self.seen(place)?).ok()?)
    }

    fn real_device(&self, device: Device) -> Result<&'static CStr, Errno> {
        devices::name(device)
    }

    fn label(&self, descriptor: u64) -> Option<u8> {
        self.worker.shared.labels.of(self.stop.tid(), &self.open_file(descriptor)?)
    }

    fn stick(&mut self, descriptor: u64, label: u8) {
        if let Some(open) = self.open_file(descriptor) {
            self.worker.shared.labels.stick(self.stop.tid(), &open, descriptor as i32, label);
        }
    }

    fn stands_in(&self, place: Place) -> bool {
        self.stand_ins.contains(&place)
    }

    fn send_devices(&mut self, socket: u64) -> Result<(), Errno> {
        devices::send(self.stop.tid(), socket as i32).map_err(|errno| Errno(errno as i32))
    }

    fn inject(&mut self, call: &'static KernelCall, args: [u64; 6]) -> SysResult {
        self.seen.clear();
        let outcome = self.execute(call, args);
        self.note(outcome)?
    }

    fn scratch(&mut self) -> Result<u64, Errno> {
        let outcome = map_scratch(self.worker, self.stop);
        self.note(outcome)?
    }

    fn sandboxed(&self) -> bool {
        self.worker.is_sandboxed(self.stop.tid())
    }

    fn set_sandboxed(&mut self) {
        let tgid = self.worker.tracees.get(&self.stop.tid()).map(|tracee| tracee.tgid);
        if let Some(group) = tgid.and_then(|tgid| self.worker.groups.get_mut(&tgid)) {
            group.sandboxed = true;
        }
    }

    fn raise_all(&mut self) {
        let stages = Stages::ALL.minus(Stage::Devices.only()).minus(Stage::Reading.only());
        let outcome = self.worker.raise_here(self.stop, stages);
        let _ = self.note(outcome);
    }

    fn raise_for_all(&mut self, stage: Stage) {
        let outcome = self.worker.raise_for_all(self.stop, stage);
        let _ = self.note(outcome);
    }

    fn raise(&mut self, stage: Stage) {
        let outcome = match stage {
            Stage::Base => Ok(()),
            Stage::Identity | Stage::Reading => self.worker.raise_here(self.stop, stage.only()),
            Stage::Ownership | Stage::Removal | Stage::Devices => self.worker.raise_for_all(self.stop, stage),
        };
        let _ = self.note(outcome);
    }
}

/// A task's ids in the pid namespaces that it is in, from remainroot's own inwards.
fn ids_of(tid: Tid) -> Vec<Tid> {
    let status = std::fs::read_to_string(format!("/proc/{tid}/status")).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("NSpid:")).unwrap_or_default();
    line.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Whether a task that is `depth` namespaces deep, as `own` is, or deeper, is there known by `id`.
fn is_known_as(task: Tid, id: Tid, own: Tid, depth: usize) -> bool {
    let namespace = |tid: Tid| std::fs::read_link(format!("/proc/{tid}/ns/pid")).ok();
    let ids = ids_of(task);
    ids.get(depth - 1) == Some(&id) && (ids.len() > depth || namespace(task) == namespace(own))
}
