//! What is shown of inodes, where processes read it themselves: a table that they map (`sys/inside.s` reads it).
//!
//! *Invariant:* an entry says of an inode with this change time what [`Ownership::ask`](super::Ownership::ask) would say of
//! it. It is made from such an answer, and taken away before the fact that it came from is changed for anybody.
//!
//! A reader compares the number of changes before and after, which is odd meanwhile, so it never takes half an entry for
//! a whole one. What is written beside inodes another run may change without a trace on the inode: an entry about what
//! can bear nothing, or is not ours to write to, says so, and counts only as long as the slate is *quiet*: nothing is
//! known that stands elsewhere than on its inode. Then no inode needs an entry: what its attributes say is all, but while
//! somebody has changed what memory says, and not what stands on the inode.
//!
//! Of most inodes there is nothing to say. Instead of an entry they have a word that tells so, of 63 bits of what number, device
//! and change time are multiplied to; and a bit says of an inode's number whether there may be an entry. So a process that has
//! just begun does not fault in a page of entries for each look. As long as nothing is known of any inode, and none is to be
//! looked at for what it bears, the slate is *empty*, and the kernel's answers are right.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering, fence};

use parking_lot::Mutex;

use super::{Attributes, Fact, Inode, Kernel, Times};
use crate::abi::stat::{Ctime, PERMISSIONS};
use crate::cred::View;
use crate::sys::inside::{
    BITS, DEVICE_BITS, DEVICE_WORDS, ENTRY_WORDS, FACTOR, HEAD_WORDS, HINT_BITS, HINT_WORDS, Inside,
    LIBRARY_BITS, LIBRARY_SIZE, LIBRARY_WORDS, PLAIN_BITS, PLAIN_WAYS, PLAIN_WORDS, WAYS,
};

/// Where in the head the number of changes stands, the state, and how many inodes' homes are being written.
const SEQUENCE: usize = 0;
const STATE: usize = 1;
const WRITERS: usize = 2;
/// State: it may be read.
const ENABLED: u64 = 1;
/// State: it is quiet.
const QUIET: u64 = 2;
/// State: who has not dropped anything may do everything to an inode of its own.
const ALMIGHTY: u64 = 4;
/// State: a device may be open in place of the file that stands for it.
const REPLACED: u64 = 8;
/// State: nothing is known of any inode.
const EMPTY: u64 = 16;
/// What an entry has to say, above the permission bits.
const SHOWS_UID: u32 = 0x10000;
const SHOWS_GID: u32 = 0x20000;
const SHOWS_MODE: u32 = 0x40000;
/// It counts only while the slate is quiet.
const IF_QUIET: u32 = 0x80000;
/// The same in the word of a plain one.
const PLAIN_IF_QUIET: u64 = 1;

/// What is to be put over what the kernel says of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(super) struct Shown {
    pub uid: Option<u32>,
    pub gid: Option<u32>,
    pub mode: Option<u16>,
    /// Whether that counts only while the slate is quiet.
    pub if_quiet: bool,
}

impl Shown {
    /// `None` where there is more to put there than an entry can say.
    pub fn of(kernel: Kernel, view: &View, fact: Option<Fact>, if_quiet: bool) -> Option<Shown> {
        let seen = Attributes::seen(kernel, view, fact);
        let beyond = seen.device.is_some() || seen.times != Times::default() || seen.flags != 0;
        (!beyond).then(|| Shown {
            uid: (seen.uid.0 != kernel.uid).then_some(seen.uid.0),
            gid: (seen.gid.0 != kernel.gid).then_some(seen.gid.0),
            mode: (seen.mode != kernel.mode).then_some(seen.mode),
            if_quiet,
        })
    }
}

/// See the module.
#[derive(Debug)]
pub struct Slate {
    inside: Inside,
    /// Which place is given away next where all are taken.
    writing: Mutex<usize>,
    /// Whether nobody was to open it yet.
    new: AtomicBool,
    /// Whether processes may give what is theirs away, as far as their capabilities go.
    almighty: AtomicBool,
}

