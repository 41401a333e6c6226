//! The records that getdents(2) fills a buffer with.

use super::Abi;

/// `DT_UNKNOWN`: ask stat(2).
pub const DT_UNKNOWN: u8 = 0;
/// `DT_CHR`.
pub const DT_CHR: u8 = 2;
/// `DT_BLK`.
pub const DT_BLK: u8 = 6;
/// `DT_REG`.
pub const DT_REG: u8 = 8;

/// One of the records. Inode number, position and length come first, in this order; the length has two
/// bytes.
#[derive(Debug, Clone, Copy)]
pub struct DirentLayout {
    /// Bytes of the inode number, and of the position.
    word: usize,
    /// Where the type stands; `None`: in the last byte of the record.
    kind: Option<usize>,
    name: usize,
}

/// `struct linux_dirent64`, the same everywhere.
pub const DIRENT64: DirentLayout = DirentLayout { word: 8, kind: Some(18), name: 19 };
/// `struct linux_dirent` with a `long` of eight bytes.
const WIDE: DirentLayout = DirentLayout { word: 8, kind: None, name: 18 };
/// `struct compat_linux_dirent`.
const NARROW: DirentLayout = DirentLayout { word: 4, kind: None, name: 10 };

/// The record of the older call.
pub const fn dirent(abi: Abi) -> &'static DirentLayout {
    if abi.word() == 4 { &NARROW } else { &WIDE }
}

/// The longest record: a name of 255 bytes, its NUL, and what is before and behind.
pub const LONGEST: usize = 288;

/// What a record says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry<'a> {
    /// Bytes of the record.
    pub length: usize,
    /// Inode number.
    pub ino: u64,
    /// `DT_*`.
    pub kind: u8,
    /// Where that stands, from the start of the record.
    pub kind_at: usize,
    /// The name, without its NUL.
    pub name: &'a [u8],
}

impl DirentLayout {
    /// The record that `bytes` begin with; `None` where they do not hold a whole one.
    pub fn read<'a>(&self, bytes: &'a [u8]) -> Option<Entry<'a>> {
        let number = |bytes: &[u8]| bytes.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte));
        let length = number(bytes.get(2 * self.word..2 * self.word + 2)?) as usize;
        let record = bytes.get(..length)?;
        let kind_at = self.kind.unwrap_or(length.checked_sub(1)?);
        let name = record.get(self.name..)?.split(|&byte| byte == 0).next()?;
        let ino = number(record.get(..self.word)?);
        Some(Entry { length, ino, kind: *record.get(kind_at)?, kind_at, name })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn records_are_read_as_the_kernel_writes_them() {
        let modern = b"\x39\x05\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x18\0\x08null\0rest";
        let entry = Entry { length: 24, ino: 1337, kind: DT_REG, kind_at: 18, name: b"null" };
        assert_eq!(DIRENT64.read(modern), Some(entry));
        let older = b"\x39\x05\0\0\0\0\0\0\x01\0\0\0\0\0\0\0\x18\0null\0\x08";
        assert_eq!(dirent(Abi::X86_64).read(older), Some(Entry { kind_at: 23, ..entry }));
        let narrow = b"\x39\x05\0\0\x01\0\0\0\x10\0null\0\x08";
        assert_eq!(dirent(Abi::I386).read(narrow), Some(Entry { length: 16, kind_at: 15, ..entry }));
    }

    #[test]
    fn what_is_no_whole_record_is_none() {
        for bytes in [&b""[..], &[0; 17], &[0; 64], b"\x39\x05\0\0\x01\0\0\0\x11\0null\0\x08"] {
            for layout in [&DIRENT64, &WIDE, &NARROW] {
                assert_eq!(layout.read(bytes), None, "{bytes:?}");
            }
        }
    }

    proptest! {
        #[test]
        fn hostile_records_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            for layout in [&DIRENT64, &WIDE, &NARROW] {
                if let Some(entry) = layout.read(&bytes) {
                    prop_assert!(entry.length > 0 && entry.kind_at < entry.length);
                }
            }
        }
    }
}
