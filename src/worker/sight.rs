//! Looking at the inodes that a stopped tracee's call names, from outside.
//!
//! A tracee can always be made to look itself, by an injected statx(2); that costs two more stops. Mostly the
//! worker can do it for it: the kernel resolves the same path from the tracee's own root, working directory or
//! descriptor, which `/proc` hands out, and nothing else goes into a path's meaning but what is excluded here:
//!
//! - links that `/proc` makes up (`RESOLVE_NO_MAGICLINKS`), and whatever lies on a `proc` filesystem, where `self` is
//!   whoever looks. An absent file is believed absent only where no link was crossed, as one may lead there.
//! - a root other than the tracer's: absolute paths are resolved with the tracee's as root (`RESOLVE_IN_ROOT`), and
//!   relative ones only as long as they stay below where they start (`RESOLVE_BENEATH`).
//! - another user namespace, in which ids have other names.
//!
//! Then [`Sights::look`] gives `None`, and the tracee is made to look. What is opened does not stay open after it: a
//! descriptor would keep a filesystem from being unmounted. But for the root of a task that has another than the
//! tracer's: that keeps it busy itself, and it is let go with the task, before any umount(2) of a tracee's, and after
//! any call that may have given somebody another.
//!
//! What matters on the way is the number of calls, each of which costs a microsecond, and whether they go through `/proc`,
//! which makes what it has of a task when that is first asked for, and so ten times as slow for each new one. Descriptors
//! are taken for the moment of the look (pidfd_getfd(2)); to close them flushes nothing but what FUSE or NFS has of a file,
//! and releases no lock. A name without a slash is looked at by one statx(2): whether it was a link, or is on a `proc`
//! filesystem, the answer tells. Other paths are opened, looked at and closed. Where a child's paths start it has of its
//! maker.

use std::collections::{HashMap, HashSet};
use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, OwnedFd};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Mutex, RwLock};

use crate::abi::Errno;
use crate::abi::stat::{S_IFLNK, S_IFMT, STATX, Statx};
use crate::ownership::Identity;
use crate::sys::{self, Tid, files};
use crate::syscalls::{Look, inode};

/// What of all this is the same for every task.
#[derive(Debug)]
pub struct Sights {
    /// The tracer's own root and user namespace; `None` where nothing can be seen from here.
    own: Option<[Spot; 2]>,
    /// Counts calls that may have given some task another root or namespace.
    moves: AtomicU64,
    /// What was found out about tasks.
    standings: RwLock<HashMap<Tid, Standing>>,
    /// Whether mounts are of `proc`, by the id that no other mount ever has.
    mounts: RwLock<HashMap<u64, bool>>,
    /// Who is about to unmount something.
    unmounting: Mutex<HashSet<Tid>>,
}

/// Which inode of which mount.
type Spot = (u64, Option<u64>, u64);

/// What statx(2) tells.
type Told = [u8; Statx::SIZE];

/// What statx(2) tells, and the inode.
pub type Seen = (Told, Found);

/// An inode that was looked at.
#[derive(Debug)]
pub enum Found {
    /// It is open.
    Open(OwnedFd),
    /// It was there, in the tracer's view; whether a link at the end of the path is followed.
    At(CString, bool),
    /// It was there, by this name in a directory that is open.
    In(OwnedFd, CString),
}

/// Where a task's paths start.
#[derive(Debug, Clone)]
enum Start {
    /// At the tracer's root.
    Shared,
    /// At another, in the tracer's user namespace; open, as long as the task that has it keeps it busy itself.
    Own(Option<Arc<OwnedFd>>),
    /// Cannot be known, or is in another user namespace.
    Hidden,
}

/// Where a task's paths start, and the number of moves when that was found out.
#[derive(Debug, Clone)]
struct Standing(u64, Start);

/// How many roots are held open at most.
const MOST: usize = 256;

/// `STATX_MNT_ID_UNIQUE`, Linux 6.8.
const UNIQUE_MOUNT: u32 = 0x4000;
/// `STATX_MNT_ID`.
const MOUNT_ID: u32 = 0x1000;
/// Where statx(2) tells the mount.
const MOUNT_AT: usize = 144;
/// `AT_NO_AUTOMOUNT`, as stat(2) has it.
const NO_AUTOMOUNT: i32 = 0x800;

impl Sights {
    /// From where the tracer sees, if its `/proc` numbers tasks as ptrace does.
    pub fn new(has_proc: bool) -> Sights {
        let own = || Some([spot(c"/")?, spot(c"/proc/self/ns/user")?]);
        Sights {
            own: has_proc.then(own).flatten(),
            moves: AtomicU64::new(0),
            standings: RwLock::default(),
            mounts: RwLock::default(),
            unmounting: Mutex::default(),
        }
    }

    /// Whether anything can be seen at all.
    pub fn any(&self) -> bool {
        self.own.is_some()
    }

