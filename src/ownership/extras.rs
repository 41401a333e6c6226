//! Extended attributes that the kernel of a one-id namespace does not take: `trusted.*`, most of `security.*`,
//! the names in POSIX ACLs, and everything on inodes that are not ours.
//!
//! Those of one inode are packed into one value, which stands at the inode's [home](super::home) like a fact.

use std::collections::{BTreeMap, HashMap};
use std::ffi::CStr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::RwLock;

use super::home::Lasting;
use super::{Identity, Inode, Ownership, reach};
use crate::abi::{VfsCaps, acl};
use crate::cred::{CapSet, FileCaps};

/// Name of the attribute that holds them.
pub const EXTRAS: &CStr = c"user.remainroot.xattrs";
/// Name of the attribute that holds a file's capabilities.
pub const CAPABILITY: &[u8] = CAPABILITY_NAME.to_bytes();
/// The same with a NUL behind it.
pub const CAPABILITY_NAME: &CStr = c"security.capability";

/// The first byte of a packed value.
const VERSION: u8 = 1;
const WHOLE: u8 = 0;
const BESIDE: u8 = 1;
const GONE: u8 = 2;

/// What is remembered of one attribute.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Extra {
    /// Its value. What the kernel has under that name does not count.
    Whole(Vec<u8>),
    /// What the kernel could not keep of it. Void where the kernel has none any more.
    Beside(Vec<u8>),
    /// The guest has removed it, which the kernel would not do.
    Gone,
}

impl Extra {
    /// The value that is shown of the attribute with this name where the kernel has `kernels`; `None` where there is none.
    pub fn shown(&self, name: &[u8], kernels: Option<&[u8]>) -> Option<Vec<u8>> {
        match self {
            Extra::Whole(value) => Some(value.clone()),
            Extra::Gone => None,
            Extra::Beside(beside) => joined(name, kernels?, beside).or(kernels.map(<[u8]>::to_vec)),
        }
    }
}

/// The value of which the kernel has one part and the other was kept beside it; `None` where these do not belong together,
/// since another run without us may have set another.
pub fn joined(name: &[u8], kernels: &[u8], beside: &[u8]) -> Option<Vec<u8>> {
    if name == CAPABILITY {
        let (kernel, ours) = (VfsCaps::parse(kernels)?, VfsCaps::parse(beside)?);
        return (VfsCaps { root: ours.root, ..kernel } == ours).then(|| ours.shown());
    }
    Some(acl::bytes(&acl::merge(&acl::parse(kernels)?, &acl::parse(beside)?)))
}

/// What is remembered of one inode, by the attributes' full names.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Extras(BTreeMap<Vec<u8>, Extra>);

impl Extras {
    /// Whether there is nothing to remember.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// What is remembered of an attribute.
    pub fn get(&self, name: &[u8]) -> Option<&Extra> {
        self.0.get(name)
    }

    /// Remembers, or with `None` forgets.
    pub fn set(&mut self, name: &[u8], extra: Option<Extra>) {
        match extra {
            Some(extra) => self.0.insert(name.to_vec(), extra),
            None => self.0.remove(name),
        };
    }

    /// All of it.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], &Extra)> {
        self.0.iter().map(|(name, extra)| (name.as_slice(), extra))
    }

    /// The packed value.
    pub fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![VERSION];
        for (name, extra) in &self.0 {
            let (kind, value) = match extra {
                Extra::Whole(value) => (WHOLE, value.as_slice()),
                Extra::Beside(value) => (BESIDE, value.as_slice()),
                Extra::Gone => (GONE, &[][..]),
            };
            bytes.push(kind);
            bytes.push(name.len() as u8);
            bytes.extend(name);
            bytes.extend((value.len() as u32).to_le_bytes());
            bytes.extend(value);
        }
        bytes
    }

    /// What a packed value says. What cannot be read says nothing.
    pub fn parse(bytes: &[u8]) -> Extras {
        let mut extras = Extras::default();
        let Some((&VERSION, mut rest)) = bytes.split_first() else { return extras };
        while let Some((name, extra, next)) = entry(rest) {
            extras.set(name, Some(extra));
            rest = next;
        }
        extras
    }
}

/// The first entry, and what follows it.
fn entry(bytes: &[u8]) -> Option<(&[u8], Extra, &[u8])> {
    let (&[kind, length], rest) = bytes.split_first_chunk::<2>()?;
    let (name, rest) = rest.split_at_checked(length.into())?;
    let (length, rest) = rest.split_first_chunk::<4>()?;
    let (value, rest) = rest.split_at_checked(u32::from_le_bytes(*length) as usize)?;
    let extra = match kind {
        WHOLE => Extra::Whole(value.to_vec()),
        BESIDE => Extra::Beside(value.to_vec()),
        GONE => Extra::Gone,
        _ => return None,
    };
    Some((name, extra, rest))
}

/// Those of all inodes that this run knows.
#[derive(Debug, Default)]
pub(super) struct All {
    inodes: RwLock<HashMap<Inode, (i128, Arc<Extras>)>>,
    /// Whether there were any.
    possible: AtomicBool,
    /// Whether some stand for what the kernel could hold, but not on inodes of others.
    foreign: AtomicBool,
}

impl All {
    pub(super) fn are_possible(&self) -> bool {
        self.possible.load(Ordering::Acquire)
    }

