//! Owners by path, of what can bear no attribute: where a container's files go into an image layer they get other inode
//! numbers, and only their paths stay.
//!
//! The file stands in the tree that it is about, and what changes is put at its end. It is read once in each container, by the
//! first run there, which gives what it finds to the new inodes. From then on these count.

use std::collections::BTreeMap;
use std::ffi::{CStr, CString, OsStr, OsString};
use std::fs;
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use super::home::Lasting;
use super::{Fact, Filesystem, Identity, Ownership, reach};
use crate::abi::stat::{S_IFLNK, S_IFMT, Statx};
use crate::cred::{Gid, Uid};
use crate::sys::files;

/// The file.
const FILE: &str = "/var/lib/remainroot/names";

/// What is told of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    /// Type and permissions are of an inode of this type.
    kind: u32,
    /// What a link leads to.
    target: Vec<u8>,
    pub(super) uid: Option<Uid>,
    pub(super) gid: Option<Gid>,
}

impl Named {
    /// What is known of the inode at a path, if it is that one.
    fn of(path: &Path, identity: Identity, fact: &Fact) -> Option<Named> {
        let found = fs::symlink_metadata(path).ok()?;
        (found.ino() == identity.ino).then_some(())?;
        Some(Named { uid: fact.uid, gid: fact.gid, ..Named::seen(path, &found) })
    }

    fn seen(path: &Path, found: &fs::Metadata) -> Named {
        let kind = found.mode() & u32::from(S_IFMT);
        let target =
            if kind == u32::from(S_IFLNK) { fs::read_link(path).unwrap_or_default() } else { PathBuf::new() };
        Named { kind, target: target.into_os_string().into_vec(), uid: None, gid: None }
    }

    /// Whether the inode at a path may be the one that is meant.
    pub(super) fn is_at(&self, path: &Path) -> bool {
        fs::symlink_metadata(path).is_ok_and(|found| {
            let seen = Named::seen(path, &found);
            (seen.kind, seen.target) == (self.kind, self.target.clone())
        })
    }

    /// The fact.
    pub(super) fn fact(&self) -> Fact {
        Fact { uid: self.uid, gid: self.gid, ..Fact::default() }
    }
}

/// Whether there is anything.
pub(super) fn are_any() -> bool {
    fs::metadata(FILE).is_ok_and(|file| file.len() > 0)
}

/// The path from the root of an inode that the tracer reaches by `path`.
pub fn whole(path: &CStr) -> Option<PathBuf> {
    let path = Path::new(OsStr::from_bytes(path.to_bytes()));
    if path.parent() == Some(Path::new("/proc/self/fd")) {
        return fs::read_link(path).ok().filter(|path| path.is_absolute());
    }
    Some(fs::canonicalize(path.parent()?).ok()?.join(path.file_name()?))
}

/// Notes what is known of the inode at a path; an empty fact takes away what was noted.
pub(super) fn note(path: &Path, identity: Identity, fact: &Fact) -> io::Result<()> {
    match Named::of(path, identity, fact) {
        Some(named) if fact.uid.is_some() || fact.gid.is_some() => put(&record(path, &named)),
        _ => put_gone(path),
    }
}

/// Notes that a path names another inode, or none.
pub(super) fn put_gone(path: &Path) -> io::Result<()> {
    put(&[b"-", path.as_os_str().as_bytes(), b"\0"].concat())
}

/// Notes that a directory, and all below it, has another path.
pub(super) fn put_moved(old: &Path, new: &Path) -> io::Result<()> {
    put(&[b">", old.as_os_str().as_bytes(), b"\0", new.as_os_str().as_bytes(), b"\0"].concat())
}

/// Puts a record at the end, in one call: several runs may do so.
fn put(record: &[u8]) -> io::Result<()> {
    let path = Path::new(FILE);
    path.parent().map_or(Ok(()), fs::create_dir_all)?;
    fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(record)
}

fn record(path: &Path, named: &Named) -> Vec<u8> {
    let id = |id: Option<u32>| id.map_or("-".to_owned(), |id| id.to_string());
    let (uid, gid) = (id(named.uid.map(|uid| uid.0)), id(named.gid.map(|gid| gid.0)));
    let head = format!("+{:o} {uid} {gid} ", named.kind);
    [head.as_bytes(), path.as_os_str().as_bytes(), b"\0", &named.target, b"\0"].concat()
}

/// What is noted, by path.
pub(super) fn all() -> BTreeMap<PathBuf, Named> {
    fs::read(FILE).map(|bytes| parse(&bytes)).unwrap_or_default()
}

