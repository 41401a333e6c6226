//! Where facts outlast the run, and how it is known that there may be some.

mod found;

use std::collections::HashMap;
use std::ffi::CStr;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::{Mutex, RwLock};

pub use found::Found;

use super::kept::{Kept, Voice};
use super::table::Obstacle;
use super::{
    EXTRAS, Evidence, Extras, Fact, Filesystem, Identity, Inode, READABLE, Record, Table, Unusable,
    listing::Entry, mark, mark::Mark, names, reach, state, xattr,
};
use crate::abi::{Errno, stat::Ctime};

/// So many inodes are known to have been read at most.
const MOST: usize = 1 << 20;

/// Where the person wants facts to be kept.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Choice {
    /// Nowhere: they end with the run.
    #[default]
    Memory,
    /// In extended attributes; for the run only where there can be none.
    Attributes,
    /// In extended attributes, and in the file where there can be none. Without a file as `Attributes`.
    Auto(Option<PathBuf>),
    /// In the file.
    File(PathBuf),
}

/// What came of a [`Choice`] at the start of a run.
#[derive(Debug, Clone, Default)]
pub struct Home {
    file: Option<PathBuf>,
    /// Where it is said that there are facts in attributes.
    mark: Option<Mark>,
    /// Whether the file was asked for by name, so that the guest must not go on without it.
    named: bool,
    /// Why there is no file where there should be one.
    lacks: Option<String>,
    evidence: Evidence,
    loaded: Vec<Entry>,
    listing: Listing,
}

/// What is to be remembered for a listing, or for who tells what was touched from what was not.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Listing {
    /// Nothing but what the kernel would show wrong.
    #[default]
    None,
    /// Owner and group of everything that was touched.
    Touched,
    /// The same, and it is to be written down in the end.
    Saved,
}

impl Home {
    /// Looks whether earlier runs may have left facts: the container's root bears a mark, or cannot bear one and there is a
    /// note instead, or can be none, or the file has facts. Writes nothing.
    ///
    /// # Errors
    /// Where the file is there and cannot be used.
    pub fn prepare(choice: Choice) -> Result<Home, Unusable> {
        Ok(match choice {
            Choice::Memory => Home::default(),
            Choice::Attributes => Home::marked(Mark::find(None)),
            Choice::Auto(file) => {
                let file = file.filter(|file| state::is_own(file)).map(state::outside_layers);
                let lacks = match file.as_deref() {
                    None => Some("there is no state directory of yours".to_owned()),
                    Some(file) => Table::placeable(file).err().map(|unusable| unusable.to_string()),
                };
                let mark = Mark::find(file.as_deref().filter(|_| lacks.is_none()));
                // What earlier runs have left in it can be read still.
                let file = file.filter(|file| lacks.is_none() || file.exists());
                Home { file, lacks, ..Home::marked(mark) }
            }
            Choice::File(file) => {
                Table::placeable(&file)?;
                let evidence = match Table::has_facts(&file) {
                    Ok(false) => Evidence::Nothing,
                    Ok(true) if !Table::has_devices(&file) => Evidence::Facts,
                    Ok(true) => Evidence::Devices,
                    // What stands in it a copy will tell.
                    Err(unusable) if unusable.obstacle() == Some(Obstacle::NoRoom) => Evidence::Devices,
                    Err(unusable) => return Err(unusable),
                };
                Home { file: Some(file), evidence, named: true, ..Home::default() }
            }
        })
    }

    fn marked(mark: Mark) -> Home {
        Home { evidence: mark.at_start(), mark: Some(mark), ..Home::default() }
    }

    /// Whether the root directory bears no mark though there may be facts: it may be made anew from an image's layers.
    pub(super) fn is_rebuilt(&self) -> bool {
        let is_marked = |mark: &Mark| mark.read() != Evidence::Nothing;
        self.evidence()
            && matches!(self.mark, Some(Mark::OnRoot(_)))
            && !self.mark.as_ref().is_some_and(is_marked)
    }

    /// Whether there are owners that were noted by path.
    pub fn has_names(&self) -> bool {
        self.evidence() && matches!(self.mark, Some(Mark::OnRoot(_))) && names::are_any()
    }

    /// Takes it that other tools have left facts, and marks the root so that later runs know too.
    pub fn adopt(&mut self) {
        if let Some(mark) = &self.mark {
            // Where it cannot be set every run looks from its start.
            let _ = mark.set(Evidence::Devices);
            self.evidence = Evidence::Devices;
        }
    }

