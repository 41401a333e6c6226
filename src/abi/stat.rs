//! The structures that stat(2) and statx(2) fill, as tables of offsets.
//!
//! Offsets are those of `asm/stat.h` and `linux/stat.h`, printed by a C compiler for each ABI; the
//! tests hold the sizes.

mod told;

pub use told::Statx;

use super::{Abi, DeviceNumber};

/// Type bits of a mode.
pub const S_IFMT: u16 = 0o170_000;
/// Character device.
pub const S_IFCHR: u16 = 0o020_000;
/// Directory.
pub const S_IFDIR: u16 = 0o040_000;
/// Block device.
pub const S_IFBLK: u16 = 0o060_000;
/// Regular file.
pub const S_IFREG: u16 = 0o100_000;
/// Symbolic link.
pub const S_IFLNK: u16 = 0o120_000;
/// Set-user-id bit.
pub const S_ISUID: u16 = 0o4000;
/// Set-group-id bit.
pub const S_ISGID: u16 = 0o2000;
/// Sticky bit.
pub const S_ISVTX: u16 = 0o1000;
/// Execute permission of the group.
pub const S_IXGRP: u16 = 0o0010;
/// The bits chmod(2) sets (`S_IALLUGO`).
pub const PERMISSIONS: u16 = 0o7777;

/// When an inode's status last changed: the low 32 bits of the seconds, and the nanoseconds; all
/// that every ABI reports.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Ctime(pub u64);

/// A moment as inodes have it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Time {
    /// Seconds since the epoch.
    pub seconds: i64,
    /// Nanoseconds of the second that has begun.
    pub nanoseconds: u32,
}

impl Ctime {
    const fn new(seconds: u64, nanoseconds: u64) -> Ctime {
        Ctime((seconds << 32) | (nanoseconds & 0xFFFF_FFFF))
    }

    /// The nanoseconds since the epoch, until 2106.
    pub const fn nanoseconds(self) -> i128 {
        (self.0 >> 32) as i128 * 1_000_000_000 + (self.0 & 0xFFFF_FFFF) as i128
    }
}

/// Where a little-endian integer stands.
#[derive(Debug, Clone, Copy)]
struct Field {
    offset: usize,
    width: usize,
}

impl Field {
    const fn new(offset: usize, width: usize) -> Field {
        Field { offset, width }
    }

    /// Its value; 0 where `bytes` ends before it.
    fn get(self, bytes: &[u8]) -> u64 {
        let field = bytes.get(self.offset..).and_then(|rest| rest.get(..self.width));
        field.map_or(0, |field| field.iter().rev().fold(0, |value, &byte| (value << 8) | u64::from(byte)))
    }

    fn patch(self, value: u64) -> Patch {
        Patch { offset: self.offset, bytes: value.to_le_bytes(), width: self.width }
    }
}

/// Where a moment stands; the oldest structure has whole seconds only.
#[derive(Debug, Clone, Copy)]
struct Clock {
    seconds: Field,
    nanoseconds: Option<Field>,
}

impl Clock {
    const fn new(seconds: (usize, usize), nanoseconds: (usize, usize)) -> Clock {
        let nanoseconds = Some(Field::new(nanoseconds.0, nanoseconds.1));
        Clock { seconds: Field::new(seconds.0, seconds.1), nanoseconds }
    }

    /// What has to be written for a moment to stand there, of which a narrow field holds the low bits.
    fn patches(self, time: Time) -> impl Iterator<Item = Patch> {
        let nanoseconds = self.nanoseconds.map(|field| field.patch(u64::from(time.nanoseconds)));
        std::iter::once(self.seconds.patch(time.seconds.cast_unsigned())).chain(nanoseconds)
    }
}

/// How a structure writes device numbers.
#[derive(Debug, Clone, Copy)]
enum DeviceCode {
    /// 16 bits, which may have lost some.
    Old,
    /// The 32-bit form, in a field of 32 or 64 bits.
    New,
    /// Major and minor as 32 bits each.
    Split,
}

