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
use super::{Device, Fact, Filesystem, Identity, Ownership, reach};
use crate::abi::stat::{S_IFLNK, S_IFMT, Statx};
use crate::cred::{Gid, Uid};
use crate::sys::files;

/// The file.
pub const FILE: &str = "/var/lib/remainroot/names";

/// What a file tells, by path from the root.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Names(BTreeMap<PathBuf, Named>);

impl Names {
    /// What the records of a file say together. What cannot be read says nothing.
    pub fn parse(records: &[u8]) -> Names {
        Names(parse(records))
    }

    /// What is told of the inode of this type that has this path now, and leads to `target` if it is a link.
    pub fn fact(&self, path: &Path, file_type: u16, target: &[u8]) -> Option<Fact> {
        let named = self.0.get(path)?;
        (named.kind == u32::from(file_type) && named.target == target).then_some(named.fact)
    }

    /// The paths of which anything is told.
    pub fn paths(&self) -> impl Iterator<Item = &Path> {
        self.0.keys().map(PathBuf::as_path)
    }
}

/// What is told of a path.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Named {
    /// Of which type the inode is to the kernel.
    kind: u32,
    /// What a link leads to.
    target: Vec<u8>,
    /// What is known of it.
    fact: Fact,
}

impl Named {
    /// The inode at a path, of which this is known.
    fn at(path: &Path, fact: Fact) -> Option<Named> {
        let kind = fs::symlink_metadata(path).ok()?.mode() & u32::from(S_IFMT);
        let target = if kind == u32::from(S_IFLNK) { fs::read_link(path).ok()? } else { PathBuf::new() };
        Some(Named { kind, target: target.into_os_string().into_vec(), fact })
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
    let or_none = |word: Option<String>| word.unwrap_or_else(|| "-".to_owned());
    let Fact { uid, gid, mode, device, .. } = named.fact;
    let (uid, gid) = (or_none(uid.map(|uid| uid.0.to_string())), or_none(gid.map(|gid| gid.0.to_string())));
    let mode = or_none(mode.map(|mode| format!("{mode:o}")));
    let device =
        or_none(device.map(|Device { block, major, minor }| {
            format!("{}{major}:{minor}", if block { 'b' } else { 'c' })
        }));
    let head = format!("+{:o} {uid} {gid} {mode} {device} ", named.kind);
    [head.as_bytes(), path.as_os_str().as_bytes(), b"\0", &named.target, b"\0"].concat()
}

/// What is noted, by path.
fn all() -> BTreeMap<PathBuf, Named> {
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

/// Path of a record, and what it tells.
fn named_by(record: &[u8], target: Vec<u8>) -> Option<(&[u8], Named)> {
    let mut fields = record.splitn(6, |&byte| byte == b' ');
    let mut text = || std::str::from_utf8(fields.next()?).ok();
    let kind = u32::from_str_radix(text()?, 8).ok()?;
    let [uid, gid] = [text()?, text()?].map(|id| id.parse().ok());
    let mode = u16::from_str_radix(text()?, 8).ok();
    let device = device(text()?);
    let fact = Fact { uid: uid.map(Uid), gid: gid.map(Gid), mode, device, ..Fact::default() };
    Some((fields.next()?, Named { kind, target, fact }))
}

fn device(word: &str) -> Option<Device> {
    let (kind, numbers) = word.split_at_checked(1)?;
    let (major, minor) = numbers.split_once(':')?;
    let block = matches!(kind, "b").then_some(true).or(matches!(kind, "c").then_some(false))?;
    Some(Device { block, major: major.parse().ok()?, minor: minor.parse().ok()? })
}

impl Ownership {
    /// Whether owners by path are noted here.
    pub fn notes_names(&self) -> bool {
        self.lasting.as_ref().is_some_and(Lasting::notes_names)
    }

    /// Whether something is known of this inode that does not stand on it, so that it is noted by its path, too.
    pub fn is_named(&self, statx: &Statx) -> bool {
        let identity = Identity::of(statx);
        let is_beside =
            |lasting: &Lasting| lasting.kept().tells_of(identity) || lasting.is_homeless(identity);
        self.notes_names() && self.lasting.as_ref().is_some_and(is_beside)
    }

    /// Notes what is known of the inode that has this path, if anything is. Where that fails it is known in this container
    /// all the same.
    pub fn note_name(&self, path: &Path, statx: &Statx) {
        let fact = self.remembered(Identity::of(statx));
        let _ = match Named::at(path, fact) {
            Some(named) if !fact.is_empty() => put(&record(path, &named)),
            _ => put_gone(path),
        };
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
        for (path, named) in all() {
            if Named::at(&path, named.fact).as_ref() != Some(&named) {
                continue;
            }
            let parent = path.parent().unwrap_or(Path::new("/"));
            let [Ok(own), Ok(parent)] = [&path, parent].map(|path| CString::new(path.as_os_str().as_bytes()))
            else {
                continue;
            };
            let (Ok(told), Ok(statfs)) = (files::describe(&own, false), reach::statfs(&parent)) else {
                continue;
            };
            let statx = Statx::parse(&told);
            let (identity, fact) = (Identity::of(&statx), named.fact);
            lasting.know_filesystem(statx.dev, statx.mount, Filesystem::of(statfs, statx.dev));
            if lasting.keep(identity, &fact).is_ok() && lasting.is_homeless(identity) {
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
        let device = Some(Device { block: true, major: uid, minor: 7 });
        let fact = Fact { uid: Some(Uid(uid)), mode: Some(0o640), device, ..Fact::default() };
        Named { kind: 0o120_000, target: b"to".to_vec(), fact }
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
