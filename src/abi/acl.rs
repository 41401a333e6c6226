//! The value of a POSIX ACL's extended attribute (`linux/posix_acl_xattr.h`).

/// Length of the header, which is the version.
const HEADER: usize = 4;
/// The only version there is.
const VERSION: u32 = 2;
/// Length of an entry.
const ENTRY: usize = 8;
/// Tag of a named user.
const USER: u16 = 0x02;
/// Tag of a named group.
const GROUP: u16 = 0x08;
/// Tag of the mask.
const MASK: u16 = 0x10;

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

/// What `posix_acl_valid` asks of a list with names beyond what it asks of the same list without: an
/// order, permissions that exist, ids, and a mask; and what bounds its length.
pub fn names_are_valid(entries: &[Entry]) -> bool {
    const UNNAMED: usize = 4;
    entries.is_sorted_by_key(|entry| entry.tag)
        && entries.iter().filter(|entry| !entry.is_named()).count() <= UNNAMED
        && entries.iter().any(|entry| entry.tag == MASK)
        && entries
            .iter()
            .filter(|entry| entry.is_named())
            .all(|entry| entry.permissions & !7 == 0 && entry.id != u32::MAX)
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

    const OWNER: Entry = entry(1, 7, u32::MAX);
    const ADM: Entry = entry(GROUP, 5, 4);
    const THE_MASK: Entry = entry(MASK, 5, u32::MAX);
    const OTHERS: Entry = entry(0x20, 0, u32::MAX);

    #[test]
    fn a_value_survives_parsing() {
        let entries = [OWNER, ADM, THE_MASK, OTHERS];
        assert_eq!(parse(&bytes(&entries)), Some(entries.to_vec()));
        assert_eq!(bytes(&[ADM]), [2, 0, 0, 0, 8, 0, 5, 0, 4, 0, 0, 0]);
    }

    #[test]
    fn what_is_no_acl_is_not_parsed() {
        assert_eq!(parse(&[]), None);
        assert_eq!(parse(&[1, 0, 0, 0]), None, "another version");
        assert_eq!(parse(&[2, 0, 0, 0, 1]), None, "part of an entry");
        assert_eq!(parse(&[2, 0, 0, 0]), Some(vec![]));
    }

    #[test]
    fn names_need_a_mask_an_order_and_an_id() {
        assert!(names_are_valid(&[OWNER, ADM, THE_MASK, OTHERS]));
        assert!(!names_are_valid(&[OWNER, ADM, OTHERS]));
        assert!(!names_are_valid(&[ADM, OWNER, THE_MASK, OTHERS]));
        assert!(!names_are_valid(&[OWNER, entry(GROUP, 8, 4), THE_MASK, OTHERS]));
        assert!(!names_are_valid(&[OWNER, entry(GROUP, 5, u32::MAX), THE_MASK, OTHERS]));
    }

    #[test]
    fn names_return_to_their_places() {
        let user = entry(USER, 6, 1000);
        let all = merge(&[OWNER, THE_MASK, OTHERS], &[ADM, user]);
        assert_eq!(all, [OWNER, user, ADM, THE_MASK, OTHERS]);
    }
}
