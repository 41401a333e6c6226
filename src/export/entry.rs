//! One entry of a tar archive: its header blocks as they stand, and what they say.
//!
//! An entry of which nothing changes is written as the blocks that were read. One that changes keeps what its header says
//! beyond the changes, and gets a pax header for what its own has no room for.

use std::io;

use super::pax::Records;
use crate::abi::stat::{S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use crate::ownership::Device;

/// Bytes of a block.
pub(super) const BLOCK: usize = 512;
/// A named pipe.
pub(super) const S_IFIFO: u16 = 0o010_000;
/// Longest name that a header holds without a prefix.
const NAME: usize = 100;

/// Where something stands in a header.
type Field = std::ops::Range<usize>;
const AT_NAME: Field = 0..100;
const AT_MODE: Field = 100..108;
const AT_UID: Field = 108..116;
const AT_GID: Field = 116..124;
const AT_SIZE: Field = 124..136;
const AT_MTIME: Field = 136..148;
const AT_SUM: Field = 148..156;
const AT_KIND: Field = 156..157;
const AT_LINK: Field = 157..257;
const AT_MAGIC: Field = 257..265;
const AT_USER: Field = 265..297;
const AT_GROUP: Field = 297..329;
const AT_MAJOR: Field = 329..337;
const AT_MINOR: Field = 337..345;
/// The first part of a name; in GNU's older form times and the map of a sparse file.
const AT_PREFIX: Field = 345..500;
const USTAR: &[u8] = b"ustar\x0000";

/// Types of entries.
pub(super) const REGULAR: u8 = b'0';
pub(super) const HARD_LINK: u8 = b'1';
pub(super) const LINK: u8 = b'2';
pub(super) const CHARACTER: u8 = b'3';
pub(super) const BLOCK_DEVICE: u8 = b'4';
pub(super) const DIRECTORY: u8 = b'5';
pub(super) const FIFO: u8 = b'6';
/// A sparse file in GNU's older form, which has a map in the header and in blocks behind it.
pub(super) const SPARSE: u8 = b'S';

/// An entry.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// All header blocks.
    pub(super) raw: Vec<u8>,
    head: [u8; BLOCK],
    /// Blocks behind the header that belong to it.
    tail: Vec<u8>,
    pub(super) records: Records,
    /// Path, as it stands there.
    pub(super) path: Vec<u8>,
    /// What a link of either kind leads to.
    pub(super) link: Vec<u8>,
    pub(super) kind: u8,
    /// Permission bits.
    pub(super) mode: u16,
    pub(super) uid: u32,
    pub(super) gid: u32,
    /// Bytes that follow the header.
    pub(super) size: u64,
}

impl Entry {
    /// What header blocks say. `name` and `link` stood in entries of their own before it, GNU's way.
    pub(super) fn read(
        raw: Vec<u8>,
        head: [u8; BLOCK],
        tail: Vec<u8>,
        mut records: Records,
        [name, link]: [Option<Vec<u8>>; 2],
    ) -> io::Result<Entry> {
        let field = |at: Field| head.get(at).unwrap_or_default();
        for (key, long) in [(&b"path"[..], name), (b"linkpath", link)] {
            if let Some(long) = long.filter(|_| records.get(key).is_none()) {
                set_text(&mut records, key, &long);
            }
        }
        let told = |key: &[u8], at: Field, what| -> io::Result<u64> {
            records.number(key).or_else(|| number(field(at))).ok_or_else(|| malformed(what))
        };
        let id = |key: &[u8], at, what| told(key, at, what)?.try_into().map_err(|_| malformed(what));
        let path = records.get(b"path").map_or_else(|| whole_name(&head), <[u8]>::to_vec);
        let kind = match field(AT_KIND).first() {
            Some(0 | b'0' | b'7') | None if path.ends_with(b"/") => DIRECTORY,
            Some(0 | b'7') | None => REGULAR,
            Some(&kind) => kind,
        };
        let has_data = !matches!(kind, HARD_LINK | LINK | CHARACTER | BLOCK_DEVICE | DIRECTORY | FIFO);
        // Some say how long a linked file is, which does not follow.
        let size = if has_data { told(b"size", AT_SIZE, "the size of an entry")? } else { 0 };
        if i64::try_from(size).is_err() {
            return Err(malformed("the size of an entry"));
        }
        let link = records.get(b"linkpath").map_or_else(|| until_nul(field(AT_LINK)), <[u8]>::to_vec);
        Ok(Entry {
            path,
            link,
            kind,
            mode: (number(field(AT_MODE)).unwrap_or(0) & 0o7777) as u16,
            uid: id(b"uid", AT_UID, "the owner of an entry")?,
            gid: id(b"gid", AT_GID, "the group of an entry")?,
            size,
            raw,
            head,
            tail,
            records,
        })
    }

