//! What is remembered of an inode.

use crate::cred::{Gid, Uid};

/// Which inode: device and inode number, and its birth time so that a reused number never inherits
/// an owner.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Identity {
    /// Device number of the filesystem, in the kernel's 64-bit `dev_t` encoding.
    pub dev: u64,
    /// Inode number.
    pub ino: u64,
    /// Birth time in nanoseconds since the epoch; 0 where the filesystem has none.
    pub birth: i128,
}

/// A device node that the guest believes it made; the inode itself is a regular file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Device {
    /// Whether it is a block device (else a character device).
    pub block: bool,
    /// Major number.
    pub major: u32,
    /// Minor number.
    pub minor: u32,
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
}