    pub(super) fn may_be_foreign(&self) -> bool {
        self.foreign.load(Ordering::Acquire)
    }

    pub(super) fn expect(&self, foreign: bool) {
        self.possible.store(true, Ordering::Release);
        self.foreign.fetch_or(foreign, Ordering::Release);
    }

    pub(super) fn of(&self, identity: Identity) -> Arc<Extras> {
        let inodes = self.inodes.read();
        let known = inodes.get(&identity.inode()).filter(|(birth, _)| *birth == identity.birth);
        known.map(|(_, extras)| Arc::clone(extras)).unwrap_or_default()
    }

    pub(super) fn put(&self, identity: Identity, extras: Extras) {
        if extras.is_empty() && self.inodes.read().is_empty() {
            return;
        }
        let mut inodes = self.inodes.write();
        if extras.is_empty() {
            inodes.remove(&identity.inode());
        } else {
            inodes.insert(identity.inode(), (identity.birth, Arc::new(extras)));
        }
    }

    /// Changes those of an inode in one step; gives what was and what is.
    pub(super) fn change(
        &self,
        identity: Identity,
        change: &dyn Fn(&mut Extras),
    ) -> (Arc<Extras>, Arc<Extras>) {
        let mut inodes = self.inodes.write();
        let known = inodes.get(&identity.inode()).filter(|(birth, _)| *birth == identity.birth);
        let old = known.map(|(_, extras)| Arc::clone(extras)).unwrap_or_default();
        let mut new = Extras::clone(&old);
        change(&mut new);
        let new = Arc::new(new);
        if new.is_empty() {
            inodes.remove(&identity.inode());
        } else {
            inodes.insert(identity.inode(), (identity.birth, Arc::clone(&new)));
        }
        (old, new)
    }
}

impl Ownership {
    /// Whether any inode may have extended attributes that the kernel does not know.
    pub fn may_have_extras(&self) -> bool {
        self.extras.are_possible() || self.lasting.as_ref().is_some_and(Lasting::evidence)
    }

    /// Whether some of them may stand for what the kernel could hold on inodes of ours. Earlier runs have left
    /// them on files that everybody may write, too.
    pub fn may_have_foreign_extras(&self) -> bool {
        self.extras.may_be_foreign() || self.lasting.as_ref().is_some_and(Lasting::evidence)
    }

    /// There are some, `foreign` ones.
    pub fn expect_extras(&self, foreign: bool) {
        self.extras.expect(foreign);
        self.note_known();
    }

    /// What memory says of an inode's extended attributes.
    pub fn extras(&self, identity: Identity) -> Arc<Extras> {
        self.extras.of(identity)
    }

    /// Changes that in one step; gives what was and what is.
    pub fn change_extras(
        &self,
        identity: Identity,
        change: impl Fn(&mut Extras),
    ) -> (Arc<Extras>, Arc<Extras>) {
        self.extras.change(identity, &change)
    }

    /// The capabilities of an inode's image, where the kernel has these as `security.capability`
    /// (`get_vfs_caps_from_disk`). Those of another user namespace's root are none here.
    pub fn file_caps(&self, identity: Identity, kernels: Option<&[u8]>) -> Option<FileCaps> {
        let extras = self.extras(identity);
        let caps = match extras.get(CAPABILITY) {
            None => VfsCaps::read(kernels?),
            Some(Extra::Whole(value)) => VfsCaps::read(value),
            Some(Extra::Beside(_) | Extra::Gone) => None,
        };
        let caps = caps.filter(|caps| caps.root == 0)?;
        let set = |bits| CapSet(bits).and(CapSet::FULL);
        Some(FileCaps {
            permitted: set(caps.permitted),
            inheritable: set(caps.inheritable),
            effective: caps.effective,
        })
    }

    /// The same of a file that the tracer itself knows by path.
    pub fn file_caps_at(&self, path: &CStr, identity: Identity) -> Option<FileCaps> {
        self.file_caps(identity, reach::get(path, CAPABILITY_NAME).ok().as_deref())
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn extra() -> impl Strategy<Value = Extra> {
        let value = || proptest::collection::vec(any::<u8>(), 0..40);
        prop_oneof![value().prop_map(Extra::Whole), value().prop_map(Extra::Beside), Just(Extra::Gone)]
    }

    proptest! {
        #[test]
        fn what_is_packed_is_unpacked(all in proptest::collection::btree_map("[a-z.]{0,255}", extra(), 0..6)) {
            let mut extras = Extras::default();
            for (name, extra) in all {
                extras.set(name.as_bytes(), Some(extra));
            }
            prop_assert_eq!(Extras::parse(&extras.bytes()), extras);
        }

        #[test]
        fn hostile_values_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            Extras::parse(&bytes);
            Extras::parse(&[&[VERSION], bytes.as_slice()].concat());
        }
    }

    #[test]
    fn an_inode_of_another_birth_has_none() {
        let all = All::default();
        let one = Identity { dev: 1, ino: 2, birth: 3 };
        all.change(one, &|extras| extras.set(b"trusted.x", Some(Extra::Gone)));
        assert!(!all.of(one).is_empty());
        assert!(all.of(Identity { birth: 4, ..one }).is_empty());
        let (old, new) = all.change(one, &|extras| extras.set(b"trusted.x", None));
        assert!(!old.is_empty() && new.is_empty() && all.inodes.read().is_empty());
    }
}
