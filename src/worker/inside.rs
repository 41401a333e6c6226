//! Answers inside a process: a look that costs little more than the kernel's own.
//!
//! A process that goes on looking from one call site has a page of code and the slate mapped (`sys/inside.s`,
//! `ownership/slate.rs`), and its site rewritten: the five bytes of `mov eax, NUMBER` before `syscall` become a jump to a
//! thunk. The code makes the kernel's very call, marked so that no filter stops it, in the task's own root, directory,
//! namespaces and descriptors, and puts over the answer what the slate knows of the inode, by its number and change time;
//! where the slate does not know, and the inode bears no attribute, there is nothing to put there. In all doubt it goes
//! to the site's own `syscall`, which stands where it stood, and a listener answers. What sets an owner, a mode or a time is done
//! there as well where nothing but an owner stands on the inode, and an owner is written to it.
//!
//! - The worker makes the task make a call of which its listener is told, who puts the file into it
//!   (`SECCOMP_IOCTL_NOTIF_ADDFD`), map that and close it. A new image of a process that has a listener does so before
//!   anything else, if its program is known to look (`arrival`).
//! - Only text of a file is rewritten, mapped to be executed and not written, of a process with one thread, in which
//!   nobody can be in the middle of the site: by its worker at a stop, or by the listener that it waits for. A task that
//!   returns from the site's call, or makes it again after a signal, finds what it left.
//! - Which sites a file has is remembered: the first look from one has all that look rewritten there (`book`). Where such
//!   code was mapped before the loader began, that maps libraries by the code, which rewrites those sites itself, and
//!   those of the other calls that this program was seen to make: each page that is written to costs it a copy.
//! - fork(2) copies all of it, exec leaves it behind. A process that gives itself a seccomp filter makes its own calls
//!   from then on: a word in the code page says so.

use std::ops::Range;
use std::sync::Arc;

use super::areas;
use super::book::MMAP;
use super::guest::Live;
use super::site::{BEFORE, Calling, SITE, Site, jump};
use super::tracee::Memory;
use super::{Count, Shared, Worker};
use crate::abi::{Abi, BRING, window};
use crate::cred::{Credentials, Gid, Uid};
use crate::ownership::Inode;
use crate::ptrace::{Intercepted, Traced, memory};
use crate::sys::inside::{self, PAGE};
use crate::sys::memory::Mapping;
use crate::sys::{self, Errno, Tid};
use crate::syscalls::{Stage, Stages, kernel};

/// A program that has looked so often is better off if it has answered itself from its start.
pub(super) const OFTEN: u32 = 2;
/// After so many calls that stopped or waited for a listener it pays to map the file, and to rewrite a site.
pub(super) const MANY: u32 = 12;
/// Where in the first page the thunks stand, and how long they are.
const THUNKS: usize = inside::THUNKS;
pub(super) const THUNK: usize = 32;

const PROT_READ: u64 = 1;
const PROT_WRITE: u64 = 2;
const PROT_EXEC: u64 = 4;
const MAP_SHARED: u64 = 1;
const MAP_PRIVATE: u64 = 2;
const MAP_FIXED: u64 = 0x10;
const MAP_FIXED_NOREPLACE: u64 = 0x10_0000;

/// Where in an address space the file is, or was to be: the page with words says whether it is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Quarters {
    /// That page's address.
    pub base: u64,
}

impl Quarters {
    /// Those of a file whose beginning is at this address.
    pub fn of(start: u64) -> Quarters {
        Quarters { base: start + inside::BEGIN as u64 }
    }

    /// All addresses of the file.
    pub(super) fn range(self) -> Range<u64> {
        let start = self.base - inside::BEGIN as u64;
        start..start + inside::Inside::LENGTH as u64
    }

    /// What stood at the sites in a range of text before they were rewritten stands there again, but for the bytes that are
    /// somebody else's since.
    pub(super) fn put_back(self, tid: Tid, text: &Range<u64>) {
        let Some(page) = self.first_page(tid) else { return };
        restore(tid, page.sites().filter(|(_, site)| text.contains(&site.address)));
    }