    /// An entry that stands nowhere yet.
    pub(super) fn new(path: &[u8], kind: u8) -> Entry {
        let mut head = [0; BLOCK];
        put(&mut head, AT_MAGIC, USTAR);
        put(&mut head, AT_NAME, path.get(..path.len().min(NAME)).unwrap_or_default());
        for at in [AT_MODE, AT_UID, AT_GID, AT_MAJOR, AT_MINOR] {
            put_number(&mut head, at, 0);
        }
        let mut records = Records::default();
        if path.len() > NAME {
            set_text(&mut records, b"path", path);
        }
        let path = path.to_vec();
        let (raw, tail, link) = (vec![], vec![], vec![]);
        Entry { raw, head, tail, records, path, link, kind, mode: 0, uid: 0, gid: 0, size: 0 }
    }

    /// Leads there.
    pub(super) fn set_link(&mut self, link: &[u8]) {
        put(&mut self.head, AT_LINK, link.get(..link.len().min(NAME)).unwrap_or_default());
        if link.len() > NAME {
            set_text(&mut self.records, b"linkpath", link);
        }
        self.link = link.to_vec();
    }

    /// When it was last modified.
    pub(super) fn set_modified(&mut self, seconds: i64, nanoseconds: u32) {
        put_number(&mut self.head, AT_MTIME, seconds.max(0).unsigned_abs());
        if nanoseconds != 0 || seconds < 0 {
            // Of a moment before the epoch the fraction counts backwards.
            let text = match (seconds, nanoseconds) {
                (0.., _) | (_, 0) => fraction(&seconds.to_string(), nanoseconds),
                _ => fraction(&format!("-{}", (seconds + 1).unsigned_abs()), 1_000_000_000 - nanoseconds),
            };
            self.records.set(b"mtime", text.as_bytes());
        }
    }

    /// Is a device from now on, without content.
    pub(super) fn make_device(&mut self, device: Device) {
        self.kind = if device.block { BLOCK_DEVICE } else { CHARACTER };
        self.size = 0;
        self.tail.clear();
        self.records.remove(b"size");
        put_number(&mut self.head, AT_MAJOR, device.major.into());
        put_number(&mut self.head, AT_MINOR, device.minor.into());
    }

    /// The type of its inode in a mode; of a hard link and of what is none of the types it is not known.
    pub(super) fn file_type(&self) -> Option<u16> {
        Some(match self.kind {
            REGULAR | SPARSE => S_IFREG,
            LINK => S_IFLNK,
            CHARACTER => S_IFCHR,
            BLOCK_DEVICE => S_IFBLK,
            DIRECTORY => S_IFDIR,
            FIFO => S_IFIFO,
            _ => return None,
        })
    }

    /// Makes the header blocks anew from what the entry says.
    pub(super) fn seal(&mut self) {
        let old = |at: Field| self.head.get(at).and_then(number);
        let (uid, gid, mode) = (old(AT_UID), old(AT_GID), old(AT_MODE));
        if self.kind != SPARSE && self.head.get(AT_MAGIC) != Some(USTAR) {
            if self.head.get(AT_MAGIC).is_some_and(|magic| magic.starts_with(b"ustar ")) {
                put(&mut self.head, AT_PREFIX, b"");
            }
            put(&mut self.head, AT_MAGIC, USTAR);
        }
        for (key, at, user, id, was) in [
            (&b"uid"[..], AT_UID, (AT_USER, &b"uname"[..]), self.uid, uid),
            (b"gid", AT_GID, (AT_GROUP, b"gname"), self.gid, gid),
        ] {
            if self.records.number(key).or(was) != Some(id.into()) {
                // A name would count for more than the number.
                put(&mut self.head, user.0, b"");
                self.records.remove(user.1);
                self.records.remove(key);
                if !put_number(&mut self.head, at, id.into()) {
                    self.records.set(key, id.to_string().as_bytes());
                }
            }
        }
        // Some say the type there as well.
        let says_type = mode.is_some_and(|mode| mode & u64::from(S_IFMT) != 0);
        let file_type = self.file_type().filter(|_| says_type).unwrap_or(0);
        if self.kind != HARD_LINK || mode.map(|mode| mode & 0o7777) != Some(self.mode.into()) {
            put_number(&mut self.head, AT_MODE, (file_type | self.mode).into());
        }
        if !put_number(&mut self.head, AT_SIZE, self.size) {
            self.records.set(b"size", self.size.to_string().as_bytes());
        }
        put(&mut self.head, AT_KIND, &[self.kind]);
        close(&mut self.head);
        self.raw = [self.pax_header(), self.head.to_vec(), self.tail.clone()].concat();
    }