/// One of the structures.
#[derive(Debug, Clone, Copy)]
pub struct StatLayout {
    /// Its size in bytes.
    pub size: usize,
    code: DeviceCode,
    dev: Field,
    ino: Field,
    mode: Field,
    uid: Field,
    gid: Field,
    rdev: Field,
    length: Field,
    atime: Clock,
    mtime: Clock,
    ctime: Field,
    ctime_nanoseconds: Option<Field>,
    /// Its other fields and where a statx has them; none where it cannot be made from one.
    rest: &'static [(Field, Field)],
}

/// Where `struct statx` has what only [`StatLayout::fill`] needs.
const INO: Field = Field::new(32, 8);
const BLOCK_SIZE: Field = Field::new(4, 4);
const LINKS: Field = Field::new(16, 4);
const BLOCKS: Field = Field::new(48, 8);

/// `struct stat` of x86_64.
pub const X86_64: StatLayout = StatLayout {
    size: 144,
    code: DeviceCode::New,
    dev: Field::new(0, 8),
    ino: Field::new(8, 8),
    mode: Field::new(24, 4),
    uid: Field::new(28, 4),
    gid: Field::new(32, 4),
    rdev: Field::new(40, 8),
    length: Field::new(48, 8),
    atime: Clock::new((72, 8), (80, 8)),
    mtime: Clock::new((88, 8), (96, 8)),
    ctime: Field::new(104, 8),
    ctime_nanoseconds: Some(Field::new(112, 8)),
    rest: &[(Field::new(16, 8), LINKS), (Field::new(56, 8), BLOCK_SIZE), (Field::new(64, 8), BLOCKS)],
};

/// `struct stat` of aarch64 (asm-generic/stat.h).
pub const AARCH64: StatLayout = StatLayout {
    size: 128,
    code: DeviceCode::New,
    dev: Field::new(0, 8),
    ino: Field::new(8, 8),
    mode: Field::new(16, 4),
    uid: Field::new(24, 4),
    gid: Field::new(28, 4),
    rdev: Field::new(32, 8),
    length: Field::new(48, 8),
    atime: Clock::new((72, 8), (80, 8)),
    mtime: Clock::new((88, 8), (96, 8)),
    ctime: Field::new(104, 8),
    ctime_nanoseconds: Some(Field::new(112, 8)),
    rest: &[(Field::new(20, 4), LINKS), (Field::new(56, 4), BLOCK_SIZE), (Field::new(64, 8), BLOCKS)],
};

/// `struct stat` of i386: 16-bit ids.
pub const I386: StatLayout = StatLayout {
    size: 64,
    code: DeviceCode::New,
    dev: Field::new(0, 4),
    ino: Field::new(4, 4),
    mode: Field::new(8, 2),
    uid: Field::new(12, 2),
    gid: Field::new(14, 2),
    rdev: Field::new(16, 4),
    length: Field::new(20, 4),
    atime: Clock::new((32, 4), (36, 4)),
    mtime: Clock::new((40, 4), (44, 4)),
    ctime: Field::new(48, 4),
    ctime_nanoseconds: Some(Field::new(52, 4)),
    rest: &[],
};

/// `struct stat64` of i386.
pub const I386_64: StatLayout = StatLayout {
    size: 96,
    code: DeviceCode::New,
    dev: Field::new(0, 8),
    ino: Field::new(88, 8),
    mode: Field::new(16, 4),
    uid: Field::new(24, 4),
    gid: Field::new(28, 4),
    rdev: Field::new(32, 8),
    length: Field::new(44, 8),
    atime: Clock::new((64, 4), (68, 4)),
    mtime: Clock::new((72, 4), (76, 4)),
    ctime: Field::new(80, 4),
    ctime_nanoseconds: Some(Field::new(84, 4)),
    rest: &[
        (Field::new(12, 4), INO),
        (Field::new(20, 4), LINKS),
        (Field::new(52, 4), BLOCK_SIZE),
        (Field::new(56, 8), BLOCKS),
    ],
};

