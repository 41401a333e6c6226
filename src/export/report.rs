//! What the person is told of an image beside that it was made: what cannot be said in it, and which files would give
//! others real root's privileges.

use std::collections::BTreeMap;

use super::shown::Shown;
use crate::abi::stat::{S_IFDIR, S_IFREG, S_ISGID, S_ISUID, S_ISVTX, S_IXGRP};

/// So many sentences are said at most.
const MOST: usize = 20;
const OTHERS_WRITE: u16 = 0o002;
const GROUP_WRITES: u16 = 0o020;

/// What was noticed.
#[derive(Debug, Default)]
pub struct Report {
    lost: Vec<String>,
    /// How many more there were.
    more: usize,
    /// Files that give privileges, and who can write them, if somebody can.
    privileged: BTreeMap<Vec<u8>, (String, Option<String>)>,
    /// Directories in which others than root can replace a file, and why.
    open: BTreeMap<Vec<u8>, String>,
    /// What is not root's in the layers so far.
    owners: BTreeMap<Vec<u8>, (u32, u32)>,
}

impl Report {
    /// Something could not be said in the image.
    pub(super) fn lose(&mut self, path: &[u8], what: &str) {
        if self.lost.len() < MOST {
            self.lost.push(format!("{}: {what}", printable(path)));
        } else {
            self.more += 1;
        }
    }

    /// An inode is in the image, in place of what a lower layer had at its path.
    pub(super) fn see(&mut self, path: &[u8], shown: &Shown) {
        self.compare_owners(path, (shown.uid, shown.gid));
        if shown.is(S_IFDIR) {
            self.privileged.remove(path);
            match writers(shown).filter(|_| shown.uid != 0 || shown.mode & S_ISVTX == 0) {
                Some(why) => self.open.insert(path.to_vec(), why),
                None => self.open.remove(path),
            };
            return;
        }
        self.open.remove(path);
        match privilege(shown) {
            Some(what) => self.privileged.insert(path.to_vec(), (what, writers(shown))),
            None => self.privileged.remove(path),
        };
    }

    /// An engine that knows one id gives root whatever it unpacks, and what is changed then goes into a layer so.
    fn compare_owners(&mut self, path: &[u8], owner: (u32, u32)) {
        const ROOT: (u32, u32) = (0, 0);
        if owner != ROOT {
            self.owners.insert(path.to_vec(), owner);
        } else if let Some((uid, gid)) = self.owners.remove(path) {
            self.lose(
                path,
                &format!(
                    "is root's, but of {uid}:{gid} in a lower layer, which an engine with one id forgets"
                ),
            );
        }
    }

    /// All that is to be said.
    pub fn sentences(&self) -> Vec<String> {
        let mut all = self.lost.clone();
        let mut more = self.more;
        for (path, (what, writers)) in &self.privileged {
            let own = writers.as_ref().map(|why| format!("it {why}"));
            let above = || {
                let mut above = ancestors(path);
                above.find_map(|above| self.open.get(above).map(|why| format!("{} {why}", printable(above))))
            };
            let Some(why) = own.or_else(above) else { continue };
            if all.len() < MOST {
                all.push(format!("{}: is {what}, which others could use: {why}", printable(path)));
            } else {
                more += 1;
            }
        }
        if more > 0 {
            all.push(format!("and {more} more like these"));
        }
        all
    }
}

/// The directories that a path leads through, the root first.
pub(super) fn ancestors(path: &[u8]) -> impl Iterator<Item = &[u8]> {
    let slashes = path.iter().enumerate().filter(|(_, byte)| **byte == b'/').map(|(at, _)| at);
    std::iter::once(0).chain(slashes).filter_map(|at| path.get(..at))
}

/// What of real root's a file gives to whoever executes it.
fn privilege(shown: &Shown) -> Option<String> {
    const SET_GID: u16 = S_ISGID | S_IXGRP;
    let permissions = shown.mode & 0o7777;
    if !shown.is(S_IFREG) {
        None
    } else if shown.uid == 0 && shown.mode & S_ISUID != 0 {
        Some(format!("set-uid root ({permissions:04o})"))
    } else if shown.has_capabilities() {
        Some("a program with capabilities".to_owned())
    } else if shown.gid == 0 && shown.mode & SET_GID == SET_GID {
        Some(format!("set-gid root ({permissions:04o})"))
    } else {
        None
    }
}

