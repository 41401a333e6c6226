//! `RLIMIT_NPROC`: how many tasks a user may have.
//!
//! To the kernel all users of a one-id namespace are one, so what holds one would hold all, root too. So a process that sets this
//! limit gets another from the kernel, just below the hard one: by how much says which limits it has set. The kernel hands it on
//! to whatever descends from it. Who is held is asked at births ([`Stage::Limits`]), by emulated ids.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;

use super::{Guest, Stage, Test, Verdict};
use crate::abi::{Abi, Errno};
use crate::cred::{Cap, Credentials, Uid};

/// `RLIMIT_NPROC`.
const TASKS: u32 = 6;
/// `RLIM_INFINITY`.
const INFINITY: u64 = u64::MAX;

/// Soft and hard limit.
pub type Pair = [u64; 2];

/// Stops of setrlimit(resource, limits).
pub const SET_STOPS: &[(Stage, Test)] = &[(Stage::Base, Test::AnyOf { arg: 0, values: &[TASKS] })];
/// Stops of getrlimit(resource, limits).
pub const GET_STOPS: &[(Stage, Test)] = &[(Stage::Limits, Test::AnyOf { arg: 0, values: &[TASKS] })];
/// Stops of prlimit64(process, resource, new, old).
pub const PRLIMIT_STOPS: &[(Stage, Test)] = &[
    (Stage::Base, Test::Passes { arg: 1, value: TASKS, pointer: 2 }),
    (Stage::Limits, Test::AnyOf { arg: 1, values: &[TASKS] }),
];
/// Stops of fork(2) and vfork(2).
pub const BIRTH_STOPS: &[(Stage, Test)] = &[(Stage::Limits, Test::Always)];

/// The limits that were set in a run, and whom they keep from exec.
#[derive(Debug, Default)]
pub struct Limits {
    pairs: Mutex<Vec<Pair>>,
    is_used: AtomicBool,
    exceeding: Mutex<BTreeSet<i32>>,
}

impl Limits {
    /// So many different ones.
    const MOST: usize = 1000;

    /// The soft limit by which the kernel keeps these, where its hard one is `hard`; `None` where there is no room.
    fn keep(&self, pair: Pair, hard: u64) -> Option<u64> {
        let mut all = self.pairs.lock();
        let known = all.iter().position(|&known| known == pair);
        let index = known.unwrap_or(all.len());
        let below = index as u64 + 1;
        if index >= Limits::MOST || below > hard / 2 {
            return None;
        }
        if known.is_none() {
            all.push(pair);
            self.is_used.store(true, Ordering::SeqCst);
        }
        Some(hard - below)
    }

    /// The limits that the kernel keeps by these of its own.
    fn kept(&self, [soft, hard]: Pair) -> Pair {
        let index = hard.checked_sub(soft).and_then(|below| usize::try_from(below).ok()?.checked_sub(1));
        index.and_then(|index| self.pairs.lock().get(index).copied()).unwrap_or([soft, hard])
    }

    /// Notes of the task that the tracer knows by this id whether it has become a user who had too many tasks.
    pub fn note_excess(&self, task: i32, exceeds: bool) {
        // As long as no limit was set nobody has.
        if self.is_used.load(Ordering::SeqCst) {
            let mut exceeding = self.exceeding.lock();
            if exceeds {
                exceeding.insert(task)
            } else {
                exceeding.remove(&task)
            };
        }
    }

    /// Whether it has.
    pub fn exceeds(&self, task: i32) -> bool {
        self.is_used.load(Ordering::SeqCst) && self.exceeding.lock().contains(&task)
    }
}

/// setrlimit(2).
pub fn set(guest: &mut dyn Guest) -> Verdict {
    let [_, at, ..] = guest.call().args;
    let narrow = guest.call().abi == Abi::I386;
    let outcome = read(guest, at, narrow).and_then(|new| change(guest, 0, new));
    answer(outcome.map(drop))
}

/// getrlimit(2), whose limits are signed in i386.
pub fn get(guest: &mut dyn Guest) -> Verdict {
    let [_, at, ..] = guest.call().args;
    let largest = if guest.call().abi == Abi::I386 { i32::MAX as u64 } else { INFINITY };
    answer(tell(guest, at, largest))
}

