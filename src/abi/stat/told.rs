//! What a statx(2) tells of an inode.

use super::{Ctime, Field, Reported, STATX, Time};

/// What an injected statx(2) says of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Statx {
    /// Which fields the filesystem filled.
    pub mask: u32,
    /// `STATX_ATTR_*`.
    pub attributes: u64,
    /// The filesystem's device number in its 32-bit form.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// The device it is, in the 32-bit form.
    pub rdev: u32,
    /// Birth time in nanoseconds since the epoch; 0 where the filesystem has none. At the epoch itself, where
    /// those are born that image builders make, it is 1.
    pub birth: i128,
    /// Last status change.
    pub ctime: Ctime,
    /// The same, whole.
    pub changed: Time,
    /// Last access.
    pub atime: Time,
    /// Last modification.
    pub mtime: Time,
    /// File type and permission bits.
    pub mode: u16,
    /// Owner, by the kernel.
    pub uid: u32,
    /// Group, by the kernel.
    pub gid: u32,
    /// Its length in bytes.
    pub size: u64,
    /// How many names it has.
    pub links: u64,
    /// The mount that it was found in, if the kernel tells mounts apart for good (Linux 6.8).
    pub mount: Option<u64>,
}

impl Statx {
    /// Size of the structure in bytes.
    pub const SIZE: usize = STATX.size;
    /// `STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID_UNIQUE`: the mask to ask with.
    pub const MASK: u32 = 0x4FFF;
    /// `STATX_CTIME` of the result's mask.
    pub const CTIME: u32 = 0x80;
    /// `STATX_INO` of the result's mask.
    pub const INO: u32 = 0x100;
    /// `STATX_BTIME` of the result's mask.
    pub const BTIME: u32 = 0x800;
    /// `STATX_MNT_ID_UNIQUE` of the result's mask.
    pub const MOUNT: u32 = 0x4000;

    /// Reads the structure.
    pub fn parse(bytes: &[u8; Statx::SIZE]) -> Statx {
        let reported = STATX.read(bytes);
        let mask = Field::new(0, 4).get(bytes) as u32;
        let seconds = Field::new(80, 8).get(bytes) as i64;
        let nanoseconds = Field::new(88, 4).get(bytes);
        let time = |seconds, nanoseconds| Time {
            seconds: Field::new(seconds, 8).get(bytes).cast_signed(),
            nanoseconds: Field::new(nanoseconds, 4).get(bytes) as u32,
        };
        let birth = i128::from(seconds) * 1_000_000_000 + i128::from(nanoseconds);
        Statx {
            mask,
            attributes: Field::new(8, 8).get(bytes),
            dev: u64::from(STATX.split(STATX.dev, bytes).encode()),
            ino: reported.ino,
            rdev: STATX.split(STATX.rdev, bytes).encode(),
            birth: if mask & Statx::BTIME == 0 {
                0
            } else if birth == 0 {
                1
            } else {
                birth
            },
            ctime: Ctime::new(STATX.ctime.get(bytes), Field::new(104, 4).get(bytes)),
            changed: time(96, 104),
            atime: time(64, 72),
            mtime: time(112, 120),
            mode: reported.mode,
            uid: reported.uid,
            gid: reported.gid,
            size: Field::new(40, 8).get(bytes),
            links: Field::new(16, 4).get(bytes),
            mount: (mask & Statx::MOUNT != 0).then(|| Field::new(144, 8).get(bytes)),
        }
    }

    /// What of it is reliable: a caller may have asked for less than everything.
    pub fn reported(&self) -> Reported {
        Reported {
            dev: (self.mask & Statx::INO != 0).then_some(self.dev),
            ino: self.ino,
            mode: self.mode,
            uid: self.uid,
            gid: self.gid,
            ctime: (self.mask & Statx::CTIME != 0).then_some(self.ctime),
        }
    }
}
