//! What is kept beside inodes: the file, and how it is said that it failed.

use std::collections::{HashMap, HashSet};
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use parking_lot::RwLock;

use super::table::{Key, Obstacle, Record, Trouble};
use super::{Fact, Filesystem, Identity, Table};
use crate::abi::Errno;

/// So many mounts of a filesystem are known at most.
const MOST: usize = 64;

/// Says a sentence to the person, if there is somebody to hear it.
#[derive(Clone)]
pub struct Voice(Arc<dyn Fn(&str) + Send + Sync>);

impl Voice {
    /// Says it so.
    pub fn new(say: impl Fn(&str) + Send + Sync + 'static) -> Voice {
        Voice(Arc::new(say))
    }

    pub(super) fn say(&self, sentence: &str) {
        (self.0)(sentence);
    }
}

impl Default for Voice {
    fn default() -> Voice {
        Voice::new(|_| {})
    }
}

impl fmt::Debug for Voice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Voice")
    }
}

/// The file of a run.
#[derive(Debug)]
pub(super) struct Kept {
    path: Option<PathBuf>,
    /// Whether it was asked for by name, so that the guest must not go on without it.
    named: bool,
    /// Opened when first needed.
    table: OnceLock<Table>,
    /// What stands in it, where it cannot be written for this reason.
    copy: OnceLock<(Obstacle, Table)>,
    /// By device number.
    filesystems: RwLock<HashMap<u64, Mounted>>,
    /// Inodes that were copied up while they were changed.
    copied: RwLock<HashSet<Identity>>,
    voice: Voice,
    /// What was said of it.
    complaint: OnceLock<String>,
    /// Whether it was said that it has no room.
    is_full_said: AtomicBool,
    /// Whether it was found that it cannot be used.
    useless: AtomicBool,
    /// When the run began, and until when, in nanoseconds from then, the file is taken to be absent.
    born: Instant,
    absent_until: AtomicU64,
    /// The same until when its copy is read.
    copied_until: AtomicU64,
}

/// A filesystem, and the mounts by which it was met under its device number.
#[derive(Debug)]
struct Mounted {
    filesystem: Filesystem,
    mounts: Vec<u64>,
}

impl Kept {
    pub(super) fn new(path: Option<PathBuf>, named: bool, voice: Voice) -> Kept {
        let (filesystems, copied) = (RwLock::default(), RwLock::default());
        let (table, copy) = (OnceLock::new(), OnceLock::new());
        let complaint = OnceLock::new();
        let [useless, is_full_said] = [const { AtomicBool::new(false) }; 2];
        let (born, [absent_until, copied_until]) = (Instant::now(), [const { AtomicU64::new(0) }; 2]);
        Kept {
            path,
            named,
            table,
            copy,
            filesystems,
            copied,
            voice,
            complaint,
            is_full_said,
            useless,
            born,
            absent_until,
            copied_until,
        }
    }

    /// Whether there is to be a file.
    pub(super) fn is_wanted(&self) -> bool {
        self.path.is_some()
    }

    /// Whether it has to be found out which filesystem has this device number in this mount. Numbers are
    /// used again after an unmount; those of mounts, since Linux 6.8, are not.
    pub(super) fn wants_filesystem(&self, dev: u64, mount: Option<u64>) -> bool {
        let met = |mounted: &Mounted| mount.is_some_and(|mount| mounted.mounts.contains(&mount));
        self.is_wanted() && !self.filesystems.read().get(&dev).is_some_and(met)
    }

    /// Whether nothing is kept here.
    pub(super) fn is_silent(&self) -> bool {
        self.path.as_ref().is_none_or(|path| self.table.get().is_none() && self.is_absent(path))
    }

    /// An inode was copied to the upper layer of an overlay, and is shown under its old number for now.
    pub(super) fn note_copied(&self, identity: Identity) {
        if self.is_wanted() {
            self.copied.write().insert(identity);
        }
    }

    /// It is this one. Whether it was another before.
    pub(super) fn know_filesystem(&self, dev: u64, mount: Option<u64>, filesystem: Filesystem) -> bool {
        let mut filesystems = self.filesystems.write();
        match filesystems.get_mut(&dev) {
            Some(mounted) if mounted.filesystem == filesystem && mounted.mounts.len() < MOST => {
                mounted.mounts.extend(mount);
                false
            }
            _ => {
                let mounts = mount.into_iter().collect();
                let before = filesystems.insert(dev, Mounted { filesystem, mounts });
                before.is_some_and(|before| before.filesystem != filesystem)
            }
        }
    }

