//! Answers inside a process: a look that costs little more than the kernel's own.
//!
//! A process that goes on looking from one call site has a page of code and the slate mapped (`sys/inside.s`,
//! `ownership/slate.rs`), and its site rewritten: the five bytes of `mov eax, NUMBER` before `syscall` become a jump to a
//! thunk. The code makes the kernel's very call, marked so that no filter stops it, in the task's own root, directory,
//! namespaces and descriptors, and puts over the answer what the slate knows of the inode, by its number and change time;
//! where the slate does not know, and the inode bears no attribute, there is nothing to put there. In all doubt it goes
//! to the site's own `syscall`, which stands where it stood, and a listener answers.
//!
//! - The worker makes the task make a call of which its listener is told, who puts the file into it
//!   (`SECCOMP_IOCTL_NOTIF_ADDFD`), map that and close it.
//! - Only text of a file is rewritten, mapped to be executed and not written, of a process with one thread, in which
//!   nobody can be in the middle of the site. A task that returns from the site's call, or makes it again after a signal,
//!   finds what it left.
//! - fork(2) copies all of it, exec leaves it behind. A process that gives itself a seccomp filter makes its own calls
//!   from then on: a word in the code page says so.

use super::guest::Live;
use super::tracee::Tracee;
use super::{Count, Worker};
use crate::abi::Abi;
use crate::ptrace::{Intercepted, Traced, memory};
use crate::sys::inside::{self, PAGE};
use crate::sys::memory::Mapping;
use crate::sys::{self, Tid};
use crate::syscalls::kernel;

/// After so many calls that stopped or waited for a listener it pays to map the file, and to rewrite a site.
pub(super) const MANY: u32 = 12;
/// What a call has in its sixth argument that asks the listener for the file.
pub(super) const BRING: u64 = 0xFFFF_F5EF;
/// Bytes of a site: `mov eax, NUMBER; syscall`.
const SITE: u64 = 7;
/// Where in the code page the thunks stand, and how long they are.
const THUNKS: u64 = inside::THUNKS as u64;
const THUNK: u64 = 32;
/// So many sites are rewritten in a process at most.
const MOST: u64 = (PAGE as u64 - THUNKS) / THUNK;

const PROT_READ: u64 = 1;
const PROT_EXEC: u64 = 4;
const MAP_SHARED: u64 = 1;
const MAP_PRIVATE: u64 = 2;
const MAP_FIXED: u64 = 0x10;
const MAP_32BIT: u64 = 0x40;

/// What is inside an address space.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarters {
    /// Where the code page is.
    base: u64,
    /// How many thunks there are.
    sites: u64,
}

/// A call site.
#[derive(Debug, Clone, Copy)]
struct Site {
    address: u64,
    number: u32,
}

impl Site {
    /// The one whose `syscall` is at `entry`, if it has the form that can be rewritten, of a call that is answered inside.
    fn of(tid: Tid, entry: u64) -> Option<Site> {
        let address = entry.checked_sub(SITE - 2)?;
        let mut bytes = [0; SITE as usize];
        if !memory::read(tid, address, &mut bytes) {
            return None;
        }
        let [0xB8, number @ .., 0x0F, 0x05] = bytes else { return None };
        let number = u32::from_le_bytes(number);
        inside::entry(number).map(|_| Site { address, number })
    }
}

/// Whether the call by the instruction at `entry` can be answered inside.
pub(super) fn is_site(tid: Tid, entry: u64) -> bool {
    Site::of(tid, entry).is_some()
}

/// Whether a process is to answer itself from now on that has stopped so often for what it could.
fn is_due(stays: u32) -> bool {
    stays >= MANY && (stays / MANY).is_power_of_two() && stays.is_multiple_of(MANY)
}