    /// The file for what no attribute can hold, whether it is there or not.
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// Where later runs learn that there are facts on inodes, if anywhere: on the root directory, or in notes.
    pub fn learns_from_root(&self) -> Option<bool> {
        match self.mark.as_ref()? {
            Mark::OnRoot(_) => Some(true),
            Mark::Noted(_) => Some(false),
            Mark::Nowhere => None,
        }
    }

    /// Why what no attribute can hold ends with this run, where it does.
    pub fn lacks(&self) -> Option<&str> {
        self.lacks.as_deref()
    }

    /// Whether there may be facts that this run has not made.
    pub fn evidence(&self) -> bool {
        self.evidence != Evidence::Nothing || !self.loaded.is_empty()
    }

    /// Whether there may be devices among them.
    pub fn evidence_of_devices(&self) -> bool {
        self.evidence == Evidence::Devices || self.loaded.iter().any(|entry| entry.fact().device.is_some())
    }

    /// Whether devices that read otherwise than an empty file are where every process meets them.
    pub fn evidence_of_readable_devices(&self) -> bool {
        // Where each of those in a file stands is not known.
        self.evidence_of_devices()
            && (self.mark.is_none() || !self.loaded.is_empty() || devices_stand_in_dev())
    }

    /// The same with these entries of a listing, and what is remembered for another.
    pub fn with_listings(self, loaded: Vec<Entry>, listing: Listing) -> Home {
        Home { loaded, listing, ..self }
    }

    pub(super) fn take_loaded(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.loaded)
    }

    /// What is remembered for a listing.
    pub fn listing(&self) -> Listing {
        self.listing
    }
}

/// Whether the container's own `/dev` has a placeholder of a device that its processes read.
fn devices_stand_in_dev() -> bool {
    READABLE.into_iter().any(|name| {
        let line = reach::get(name, xattr::STAT).ok();
        xattr::fact(None, line.as_deref()).device.is_some()
    })
}

/// The facts that outlast the run, and what is known of them.
#[derive(Debug)]
pub(super) struct Lasting {
    home: Home,
    /// What is kept beside inodes.
    kept: Kept,
    evidence: AtomicBool,
    /// Whether the mark says that there may be devices.
    marks_devices: AtomicBool,
    /// How inodes' homes were when they were last read.
    read: RwLock<HashMap<Inode, Read>>,
    traffic: Mutex<HashMap<Inode, Traffic>>,
    /// Whether owners are noted by path too, once that was to be known.
    notes_names: OnceLock<bool>,
    /// Inodes of which only memory knows, by their birth times: nothing could keep their facts.
    homeless: RwLock<HashMap<Inode, i128>>,
}

/// How an inode's home was when it was read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Read {
    ctime: Ctime,
    /// Whether no change can have the same ctime any more.
    settled: bool,
    /// Of the file.
    version: i64,
    /// Whether what is known of it stands beside it.
    beside: bool,
}

/// Who is at an inode's home right now.
#[derive(Debug, Default)]
struct Traffic {
    readers: u32,
    writers: u32,
    /// Whether it was written since the first of these readers came.
    stale: bool,
}

impl Lasting {
    /// `None` where nothing outlasts the run.
    pub(super) fn new(home: Home, voice: Voice) -> Option<Lasting> {
        if home.mark.is_none() && home.file.is_none() {
            return None;
        }
        let evidence = AtomicBool::new(home.evidence != Evidence::Nothing);
        let marks_devices = AtomicBool::new(home.evidence == Evidence::Devices);
        let (read, traffic, homeless) = (RwLock::default(), Mutex::default(), RwLock::default());
        let notes_names = OnceLock::new();
        let kept = Kept::new(home.file.clone(), home.named, voice);
        Some(Lasting { home, kept, evidence, marks_devices, read, traffic, notes_names, homeless })
    }

    pub(super) fn evidence(&self) -> bool {
        self.evidence.load(Ordering::Acquire)
    }

    pub(super) fn kept(&self) -> &Kept {
        &self.kept
    }

    /// The filesystem with this device number is this one. What was read of another with that number says
    /// nothing of it. Whether there was another.
    pub(super) fn know_filesystem(&self, dev: u64, mount: Option<u64>, filesystem: Filesystem) -> bool {
        let is_another = self.kept.know_filesystem(dev, mount, filesystem);
        if is_another {
            self.read.write().retain(|inode, _| inode.dev != dev);
            self.homeless.write().retain(|inode, _| inode.dev != dev);
        }
        is_another
    }

