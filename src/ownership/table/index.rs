//! What the file has anything about, in memory: of most inodes that are met it knows nothing, and that must not
//! cost a look into it.
//!
//! Whether another process has changed the file is told by the beginning of the memory that SQLite's processes
//! share (the header of the WAL index), which every commit changes, and where that has changed, or there is
//! none, by `data_version`.

use std::collections::HashSet;
use std::fs::File;
use std::path::Path;

use parking_lot::Mutex;
use rusqlite::Connection;

use super::Trouble;
use super::rows::Key;
use crate::sys::shared::Watched;

/// A look into the file costs as much as it takes to learn of so many inodes.
const LOOK: u64 = 25;
/// About how many bytes there are about an inode.
const BYTES: u64 = 64;
/// Of so many inodes nothing is learned in advance.
const MOST: u64 = 1 << 20;

const NUMBERS: &str = "SELECT filesystem, ino FROM facts UNION SELECT filesystem, ino FROM attributes";
const BIRTHS: &str = "SELECT filesystem, birth FROM facts WHERE copied";

/// What one process knows of the file.
#[derive(Debug)]
pub(super) struct Index {
    shared: Option<Watched>,
    known: Mutex<Known>,
}

#[derive(Debug, Default)]
struct Known {
    /// The shared memory, when this was the version.
    header: Option<[u64; Watched::WORDS]>,
    version: i64,
    /// The version of which these are the inodes.
    learned: Option<i64>,
    numbers: HashSet<(i64, i64)>,
    births: HashSet<(i64, i64)>,
    /// How often the file was looked into since.
    looks: u64,
}

impl Index {
    /// Of a file that a connection has read from.
    pub(super) fn new(path: &Path) -> Index {
        let mut shared = path.to_owned().into_os_string();
        shared.push("-shm");
        // The descriptor stays open: to close it would take SQLite's locks on the file away.
        let shared = File::open(shared).ok().and_then(|file| {
            let watched = Watched::map(&file).ok();
            std::mem::forget(file);
            watched
        });
        Index { shared, known: Mutex::default() }
    }

    /// A number that another one follows when another connection has changed the file.
    pub(super) fn version(&self, ask: impl FnOnce() -> Result<i64, Trouble>) -> Result<i64, Trouble> {
        let header = self.shared.as_ref().map(Watched::read);
        let mut known = self.known.lock();
        if header.is_none() || header != known.header {
            known.version = ask()?;
            known.header = header;
        }
        Ok(known.version)
    }

    /// Whether the file may have anything about an inode; `learn` learns of all, where that is worth it.
    pub(super) fn may_have(
        &self,
        key: Key,
        version: i64,
        length: impl FnOnce() -> u64,
        learn: impl FnOnce() -> Result<[HashSet<(i64, i64)>; 2], Trouble>,
    ) -> Result<bool, Trouble> {
        let mut known = self.known.lock();
        if known.learned != Some(version) {
            known.looks += 1;
            let inodes = length() / BYTES;
            if inodes > MOST || known.looks * LOOK < inodes {
                return Ok(true);
            }
            [known.numbers, known.births] = learn()?;
            (known.learned, known.looks) = (Some(version), 0);
        }
        let [filesystem, ino, birth] = key.numbers();
        Ok(known.numbers.contains(&(filesystem, ino)) || known.births.contains(&(filesystem, birth)))
    }

    /// The file has something about an inode from now on.
    pub(super) fn add(&self, key: Key) {
        let [filesystem, ino, birth] = key.numbers();
        let mut known = self.known.lock();
        if known.learned.is_some() {
            known.numbers.insert((filesystem, ino));
            if key.copied {
                known.births.insert((filesystem, birth));
            }
        }
    }
}

/// All that the file has something about.
pub(super) fn learn(connection: &Connection) -> Result<[HashSet<(i64, i64)>; 2], Trouble> {
    let pairs = |query: &str| -> rusqlite::Result<HashSet<(i64, i64)>> {
        connection.prepare_cached(query)?.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    Ok([pairs(NUMBERS)?, pairs(BIRTHS)?])
}
