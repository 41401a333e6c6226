//! The [`Guest`] that a handler sees of a task which waits for a listener: it can be looked at, and its memory read and
//! written, but it cannot be made to do anything.
//!
//! A handler that needs more goes *beyond*: nothing of what it says counts then, and it is called again once the task
//! is at a stop (`answer`). So only handlers may be called with it that change nothing until then but the memory they fill,
//! or what comes to the same when it is done once more ([`Tried`](crate::syscalls::Tried)).

use std::cell::Cell;
use std::ffi::{CStr, CString};
use std::ops::Range;
use std::os::fd::BorrowedFd;
use std::sync::Arc;

use super::eyes::Eyes;
use super::inside::Quarters;
use super::peers::{self, is_itself};
use super::{Demand, Shared};
use crate::abi::stat::Statx;
use crate::abi::{Call, Errno, KernelCall, SysResult};
use crate::cred::{Credentials, Uid, View};
use crate::ownership::{Device, Ownership};
use crate::ptrace;
use crate::sys::{self, Tid};
use crate::syscalls::inode::Place;
use crate::syscalls::layers::Layers;
use crate::syscalls::limits::{Limits, Pair};
use crate::syscalls::mounted::{Listed, Mounted};
use crate::syscalls::{Guest, Look, Peers, Planned, Share, Stage};

/// See the module.
pub struct Notified<'a> {
    shared: &'a Shared,
    listener: BorrowedFd<'a>,
    id: u64,
    tid: Tid,
    call: Call,
    eyes: Eyes,
    beyond: Cell<bool>,
    foreign: bool,
}

impl<'a> Notified<'a> {
    /// The guest of notification `id`, which `tid` waits for.
    pub fn new(shared: &'a Shared, listener: BorrowedFd<'a>, id: u64, tid: Tid, call: Call) -> Notified<'a> {
        let (eyes, beyond) = (Eyes::of(tid, true), Cell::new(false));
        Notified { shared, listener, id, tid, call, eyes, beyond, foreign: false }
    }

    /// Whether the handler has asked for what takes a stop.
    pub fn is_beyond(&self) -> bool {
        self.beyond.get()
    }

    /// Whether something was looked at that is of an id that the namespace lacks.
    pub fn has_seen_foreign(&self) -> bool {
        self.foreign
    }

    /// What takes a stop.
    fn beyond<T>(&self, instead: T) -> T {
        self.beyond.set(true);
        instead
    }

    /// Where the memory is by which it answers itself: of one at large only its mappings tell.
    fn quarters(&self) -> Option<Quarters> {
        match self.shared.listeners.task(self.tid) {
            Some(task) => *task.memory.upgrade()?.inside.lock(),
            None => Some(Quarters::of(self.shared.ownership.slate()?.inside().address_in(self.tid)?)),
        }
    }

    /// Whether memory was read or written as a whole.
    fn transferred(&self, count: sys::Result<usize>, length: usize) -> Result<(), Errno> {
        match count {
            Ok(count) if count == length => Ok(()),
            Ok(_) | Err(sys::Errno::EFAULT) => Err(Errno::EFAULT),
            Err(_) => self.beyond(Err(Errno::ESRCH)),
        }
    }
}

