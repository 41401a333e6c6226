//! What processes may read of the slate, and when they may.

use super::slate::{Shown, Slate};
use super::{Answer, Fact, Identity, Kernel, Ownership};
use crate::abi::stat::{S_IFDIR, S_IFLNK, S_IFMT, S_IFREG, Statx};
use crate::cred::{Cap, Uid, View};

impl Ownership {
    /// The slate, if there is one.
    pub fn slate(&self) -> Option<&Slate> {
        self.slate.get()?.as_ref()
    }

    /// The slate, made where there is none yet; opened where processes may read from now on what is shown of inodes, which
    /// they may not where that depends on more than an entry can say.
    pub fn open_slate(&self, view: &View) -> Option<&Slate> {
        let slate = self.slate.get_or_init(Slate::make).as_ref()?;
        let is_plain = !view.lacks_privilege() && view.untouched.is_none();
        let lists = self.records_all() || self.carried.get().is_some();
        let is_read = match &self.lasting {
            Some(lasting) => lasting.in_attributes(),
            None => !self.is_empty(),
        };
        if is_plain && !lists && is_read && slate.is_new() {
            let almighty = [Cap::CHOWN, Cap::FOWNER, Cap::FSETID, Cap::DAC_OVERRIDE];
            let is_almighty = !self.tells_changes
                && view.initial.fsuid == Uid::ROOT
                && almighty.iter().all(|&cap| view.initial.has(cap));
            if let Some(lasting) = &self.lasting {
                lasting.tell_writers(|writers| slate.note_writers(writers));
            }
            self.devices.tell(slate);
            slate.open(self.is_quiet() && view.is_of_one_id(), is_almighty, !self.knows_something());
            self.restrain_slate();
            // Who got to know something meanwhile may have found no slate that says otherwise.
            if self.knows_something() {
                slate.fill();
            }
            // Who kept something elsewhere meanwhile may have found nothing to disturb.
            self.disturb_slate_unless_quiet();
        }
        Some(slate)
    }

    /// Has the slate know that something is kept elsewhere than on its inode, if that is so.
    pub(super) fn disturb_slate_unless_quiet(&self) {
        if let Some(slate) = self.slate().filter(|slate| slate.is_quiet())
            && !self.is_quiet()
        {
            slate.disturb();
        }
    }

    fn knows_something(&self) -> bool {
        !self.is_empty() || self.may_have_extras()
    }

    /// Something is known of an inode. To be called when that can be seen already, for who opens the slate at this moment.
    pub(super) fn note_known(&self) {
        if let Some(slate) = self.slate() {
            slate.fill();
        }
    }

    pub(super) fn note_writers(&self, count: u64) {
        if let Some(slate) = self.slate() {
            slate.note_writers(count);
        }
    }

    pub(super) fn close_slate(&self) {
        if let Some(slate) = self.slate() {
            slate.close();
        }
    }

    pub(super) fn is_quiet(&self) -> bool {
        self.beside.is_empty() && self.lasting.as_ref().is_some_and(|lasting| lasting.is_quiet())
    }

    /// What is shown of an inode may be read there until it changes, if that is certain.
    pub fn enter(&self, statx: &Statx, view: &View) {
        let Some(slate) = self.slate() else { return };
        let (inode, kind) = (Identity::of(statx).inode(), statx.mode & S_IFMT);
        if statx.birth == 0 || !matches!(kind, S_IFREG | S_IFDIR | S_IFLNK) {
            return;
        }
        let kernel = Kernel { uid: statx.uid, gid: statx.gid, mode: statx.mode };
        let if_quiet = self
            .lasting
            .as_ref()
            .is_some_and(|lasting| kind == S_IFLNK || !kernel.is_ours(view) || lasting.stands_beside(inode));
        if if_quiet && !slate.is_quiet() {
            return;
        }
        slate.enter(inode, statx.ctime, || {
            let fact: Option<Fact> = match self.ask(inode, Some(statx.ctime)) {
                Answer::Nothing => None,
                Answer::Known(fact) => Some(fact),
                Answer::Unsure(_) | Answer::Unread(_) => return None,
            };
            Shown::of(kernel, view, fact, if_quiet)
        });
    }
}
