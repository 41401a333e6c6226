//! A run without a command: its tracer and its filters, and a few calls that only they can answer.

use std::os::fd::AsFd;

use nix::unistd::{Gid, Uid, getresuid, setresgid, setresuid};

use super::obstacle::Obstacle;
use super::{Ground, Need};
use crate::cred::{Cap, View};
use crate::launch::{Plan, begin, first_stages, outputs, prepare};
use crate::ownership::{Choice, Home};
use crate::sys::files;
use crate::syscalls::Stage;
use crate::worker;

/// Whom the trial becomes, and gives a file to.
const SOMEBODY: u32 = 42;

/// Starts a run, and has it answer.
pub(super) fn run(ground: &Ground) -> Need {
    let plan = Plan { store: Choice::Memory, allow_real_root: true, ..Plan::default() };
    let view = match prepare(&plan) {
        Ok((view, _)) => view,
        Err(failure) => return Need::no(failure.to_string()).with_effect("nothing can be run"),
    };
    // Processes are followed as in a run that keeps owners; what the trial gives away is kept nowhere.
    let why = from_start(ground, &view);
    let begun = outputs(plan).and_then(|outputs| begin(&view, outputs, why.is_some()));
    let is_on_demand = match begun {
        Ok(is_on_demand) => is_on_demand,
        Err(failure) => return Need::no(failure.to_string()).with_effect("nothing can be run"),
    };
    if let Err(what) = answers(&view) {
        return Need::no(format!("started, but {what}"));
    }
    let inside =
        if cfg!(target_arch = "x86_64") { ", in the program itself where it looks at many" } else { "" };
    match why {
        None if is_on_demand => Need::ok(format!(
            "tried: answered on demand (by notification; by ptrace once a process or file gets an owner){inside}"
        )),
        why => {
            let why = why.unwrap_or("no listener can be had");
            let need = Need::ok(format!("tried: every process is traced from its start{inside}"));
            let need = if why == worker::NO_PTRACE { need.for_want_of(Obstacle::NoPtrace) } else { need };
            need.with_cause(why).with_effect("births and looks take longer")
        }
    }
}

/// Why processes are traced from their start, if they are.
fn from_start(ground: &Ground, view: &View) -> Option<&'static str> {
    let known = Home::prepare(ground.store.clone()).ok();
    let stages = known.map(|home| first_stages(view, &home));
    match stages {
        _ if ground.attach_at_start => Some("--attach=start says so"),
        _ if view.lacks_privilege() => Some("root has no privilege here"),
        Some(stages) if stages != [Stage::Base] => Some("earlier runs may have left owners here"),
        _ => worker::lacks_for_demand(),
    }
}

/// Gives a file away and becomes somebody else, as far as root may here.
fn answers(view: &View) -> Result<(), &'static str> {
    let may = |cap| view.initial.effective.has(cap);
    if may(Cap::CHOWN) {
        let file = files::nameless(None).map_err(|_| "no file could be made in memory")?;
        files::set_owner(file.as_fd(), [SOMEBODY; 2], false).map_err(|_| "a file could not be given away")?;
        let owner = nix::sys::stat::fstat(file.as_fd()).map(|found| [found.st_uid, found.st_gid]);
        if owner != Ok([SOMEBODY; 2]) {
            return Err("a file that was given away is shown as its old owner's");
        }
    }
    if may(Cap::SETUID) && may(Cap::SETGID) {
        let (uid, gid) = (Uid::from_raw(SOMEBODY), Gid::from_raw(SOMEBODY));
        let dropped = setresgid(gid, gid, gid).and_then(|()| setresuid(uid, uid, uid));
        dropped.map_err(|_| "another user could not be become")?;
        let is_somebody =
            getresuid().is_ok_and(|found| [found.real, found.effective, found.saved] == [uid; 3]);
        if !is_somebody || setresuid(Uid::from_raw(0), uid, uid).is_ok() {
            return Err("who has become another user is root still");
        }
    }
    Ok(())
}