    /// The same of all, and of a loader's, whose thunks stand behind its text (`arrival`).
    fn put_all_back(self, tid: Tid) {
        self.put_back(tid, &(0..u64::MAX));
        for text in sys::memory::texts(tid) {
            let (mut last, page) = ([0; PAGE], text.end - PAGE as u64);
            if memory::read(tid, page, &mut last) {
                let thunks = last.chunks_exact(THUNK).zip((page..).step_by(THUNK));
                restore(tid, thunks.filter_map(|(bytes, at)| Some((at, self.led_by(at, bytes)?))));
            }
        }
    }

    /// The site that a thunk with these bytes leads from, if it is one.
    fn led_by(self, at: u64, bytes: &[u8]) -> Option<Site> {
        let word = |at: usize| Some(u64::from_le_bytes(*bytes.get(at..)?.first_chunk()?));
        let (address, number) = (word(12)?.checked_sub(SITE - 2)?, word(20)? as u32);
        let site = Site { address, number, before: [0; BEFORE] };
        let [(_, thunk), _] = site.lead(self, at)?;
        bytes.starts_with(&thunk).then_some(site)
    }

    /// The first page, if it is there.
    fn first_page(self, tid: Tid) -> Option<FirstPage> {
        let mut bytes = vec![0; PAGE];
        let known = memory::read(tid, self.base, &mut bytes);
        let page = FirstPage { base: self.base, bytes };
        (known && page.word(inside::MAGIC_AT) == inside::MAGIC).then_some(page)
    }

    /// Sets a word of the first page, if it is there.
    fn set(self, tid: Tid, at: u64, value: u64) {
        if sys::ptrace::peek(tid, self.base + inside::MAGIC_AT) == Ok(inside::MAGIC) {
            let _ = sys::ptrace::poke(tid, self.base + at, value);
        }
    }
}

/// What stood at sites that have such thunks stands there again, but for the bytes that are somebody else's since.
fn restore(tid: Tid, sites: impl Iterator<Item = (u64, Site)>) {
    let writes = sites.filter_map(|(thunk, site)| {
        let mut stands = [0; SITE as usize];
        let there = jump(site.address, 0, thunk)?;
        let is_read = memory::read(tid, site.address, &mut stands);
        let pairs = stands.into_iter().zip(there).zip(site.bytes());
        let bytes: Vec<u8> = pairs.map(|((is, was), before)| if is == was { before } else { is }).collect();
        (is_read && !stands.starts_with(&bytes)).then_some((site.address, bytes))
    });
    let writes: Vec<(u64, Vec<u8>)> = writes.collect();
    if let Err(errno) = sys::memory::patch(tid, &writes) {
        tracing::error!(tid, ?errno, "a program's text could not be restored");
    }
}

/// The first page as it stands in a task's memory.
#[derive(Debug)]
struct FirstPage {
    base: u64,
    bytes: Vec<u8>,
}

impl FirstPage {
    fn word(&self, at: u64) -> u64 {
        let bytes = self.bytes.get(at as usize..).and_then(<[u8]>::first_chunk);
        bytes.map_or(0, |&bytes| u64::from_le_bytes(bytes))
    }

    fn set_word(&mut self, at: u64, value: u64) {
        if let Some(bytes) = self.bytes.get_mut(at as usize..).and_then(<[u8]>::first_chunk_mut) {
            *bytes = value.to_le_bytes();
        }
    }

    /// Where a thunk can stand, if there is room.
    fn free(&self) -> Option<usize> {
        (THUNKS..=PAGE - THUNK).step_by(THUNK).find(|&at| self.word(at as u64) == 0)
    }

    /// The sites that have thunks here, behind the addresses of those.
    fn sites(&self) -> impl Iterator<Item = (u64, Site)> {
        let taken =
            (THUNKS as u64..=(PAGE - THUNK) as u64).step_by(THUNK).take_while(|&at| self.word(at) != 0);
        taken.filter_map(|at| {
            let address = self.word(at + 12).checked_sub(SITE - 2)?;
            let site = Site { address, number: self.word(at + 20) as u32, before: [0; BEFORE] };
            Some((self.base + at, site))
        })
    }

