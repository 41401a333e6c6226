//! The text in which fakeroot(1) saves what it knows, one line for each inode:
//! `dev=fe00,ino=10289540,mode=100644,uid=5,gid=6,nlink=1,rdev=0`, device in hexadecimal, mode in octal,
//! the rest in decimal.
//!
//! fakeroot knows no birth times. Ours stand in lines of their own behind all others,
//! `birth=NANOSECONDS,dev=fe00,ino=10289540`: fakeroot ends its reading at the first line that does not
//! begin with `dev=`, and a reader of ours can tell an inode from a later one with the same number. What
//! fakeroot has saved is matched by device and number alone, as fakeroot does it.

use std::fmt::Write;

use super::{Attributes, Device, Fact, Identity, Inode};
use crate::abi::stat::{PERMISSIONS, S_IFBLK, S_IFCHR, S_IFMT, S_IFREG, Statx};
use crate::cred::{Gid, Uid};

/// One inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// Which one.
    pub inode: Inode,
    /// Its birth time as in [`Identity`], where it is known.
    pub birth: Option<i128>,
    /// Type and permission bits.
    pub mode: u16,
    /// Owner.
    pub uid: Uid,
    /// Group.
    pub gid: Gid,
    /// How many names it had.
    pub links: u64,
    /// The device it stands for, in the form of [`DeviceNumber::encode`](crate::abi::DeviceNumber::encode).
    pub rdev: u32,
}

impl Entry {
    /// The line for an inode that the guest sees as `seen`.
    pub fn new(identity: Identity, seen: &Attributes, links: u64) -> Entry {
        Entry {
            inode: identity.inode(),
            birth: Some(identity.birth),
            mode: seen.mode,
            uid: seen.uid,
            gid: seen.gid,
            links,
            rdev: seen.device.map_or(0, |device| device.number().encode()),
        }
    }

    /// What it says of its inode.
    pub fn fact(&self) -> Fact {
        Fact {
            uid: Some(self.uid),
            gid: Some(self.gid),
            mode: Some(self.mode & PERMISSIONS),
            device: Device::of(self.mode, self.rdev),
            ..Fact::default()
        }
    }

    /// Whether the inode that was looked at can be the one that it speaks of.
    pub fn is_of(&self, statx: &Statx) -> bool {
        let (said, is) = (self.mode & S_IFMT, statx.mode & S_IFMT);
        let stands_for = is == S_IFREG && matches!(said, S_IFBLK | S_IFCHR);
        let identity = Identity::of(statx);
        let same = self.inode == identity.inode() && self.birth.is_none_or(|birth| birth == identity.birth);
        same && (said == is || stands_for)
    }
}

/// Why a listing cannot be read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Malformed {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub cause: &'static str,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "line {}: {}", self.line, self.cause)
    }
}

/// The text of these entries.
pub fn text(entries: &[Entry]) -> String {
    let mut text = String::new();
    for Entry { inode: Inode { dev, ino }, mode, uid, gid, links, rdev, .. } in entries {
        let (uid, gid) = (uid.0, gid.0);
        let ids = format!("uid={uid},gid={gid}");
        // Writing to a string does not fail.
        let _ = writeln!(text, "dev={dev:x},ino={ino},mode={mode:o},{ids},nlink={links},rdev={rdev}");
    }
    for Entry { inode: Inode { dev, ino }, birth, .. } in entries {
        if let Some(birth) = birth {
            let _ = writeln!(text, "birth={birth},dev={dev:x},ino={ino}");
        }
    }
    text
}