    /// Whether no fact stands elsewhere than on its inode.
    pub(super) fn is_quiet(&self) -> bool {
        self.in_attributes() && self.homeless.read().is_empty() && self.kept.is_silent()
    }

    /// Whether something of this inode stands beside it.
    pub(super) fn stands_beside(&self, inode: Inode) -> bool {
        self.read.read().get(&inode).is_none_or(|read| read.beside)
    }

    /// Why not everything lasts, where it does not.
    pub(super) fn complaint(&self) -> Option<&str> {
        self.kept.complaint().or(self.home.lacks())
    }

    /// Whether files may go into an image layer from here, without their inode numbers.
    pub(super) fn notes_names(&self) -> bool {
        let is_layer = || matches!(self.home.mark, Some(Mark::OnRoot(_))) && mark::is_container();
        *self.notes_names.get_or_init(is_layer)
    }

    pub(super) fn in_attributes(&self) -> bool {
        self.home.mark.is_some()
    }

    /// Leaves evidence, before the first fact is kept.
    ///
    /// # Errors
    /// `ENOSPC`, `EDQUOT`, `EIO`: without it the next run would not look for the fact.
    pub(super) fn leave_mark(&self) -> Result<(), Errno> {
        if self.evidence() {
            return Ok(());
        }
        self.set_mark(Evidence::Facts)
    }

    /// The same before the first device is kept.
    ///
    /// # Errors
    /// As [`Lasting::leave_mark`].
    pub(super) fn leave_mark_of_device(&self) -> Result<(), Errno> {
        if self.marks_devices.load(Ordering::Acquire) {
            return Ok(());
        }
        self.set_mark(Evidence::Devices)?;
        self.marks_devices.store(true, Ordering::Release);
        Ok(())
    }

    /// Has the root directory bear the mark that it had in an earlier layer. Where it cannot, the next run finds out the same.
    pub(super) fn mark_again(&self) {
        let _ = self.set_mark(self.home.evidence);
    }

    fn set_mark(&self, evidence: Evidence) -> Result<(), Errno> {
        if let Some(mark) = &self.home.mark {
            mark.set(evidence)?;
        }
        self.evidence.store(true, Ordering::Release);
        Ok(())
    }

    /// What other runs have left that there was no evidence of when this was last asked.
    pub(super) fn finds_evidence(&self) -> Evidence {
        if self.marks_devices.load(Ordering::Acquire) {
            return Evidence::Nothing;
        }
        let made = |file: &Path| std::fs::metadata(file).is_ok_and(|file| file.len() > 0);
        let found = match (&self.home.mark, &self.home.file) {
            (Some(mark), _) => mark.read(),
            (None, Some(file)) if !self.evidence() && made(file) => Evidence::Facts,
            _ => Evidence::Nothing,
        };
        let is_known = match found {
            Evidence::Nothing => true,
            Evidence::Facts => self.evidence.swap(true, Ordering::AcqRel),
            Evidence::Devices => {
                self.evidence.store(true, Ordering::Release);
                self.marks_devices.swap(true, Ordering::AcqRel)
            }
        };
        if is_known { Evidence::Nothing } else { found }
    }

    /// Whether the inode's home has to be read before anything is said of it.
    pub(super) fn is_unread(&self, inode: Inode, ctime: Option<Ctime>) -> bool {
        let settled = || self.read.read().get(&inode).filter(|read| read.settled).map(|read| read.ctime);
        self.evidence() && (ctime.is_none() || settled() != ctime)
    }

    /// Whether it was read at this ctime already, but may have changed since without another.
    pub(super) fn is_unsettled(&self, inode: Inode, ctime: Ctime) -> bool {
        self.read.read().get(&inode).is_some_and(|read| !read.settled && read.ctime == ctime)
    }

    /// Whether another run has changed what is kept beside an inode of which memory has this. An inode's own
    /// attributes do not change without its ctime.
    pub(super) fn is_outdated(&self, inode: Inode, known: Option<Record>) -> bool {
        let Some(read) = self.read.read().get(&inode).copied() else { return false };
        let version = self.kept.version();
        if !self.evidence() || read.version == version {
            return false;
        }
        let same = match self.kept.peek(inode.dev, inode.ino) {
            (_, true) => false,
            (None, false) => !read.beside,
            (Some(row), false) => {
                known.is_some_and(|known| (known.birth, known.fact) == (row.birth.into(), row.fact))
            }
        };
        if same {
            self.read.write().insert(inode, Read { version, ..read });
        } else {
            self.read.write().remove(&inode);
        }
        !same
    }

