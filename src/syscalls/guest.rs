//! The stopped task as a handler sees it.

use std::ffi::CStr;
use std::ffi::CString;
use std::ops::Range;
use std::sync::Arc;

use super::Stage;
use super::fsconfig::Planned;
use super::inode::Place;
use super::layers::Layers;
use super::limits::{Limits, Pair};
use super::mounted::{Listed, Mounted};
use crate::abi::stat::Statx;
use crate::abi::{Call, Errno, KernelCall, SysResult};
use crate::cred::{Credentials, Uid, View};
use crate::ownership::{Device, Ownership};

/// One task stopped at a syscall.
///
/// If the task is killed meanwhile every method that reaches it fails with `ESRCH`; the handler then
/// returns anything, since its verdict is dropped.
pub trait Guest {
    /// The call as the guest made it.
    fn call(&self) -> &Call;

    /// Fills `into` from the guest's memory at `address`.
    ///
    /// # Errors
    /// `EFAULT` when not all of it can be read.
    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno>;

    /// Writes exactly `bytes` to the guest's memory at `address`.
    ///
    /// # Errors
    /// `EFAULT` when not all of it can be written; a part may have been.
    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno>;

    /// The calling task's credentials.
    fn credentials(&self) -> Arc<Credentials>;

    /// Gives the calling task new credentials, and raises [`Stage::Identity`] for its process if
    /// they differ from what the kernel reports.
    fn commit(&mut self, new: Credentials);

    /// The credentials of another traced task, by the id the guest knows it by; 0 is the caller.
    fn credentials_of(&self, tid: i32) -> Option<Arc<Credentials>>;

    /// Every process that kill(2) with −1 names, but the tracer's own.
    fn peers(&self) -> Peers;

    /// The kernel's `RLIMIT_NPROC` of the task that the guest knows by this id, 0 for its own.
    ///
    /// # Errors
    /// `ESRCH`; `EPERM`.
    fn task_limit(&self, whose: i32) -> Result<Pair, Errno>;

    /// Sets it.
    ///
    /// # Errors
    /// The same.
    fn set_task_limit(&mut self, whose: i32, pair: Pair) -> Result<(), Errno>;

    /// Raises a stage for the process of the task that the guest knows by this id, not its own: no later call of its escapes.
    fn raise_in(&mut self, whose: i32, stage: Stage);

    /// Notes whether the task has become a user who had too many tasks already (`PF_NPROC_EXCEEDED`).
    fn note_excess(&mut self, exceeds: bool);

    /// Whether it has.
    fn exceeds(&self) -> bool;

    /// The limits that were set in this run.
    fn limits(&self) -> &Limits;

    /// Whether a user who is not root has so many tasks.
    fn has_tasks(&self, uid: Uid, count: u64) -> bool;

    /// How the kernel's ids are shown.
    fn view(&self) -> &View;

    /// Whether the filesystem with this device number is procfs.
    fn is_proc(&self, dev: u64) -> bool;

    /// The facts about inodes.
    fn ownership(&self) -> &Ownership;

    /// A path by which the tracer itself reaches the file that a descriptor of the task's stands for, whatever
    /// root the task has; `None` where the tracer has no such path.
    fn open_file(&self, descriptor: u64) -> Option<CString>;