/// The entries of a text. Of two about one inode the later counts.
///
/// # Errors
/// The first line that is neither of the two kinds.
pub fn entries(text: &[u8]) -> Result<Vec<Entry>, Malformed> {
    let mut entries = std::collections::BTreeMap::new();
    let lines = text.strip_suffix(b"\n").unwrap_or(text).split(|&byte| byte == b'\n');
    for (line, bytes) in (1..).zip(lines).filter(|_| !text.is_empty()) {
        let wrong = |cause| Malformed { line, cause };
        let words = std::str::from_utf8(bytes).map_err(|_| wrong("it is not text"))?;
        let mut words = words.split(',');
        if let Some(birth) = words.clone().next().and_then(|word| word.strip_prefix("birth=")) {
            words.next();
            let birth = birth.parse().map_err(|_| wrong("birth is no decimal number"))?;
            let inode = inode(&mut words).map_err(wrong)?;
            let entry: Option<&mut Entry> = entries.get_mut(&(inode.dev, inode.ino));
            entry.ok_or_else(|| wrong("no line before it speaks of this inode"))?.birth = Some(birth);
        } else {
            let entry = entry(&mut words).map_err(wrong)?;
            entries.insert((entry.inode.dev, entry.inode.ino), entry);
        }
        if words.next().is_some() {
            return Err(wrong("more stands behind the last field"));
        }
    }
    Ok(entries.into_values().collect())
}

fn entry<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Entry, &'static str> {
    Ok(Entry {
        inode: inode(words)?,
        birth: None,
        mode: fit(field(words, "mode=", 8, "mode= with an octal number is missing")?, "mode is too large")?,
        uid: Uid(id(field(words, "uid=", 10, "uid= with a decimal number is missing")?)?),
        gid: Gid(id(field(words, "gid=", 10, "gid= with a decimal number is missing")?)?),
        links: field(words, "nlink=", 10, "nlink= with a decimal number is missing")?,
        rdev: fit(field(words, "rdev=", 10, "rdev= with a decimal number is missing")?, "rdev is too large")?,
    })
}

fn inode<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<Inode, &'static str> {
    let dev = field(words, "dev=", 16, "dev= with a hexadecimal number is missing")?;
    let ino = field(words, "ino=", 10, "ino= with a decimal number is missing")?;
    Ok(Inode { dev, ino })
}

/// The number in the next field, which must have this name.
fn field<'a>(
    words: &mut impl Iterator<Item = &'a str>,
    name: &str,
    radix: u32,
    missing: &'static str,
) -> Result<u64, &'static str> {
    let digits = words.next().and_then(|word| word.strip_prefix(name)).ok_or(missing)?;
    if digits.starts_with('+') {
        return Err(missing);
    }
    u64::from_str_radix(digits, radix).map_err(|_| missing)
}