    /// How the file names an inode; `None` where it has no lasting name: nothing tells it from its number's
    /// next owner, or its filesystem could not be found out.
    fn key(&self, identity: Identity) -> Option<Key> {
        let filesystem = self.filesystems.read().get(&identity.dev)?.filesystem;
        let birth = i64::try_from(identity.birth).ok().filter(|&birth| birth != 0)?;
        let copied = !self.copied.read().is_empty() && self.copied.read().contains(&identity);
        Some(Key { filesystem, ino: identity.ino, birth, copied })
    }

    /// Whether there is no file yet: another run may make it. Not asked again in less time than it takes to make one and
    /// put something in it, since a look at an inode would cost a tenth more.
    fn is_absent(&self, path: &Path) -> bool {
        const SOON: Duration = Duration::from_micros(200);
        if self.absent_until.load(Ordering::Acquire) > self.nanoseconds(Duration::ZERO) {
            return true;
        }
        let absent = !path.exists();
        if absent {
            self.absent_until.store(self.nanoseconds(SOON), Ordering::Release);
        }
        absent
    }

    /// So much later than now, in nanoseconds since the run began.
    fn nanoseconds(&self, later: Duration) -> u64 {
        u64::try_from((self.born.elapsed() + later).as_nanos()).unwrap_or(u64::MAX)
    }

    /// Whether the copy of it is to be used still. Of one that is read for want of room it is asked again from time to time;
    /// one that is there for good, and not what the person has named, is written as well.
    fn is_copied(&self, to_write: bool) -> bool {
        const LATER: Duration = Duration::from_millis(100);
        match self.copy.get() {
            None => false,
            Some((Obstacle::ReadOnly, _)) => !to_write || !self.named,
            Some((Obstacle::NoRoom, _)) if to_write => false,
            Some((Obstacle::NoRoom, _)) => {
                let is_due = self.copied_until.load(Ordering::Acquire) <= self.nanoseconds(Duration::ZERO);
                if is_due {
                    self.copied_until.store(self.nanoseconds(LATER), Ordering::Release);
                }
                !is_due
            }
        }
    }

    /// The file, opened; made where nobody has made it yet and it is to be written. `None` where there is none
    /// and memory has to do. Where it cannot be written now, a copy of it to read.
    ///
    /// # Errors
    /// `ENOSPC` and its like where it is to be written and there is no room; `EIO` where it was asked for by name
    /// and cannot be used.
    fn table(&self, to_write: bool) -> Result<Option<&Table>, Errno> {
        let Some(path) = self.path.as_deref() else { return Ok(None) };
        if let Some(table) = self.table.get() {
            return Ok(Some(table));
        }
        if self.is_copied(to_write) || !to_write && self.is_absent(path) {
            return Ok(self.copied());
        }
        if self.useless.load(Ordering::Relaxed) {
            return if self.named { Err(Errno::EIO) } else { Ok(None) };
        }
        let unusable = match Table::open(path) {
            Ok(table) => {
                // Another may have been quicker.
                let _ = self.table.set(table);
                return Ok(self.table.get());
            }
            Err(unusable) => unusable,
        };
        let obstacle = unusable.obstacle();
        if to_write && obstacle == Some(Obstacle::NoRoom) {
            self.say_full();
            return Err(unusable.errno);
        }
        let copy = obstacle.filter(|_| !self.named || !to_write);
        match copy.and_then(|obstacle| Some((obstacle, Table::copy(path).ok()?))) {
            Some(copy) => {
                let _ = self.copy.set(copy);
                Ok(self.copied())
            }
            None => {
                self.useless.store(true, Ordering::Relaxed);
                self.say(&unusable.to_string());
                if self.named { Err(Errno::EIO) } else { Ok(None) }
            }
        }
    }

    fn copied(&self) -> Option<&Table> {
        self.copy.get().map(|(_, table)| table)
    }

    /// What a failure is to the guest: its errno, where that says it all or the file was asked for by name.
    /// Else the failure is said, and memory has to do.
    fn settle<T>(&self, outcome: Result<T, Trouble>) -> Result<Option<T>, Errno> {
        match outcome {
            Ok(value) => Ok(Some(value)),
            Err(trouble) => match trouble.errno() {
                errno @ (Errno::EIO | Errno::EROFS | Errno::EACCES) => {
                    let path = self.path.as_deref().unwrap_or(Path::new("")).display();
                    self.say(&format!("the store {path} failed: {trouble}"));
                    if self.named { Err(errno) } else { Ok(None) }
                }
                errno => {
                    if matches!(errno, Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG) {
                        self.say_full();
                    }
                    Err(errno)
                }
            },
        }
    }

