//! Who owns which inode as the guest sees it, and where that is kept.
//!
//! *Invariant:* this module never makes a tracee do anything and knows no syscall: it is told an
//! inode's [`Identity`] and answers with its [`Fact`].
//!
//! A fact belongs to an inode, not to a path, so renames and hard links need no care. What a stat
//! reports of an inode, device and number, is used again soon after an unlink: a fact is therefore
//! kept with the inode's *birth time*, which the number's next owner does not have (DESIGN, "Ownership
//! of files"; a file made anew must never inherit an owner). Only statx(2) tells the birth time, so a
//! lookup goes in two steps: [`Ownership::ask`] with what any stat reports, which nearly always
//! answers that there is nothing; and [`Ownership::confirm`] with the birth time. A confirmed inode is
//! remembered with its ctime: an inode that took the number over has another, so the same ctime needs
//! no second look. What both times cannot tell apart is a number freed and taken again within one
//! tick of the kernel's clock (4 ms at 250 Hz) on a filesystem that hands numbers out again at once, and
//! that only before Linux 6.13: since then a tick (`tick.rs`) keeps births apart.
//! And an overlayfs mounted inside a user namespace shows a file that was copied up under its lower
//! number only until the kernel drops it from its caches, and under another through a new hard link:
//! there a table of numbers forgets, which is why facts that last belong on the inode itself.
//! What a [`listing`] says without a birth time belongs to the first inode of its number and type that is
//! looked at.
//!
//! What the guest sees is computed in one place, [`Attributes::seen`], from what the kernel says, the
//! namespace's [`View`] and the fact; who may change it stands in [`rules`].

mod attributes;
mod beside;
mod carried;
mod devices;
mod extras;
mod fact;
mod filesystem;
mod home;
mod kept;
pub mod listing;
mod mark;
pub mod names;
pub mod reach;
mod reading;
pub mod rules;
mod shown;
mod slate;
mod state;
mod store;
mod table;
mod tick;
mod times;
mod unheard;
pub mod xattr;

pub use attributes::{Attributes, Kernel};
pub use devices::{Devices, READABLE};
pub use extras::{CAPABILITY, CAPABILITY_NAME, EXTRAS, Extra, Extras, joined};
pub use fact::{Device, Fact, Identity, Inode};
pub use filesystem::Filesystem;
pub use home::{Choice, Found, Home, Listing};
pub use kept::Voice;
pub use mark::{Evidence, MARK};
pub use reading::Reading;
pub use slate::Slate;
pub use store::{Memory, Record, Store};
pub use table::{Table, Unusable};
pub use times::{Moment, Times};

use std::collections::HashMap;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use parking_lot::RwLock;

use crate::abi::Errno;
use crate::abi::stat::{Ctime, Statx};
use crate::cred::View;
use beside::Beside;
use carried::Carried;
use home::Lasting;
use tick::Tick;

/// What is known of an inode by its number alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answer {
    /// Nothing: the kernel's attributes are right.
    Nothing,
    /// This fact, and it is this inode's.
    Known(Fact),
    /// A fact of this inode or of an earlier one: look at the birth time.
    Unsure(Fact),
    /// Earlier runs may have left one on the inode: look there. Memory has this one, of this inode or of
    /// an earlier one.
    Unread(Option<Fact>),
}

/// The facts of one run.
#[derive(Debug)]
pub struct Ownership {
    store: Box<dyn Store>,
    /// What outlasts the run, if anything does.
    lasting: Option<Lasting>,
    /// What is taken over from a listing, and what one needs, if there is one.
    carried: OnceLock<Carried>,
    listing: Listing,
    /// How many inner runs have a listing of their own made.
    recorders: AtomicUsize,
    /// Change times at which an inode's birth time was found to be its record's.
    confirmed: RwLock<HashMap<Inode, Ctime>>,
    /// Whether a set-gid directory may have an emulated group.
    inherits: AtomicBool,
    /// Whether an inode may be immutable or append-only by its fact.
    freezes: AtomicBool,
    extras: extras::All,
    devices: Devices,
    /// Attributes by name that end with the run.
    beside: Beside,
    tick: Tick,
    /// What processes may read themselves, once one wants to.
    slate: OnceLock<Option<Slate>>,
    unheard: unheard::Unheard,
    /// Whether the tracer is to be told of each change, so that none is made by a process itself.
    tells_changes: bool,
}