impl Slate {
    /// An empty one that nobody may read yet; `None` where there is nobody to read it.
    pub(super) fn make() -> Option<Slate> {
        let inside = Inside::make().inspect_err(|errno| tracing::debug!(?errno, "no slate")).ok()?;
        Some(Slate {
            inside,
            writing: Mutex::new(0),
            new: AtomicBool::new(true),
            almighty: AtomicBool::default(),
        })
    }

    /// What is mapped.
    pub fn inside(&self) -> &Inside {
        &self.inside
    }

    /// Whether it is for the caller to open it, who alone hears so.
    pub(super) fn is_new(&self) -> bool {
        self.new.load(Ordering::Relaxed) && self.new.swap(false, Ordering::SeqCst)
    }

    pub(super) fn open(&self, quiet: bool, almighty: bool, empty: bool) {
        let bit = |is_set: bool, bit: u64| if is_set { bit } else { 0 };
        let bits = ENABLED | bit(quiet, QUIET) | bit(almighty, ALMIGHTY) | bit(empty, EMPTY);
        self.almighty.store(almighty, Ordering::SeqCst);
        self.set(|state| state & REPLACED | bits);
    }

    /// No process may give anything away, or change its mode or times, without the tracer.
    pub(super) fn restrain(&self) {
        self.set(|state| state & !ALMIGHTY);
    }

    /// They may again, if they might.
    pub(super) fn release(&self) {
        if self.almighty.load(Ordering::SeqCst) {
            self.set(|state| if state & ENABLED == 0 { state } else { state | ALMIGHTY });
        }
    }

    /// Something is known.
    pub(super) fn fill(&self) {
        if self.word(STATE).load(Ordering::Acquire) & EMPTY != 0 {
            self.set(|state| state & !EMPTY);
        }
    }

    /// A device is about to be open in place of the file that stands for it.
    pub(super) fn note_replaced(&self) {
        self.set(|state| state | REPLACED);
    }

    /// Nobody may read it any more.
    pub(super) fn close(&self) {
        self.new.store(false, Ordering::SeqCst);
        self.set(|_| 0);
    }

    /// Something is known that does not stand on its inode.
    pub(super) fn disturb(&self) {
        if self.word(STATE).load(Ordering::Acquire) & QUIET != 0 {
            self.set(|state| state & !QUIET);
        }
    }

    /// So many inodes' homes are being written: what stands there may not be what memory says already.
    pub(super) fn note_writers(&self, count: u64) {
        self.word(WRITERS).store(count, Ordering::SeqCst);
    }

    /// An inode with this number may stand for a device.
    pub(super) fn note_device(&self, ino: u64) {
        self.set_bit(DEVICE_WORDS.start, DEVICE_BITS, ino);
    }

    /// Every inode may.
    pub(super) fn expect_devices(&self) {
        for word in DEVICE_WORDS {
            self.word(word).store(u64::MAX, Ordering::SeqCst);
        }
    }

    /// In the file with this inode number there is a site at this place, behind these bytes. Of a file that has another's
    /// number readers find no site there, or one as good.
    pub fn note_library(&self, ino: u64, at: u32, before: [u8; 4]) {
        let _writing = self.writing.lock();
        let nth = ino.wrapping_mul(FACTOR) >> (u64::BITS - LIBRARY_BITS);
        let first = LIBRARY_WORDS.start + nth as usize * LIBRARY_SIZE;
        let words = first + 1..first + LIBRARY_SIZE;
        let own = self.word(first);
        if own.load(Ordering::Relaxed) != ino {
            own.store(0, Ordering::Relaxed);
            words.clone().for_each(|word| self.word(word).store(0, Ordering::Relaxed));
        }
        let site = u64::from(at) | u64::from(u32::from_le_bytes(before)) << u32::BITS;
        let is_its = |word: &usize| {
            let known = self.word(*word).load(Ordering::Relaxed) as u32;
            known == 0 || known == at
        };
        if let Some(word) = words.clone().find(is_its) {
            self.word(word).store(site, Ordering::Relaxed);
        }
        own.store(ino, Ordering::Release);
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.word(STATE).load(Ordering::Acquire) & QUIET != 0
    }

