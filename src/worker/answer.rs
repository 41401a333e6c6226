//! Answering one call that waits for a listener.

use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use crossbeam_channel::bounded;

use super::areas;
use super::inside::{self, OFTEN};
use super::listener::{Listener, Task};
use super::notified::Notified;
use super::pool::Message;
use super::site::{Calling, Site};
use super::tracee::Memory;
use super::{Count, Guardian, Shared, Tally, demand};
use crate::abi::{Abi, BRING, Call, Errno, WHOSE};
use crate::journal::Way;
use crate::sys::seccomp::{Notification, Response};
use crate::sys::{self, Tid};
use crate::syscalls::{Operation, Stage, Stages, Verdict, table};

/// The kernel's own result of a call that is made again after an interruption.
const ERESTARTNOINTR: i64 = -513;

/// How often a call is sent back at most to be served at a stop. Only a signal handler can come first, and each has an end.
const MOST_SENT_BACK: u32 = 1000;

/// How long after another run has attached to a task it has interrupted it for certain: that is the next thing it does.
const HELD: Duration = Duration::from_millis(50);

/// Of calls that steps aside inside one in so many is looked at.
const RARELY: u32 = 16;

/// A call that waits. A thread that panics over it kills its process: nobody else would answer.
pub(super) struct Answering<'a> {
    listener: &'a Listener,
    notification: &'a Notification,
    /// Of one that would wait for ever if the tracer were killed now.
    watched: Option<(&'a Guardian, usize)>,
}

impl Drop for Answering<'_> {
    fn drop(&mut self) {
        if let Some((guardian, slot)) = self.watched {
            guardian.unparked(slot);
        }
        if std::thread::panicking() {
            let _ = sys::process::kill(self.notification.pid as Tid, libc::SIGKILL);
        }
    }
}

