//! The records of a pax extended header (POSIX.1-2008, pax): `LENGTH KEY=VALUE\n`, of which values may be any bytes.

/// The prefix of keys that hold extended attributes, their values as they are.
const ATTRIBUTE: &[u8] = b"SCHILY.xattr.";
/// The same of libarchive's, in which values are base64.
const OF_LIBARCHIVE: &[u8] = b"LIBARCHIVE.xattr.";

/// Most records of a header.
const MOST: usize = 4096;

/// Records in their order; of two with one key the later counts.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Records(Vec<(Vec<u8>, Vec<u8>)>);

impl Records {
    /// The records of a header's data; `None` where it is malformed.
    pub(super) fn parse(mut bytes: &[u8]) -> Option<Records> {
        let mut records = Records::default();
        let mut count = 0;
        while !bytes.is_empty() && bytes.first() != Some(&0) {
            let blank = bytes.iter().position(|&byte| byte == b' ')?;
            let length: usize = std::str::from_utf8(bytes.get(..blank)?).ok()?.parse().ok()?;
            let (record, rest) = bytes.split_at_checked(length)?;
            let record = record.get(blank + 1..)?.strip_suffix(b"\n")?;
            let equals = record.iter().position(|&byte| byte == b'=')?;
            let (key, value) = record.split_at_checked(equals)?;
            records.set(key, value.get(1..)?);
            bytes = rest;
            count += 1;
            if count > MOST {
                return None;
            }
        }
        Some(records)
    }

    /// The data of a header.
    pub(super) fn bytes(&self) -> Vec<u8> {
        let mut bytes = vec![];
        for (key, value) in &self.0 {
            // Blank, equals sign and newline.
            let rest = key.len() + value.len() + 3;
            let mut length = rest + 1;
            while length.to_string().len() + rest != length {
                length = length.to_string().len() + rest;
            }
            bytes.extend(format!("{length} ").into_bytes());
            bytes.extend(key);
            bytes.push(b'=');
            bytes.extend(value);
            bytes.push(b'\n');
        }
        bytes
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub(super) fn get(&self, key: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_slice())
    }

    /// A value that is a decimal number.
    pub(super) fn number(&self, key: &[u8]) -> Option<u64> {
        std::str::from_utf8(self.get(key)?).ok()?.parse().ok()
    }

    /// Puts a record where one with this key stood, or at the end.
    pub(super) fn set(&mut self, key: &[u8], value: &[u8]) {
        match self.0.iter_mut().find(|(known, _)| known == key) {
            Some((_, old)) => *old = value.to_vec(),
            None => self.0.push((key.to_vec(), value.to_vec())),
        }
    }

    pub(super) fn remove(&mut self, key: &[u8]) {
        self.0.retain(|(known, _)| known != key);
    }

    /// The extended attributes, by name. Where both forms are there they say the same.
    pub(super) fn attributes(&self) -> Vec<(Vec<u8>, Vec<u8>)> {
        let mut all: Vec<(Vec<u8>, Vec<u8>)> = vec![];
        for (key, value) in &self.0 {
            let attribute = match (key.strip_prefix(ATTRIBUTE), key.strip_prefix(OF_LIBARCHIVE)) {
                (Some(name), _) => Some((name.to_vec(), value.clone())),
                (None, Some(name)) => base64(value).map(|value| (unescaped(name), value)),
                (None, None) => None,
            };
            if let Some((name, value)) = attribute
                && !all.iter().any(|(known, _)| *known == name)
            {
                all.push((name, value));
            }
        }
        all
    }

    /// Has no other extended attributes than these.
    pub(super) fn set_attributes<'a>(&mut self, all: impl Iterator<Item = (&'a [u8], &'a [u8])>) {
        self.0.retain(|(key, _)| !key.starts_with(ATTRIBUTE) && !key.starts_with(OF_LIBARCHIVE));
        for (name, value) in all {
            self.0.push(([ATTRIBUTE, name].concat(), value.to_vec()));
        }
    }
}

/// What base64 without or with padding stands for.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digit = |byte: u8| match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    };
    let (mut bytes, mut bits, mut count) = (vec![], 0_u32, 0);
    for &byte in text.iter().filter(|&&byte| byte != b'=' && byte != b'\n') {
        bits = bits << 6 | u32::from(digit(byte)?);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count) as u8);
        }
    }
    Some(bytes)
}

/// A name in which `%XX` stands for a byte.
fn unescaped(name: &[u8]) -> Vec<u8> {
    let (mut bytes, mut rest) = (vec![], name);
    while let Some((&first, more)) = rest.split_first() {
        let digits = more.get(..2).filter(|_| first == b'%').and_then(|two| std::str::from_utf8(two).ok());
        match digits.and_then(|two| u8::from_str_radix(two, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = more.get(2..).unwrap_or_default();
            }
            None => {
                bytes.push(first);
                rest = more;
            }
        }
    }
    bytes
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn lengths_count_their_own_digits() {
        let mut records = Records::default();
        records.set(b"path", b"x");
        assert_eq!(records.bytes(), b"9 path=x\n");
        records.set(b"path", b"");
        assert_eq!(records.bytes(), b"8 path=\n");
        records.set(b"path", &[b'y'; 91]);
        assert!(records.bytes().starts_with(b"101 path=y"), "{:?}", records.bytes());
    }

    #[test]
    fn attributes_are_read_in_both_forms_and_written_in_one() {
        let mut records = Records::default();
        records.set(b"LIBARCHIVE.xattr.user.a%3Db", b"AAH/");
        records.set(b"SCHILY.xattr.user.c", b"\x00\n=");
        records.set(b"mtime", b"1.5");
        let all = records.attributes();
        assert_eq!(all, [(b"user.a=b".to_vec(), vec![0, 1, 255]), (b"user.c".to_vec(), b"\x00\n=".to_vec())]);
        records.set_attributes([(&b"user.d"[..], &b"e"[..])].into_iter());
        assert_eq!(records.bytes(), b"13 mtime=1.5\n25 SCHILY.xattr.user.d=e\n");
    }

    #[test]
    fn a_header_has_so_many_records_and_no_more() {
        let most = b"6 a=b\n".repeat(MOST);
        assert!(Records::parse(&most).is_some());
        assert_eq!(Records::parse(&[&most[..], b"6 a=b\n"].concat()), None);
    }

    proptest! {
        #[test]
        fn records_survive_their_bytes(
            all in proptest::collection::btree_map("[a-z.]{1,9}", proptest::collection::vec(any::<u8>(), 0..120), 0..5),
        ) {
            let mut records = Records::default();
            for (key, value) in &all {
                records.set(key.as_bytes(), value);
            }
            prop_assert_eq!(Records::parse(&records.bytes()), Some(records));
        }

        #[test]
        fn hostile_records_are_read_or_refused(bytes in "[0-9 =a\n]{0,40}") {
            let _ = Records::parse(bytes.as_bytes());
        }
    }
}