    /// Some task may have another root or namespace from now on.
    pub fn moved(&self) {
        self.moves.fetch_add(1, Ordering::SeqCst);
        self.standings.write().clear();
    }

    /// A task is about to unmount something: until it has, no root is held open.
    pub fn unmounting(&self, tid: Tid) {
        self.unmounting.lock().insert(tid);
        self.standings.write().clear();
    }

    /// It has.
    pub fn unmounted(&self, tid: Tid) {
        self.unmounting.lock().remove(&tid);
    }

    /// A task has made another without giving it another root or namespace. What `/proc` has of a new task is made when
    /// it is first asked for, which takes longer than a look.
    pub fn inherit(&self, parent: Tid, child: Tid) {
        if !self.standings.read().contains_key(&parent) {
            return;
        }
        let mut standings = self.standings.write();
        if let Some(standing) = standings.get(&parent).cloned()
            && self.unmounting.lock().is_empty()
        {
            standings.insert(child, standing);
        }
    }

    /// A task has ended.
    pub fn forget(&self, tid: Tid) {
        self.unmounted(tid);
        if self.standings.read().contains_key(&tid) {
            self.standings.write().remove(&tid);
        }
    }

    fn start(&self, tid: Tid) -> Start {
        let Some([root, user]) = self.own else { return Start::Hidden };
        let moves = self.moves.load(Ordering::SeqCst);
        let known = self.standings.read().get(&tid).cloned();
        if let Some(Standing(then, start)) = known
            && then == moves
        {
            return start;
        }
        let link = |name| spot(&CString::new(format!("/proc/{tid}/{name}")).ok()?);
        let start = match (link("ns/user"), link("root")) {
            (Some(its), Some(there)) if its == user && there == root => Start::Shared,
            (Some(its), Some(_)) if its == user => Start::Own(open_root(tid).map(Arc::new)),
            _ => Start::Hidden,
        };
        let mut standings = self.standings.write();
        if standings.len() < MOST && self.unmounting.lock().is_empty() {
            standings.insert(tid, Standing(moves, start.clone()));
        }
        start
    }

    /// What statx(2) with the flags and mask of `look` tells `tid` of the inode that it names.
    pub fn look(&self, tid: Tid, look: &Look<'_>) -> Option<Result<Seen, Errno>> {
        let start = self.start(tid);
        if matches!(start, Start::Hidden) {
            return None;
        }
        let Some(name) = look.path else {
            if !is_here(look.directory) {
                let open = sys::descriptor::take_from(tid, look.directory as i32).ok()?;
                let told = files::statx_of(open.as_fd(), flags(look), look.mask).ok()?;
                return Some(Ok((told, Found::Open(open))));
            }
            let there = base(tid, look.directory);
            let told = files::statx(files::CWD, &there, flags(look), look.mask).ok()?;
            return Some(Ok((told, Found::At(there, true))));
        };
        if let Some(seen) = self.in_directory(tid, look, name) {
            return Some(seen);
        }
        let open = match resolve(tid, &start, look, &CString::new(name).ok()?)? {
            Ok(open) => open,
            Err(errno) => return Some(Err(errno)),
        };
        let told = of(open.as_fd(), look)?;
        if self.is_on_proc(&told, open.as_fd())? { None } else { Some(Ok((told, Found::Open(open)))) }
    }

    /// The same for a name without a slash. `None` where that cannot be told at once.
    fn in_directory(&self, tid: Tid, look: &Look<'_>, name: &[u8]) -> Option<Result<Seen, Errno>> {
        let is_plain = !name.is_empty() && name != b".." && !name.contains(&b'/');
        let unasked = unasked(look);
        if !is_plain || unasked == 0 {
            return None;
        }
        let (found, outcome) = match is_here(look.directory) {
            true => {
                let path = [base(tid, look.directory).to_bytes(), b"/", name].concat();
                let path = CString::new(path).ok()?;
                let told = files::statx(files::CWD, &path, flags(look) | NO_FOLLOW, look.mask | unasked);
                (Found::At(path, false), told)
            }
            // Cheaper than by the path; nothing is flushed when a directory is closed.
            false => {
                let directory = sys::descriptor::take_from(tid, look.directory as i32).ok()?;
                let name = CString::new(name).ok()?;
                let how = flags(look) | NO_FOLLOW;
                let told = files::statx(directory.as_raw_fd(), &name, how, look.mask | unasked);
                (Found::In(directory, name), told)
            }
        };
        match outcome {
            Ok(told) => {
                let is_link = Statx::parse(&told).mode & S_IFMT == S_IFLNK;
                let known = self.mounts.read().get(&mount(&told)?).copied();
                let final_one = known == Some(false) && !(is_link && look.follow);
                final_one.then_some(Ok((told, found)))
            }
            Err(sys::Errno::ENOENT) => Some(Err(Errno::ENOENT)),
            Err(_) => None,
        }
    }

