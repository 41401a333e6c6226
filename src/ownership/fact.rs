//! What is remembered of an inode.

use super::{Attributes, Kernel, Times, rules};
use crate::abi::{
    DeviceNumber,
    stat::{S_IFBLK, S_IFCHR, S_IFMT, S_IFREG, Statx},
};
use crate::cred::{Gid, Uid, View};

/// An inode's number on its filesystem: all that a stat reports of which inode it is. Numbers are
/// used again after an unlink, so this names an inode only while it lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Inode {
    /// Device number of the filesystem, in the 32-bit form of [`DeviceNumber::encode`].
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
}

/// Which inode: device and inode number, and its birth time so that a reused number never inherits
/// an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device number of the filesystem, in the 32-bit form of [`DeviceNumber::encode`].
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Birth time in nanoseconds since the epoch; 0 where the filesystem has none; see
    /// [`Identity::of`].
    pub birth: i128,
}

impl Identity {
    /// Which inode a statx(2) has described.
    ///
    /// Terminals (devpts) have no birth time and get their numbers again at once, so of a character
    /// device without one the last change stands for its birth: every chown and chmod of it is made
    /// by us and records it anew.
    pub fn of(statx: &Statx) -> Identity {
        let terminal = statx.birth == 0 && statx.mode & S_IFMT == S_IFCHR;
        let birth = if terminal { statx.ctime.0.into() } else { statx.birth };
        Identity { dev: statx.dev, ino: statx.ino, birth }
    }

    /// The part that is known without asking for the birth time.
    pub const fn inode(self) -> Inode {
        Inode { dev: self.dev, ino: self.ino }
    }
}

/// A device node that the guest believes it made; the inode itself is a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Device {
    /// Whether it is a block device (else a character device).
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
}

impl Device {
    /// The one that an inode is to the kernel, if it is one, by its type and number.
    pub fn of(mode: u16, number: u32) -> Option<Device> {
        let kind = mode & S_IFMT;
        let DeviceNumber { major, minor } = DeviceNumber::decode(number);
        matches!(kind, S_IFBLK | S_IFCHR).then_some(Device { block: kind == S_IFBLK, major, minor })
    }

    /// Its number.
    pub const fn number(self) -> DeviceNumber {
        DeviceNumber { major: self.major, minor: self.minor }
    }

    /// Whether it is one of memory (Documentation/admin-guide/devices.txt): null, zero, full, random, urandom.
    pub const fn is_memory(self) -> bool {
        !self.block && self.major == 1
    }

    /// Its type bits in a mode.
    pub const fn file_type(self) -> u16 {
        if self.block { S_IFBLK } else { S_IFCHR }
    }
}

/// What a stat must show that the kernel does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Fact {
    /// Owner; `None` shows the kernel's.
    pub uid: Option<Uid>,
    /// Group; `None` shows the kernel's.
    pub gid: Option<Gid>,
    /// Permission bits (07777) the kernel would not keep; `None` shows the kernel's.
    pub mode: Option<u16>,
    /// The device it stands for.
    pub device: Option<Device>,
    /// Times the kernel would not set.
    pub times: Times,
    /// Flags of chattr(1) (`FS_*_FL`) that are shown the other way round than the kernel has them.
    pub flags: u32,
}

impl Fact {
    /// Whether it says nothing.
    pub fn is_empty(&self) -> bool {
        *self == Fact::default()
    }

    /// The part that no attribute of an inode holds, in whatever format.
    pub fn unborne(&self) -> Fact {
        Fact { times: self.times, flags: self.flags, ..Fact::default() }
    }

    /// What was found on an inode together with what is kept beside it, which is whole where the inode can
    /// bear nothing.
    pub fn beside(self, kept: Option<Fact>) -> Fact {
        match kept {
            Some(kept) if self.is_empty() => kept,
            Some(Fact { times, flags, .. }) => Fact { times, flags, ..self },
            None => self,
        }
    }

    /// A fact that was found on an inode which the kernel reports as `kernel`: only a regular file stands
    /// for a device. What the kernel says too stays, since it stands there and must go when that changes.
    pub fn found(self, kernel: Kernel) -> Fact {
        Fact { device: self.device.filter(|_| kernel.mode & S_IFMT == S_IFREG), ..self }
    }

    /// The least that must be remembered for `goal` to be shown where the kernel says `kernel`.
    pub fn between(kernel: Kernel, goal: Attributes, view: &View) -> Fact {
        let shown = Attributes::seen(kernel, view, None);
        let other_mode = shown.permissions() != goal.permissions() || rules::loses_set_id(&goal);
        Fact {
            uid: (shown.uid != goal.uid).then_some(goal.uid),
            gid: (shown.gid != goal.gid).then_some(goal.gid),
            mode: other_mode.then_some(goal.permissions()),
            device: goal.device,
            times: goal.times,
            flags: goal.flags,
        }
    }
}
