//! The structure that statfs(2) fills.
//!
//! Offsets are those of `asm/statfs.h`, printed by a C compiler for each ABI. On i386 it is that of
//! statfs64(2), which is told the structure's size.

use super::Abi;

/// What statfs(2) says of a filesystem, as far as it matters which one it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statfs {
    /// Its kind (`*_MAGIC`).
    pub kind: u64,
    /// Its id; 0 where it has none.
    pub id: u64,
}

impl Statfs {
    /// Room for the structure of every ABI.
    pub const LARGEST: usize = 120;

    /// Size of the structure.
    pub const fn size(abi: Abi) -> usize {
        match abi {
            Abi::I386 => 84,
            Abi::X86_64 | Abi::Aarch64 => Statfs::LARGEST,
        }
    }

    /// Reads the structure.
    pub fn parse(abi: Abi, bytes: &[u8]) -> Statfs {
        let (kind, id) = if abi.word() == 4 { (4, 48) } else { (8, 56) };
        let number = |at: usize, width: usize| {
            let field = bytes.get(at..).and_then(|rest| rest.get(..width)).unwrap_or_default();
            field.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte))
        };
        Statfs { kind: number(0, kind), id: number(id, 8) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kind_and_id_stand_where_the_abi_has_them() {
        let mut bytes = [0xFF; Statfs::LARGEST];
        bytes[..8].copy_from_slice(&0xEF53_u64.to_le_bytes());
        bytes[48..56].copy_from_slice(&7_u64.to_le_bytes());
        bytes[56..64].copy_from_slice(&9_u64.to_le_bytes());
        assert_eq!(Statfs::parse(Abi::X86_64, &bytes), Statfs { kind: 0xEF53, id: 9 });
        assert_eq!(Statfs::parse(Abi::I386, &bytes), Statfs { kind: 0xEF53, id: 7 });
        assert_eq!(Statfs::parse(Abi::Aarch64, &[]), Statfs { kind: 0, id: 0 });
        assert_eq!(size_of::<libc::statfs>(), Statfs::size(Abi::X86_64));
    }
}