/// i386 `ugetrlimit`.
pub fn get_unsigned(guest: &mut dyn Guest) -> Verdict {
    let [_, at, ..] = guest.call().args;
    answer(tell(guest, at, u64::from(u32::MAX)))
}

/// prlimit64(2).
pub fn prlimit(guest: &mut dyn Guest) -> Verdict {
    let [whose, _, new, old, ..] = guest.call().args;
    let whose = whose as i32;
    let outcome = (|| {
        let new = if new == 0 { None } else { Some(read(guest, new, false)?) };
        may_touch(guest, whose)?;
        let before = match new {
            Some(new) => change(guest, whose, new)?,
            None => current(guest, whose)?,
        };
        if old == 0 { Ok(()) } else { guest.write(old, &before.map(u64::to_le_bytes).concat()) }
    })();
    answer(outcome)
}

/// fork(2), vfork(2).
pub fn birth(guest: &mut dyn Guest) -> Verdict {
    if refuses_birth(guest) { Verdict::Reply(Err(Errno::EAGAIN)) } else { Verdict::Run }
}

/// The guest is about to become this user, who may have more tasks than it may (`flag_nproc_exceeded`).
pub fn note_user(guest: &mut dyn Guest, uid: Uid) {
    if guest.limits().is_used.load(Ordering::SeqCst) {
        let exceeds = uid != Uid::ROOT && has_too_many(guest, uid);
        guest.note_excess(exceeds);
    }
}

/// Whether an exec is refused: the guest became a user who had too many tasks, and has them still (`do_execveat_common`).
pub fn refuses_exec(guest: &mut dyn Guest) -> bool {
    let refuses = guest.exceeds() && {
        let uid = guest.credentials().uid;
        has_too_many(guest, uid)
    };
    if !refuses && guest.exceeds() {
        guest.note_excess(false);
    }
    refuses
}

/// Whether a user has more tasks than the guest's limit.
fn has_too_many(guest: &dyn Guest, uid: Uid) -> bool {
    current(guest, 0).is_ok_and(|[soft, _]| guest.has_tasks(uid, soft.saturating_add(1)))
}

/// Whether the guest's user has as many tasks as it may (`copy_process`). Root and who is as mighty is not held.
pub fn refuses_birth(guest: &mut dyn Guest) -> bool {
    let who = guest.credentials();
    if who.uid == Uid::ROOT || who.has(Cap::SYS_RESOURCE) || who.has(Cap::SYS_ADMIN) {
        return false;
    }
    let refuses = current(guest, 0).is_ok_and(|[soft, _]| guest.has_tasks(who.uid, soft));
    if !refuses {
        guest.note_excess(false);
    }
    refuses
}

/// The kernel does what cannot be kept.
fn answer(outcome: Result<(), Errno>) -> Verdict {
    match outcome {
        Err(Errno::ENOSYS) => Verdict::Run,
        outcome => Verdict::Reply(outcome.map(|()| 0)),
    }
}

/// Two limits as this ABI has them.
fn read(guest: &mut dyn Guest, at: u64, narrow: bool) -> Result<Pair, Errno> {
    if !narrow {
        let mut words = [[0; 8]; 2];
        guest.read(at, words.as_flattened_mut())?;
        return Ok(words.map(u64::from_le_bytes));
    }
    let mut words = [[0; 4]; 2];
    guest.read(at, words.as_flattened_mut())?;
    Ok(words.map(u32::from_le_bytes).map(|word| if word == u32::MAX { INFINITY } else { word.into() }))
}

fn tell(guest: &mut dyn Guest, at: u64, largest: u64) -> Result<(), Errno> {
    let pair = current(guest, 0)?.map(|limit| limit.min(largest));
    let bytes = match largest {
        INFINITY => pair.map(u64::to_le_bytes).concat(),
        _ => pair.map(|limit| (limit as u32).to_le_bytes()).concat(),
    };
    guest.write(at, &bytes)
}

