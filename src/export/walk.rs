//! A directory tree as root sees it: what is recorded of each inode, wherever earlier runs have kept it.
//!
//! Each inode is held on to by a descriptor that only names it, so that nothing that is put in its place meanwhile is
//! taken for it.

use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs;
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use super::report::printable;
use super::shown::{self, Named, Shown};
use super::stack::MOST;
use crate::abi::stat::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, Statx};
use crate::abi::{Errno, VfsCaps};
use crate::cred::View;
use crate::ownership::names::{self, Names};
use crate::ownership::{CAPABILITY, Fact, Identity, Kernel, Ownership, reach};
use crate::sys::files;

/// Most bytes of the names of an inode's attributes (`XATTR_LIST_MAX`).
const NAMES: usize = 65536;
/// Attributes of an overlay's own.
const OF_OVERLAYS: [&[u8]; 2] = [b"trusted.overlay.", b"user.overlay."];

/// A tree.
pub(super) struct Tree<'a> {
    pub(super) ownership: &'a Ownership,
    pub(super) view: &'a View,
    names: Names,
    /// The filesystem that it is on.
    dev: u64,
}

/// An inode in it.
pub(super) struct Met {
    /// From the tree's root, without a slash before it; the root's is empty.
    pub(super) path: Vec<u8>,
    fd: OwnedFd,
    pub(super) statx: Statx,
    pub(super) shown: Shown,
    /// What is recorded of it.
    pub(super) fact: Fact,
    /// Whether anything is.
    pub(super) is_recorded: bool,
    /// What it leads to, if it is a link.
    pub(super) link: Vec<u8>,
    /// Whether it is a directory on another filesystem, of which nothing is read.
    pub(super) is_elsewhere: bool,
}

impl Met {
    /// A path by which the kernel finds it, and nothing else.
    fn by(&self) -> CString {
        by(&self.fd)
    }

    /// Opens its content.
    pub(super) fn open(&self) -> io::Result<fs::File> {
        fs::File::open(OsStr::from_bytes(self.by().to_bytes())).map_err(|error| at(&self.path, &error))
    }

    /// Which inode it is, for who looks for further names.
    pub(super) fn inode(&self) -> (u64, u64) {
        (self.statx.dev, self.statx.ino)
    }
}

fn by(fd: &OwnedFd) -> CString {
    CString::new(format!("/proc/self/fd/{}", fd.as_raw_fd())).unwrap_or_default()
}

impl<'a> Tree<'a> {
    /// The tree below a directory, whose root is `top`'s descriptor. Whoever `believes` it takes owners from its file of them.
    pub(super) fn open(
        top: &Path,
        (ownership, view, believes): (&'a Ownership, &'a View, bool),
    ) -> io::Result<(Tree<'a>, OwnedFd)> {
        let path = CString::new(top.as_os_str().as_bytes())?;
        let fd = files::name(files::CWD, &path, true, 0)?;
        let dev = look(&fd)?.dev;
        let records = if believes { records(&fd)? } else { vec![] };
        Ok((Tree { ownership, view, names: Names::parse(&records), dev }, fd))
    }

    /// Shows `visit` every inode, a directory before what is in it, and this by name.
    pub(super) fn walk(&self, top: OwnedFd, visit: &mut dyn FnMut(&Met) -> io::Result<()>) -> io::Result<()> {
        self.step(top, vec![], visit)
    }

    fn step(
        &self,
        fd: OwnedFd,
        path: Vec<u8>,
        visit: &mut dyn FnMut(&Met) -> io::Result<()>,
    ) -> io::Result<()> {
        let met = self.meet(fd, path)?;
        visit(&met)?;
        if !met.shown.is(S_IFDIR) || met.is_elsewhere {
            return Ok(());
        }
        let entries =
            fs::read_dir(OsStr::from_bytes(met.by().to_bytes())).map_err(|error| at(&met.path, &error))?;
        let mut names: Vec<OsString> = vec![];
        for entry in entries {
            names.push(entry.map_err(|error| at(&met.path, &error))?.file_name());
        }
        names.sort_unstable();
        for name in names {
            let path = if met.path.is_empty() { vec![] } else { [&met.path[..], b"/"].concat() };
            let path = [path, name.as_bytes().to_vec()].concat();
            if shown::is_state(Path::new(OsStr::from_bytes(&path))) {
                continue;
            }
            match files::name(met.fd.as_raw_fd(), &CString::new(name.into_vec())?, false, 0) {
                Ok(fd) => self.step(fd, path, visit)?,
                Err(nix::errno::Errno::ENOENT) => {} // it is gone
                Err(errno) => return Err(at(&path, &errno.into())),
            }
        }
        Ok(())
    }