impl Guest for Notified<'_> {
    fn call(&self) -> &Call {
        &self.call
    }

    fn read(&mut self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        let length = into.len();
        self.transferred(sys::memory::read(self.tid, address, into), length)
    }

    fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        self.eyes.overwritten(address, bytes.len());
        // A task that was killed has no id any more, or another has it.
        if !sys::seccomp::waits(self.listener, self.id) {
            return self.beyond(Err(Errno::ESRCH));
        }
        self.transferred(sys::memory::write(self.tid, address, bytes), bytes.len())
    }

    fn credentials(&self) -> Arc<Credentials> {
        let published = self.shared.registry.get(self.tid);
        published.unwrap_or_else(|| Arc::new(self.shared.view.initial.clone()))
    }

    fn commit(&mut self, _new: Credentials) {
        self.beyond(());
    }

    fn credentials_of(&self, tid: i32) -> Option<Arc<Credentials>> {
        if tid == 0 { Some(self.credentials()) } else { self.beyond(None) }
    }

    fn peers(&self) -> Peers {
        self.beyond(Peers::default())
    }

    fn task_limit(&self, whose: i32) -> Result<Pair, Errno> {
        peers::limit(self.tid, whose)
    }

    fn set_task_limit(&mut self, whose: i32, pair: Pair) -> Result<(), Errno> {
        peers::set_limit(self.tid, whose, pair)
    }

    fn raise_in(&mut self, _whose: i32, _stage: Stage) {
        self.beyond(());
    }

    fn note_excess(&mut self, exceeds: bool) {
        self.shared.limits.note_excess(self.tid, exceeds);
    }

    fn exceeds(&self) -> bool {
        self.shared.limits.exceeds(self.tid)
    }

    fn limits(&self) -> &Limits {
        &self.shared.limits
    }

    fn has_tasks(&self, uid: Uid, count: u64) -> bool {
        peers::has_tasks(self.shared, uid, count)
    }

    fn view(&self) -> &View {
        &self.shared.view
    }

    fn is_proc(&self, dev: u64) -> bool {
        self.eyes.is_proc(dev)
    }

    fn ownership(&self) -> &Ownership {
        &self.shared.ownership
    }

    fn open_file(&self, descriptor: u64) -> Option<CString> {
        self.eyes.open_file(self.shared, descriptor)
    }

    fn sight(&mut self, look: &Look<'_>) -> Option<Result<[u8; Statx::SIZE], Errno>> {
        let sight = self.eyes.sight(self.shared, look);
        if let Some(Ok(told)) = &sight {
            let (found, view) = (Statx::parse(told), &self.shared.view);
            self.foreign |= !(view.uids.contains(found.uid) && view.gids.contains(found.gid));
        }
        if sight.is_none() { self.beyond(None) } else { sight }
    }

    fn seen(&self, place: Place) -> Option<CString> {
        self.eyes.seen(place)
    }

    fn make(&mut self, place: Place, share: Share) -> Option<Result<(), Errno>> {
        self.eyes.make(place, share)
    }

    fn must_stop(&mut self) -> bool {
        self.beyond(true)
    }

    /// A tracee's own may be narrowed still; that of who is at large never is.
    fn wait_for_affinity(&mut self, whose: i32) {
        if self.shared.listeners.serves(self.tid) {
            self.beyond(());
        } else if !is_itself(self.tid, whose) {
            ptrace::all_stand_still();
        }
    }

    fn moved(&mut self) {
        self.beyond(());
    }

    fn mounting(&mut self, _kind: &[u8]) {
        self.beyond(());
    }

    fn planned(&self, _descriptor: u64) -> Planned {
        self.beyond(Planned::default())
    }

    fn plan(&mut self, _descriptor: u64, _planned: Planned) {
        self.beyond(());
    }

    fn mounted(&self) -> &Mounted {
        &self.shared.mounted
    }

    fn layers(&self) -> &Layers {
        &self.shared.layers
    }

    fn is_mounted(&self, dev: u64) -> bool {
        self.eyes.is_mounted(dev)
    }

    fn filesystem(&self, _open: Option<u64>) -> Option<String> {
        self.beyond(None)
    }

    fn listed(&self, _descriptor: u64) -> Option<Listed> {
        self.beyond(None)
    }

    fn send_list(&mut self, _socket: u64, _descriptor: u64, _text: &str) -> Result<(), Errno> {
        self.beyond(Err(Errno::ENOSYS))
    }

    fn copied_list(&self, _descriptor: u64) -> Option<Vec<u8>> {
        self.beyond(None)
    }

    fn sees_other_mounts(&mut self) {
        self.beyond(());
    }

    fn unmounting(&mut self, _begins: bool) {
        self.beyond(());
    }

    fn observe(&self, descriptor: u64, name: &[u8]) -> Result<Statx, Errno> {
        self.eyes.observe(self.shared, descriptor, name)
    }

    fn is_nodev(&self, descriptor: u64) -> bool {
        self.eyes.is_nodev(self.shared, descriptor)
    }

    fn has_devices(&self, place: Place) -> Option<bool> {
        self.eyes.has_devices(place)
    }

    fn real_device(&self, _device: Device) -> Result<&'static CStr, Errno> {
        self.beyond(Err(Errno::ENXIO))
    }

    fn label(&self, _descriptor: u64) -> Option<u8> {
        self.beyond(None)
    }

    fn stick(&mut self, _descriptor: u64, _label: u8) {
        self.beyond(());
    }

    fn stands_in(&self, place: Place) -> bool {
        self.eyes.stands_in(place)
    }

    fn send_devices(&mut self, _socket: u64) -> Result<(), Errno> {
        self.beyond(Err(Errno::ENOSYS))
    }

    fn proc_text(&self, _descriptor: u64) -> Option<String> {
        self.beyond(None)
    }

    fn send_text(&mut self, _socket: u64, _text: &[u8]) -> Result<(), Errno> {
        self.beyond(Err(Errno::ENOSYS))
    }

    fn inject(&mut self, _call: &'static KernelCall, _args: [u64; 6]) -> SysResult {
        self.beyond(Err(Errno::ENOSYS))
    }

    fn scratch(&mut self) -> Result<u64, Errno> {
        self.beyond(Err(Errno::ENOMEM))
    }

    fn may(&mut self, _call: &'static KernelCall, _args: [u64; 6]) -> bool {
        self.beyond(true)
    }

    /// Who is at large has none: to load one takes a stop, and whoever has one is traced from then on.
    fn filtered(&self) -> bool {
        let task = self.shared.listeners.task(self.tid);
        if task.is_some_and(|task| task.filters.any()) { self.beyond(true) } else { false }
    }

    fn expect_filter(&mut self, _program: &[u8]) {
        self.beyond(());
    }

    fn own_memory(&mut self) -> Option<Range<u64>> {
        self.quarters().map(Quarters::range)
    }

    fn make_room(&mut self) -> bool {
        self.beyond(true)
    }

    fn put_back(&mut self, text: &Range<u64>) {
        if let Some(quarters) = self.quarters() {
            quarters.put_back(self.tid, text);
        }
    }

    fn answer_from_outside(&mut self) {
        self.beyond(());
    }

    fn add_filter(&mut self, _program: Option<&[u8]>, _for_all_threads: bool) {
        self.beyond(());
    }

    fn raise_for_all(&mut self, stage: Stage) {
        self.raise(stage);
    }

    /// A stage is about to be everybody's while who is at large is still looked for.
    fn raise(&mut self, stage: Stage) {
        let is_everybodys = self.shared.demand.as_ref().is_none_or(Demand::has_gathered);
        if !is_everybodys || !self.shared.common_stages().contains(stage) {
            self.beyond(());
        }
    }
}