/// `struct __old_kernel_stat` of i386: 16 bits for everything, whole seconds.
pub const I386_OLD: StatLayout = StatLayout {
    size: 32,
    code: DeviceCode::Old,
    dev: Field::new(0, 2),
    ino: Field::new(2, 2),
    mode: Field::new(4, 2),
    uid: Field::new(8, 2),
    gid: Field::new(10, 2),
    rdev: Field::new(12, 2),
    length: Field::new(16, 4),
    atime: Clock { seconds: Field::new(20, 4), nanoseconds: None },
    mtime: Clock { seconds: Field::new(24, 4), nanoseconds: None },
    ctime: Field::new(28, 4),
    ctime_nanoseconds: None,
    rest: &[],
};

/// `struct statx`, the same everywhere.
pub const STATX: StatLayout = StatLayout {
    size: 256,
    code: DeviceCode::Split,
    dev: Field::new(136, 4),
    ino: Field::new(32, 8),
    mode: Field::new(28, 2),
    uid: Field::new(20, 4),
    gid: Field::new(24, 4),
    rdev: Field::new(128, 4),
    length: Field::new(40, 8),
    atime: Clock::new((64, 8), (72, 4)),
    mtime: Clock::new((112, 8), (120, 4)),
    ctime: Field::new(96, 8),
    ctime_nanoseconds: Some(Field::new(104, 4)),
    rest: &[],
};

/// The larger of all sizes.
pub const LARGEST: usize = 256;

/// The structure that stat, lstat, fstat and newfstatat fill.
pub const fn native(abi: Abi) -> &'static StatLayout {
    match abi {
        Abi::X86_64 => &X86_64,
        Abi::I386 => &I386,
        Abi::Aarch64 => &AARCH64,
    }
}

/// What a filled structure says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reported {
    /// The filesystem's device number in its 32-bit form; `None` where it may have been cut off.
    pub dev: Option<u64>,
    /// Inode number.
    pub ino: u64,
    /// File type and permission bits.
    pub mode: u16,
    /// Owner, as the structure can hold it.
    pub uid: u32,
    /// Group, as the structure can hold it.
    pub gid: u32,
    /// Last status change; `None` where the structure has whole seconds only.
    pub ctime: Option<Ctime>,
}

/// Bytes to put over one field.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patch {
    /// Where, from the start of the structure.
    pub offset: usize,
    bytes: [u8; 8],
    width: usize,
}

impl Patch {
    /// The bytes: exactly as many as the field has.
    pub fn bytes(&self) -> &[u8] {
        self.bytes.get(..self.width).unwrap_or(&self.bytes)
    }
}

impl StatLayout {
    /// Reads a structure that the kernel filled.
    pub fn read(&self, bytes: &[u8]) -> Reported {
        let dev = match self.code {
            DeviceCode::Old => None,
            DeviceCode::New => Some(self.dev.get(bytes)),
            DeviceCode::Split => Some(u64::from(self.split(self.dev, bytes).encode())),
        };
        let seconds = self.ctime.get(bytes);
        Reported {
            dev,
            ino: self.ino.get(bytes),
            mode: self.mode.get(bytes) as u16,
            uid: self.uid.get(bytes) as u32,
            gid: self.gid.get(bytes) as u32,
            ctime: self.ctime_nanoseconds.map(|field| Ctime::new(seconds, field.get(bytes))),
        }
    }

    /// Turns flags of chattr(1) round, which only statx(2) tells: `STATX_ATTR_*` have the numbers of `FS_*_FL`.
    pub fn put_flags(&self, bytes: &[u8], flips: u32) -> Option<Patch> {
        const ATTRIBUTES: Field = Field::new(8, 8);
        const TOLD: u32 = 0x74;
        let tells = matches!(self.code, DeviceCode::Split) && flips & TOLD != 0;
        tells.then(|| ATTRIBUTES.patch(ATTRIBUTES.get(bytes) ^ u64::from(flips & TOLD)))
    }

    /// Writes the time of the last access where `real` stands now; nothing where another does.
    pub fn put_atime(&self, bytes: &[u8], real: Time, shown: Time) -> Vec<Patch> {
        replacement(self.atime, bytes, real, shown)
    }

