//! A new image of a program that looks often maps what answers it before anything else.
//!
//! Most programs look a dozen times before they do anything, most of that in their loader, and end soon after. At its exec
//! stop, which is there anyway, such a task is sent to a few instructions in the zeros behind its loader's text, which take
//! the file from the tracer, map it and go on where the image begins (`sys/inside.s`); the loader's sites are rewritten at
//! once, by thunks there. A listener is not asked for the file: that wakes the task on another CPU, which costs more than all
//! the rest. Where there is no room it begins as it would have; where it cannot map the file, as in another pid namespace,
//! it stops, all is undone, and neither it nor what it makes tries again.

use std::sync::Arc;

use super::Worker;
use super::book::{HEAD, Loader};
use super::inside::{Quarters, THUNK};
use super::site::Site;
use crate::abi::window;
use crate::ownership::Inode;
use crate::ptrace::{EventStop, Intercepted, Traced};
use crate::sys::inside::{self, Arrival, PAGE};
use crate::sys::{self, Tid};
use crate::syscalls::{Stage, Stages};

/// Where the kernel puts libraries and loaders.
const LIBRARIES: u64 = 0x7000_0000_0000;
/// So many thunks stand behind the loader's text at most.
const MOST: usize = 8;

/// A task that has not arrived yet, as far as is known.
#[derive(Debug, Clone)]
pub struct Arriving {
    /// Where it says that it cannot, and by which call.
    failed: u64,
    says: u32,
    /// What was rewritten.
    sites: Vec<Site>,
}

/// A call that always stops a task with these stages. Where the listener is told of what stops else from the start, what it
/// is told of else stops; what no listener is told of always does.
fn stopping(stages: Stages) -> u32 {
    const NEWFSTATAT: u32 = 262;
    const CAPGET: u32 = 125;
    const BIND: u32 = 49;
    match () {
        () if stages.contains(Stage::NotifyForeign) => BIND,
        () if stages.contains(Stage::NotifyBase) => NEWFSTATAT,
        () => CAPGET,
    }
}

/// What is to be written where.
struct Landing {
    quarters: Quarters,
    /// Where the instructions stand, with thunks behind them.
    place: u64,
    arrival: Arrival,
    sites: Vec<Site>,
}

impl Landing {
    /// All that is to be written, what is jumped to first.
    fn writes(&self) -> Vec<(u64, Vec<u8>)> {
        let thunks = self.place + self.arrival.bytes.len().next_multiple_of(THUNK) as u64;
        let leads = self.sites.iter().zip((thunks..).step_by(THUNK));
        let leads = leads.filter_map(|(site, thunk)| site.lead(self.quarters, thunk));
        let (mut bytes, mut writes) = (self.arrival.bytes.clone(), Vec::new());
        for [(thunk, leads_on), there] in leads {
            bytes.resize((thunk - self.place) as usize, 0);
            bytes.extend(leads_on);
            writes.push(there);
        }
        writes.insert(0, (self.place, bytes));
        writes
    }
}

impl Worker {
    /// Has the task at its exec stop, of a new image of this program, map the file, if it is to answer itself.
    pub(super) fn arrive(&mut self, stop: &EventStop, program: Option<Inode>) -> Traced<()> {
        let tid = stop.tid();
        let program = program.filter(|&program| self.shared.book.is_looker(program));
        let Some(program) = program.filter(|_| self.may_arrive(tid)) else { return Ok(()) };
        let registers = stop.registers()?;
        if registers.cs != 0x33 {
            return Ok(()); // a 32-bit program
        }
        let Some(landing) = self.landing(tid, program, registers.rip) else { return Ok(()) };
        if sys::memory::patch(tid, &landing.writes()).is_err() {
            self.leave_sites(tid, &landing.sites);
            return Ok(());
        }
        let Landing { quarters, place, arrival, sites } = landing;
        stop.go_to(place + arrival.start)?;
        self.set_quarters(tid, Some(quarters));
        if let Some(tracee) = self.tracees.get_mut(&tid) {
            let says = stopping(tracee.stages);
            tracee.arriving = Some(Arriving { failed: place + arrival.failed, says, sites });
        }
        Ok(())
    }

    /// What is to be written to have a program arrive whose image begins at `first`, if there is room for it. What its
    /// loader was when it last did holds as long as that begins with the same head, and saves a look at its mappings.
    fn landing(&self, tid: Tid, program: Inode, first: u64) -> Option<Landing> {
        let (shared, book) = (&self.shared, &self.shared.book);
        let lies_alike = |known: &Arc<Loader>| first.wrapping_sub(known.first).is_multiple_of(PAGE as u64);
        let known = book.loader(program).filter(lies_alike);
        let text = match &known {
            Some(known) => known.text.shifted(first.wrapping_sub(known.first)),
            None => sys::memory::mapping(tid, first).ok()?,
        };
        if !text.is_text() || text.range.start < LIBRARIES {
            return None;
        }
        book.search(tid, &text);
        let tracee = self.tracees.get(&tid)?;
        let (says, is_other) = (stopping(tracee.stages), shared.needs_identity(&tracee.credentials));
        let place = window::place(text.range.start);
        let quarters = Quarters::of(place);
        let (file, wanted) = (shared.ownership.slate()?.inside(), book.wanted(program));
        let arrival = inside::arrival(file, [place, first], wanted, is_other, says);
        let sites: Vec<Site> = book.sites(tid, &text, says).into_iter().take(MOST).collect();
        let length = arrival.bytes.len().next_multiple_of(THUNK) + sites.len() * THUNK;
        let place = text.range.end - length as u64;
        let (mut head, mut stands) = ([0; HEAD], vec![1; length]);
        let begins = text.range.start.wrapping_sub(text.offset);
        let is_read = sys::memory::read_both(tid, [begins, place], [&mut head, &mut stands]);
        match known {
            Some(known) if !is_read || known.head != head => {
                book.forget_loader(program);
                return None;
            }
            Some(_) => {}
            None => book.note_loader(program, Loader { text, first, head }),
        }
        let is_free = is_read && first < place && stands.iter().all(|&byte| byte == 0);
        is_free.then_some(Landing { quarters, place, arrival, sites })
    }

    fn may_arrive(&self, tid: Tid) -> bool {
        let Some(tracee) = self.tracees.get(&tid) else { return false };
        let looks = tracee.stages.contains(Stage::Ownership);
        looks
            && self.groups.get(&tracee.tgid).is_some_and(|group| !group.filtered && !group.secluded)
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