    /// Makes an entry of what `ask` says of an inode, if it says something: nothing can change meanwhile.
    pub(super) fn enter(&self, inode: Inode, ctime: Ctime, ask: impl FnOnce() -> Option<Shown>) {
        let Ok(dev) = u32::try_from(inode.dev) else { return };
        let mut next = self.writing.lock();
        let Some(Shown { uid, gid, mode, if_quiet }) = ask() else { return };
        let places = places(inode.ino);
        let own = places.into_iter().find(|&place| self.holds(place, inode));
        let is_plain = uid.is_none() && gid.is_none() && mode.is_none();
        let told = told(inode.ino, ctime, dev);
        *next = (*next + 1) % WAYS;
        if is_plain && told != 0 {
            let ways = plain(inode.ino);
            let known = |&way: &usize| self.word(way).load(Ordering::Relaxed) & !PLAIN_IF_QUIET == told;
            let free = |&way: &usize| self.word(way).load(Ordering::Relaxed) == 0;
            let way = ways.into_iter().find(known).or_else(|| ways.into_iter().find(free));
            let Some(way) = way.or(ways.get(*next % PLAIN_WAYS).copied()) else { return };
            self.change(|| {
                own.into_iter().for_each(|place| self.word(place).store(0, Ordering::Relaxed));
                self.word(way).store(told | u64::from(if_quiet), Ordering::Relaxed);
            });
            return;
        }
        let bit = |is_set: bool, bit: u32| if is_set { bit } else { 0 };
        let what = bit(uid.is_some(), SHOWS_UID) | bit(gid.is_some(), SHOWS_GID) | bit(if_quiet, IF_QUIET);
        let what = what | mode.map_or(0, |mode| SHOWS_MODE | u32::from(mode & PERMISSIONS));
        let ids = [uid.unwrap_or(0), gid.unwrap_or(0)];
        let free = || places.into_iter().find(|&place| self.word(place).load(Ordering::Relaxed) == 0);
        let Some(place) = own.or_else(free).or(places.get(*next).copied()) else { return };
        let [what, ids] = [[dev, what], ids].map(|[low, high]| u64::from(low) | u64::from(high) << 32);
        self.set_bit(HINT_WORDS.start, HINT_BITS, inode.ino);
        self.change(|| {
            self.forget_plain(inode.ino);
            for (word, value) in (place..).zip([inode.ino, ctime.0, what, ids]) {
                self.word(word).store(value, Ordering::Relaxed);
            }
        });
    }

    /// Nothing is known to be plain of this number.
    fn forget_plain(&self, ino: u64) {
        plain(ino).into_iter().for_each(|way| self.word(way).store(0, Ordering::Relaxed));
    }

    /// Changes what is known of an inode; nobody reads anything meanwhile.
    pub(super) fn change_of<T>(&self, inode: Inode, change: impl FnOnce() -> T) -> T {
        let _writing = self.writing.lock();
        self.change(|| {
            for place in places(inode.ino).into_iter().filter(|&place| self.holds(place, inode)) {
                self.word(place).store(0, Ordering::Relaxed);
            }
            self.forget_plain(inode.ino);
            change()
        })
    }

    /// Nothing counts any more.
    pub(super) fn wipe(&self) {
        let _writing = self.writing.lock();
        self.change(|| {
            for place in (HEAD_WORDS..self.inside.words().len()).step_by(ENTRY_WORDS) {
                if self.word(place).load(Ordering::Relaxed) != 0 {
                    self.word(place).store(0, Ordering::Relaxed);
                }
            }
            for word in HINT_WORDS.chain(PLAIN_WORDS) {
                self.word(word).store(0, Ordering::Relaxed);
            }
        });
    }

