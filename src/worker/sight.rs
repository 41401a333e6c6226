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
//! Then [`Sights::look`] gives `None`, and the tracee is made to look. Nothing that is opened stays open after it:
//! a descriptor would keep a filesystem from being unmounted. So the root is opened anew each time where it is not
//! the tracer's, which a task is asked once (`Standing`), and again after any call that may have changed it.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};

use crate::abi::Errno;
use crate::abi::stat::{STATX, Statx};
use crate::sys::{self, Tid, files};
use crate::syscalls::{Look, inode};

/// What of all this is the same for every task.
#[derive(Debug)]
pub struct Sights {
    /// The tracer's own root and user namespace; `None` where nothing can be seen from here.
    own: Option<[Spot; 2]>,
    /// Counts calls that may have given some task another root or namespace.
    moves: AtomicU64,
}

/// Which inode of which mount.
type Spot = (u64, Option<u64>, u64);

/// What statx(2) tells, and the inode.
pub type Seen = ([u8; Statx::SIZE], OwnedFd);

/// Where a task's paths start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Start {
    /// At the tracer's root.
    Shared,
    /// At another, in the tracer's user namespace.
    Own,
    /// Cannot be known, or is in another user namespace.
    Hidden,
}

/// Where a task's paths start, and the number of moves when that was found out.
#[derive(Debug, Clone, Copy)]
pub struct Standing(u64, Start);

/// `STATX_MNT_ID_UNIQUE`, Linux 6.8; before, or'ed in, `STATX_MNT_ID`.
const MOUNT: u32 = 0x5000;
/// `AT_NO_AUTOMOUNT`, as stat(2) has it.
const NO_AUTOMOUNT: i32 = 0x800;

impl Sights {
    /// From where the tracer sees, if its `/proc` numbers tasks as ptrace does.
    pub fn new(has_proc: bool) -> Sights {
        let own = || Some([spot(c"/")?, spot(c"/proc/self/ns/user")?]);
        Sights { own: has_proc.then(own).flatten(), moves: AtomicU64::new(0) }
    }

    /// Some task may have another root or namespace from now on.
    pub fn moved(&self) {
        self.moves.fetch_add(1, Ordering::SeqCst);
    }

    fn start(&self, tid: Tid, standing: &mut Option<Standing>) -> Start {
        let Some([root, user]) = self.own else { return Start::Hidden };
        let moves = self.moves.load(Ordering::SeqCst);
        if let Some(Standing(then, start)) = *standing
            && then == moves
        {
            return start;
        }
        let link = |name| spot(&CString::new(format!("/proc/{tid}/{name}")).ok()?);
        let start = match (link("ns/user"), link("root")) {
            (Some(its), Some(there)) if its == user && there == root => Start::Shared,
            (Some(its), Some(_)) if its == user => Start::Own,
            _ => Start::Hidden,
        };
        *standing = Some(Standing(moves, start));
        start
    }

    /// What statx(2) with the flags and mask of `look` tells `tid` of the inode that it names.
    pub fn look(
        &self,
        tid: Tid,
        standing: &mut Option<Standing>,
        look: &Look<'_>,
    ) -> Option<Result<Seen, Errno>> {
        let start = self.start(tid, standing);
        if start == Start::Hidden {
            return None;
        }
        let seen = match look.path {
            None => open(&base(tid, look.directory))?,
            Some(name) => match resolve(tid, start, look, &CString::new(name).ok()?)? {
                Ok(seen) => seen,
                Err(errno) => return Some(Err(errno)),
            },
        };
        let bytes = files::statx_of(seen.as_fd(), NO_AUTOMOUNT | look.flags as i32, look.mask).ok()?;
        Some(Ok((bytes, seen)))
    }
}

/// The inode that a path names.
fn resolve(tid: Tid, start: Start, look: &Look<'_>, name: &CStr) -> Option<Result<OwnedFd, Errno>> {
    let absolute = name.to_bytes().first() == Some(&b'/');
    let from = match (absolute, start) {
        (true, Start::Shared) => None,
        (true, _) => Some(open(&format!("/proc/{tid}/root"))?),
        (false, _) => Some(open(&base(tid, look.directory))?),
    };
    let bounds = match (absolute, start) {
        (_, Start::Shared) => 0,
        (true, _) => files::IN_ROOT,
        (false, _) => files::BENEATH,
    };
    let directory = from.as_ref().map_or(files::CWD, AsRawFd::as_raw_fd);
    match files::name(directory, name, look.follow, files::NO_MAGIC_LINKS | bounds) {
        Ok(seen) if files::is_on_proc(seen.as_fd()).ok()? => None,
        Ok(seen) => Some(Ok(seen)),
        Err(sys::Errno::ENOENT | sys::Errno::ENOTDIR) => {
            match files::name(directory, name, look.follow, files::NO_LINKS | bounds) {
                Err(sys::Errno::ENOENT) => Some(Err(Errno::ENOENT)),
                Err(sys::Errno::ENOTDIR) => Some(Err(Errno::ENOTDIR)),
                _ => None,
            }
        }
        Err(_) => None,
    }
}

/// A task's working directory or one of its descriptors, as a path.
fn base(tid: Tid, directory: u64) -> String {
    match directory as u32 == inode::AT_FDCWD as u32 {
        true => format!("/proc/{tid}/cwd"),
        false => format!("/proc/{tid}/fd/{}", directory as i32),
    }
}

fn open(path: &str) -> Option<OwnedFd> {
    files::name(files::CWD, &CString::new(path).ok()?, true, 0).ok()
}

fn spot(path: &CStr) -> Option<Spot> {
    const MOUNT_ID: usize = 144;
    let bytes = files::statx(files::CWD, path, NO_AUTOMOUNT, MOUNT | Statx::INO).ok()?;
    let mount = bytes.get(MOUNT_ID..)?.first_chunk()?;
    let found = STATX.read(&bytes);
    Some((u64::from_le_bytes(*mount), found.dev, found.ino))
}