impl Default for Ownership {
    fn default() -> Ownership {
        Ownership::new(Box::<Memory>::default())
    }
}

impl Ownership {
    /// The facts in `store`.
    pub fn new(store: Box<dyn Store>) -> Ownership {
        let inherits = AtomicBool::new(!store.is_empty());
        let (lasting, carried, confirmed) = (None, OnceLock::new(), RwLock::default());
        Ownership {
            store,
            lasting,
            carried,
            listing: Listing::None,
            recorders: AtomicUsize::new(0),
            confirmed,
            inherits,
            freezes: AtomicBool::default(),
            extras: extras::All::default(),
            devices: Devices::default(),
            beside: Beside::default(),
            tick: Tick::default(),
            slate: OnceLock::new(),
            unheard: unheard::Unheard::default(),
            tells_changes: false,
        }
    }

    /// From now on no process changes by itself what is known of an inode.
    pub fn have_changes_told(&mut self) {
        self.tells_changes = true;
    }

    /// No facts yet but those at home.
    pub fn at(mut home: Home, voice: Voice) -> Ownership {
        let inherits = AtomicBool::new(home.evidence());
        let listing = home.listing();
        let devices = Devices::new(home.evidence_of_devices(), home.evidence_of_readable_devices());
        let (loaded, is_rebuilt) = (home.take_loaded(), home.is_rebuilt());
        let unheard = unheard::Unheard::to(voice.clone());
        let lasting = Lasting::new(home, voice);
        let ownership = Ownership { lasting, listing, inherits, devices, unheard, ..Ownership::default() };
        if is_rebuilt {
            ownership.take_names();
        }
        if ownership.saves() || !loaded.is_empty() {
            ownership.carried.get_or_init(Carried::default).take_over(loaded);
        }
        ownership
    }

    /// Whether nothing is known of any inode, and nothing is to be found out.
    pub fn is_empty(&self) -> bool {
        self.store.is_empty() && !self.evidence()
    }

    /// Whether there may be facts that memory does not know.
    pub fn evidence(&self) -> bool {
        let waiting = self.carried.get().is_some_and(Carried::is_waiting);
        waiting || self.lasting.as_ref().is_some_and(Lasting::evidence)
    }

    /// Whether what is known is to be saved as a listing in the end.
    pub fn saves(&self) -> bool {
        self.listing == Listing::Saved
    }

    /// Whether everything that is touched is to be remembered, even where the kernel shows it right.
    pub fn records_all(&self) -> bool {
        self.listing != Listing::None || self.is_recording()
    }

    fn is_recording(&self) -> bool {
        self.recorders.load(Ordering::Acquire) > 0
    }

    /// An inner run wants a listing of what is touched from now on.
    pub fn begin_recording(&self) {
        self.close_slate();
        self.carried.get_or_init(Carried::default);
        self.recorders.fetch_add(1, Ordering::AcqRel);
    }

    /// One has it.
    pub fn end_recording(&self) {
        // Nobody but an inner run ends one, but it may say so twice.
        let _ =
            self.recorders.fetch_update(Ordering::AcqRel, Ordering::Acquire, |count| count.checked_sub(1));
    }

    /// Takes the entries of an inner run's listing over.
    pub fn take_over(&self, entries: Vec<listing::Entry>) {
        self.close_slate();
        self.set_inherits();
        self.carried.get_or_init(Carried::default).take_over(entries);
    }

    /// What must be remembered for `goal` to be shown where the kernel says `kernel`.
    pub fn between(&self, kernel: Kernel, goal: Attributes, view: &View) -> Fact {
        let fact = Fact::between(kernel, goal, view);
        if self.records_all() { Fact { uid: Some(goal.uid), gid: Some(goal.gid), ..fact } } else { fact }
    }

    /// Whether the file may tell of an inode.
    pub fn tells_of(&self, identity: Identity) -> bool {
        self.lasting.as_ref().is_some_and(|lasting| lasting.kept().tells_of(identity))
    }

    /// An inode has lost its last name: neither a listing nor the file tells of it any more. Memory does, for
    /// those who have it open.
    pub fn forget(&self, identity: Identity) {
        if let Some(carried) = self.carried.get() {
            carried.forget(identity);
        }
        if let Some(lasting) = &self.lasting {
            lasting.forget(identity);
        }
    }

    /// Whether facts are to be kept beyond the run.
    pub fn lasts(&self) -> bool {
        self.lasting.is_some()
    }