impl Worker {
    /// Counts a stop for a call that could be answered inside; where there were many, has it and those that its process, or
    /// the one that made that, makes from the same site answered there.
    pub(super) fn stayed(&mut self, stop: &mut Intercepted) -> Traced<()> {
        let (tid, call) = (stop.tid(), *stop.call());
        if call.abi != Abi::X86_64 || inside::entry(call.number).is_none() {
            return Ok(());
        }
        let Some(tgid) = self.tracees.get(&tid).map(|tracee| tracee.tgid) else { return Ok(()) };
        let parent = self.groups.get(&tgid).and_then(|group| group.parent);
        let mut counted = |tgid: Tid| {
            let Some(group) = self.groups.get_mut(&tgid) else { return false };
            group.stays = group.stays.saturating_add(1);
            is_due(group.stays)
        };
        let (parent, own) = (parent.filter(|&parent| counted(parent)), counted(tgid));
        if parent.is_none() && !own {
            return Ok(());
        }
        let entry = stop.entry_address()?;
        // The site is the maker's too if nobody has called exec since: else there is none.
        if let Some(tracee) = parent.and_then(|parent| self.tracees.get_mut(&parent)) {
            tracee.moves_in = Some(entry);
        }
        if own { self.move_in(stop, entry) } else { Ok(()) }
    }

    /// Has the process of the task at this entry answer itself what it calls for by the instruction at `entry`, if that
    /// can be.
    pub(super) fn move_in(&mut self, stop: &mut Intercepted, entry: u64) -> Traced<()> {
        let (tid, abi) = (stop.tid(), stop.call().abi);
        let site = if abi == Abi::X86_64 && self.is_alone(tid) { Site::of(tid, entry) } else { None };
        let Some(site) = site else { return Ok(()) };
        let Some(text) = sys::memory::mapping(tid, site.address).ok().filter(|text| text.is_text()) else {
            return Ok(());
        };
        let quarters = match self.quarters(tid) {
            None => self.map_inside(stop, site, text)?,
            known => known,
        };
        let Some(quarters) = quarters else { return Ok(()) };
        let rewritten = rewrite(tid, site, quarters)
            .inspect_err(|errno| tracing::debug!(tid, ?site, ?errno, "not rewritten"))
            .unwrap_or(false);
        self.shared.counters.add_some(Count::Site, u64::from(rewritten));
        self.set_quarters(tid, Quarters { sites: quarters.sites + u64::from(rewritten), ..quarters });
        self.tell_inside(tid);
        Ok(())
    }

    /// Whether nobody but this task runs in its address space, and no filter of its own may mind.
    fn is_alone(&mut self, tid: Tid) -> bool {
        let unlimited = sys::process::may_map_without_limit(tid);
        let group = self.tracees.get(&tid).and_then(|tracee| self.groups.get(&tracee.tgid));
        unlimited
            && group.is_some_and(|group| group.threads == 1 && !group.sandboxed && group.has_own_memory())
    }

    /// Makes the task map the file.
    fn map_inside(&mut self, stop: &mut Intercepted, site: Site, text: Mapping) -> Traced<Option<Quarters>> {
        if self.shared.ownership.open_slate(&self.shared.view).is_none() || !self.get_listener(stop)? {
            return Ok(None);
        }
        let brought = Live::new(self, stop).execute_told(&kernel::NEWFSTATAT, [0, 0, 0, 0, 0, BRING])?;
        let Ok(fd) = brought else { return Ok(None) };
        let mapped = self.map_brought(stop, fd, site, text)?;
        let _ = Live::new(self, stop).execute(&kernel::CLOSE, [fd, 0, 0, 0, 0, 0])?;
        Ok(mapped)
    }

    fn map_brought(
        &mut self,
        stop: &mut Intercepted,
        fd: u64,
        site: Site,
        text: Mapping,
    ) -> Traced<Option<Quarters>> {
        const LOW: u64 = 1 << 31;
        const LIBRARIES: u64 = 0x7000_0000_0000;
        const APART: u64 = 64 << 20;
        let length = inside::Inside::LENGTH as u64;
        // A jump reaches two gigabytes.
        let (near, low) = match text.start {
            ..LOW => (0, MAP_32BIT),
            LIBRARIES.. => (0, 0),
            start => ((start - length - APART) & !(PAGE as u64 - 1), 0),
        };
        let mut live = Live::new(self, stop);
        let args = [near, length, PROT_READ, MAP_SHARED | low, fd, 0];
        let Ok(base) = live.execute(&kernel::MMAP, args)? else { return Ok(None) };
        let code = [base, inside::CODE as u64, PROT_READ | PROT_EXEC, MAP_PRIVATE | MAP_FIXED, fd, 0];
        let reaches =
            [base, base + inside::CODE as u64].iter().all(|&to| jump(site.address, 0, to).is_some());
        if !reaches || live.execute(&kernel::MMAP, code)?.is_err() {
            let _ = live.execute(&kernel::MUNMAP, [base, length, 0, 0, 0, 0])?;
            return Ok(None);
        }
        Ok(Some(Quarters { base, sites: 0 }))
    }

