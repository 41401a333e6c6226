//! A directory tree as one tar archive.

use std::collections::HashMap;
use std::io::{self, Read, Write};

use super::entry::{DIRECTORY, Entry, FIFO, HARD_LINK, LINK, REGULAR};
use super::report::Report;
use super::tape;
use super::walk::Met;
use crate::abi::stat::{PERMISSIONS, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use crate::ownership::Device;

use super::entry::S_IFIFO;

/// An archive on its way.
pub(super) struct Packer<'a> {
    pub(super) out: &'a mut dyn Write,
    /// What is written to, if that is in the tree.
    pub(super) own: (u64, u64),
    pub(super) report: &'a mut Report,
    /// First names of inodes that have more.
    pub(super) met: HashMap<(u64, u64), Vec<u8>>,
}

impl Packer<'_> {
    /// Adds an inode.
    pub(super) fn add(&mut self, met: &Met) -> io::Result<()> {
        if met.inode() == self.own {
            return Ok(());
        }
        if met.is_elsewhere {
            self.report.lose(&met.path, "is on another filesystem, and what is in it is left out");
        }
        let path = match met.path.as_slice() {
            b"" => b"./".to_vec(),
            path if met.shown.is(S_IFDIR) => [path, b"/"].concat(),
            path => path.to_vec(),
        };
        let Some(kind) = kind(met) else {
            self.report.lose(&met.path, "is a socket and left out, which an archive cannot hold");
            return Ok(());
        };
        self.report.see(&met.path, &met.shown);
        let first = (met.statx.links > 1 && !met.shown.is(S_IFDIR)).then(|| self.first_name(met)).flatten();
        let mut entry = Entry::new(&path, if first.is_some() { HARD_LINK } else { kind });
        self.describe(&mut entry, met, first);
        if entry.kind != REGULAR || entry.size == 0 {
            return tape::write(self.out, &entry, &mut io::empty());
        }
        // Who writes to it meanwhile does no harm to the rest.
        let mut content = met.open()?.chain(io::repeat(0));
        tape::write(self.out, &entry, &mut content)
    }

    /// The name under which this inode is in the archive already.
    fn first_name(&mut self, met: &Met) -> Option<Vec<u8>> {
        let known = self.met.get(&met.inode()).cloned();
        if known.is_none() {
            self.met.insert(met.inode(), met.path.clone());
        }
        known
    }

    fn describe(&mut self, entry: &mut Entry, met: &Met, first: Option<Vec<u8>>) {
        let shown = &met.shown;
        (entry.uid, entry.gid, entry.mode) = (shown.uid, shown.gid, shown.mode & PERMISSIONS);
        let [_, modified] = met.fact.times.seen(met.statx.atime, met.statx.mtime);
        entry.set_modified(modified.seconds, modified.nanoseconds);
        match (first, entry.kind) {
            (Some(first), _) => entry.set_link(&first),
            (None, LINK) => entry.set_link(&met.link),
            (None, REGULAR) => entry.size = met.statx.size,
            _ => {}
        }
        if entry.kind != HARD_LINK {
            let real = Device::of(met.statx.mode, met.statx.rdev);
            if let Some(device) = shown.device.or(real) {
                entry.make_device(device);
            }
            if shown.device.is_some() && met.statx.size > 0 {
                let bytes = met.statx.size;
                self.report.lose(
                    &met.path,
                    &format!("stands for a device, and its content of {bytes} bytes is left out"),
                );
            }
            let all = shown.attributes.iter().filter(|(name, _)| !name.contains(&b'='));
            entry.records.set_attributes(all.map(|(name, value)| (name.as_slice(), value.as_slice())));
        }
        entry.seal();
    }
}

/// The type of an entry; `None` for a socket.
fn kind(met: &Met) -> Option<u8> {
    Some(match met.shown.mode & S_IFMT {
        S_IFDIR => DIRECTORY,
        S_IFLNK => LINK,
        S_IFIFO => FIFO,
        S_IFREG | S_IFCHR | S_IFBLK => REGULAR,
        _ => return None,
    })
}