    /// Says once that calls fail for want of room where the guest does not look for it.
    fn say_full(&self) {
        if !self.is_full_said.swap(true, Ordering::Relaxed) {
            let path = self.path.as_deref().unwrap_or(Path::new("")).display();
            (self.voice.0)(&format!(
                "the store {path} has no room, and calls that need it fail; make room there, or keep it elsewhere: \
                 XDG_STATE_HOME=DIR, or --store=./FILE"
            ));
        }
    }

    /// Says once what is wrong, and what comes of it.
    fn say(&self, cause: &str) {
        tracing::error!(%cause, "a store fails");
        let consequence =
            if self.named { "calls that need it fail" } else { "what only it can keep ends with this run" };
        let complaint = format!("{cause}; {consequence}");
        if self.complaint.set(complaint.clone()).is_ok() {
            self.voice.say(&complaint);
        }
    }

    /// What is wrong with it.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.complaint.get().map(String::as_str)
    }

    /// A number that another one follows when another process has changed the file.
    pub(super) fn version(&self) -> i64 {
        const OF_COPY: i64 = -1;
        match self.table(false) {
            Ok(Some(table)) if self.table.get().is_some() => {
                self.settle(table.version()).ok().flatten().unwrap_or(0)
            }
            Ok(Some(_)) => OF_COPY,
            _ => 0,
        }
    }

    /// What the file says of an inode.
    ///
    /// # Errors
    /// `EIO` where it was asked for by name; `ENOMEM`.
    pub(super) fn fact(&self, identity: Identity) -> Result<Option<Fact>, Errno> {
        let (Some(table), Some(key)) = (self.table(false)?, self.key(identity)) else { return Ok(None) };
        Ok(self.settle(table.fact(key))?.flatten())
    }

    /// What it says of an inode number, and whether it has attributes of it.
    pub(super) fn peek(&self, dev: u64, ino: u64) -> (Option<Record>, bool) {
        let filesystem = self.filesystems.read().get(&dev).map(|mounted| mounted.filesystem);
        let (Some(filesystem), Ok(Some(table))) = (filesystem, self.table(false)) else {
            return (None, false);
        };
        let record = self.settle(table.get(filesystem, ino)).ok().flatten().flatten();
        (record, self.settle(table.has_attributes(filesystem, ino)).ok().flatten().unwrap_or(false))
    }

    /// Has the file keep a fact, or forget it where it is empty. Whether it does; else memory has to do.
    ///
    /// # Errors
    /// `ENOSPC` where the filesystem is full; as [`Kept::fact`].
    pub(super) fn keep(&self, identity: Identity, fact: &Fact) -> Result<bool, Errno> {
        if fact.is_empty() && self.fact(identity)?.is_none() {
            return Ok(true);
        }
        match (self.key(identity), self.table(true)?) {
            (Some(key), Some(table)) => Ok(self.settle(table.put(key, fact))?.is_some()),
            _ => Ok(false),
        }
    }

    /// What `ask` gets to know of an inode from the file; `None` where memory has to do.
    ///
    /// # Errors
    /// As [`Kept::keep`].
    pub(super) fn attribute<T>(
        &self,
        identity: Identity,
        to_write: bool,
        ask: impl FnOnce(&Table, Key) -> Result<T, Trouble>,
    ) -> Result<Option<T>, Errno> {
        match (self.key(identity), self.table(to_write)?) {
            (Some(key), Some(table)) => self.settle(ask(table, key)),
            _ => Ok(None),
        }
    }

    /// Whether it may have anything about an inode.
    pub(super) fn tells_of(&self, identity: Identity) -> bool {
        let told = self.attribute(identity, false, Table::may_have);
        told.ok().flatten().unwrap_or(false)
    }

    /// Has it forget an inode that is gone; where it cannot, the number's next owner has it forgotten.
    pub(super) fn forget(&self, identity: Identity) {
        let _ = self.attribute(identity, false, Table::forget);
    }

    /// Nothing more is asked or kept.
    pub(super) fn close(&self) {
        if let Some(table) = self.table.get() {
            table.close();
        }
    }
}
