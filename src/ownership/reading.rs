//! Reading what earlier runs and other tools have left of an inode.

use std::ffi::CStr;

use super::home::Lasting;
use super::table::Record;
use super::{EXTRAS, Extras, Fact, Filesystem, Found, Identity, Inode, Kernel, Ownership, reach, rules};
use crate::abi::Errno;
use crate::abi::stat::Ctime;
use crate::cred::View;

/// Somebody reads the home of an inode.
#[derive(Debug)]
#[must_use]
pub struct Reading {
    identity: Identity,
    ctime: Ctime,
    /// Whether a change from the beginning on gives the inode another ctime.
    settled: bool,
}

impl Ownership {
    /// Whether the inode's home has to be read before anything is said of it.
    pub fn is_unread(&self, inode: Inode, ctime: Option<Ctime>) -> bool {
        let unread = |lasting: &Lasting| {
            lasting.is_unread(inode, ctime) || lasting.is_outdated(inode, self.store.get(inode))
        };
        self.waiting(inode).is_some() || self.lasting.as_ref().is_some_and(unread)
    }

    /// Whether the inode's home was ever read, at whatever ctime, or need not be.
    pub fn was_read(&self, inode: Inode) -> bool {
        self.lasting.as_ref().is_none_or(|lasting| lasting.was_read(inode))
    }

    /// Somebody begins to read the home of an inode that had this ctime, and will [`learn`](Ownership::learn)
    /// from it.
    pub fn begin_reading(&self, identity: Identity, ctime: Ctime) -> Reading {
        // Most of what is young is looked at once between two changes: only the second look sees to it that there is
        // no third.
        let again = self.lasting.as_ref().is_some_and(|lasting| {
            lasting.begin_reading(identity.inode());
            lasting.is_unsettled(identity.inode(), ctime)
        });
        let moment = ctime.nanoseconds();
        let settled = if again { self.tick.pass(moment) } else { self.tick.has_passed(moment) };
        Reading { identity, ctime, settled }
    }

    /// What is kept of an inode, where its attributes bear `borne`: they outshine what is kept beside it.
    ///
    /// # Errors
    /// Where nothing is found, and not everything could be read.
    pub fn found(
        &self,
        identity: Identity,
        borne: Result<(Fact, Option<Extras>), Errno>,
    ) -> Result<Found, Errno> {
        let kept = self.lasting.as_ref().map(Lasting::kept).ok_or(Errno::ENODATA)?;
        let version = kept.version();
        let (fact, extras) = match borne {
            Ok((fact, extras)) => (Ok(fact), extras),
            Err(errno) => (Err(errno), None),
        };
        let (fact, mut beside) = match fact {
            Ok(fact) if !fact.is_empty() => {
                let kept = kept.fact(identity).unwrap_or_default();
                (fact.beside(kept), kept.is_some())
            }
            borne => match kept.fact(identity)? {
                Some(fact) => (fact, true),
                None => (borne?, false),
            },
        };
        let extras = extras
            .map_or_else(|| self.kept_extras(identity).inspect(|kept| beside |= !kept.is_empty()), Ok)?;
        Ok(Found { fact, extras, version, beside })
    }

    /// What is known or kept of an inode that was not looked at, and may be another than the one of that number.
    pub fn kept_of(&self, identity: Identity) -> Option<Fact> {
        let known = Some(self.remembered(identity)).filter(|fact| !fact.is_empty());
        let kept = || self.lasting.as_ref()?.kept().peek(identity.dev, identity.ino).0;
        let same = |record: Record| (i128::from(record.birth) == identity.birth).then_some(record.fact);
        known.or_else(|| kept().and_then(same))
    }

    fn kept_extras(&self, identity: Identity) -> Result<Extras, Errno> {
        let packed = self.attribute(identity, EXTRAS.to_bytes())?;
        Ok(packed.map(|packed| Extras::parse(&packed)).unwrap_or_default())
    }

    /// What was found at the inode's home. Does not count where it was written meanwhile, which memory knows
    /// better, or where it could not be read.
    pub fn learn(&self, reading: Reading, kernel: Kernel, found: Result<Found, Errno>) {
        let Some(lasting) = &self.lasting else { return };
        let Reading { identity, ctime, settled } = reading;
        let Ok(found) = found else { return lasting.give_up_reading(identity.inode()) };
        let fact = found.fact.found(kernel);
        if fact.flags & rules::FROZEN != 0 {
            self.set_freezes();
        }
        lasting.end_reading(identity.inode(), (ctime, settled), (found.version, found.beside), || {
            if self.has_outlived(identity) {
                return;
            }
            let homeless = lasting.is_homeless(identity);
            self.put(identity, &|known| if homeless { fact.beside(known) } else { fact });
            self.extras.put(identity, found.extras);
        });
    }

    /// Reads the home of an inode that the tracer itself knows by path, if it has to be read.
    pub fn recall(&self, path: &CStr, identity: Identity, ctime: Ctime, (kernel, view): (Kernel, &View)) {
        let Some(lasting) = self.lasting.as_ref() else { return };
        if lasting.is_unread(identity.inode(), Some(ctime)) {
            let reading = self.begin_reading(identity, ctime);
            let found = self.find(lasting, path, identity, (kernel, view));
            self.learn(reading, kernel, found);
        }
    }

    /// What earlier runs have left of an inode that the caller reaches by a path, whether or not there is evidence of any.
    /// Nothing is remembered.
    ///
    /// # Errors
    /// As [`Ownership::found`].
    pub fn left_of(
        &self,
        path: &CStr,
        identity: Identity,
        (kernel, view): (Kernel, &View),
    ) -> Result<(Fact, Extras), Errno> {
        let Some(lasting) = self.lasting.as_ref() else { return Ok(Default::default()) };
        let found = self.find(lasting, path, identity, (kernel, view))?;
        Ok((found.fact.found(kernel), found.extras))
    }

    fn find(
        &self,
        lasting: &Lasting,
        path: &CStr,
        identity: Identity,
        (kernel, view): (Kernel, &View),
    ) -> Result<Found, Errno> {
        if lasting.kept().wants_filesystem(identity.dev, None)
            && let Ok(statfs) = reach::statfs(path)
        {
            self.know_filesystem_of(identity.dev, None, Filesystem::of(statfs, identity.dev));
        }
        let is_believed = kernel.is_believed(view);
        let borne = if is_believed { lasting.borne_by(path) } else { Ok(Default::default()) };
        self.found(identity, borne)
    }
}
