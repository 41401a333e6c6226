//! Which filesystem an inode is on, by a name that outlasts its mount.

use crate::abi::statfs::Statfs;

/// A filesystem. A device number names one only while it is mounted: those of overlays, tmpfs and btrfs are
/// handed out anew with each mount, those of disks with each boot. What statfs(2) calls its id was found, on
/// Linux 6.18, to be
///
/// - for ext4 and btrfs made of the filesystem's UUID (and the subvolume): the same after a remount, on another
///   device;
/// - for overlayfs made of a UUID that it keeps in its upper directory since Linux 6.6, mounted by root or in
///   a user namespace: the same after a remount, another for each upper directory. Before, it is that of the
///   upper directory's filesystem, and a symbolic link of a layer that two containers share is one inode;
/// - for tmpfs random with each mount: what was in it never comes back, and is never found in another;
/// - for xfs the number of its device, which is as lasting as the order in which devices are found;
/// - for proc, devpts and their like the device number, for FUSE and NFS nothing.
///
/// Where the id is not as lasting as could be wished, the birth time sees to it that a fact is lost rather
/// than another's; where there is none, facts end with the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Filesystem {
    /// What stands for it in a file.
    pub id: i64,
    /// Whether it ends with this boot of the machine.
    pub fleeting: bool,
}

impl Filesystem {
    /// The one with this device number that statfs(2) has described.
    pub fn of(statfs: Statfs, dev: u64) -> Filesystem {
        const TMPFS: u64 = 0x0102_1994;
        const DEVPTS: u64 = 0x1CD1;
        const RAMFS: u64 = 0x8584_58F6;
        let Statfs { kind, id } = statfs;
        // Of some consequence where ids and device numbers of several kinds meet.
        let id = if id == 0 { dev.rotate_left(32) } else { id } ^ kind.wrapping_mul(0x9E37_79B9_7F4A_7C15);
        Filesystem { id: id.cast_signed(), fleeting: matches!(kind, TMPFS | DEVPTS | RAMFS) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_filesystem_with_an_id_is_the_same_under_another_device_number() {
        let of = |kind, id, dev| Filesystem::of(Statfs { kind, id }, dev);
        assert_eq!(of(0xEF53, 7, 1), of(0xEF53, 7, 2));
        assert_ne!(of(0xEF53, 7, 1), of(0xEF53, 8, 1));
        assert_ne!(of(0xEF53, 7, 1), of(0x794C_7630, 7, 1), "an overlay with its upper layer's id");
        assert_ne!(of(0x6969, 0, 1), of(0x6969, 0, 2));
        assert!(of(0x0102_1994, 7, 1).fleeting && !of(0xEF53, 7, 1).fleeting);
    }
}
