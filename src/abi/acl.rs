//! The value of a POSIX ACL's extended attribute (`linux/posix_acl_xattr.h`).

/// Length of the header, which is the version.
const HEADER: usize = 4;
/// The only version there is.
const VERSION: u32 = 2;
/// Length of an entry.
const ENTRY: usize = 8;
/// Tag of the owner.
const OWNER: u16 = 0x01;
/// Tag of a named user.
const USER: u16 = 0x02;
/// Tag of the owning group.
const OWNING_GROUP: u16 = 0x04;
/// Tag of a named group.
const GROUP: u16 = 0x08;
/// Tag of the mask.
const MASK: u16 = 0x10;
/// Tag of everybody else.
const OTHERS: u16 = 0x20;

/// Most bytes that a value may have (`XATTR_SIZE_MAX`).
pub const LARGEST: usize = 65536;

/// One entry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Whom it is about; in a valid list the tags ascend.
    tag: u16,
    /// Read, write and execute.
    permissions: u16,
    /// Which user or group, where it names one.
    id: u32,
}

impl Entry {
    /// The user it names.
    pub const fn user(self) -> Option<u32> {
        if self.tag == USER { Some(self.id) } else { None }
    }

    /// The group it names.
    pub const fn group(self) -> Option<u32> {
        if self.tag == GROUP { Some(self.id) } else { None }
    }

    /// Whether it is about a user or group by id.
    pub const fn is_named(self) -> bool {
        matches!(self.tag, USER | GROUP)
    }
}

/// The entries of a value; `None` if it has no such form.
pub fn parse(bytes: &[u8]) -> Option<Vec<Entry>> {
    let (version, entries) = bytes.split_first_chunk::<HEADER>()?;
    if u32::from_le_bytes(*version) != VERSION || entries.len() % ENTRY != 0 {
        return None;
    }
    Some(entries.chunks_exact(ENTRY).filter_map(entry).collect())
}

fn entry(bytes: &[u8]) -> Option<Entry> {
    let (tag, rest) = bytes.split_first_chunk::<2>()?;
    let (permissions, id) = rest.split_first_chunk::<2>()?;
    Some(Entry {
        tag: u16::from_le_bytes(*tag),
        permissions: u16::from_le_bytes(*permissions),
        id: u32::from_le_bytes(*id.first_chunk()?),
    })
}

/// The value that has these entries.
pub fn bytes(entries: &[Entry]) -> Vec<u8> {
    let mut bytes = VERSION.to_le_bytes().to_vec();
    for entry in entries {
        bytes.extend(entry.tag.to_le_bytes());
        bytes.extend(entry.permissions.to_le_bytes());
        bytes.extend(entry.id.to_le_bytes());
    }
    bytes
}

/// How many bytes these entries add to a value.
pub const fn length(entries: &[Entry]) -> u64 {
    (entries.len() * ENTRY) as u64
}

/// Whether the kernel would take the value apart, were every id known to it (`posix_acl_from_xattr`).
pub fn is_readable(entries: &[Entry]) -> bool {
    entries.iter().all(|entry| match entry.tag {
        OWNER | OWNING_GROUP | MASK | OTHERS => true,
        USER | GROUP => entry.id != u32::MAX,
        _ => false,
    })
}

/// Whether it makes sense as a list (`posix_acl_valid`): in order, permissions that exist, one entry for
/// owner, group and others each, and a mask where there are names.
pub fn is_valid(entries: &[Entry]) -> bool {
    let count = |tag| entries.iter().filter(|entry| entry.tag == tag).count();
    let masks = count(MASK);
    entries.is_sorted_by_key(|entry| entry.tag)
        && entries.iter().all(|entry| entry.permissions & !7 == 0)
        && [OWNER, OWNING_GROUP, OTHERS].into_iter().all(|tag| count(tag) == 1)
        && (masks == 1 || masks == 0 && !entries.iter().any(|entry| entry.is_named()))
}

/// The permission bits that a list gives a mode, and whether it says no more than they do
/// (`posix_acl_equiv_mode`).
pub fn mode(entries: &[Entry]) -> (u16, bool) {
    let of = |tag| entries.iter().find(|entry| entry.tag == tag).map(|entry| entry.permissions);
    let group = of(MASK).or(of(OWNING_GROUP)).unwrap_or(0);
    let mode = of(OWNER).unwrap_or(0) << 6 | group << 3 | of(OTHERS).unwrap_or(0);
    (mode, of(MASK).is_none() && !entries.iter().any(|entry| entry.is_named()))
}

