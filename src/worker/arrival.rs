//! A new image of a program that looks often maps what answers it before anything else.
//!
//! Most programs look a dozen times before they do anything, most of that in their loader, and end soon after. At its exec
//! stop, which is there anyway, such a task is sent to a few instructions in the zeros behind its loader's text, which take
//! the file from the tracer, map it and go on where the image begins (`sys/inside.s`); the loader's sites are rewritten at
//! once, by thunks there. A listener is not asked for the file: that wakes the task on another CPU, which costs more than all
//! the rest. Where there is no room it begins as it would have; where it cannot map the file, as in another pid namespace,
//! it stops, all is undone, and neither it nor what it makes tries again.

use super::Worker;
use super::inside::{Quarters, Site, THUNK};
use crate::ownership::Inode;
use crate::ptrace::{EventStop, Intercepted, Traced, memory};
use crate::sys::inside;
use crate::sys::{self, Tid};
use crate::syscalls::{Stage, Stages};

/// Where the kernel puts libraries and loaders.
const LIBRARIES: u64 = 0x7000_0000_0000;
/// How far from the loader the file is mapped: beyond what most load, within the reach of a jump, and often below the same
/// page of page tables.
const APART: u64 = 256 << 20;
/// The file's first pages are mapped by one page fault where they are aligned to this (`fault_around_bytes`).
const ALIGNED: u64 = 64 << 10;
/// So many thunks stand behind the loader's text at most.
const MOST: usize = 8;

/// A task that has not arrived yet, as far as is known.
#[derive(Debug)]
pub struct Arriving {
    /// Where it says that it cannot, and by which call.
    failed: u64,
    says: u32,
    /// What was rewritten.
    sites: Vec<Site>,
}

impl Worker {
    /// Has the task at its exec stop, of a new image of this program, map the file, if it is to answer itself.
    pub(super) fn arrive(&mut self, stop: &EventStop, program: Option<Inode>) -> Traced<()> {
        let tid = stop.tid();
        if !program.is_some_and(|program| self.shared.book.is_looker(program)) || !self.may_arrive(tid) {
            return Ok(());
        }
        let registers = stop.registers()?;
        if registers.cs != 0x33 {
            return Ok(()); // a 32-bit program
        }
        let first = registers.rip;
        let text = sys::memory::mapping(tid, first).ok();
        let Some(text) = text.filter(|text| text.is_text() && text.range.start >= LIBRARIES) else {
            return Ok(());
        };
        let quarters = Quarters::at((text.range.start - APART) & !(ALIGNED - 1));
        let Some(slate) = self.shared.ownership.slate() else { return Ok(()) };
        let says = self.says(tid);
        self.shared.book.search(tid, &text);
        let arrival = inside::arrival(slate.inside(), quarters.base, first, says);
        let sites: Vec<Site> = self.shared.book.sites(tid, &text, says).into_iter().take(MOST).collect();
        let length = arrival.bytes.len().next_multiple_of(THUNK) + sites.len() * THUNK;
        let place = text.range.end - length as u64;
        let mut stands = vec![1; length];
        let is_free = memory::read(tid, place, &mut stands) && stands.iter().all(|&byte| byte == 0);
        if !is_free || first >= place {
            return Ok(());
        }
        let thunks = (place + (length - sites.len() * THUNK) as u64..).step_by(THUNK);
        let leads = sites.iter().zip(thunks).filter_map(|(site, thunk)| site.lead(quarters, thunk));
        let (mut bytes, mut writes) = (arrival.bytes, Vec::new());
        for [(thunk, leads_on), there] in leads {
            bytes.resize((thunk - place) as usize, 0);
            bytes.extend(leads_on);
            writes.push(there);
        }
        writes.insert(0, (place, bytes));
        if sys::memory::patch(tid, &writes).is_err() {
            self.leave_sites(tid, &sites);
            return Ok(());
        }
        stop.go_to(place + arrival.start)?;
        self.set_quarters(tid, Some(quarters));
        if let Some(tracee) = self.tracees.get_mut(&tid) {
            tracee.arriving = Some(Arriving { failed: place + arrival.failed, says, sites });
        }
        Ok(())
    }

    /// A call that always stops such a task. Where the listener is told of what stops else from the start, what it is told
    /// of else stops.
    fn says(&self, tid: Tid) -> u32 {
        const NEWFSTATAT: u32 = 262;
        const CAPGET: u32 = 125;
        let stages = self.tracees.get(&tid).map_or(Stages::NONE, |tracee| tracee.stages);
        if stages.contains(Stage::NotifyBase) { NEWFSTATAT } else { CAPGET }
    }

    fn may_arrive(&self, tid: Tid) -> bool {
        let Some(tracee) = self.tracees.get(&tid) else { return false };
        let looks = tracee.stages.contains(Stage::Ownership);
        looks
            && self.groups.get(&tracee.tgid).is_some_and(|group| !group.sandboxed && !group.secluded)
            && self.shared.ownership.open_slate(&self.shared.view).is_some()
            && sys::process::may_map_without_limit(tid)
    }

    /// Whether the call at hand says that the task could not map the file; then all is as if it were not to.
    pub(super) fn has_failed_to_arrive(&mut self, stop: &mut Intercepted) -> Traced<bool> {
        let tid = stop.tid();
        let Some(tracee) = self.tracees.get_mut(&tid) else { return Ok(false) };
        let number = stop.call().number;
        let arriving = tracee.arriving.take_if(|arriving| arriving.says == number);
        let Some(Arriving { failed, sites, .. }) = arriving else { return Ok(false) };
        if stop.entry_address()? != failed {
            return Ok(false);
        }
        self.leave_sites(tid, &sites);
        self.set_quarters(tid, None);
        let tgid = self.tracees.get(&tid).map(|tracee| tracee.tgid);
        if let Some(group) = tgid.and_then(|tgid| self.groups.get_mut(&tgid)) {
            group.secluded = true;
        }
        Ok(true)
    }

    /// Sites are as they were.
    fn leave_sites(&self, tid: Tid, sites: &[Site]) {
        let writes: Vec<(u64, Vec<u8>)> = sites.iter().map(|site| (site.address, site.bytes())).collect();
        if let Err(errno) = sys::memory::patch(tid, &writes) {
            tracing::error!(tid, ?errno, "a program's text could not be restored");
        }
    }
}