    /// The entry that has the records, if there are any.
    fn pax_header(&self) -> Vec<u8> {
        if self.records.is_empty() {
            return vec![];
        }
        let data = self.records.bytes();
        let mut head = [0; BLOCK];
        let base = self.path.rsplit(|&byte| byte == b'/').find(|part| !part.is_empty()).unwrap_or_default();
        let name = [b"PaxHeaders.0/", base].concat();
        put(&mut head, AT_NAME, name.get(..name.len().min(NAME)).unwrap_or_default());
        for (at, value) in [(AT_MODE, 0o644), (AT_UID, 0), (AT_GID, 0), (AT_MTIME, 0)] {
            put_number(&mut head, at, value);
        }
        put_number(&mut head, AT_SIZE, data.len() as u64);
        put(&mut head, AT_KIND, b"x");
        put(&mut head, AT_MAGIC, USTAR);
        close(&mut head);
        let mut blocks = [head.to_vec(), data].concat();
        blocks.resize(blocks.len().next_multiple_of(BLOCK), 0);
        blocks
    }
}

/// The number of seconds with a fraction.
fn fraction(seconds: &str, nanoseconds: u32) -> String {
    format!("{seconds}.{nanoseconds:09}").trim_end_matches('0').trim_end_matches('.').to_owned()
}

/// Puts a record that is text to most readers; where it is not they are told so.
fn set_text(records: &mut Records, key: &[u8], text: &[u8]) {
    if std::str::from_utf8(text).is_err() {
        records.set(b"hdrcharset", b"BINARY");
    }
    records.set(key, text);
}

pub(super) fn malformed(what: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("it is no tar archive, or damaged: {what} is malformed"),
    )
}

/// Whether a header's sum is right, of which some old archives have the signed one.
pub(super) fn is_whole(head: &[u8; BLOCK]) -> bool {
    let blanked = |at: usize, byte: u8| if AT_SUM.contains(&at) { b' ' } else { byte };
    let unsigned: i64 = head.iter().enumerate().map(|(at, &byte)| i64::from(blanked(at, byte))).sum();
    let signed: i64 =
        head.iter().enumerate().map(|(at, &byte)| i64::from(blanked(at, byte).cast_signed())).sum();
    let said = head.get(AT_SUM).and_then(number).and_then(|sum| i64::try_from(sum).ok());
    said == Some(unsigned) || said == Some(signed)
}

/// The type that a header says.
pub(super) fn kind(head: &[u8; BLOCK]) -> u8 {
    head.get(AT_KIND).and_then(<[u8]>::first).copied().unwrap_or(0)
}

/// How many bytes follow a header by itself.
pub(super) fn size(head: &[u8; BLOCK]) -> Option<u64> {
    head.get(AT_SIZE).and_then(number)
}

/// Whether a map goes on behind a header or a block of a map: the byte at `at` says so.
pub(super) fn goes_on(block: &[u8; BLOCK], at: usize) -> bool {
    block.get(at).is_some_and(|&byte| byte != 0)
}

fn whole_name(head: &[u8; BLOCK]) -> Vec<u8> {
    let field = |at: Field| until_nul(head.get(at).unwrap_or_default());
    let (prefix, name) = (field(AT_PREFIX), field(AT_NAME));
    if prefix.is_empty() || head.get(AT_MAGIC) != Some(USTAR) {
        return name;
    }
    [prefix.as_slice(), b"/", &name].concat()
}