    fn quarters(&mut self, tid: Tid) -> Option<Quarters> {
        let tgid = self.tracees.get(&tid)?.tgid;
        *self.groups.get_mut(&tgid)?.memory(tgid).inside.lock()
    }

    fn set_quarters(&mut self, tid: Tid, quarters: Quarters) {
        let Some(tgid) = self.tracees.get(&tid).map(|tracee| tracee.tgid) else { return };
        if let Some(group) = self.groups.get_mut(&tgid) {
            *group.memory(tgid).inside.lock() = Some(quarters);
        }
    }

    /// Nothing is answered inside a task's address space any more.
    pub(super) fn move_out(&mut self, tid: Tid) {
        if let Some(Quarters { base, .. }) = self.quarters(tid) {
            let _ = sys::ptrace::poke(tid, base + inside::CLOSED, 1);
        }
    }

    /// Lets the code know whether all who run it are root. To be called at a stop, before a task runs with other
    /// credentials.
    pub(super) fn tell_inside(&mut self, tid: Tid) {
        let Some(Quarters { base, .. }) = self.quarters(tid) else { return };
        let is_other = |it: &Tracee| self.shared.needs_identity(&it.credentials);
        let other = self.tracees.get(&tid).is_some_and(is_other);
        // Of other threads and of who shares the memory nothing is known here: they may be others.
        if other || self.is_alone(tid) {
            // Where the code is not mapped any more nobody runs it.
            let _ = sys::ptrace::poke(tid, base + inside::OTHERS, u64::from(other));
        }
    }
}

/// Has a site jump to a thunk of its own; whether there was room.
fn rewrite(tid: Tid, site: Site, quarters: Quarters) -> sys::Result<bool> {
    let thunk = quarters.base + THUNKS + quarters.sites * THUNK;
    let entry = inside::entry(site.number).map(|entry| quarters.base + entry as u64);
    let (Some(there), Some(on)) =
        (jump(site.address, 0, thunk), entry.and_then(|entry| jump(thunk, 7, entry)))
    else {
        return Ok(false);
    };
    if quarters.sites >= MOST {
        return Ok(false);
    }
    // lea rcx, [rip + 5]; jmp entry; where the syscall stands; its number.
    let mut bytes = [0; THUNK as usize];
    let parts: [&[u8]; 4] = [
        &[0x48, 0x8D, 0x0D, 5, 0, 0, 0],
        &on,
        &(site.address + SITE - 2).to_le_bytes(),
        &site.number.to_le_bytes(),
    ];
    for (byte, &value) in bytes.iter_mut().zip(parts.iter().copied().flatten()) {
        *byte = value;
    }
    for (place, word) in (thunk..).step_by(8).zip(bytes.as_chunks::<8>().0) {
        sys::ptrace::poke(tid, place, u64::from_le_bytes(*word))?;
    }
    let mut word = sys::ptrace::peek(tid, site.address)?.to_le_bytes();
    for (byte, &value) in word.iter_mut().zip(&there) {
        *byte = value;
    }
    sys::ptrace::poke(tid, site.address, u64::from_le_bytes(word))?;
    Ok(true)
}

/// The five bytes of a jump, which stand `offset` bytes behind `from`, to `to`; `None` where that is too far.
fn jump(from: u64, offset: u64, to: u64) -> Option<[u8; 5]> {
    let next = from.wrapping_add(offset + 5);
    let distance = i32::try_from(to.wrapping_sub(next).cast_signed()).ok()?;
    let [a, b, c, d] = distance.to_le_bytes();
    Some([0xE9, a, b, c, d])
}
