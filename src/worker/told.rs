//! What workers and listeners tell the journal, where there is one.
//!
//! Nothing here waits for anything but the kernel's own lists: no inode is looked at that a tracee may serve.

use std::ffi::CString;
use std::sync::Arc;
use std::time::Instant;

use super::{Shared, Worker};
use crate::abi::stat::Statx;
use crate::abi::{Call, SysResult};
use crate::cred::Credentials;
use crate::journal::{Inode, Journal, Noted, Outcome, Way};
use crate::sys::{self, Tid, files};
use crate::syscalls::{Operation, Stage, Verdict};

/// So many processes, for people.
pub(super) fn processes(count: u64) -> String {
    if count == 1 { "1 process was".to_owned() } else { format!("{count} processes were") }
}

/// What it means that a stage is up for every process.
pub(super) fn of_everybody(stage: Stage) -> &'static str {
    match stage {
        Stage::Ownership => {
            "the first file has an owner of its own: from now on every process is traced, and looks are answered"
        }
        Stage::Devices => {
            "there may be devices, or files that are frozen: from now on directories that are listed, and files that \
             are opened to be written, are looked at"
        }
        Stage::Reading => {
            "a device can be read, or a list of mounts must say other ids: from now on files that are opened to be \
             read are looked at"
        }
        Stage::Removal => "from now on names that are taken away are looked at",
        _ => "one more filter is on every process",
    }
}

/// What it means that one is up for one process.
fn of_one(stage: Stage) -> Option<&'static str> {
    match stage {
        Stage::Identity => Some("is somebody else for good: a filter has its questions about that answered"),
        Stage::Limits => Some("limits how many tasks its user may have: a filter has births looked at"),
        _ => None,
    }
}

impl Shared {
    /// The journal, where calls are told.
    fn journal_of_calls(&self) -> Option<&Journal> {
        self.journal.as_ref().filter(|journal| journal.tells_calls())
    }

    /// Whether it matters how long answers take.
    pub(super) fn measures(&self) -> bool {
        self.tally.is_some() || self.journal_of_calls().is_some()
    }

    /// Whether every birth, exec and end is told.
    pub(super) fn tells_lives(&self) -> bool {
        self.journal.as_ref().is_some_and(Journal::tells_lives)
    }

    /// The run is in another mode from now on.
    pub(super) fn tell_mode(&self, sentence: impl FnOnce() -> String) {
        if let Some(journal) = &self.journal {
            journal.mode(sentence());
        }
    }

    /// What is to be told of a call that is about to be answered, by who makes it.
    pub(super) fn note_call(
        &self,
        tid: Tid,
        operation: &Operation,
        call: &Call,
        who: Option<&Arc<Credentials>>,
    ) -> Option<Box<Noted>> {
        let journal = self.journal_of_calls()?;
        let who = who.map(Arc::clone).or_else(|| self.registry.get(tid));
        let who = who.unwrap_or_else(|| Arc::new(self.view.initial.clone()));
        Some(Box::new(journal.begin(tid, operation, call, who)))
    }

    /// A listener answers a call.
    pub(super) fn tell_notified(&self, noted: Option<Box<Noted>>, verdict: Verdict) {
        let (Some(journal), Some(mut noted)) = (self.journal_of_calls(), noted) else { return };
        let since = noted.begun();
        noted.waited_since(since);
        let result = if let Verdict::Reply(result) = verdict { Some(result) } else { None };
        let tgid = sys::process::status(noted.tid(), "Tgid:").and_then(|id| id.parse().ok());
        let outcome = Outcome {
            tgid: tgid.unwrap_or(noted.tid()),
            result,
            by_kernel: result.is_none(),
            way: Way::Notification,
            after: noted.who(),
            inode: self.inode_of(&noted),
        };
        journal.end(*noted, outcome);
    }

    /// Which inode a call is about, where it changes one that no tracee can serve.
    fn inode_of(&self, noted: &Noted) -> Option<Inode> {
        let path = noted.changes().filter(|_| !self.sights.mounts().any_served())?;
        let found = Statx::parse(&files::describe(&CString::new(path).ok()?, false).ok()?);
        Some((found.dev, found.ino, found.birth))
    }
}