impl<'a> Answering<'a> {
    /// Of a call that this listener was told of.
    pub(super) fn of(
        listener: &'a Listener,
        notification: &'a Notification,
        shared: &'a Shared,
    ) -> Answering<'a> {
        let guardian = &shared.guardian;
        let slot = listener.lasts().then(|| guardian.parking(notification.pid as Tid)).flatten();
        Answering { listener, notification, watched: slot.map(|slot| (guardian, slot)) }
    }

    /// Answers it.
    pub(super) fn answer(&self, shared: &Arc<Shared>) {
        let since = shared.tally.is_some().then(Instant::now);
        let tid = self.notification.pid as Tid;
        let Some((call, operation)) = self.told() else { return self.respond(Response::Continue) };
        if self.is_aside(shared, &call) {
            return;
        }
        let entry = self.notification.data.instruction_pointer.wrapping_sub(2);
        if call.abi == Abi::X86_64 && self.is_due_inside(shared, tid, &call, entry) {
            return self.fetch(shared, tid, (Some((entry, call.number)), Stages::NONE));
        }
        let dropped = shared.registry.get(tid).is_some_and(|it| *it != shared.view.initial);
        if !operation.may_be_tried(&call.args, dropped) {
            return self.fetch(shared, tid, (None, Stages::NONE));
        }
        let noted = shared.note_call(tid, operation, &call, None);
        let at_large = shared.demand.is_some() && !shared.listeners.serves(tid);
        let fd = self.listener.fd.as_fd();
        let mut guest = Notified::new(shared, fd, self.notification.id, tid, call);
        let verdict = (operation.handler)(&mut guest);
        let response = match verdict {
            _ if guest.is_beyond() => None,
            Verdict::Reply(result) => Some(Response::Result(Errno::join(result))),
            Verdict::Run => Some(Response::Continue),
            Verdict::Amend(_) | Verdict::Replace(..) => None,
        };
        let is_foreign = self.listener.stage == Stage::NotifyForeign && guest.has_seen_foreign();
        drop(guest);
        // That is asked as long as the task waits, so that its id is its own.
        let asks = response.is_some() && !operation.is_by_address();
        let is_due =
            at_large && (asks && shared.demand.as_ref().is_some_and(|it| it.is_due(tid)) || is_foreign);
        // All that such a process looks at is answered from now on, what its descriptors stand for too.
        let wanted = if is_foreign { Stage::Ownership.only() } else { Stages::NONE };
        if is_foreign && response.is_some() && self.is_new_to_foreign(shared, tid) {
            return self.fetch(shared, tid, (None, wanted));
        }
        if at_large {
            // Nobody says when it ends or has another root.
            shared.sights.forget(tid);
        }
        tracing::trace!(tid, syscall = operation.name, args = ?call.args, ?response, "notified");
        match response {
            Some(response) => {
                shared.counters.add(Count::Notified);
                if is_due && let Err(errno) = demand::attach(shared, tid, (true, wanted)) {
                    tracing::debug!(tid, ?errno, "not attached to"); // its next question may do it
                }
                // Who is answered goes on at once, on this CPU.
                if let (Some(tally), Some(since)) = (&shared.tally, since) {
                    tell(tally, tid, operation, since, matches!(verdict, Verdict::Reply(Err(_))));
                }
                shared.tell_notified(noted, verdict);
                self.respond(response);
            }
            None => self.fetch(shared, tid, (None, Stages::NONE)),
        }
    }

    /// The call, and what it is.
    fn told(&self) -> Option<(Call, &'static Operation)> {
        let data = &self.notification.data;
        let (abi, number) = (Abi::from_audit_arch(data.arch)?, data.nr as u32);
        let call = Call::made(abi, number, data.args, data.instruction_pointer);
        Some((call, table::lookup(abi, number)?))
    }

    /// Whether a task that is attached to has not been seen to look at an inode of an id that the namespace lacks.
    fn is_new_to_foreign(&self, shared: &Shared, tid: Tid) -> bool {
        shared.listeners.task(tid).is_some_and(|task| !task.knows_foreign.swap(true, Ordering::Relaxed))
    }

    /// Answers what is asked of nobody but the listener; whether the call is such.
    fn is_aside(&self, shared: &Shared, call: &Call) -> bool {
        let [.., named, _, sixth] = call.args;
        if call.abi == Abi::X86_64 && sixth == u64::from(BRING) {
            self.bring(shared);
            return true;
        }
        let (tid, pointer) = (self.notification.pid as Tid, self.notification.data.instruction_pointer);
        if shared.listeners.task(tid).is_some_and(|task| task.filters.ask_a_tracer(*call, pointer)) {
            self.respond(Response::Result(Errno::join(Err(Errno::ENOSYS))));
            return true;
        }
        let demand = shared.demand.as_ref().filter(|_| sixth == u64::from(WHOSE));
        if let Some(demand) = demand {
            self.respond(Response::Result(Errno::join(demand.whose(named))));
        }
        demand.is_some()
    }

    /// Opens in the task the file by which it can answer itself, at a descriptor that is the call's result.
    fn bring(&self, shared: &Shared) {
        let (listener, id) = (self.listener.fd.as_fd(), self.notification.id);
        let brought =
            shared.ownership.slate().map(|slate| sys::seccomp::bring(listener, id, slate.inside().file()));
        if !matches!(brought, Some(Ok(_))) {
            self.respond(Response::Result(Errno::join(Err(Errno::ENOSYS))));
        }
    }

    /// Sees to it that a task answers itself the next time what it calls for by the instruction at `entry`, where it can;
    /// whether its worker has to do that, since it calls for it often.
    fn is_due_inside(&self, shared: &Shared, tid: Tid, call: &Call, entry: u64) -> bool {
        let Some(task) = sys::inside::entry(call.number).and_then(|_| shared.listeners.task(tid)) else {
            return false;
        };
        if task.tried.lock().contains(&entry) {
            return task.asides.fetch_add(1, Ordering::Relaxed).is_multiple_of(RARELY)
                && lacks_areas(&task, tid);
        }
        let waits = || sys::seccomp::waits(self.listener.fd.as_fd(), self.notification.id);
        // The one that is held here, and its group's: a child that vfork has made may be somebody else.
        let is_own = |memory: &Arc<Memory>| !memory.is_crowded() && Arc::strong_count(memory) <= 2;
        let memory = task.memory.upgrade().filter(is_own);
        match memory
            .map(|memory| inside::furnish(shared, tid, (&memory, task.image), (entry, call.number), waits))
        {
            Some(Ok(count)) => {
                shared.counters.add_some(Count::Site, count);
                task.tried.lock().push(entry);
                false
            }
            Some(Err(sys::Errno::EINVAL)) => {
                task.tried.lock().push(entry);
                false
            }
            _ => {
                let looks = task.looks.fetch_add(1, Ordering::Relaxed);
                if let Some(image) = task.image.filter(|_| looks == OFTEN) {
                    shared.book.note_looker(image);
                }
                if looks < inside::MANY {
                    return false;
                }
                task.looks.store(0, Ordering::Relaxed);
                task.tried.lock().push(entry);
                Site::of(tid, (entry, call.number)).is_some()
            }
        }
    }

    /// One that was killed needs no answer.
    fn respond(&self, response: Response) {
        let _ = sys::seccomp::respond(self.listener.fd.as_fd(), self.notification.id, response);
    }

    /// Has the task's worker serve the call at its entry.
    fn fetch(&self, shared: &Arc<Shared>, tid: Tid, how: (Option<Calling>, Stages)) {
        const PATIENCE: Duration = Duration::from_secs(1);
        shared.counters.add(Count::Fetched);
        let since = Instant::now();
        while sys::seccomp::waits(self.listener.fd.as_fd(), self.notification.id) {
            let (reply, answer) = bounded(1);
            match shared.listeners.task(tid) {
                Some(task) => {
                    if task.sent_back.fetch_add(1, Ordering::Relaxed) >= MOST_SENT_BACK {
                        tracing::error!(tid, "a call is sent back again and again; the kernel answers it");
                        return self.respond(Response::Continue);
                    }
                    task.worker.interrupt(Message::Fetch(tid, self.listener.stage, how, reply));
                    if answer.recv() == Ok(true) {
                        return self.respond(Response::Result(ERESTARTNOINTR));
                    }
                }
                None => match demand::attach(shared, tid, (true, how.1)) {
                    Ok(()) | Err(sys::Errno::ESRCH | sys::Errno::EAGAIN) => {}
                    // Another run has interrupted it to have it say whose it is, which it does when it has an answer.
                    Err(sys::Errno::EPERM) if demand::is_held(tid) && since.elapsed() > HELD => {
                        return self.respond(Response::Result(ERESTARTNOINTR));
                    }
                    Err(sys::Errno::EPERM) if demand::may_be_let_go(tid) => {}
                    Err(errno) => {
                        tracing::error!(tid, ?errno, "a process cannot be attached to");
                        return self.respond(Response::Continue);
                    }
                },
            }
            if since.elapsed() > PATIENCE {
                tracing::error!(tid, "nobody serves a task that waits for an answer");
                return self.respond(Response::Continue);
            }
            std::thread::sleep(Duration::from_millis(1));
        }
    }
}

/// Whether calls are not answered inside for want of areas, some of which may be left taken: its worker looks for those.
fn lacks_areas(task: &Task, tid: Tid) -> bool {
    let quarters = task.memory.upgrade().and_then(|memory| *memory.inside.lock());
    quarters.is_some_and(|quarters| areas::are_lacking(tid, quarters))
}

/// Counts an answer for the summary.
fn tell(tally: &Tally, tid: Tid, operation: &Operation, since: Instant, failed: bool) {
    let taken = since.elapsed();
    let program = sys::process::name_of(tid).into();
    tally.add_call((&program, operation.name, Way::Notification), taken, failed);
}
