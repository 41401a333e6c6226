//! Whom a guest means by a process id, and the processes that kill(2) with −1 names.
//!
//! *Invariant:* nothing here signals anybody.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use super::Shared;
use crate::abi::Errno;
use crate::cred::Uid;
use crate::sys::{self, Tid};
use crate::syscalls::limits::Pair;
use crate::syscalls::{Peer, Peers};

/// A task's ids in the pid namespaces that it is in, from remainroot's own inwards.
pub(super) fn ids_of(tid: Tid) -> Vec<Tid> {
    let line = sys::process::status(tid, "NSpid:").unwrap_or_default();
    line.split_whitespace().filter_map(|id| id.parse().ok()).collect()
}

/// Whether a task means itself by `id`.
pub(super) fn is_itself(task: Tid, id: Tid) -> bool {
    id == 0 || ids_of(task).last() == Some(&id)
}

/// Whether a task that is `depth` namespaces deep, as `own` is, or deeper, is there known by `id`.
pub(super) fn is_known_as(task: Tid, id: Tid, own: Tid, depth: usize) -> bool {
    namespace_of(own).is_some_and(|namespace| id_in(task, &namespace, depth) == Some(id))
}

/// The processes beside process `own` in its pid namespace, but the tracer and its guardian.
pub(super) fn of(shared: &Shared, own: Tid) -> Peers {
    let tracer = std::process::id() as Tid;
    let listed = sys::process::listed();
    let depth = ids_of(own).len();
    let inner = listed.is_some() && depth > ids_of(tracer).len();
    let namespace = if inner { namespace_of(own) } else { None };
    let known = |pid: Tid| match &namespace {
        Some(namespace) => id_in(pid, namespace, depth),
        None => (!inner).then_some(pid),
    };
    let session = sys::process::session(own);
    let peer = |pid: Tid| {
        let id = known(pid).filter(|&id| id != 1)?;
        let published = shared.registry.get(pid);
        let credentials = published.unwrap_or_else(|| Arc::new(shared.view.initial.clone()));
        let in_session = session.is_some() && sys::process::session(pid) == session;
        Some(Peer { id, credentials, in_session })
    };
    let pids = listed.unwrap_or_else(sys::process::probed);
    let others = pids.into_iter().filter(|pid| ![own, tracer, shared.guardian.pid()].contains(pid));
    Peers { with_tracer: !inner, processes: others.filter_map(peer).collect() }
}

/// The task that `own` knows by an id, 0 for itself.
pub(super) fn task_of(own: Tid, id: Tid) -> Result<Tid, Errno> {
    let depth = ids_of(own).len();
    if id == 0 {
        return Ok(own);
    }
    if depth <= ids_of(std::process::id() as Tid).len() {
        return Ok(id);
    }
    let mut pids = sys::process::listed().unwrap_or_default().into_iter();
    pids.find(|&pid| is_known_as(pid, id, own, depth)).ok_or(Errno::ESRCH)
}

/// The kernel's `RLIMIT_NPROC` of the task that `own` knows by an id.
pub(super) fn limit(own: Tid, id: Tid) -> Result<Pair, Errno> {
    sys::process::limit_of_tasks(task_of(own, id)?, None).map_err(|errno| Errno(errno as i32))
}

/// Sets it.
pub(super) fn set_limit(own: Tid, id: Tid, pair: Pair) -> Result<(), Errno> {
    let set = sys::process::limit_of_tasks(task_of(own, id)?, Some(pair));
    set.map(drop).map_err(|errno| Errno(errno as i32))
}

/// Whether a user who is not root has so many tasks: all of his have credentials of their own. One that has ended is his no more,
/// though its worker may not have been told.
pub(super) fn has_tasks(shared: &Shared, uid: Uid, count: u64) -> bool {
    let is_his = |task: &Tid| shared.registry.get(*task).is_some_and(|it| it.uid == uid);
    let his: Vec<Tid> = shared.registry.tasks().into_iter().filter(is_his).collect();
    let lives = |task: &Tid| {
        let state = sys::process::status(*task, "State:");
        !shared.has_proc || state.is_some_and(|state| !state.starts_with(['Z', 'X']))
    };
    his.len() as u64 >= count && his.into_iter().filter(lives).count() as u64 >= count
}

/// The pid namespace of a task.
fn namespace_of(task: Tid) -> Option<OwnedFd> {
    std::fs::File::open(format!("/proc/{task}/ns/pid")).ok().map(OwnedFd::from)
}

/// A task's id in a namespace that is `depth` deep; `None` where it is not in it.
fn id_in(task: Tid, namespace: &OwnedFd, depth: usize) -> Option<Tid> {
    let ids = ids_of(task);
    let id = depth.checked_sub(1).and_then(|index| ids.get(index))?;
    let mut its_own = namespace_of(task)?;
    for _ in depth..ids.len() {
        its_own = sys::descriptor::parent_namespace(&its_own).ok()?;
    }
    sys::descriptor::are_same(&its_own, namespace).then_some(*id)
}
