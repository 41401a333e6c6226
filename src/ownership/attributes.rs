//! The one place that turns what the kernel says of an inode into what the guest sees.

use super::{Device, Fact, Times};
use crate::abi::stat::{PERMISSIONS, S_IFDIR, S_IFMT, S_IFREG, S_ISGID};
use crate::cred::{Gid, Uid, View};

/// What the kernel says of an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kernel {
    /// Owner.
    pub uid: u32,
    /// Group.
    pub gid: u32,
    /// File type and permission bits.
    pub mode: u16,
}

impl Kernel {
    /// Whether the kernel lets the guest's root change everything about the inode: both its ids exist in the
    /// namespace (`capable_wrt_inode_uidgid`), or, where the guest's root has no privilege, they are its own.
    pub fn is_ours(self, view: &View) -> bool {
        if view.lacks_privilege() {
            return self.uid == view.kernel_uid && self.gid == view.kernel_gid;
        }
        view.uids.contains(self.uid) && view.gids.contains(self.gid)
    }

    /// Whether what it bears counts: it is regular or a directory, as all are that bear attributes of users, and its owner,
    /// who can set them, is of the namespace, or where there is none, the caller.
    pub fn is_believed(self, view: &View) -> bool {
        let is_owned =
            if view.translates() { self.uid == view.kernel_uid } else { view.uids.contains(self.uid) };
        is_owned && matches!(self.mode & S_IFMT, S_IFREG | S_IFDIR)
    }
}

/// What the guest sees of an inode, and what every rule about it goes by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Attributes {
    /// Owner.
    pub uid: Uid,
    /// Group.
    pub gid: Gid,
    /// File type and permission bits.
    pub mode: u16,
    /// The device it stands for where the kernel knows only a regular file.
    pub device: Option<Device>,
    /// Times the kernel would not set.
    pub times: Times,
    /// Flags of chattr(1) that are shown the other way round than the kernel has them.
    pub flags: u32,
}

impl Attributes {
    /// What the guest sees where the kernel says `kernel` and `fact` is known.
    pub fn seen(kernel: Kernel, view: &View, fact: Option<Fact>) -> Attributes {
        let fact = fact.unwrap_or_default();
        let file_type = fact.device.map_or(kernel.mode & S_IFMT, Device::file_type);
        let permissions = fact.mode.unwrap_or(kernel.mode) & PERMISSIONS;
        Attributes {
            uid: fact.uid.unwrap_or_else(|| view.show_uid(kernel.uid)),
            gid: fact.gid.unwrap_or_else(|| view.show_gid(kernel.gid)),
            mode: file_type | permissions,
            device: fact.device,
            times: fact.times,
            flags: fact.flags,
        }
    }

    /// What a stat shows: the same, but that what nobody has touched may be the caller's.
    pub fn shown(kernel: Kernel, view: &View, fact: Option<Fact>) -> Attributes {
        let seen = Attributes::seen(kernel, view, fact);
        match view.untouched {
            Some((uid, gid)) if fact.is_none() => Attributes {
                uid: if kernel.uid == view.kernel_uid { uid } else { seen.uid },
                gid: if kernel.gid == view.kernel_gid { gid } else { seen.gid },
                ..seen
            },
            _ => seen,
        }
    }

    /// The bits chmod(2) sets.
    pub const fn permissions(&self) -> u16 {
        self.mode & PERMISSIONS
    }

    /// The same with other permission bits.
    pub const fn with_permissions(self, permissions: u16) -> Attributes {
        Attributes { mode: (self.mode & !PERMISSIONS) | (permissions & PERMISSIONS), ..self }
    }

    /// Whether what is made in it gets its group.
    pub fn passes_group_on(&self) -> bool {
        self.is_directory() && self.mode & S_ISGID != 0
    }

    /// Whether it is a directory.
    pub const fn is_directory(&self) -> bool {
        self.mode & S_IFMT == S_IFDIR
    }
}