fn fit<T: TryFrom<u64>>(value: u64, cause: &'static str) -> Result<T, &'static str> {
    T::try_from(value).map_err(|_| cause)
}

/// An id; −1 is none.
fn id(value: u64) -> Result<u32, &'static str> {
    fit(value, "an id is too large").and_then(|id| if id == u32::MAX { Err("−1 is no id") } else { Ok(id) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const LINE: &str = "dev=fe00,ino=10289540,mode=100644,uid=5,gid=6,nlink=1,rdev=0\n";

    fn plain() -> Entry {
        Entry {
            inode: Inode { dev: 0xfe00, ino: 10_289_540 },
            birth: None,
            mode: 0o100_644,
            uid: Uid(5),
            gid: Gid(6),
            links: 1,
            rdev: 0,
        }
    }

    #[test]
    fn a_line_of_fakeroots_is_read_and_written_byte_for_byte() {
        assert_eq!(entries(LINE.as_bytes()), Ok(vec![plain()]));
        assert_eq!(text(&[plain()]), LINE);
        assert_eq!(entries(b""), Ok(vec![]));
        let disk = entries(b"dev=fe00,ino=3,mode=60644,uid=0,gid=6,nlink=1,rdev=2049").unwrap();
        let device = Some(Device { block: true, major: 8, minor: 1 });
        assert_eq!(
            disk[0].fact(),
            Fact { device, mode: Some(0o644), uid: Some(Uid(0)), gid: Some(Gid(6)), ..Fact::default() }
        );
    }

    #[test]
    fn birth_times_stand_behind_all_that_fakeroot_reads() {
        let born = Entry { birth: Some(-7), ..plain() };
        let whole = text(&[born, Entry { inode: Inode { dev: 1, ino: 2 }, ..born }]);
        let kinds: Vec<_> = whole.lines().map(|line| &line[..4]).collect();
        assert_eq!(kinds, ["dev=", "dev=", "birt", "birt"]);
        assert_eq!(entries(whole.as_bytes()).unwrap()[1], born);
    }

    #[test]
    fn a_malformed_line_is_named_with_its_cause() {
        for (bad, cause) in [
            ("", "dev= with a hexadecimal number is missing"),
            ("dev=fe00,ino=1,mode=10x", "mode= with an octal number is missing"),
            ("dev=fe00,ino=1,mode=200644,uid=5,gid=6,nlink=1,rdev=0", "mode is too large"),
            ("dev=+1,ino=1", "dev= with a hexadecimal number is missing"),
            ("dev=1,ino=1,mode=1,uid=4294967295,gid=6,nlink=1,rdev=0", "−1 is no id"),
            ("dev=1,ino=1,mode=1,uid=4294967296,gid=6,nlink=1,rdev=0", "an id is too large"),
            ("dev=1,ino=1,mode=1,uid=1,gid=6,nlink=1,rdev=0,x", "more stands behind the last field"),
            ("birth=1,dev=1,ino=1", "no line before it speaks of this inode"),
            ("birth=x,dev=1,ino=1", "birth is no decimal number"),
        ] {
            let outcome = entries(format!("{LINE}{bad}\n").as_bytes());
            assert_eq!(outcome, Err(Malformed { line: 2, cause }), "{bad}");
        }
        assert_eq!(entries(b"\xff"), Err(Malformed { line: 1, cause: "it is not text" }));
    }

    #[test]
    fn an_entry_is_of_an_inode_of_its_kind_and_birth_alone() {
        let mut bytes = [0; Statx::SIZE];
        bytes[0..4].copy_from_slice(&Statx::MASK.to_le_bytes());
        bytes[28..30].copy_from_slice(&0o100_644_u16.to_le_bytes());
        bytes[80] = 1;
        let statx = Statx::parse(&bytes);
        let of =
            |mode, birth| Entry { inode: Inode { dev: 0, ino: 0 }, mode, birth, ..plain() }.is_of(&statx);
        assert!(of(0o100_600, None) && of(0o020_600, None) && of(0o100_600, Some(1_000_000_000)));
        assert!(!of(0o040_700, None) && !of(0o120_777, None) && !of(0o100_600, Some(2)));
        assert!(!plain().is_of(&statx), "another number");
    }

    proptest! {
        #[test]
        fn entries_survive_their_text(
            dev in any::<u64>(), ino in any::<u64>(), birth in proptest::option::of(any::<i128>()),
            mode in any::<u16>(), uid in 0..u32::MAX, gid in 0..u32::MAX,
            links in any::<u64>(), rdev in any::<u32>(),
        ) {
            let entry = Entry {
                inode: Inode { dev, ino }, birth, mode, uid: Uid(uid), gid: Gid(gid), links, rdev,
            };
            prop_assert_eq!(entries(text(&[entry]).as_bytes()), Ok(vec![entry]));
        }

        #[test]
        fn hostile_texts_are_read_or_refused(noise in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = entries(&noise);
        }

        #[test]
        fn spoilt_lines_are_read_or_refused(at in 0..LINE.len(), with in "[0-9a-z=,\\-+\n]{0,4}") {
            let mut spoilt = LINE.to_owned();
            spoilt.replace_range(at..=at, &with);
            if let Ok(read) = entries(spoilt.as_bytes()) {
                prop_assert_eq!(entries(text(&read).as_bytes()), Ok(read));
            }
        }
    }
}