    fn holds(&self, place: usize, inode: Inode) -> bool {
        let [ino, dev] = [place, place + 2].map(|word| self.word(word).load(Ordering::Relaxed));
        ino == inode.ino && u64::from(dev as u32) == inode.dev
    }

    /// Sets an inode's bit of two to the power of `bits` that stand from this word on.
    fn set_bit(&self, words: usize, bits: u32, ino: u64) {
        let bit = ino.wrapping_mul(FACTOR) >> (u64::BITS - bits);
        let word = words + (bit / u64::from(u64::BITS)) as usize;
        self.word(word).fetch_or(1 << (bit % u64::from(u64::BITS)), Ordering::SeqCst);
    }

    fn set(&self, state: impl FnOnce(u64) -> u64) {
        let _writing = self.writing.lock();
        let word = self.word(STATE);
        self.change(|| word.store(state(word.load(Ordering::Relaxed)), Ordering::Relaxed));
    }

    /// To be called by who holds the lock.
    fn change<T>(&self, change: impl FnOnce() -> T) -> T {
        let sequence = self.word(SEQUENCE);
        let before = sequence.load(Ordering::Relaxed);
        sequence.store(before.wrapping_add(1), Ordering::Relaxed);
        fence(Ordering::SeqCst);
        let outcome = change();
        fence(Ordering::SeqCst);
        sequence.store(before.wrapping_add(2), Ordering::Release);
        outcome
    }

    fn word(&self, index: usize) -> &AtomicU64 {
        static NONE: AtomicU64 = AtomicU64::new(0);
        self.inside.words().get(index).unwrap_or(&NONE)
    }
}

/// Where an inode's entry may begin.
fn places(ino: u64) -> [usize; WAYS] {
    let first = ino.wrapping_mul(FACTOR) >> (u64::BITS - BITS);
    std::array::from_fn(|way| HEAD_WORDS + (first as usize + way) * ENTRY_WORDS)
}

/// Where its word may stand, if there is nothing to say of it.
fn plain(ino: u64) -> [usize; PLAIN_WAYS] {
    let first = ino.wrapping_mul(FACTOR) >> (u64::BITS - PLAIN_BITS);
    std::array::from_fn(|way| PLAIN_WORDS.start + first as usize * PLAIN_WAYS + way)
}

