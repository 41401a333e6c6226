//! What is to be said of an inode in an image: what is recorded of it over what it is without.

use std::collections::BTreeMap;
use std::path::Path;

use crate::abi::stat::{PERMISSIONS, S_IFMT, S_IFREG};
use crate::ownership::{CAPABILITY, Device, EXTRAS, Extras, Fact, MARK, xattr};

/// Extended attributes, by full name.
pub(super) type Named = BTreeMap<Vec<u8>, Vec<u8>>;

/// Where records of owners stand in a root directory, from there.
const STATE: &str = "var/lib/remainroot";
/// Where they stand in a home directory, from there.
const STATE_OF_USER: &str = ".local/state/remainroot";

/// An inode as root sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// Type and permission bits.
    pub mode: u16,
    /// The device that an empty file stands for.
    pub device: Option<Device>,
    /// Extended attributes.
    pub attributes: Named,
}

impl Shown {
    /// Whether it is of this type.
    pub fn is(&self, file_type: u16) -> bool {
        self.mode & S_IFMT == file_type
    }

    /// Whether a program that executes it gets capabilities from it.
    pub(super) fn has_capabilities(&self) -> bool {
        self.is(S_IFREG) && self.attributes.contains_key(CAPABILITY)
    }

    /// Puts what is recorded over it.
    pub(super) fn put(&mut self, fact: &Fact, extras: &Extras) {
        self.uid = fact.uid.map_or(self.uid, |uid| uid.0);
        self.gid = fact.gid.map_or(self.gid, |gid| gid.0);
        self.device = fact.device.filter(|_| self.is(S_IFREG));
        let file_type = self.device.map_or(self.mode & S_IFMT, Device::file_type);
        self.mode = file_type | fact.mode.unwrap_or(self.mode) & PERMISSIONS;
        for (name, extra) in extras.iter() {
            let kernels = self.attributes.get(name).map(Vec::as_slice);
            match extra.shown(name, kernels) {
                Some(value) => self.attributes.insert(name.to_vec(), value),
                None => self.attributes.remove(name),
            };
        }
    }
}

/// Takes what records owners out of an inode's attributes, and says what it records.
pub(super) fn take_recorded(attributes: &mut Named) -> (Fact, Extras) {
    let mut take = |name: &std::ffi::CStr| attributes.remove(name.to_bytes());
    let (owner, stat, extras) = (take(xattr::OWNER), take(xattr::STAT), take(EXTRAS));
    attributes.retain(|name, _| !is_ours(name));
    let short = |value: &Option<Vec<u8>>| value.clone().filter(|value| value.len() <= xattr::LONGEST);
    let fact = xattr::fact(short(&owner).as_deref(), short(&stat).as_deref());
    (fact, extras.map(|packed| Extras::parse(&packed)).unwrap_or_default())
}

/// Whether an attribute records something that remainroot shows, and is not to be seen in an image.
pub(super) fn is_ours(name: &[u8]) -> bool {
    let mark = MARK.to_bytes();
    let is_below = name.strip_prefix(mark).is_some_and(|rest| matches!(rest.first(), None | Some(b'.')));
    is_below || [xattr::OWNER, xattr::STAT].iter().any(|ours| ours.to_bytes() == name)
}

/// Whether a path from the root is of a directory where owners are recorded, or of something in it.
pub(super) fn is_state(path: &Path) -> bool {
    let parts: Vec<_> = path.components().collect();
    let of_user: Vec<_> = Path::new(STATE_OF_USER).components().collect();
    path.starts_with(STATE) || parts.windows(of_user.len()).any(|window| window == of_user)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_records_owners_is_known_by_its_name() {
        for ours in ["user.rootlesscontainers", "user.remainroot", "user.remainroot.xattrs"] {
            assert!(is_ours(ours.as_bytes()), "{ours}");
        }
        for others in ["user.remainrootx", "user.rootlesscontainers.x", "security.capability"] {
            assert!(!is_ours(others.as_bytes()), "{others}");
        }
        for ours in ["var/lib/remainroot", "var/lib/remainroot/names", "root/.local/state/remainroot/facts"] {
            assert!(is_state(Path::new(ours)), "{ours}");
        }
        for others in ["var/lib/remainroots", "srv/var/lib/remainroot", "usr/bin/remainroot", "var/lib"] {
            assert!(!is_state(Path::new(others)), "{others}");
        }
    }

    #[test]
    fn a_file_that_stands_for_a_device_becomes_one_and_a_directory_does_not() {
        let device = Some(Device { block: true, major: 8, minor: 1 });
        let fact = Fact { device, mode: Some(0o660), ..Fact::default() };
        let shown = |mode| {
            let mut shown = Shown { uid: 0, gid: 0, mode, device: None, attributes: Named::new() };
            shown.put(&fact, &Extras::default());
            (shown.mode, shown.device)
        };
        assert_eq!(shown(0o100_600), (0o060_660, device));
        assert_eq!(shown(0o040_700), (0o040_660, None));
    }
}