/// The list after a chmod (`__posix_acl_chmod_masq`).
pub fn after_chmod(entries: &[Entry], mode: u16) -> Vec<Entry> {
    let masked = entries.iter().any(|entry| entry.tag == MASK);
    let change = |entry: &Entry| {
        let permissions = match entry.tag {
            OWNER => mode >> 6 & 7,
            MASK => mode >> 3 & 7,
            OWNING_GROUP if !masked => mode >> 3 & 7,
            OTHERS => mode & 7,
            _ => entry.permissions,
        };
        Entry { permissions, ..*entry }
    };
    entries.iter().map(change).collect()
}

/// The list that `names` and what the kernel has of it make together.
pub fn merge(kernel: &[Entry], names: &[Entry]) -> Vec<Entry> {
    let mut all = [kernel, names].concat();
    all.sort_by_key(|entry| (entry.tag, if entry.is_named() { entry.id } else { 0 }));
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn entry(tag: u16, permissions: u16, id: u32) -> Entry {
        Entry { tag, permissions, id }
    }

    const ROOT: Entry = entry(OWNER, 7, u32::MAX);
    const ROOTS: Entry = entry(OWNING_GROUP, 1, u32::MAX);
    const ADM: Entry = entry(GROUP, 5, 4);
    const THE_MASK: Entry = entry(MASK, 5, u32::MAX);
    const REST: Entry = entry(OTHERS, 0, u32::MAX);

    #[test]
    fn a_value_survives_parsing() {
        let entries = [ROOT, ADM, THE_MASK, REST];
        assert_eq!(parse(&bytes(&entries)), Some(entries.to_vec()));
        assert_eq!(bytes(&[ADM]), [2, 0, 0, 0, 8, 0, 5, 0, 4, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_acl_is_not_parsed() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[1, 0, 0, 0]), None, "another version");
        assert_eq!(parse(&[2, 0, 0, 0, 1]), None, "part of an entry");
        assert_eq!(parse(&[2, 0, 0, 0]), Some(vec![]));
        assert!(is_readable(&[REST, ADM]) && !is_readable(&[entry(3, 0, 0)]));
        assert!(!is_readable(&[entry(USER, 5, u32::MAX)]), "nobody's id");
    }

    #[test]
    fn names_need_a_mask_and_every_list_an_order() {
        assert!(is_valid(&[ROOT, ROOTS, ADM, THE_MASK, REST]));
        assert!(is_valid(&[ROOT, ROOTS, REST]) && is_valid(&[ROOT, ROOTS, THE_MASK, REST]));
        assert!(!is_valid(&[ROOT, ROOTS, ADM, REST]), "no mask");
        assert!(!is_valid(&[ADM, ROOT, ROOTS, THE_MASK, REST]), "no order");
        assert!(!is_valid(&[ROOT, ADM, THE_MASK, REST]), "no owning group");
        assert!(!is_valid(&[ROOT, ROOTS, THE_MASK, THE_MASK, REST]));
        assert!(!is_valid(&[ROOT, ROOTS, entry(GROUP, 8, 4), THE_MASK, REST]));
    }

    #[test]
    fn a_list_and_a_mode_follow_each_other() {
        assert_eq!(mode(&[ROOT, ROOTS, REST]), (0o710, true));
        let named = [ROOT, ROOTS, ADM, THE_MASK, REST];
        assert_eq!(mode(&named), (0o750, false));
        let changed = after_chmod(&named, 0o624);
        assert_eq!(mode(&changed), (0o624, false));
        assert_eq!(changed[1..3], [ROOTS, ADM], "the mask stands for them");
        assert_eq!(mode(&after_chmod(&[ROOT, ROOTS, REST], 0o624)), (0o624, true));
    }

    #[test]
    fn names_return_to_their_places() {
        let user = entry(USER, 6, 1000);
        let all = merge(&[ROOT, THE_MASK, REST], &[ADM, user]);
        assert_eq!(all, [ROOT, user, ADM, THE_MASK, REST]);
    }
}