/// That word, but for its lowest bit.
fn told(ino: u64, ctime: Ctime, dev: u32) -> u64 {
    let mixed = (ino.wrapping_mul(FACTOR) ^ ctime.0).wrapping_mul(FACTOR).rotate_left(32);
    (mixed ^ u64::from(dev)) & !PLAIN_IF_QUIET
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::inside::LIBRARY_SITES;

    fn inode(ino: u64) -> Inode {
        Inode { dev: 5, ino }
    }

    fn owned(uid: u32) -> Shown {
        Shown { uid: Some(uid), gid: Some(uid), mode: Some(0o104_711), if_quiet: false }
    }

    /// The words of an inode's entry.
    fn entry(slate: &Slate, ino: u64) -> Option<[u64; ENTRY_WORDS]> {
        let place = places(ino).into_iter().find(|&place| slate.holds(place, inode(ino)))?;
        Some(std::array::from_fn(|word| slate.word(place + word).load(Ordering::Relaxed)))
    }

    #[test]
    fn an_entry_says_what_was_answered_until_it_is_taken_away() {
        let Some(slate) = Slate::make() else { return };
        slate.enter(inode(7), Ctime(9), || Some(owned(33)));
        let what = u64::from(SHOWS_UID | SHOWS_GID | SHOWS_MODE | 0o4711) << 32 | 5;
        assert_eq!(entry(&slate, 7), Some([7, 9, what, 33 << 32 | 33]));
        slate.enter(inode(7), Ctime(10), || Some(Shown { if_quiet: true, ..owned(33) }));
        assert_eq!(entry(&slate, 7), Some([7, 10, what | u64::from(IF_QUIET) << 32, 33 << 32 | 33]));
        slate.change_of(inode(7), || ());
        assert_eq!(entry(&slate, 7), None);
        slate.enter(inode(7), Ctime(9), || None);
        assert_eq!(entry(&slate, 7), None);
    }

    #[test]
    fn of_what_there_is_nothing_to_say_a_word_tells_so_until_there_is() {
        let Some(slate) = Slate::make() else { return };
        let words = || plain(7).map(|way| slate.word(way).load(Ordering::Relaxed));
        let word = told(7, Ctime(9), 5);
        slate.enter(inode(7), Ctime(9), || Some(Shown::default()));
        assert_eq!((entry(&slate, 7), words()), (None, [word, 0]));
        slate.enter(inode(7), Ctime(9), || Some(Shown { if_quiet: true, ..Shown::default() }));
        assert_eq!(words(), [word | 1, 0]);
        slate.enter(inode(7), Ctime(10), || Some(Shown::default()));
        assert_eq!(words(), [word | 1, told(7, Ctime(10), 5)]);
        slate.enter(inode(7), Ctime(10), || Some(owned(33)));
        assert_eq!((entry(&slate, 7).is_some(), words()), (true, [0, 0]));
        slate.enter(inode(7), Ctime(10), || Some(Shown::default()));
        assert_eq!((entry(&slate, 7), words()), (None, [told(7, Ctime(10), 5), 0]));
        slate.change_of(inode(7), || ());
        assert_eq!(words(), [0, 0]);
    }

    #[test]
    fn it_is_empty_until_something_is_known() {
        let Some(slate) = Slate::make() else { return };
        slate.open(true, true, true);
        assert_eq!(slate.word(STATE).load(Ordering::Relaxed), ENABLED | QUIET | ALMIGHTY | EMPTY);
        slate.fill();
        assert_eq!(slate.word(STATE).load(Ordering::Relaxed), ENABLED | QUIET | ALMIGHTY);
    }

    #[test]
    fn what_an_entry_cannot_say_is_not_entered() {
        let (kernel, view) = (Kernel { uid: 0, gid: 0, mode: 0o100_644 }, View::of_root_alone());
        let shown = |fact| Shown::of(kernel, &view, Some(fact), false);
        assert_eq!(shown(Fact { mode: Some(0o644), ..Fact::default() }), Some(Shown::default()));
        assert_eq!(shown(Fact { flags: 0x10, ..Fact::default() }), None);
    }

    #[test]
    fn a_library_has_its_sites_until_another_takes_its_place() {
        let Some(slate) = Slate::make() else { return };
        let sites = |ino: u64| -> Option<Vec<[u32; 2]>> {
            let first = (LIBRARY_WORDS.step_by(LIBRARY_SIZE))
                .find(|&first| slate.word(first).load(Ordering::Relaxed) == ino)?;
            let words =
                (first + 1..first + LIBRARY_SIZE).map(|word| slate.word(word).load(Ordering::Relaxed));
            Some(words.filter(|&word| word != 0).map(|word| [word as u32, (word >> 32) as u32]).collect())
        };
        for at in [30, 10, 30, 20] {
            slate.note_library(7, at, [1, 2, 3, 4]);
        }
        assert_eq!(sites(7), Some([30, 10, 20].map(|at| [at, 0x0403_0201]).to_vec()));
        (1..40).for_each(|at| slate.note_library(8, at, [0; 4]));
        assert_eq!(sites(8), Some((1..=LIBRARY_SITES as u32).map(|at| [at, 0]).collect()));
        let others = 9..9 + (4 << LIBRARY_BITS);
        others.for_each(|ino| slate.note_library(ino, 5, [0; 4]));
        assert_eq!(sites(7), None);
    }

    #[test]
    fn there_is_room_for_every_inode_that_comes() {
        let Some(slate) = Slate::make() else { return };
        for ino in 1..1 << (BITS + 1) {
            slate.enter(inode(ino), Ctime(9), || Some(owned(33)));
            assert!(entry(&slate, ino).is_some(), "{ino}");
        }
        slate.wipe();
        assert!((1..1 << (BITS + 1)).all(|ino| entry(&slate, ino).is_none()));
    }
}