impl Worker {
    /// What is to be told of the call at hand.
    pub(super) fn note_call(&self, tid: Tid, operation: &Operation, call: &Call) -> Option<Box<Noted>> {
        self.shared.journal.as_ref()?;
        self.shared.note_call(tid, operation, call, self.tracees.get(&tid).map(|tracee| &tracee.credentials))
    }

    /// What is told of a verdict, now or once the kernel has run the call; that is stopped for where it is told of what the
    /// kernel does by itself.
    pub(super) fn tell_verdict(&mut self, tid: Tid, noted: Option<Box<Noted>>, verdict: Verdict) -> Verdict {
        let Some(mut noted) = noted else { return verdict };
        let (begun, wants_result) = (noted.begun(), noted.wants_result());
        noted.waited_since(begun);
        noted.left_to_kernel(matches!(verdict, Verdict::Run));
        if let Some(tracee) = self.tracees.get_mut(&tid) {
            tracee.noted = Some(noted);
        }
        match verdict {
            Verdict::Reply(result) => self.tell_result(tid, result, None),
            Verdict::Run if wants_result => return Verdict::Amend(|_, result| result),
            Verdict::Run => self.forget_call(tid),
            Verdict::Amend(_) | Verdict::Replace(..) => {}
        }
        verdict
    }

    /// What came of the call that a task was making; the tracer has made it wait since then.
    pub(super) fn tell_result(&mut self, tid: Tid, result: SysResult, since: Option<Instant>) {
        let Some(tracee) = self.tracees.get_mut(&tid) else { return };
        let Some(mut noted) = tracee.noted.take() else { return };
        let (tgid, after) = (tracee.tgid, Arc::clone(&tracee.credentials));
        if let Some(since) = since {
            noted.waited_since(since);
        }
        let by_kernel = noted.is_kernels();
        let inode = self.shared.inode_of(&noted);
        let outcome = Outcome { tgid, result: Some(result), by_kernel, way: Way::Stop, after, inode };
        if let Some(journal) = &self.shared.journal {
            journal.end(*noted, outcome);
        }
    }

    /// Nothing is told of it: it is made again.
    pub(super) fn forget_call(&mut self, tid: Tid) {
        if let Some(tracee) = self.tracees.get_mut(&tid) {
            tracee.noted = None;
        }
    }

    /// A task is followed from now on.
    pub(super) fn tell_birth(&self, tid: Tid, tgid: Tid, parent: Option<Tid>) {
        if let Some(journal) = self.shared.journal.as_ref().filter(|journal| journal.tells_lives()) {
            journal.born(tid, tgid, parent);
        }
    }

    /// A process has another image, and was this one before.
    pub(super) fn tell_exec(&self, tgid: Tid, old: &Arc<Credentials>) {
        let Some(journal) = self.shared.journal_of_calls() else { return };
        let new = self.tracees.get(&tgid).map_or(old, |tracee| &tracee.credentials);
        journal.execs(tgid, [old, new].map(Arc::clone));
    }

    /// A task has ended.
    pub(super) fn tell_end(&self, tid: Tid, status: i32) {
        if let Some(journal) = self.shared.journal_of_calls()
            && let Some(tracee) = self.tracees.get(&tid)
        {
            journal.ended(tid, tracee.tgid, status);
        }
    }

    /// A thread has ended by another's exec.
    pub(super) fn tell_vanished(&self, tid: Tid, tgid: Tid) {
        if let Some(journal) = self.shared.journal_of_calls() {
            journal.ended(tid, tgid, 0);
        }
    }

    /// A process has one more filter.
    pub(super) fn tell_stage(&self, tgid: Tid, stage: Stage) {
        if let Some(what) = of_one(stage) {
            self.shared.tell_mode(|| format!("process {tgid} ({}) {what}", sys::process::name_of(tgid)));
        }
    }
}
