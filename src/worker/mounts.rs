//! Which mounts a look may wait at: those of filesystems that a process or another machine serves (FUSE, NFS and their like),
//! and overlays that may have such a layer.
//!
//! A worker never waits for them, since the process that serves one may be a tracee that waits for the worker. Where none
//! was ever visible nothing is asked about mounts beyond whether they are of `proc`.

use std::collections::{HashMap, HashSet};
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use crate::abi::DeviceNumber;
use crate::abi::stat::Statx;
use crate::sys::{self, Tid, files};

/// What kind of filesystem a mount is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// The kernel alone answers for it.
    Plain,
    /// It is a `proc`.
    Proc,
    /// Somebody else answers for it, who may never do so.
    Served,
}

/// What is known of mounts.
#[derive(Debug, Default)]
pub struct Mounts {
    /// By the id that no other mount ever has.
    kinds: RwLock<HashMap<u64, Kind>>,
    /// What was mounted when that was first asked for.
    first: OnceLock<First>,
    /// Whether a filesystem that is served was mounted since.
    since: AtomicBool,
}

/// The mounts of the tracer's own namespace when they were first looked at.
#[derive(Debug, Default)]
struct First {
    /// Whether one of them is of a filesystem that is served.
    served: bool,
    /// The filesystem of the root directory, without which nobody runs, and overlays: device numbers as in `mountinfo`.
    trusted: HashSet<String>,
}

/// `STATX_MNT_ID_UNIQUE`, Linux 6.8.
pub const UNIQUE_MOUNT: u32 = 0x4000;
/// `STATX_MNT_ID`.
pub const MOUNT_ID: u32 = 0x1000;
/// `AT_STATX_DONT_SYNC`: who serves the filesystem is not asked.
pub const DONT_SYNC: i32 = 0x4000;
/// Where statx(2) tells the mount.
const MOUNT_AT: usize = 144;

/// Types of filesystems that another machine serves.
const REMOTE: [&[u8]; 9] = [b"nfs", b"nfs4", b"cifs", b"smb3", b"9p", b"ceph", b"afs", b"coda", b"lustre"];

impl Mounts {
    /// Whether a filesystem that is served may be visible to anybody.
    pub fn any_served(&self) -> bool {
        self.since.load(Ordering::Relaxed) || self.first().served
    }

    /// A filesystem of this type is about to be mounted by a tracee.
    pub fn note(&self, kind: &[u8]) {
        if is_served(kind) {
            // What was there before must be known first.
            self.first();
            self.since.store(true, Ordering::SeqCst);
        }
    }

    /// A task has entered another mount namespace.
    pub fn entered(&self, tid: Tid) {
        if !self.any_served() && rows(&tid.to_string()).iter().any(|row| is_served(row.kind.as_bytes())) {
            self.since.store(true, Ordering::SeqCst);
        }
    }

    /// Whether what was looked at is on a `proc` filesystem; asks the filesystem itself.
    pub fn is_proc(&self, told: &[u8; Statx::SIZE], open: BorrowedFd<'_>) -> Option<bool> {
        let Some(mount) = unique(told) else { return files::is_on_proc(open).ok() };
        if let Some(known) = self.known(mount) {
            return Some(known == Kind::Proc);
        }
        let is_proc = files::is_on_proc(open).ok()?;
        if is_proc || !self.any_served() {
            let kind = if is_proc { Kind::Proc } else { Kind::Plain };
            self.kinds.write().insert(mount, kind);
        }
        Some(is_proc)
    }

    /// The kind of a mount, where it is known.
    pub fn known(&self, mount: u64) -> Option<Kind> {
        self.kinds.read().get(&mount).copied()
    }

    /// What kind of filesystem is open, as `tid` sees mounts; asks nobody who serves it. What cannot be found out may be
    /// served.
    pub fn kind(&self, tid: Tid, open: BorrowedFd<'_>) -> Kind {
        let tell = |mask| files::statx_of(open, DONT_SYNC, mask).ok();
        let mount = tell(UNIQUE_MOUNT).as_ref().and_then(unique);
        if let Some(known) = mount.and_then(|mount| self.known(mount)) {
            return known;
        }
        let Some(number) = tell(MOUNT_ID).as_ref().and_then(|told| id(told, MOUNT_ID)) else {
            return Kind::Served;
        };
        let found = |whose: &str| rows(whose).into_iter().find(|row| row.id == number);
        let kind = match found(&tid.to_string()).or_else(|| found("self")) {
            // Not in any tree of mounts, or the kernel's own (of pipes, say).
            None => Kind::Served,
            Some(row) if row.kind == "proc" => Kind::Proc,
            Some(row) if self.first().trusted.contains(&row.device) => Kind::Plain,
            Some(row) if is_served(row.kind.as_bytes()) || row.kind == "overlay" => Kind::Served,
            Some(_) => Kind::Plain,
        };
        if let Some(mount) = mount {
            self.kinds.write().insert(mount, kind);
        }
        kind
    }