    /// Looks at an inode.
    fn meet(&self, fd: OwnedFd, path: Vec<u8>) -> io::Result<Met> {
        let failed = |errno: Errno| at(&path, &io::Error::from_raw_os_error(errno.0));
        let statx = look(&fd)?;
        let kernel = Kernel { uid: statx.uid, gid: statx.gid, mode: statx.mode };
        let file_type = statx.mode & S_IFMT;
        let link = match file_type {
            S_IFLNK => nix::fcntl::readlinkat(fd.as_fd(), "")?.into_vec(),
            _ => vec![],
        };
        let left = self.ownership.left_of(&by(&fd), Identity::of(&statx), (kernel, self.view));
        let (fact, extras) = match left {
            Ok(left) => left,
            // A link cannot bear `user.*` attributes, and some filesystems have none.
            Err(Errno::ENODATA | Errno::EPERM | Errno::EACCES | Errno::EOPNOTSUPP) => Default::default(),
            Err(errno) => return Err(failed(errno)),
        };
        let from_root = [b"/", &path[..]].concat();
        let named = self.names.fact(Path::new(OsStr::from_bytes(&from_root)), file_type, &link);
        let fact = fact.beside(named);
        let attributes =
            if file_type == S_IFLNK { Named::new() } else { self.attributes(&by(&fd)).map_err(failed)? };
        let (uid, gid) = (self.view.show_uid(statx.uid).0, self.view.show_gid(statx.gid).0);
        let mut shown = Shown { uid, gid, mode: statx.mode, device: None, attributes };
        shown.put(&fact, &extras);
        let is_elsewhere = file_type == S_IFDIR && statx.dev != self.dev;
        let is_recorded = !fact.is_empty() || !extras.is_empty();
        Ok(Met { path, fd, statx, shown, fact, is_recorded, link, is_elsewhere })
    }

    /// The extended attributes that the kernel has, but for those that concern this machine alone or record owners.
    fn attributes(&self, by: &CStr) -> Result<Named, Errno> {
        let mut all = Named::new();
        let names = match reach::list(by, NAMES) {
            Ok(names) => names,
            Err(Errno::EOPNOTSUPP | Errno::EPERM | Errno::EACCES) => return Ok(all),
            Err(errno) => return Err(errno),
        };
        for name in names.split(|&byte| byte == 0).filter(|name| is_wanted(name)) {
            let value = CString::new(name).ok().and_then(|name| reach::get_long(by, &name).ok());
            let Some(value) = value else { continue };
            // What a namespace's root has set is good in that of whoever runs the image.
            let own =
                VfsCaps::parse(&value).filter(|caps| name == CAPABILITY && caps.root == self.view.kernel_uid);
            all.insert(name.to_vec(), own.map_or(value, |caps| caps.short()));
        }
        Ok(all)
    }
}

fn is_wanted(name: &[u8]) -> bool {
    let is_portable = name == CAPABILITY
        || [&b"user."[..], b"trusted.", b"system.posix_acl_"].iter().any(|begin| name.starts_with(begin));
    is_portable && !shown::is_ours(name) && !OF_OVERLAYS.iter().any(|begin| name.starts_with(begin))
}

/// What the tree's file of owners by path has, if it is one and can be read. A link may lead out of the tree.
fn records(top: &OwnedFd) -> io::Result<Vec<u8>> {
    let path = CString::new(names::FILE.trim_start_matches('/'))?;
    let Ok(fd) = files::name(top.as_raw_fd(), &path, false, files::NO_LINKS | files::BENEATH) else {
        return Ok(vec![]);
    };
    if look(&fd)?.mode & S_IFMT != S_IFREG {
        return Ok(vec![]);
    }
    let mut records = vec![];
    if let Ok(file) = fs::File::open(OsStr::from_bytes(by(&fd).to_bytes())) {
        file.take(MOST + 1).read_to_end(&mut records)?;
    }
    if records.len() as u64 > MOST {
        return Err(at(path.to_bytes(), &io::Error::other("it is too large")));
    }
    Ok(records)
}

fn look(fd: &OwnedFd) -> io::Result<Statx> {
    Ok(Statx::parse(&files::statx_of(fd.as_fd(), 0, Statx::MASK)?))
}

fn at(path: &[u8], error: &io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", printable(path)))
}
