//! The extended attributes that hold a fact on its inode, as other tools write and read them.
//!
//! [`OWNER`] is the protobuf message of <https://rootlesscontaine.rs>, `uint32 uid = 1; uint32 gid = 2;`, that
//! umoci and PRoot's rootless fork know; `UNCHANGED` leaves what the kernel shows, and a message that
//! leaves both is not written. [`STAT`] is the line of containers/storage and fuse-overlayfs,
//! `uid:gid:mode[:type]` with a mode in octal and `block-MAJOR-MINOR`, `char-MAJOR-MINOR` among its types;
//! it is written where a mode or a device must be kept, which the message cannot hold. Where both are there,
//! the message has the ids.

use std::ffi::CStr;

use prost::bytes::{Buf, BufMut};
use prost::encoding::{DecodeContext, WireType, skip_field, uint32};
use prost::{DecodeError, Message};

use super::{Attributes, Device, Fact};
use crate::abi::stat::{PERMISSIONS, S_IFDIR, S_IFMT};
use crate::cred::{Gid, Uid};

/// Name of the attribute that holds owner and group.
pub const OWNER: &CStr = c"user.rootlesscontainers";
/// Name of the attribute that holds mode and device, and owner and group once more.
pub const STAT: &CStr = c"user.containers.override_stat";
/// What stands in a message for an id that is as the kernel shows it (`NoopID`).
const UNCHANGED: u32 = u32::MAX;
/// Longest value that is looked at; what we write is shorter.
pub const LONGEST: usize = 128;

/// The message. Without the library's derived code, whose compiler plug-in a static host cannot load.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Resource {
    uid: u32,
    gid: u32,
}

impl Message for Resource {
    fn encode_raw(&self, into: &mut impl BufMut) {
        for (tag, value) in [(1, self.uid), (2, self.gid)] {
            if value != 0 {
                uint32::encode(tag, &value, into);
            }
        }
    }

    fn merge_field(
        &mut self,
        tag: u32,
        wire_type: WireType,
        from: &mut impl Buf,
        context: DecodeContext,
    ) -> Result<(), DecodeError> {
        match tag {
            1 => uint32::merge(wire_type, &mut self.uid, from, context),
            2 => uint32::merge(wire_type, &mut self.gid, from, context),
            _ => skip_field(wire_type, tag, from, context),
        }
    }

    fn encoded_len(&self) -> usize {
        let fields = [(1, self.uid), (2, self.gid)];
        let length = |(tag, value): &(u32, u32)| uint32::encoded_len(*tag, value);
        fields.iter().filter(|(_, value)| *value != 0).map(length).sum()
    }

    fn clear(&mut self) {
        *self = Resource::default();
    }
}

/// The value of [`OWNER`] for a fact; `None` where there is none to write.
pub fn owner(fact: &Fact) -> Option<Vec<u8>> {
    let uid = fact.uid.map_or(UNCHANGED, |uid| uid.0);
    let gid = fact.gid.map_or(UNCHANGED, |gid| gid.0);
    (uid != UNCHANGED || gid != UNCHANGED).then(|| Resource { uid, gid }.encode_to_vec())
}

/// The value of [`STAT`] for a fact about an inode that the guest sees as `seen`; `None` where there is
/// none to write.
pub fn stat(fact: &Fact, seen: &Attributes) -> Option<Vec<u8>> {
    let kind = match fact.device {
        None if fact.mode.is_none() => return None,
        None if seen.mode & S_IFMT == S_IFDIR => "dir".to_owned(),
        None => "file".to_owned(),
        Some(Device { block, major, minor }) => {
            format!("{}-{major}-{minor}", if block { "block" } else { "char" })
        }
    };
    let Attributes { uid, gid, .. } = seen;
    Some(format!("{}:{}:{:04o}:{kind}", uid.0, gid.0, seen.permissions()).into_bytes())
}

/// The fact that the values found on an inode tell together. What cannot be read says nothing.
pub fn fact(owner: Option<&[u8]>, stat: Option<&[u8]>) -> Fact {
    let stat = stat.and_then(parse_stat).unwrap_or_default();
    match owner.and_then(|bytes| Resource::decode(bytes).ok()) {
        None => stat,
        Some(Resource { uid, gid }) => Fact {
            uid: (uid != UNCHANGED).then_some(Uid(uid)),
            gid: (gid != UNCHANGED).then_some(Gid(gid)),
            ..stat
        },
    }
}

fn parse_stat(bytes: &[u8]) -> Option<Fact> {
    let text = std::str::from_utf8(bytes).ok()?;
    let mut words = text.trim_end_matches(['\0', '\n']).split(':');
    let uid = id(words.next()?)?;
    let gid = id(words.next()?)?;
    let mode = u32::from_str_radix(words.next()?, 8).ok()? as u16 & PERMISSIONS;
    let device = words.next().and_then(device);
    Some(Fact { uid: Some(Uid(uid)), gid: Some(Gid(gid)), mode: Some(mode), device, ..Fact::default() })
}

fn id(word: &str) -> Option<u32> {
    word.parse().ok().filter(|&id| id != UNCHANGED)
}