/// Bytes before the first NUL.
pub(super) fn until_nul(bytes: &[u8]) -> Vec<u8> {
    bytes.iter().copied().take_while(|&byte| byte != 0).collect()
}

/// A number in octal, or in GNU's binary form.
fn number(field: &[u8]) -> Option<u64> {
    let (&first, rest) = field.split_first()?;
    if first & 0x80 != 0 {
        let fits = first == 0x80;
        let value = rest.iter().fold(0_u128, |value, &byte| value << 8 | u128::from(byte));
        return u64::try_from(value).ok().filter(|_| fits);
    }
    let text = std::str::from_utf8(field).ok()?.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

/// Puts a number; whether it fits in octal, as pax wants it. Else GNU's binary form stands there.
fn put_number(head: &mut [u8; BLOCK], at: Field, value: u64) -> bool {
    let digits = at.len() - 1;
    let octal = format!("{value:0digits$o}");
    if octal.len() <= digits {
        put(head, at, octal.as_bytes());
        return true;
    }
    let mut binary = vec![0; at.len()];
    for (byte, digit) in binary.iter_mut().rev().zip(value.to_le_bytes()) {
        *byte = digit;
    }
    if let Some(first) = binary.first_mut() {
        *first |= 0x80;
    }
    put(head, at, &binary);
    false
}

/// Puts bytes into a field, and NULs behind them.
fn put(head: &mut [u8; BLOCK], at: Field, bytes: &[u8]) {
    for (byte, value) in
        head.get_mut(at).into_iter().flatten().zip(bytes.iter().copied().chain(std::iter::repeat(0)))
    {
        *byte = value;
    }
}

/// Puts a header's sum.
fn close(head: &mut [u8; BLOCK]) {
    put(head, AT_SUM, b"        ");
    let sum: u64 = head.iter().map(|&byte| u64::from(byte)).sum();
    put(head, AT_SUM, format!("{sum:06o}\0 ").as_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An entry as it is read from an archive.
    fn read(entry: &Entry, records: Records, name: Option<&[u8]>) -> io::Result<Entry> {
        Entry::read(vec![], entry.head, vec![], records, [name.map(<[u8]>::to_vec), None])
    }

    fn sealed(uid: u32) -> Entry {
        let mut entry = Entry::new(b"f", REGULAR);
        entry.uid = uid;
        entry.seal();
        entry
    }

    #[test]
    fn sizes_that_no_file_has_are_refused() {
        for (size, is_read) in [(i64::MAX as u64, true), (i64::MAX as u64 + 1, false), (u64::MAX, false)] {
            let mut records = Records::default();
            records.set(b"size", size.to_string().as_bytes());
            assert_eq!(read(&sealed(0), records, None).is_ok(), is_read, "{size}");
            let mut entry = sealed(0);
            put_number(&mut entry.head, AT_SIZE, size);
            assert_eq!(read(&entry, Records::default(), None).is_ok(), is_read, "{size} in the header");
        }
    }

    #[test]
    fn an_owner_replaces_that_of_a_record_though_the_header_says_it() {
        let mut records = Records::default();
        records.set(b"uid", b"5");
        records.set(b"uname", b"five");
        for (uid, kept) in [(7, None), (5, Some(&b"5"[..]))] {
            let mut entry = read(&sealed(7), records.clone(), None).unwrap();
            assert_eq!(entry.uid, 5);
            entry.uid = uid;
            entry.seal();
            assert_eq!(entry.records.get(b"uid"), kept);
            let head = entry.raw[entry.raw.len() - BLOCK..].try_into().unwrap();
            assert_eq!(Entry::read(vec![], head, vec![], entry.records, [None, None]).unwrap().uid, uid);
        }
    }

    #[test]
    fn names_of_gnus_that_are_no_text_are_said_to_be_none() {
        for (name, charset) in [(&b"\xff"[..], Some(&b"BINARY"[..])), (b"\xc3\xbc", None)] {
            let entry = read(&sealed(0), Records::default(), Some(name)).unwrap();
            assert_eq!((entry.path.as_slice(), entry.records.get(b"hdrcharset")), (name, charset));
        }
    }
}