    /// Whether their home is the inode's extended attributes.
    pub fn in_attributes(&self) -> bool {
        self.lasting.as_ref().is_some_and(Lasting::in_attributes)
    }

    /// An inode was looked at: what a listing says of its number is its own, or of no inode any more.
    pub fn meet(&self, statx: &Statx, view: &View) {
        if let Some(carried) = self.carried.get() {
            let notes = self.saves() || self.is_recording();
            carried.meet(statx, notes, |identity, kernel, said| {
                let seen = Attributes::seen(kernel, view, Some(said));
                let fact = self.between(kernel, seen, view);
                self.put(identity, &|known| known.unwrap_or(fact));
            });
        }
    }

    /// What is known, as a listing that is to be saved.
    pub fn listing(&self, view: &View) -> String {
        let entries = self.carried.get().map(|carried| carried.entries(view, |it| self.remembered(it)));
        listing::text(&entries.unwrap_or_default())
    }

    /// What a listing says of the number of an inode that was not looked at yet.
    fn waiting(&self, inode: Inode) -> Option<Fact> {
        self.carried.get()?.waiting(inode)
    }

    /// Whether it has to be found out which filesystem an inode is on, before anything is asked or kept of it.
    pub fn wants_filesystem(&self, statx: &Statx) -> bool {
        let kept = self.lasting.as_ref().map(Lasting::kept);
        kept.is_some_and(|kept| kept.wants_filesystem(statx.dev, statx.mount))
    }

    /// It is this one.
    pub fn know_filesystem(&self, statx: &Statx, filesystem: Filesystem) {
        self.know_filesystem_of(statx.dev, statx.mount, filesystem);
    }

    fn know_filesystem_of(&self, dev: u64, mount: Option<u64>, filesystem: Filesystem) {
        let is_another = |lasting: &Lasting| lasting.know_filesystem(dev, mount, filesystem);
        if self.lasting.as_ref().is_some_and(is_another)
            && let Some(slate) = self.slate()
        {
            slate.wipe();
        }
    }

    /// Changing an inode made another of it, to which its number is lent: overlayfs has copied it up.
    pub fn note_copied(&self, before: &Statx, after: &Statx) {
        if before.ino == after.ino
            && before.birth != after.birth
            && let Some(lasting) = &self.lasting
        {
            lasting.kept().note_copied(Identity::of(after));
        }
    }

    /// Whether what no attribute can hold has another home.
    pub fn keeps_beside(&self) -> bool {
        self.lasting.as_ref().is_some_and(|lasting| lasting.kept().is_wanted())
    }

    /// Why not everything outlasts the run that should, where it does not.
    pub fn complaint(&self) -> Option<&str> {
        self.lasting.as_ref()?.complaint()
    }

    /// Nothing more is asked or changed: the run is over.
    pub fn close(&self) {
        if let Some(lasting) = &self.lasting {
            lasting.kept().close();
        }
    }

    fn put(&self, identity: Identity, change: &dyn Fn(Option<Fact>) -> Fact) -> Fact {
        let put = || self.store.put(identity, change);
        let fact = match self.slate() {
            Some(slate) => slate.change_of(identity.inode(), put),
            None => put(),
        };
        if fact.device.is_some() {
            self.devices.note(identity.ino, self.slate());
        }
        if !fact.is_empty() {
            self.note_known();
        }
        fact
    }

    /// A device is about to be open in place of the file that stands for it, and to be shown as that.
    pub fn note_replaced(&self) {
        self.devices.note_replaced(self.slate());
    }

    /// Somebody is about to change what is known of the inode and to write it home.
    pub fn begin_writing(&self, inode: Inode) {
        if let Some(lasting) = &self.lasting {
            lasting.begin_writing(inode, |writers| self.note_writers(writers));
        }
    }

    /// Leaves evidence that there are facts. To be done before the first is written home.
    ///
    /// # Errors
    /// `ENOSPC`, `EDQUOT`, `EIO`: then it must not be written.
    pub fn leave_mark(&self) -> Result<(), Errno> {
        let left = self.lasting.as_ref().map_or(Ok(()), Lasting::leave_mark);
        self.note_known();
        left
    }

    /// The same before the first device is.
    ///
    /// # Errors
    /// As [`Ownership::leave_mark`].
    pub fn leave_mark_of_device(&self) -> Result<(), Errno> {
        let left = self.lasting.as_ref().map_or(Ok(()), Lasting::leave_mark_of_device);
        self.note_known();
        left
    }