    /// Looks at an inode as statx(2) executed by the guest would, from outside. `None` where that cannot be
    /// told to be the same: then the guest has to be made to look.
    fn sight(&mut self, look: &Look<'_>) -> Option<Result<[u8; Statx::SIZE], Errno>>;

    /// A path by which the tracer itself reaches the inode at `place`; only right after
    /// [`sight`](Guest::sight) has seen it.
    fn seen(&self, place: Place) -> Option<CString>;

    /// Makes the kernel's share of a call on the inode at `place`, which has just been [seen](Guest::sight), in the guest's
    /// place; `None` where the guest must make it itself.
    fn make(&mut self, place: Place, share: Share) -> Option<Result<(), Errno>>;

    /// Whether the handler must leave it at what it has done, which is nothing, and will be called again when the task is
    /// at a stop.
    fn must_stop(&mut self) -> bool;

    /// Goes on when the affinity of the task that the guest knows by this id, 0 for its own, is that one's own.
    fn wait_for_affinity(&mut self, whose: i32);

    /// Some task may have got another root directory, mount namespace or user namespace.
    fn moved(&mut self);

    /// The task is about to mount a filesystem of this type.
    fn mounting(&mut self, kind: &[u8]);

    /// What the task's process has asked of the filesystem whose context is open at a descriptor; the default where
    /// that is none.
    fn planned(&self, descriptor: u64) -> Planned;

    /// Notes that.
    fn plan(&mut self, descriptor: u64, planned: Planned);

    /// The filesystems that were mounted with ids which the namespace lacks.
    fn mounted(&self) -> &Mounted;

    /// The layers of overlays that were mounted inside.
    fn layers(&self) -> &Layers;

    /// Whether a mount that the task sees is of the filesystem with this device number.
    fn is_mounted(&self, dev: u64) -> bool;

    /// The device number, as in `mountinfo`, of the filesystem that is open at a descriptor, or of that which was mounted last
    /// in the task's namespace.
    fn filesystem(&self, open: Option<u64>) -> Option<String>;

    /// The list of mounts that is open at a descriptor, if it is one.
    fn listed(&self, descriptor: u64) -> Option<Listed>;

    /// Sends a file that says `text`, for the list of mounts at a descriptor, through a socket of the guest's.
    ///
    /// # Errors
    /// Where that cannot be.
    fn send_list(&mut self, socket: u64, descriptor: u64, text: &str) -> Result<(), Errno>;

    /// The path of the list of mounts in whose place such a file is open.
    fn copied_list(&self, descriptor: u64) -> Option<Vec<u8>>;

    /// The task sees other mounts now.
    fn sees_other_mounts(&mut self);

    /// The task is about to unmount something, or has: in between nothing that it might be is held open.
    fn unmounting(&mut self, begins: bool);

    /// What the tracer itself sees at an open descriptor, or in the directory that is open there under
    /// `name`, which has one component and is not followed; after what earlier runs left on it was read.
    /// The guest does nothing for it.
    ///
    /// # Errors
    /// `ENOENT` where there is nothing; else the tracer cannot look.
    fn observe(&self, descriptor: u64, name: &[u8]) -> Result<Statx, Errno>;

    /// Whether no device can be opened on the mount of what is open at a descriptor.
    fn is_nodev(&self, descriptor: u64) -> bool;

    /// Whether devices open on the filesystem of the inode that was just seen at `place`; `None` where that
    /// cannot be told.
    fn has_devices(&self, place: Place) -> Option<bool>;

    /// The name of a device in the container's own `/dev`.
    ///
    /// # Errors
    /// What opening it gives: `EPERM` where there is such a device and the container has it not, `ENXIO`
    /// and its like where there is none.
    fn real_device(&self, device: Device) -> Result<&'static CStr, Errno>;

    /// A label for the placeholder that is open at a descriptor, where there is one left.
    fn label(&self, descriptor: u64) -> Option<u8>;

    /// Puts a placeholder's label on the device that was opened by it, if that can bear one: from then on
    /// [`sight`](Guest::sight) finds the placeholder there.
    fn stick(&mut self, descriptor: u64, label: u8);

    /// Whether what is open at `place` is the container's device, and what was just [seen](Guest::sight)
    /// there the placeholder by which it was opened: the kernel's own call would change the device.
    fn stands_in(&self, place: Place) -> bool;

    /// Sends a descriptor of the container's own `/dev` through a socket of the guest's.
    ///
    /// # Errors
    /// Where that cannot be.
    fn send_devices(&mut self, socket: u64) -> Result<(), Errno>;

    /// What is to be read of what is open at a descriptor, if that is on a procfs.
    fn proc_text(&self, descriptor: u64) -> Option<String>;

    /// Sends a descriptor of a file with this text through a socket of the guest's.
    ///
    /// # Errors
    /// Where that cannot be.
    fn send_text(&mut self, socket: u64, text: &[u8]) -> Result<(), Errno>;

    /// Makes the task execute one more syscall, which must not block, and gives its result. The
    /// guest's registers are untouched afterwards. `ENOSYS` where the ABI lacks the call. What a filter of
    /// the task's own does not let pass, the tracer does in its place where it can.
    ///
    /// # Errors
    /// The errno the kernel gave it.
    fn inject(&mut self, call: &'static KernelCall, args: [u64; 6]) -> SysResult;

    /// Address of [`SCRATCH_BYTES`] of the guest's memory that injected calls may use as they like;
    /// only while this handler runs.
    ///
    /// # Errors
    /// `ENOMEM` when none can be had.
    fn scratch(&mut self) -> Result<u64, Errno>;

    /// Whether seccomp filters of the task's own let it execute a call. Where they do not, to [inject](Guest::inject) it
    /// has the tracer make it from outside, or is `EPERM`.
    fn may(&mut self, call: &'static KernelCall, args: [u64; 6]) -> bool;

    /// Whether the task has seccomp filters of its own.
    fn filtered(&self) -> bool;

    /// Where the memory is by which the task answers itself, if it has it.
    fn own_memory(&mut self) -> Option<Range<u64>>;

    /// Has that memory go, for good, and whatever leads there; whether it could.
    fn make_room(&mut self) -> bool;

    /// What was rewritten for that of the text in this range of addresses stands there again as it did, but for what the task
    /// has written there since.
    fn put_back(&mut self, text: &Range<u64>);

    /// From now on nothing is answered in the task's address space, and nobody there may make a call that is not its own.
    fn answer_from_outside(&mut self);

    /// The task is about to load this program as a filter of its own. Raises for its process, and completes before the
    /// handler's verdict takes effect, what could not be raised once it has.
    fn expect_filter(&mut self, program: &[u8]);

    /// The task has loaded this program, for all threads of its process or for itself; `None` where it cannot be read any
    /// more. Its process and what that forks have it from now on.
    fn add_filter(&mut self, program: Option<&[u8]>, for_all_threads: bool);

    /// Raises a stage for every process. Complete before the handler's verdict takes effect.
    fn raise_for_all(&mut self, stage: Stage);

    /// Raises a stage: [`Stage::Identity`], [`Stage::Reading`] and [`Stage::Limits`] for this process, [`Stage::Ownership`],
    /// [`Stage::Removal`] and [`Stage::Devices`] for all. Complete before the handler's verdict takes effect.
    fn raise(&mut self, stage: Stage);
}

/// The processes that kill(2) with −1 names.
#[derive(Debug, Clone, Default)]
pub struct Peers {
    /// Whether the tracer's are among those that the kernel would signal.
    pub with_tracer: bool,
    /// The others.
    pub processes: Vec<Peer>,
}

/// A process beside the guest's own.
#[derive(Debug, Clone)]
pub struct Peer {
    /// The id that the guest knows it by.
    pub id: i32,
    /// The credentials of its first thread.
    pub credentials: Arc<Credentials>,
    /// Whether it is in the guest's session.
    pub in_session: bool,
}

/// What the kernel does about an inode where something else is remembered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Share {
    /// A chown to these ids: it moves ctime, takes set-id bits and tells who watches.
    Owner([u32; 2]),
    /// A chmod.
    Mode(u16),
}

/// Which inode is looked at, and how: arguments of statx(2).
#[derive(Debug, Clone, Copy)]
pub struct Look<'a> {
    /// What is looked at, as the handler names it.
    pub place: Place,
    /// The directory that a relative path starts from.
    pub directory: u64,
    /// The path; `None` for the descriptor itself.
    pub path: Option<&'a [u8]>,
    /// Whether a final symbolic link is followed.
    pub follow: bool,
    /// `AT_STATX_*` flags.
    pub flags: u32,
    /// Fields asked for.
    pub mask: u32,
    /// Whether the inode is opened and then asked, so that it is the one that [`Guest::seen`] gives.
    pub holds: bool,
}

/// Size of [`Guest::scratch`] in bytes; a path (`PATH_MAX`) and a `struct statx` fit side by side.
pub const SCRATCH_BYTES: usize = 8192;