/// What the records say together. What cannot be read says nothing.
fn parse(bytes: &[u8]) -> BTreeMap<PathBuf, Named> {
    let mut all: BTreeMap<PathBuf, Named> = BTreeMap::new();
    let mut words = bytes.split(|&byte| byte == 0);
    let path = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
    while let Some(word) = words.next() {
        match word.split_first() {
            Some((b'-', gone)) => {
                all.remove(&path(gone));
            }
            Some((b'>', old)) => {
                let (old, new) = (path(old), path(words.next().unwrap_or_default()));
                let moved: Vec<PathBuf> = all.keys().filter(|path| path.starts_with(&old)).cloned().collect();
                for from in moved {
                    if let (Ok(rest), Some(named)) = (from.strip_prefix(&old), all.remove(&from)) {
                        all.insert(new.join(rest), named);
                    }
                }
            }
            Some((b'+', named)) => {
                let target = words.next().unwrap_or_default().to_vec();
                if let Some((name, named)) = named_by(named, target) {
                    all.insert(path(name), named);
                }
            }
            _ => {}
        }
    }
    all
}

/// Path and owner of a record.
fn named_by(record: &[u8], target: Vec<u8>) -> Option<(&[u8], Named)> {
    let mut fields = record.splitn(4, |&byte| byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let kind = u32::from_str_radix(text()?, 8).ok()?;
    let [uid, gid] = [text()?, text()?].map(|id| id.parse().ok());
    Some((fields.next()?, Named { kind, target, uid: uid.map(Uid), gid: gid.map(Gid) }))
}

const S_IFIFO: u16 = 0o010_000;
const S_IFSOCK: u16 = 0o140_000;

/// Whether the owner of an inode of this type is noted by its path.
fn is_noted(mode: u16) -> bool {
    matches!(mode & S_IFMT, S_IFLNK | S_IFIFO | S_IFSOCK)
}

impl Ownership {
    /// Whether owners by path are noted here.
    pub fn notes_names(&self) -> bool {
        self.lasting.as_ref().is_some_and(Lasting::notes_names)
    }

    /// Whether what is known of this inode is noted by its path, too.
    pub fn is_named(&self, statx: &Statx) -> bool {
        self.notes_names() && is_noted(statx.mode)
    }

    /// Notes what is known of the inode that has this path. Where that fails it is known in this container all the same.
    pub fn note_name(&self, path: &Path, statx: &Statx) {
        let identity = Identity::of(statx);
        let _ = note(path, identity, &self.remembered(identity));
    }

    /// The path names another inode from now on, or none.
    pub fn note_gone(&self, path: &Path) {
        let _ = put_gone(path);
    }

    /// A directory has another path from now on.
    pub fn note_moved(&self, old: &Path, new: &Path) {
        let _ = put_moved(old, new);
    }

    /// Gives what is noted by path to the inodes that have these paths now.
    pub(super) fn take_names(&self) {
        let Some(lasting) = &self.lasting else { return };
        for (path, named) in all().into_iter().filter(|(path, named)| named.is_at(path)) {
            let parent = path.parent().unwrap_or(Path::new("/"));
            let [Ok(own), Ok(parent)] = [&path, parent].map(|path| CString::new(path.as_os_str().as_bytes()))
            else {
                continue;
            };
            let (Ok(told), Ok(statfs)) = (files::describe(&own, false), reach::statfs(&parent)) else {
                continue;
            };
            let statx = Statx::parse(&told);
            let (identity, fact) = (Identity::of(&statx), named.fact());
            lasting.know_filesystem(statx.dev, statx.mount, Filesystem::of(statfs, statx.dev));
            if is_noted(statx.mode) && lasting.keep(identity, &fact).is_ok() && lasting.is_homeless(identity)
            {
                self.put(identity, &|_| fact);
            }
        }
        lasting.mark_again();
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn link(uid: u32) -> Named {
        Named { kind: 0o120_000, target: b"to".to_vec(), uid: Some(Uid(uid)), gid: None }
    }

    #[test]
    fn the_last_record_of_a_path_counts_and_what_is_below_a_directory_moves_with_it() {
        let mut bytes = Vec::new();
        for (path, uid) in [("/a/l", 1), ("/a/m n", 2), ("/ab", 3), ("/a/l", 4), ("/gone", 5)] {
            bytes.extend(record(Path::new(path), &link(uid)));
        }
        bytes.extend(b"-/gone\0>/a\0/c/d\0");
        let expected =
            [("/ab", 3), ("/c/d/l", 4), ("/c/d/m n", 2)].map(|(path, uid)| (path.into(), link(uid)));
        assert_eq!(parse(&bytes), BTreeMap::from(expected));
    }

    proptest! {
        #[test]
        fn hostile_records_are_read_without_harm(bytes in "[-+>a/ 0-9\0]{0,60}") {
            parse(bytes.as_bytes());
        }
    }
}