    /// What there is evidence of by now that another run has left meanwhile. Says so once.
    pub fn finds_evidence(&self) -> Evidence {
        self.disturb_slate_unless_quiet();
        let found = self.lasting.as_ref().map_or(Evidence::Nothing, Lasting::finds_evidence);
        if found != Evidence::Nothing {
            self.note_known();
        }
        if found == Evidence::Devices {
            self.devices.expect(self.slate());
        }
        found
    }

    /// It stands there.
    pub fn end_writing(&self, inode: Inode) {
        if let Some(lasting) = &self.lasting {
            lasting.end_writing(inode, |writers| self.note_writers(writers));
        }
    }

    /// What memory says of an inode.
    pub fn remembered(&self, identity: Identity) -> Fact {
        let record = self.store.get(identity.inode()).filter(|record| record.birth == identity.birth);
        record.map_or(Fact::default(), |record| record.fact)
    }

    /// Keeps a fact beside its inode; forgets it where it is empty.
    ///
    /// # Errors
    /// `ENOSPC` where the filesystem is full; `EIO` and its like.
    pub fn keep(&self, identity: Identity, fact: &Fact) -> Result<(), Errno> {
        if let Some(slate) = self.slate().filter(|_| !fact.is_empty()) {
            slate.disturb();
        }
        let kept = self.lasting.as_ref().map_or(Ok(()), |lasting| lasting.keep(identity, fact));
        self.disturb_slate_unless_quiet();
        kept
    }

    /// What is known of the inode with this number that has this ctime, if the caller has one.
    pub fn ask(&self, inode: Inode, ctime: Option<Ctime>) -> Answer {
        let record = self.store.get(inode);
        if self.is_unread(inode, ctime) {
            return Answer::Unread(record.map(|record| record.fact).or_else(|| self.waiting(inode)));
        }
        match record {
            None => Answer::Nothing,
            Some(record) if ctime.is_some() && self.confirmed.read().get(&inode).copied() == ctime => {
                Answer::Known(record.fact)
            }
            Some(record) => Answer::Unsure(record.fact),
        }
    }

    /// The fact of an inode whose birth time is known. A record of an earlier birth time is of an inode that is gone, and is
    /// dropped; one of a later is of another inode, since which this one [is gone](Ownership::has_outlived).
    pub fn confirm(&self, identity: Identity, ctime: Ctime) -> Option<Fact> {
        let inode = identity.inode();
        let record = self.store.get(inode)?;
        if record.birth == identity.birth {
            if self.confirmed.read().get(&inode) != Some(&ctime) && self.tick.pass(ctime.nanoseconds()) {
                self.confirmed.write().insert(inode, ctime);
            }
            Some(record.fact)
        } else {
            if record.birth < identity.birth {
                self.store.remove(inode, record.birth);
                self.confirmed.write().remove(&inode);
            }
            None
        }
    }

    /// Whether something is known of an inode that was born later with the same number: whoever has seen this one has
    /// seen it a while ago.
    pub fn has_outlived(&self, identity: Identity) -> bool {
        self.store.get(identity.inode()).is_some_and(|record| record.birth > identity.birth)
    }

    /// Changes what is known of an inode, in one step, and gives the new fact; an empty one is
    /// forgotten.
    pub fn change(&self, identity: Identity, change: impl Fn(Option<Fact>) -> Fact) -> Fact {
        let fact = self.put(identity, &change);
        if fact.is_empty() {
            self.confirmed.write().remove(&identity.inode());
        } else {
            self.tick.pass(identity.birth);
        }
        fact
    }

    /// Which inodes may be devices.
    pub fn devices(&self) -> &Devices {
        &self.devices
    }

    /// There is an inode that is immutable or append-only by its fact.
    pub fn set_freezes(&self) {
        self.freezes.store(true, Ordering::Release);
    }

    /// Whether there may be one.
    pub fn freezes(&self) -> bool {
        self.freezes.load(Ordering::Acquire)
    }

    /// There is a set-gid directory with an emulated group.
    pub fn set_inherits(&self) {
        self.inherits.store(true, Ordering::Release);
    }

    /// Whether some set-gid directory may pass an emulated group on to what is made in it.
    pub fn inherits(&self) -> bool {
        self.inherits.load(Ordering::Acquire)
    }
}

#[cfg(test)]
mod tests;