    /// Whether the inode's home was ever read, or need not be.
    pub(super) fn was_read(&self, inode: Inode) -> bool {
        !self.evidence() || self.read.read().contains_key(&inode)
    }

    pub(super) fn begin_reading(&self, inode: Inode) {
        self.traffic.lock().entry(inode).or_default().readers += 1;
    }

    /// The home was read, and will be known as it is now until the inode has another ctime, where this one is
    /// `settled`. Where nobody wrote meanwhile, so that what was read is worth more than what memory says, that is
    /// to `learn` it, before anybody can begin to write.
    pub(super) fn end_reading(
        &self,
        inode: Inode,
        (ctime, settled): (Ctime, bool),
        (version, beside): (i64, bool),
        learn: impl FnOnce(),
    ) {
        self.leave(inode, |traffic| {
            traffic.readers = traffic.readers.saturating_sub(1);
            if !traffic.stale {
                learn();
            }
        });
        let mut read = self.read.write();
        if read.len() >= MOST {
            read.clear();
        }
        read.insert(inode, Read { ctime, settled, version, beside });
    }

    /// The home could not be read, and is as unread as before.
    pub(super) fn give_up_reading(&self, inode: Inode) {
        self.leave(inode, |traffic| traffic.readers = traffic.readers.saturating_sub(1));
    }

    /// Somebody is about to change what is known of the inode, and to write that home. `tell` gets to know how many do.
    pub(super) fn begin_writing(&self, inode: Inode, tell: impl FnOnce(u64)) {
        let mut all = self.traffic.lock();
        let traffic = all.entry(inode).or_default();
        traffic.writers += 1;
        traffic.stale = true;
        tell(writers(&all));
    }

    pub(super) fn end_writing(&self, inode: Inode, tell: impl FnOnce(u64)) {
        self.leave(inode, |traffic| traffic.writers = traffic.writers.saturating_sub(1));
        self.tell_writers(tell);
    }

    /// `tell` gets to know how many write homes.
    pub(super) fn tell_writers(&self, tell: impl FnOnce(u64)) {
        tell(writers(&self.traffic.lock()));
    }

    fn leave(&self, inode: Inode, leave: impl FnOnce(&mut Traffic)) {
        let mut all = self.traffic.lock();
        let Some(traffic) = all.get_mut(&inode) else { return };
        leave(traffic);
        if traffic.readers == 0 && traffic.writers == 0 {
            all.remove(&inode);
        }
    }

    /// What stands in the attributes of the file at this path, where facts live in attributes.
    pub(super) fn borne_by(&self, path: &CStr) -> Result<(Fact, Option<Extras>), Errno> {
        let value = |name| match reach::get(path, name) {
            Err(Errno::ENODATA | Errno::EOPNOTSUPP | Errno::ERANGE) => Ok(None),
            value => value.map(Some),
        };
        if !self.in_attributes() {
            return Ok(Default::default());
        }
        let (owner, stat) = (value(xattr::OWNER)?, value(xattr::STAT)?);
        let extras = match reach::get_long(path, EXTRAS) {
            Err(Errno::ENODATA | Errno::EOPNOTSUPP) => None,
            packed => Some(Extras::parse(&packed?)),
        };
        Ok((xattr::fact(owner.as_deref(), stat.as_deref()), extras))
    }

    /// Has the file keep a fact, or forget it where it is empty.
    pub(super) fn keep(&self, identity: Identity, fact: &Fact) -> Result<(), Errno> {
        let inode = identity.inode();
        let kept = self.kept.keep(identity, fact)?;
        if !kept {
            self.homeless.write().insert(inode, identity.birth);
        } else if !self.homeless.read().is_empty() {
            self.homeless.write().remove(&inode);
        }
        if let Some(read) = self.read.write().get_mut(&inode) {
            read.beside = kept && !fact.is_empty();
        }
        Ok(())
    }

    /// An inode has lost its last name: from now on only memory knows of it.
    pub(super) fn forget(&self, identity: Identity) {
        if self.kept.tells_of(identity) {
            self.homeless.write().insert(identity.inode(), identity.birth);
            self.kept.forget(identity);
        }
    }

    /// Whether only memory knows of this inode.
    pub(super) fn is_homeless(&self, identity: Identity) -> bool {
        self.homeless.read().get(&identity.inode()) == Some(&identity.birth)
    }
}

/// How many write homes.
fn writers(all: &HashMap<Inode, Traffic>) -> u64 {
    all.values().map(|traffic| u64::from(traffic.writers)).sum()
}

#[cfg(test)]
mod tests;