    /// Puts down a thunk of a site's own: what is to be written where to have that jump there. `None` where there is no room,
    /// or it is too far.
    fn lead(&mut self, site: Site) -> Option<(u64, Vec<u8>)> {
        let at = self.free()?;
        let [(_, thunk), there] = site.lead(Quarters { base: self.base }, self.base + at as u64)?;
        self.bytes.get_mut(at..at + thunk.len())?.copy_from_slice(&thunk);
        Some(there)
    }

    /// What is to be written where of it: all but what says that it is closed.
    fn changed(&self) -> (u64, Vec<u8>) {
        let words = inside::OTHERS as usize..self.free().unwrap_or(PAGE);
        (self.base + inside::OTHERS, self.bytes.get(words).unwrap_or_default().to_vec())
    }
}

/// Whether a process is to answer itself from now on that has stopped so often for what it could.
fn is_due(stays: u32) -> bool {
    stays >= MANY && (stays / MANY).is_power_of_two() && stays.is_multiple_of(MANY)
}

/// Rewrites the site by which a task is `calling`, and others of that file which look, in a process that can be at none of
/// them, and stays where it is as long as `stays` says so. How many.
///
/// # Errors
/// `ENOENT` where the file is not mapped; `EINVAL` where there is no site; what
/// [`sys::memory::patch`] gave.
pub(super) fn furnish(
    shared: &Shared,
    tid: Tid,
    (memory, program): (&Memory, Option<Inode>),
    calling: Calling,
    stays: impl Fn() -> bool,
) -> sys::Result<u64> {
    let inside = memory.inside.lock();
    let quarters = (*inside).ok_or(Errno::ENOENT)?;
    let site = Site::of(tid, calling).ok_or(Errno::EINVAL)?;
    let text = sys::memory::mapping(tid, site.address)?;
    let mut page = quarters.first_page(tid).ok_or(Errno::ENOENT)?;
    if !text.is_text() || page.word(inside::CLOSED) != 0 {
        return Err(Errno::EINVAL);
    }
    let credentials = shared.registry.get(tid);
    let credentials = credentials.as_deref().unwrap_or(&shared.view.initial);
    let other = shared.needs_identity(credentials);
    page.set_word(inside::OTHERS, u64::from(other));
    for (at, id) in (inside::IDS..).step_by(8).zip(ids(Some(credentials))) {
        page.set_word(at, id);
    }
    shared.book.learn(&text, site);
    let sites = shared.book.sites(tid, &text, site.number);
    if let Some(slate) = shared.ownership.slate() {
        let others = sites.iter().filter(|site| site.number != MMAP);
        let places =
            others.filter_map(|site| Some((u32::try_from(text.offset_of(site.address)).ok()?, site.before)));
        places.for_each(|(place, before)| slate.note_library(text.file.1, place, before));
    }
    if let Some(program) = program {
        shared.book.note_wanted(program, site.number);
    }
    let jumps: Vec<(u64, Vec<u8>)> = sites.into_iter().filter_map(|site| page.lead(site)).collect();
    if !stays() {
        return Err(Errno::ESRCH);
    }
    let count = jumps.len() as u64;
    let writes: Vec<(u64, Vec<u8>)> = std::iter::once(page.changed()).chain(jumps).collect();
    sys::memory::patch(tid, &writes)?;
    drop(inside);
    Ok(count)
}