fn device(kind: &str) -> Option<Device> {
    let mut words = kind.split('-');
    let block = match words.next()? {
        "block" => true,
        "char" => false,
        _ => return None,
    };
    let major = words.next()?.parse().ok()?;
    let minor = words.next()?.parse().ok()?;
    Some(Device { block, major, minor })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Times;
    use super::*;

    fn owned(uid: Option<u32>, gid: Option<u32>) -> Fact {
        Fact { uid: uid.map(Uid), gid: gid.map(Gid), ..Fact::default() }
    }

    fn seen(uid: u32, gid: u32, mode: u16) -> Attributes {
        Attributes { uid: Uid(uid), gid: Gid(gid), mode, device: None, times: Times::default(), flags: 0 }
    }

    #[test]
    fn owners_are_the_bytes_that_umoci_writes() {
        let one = owned(None, Some(33));
        assert_eq!(owner(&one).unwrap(), b"\x08\xff\xff\xff\xff\x0f\x10\x21");
        let both = owned(Some(100), Some(65534));
        assert_eq!(owner(&both).unwrap(), b"\x08\x64\x10\xfe\xff\x03");
        let roots = owned(Some(0), Some(5));
        assert_eq!(owner(&roots).unwrap(), b"\x10\x05", "zero is not written");
        assert_eq!(owner(&Fact::default()), None);
        for known in [one, both, roots] {
            assert_eq!(fact(owner(&known).as_deref(), None), known);
        }
        assert_eq!(fact(Some(b""), None), owned(Some(0), Some(0)), "an empty message is 0:0");
    }

    #[test]
    fn modes_and_devices_are_the_lines_that_fuse_overlayfs_reads() {
        let device = Some(Device { block: true, major: 8, minor: 1 });
        let disk = Fact { device, ..owned(None, Some(6)) };
        let line = stat(&disk, &Attributes { device, ..seen(0, 6, 0o060_660) });
        assert_eq!(line.unwrap(), b"0:6:0660:block-8-1");
        let locked = Fact { mode: Some(0o2755), ..Fact::default() };
        assert_eq!(stat(&locked, &seen(0, 0, 0o042_755)).unwrap(), b"0:0:2755:dir");
        assert_eq!(stat(&locked, &seen(7, 8, 0o102_755)).unwrap(), b"7:8:2755:file");
        assert_eq!(stat(&owned(Some(7), None), &seen(7, 0, 0o100_644)), None);
    }

    #[test]
    fn lines_of_other_tools_are_understood() {
        let parsed = |line: &str| fact(None, Some(line.as_bytes()));
        let plain = Fact { mode: Some(0o755), ..owned(Some(0), Some(50)) };
        assert_eq!(parsed("0:50:0755"), plain);
        assert_eq!(parsed("0:50:0755:dir"), plain);
        assert_eq!(parsed("0:50:0100755"), plain, "a type in the mode does no harm");
        let null = Device { block: false, major: 1, minor: 3 };
        assert_eq!(parsed("0:50:755:char-1-3"), Fact { device: Some(null), ..plain });
        for wrong in ["", ":", "1:2", "a:2:755", "1:2:9", "1:-2:755", "4294967296:0:644"] {
            assert_eq!(parsed(wrong), Fact::default(), "{wrong}");
        }
    }

    #[test]
    fn the_message_has_the_ids_where_both_are_there() {
        let both = fact(Some(b"\x08\x07\x10\xff\xff\xff\xff\x0f"), Some(b"9:9:4711:file"));
        assert_eq!(both, Fact { mode: Some(0o4711), ..owned(Some(7), None) });
    }

    #[test]
    fn a_broken_message_says_nothing() {
        for broken in [&b"\x08"[..], b"\x08\xff\xff", b"\x0a\xff\x01", b"\x00\x01", &[0xff; 40]] {
            assert_eq!(fact(Some(broken), None), Fact::default(), "{broken:x?}");
        }
        assert_eq!(
            fact(Some(b"\x18\x01\x10\x05"), None),
            owned(Some(0), Some(5)),
            "unknown fields are skipped"
        );
    }

    fn ids() -> impl Strategy<Value = Option<u32>> {
        proptest::option::of(0..u32::MAX)
    }

    proptest! {
        #[test]
        fn owners_survive_their_bytes(uid in ids(), gid in ids()) {
            let known = owned(uid, gid);
            let bytes = owner(&known);
            prop_assert!(bytes.as_ref().is_none_or(|bytes| bytes.len() <= LONGEST));
            prop_assert_eq!(fact(bytes.as_deref(), None), known);
        }

        #[test]
        fn modes_and_devices_survive_their_line(
            uid in 0..u32::MAX, gid in 0..u32::MAX, mode in 0..=PERMISSIONS,
            block in any::<bool>(), major in any::<u32>(), minor in any::<u32>(),
        ) {
            let device = Some(Device { block, major, minor });
            let known = Fact { mode: Some(mode), device, ..owned(Some(uid), Some(gid)) };
            let line = stat(&known, &seen(uid, gid, mode)).unwrap();
            prop_assert!(line.len() <= LONGEST);
            prop_assert_eq!(fact(None, Some(&line)), known);
        }

        #[test]
        fn hostile_values_are_read_without_harm(
            owner in proptest::collection::vec(any::<u8>(), 0..64), stat in "[0-9a-z:\\-]{0,40}",
        ) {
            fact(Some(&owner), Some(stat.as_bytes()));
        }
    }
}
