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
//! - a filesystem that a tracee may serve, where it is a worker that looks (`mounts`): the path is then resolved by what the
//!   kernel knows already (`RESOLVE_CACHED`), or within one mount.
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

use super::mounts::{DONT_SYNC, Kind, MOUNT_ID, Mounts, UNIQUE_MOUNT, number, unique};
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
    /// What mounts are of.
    mounts: Mounts,
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
            mounts: Mounts::default(),
            unmounting: Mutex::default(),
        }
    }

    /// Whether anything can be seen at all.
    pub fn any(&self) -> bool {
        self.own.is_some()
    }

    /// What is known of mounts.
    pub fn mounts(&self) -> &Mounts {
        &self.mounts
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

    /// What statx(2) with the flags and mask of `look` tells `tid` of the inode that it names. Who may not wait looks at
    /// no filesystem that is served.
    pub fn look(&self, tid: Tid, look: &Look<'_>, may_wait: bool) -> Option<Result<Seen, Errno>> {
        let start = self.start(tid);
        if matches!(start, Start::Hidden) {
            return None;
        }
        if !may_wait && self.mounts.any_served() {
            return self.look_without_waiting(tid, &start, look);
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
        let open = match resolve(&start, look, &CString::new(name).ok()?, from(tid, &start, look)?, 0)? {
            Ok(open) => open,
            Err(errno) => return Some(Err(errno)),
        };
        let told = of(open.as_fd(), look)?;
        if self.mounts.is_proc(&told, open.as_fd())? { None } else { Some(Ok((told, Found::Open(open)))) }
    }

    /// The same for a name without a slash. `None` where that cannot be told at once.
    fn in_directory(&self, tid: Tid, look: &Look<'_>, name: &[u8]) -> Option<Result<Seen, Errno>> {
        let is_plain = !name.is_empty() && name != b".." && !name.contains(&b'/');
        let unasked = unasked(look);
        if !is_plain || unasked == 0 || look.holds {
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
                let known = self.mounts.known(unique(&told)?);
                let final_one =
                    matches!(known, Some(Kind::Plain | Kind::Served)) && !(is_link && look.follow);
                final_one.then_some(Ok((told, found)))
            }
            Err(sys::Errno::ENOENT) => Some(Err(Errno::ENOENT)),
            Err(_) => None,
        }
    }

    /// The same of what no filesystem that is served has to be asked for.
    fn look_without_waiting(&self, tid: Tid, start: &Start, look: &Look<'_>) -> Option<Result<Seen, Errno>> {
        let open = match look.path {
            None if is_here(look.directory) => {
                files::name(files::CWD, &base(tid, look.directory), true, 0).ok()?
            }
            None if !self.is_answered(tid, look.directory) => return None,
            None => sys::descriptor::take_from(tid, look.directory as i32).ok()?,
            Some(name) => {
                let (name, from) = (CString::new(name).ok()?, from(tid, start, look)?);
                let cached = resolve(start, look, &name, from.clone(), files::CACHED);
                let within = || match &from {
                    Some(from) if self.mounts.kind(tid, from.as_fd()) != Kind::Plain => None,
                    _ => resolve(start, look, &name, from.clone(), files::ONE_MOUNT),
                };
                match cached.or_else(within)? {
                    Ok(open) => open,
                    Err(errno) => return Some(Err(errno)),
                }
            }
        };
        let is_served = self.mounts.kind(tid, open.as_fd());
        let is_by_path = look.path.is_some();
        match is_served {
            Kind::Plain => {}
            Kind::Proc if !is_by_path => {}
            Kind::Proc | Kind::Served => return None,
        }
        let told = of(open.as_fd(), look)?;
        Some(Ok((told, Found::Open(open))))
    }

    /// Whether who must not wait can ask about what is open at a descriptor of a task's, and close it: that flushes what is
    /// on a filesystem that is served.
    pub fn is_answered(&self, tid: Tid, descriptor: u64) -> bool {
        self.is_answered_at(tid, &base(tid, u64::from(descriptor as u32)))
    }

    /// The same of what a link of `/proc` leads to.
    pub fn is_answered_at(&self, tid: Tid, link: &CStr) -> bool {
        if !self.mounts.any_served() {
            return true;
        }
        let named = files::name(files::CWD, link, true, 0);
        named.is_ok_and(|named| self.mounts.kind(tid, named.as_fd()) != Kind::Served)
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
        let [now, then] = [&now, told].map(|told| Identity::of(&Statx::parse(told)));
        // Who has not asked for the birth time is not told.
        (now == then || then.birth == 0 && now.inode() == then.inode()).then_some(open)
    }
}

/// What statx(2) with the flags and mask of `look` tells of what is open.
pub fn of(open: BorrowedFd<'_>, look: &Look<'_>) -> Option<Told> {
    files::statx_of(open, flags(look), look.mask | unasked(look)).ok()
}

/// Where the resolution of a path starts, if that is not the tracer's root; `None` where that cannot be opened.
fn from(tid: Tid, start: &Start, look: &Look<'_>) -> Option<Option<Arc<OwnedFd>>> {
    Some(match (is_absolute(look), start) {
        (true, Start::Shared | Start::Hidden) => None,
        (true, Start::Own(root)) => Some(Arc::clone(root.as_ref()?)),
        (false, _) => Some(Arc::new(files::name(files::CWD, &base(tid, look.directory), true, 0).ok()?)),
    })
}

fn is_absolute(look: &Look<'_>) -> bool {
    look.path.is_some_and(|path| path.first() == Some(&b'/'))
}

/// The inode that a path names, with more `RESOLVE_*` flags.
fn resolve(
    start: &Start,
    look: &Look<'_>,
    name: &CStr,
    from: Option<Arc<OwnedFd>>,
    how: u64,
) -> Option<Result<OwnedFd, Errno>> {
    let bounds = how
        | match (is_absolute(look), start) {
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

fn spot(path: &CStr) -> Option<Spot> {
    let mask = UNIQUE_MOUNT | MOUNT_ID | Statx::INO;
    let bytes = files::statx(files::CWD, path, NO_AUTOMOUNT | DONT_SYNC, mask).ok()?;
    let found = STATX.read(&bytes);
    Some((number(&bytes)?, found.dev, found.ino))
}