/// Who beside root can write it, if anybody can.
fn writers(shown: &Shown) -> Option<String> {
    if shown.uid != 0 {
        Some(format!("belongs to uid {}", shown.uid))
    } else if shown.mode & OTHERS_WRITE != 0 {
        Some("can be written by everybody".to_owned())
    } else if shown.mode & GROUP_WRITES != 0 && shown.gid != 0 {
        Some(format!("can be written by group {}", shown.gid))
    } else {
        None
    }
}

/// A path for a person to read.
pub(super) fn printable(path: &[u8]) -> String {
    let path = if path.is_empty() { b"/" } else { path };
    let escape = |letter: char| match letter.is_control() || letter == '\\' {
        true => letter.escape_default().to_string(),
        false => letter.to_string(),
    };
    String::from_utf8_lossy(path).chars().map(escape).collect()
}

#[cfg(test)]
mod tests {
    use super::super::shown::Named;
    use super::*;

    fn inode(uid: u32, gid: u32, mode: u16) -> Shown {
        Shown { uid, gid, mode, device: None, attributes: Named::new() }
    }

    fn said(all: &[(&str, Shown)]) -> Vec<String> {
        let mut report = Report::default();
        for (path, shown) in all {
            report.see(path.as_bytes(), shown);
        }
        report.sentences()
    }

    #[test]
    fn a_set_uid_program_that_another_can_replace_is_named_with_the_cause() {
        let program = || inode(0, 0, 0o104_755);
        assert_eq!(
            said(&[("srv", inode(7, 0, 0o040_755)), ("srv/x", program())]),
            ["srv/x: is set-uid root (4755), which others could use: srv belongs to uid 7"]
        );
        assert_eq!(said(&[("srv", inode(0, 0, 0o040_777)), ("srv/a/x", program())]).len(), 1);
        assert_eq!(said(&[("srv", inode(0, 8, 0o040_775)), ("srv/x", program())]).len(), 1);
        assert_eq!(said(&[("x", inode(0, 0, 0o104_757))]).len(), 1);
        let capable = || {
            let attributes = Named::from([(b"security.capability".to_vec(), vec![])]);
            Shown { attributes, ..inode(9, 0, 0o100_755) }
        };
        assert_eq!(said(&[("ping", capable())]).len(), 1);
        for good in [
            ("srv", inode(0, 0, 0o041_777)),
            ("srv", inode(0, 0, 0o040_775)),
            ("other", inode(7, 7, 0o040_755)),
        ] {
            assert_eq!(said(&[good.clone(), ("srv/x", program())]), [""; 0], "{good:?}");
        }
        assert_eq!(said(&[("srv", inode(7, 7, 0o040_755)), ("srv/x", inode(7, 7, 0o104_755))]), [""; 0]);
    }

    #[test]
    fn the_last_layer_counts() {
        let all =
            [("d", inode(7, 7, 0o040_755)), ("d/x", inode(0, 0, 0o104_755)), ("d", inode(0, 0, 0o040_755))];
        assert!(!said(&all).iter().any(|sentence| sentence.contains("set-uid")));
        let all =
            [("d", inode(7, 7, 0o040_755)), ("d/x", inode(0, 0, 0o104_755)), ("d/x", inode(0, 0, 0o100_755))];
        assert!(!said(&all).iter().any(|sentence| sentence.contains("set-uid")));
    }

    #[test]
    fn what_an_engine_with_one_id_has_forgotten_is_named() {
        let all = [("shadow", inode(0, 42, 0o100_640)), ("shadow", inode(0, 0, 0o100_640))];
        assert_eq!(
            said(&all),
            ["shadow: is root's, but of 0:42 in a lower layer, which an engine with one id forgets"]
        );
        assert_eq!(said(&[("shadow", inode(0, 42, 0o100_640)), ("shadow", inode(7, 0, 0o100_640))]), [""; 0]);
    }

    #[test]
    fn twenty_sentences_are_said_and_the_rest_is_counted() {
        let mut report = Report::default();
        for _ in 0..19 {
            report.lose(b"a\n", "x");
        }
        for path in ["a", "b", "c"] {
            report.see(path.as_bytes(), &inode(0, 0, 0o104_757));
        }
        let said = report.sentences();
        assert_eq!(said.len(), 21);
        assert_eq!((said[0].as_str(), said[20].as_str()), ("a\\n: x", "and 2 more like these"));
    }
}