fn current(guest: &dyn Guest, whose: i32) -> Result<Pair, Errno> {
    let kernels = guest.task_limit(whose)?;
    Ok(guest.limits().kept(kernels))
}

/// Sets both (`do_prlimit`); gives what was before.
fn change(guest: &mut dyn Guest, whose: i32, new: Pair) -> Result<Pair, Errno> {
    let (kernels, [soft, hard]) = (guest.task_limit(whose)?, new);
    let before = guest.limits().kept(kernels);
    if soft > hard {
        return Err(Errno::EINVAL);
    }
    if hard > before[1] && !guest.credentials().has(Cap::SYS_RESOURCE) {
        return Err(Errno::EPERM);
    }
    let kept = guest.limits().keep(new, kernels[1]).ok_or(Errno::ENOSYS)?;
    guest.raise(Stage::Limits);
    if whose != 0 {
        guest.raise_in(whose, Stage::Limits);
    }
    guest.set_task_limit(whose, [kept, kernels[1]])?;
    Ok(before)
}

/// Whether the guest may look at and set another's (`check_prlimit_permission`).
fn may_touch(guest: &mut dyn Guest, whose: i32) -> Result<(), Errno> {
    let who = guest.credentials();
    let other = guest.credentials_of(whose).ok_or(Errno::ESRCH)?;
    let ids = |it: &Credentials| [it.euid, it.suid, it.uid].map(|id| id.0);
    let groups = |it: &Credentials| [it.egid, it.sgid, it.gid].map(|id| id.0);
    let same = ids(&other) == [who.uid.0; 3] && groups(&other) == [who.gid.0; 3];
    if whose == 0 || same || who.has(Cap::SYS_RESOURCE) { Ok(()) } else { Err(Errno::EPERM) }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::syscalls::fake::FakeGuest;
    use crate::syscalls::files::user;

    const AT: u64 = 0x4000;

    fn prlimit(guest: &mut FakeGuest, new: Pair) -> Result<u64, Errno> {
        guest.memory.map(AT, &new.map(u64::to_le_bytes).concat());
        guest.sys("prlimit64", &[0, 6, AT, 0])
    }

    fn told(guest: &mut FakeGuest) -> Pair {
        guest.memory.map(AT, &[0; 16]);
        assert_eq!(guest.sys("prlimit64", &[0, 6, 0, AT]), Ok(0));
        read(guest, AT, false).expect("it is mapped")
    }

    #[test]
    fn what_was_set_is_told_and_the_kernel_is_left_room() {
        for hard in [INFINITY, 5000] {
            let mut guest = FakeGuest::new();
            guest.task_limits.insert(0, [hard, hard]);
            assert_eq!(told(&mut guest), [hard, hard]);
            assert_eq!(prlimit(&mut guest, [2, 3]), Ok(0));
            assert_eq!(guest.task_limits[&0], [hard - 1, hard]);
            assert_eq!(told(&mut guest), [2, 3]);
            assert_eq!(prlimit(&mut guest, [4, 3]), Err(Errno::EINVAL));
            assert_eq!(prlimit(&mut guest, [4, INFINITY]), Ok(0)); // root may
            assert_eq!(told(&mut guest), [4, INFINITY]);
        }
    }

    #[test]
    fn a_user_may_lower_his_and_is_held_by_his_own() {
        let mut guest = FakeGuest::with(user(7));
        guest.task_limits.insert(0, [5000, 5000]);
        guest.others = [(9, user(7)), (10, user(8)), (11, user(0))].map(|(id, it)| (id, Arc::new(it))).into();
        assert_eq!(prlimit(&mut guest, [3, 3]), Ok(0));
        assert_eq!(prlimit(&mut guest, [3, 4]), Err(Errno::EPERM));
        assert!(matches!(guest.verdict(Abi::X86_64, "fork", &[]), Verdict::Run)); // the second is born
        guest.others.insert(12, Arc::new(user(7)));
        assert_eq!(guest.sys("fork", &[]), Err(Errno::EAGAIN));
        guest.credentials = Arc::new(Credentials::root());
        assert!(matches!(guest.verdict(Abi::X86_64, "fork", &[]), Verdict::Run));
    }
}