/// The words that tell the code whose ids it may answer with, if they are anybody's.
fn ids(credentials: Option<&Credentials>) -> [u64; 3] {
    let pair = |uid: Uid, gid: Gid| u64::from(uid.0) | u64::from(gid.0) << 32;
    credentials.map_or([0; 3], |known| [1, pair(known.uid, known.gid), pair(known.euid, known.egid)])
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
            let group = self.groups.get_mut(&tgid)?;
            group.stays = group.stays.saturating_add(1);
            Some((group.stays, group.known_inside().is_some(), group.image))
        };
        let parent = parent.filter(|&parent| counted(parent).is_some_and(|(stays, ..)| is_due(stays)));
        let Some((stays, lives, image)) = counted(tgid) else { return Ok(()) };
        if stays == OFTEN
            && let Some(image) = image
        {
            self.shared.book.note_looker(image);
        }
        // Where the file is mapped a site costs as much as a stop.
        let own = is_due(stays) || lives;
        if parent.is_none() && !own {
            return Ok(());
        }
        let calling = (stop.entry_address()?, call.number);
        // The site is the maker's too if nobody has called exec since: else there is none.
        if let Some(tracee) = parent.and_then(|parent| self.tracees.get_mut(&parent)) {
            tracee.moves_in = Some(calling);
        }
        if own { self.move_in(stop, calling) } else { Ok(()) }
    }

    /// Has the process of the task at this entry answer itself what it calls for by this instruction, if that can be.
    pub(super) fn move_in(&mut self, stop: &mut Intercepted, calling: Calling) -> Traced<()> {
        let (tid, abi) = (stop.tid(), stop.call().abi);
        if abi != Abi::X86_64 || !self.is_alone(tid) {
            return Ok(());
        }
        let Some(site) = Site::of(tid, calling) else {
            // Perhaps it was rewritten, and steps aside.
            let is_elsewhere = |it: &Quarters| !it.range().contains(&calling.0);
            if let Some(quarters) = self.quarters(tid).filter(is_elsewhere)
                && areas::are_lacking(tid, quarters)
            {
                areas::give_back(tid, quarters);
            }
            return Ok(());
        };
        let Some(text) = sys::memory::mapping(tid, site.address).ok().filter(|text| text.is_text()) else {
            return Ok(());
        };
        if self.quarters(tid).and_then(|quarters| quarters.first_page(tid)).is_none() {
            let mapped = self.map_inside(stop, site, text)?;
            self.set_quarters(tid, mapped);
        }
        let tgid = self.tracees.get(&tid).map(|tracee| tracee.tgid);
        let group = tgid.and_then(|tgid| self.groups.get_mut(&tgid).map(|group| (tgid, group)));
        let known = group.map(|(tgid, group)| (group.image, Arc::clone(group.memory(tgid))));
        let Some((program, memory)) = known else { return Ok(()) };
        match furnish(&self.shared, tid, (&memory, program), calling, || true) {
            Ok(count) => self.shared.counters.add_some(Count::Site, count),
            Err(errno) => tracing::debug!(tid, ?site, ?errno, "not rewritten"),
        }
        Ok(())
    }

    /// Whether nobody but this task runs in its address space, and no filter of its own may mind.
    fn is_alone(&mut self, tid: Tid) -> bool {
        let unlimited = sys::process::may_map_without_limit(tid);
        let group = self.tracees.get(&tid).and_then(|tracee| self.groups.get(&tracee.tgid));
        unlimited
            && group.is_some_and(|group| {
                group.threads == 1 && group.is_open() && group.has_own_memory() && !group.is_crowded()
            })
    }

    /// Makes the task map the file.
    fn map_inside(&mut self, stop: &mut Intercepted, site: Site, text: Mapping) -> Traced<Option<Quarters>> {
        if self.shared.ownership.open_slate(&self.shared.view).is_none() || !self.get_listener(stop)? {
            return Ok(None);
        }
        // Both are told of one who looks and has dropped.
        let looks = self.shared.common_stages().contains(Stage::Ownership);
        let stages = self.tracees.get(&stop.tid()).map_or(Stages::NONE, |tracee| tracee.stages);
        let call = match looks {
            _ if stages.is_first() => &kernel::MUNMAP,
            true => &kernel::NEWFSTATAT,
            false => &kernel::GETUID,
        };
        let brought = Live::new(self, stop).execute_told(call, [0, 0, 0, 0, 0, BRING.into()])?;
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
        // Where nothing is, and nothing else: a filter knows it by its address.
        let (start, length) = (window::place(text.range.start), inside::Inside::LENGTH as u64);
        let quarters = Quarters::of(start);
        let reaches = |&to: &u64| jump(site.address, 0, to).is_some();
        if ![start, start + length].iter().all(reaches) {
            return Ok(None);
        }
        let mut live = Live::new(self, stop);
        let args = [start, length, PROT_READ, MAP_SHARED | MAP_FIXED_NOREPLACE, fd, 0];
        match live.execute(&kernel::MMAP, args)? {
            Ok(at) if at == start => {}
            Ok(at) => {
                let _ = live.execute(&kernel::MUNMAP, [at, length, 0, 0, 0, 0])?; // an old kernel
                return Ok(None);
            }
            Err(_) => return Ok(None),
        }
        let own = |from: usize, to: usize, protection: u64| {
            let flags = MAP_PRIVATE | MAP_FIXED;
            [start + from as u64, (to - from) as u64, protection, flags, fd, from as u64]
        };
        let parts = [
            own(0, inside::WRITTEN, PROT_READ | PROT_WRITE | PROT_EXEC),
            own(inside::WRITTEN, inside::BEGIN + inside::CODE, PROT_READ | PROT_EXEC),
        ];
        for part in parts {
            if live.execute(&kernel::MMAP, part)?.is_err() {
                let _ = live.execute(&kernel::MUNMAP, [start, length, 0, 0, 0, 0])?;
                return Ok(None);
            }
        }
        Ok(Some(quarters))
    }

    pub(super) fn quarters(&mut self, tid: Tid) -> Option<Quarters> {
        let tgid = self.tracees.get(&tid)?.tgid;
        *self.groups.get_mut(&tgid)?.memory(tgid).inside.lock()
    }

    pub(super) fn set_quarters(&mut self, tid: Tid, quarters: Option<Quarters>) {
        let Some(tgid) = self.tracees.get(&tid).map(|tracee| tracee.tgid) else { return };
        if let Some(group) = self.groups.get_mut(&tgid) {
            *group.memory(tgid).inside.lock() = quarters;
        }
    }

    /// Nothing is answered inside a task's address space any more.
    pub(super) fn move_out(&mut self, tid: Tid) {
        if let Some(quarters) = self.quarters(tid) {
            quarters.set(tid, inside::CLOSED, 1);
        }
        let Some(tgid) = self.tracees.get(&tid).map(|tracee| tracee.tgid) else { return };
        if let Some(group) = self.groups.get_mut(&tgid) {
            group.memory(tgid).close();
        }
    }

    /// Takes away all that answers inside the process of the task at this entry, which makes its calls itself from then on;
    /// whether nobody goes back there.
    pub(super) fn make_room(&mut self, stop: &mut Intercepted) -> Traced<bool> {
        let tid = stop.tid();
        let Some(quarters) = self.quarters(tid) else { return Ok(true) };
        if quarters.first_page(tid).is_none() {
            return Ok(true);
        }
        let is_there = quarters.range().contains(&stop.entry_address()?);
        if is_there || !self.is_alone(tid) || !areas::give_back(tid, quarters) {
            return Ok(false);
        }
        self.move_out(tid);
        quarters.put_all_back(tid);
        let Range { start, end } = quarters.range();
        let gone = Live::new(self, stop).execute(&kernel::MUNMAP, [start, end - start, 0, 0, 0, 0])?;
        self.set_quarters(tid, None);
        Ok(gone.is_ok())
    }

    /// Lets the code know whether all who run it are root. To be called at a stop, before a task runs with other
    /// credentials.
    pub(super) fn tell_inside(&mut self, tid: Tid) {
        let Some(quarters) = self.quarters(tid) else { return };
        let credentials = self.tracees.get(&tid).map(|tracee| Arc::clone(&tracee.credentials));
        let other = credentials.as_ref().is_some_and(|it| self.shared.needs_identity(it));
        // Of other threads and of who shares the memory nothing is known here: they may be others.
        let alone = self.is_alone(tid);
        if other || alone {
            quarters.set(tid, inside::OTHERS, u64::from(other));
        }
        let [known, real, effective] = ids(credentials.as_deref().filter(|_| alone));
        quarters.set(tid, inside::IDS, 0);
        if known != 0 {
            quarters.set(tid, inside::IDS + 8, real);
            quarters.set(tid, inside::IDS + 16, effective);
            quarters.set(tid, inside::IDS, known);
        }
    }
}