    /// Whether what was looked at is on a `proc` filesystem.
    fn is_on_proc(&self, told: &Told, open: BorrowedFd<'_>) -> Option<bool> {
        let Some(mount) = mount(told) else { return files::is_on_proc(open).ok() };
        if let Some(&known) = self.mounts.read().get(&mount) {
            return Some(known);
        }
        let found = files::is_on_proc(open).ok()?;
        self.mounts.write().insert(mount, found);
        Some(found)
    }
}

impl Found {
    /// Opens it, if that has not been done, and it is still what `told` was told of.
    pub fn open(self, told: &Told) -> Option<OwnedFd> {
        let open = match self {
            Found::Open(open) => return Some(open),
            Found::At(path, follow) => files::name(files::CWD, &path, follow, 0),
            Found::In(directory, name) => files::name(directory.as_raw_fd(), &name, false, 0),
        };
        let open = open.ok()?;
        let now = files::statx_of(open.as_fd(), NO_AUTOMOUNT, Statx::MASK).ok()?;
        let [now, then] = [&now, told].map(|told| Identity::of(&Statx::parse(told)).inode());
        (now == then).then_some(open)
    }
}

/// What statx(2) with the flags and mask of `look` tells of what is open.
pub fn of(open: BorrowedFd<'_>, look: &Look<'_>) -> Option<Told> {
    files::statx_of(open, flags(look), look.mask | unasked(look)).ok()
}

/// The inode that a path names.
fn resolve(tid: Tid, start: &Start, look: &Look<'_>, name: &CStr) -> Option<Result<OwnedFd, Errno>> {
    let absolute = name.to_bytes().first() == Some(&b'/');
    let from = match (absolute, start) {
        (true, Start::Shared | Start::Hidden) => None,
        (true, Start::Own(root)) => Some(Arc::clone(root.as_ref()?)),
        (false, _) => Some(Arc::new(files::name(files::CWD, &base(tid, look.directory), true, 0).ok()?)),
    };
    let bounds = match (absolute, start) {
        (_, Start::Shared) => 0,
        (true, _) => files::IN_ROOT,
        (false, _) => files::BENEATH,
    };
    let directory = from.as_ref().map_or(files::CWD, |from| from.as_raw_fd());
    match files::name(directory, name, look.follow, files::NO_LINKS | bounds) {
        Ok(open) => Some(Ok(open)),
        Err(sys::Errno::ENOENT) => Some(Err(Errno::ENOENT)),
        Err(sys::Errno::ENOTDIR) => Some(Err(Errno::ENOTDIR)),
        // What a link leads to may be absent for the tracer alone.
        Err(sys::Errno::ELOOP) => {
            files::name(directory, name, look.follow, files::NO_MAGIC_LINKS | bounds).ok().map(Ok)
        }
        Err(_) => None,
    }
}

/// A task's root.
fn open_root(tid: Tid) -> Option<OwnedFd> {
    files::name(files::CWD, &CString::new(format!("/proc/{tid}/root")).ok()?, true, 0).ok()
}

/// Whether paths start from the working directory.
fn is_here(directory: u64) -> bool {
    directory as u32 == inode::AT_FDCWD as u32
}

/// A task's working directory or one of its descriptors, as a path.
fn base(tid: Tid, directory: u64) -> CString {
    let path = match is_here(directory) {
        true => format!("/proc/{tid}/cwd"),
        false => format!("/proc/{tid}/fd/{}", directory as i32),
    };
    CString::new(path).unwrap_or_default()
}

const NO_FOLLOW: i32 = inode::AT_SYMLINK_NOFOLLOW as i32;

fn flags(look: &Look<'_>) -> i32 {
    NO_AUTOMOUNT | look.flags as i32
}

/// What is asked besides: the mount, where the guest is not told of it as it is.
fn unasked(look: &Look<'_>) -> u32 {
    if look.mask & MOUNT_ID == 0 { UNIQUE_MOUNT } else { 0 }
}

/// The mount of what was looked at, where the kernel has told the id that is not used again.
fn mount(told: &Told) -> Option<u64> {
    let id = told.get(MOUNT_AT..)?.first_chunk()?;
    (Statx::parse(told).mask & UNIQUE_MOUNT != 0).then_some(u64::from_le_bytes(*id))
}

fn spot(path: &CStr) -> Option<Spot> {
    let bytes = files::statx(files::CWD, path, NO_AUTOMOUNT, UNIQUE_MOUNT | MOUNT_ID | Statx::INO).ok()?;
    let mount = bytes.get(MOUNT_AT..)?.first_chunk()?;
    let found = STATX.read(&bytes);
    Some((u64::from_le_bytes(*mount), found.dev, found.ino))
}