    fn first(&self) -> &First {
        self.first.get_or_init(|| {
            let rows = rows("self");
            // The last that was mounted there covers the others.
            let root = rows.iter().rfind(|row| row.at == "/").map(|row| row.device.clone());
            let overlays = rows.iter().filter(|row| row.kind == "overlay").map(|row| row.device.clone());
            let trusted: HashSet<String> = overlays.chain(root).collect();
            let is_suspect = |row: &Row| is_served(row.kind.as_bytes()) && !trusted.contains(&row.device);
            First { served: rows.iter().any(is_suspect), trusted }
        })
    }
}

/// The mount of what was looked at, where the kernel has told the id that is not used again.
pub fn unique(told: &[u8; Statx::SIZE]) -> Option<u64> {
    id(told, UNIQUE_MOUNT)
}

fn id(told: &[u8; Statx::SIZE], asked: u32) -> Option<u64> {
    number(told).filter(|_| Statx::parse(told).mask & asked != 0)
}

/// What stands where the mount is told.
pub fn number(told: &[u8; Statx::SIZE]) -> Option<u64> {
    Some(u64::from_le_bytes(*told.get(MOUNT_AT..)?.first_chunk()?))
}

/// Whether a filesystem of this type is served.
fn is_served(kind: &[u8]) -> bool {
    kind == b"fuse" || kind == b"fuseblk" || kind.starts_with(b"fuse.") || REMOTE.contains(&kind)
}

/// The device number of the filesystem that is open at a descriptor of a task's, or of that which was mounted last where the
/// task sees it.
pub fn filesystem(tid: Tid, open: Option<u64>) -> Option<String> {
    let Some(descriptor) = open else { return Some(rows(&tid.to_string()).pop()?.device) };
    let open = sys::descriptor::take_from(tid, descriptor as i32).ok()?;
    let number =
        DeviceNumber::decode(Statx::parse(&files::statx_of(open.as_fd(), DONT_SYNC, 0).ok()?).dev as u32);
    Some(format!("{}:{}", number.major, number.minor))
}

/// A line of `mountinfo`.
#[derive(Debug)]
struct Row {
    id: u64,
    device: String,
    at: String,
    kind: String,
}

/// The mounts that a task sees.
fn rows(whose: &str) -> Vec<Row> {
    let text = sys::process::text(&format!("/proc/{whose}/mountinfo")).unwrap_or_default();
    text.lines().filter_map(row).collect()
}

fn row(line: &str) -> Option<Row> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let mut words = mount.split(' ');
    let id = words.next()?.parse().ok()?;
    let device = words.nth(1)?.to_owned();
    let at = words.nth(1)?.to_owned();
    let kind = filesystem.split(' ').next()?.to_owned();
    Some(Row { id, device, at, kind })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_of_mountinfo_says_its_number_device_place_and_type() {
        let line = "36 35 98:0 /mnt1 /mnt\\0402 rw,noatime master:1 shared:2 - fuse.sshfs /dev/root rw";
        let row = row(line).expect("it is a line");
        assert_eq!((row.id, &*row.device, &*row.at, &*row.kind), (36, "98:0", "/mnt\\0402", "fuse.sshfs"));
        assert!(super::row("36 35").is_none());
    }

    #[test]
    fn what_a_process_or_another_machine_serves_is_told_from_the_rest() {
        assert!(["fuse", "fuseblk", "fuse.x", "nfs4", "9p"].iter().all(|kind| is_served(kind.as_bytes())));
        let plain = ["fusectl", "tmpfs", "ext4", "nfsd", "overlay", "virtiofs", "autofs"];
        assert!(!plain.iter().any(|kind| is_served(kind.as_bytes())));
    }

    #[test]
    fn a_filesystem_that_is_served_is_noted_for_good() {
        let mounts = Mounts { first: OnceLock::from(First::default()), ..Mounts::default() };
        mounts.note(b"tmpfs");
        assert!(!mounts.any_served());
        mounts.note(b"fuse.bindfs");
        mounts.note(b"tmpfs");
        assert!(mounts.any_served());
    }
}
