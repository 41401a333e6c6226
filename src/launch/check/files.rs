//! `/proc`, where owners are kept, and which room there is.

use std::ffi::CStr;
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use nix::sys::statvfs::statvfs;

use super::obstacle::Obstacle;
use super::place::Mount;
use super::{Ground, Need, privilege};
use crate::launch::{Plan, believe_nobody};
use crate::ownership::{Choice, Home, MARK};
use crate::sys::{self, Errno, files, process};
use crate::worker;

/// So little room is none.
const LITTLE: u64 = 1 << 20;

/// Whether processes can be found in `/proc`.
pub(super) fn proc(_: &Ground) -> Need {
    const EFFECT: &str =
        "processes are traced from their start, and what only a process itself can see costs two stops more";
    if !worker::has_proc() {
        return Need::degraded("not there", EFFECT).for_want_of(Obstacle::NoProc);
    }
    let options = Mount::at(Path::new("/proc")).map(|mount| mount.options).unwrap_or_default();
    let hidden = options.split(',').find_map(|option| option.strip_prefix("hidepid="));
    match hidden.filter(|hidden| !matches!(*hidden, "0" | "off")) {
        // Root of a namespace sees its own.
        Some(_) if process::text("/proc/1/stat").is_none() => {
            let effect = "ps and pgrep show a part, as to any user";
            Need::degraded("mounted", effect).for_want_of(Obstacle::HiddenProc)
        }
        Some(hidden) => Need::ok(format!("mounted, with hidepid={hidden}")),
        None => Need::ok("mounted, and this pid namespace's"),
    }
}

/// Where a run with these options keeps owners.
fn home(ground: &Ground) -> Result<(Home, Choice), Box<Need>> {
    let view = privilege::view().map_err(|failure| Box::new(Need::no(failure.to_string())))?;
    let mut plan = Plan { store: ground.store.clone(), ..Plan::default() };
    if view.is_of_all_ids() {
        believe_nobody(&mut plan);
    }
    let store = plan.store;
    Home::prepare(store.clone()).map(|home| (home, store)).map_err(|unusable| {
        let need = Need::no(unusable.to_string()).with_effect("a run ends with status 125");
        let cures = vec![unusable.cure().to_owned(), "--store=xattr goes without".to_owned()];
        Box::new(Need { cures, fitting: 2, ..need.with_cause("the file cannot be used") })
    })
}

/// Whose a directory is, and on which filesystem.
fn described(path: &Path) -> (String, bool) {
    let mount = Mount::at(path).map_or_else(|| "a filesystem".to_owned(), |mount| mount.kind);
    let owner = path.metadata().map(|found| found.uid()).ok();
    let is_own = owner == Some(nix::unistd::geteuid().as_raw());
    let whose = match owner {
        _ if is_own => "this user's own".to_owned(),
        Some(owner) => format!("another user's (shown as {owner})"),
        None => "which cannot be looked at".to_owned(),
    };
    (format!("{mount}, {whose}"), is_own)
}

/// Whether attributes can be set on what is made in a directory: tried on a file without a name, else asked for.
fn bear_attributes(directory: &CStr) -> bool {
    let tried = files::nameless(Some(directory)).map(|file| sys::xattr::set_open(file.as_fd(), MARK, b"1"));
    match tried {
        Ok(outcome) => outcome.is_ok(),
        Err(_) => !matches!(sys::xattr::length(directory, MARK), Err(Errno::EOPNOTSUPP | Errno::ENOSYS)),
    }
}

/// How later runs know that this one has given files away.
pub(super) fn root(ground: &Ground) -> Need {
    let (what, _) = described(Path::new("/"));
    let Ok((home, store)) = home(ground) else { return Need::ok(format!("{what}; see state file")) };
    match (home.learns_from_root(), store) {
        (_, Choice::Memory) => Need::ok(format!("{what}; no owner outlasts the run")),
        (Some(true), _) => Need::ok(format!("{what}; a mark on it tells later runs of owners")),
        (Some(false), _) => {
            Need::ok(format!("{what}; a note in the state directory tells later runs of owners"))
        }
        (None, Choice::File(_)) => Need::ok(format!("{what}; the named file has all owners")),
        (None, _) => {
            let effect = "each run traces every process from its start, to look whether files have owners";
            Need::degraded(format!("{what}; it can bear no mark, and no note can be made"), effect)
                .for_want_of(Obstacle::State)
        }
    }
}

/// Whether owners can stand on files in the working directory.
pub(super) fn here(ground: &Ground) -> Need {
    let _ = privilege::view();
    let Ok(directory) = std::env::current_dir() else {
        return Need::ok("the working directory cannot be found");
    };
    let (what, is_own) = described(&directory);
    if bear_attributes(c".") {
        let on = if is_own { "owners stand on the files" } else { "owners stand on files of this user's" };
        return Need::ok(format!("{what}; {on}"));
    }
    let need = match &ground.store {
        Choice::Memory | Choice::File(_) => return Need::ok(what),
        Choice::Auto(Some(_)) => {
            return Need::ok(format!("{what}; it takes no attributes, so owners are kept in the state file"));
        }
        Choice::Auto(None) | Choice::Attributes => {
            Need::degraded(what, "owners that are given here end with the run")
        }
    };
    need.for_want_of(Obstacle::Attributes)
}

/// Where what no attribute can hold is kept, and which room there is.
pub(super) fn state(ground: &Ground) -> Need {
    const EFFECT: &str = "owners of links, FIFOs and others' files end with the run";
    let (home, store) = match home(ground) {
        Ok(home) => home,
        Err(need) => return *need,
    };
    if let Some(lacks) = home.lacks() {
        return Need::degraded(lacks, EFFECT).for_want_of(Obstacle::State);
    }
    let Some(file) = home.file() else {
        return Need::ok(if store == Choice::Memory {
            "none: no owner outlasts the run"
        } else {
            "none: owners stand on files only"
        });
    };
    let there = file.ancestors().find(|path| path.exists()).unwrap_or(Path::new("/"));
    let is_there = if file.exists() { "" } else { ", made when it is needed" };
    match statvfs(there).map(|found| found.blocks_available().saturating_mul(found.fragment_size())) {
        Ok(room) if room < LITTLE => {
            let detail = format!("{} ({} KiB free)", file.display(), room >> 10);
            let effect = "chown, mknod and their like fail with ENOSPC where they need the file";
            let need = Need::degraded(detail, effect).with_cause("the filesystem is full");
            Need { cures: vec![format!("make room at {}, or XDG_STATE_HOME=DIR", there.display())], ..need }
        }
        Ok(room) => Need::ok(format!("{} ({} free{is_there})", file.display(), size(room))),
        Err(_) => Need::ok(file.display().to_string()),
    }
}

fn size(bytes: u64) -> String {
    match bytes {
        0..0x4000_0000 => format!("{} MiB", bytes >> 20),
        _ => format!("{} GiB", bytes >> 30),
    }
}
