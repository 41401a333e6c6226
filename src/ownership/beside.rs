//! Attributes by name that are kept beside their inodes: those that the kernel would not keep, or not there.
//!
//! They last as long as facts do that no extended attribute of the inode can hold, and are shared by the
//! processes that share the file. Nothing of the file is cached: another process may change it at any time.

use std::collections::{BTreeMap, HashMap};

use parking_lot::RwLock;

use super::table::{Key, Trouble};
use super::{EXTRAS, Extras, Identity, Ownership, Table};
use crate::abi::Errno;

/// An inode's attributes.
type Named = BTreeMap<Vec<u8>, Vec<u8>>;

/// Those that end with the run.
#[derive(Debug, Default)]
pub(super) struct Beside(RwLock<HashMap<Identity, Named>>);

impl Beside {
    pub(super) fn is_empty(&self) -> bool {
        self.0.read().is_empty()
    }

    fn get(&self, identity: Identity, name: &[u8]) -> Option<Vec<u8>> {
        self.0.read().get(&identity)?.get(name).cloned()
    }

    fn names(&self, identity: Identity) -> Vec<Vec<u8>> {
        self.0.read().get(&identity).map(|named| named.keys().cloned().collect()).unwrap_or_default()
    }

    fn change(
        &self,
        identity: Identity,
        name: &[u8],
        change: &mut dyn FnMut(Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Errno>,
    ) -> Result<(), Errno> {
        let mut all = self.0.write();
        let old = all.get(&identity).and_then(|named| named.get(name)).cloned();
        match change(old)? {
            Some(value) => {
                all.entry(identity).or_default().insert(name.to_owned(), value);
            }
            None => {
                if let Some(named) = all.get_mut(&identity) {
                    named.remove(name);
                    if named.is_empty() {
                        all.remove(&identity);
                    }
                }
            }
        }
        Ok(())
    }
}

impl Ownership {
    /// The value of an attribute that is kept beside the inode.
    ///
    /// # Errors
    /// `EIO` and its like, from the file.
    pub fn attribute(&self, identity: Identity, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        let kept = self.in_file(identity, false, |table, key| table.attribute(key, name))?;
        Ok(kept.unwrap_or_else(|| self.beside.get(identity, name)))
    }

    /// The names of the attributes that are kept beside the inode, in order.
    ///
    /// # Errors
    /// As [`Ownership::attribute`].
    pub fn attribute_names(&self, identity: Identity) -> Result<Vec<Vec<u8>>, Errno> {
        let kept = self.in_file(identity, false, |table, key| table.attribute_names(key))?;
        Ok(kept.unwrap_or_else(|| self.beside.names(identity)))
    }

    /// Keeps beside the inode what `change` makes of an attribute's value, in one step; `None` is no attribute.
    /// Who keeps the first [leaves a mark](Ownership::leave_mark) before, as with facts.
    ///
    /// # Errors
    /// `ENOSPC` where the filesystem is full; `EIO` and its like, from the file; what `change` says. Then
    /// nothing is changed.
    pub fn change_attribute(
        &self,
        identity: Identity,
        name: &[u8],
        mut change: impl FnMut(Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Errno>,
    ) -> Result<(), Errno> {
        if let Some(slate) = self.slate() {
            slate.disturb();
        }
        let kept =
            self.in_file(identity, true, |table, key| table.change_attribute(key, name, &mut change))?;
        let changed = if kept.is_none() { self.beside.change(identity, name, &mut change) } else { Ok(()) };
        self.disturb_slate_unless_quiet();
        changed
    }

    fn in_file<T>(
        &self,
        identity: Identity,
        to_write: bool,
        ask: impl FnOnce(&Table, Key) -> Result<T, Trouble>,
    ) -> Result<Option<T>, Errno> {
        self.lasting.as_ref().map_or(Ok(None), |lasting| lasting.kept().attribute(identity, to_write, ask))
    }

    /// Keeps a value, whatever was there.
    ///
    /// # Errors
    /// As [`Ownership::change_attribute`].
    pub fn put_attribute(&self, identity: Identity, name: &[u8], value: &[u8]) -> Result<(), Errno> {
        self.change_attribute(identity, name, |_| Ok(Some(value.to_owned())))
    }

    /// Forgets a value; whether there was one.
    ///
    /// # Errors
    /// As [`Ownership::change_attribute`].
    pub fn remove_attribute(&self, identity: Identity, name: &[u8]) -> Result<bool, Errno> {
        let mut found = false;
        if self.attribute(identity, name)?.is_some() {
            self.change_attribute(identity, name, |old| {
                found = old.is_some();
                Ok(None)
            })?;
        }
        Ok(found)
    }

    /// Keeps an inode's extended attributes beside it; forgets them where they are empty.
    ///
    /// # Errors
    /// As [`Ownership::change_attribute`].
    pub fn keep_extras(&self, identity: Identity, extras: &Extras) -> Result<(), Errno> {
        if extras.is_empty() {
            self.remove_attribute(identity, EXTRAS.to_bytes()).map(drop)
        } else {
            self.put_attribute(identity, EXTRAS.to_bytes(), &extras.bytes())
        }
    }
}
