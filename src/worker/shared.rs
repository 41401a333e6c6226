//! What all workers of a run share.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::book::Book;
use super::labels::Labels;
use super::listener::Listeners;
use super::sight::Sights;
use super::tally::Tally;
use super::{Counters, Demand, Guardian, Pool};
use crate::cred::{Credentials, View};
use crate::journal::Journal;
use crate::ownership::Ownership;
use crate::ptrace;
use crate::registry::Registry;
use crate::sys::Tid;
use crate::syscalls::layers::Layers;
use crate::syscalls::limits::Limits;
use crate::syscalls::mounted::Mounted;
use crate::syscalls::{Planned, Stage, Stages};

/// One run's state; every lock in it is a leaf but `raising`, which only `raise` takes.
#[derive(Debug)]
pub struct Shared {
    /// How the kernel's ids are shown.
    pub view: View,
    /// Who has which credentials.
    pub registry: Registry,
    /// How many tasks users may have.
    pub limits: Limits,
    /// Who owns which inode.
    pub ownership: Ownership,
    /// Looking at inodes from outside.
    pub(super) sights: Sights,
    /// Who answers looks without a stop.
    pub(super) listeners: Listeners,
    /// Where programs look.
    pub(super) book: Book,
    /// By which placeholders devices were opened.
    pub(super) labels: Labels,
    /// What processes have asked of filesystems that they have not mounted yet, by descriptor.
    pub(super) planned: Mutex<HashMap<(Tid, i32), Planned>>,
    /// Filesystems that were mounted with ids which the namespace lacks.
    pub(super) mounted: Mounted,
    /// The layers of overlays that were mounted inside.
    pub(super) layers: Layers,
    /// Idle workers.
    pub pool: Pool,
    /// Numbers for the summary.
    pub counters: Counters,
    /// Who looks after parked tasks.
    pub guardian: Guardian,
    /// What was answered, where a summary was asked for.
    pub tally: Option<Tally>,
    /// Where it is told what happens, where that was asked for.
    pub journal: Option<Journal>,
    /// How processes at large are found and known, where there are.
    pub(super) demand: Option<Demand>,
    /// Whether the supervisor has something to do before the first process's end is seen.
    pub watch_first: bool,
    /// Whether `/proc` knows the tracees by the ids that the tracer knows them by.
    pub(super) has_proc: bool,
    /// Whether the ownership stage is up, for every process.
    ownership_raised: AtomicBool,
    /// Whether the removal stage is.
    removal_raised: AtomicBool,
    /// Whether the devices stage is.
    devices_raised: AtomicBool,
    /// Whether the reading stage is, for every process.
    reading_raised: AtomicBool,
    /// Held while a stage is being raised for every process.
    pub(super) raising: Mutex<()>,
}

impl Shared {
    /// The state at the start of a run. Where the kernel's own ids are not the guest's
    /// ([`View::lacks_privilege`]) every stage is up from the start; where earlier runs may have left facts,
    /// the ownership stage.
    pub fn new(
        view: View,
        ownership: Ownership,
        pool: Pool,
        guardian: Guardian,
        summary: bool,
        watch_first: bool,
        demand: Option<Demand>,
    ) -> Shared {
        let lacks = view.lacks_privilege();
        let looks = lacks || view.is_foreign && demand.is_none();
        Shared {
            view,
            registry: Registry::default(),
            ownership_raised: AtomicBool::new(looks || ownership.evidence() || ownership.records_all()),
            removal_raised: AtomicBool::new(lacks || ownership.saves()),
            devices_raised: AtomicBool::new(ownership.devices().any()),
            reading_raised: AtomicBool::new(lacks || ownership.devices().read()),
            limits: Limits::default(),
            ownership,
            sights: Sights::new(has_proc()),
            listeners: Listeners::default(),
            book: Book::default(),
            labels: Labels::default(),
            planned: Mutex::default(),
            mounted: Mounted::default(),
            layers: Layers::default(),
            pool,
            guardian,
            counters: Counters::default(),
            tally: summary.then(Tally::default),
            journal: None,
            demand,
            watch_first,
            has_proc: has_proc(),
            raising: Mutex::new(()),
        }
    }

    /// The stages that a process starts with: those of the filter its first process installed.
    pub fn first_stages(&self) -> Stages {
        let own = if self.view.lacks_privilege() { Stage::Identity.only() } else { Stages::NONE };
        let told = self.demand.as_ref().map_or(Stages::NONE, Demand::stages);
        self.common_stages().union(own).union(told)
    }

    /// The stages that every process must have by now.
    pub fn common_stages(&self) -> Stages {
        let is_up = |stage| self.raised_for_all(stage).is_some_and(|raised| raised.load(Ordering::SeqCst));
        let common = Stage::ALL.into_iter().filter(|&stage| stage == Stage::Base || is_up(stage));
        common.fold(Stages::NONE, |stages, stage| stages.union(stage.only()))
    }

    /// Whether a stage that is every process's or nobody's is up; `None` for the others.
    pub(super) fn raised_for_all(&self, stage: Stage) -> Option<&AtomicBool> {
        match stage {
            Stage::Base
            | Stage::Identity
            | Stage::Notify
            | Stage::NotifyIdentity
            | Stage::NotifyIds
            | Stage::Limits
            | Stage::NotifyBase
            | Stage::NotifyForeign
            | Stage::Watched => None,
            Stage::Ownership => Some(&self.ownership_raised),
            Stage::Removal => Some(&self.removal_raised),
            Stage::Devices => Some(&self.devices_raised),
            Stage::Reading => Some(&self.reading_raised),
        }
    }

    /// Whether the kernel's own answers about a task's credentials would be wrong: what the identity
    /// stage answers, the ids, the sets, the bounding set and the securebits. Groups, ambient and
    /// `no_new_privs` are answered from the start.
    pub fn needs_identity(&self, credentials: &Credentials) -> bool {
        let initial = &self.view.initial;
        self.view.lacks_privilege()
            || (initial.uid, initial.euid, initial.suid, initial.fsuid)
                != (credentials.uid, credentials.euid, credentials.suid, credentials.fsuid)
            || (initial.gid, initial.egid, initial.sgid, initial.fsgid)
                != (credentials.gid, credentials.egid, credentials.sgid, credentials.fsgid)
            || (initial.permitted, initial.effective, initial.inheritable)
                != (credentials.permitted, credentials.effective, credentials.inheritable)
            || (initial.bounding, initial.securebits) != (credentials.bounding, credentials.securebits)
    }

    /// Options for the first process, whose end is seen in time if need be.
    pub(super) fn options_of_the_first(&self) -> i32 {
        ptrace::OPTIONS_WITH_EXEC | if self.watch_first { libc::PTRACE_O_TRACEEXIT } else { 0 }
    }
}

/// Whether `/proc` is there, and is that of our own pid namespace.
pub fn has_proc() -> bool {
    let own = std::fs::read_link("/proc/self");
    own.is_ok_and(|own| own.to_str() == Some(&std::process::id().to_string()))
}