    /// The same for the last modification.
    pub fn put_mtime(&self, bytes: &[u8], real: Time, shown: Time) -> Vec<Patch> {
        replacement(self.mtime, bytes, real, shown)
    }

    fn split(&self, field: Field, bytes: &[u8]) -> DeviceNumber {
        let minor = Field::new(field.offset + field.width, field.width);
        DeviceNumber { major: field.get(bytes) as u32, minor: minor.get(bytes) as u32 }
    }

    /// Whether [`fill`](StatLayout::fill) knows the whole structure. The narrow ones do not hold every value:
    /// there the kernel decides what becomes of it.
    pub const fn can_fill(&self) -> bool {
        !self.rest.is_empty()
    }

    /// The structure as the kernel fills it for an inode that a whole statx(2) has described
    /// (`cp_new_stat`, `cp_new_stat64`).
    pub fn fill(&self, statx: &[u8; Statx::SIZE]) -> [u8; LARGEST] {
        let mut bytes = [0; LARGEST];
        let mut put = |patch: Patch| {
            let field = bytes.get_mut(patch.offset..).unwrap_or_default();
            field.iter_mut().zip(patch.bytes()).for_each(|(to, from)| *to = *from);
        };
        put(self.dev.patch(u64::from(STATX.split(STATX.dev, statx).encode())));
        put(self.rdev.patch(u64::from(STATX.split(STATX.rdev, statx).encode())));
        let same = [
            (self.ino, STATX.ino),
            (self.mode, STATX.mode),
            (self.uid, STATX.uid),
            (self.gid, STATX.gid),
            (self.length, STATX.length),
            (self.ctime, STATX.ctime),
        ];
        let nanoseconds = self.ctime_nanoseconds.zip(STATX.ctime_nanoseconds);
        let clocks = [(self.atime, STATX.atime), (self.mtime, STATX.mtime)].map(|(to, from)| {
            let nanoseconds = to.nanoseconds.zip(from.nanoseconds);
            [Some((to.seconds, from.seconds)), nanoseconds]
        });
        let clocks = clocks.as_flattened().iter().flatten();
        for (to, from) in same.iter().chain(&nanoseconds).chain(clocks).chain(self.rest) {
            put(to.patch(from.get(statx)));
        }
        bytes
    }

    /// Writes an owner, cut to 65534 where it does not fit (`SET_UID`, linux/highuid.h).
    pub fn put_uid(&self, uid: u32) -> Patch {
        self.uid.patch(fit(uid, self.uid.width))
    }

    /// The same for a group.
    pub fn put_gid(&self, gid: u32) -> Patch {
        self.gid.patch(fit(gid, self.gid.width))
    }

    /// Writes type and permission bits.
    pub fn put_mode(&self, mode: u16) -> Patch {
        self.mode.patch(u64::from(mode))
    }

    /// Writes the number of the device that the inode is, and the length 0 that devices have.
    pub fn put_device(&self, device: DeviceNumber) -> [Patch; 3] {
        let length = self.length.patch(0);
        match self.code {
            DeviceCode::Old => [self.rdev.patch(u64::from(device.encode_old())), length, length],
            DeviceCode::New => [self.rdev.patch(u64::from(device.encode())), length, length],
            DeviceCode::Split => {
                let minor = Field::new(self.rdev.offset + self.rdev.width, self.rdev.width);
                [self.rdev.patch(u64::from(device.major)), minor.patch(u64::from(device.minor)), length]
            }
        }
    }
}

fn replacement(clock: Clock, bytes: &[u8], real: Time, shown: Time) -> Vec<Patch> {
    let stands = |patch: Patch| bytes.get(patch.offset..).is_some_and(|rest| rest.starts_with(patch.bytes()));
    let still = clock.patches(real).all(stands);
    if still { clock.patches(shown).collect() } else { Vec::new() }
}

/// An id as a field of this width holds it.
fn fit(id: u32, width: usize) -> u64 {
    if width == 2 && id > 0xFFFF { 65534 } else { u64::from(id) }
}

#[cfg(test)]
mod tests;
