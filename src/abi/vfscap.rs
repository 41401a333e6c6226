//! The value of `security.capability` (`struct vfs_cap_data` and `struct vfs_ns_cap_data`).

/// Revision in the first word, without its flags.
const REVISION: u32 = 0xFF00_0000;
const REVISION_1: u32 = 0x0100_0000;
const REVISION_2: u32 = 0x0200_0000;
const REVISION_3: u32 = 0x0300_0000;
/// `VFS_CAP_FLAGS_EFFECTIVE`.
const EFFECTIVE: u32 = 1;
/// Length of a value without the id of a namespace's root.
const SHORT: usize = 20;
/// Length of a value with it.
const LONG: usize = 24;

/// The capabilities of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VfsCaps {
    /// Whether they are effective at once.
    pub effective: bool,
    /// Permitted capabilities.
    pub permitted: u64,
    /// Inheritable capabilities.
    pub inheritable: u64,
    /// The root of the user namespace that they are good in.
    pub root: u32,
}

impl VfsCaps {
    /// A value that the kernel lets be set (`validheader`).
    pub fn parse(bytes: &[u8]) -> Option<VfsCaps> {
        let (words, []) = bytes.as_chunks::<4>() else { return None };
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        let (magic, rest) = words.split_first()?;
        let (revision, &[low, low_inheritable, high, high_inheritable, ref root @ ..]) =
            (magic & !EFFECTIVE, rest)
        else {
            return None;
        };
        let root = match (revision, root) {
            (REVISION_2, []) => 0,
            (REVISION_3, &[root]) => root,
            _ => return None,
        };
        let wide = |low: u32, high: u32| u64::from(low) | u64::from(high) << 32;
        Some(VfsCaps {
            effective: magic & EFFECTIVE != 0,
            permitted: wide(low, high),
            inheritable: wide(low_inheritable, high_inheritable),
            root,
        })
    }

    /// A value as an exec reads it, which knows an older form too (`get_vfs_caps_from_disk`).
    pub fn read(bytes: &[u8]) -> Option<VfsCaps> {
        let (words, []) = bytes.as_chunks::<4>() else { return None };
        let words: Vec<u32> = words.iter().map(|word| u32::from_le_bytes(*word)).collect();
        match *words.as_slice() {
            [magic, permitted, inheritable] if magic & REVISION == REVISION_1 => Some(VfsCaps {
                effective: magic & EFFECTIVE != 0,
                permitted: permitted.into(),
                inheritable: inheritable.into(),
                root: 0,
            }),
            _ => VfsCaps::parse(bytes),
        }
    }

    /// The value without the id of a namespace's root: good in every namespace of the filesystem's.
    pub fn short(&self) -> Vec<u8> {
        self.bytes(REVISION_2, SHORT)
    }

    /// The value as root of the first namespace reads it: with the id of another namespace's root if it
    /// is one's (`cap_inode_getsecurity`).
    pub fn shown(&self) -> Vec<u8> {
        if self.root == 0 { self.short() } else { self.bytes(REVISION_3, LONG) }
    }

    fn bytes(&self, revision: u32, length: usize) -> Vec<u8> {
        let magic = revision | if self.effective { EFFECTIVE } else { 0 };
        let low = |set: u64| set as u32;
        let high = |set: u64| (set >> 32) as u32;
        let (permitted, inheritable) = (self.permitted, self.inheritable);
        let words = [magic, low(permitted), low(inheritable), high(permitted), high(inheritable), self.root];
        words.iter().flat_map(|word| word.to_le_bytes()).take(length).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const RAW: [u8; SHORT] = [1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 2, 0, 0, 0, 0, 0, 0, 0];

    fn long(root: u32) -> Vec<u8> {
        let mut bytes = RAW.to_vec();
        bytes[3] = 3;
        bytes.extend(root.to_le_bytes());
        bytes
    }

    #[test]
    fn a_value_survives_parsing() {
        let caps = VfsCaps::parse(&RAW).unwrap();
        let expected = VfsCaps { effective: true, permitted: 1 << 13 | 1 << 33, inheritable: 0, root: 0 };
        assert_eq!(caps, expected);
        assert_eq!(caps.shown(), RAW);
        assert_eq!(VfsCaps::parse(&long(7)).unwrap().shown(), long(7));
        assert_eq!(VfsCaps::parse(&long(7)).unwrap().short(), RAW);
        assert_eq!(VfsCaps::parse(&long(0)).unwrap().shown(), RAW, "its own root's is shown without");
    }

    #[test]
    fn what_cannot_be_set_is_not_parsed() {
        let short = &long(7)[..SHORT];
        let mut flagged = RAW;
        flagged[1] = 1;
        for wrong in [&[][..], &[1], &RAW[..12], short, &flagged, &[RAW, RAW].concat()] {
            assert_eq!(VfsCaps::parse(wrong), None, "{wrong:?}");
        }
        let old = [1, 0, 0, 1, 0, 32, 0, 0, 4, 0, 0, 0];
        assert_eq!(VfsCaps::parse(&old), None);
        let read = VfsCaps::read(&old).unwrap();
        assert_eq!((read.permitted, read.inheritable, read.effective), (1 << 13, 4, true));
        assert_eq!(VfsCaps::read(&RAW), VfsCaps::parse(&RAW));
    }
}
