//! Who may change an inode's owner, group and mode, and what becomes of its set-id bits.
//!
//! Pure, and the kernel's: `fs/attr.c`, `fs/open.c`, `fs/inode.c`. Every id exists in the guest's
//! illusion, so `capable_wrt_inode_uidgid` is a plain question for the capability.

use super::Attributes;
use crate::abi::{
    Errno,
    stat::{PERMISSIONS, S_IFMT, S_IFREG, S_ISGID, S_ISUID, S_ISVTX, S_IXGRP},
};
use crate::cred::{Cap, Credentials, Gid, Uid};

/// `FS_IMMUTABLE_FL`: nobody may change it, `STATX_ATTR_IMMUTABLE` to statx(2).
pub const IMMUTABLE: u32 = 0x10;
/// `FS_APPEND_FL`: it can only grow, `STATX_ATTR_APPEND` to statx(2).
pub const APPEND: u32 = 0x20;
/// Either of them.
pub const FROZEN: u32 = IMMUTABLE | APPEND;

/// chown(2) (`chown_common`, `notify_change`): the attributes afterwards. `None` leaves an id as it
/// is.
///
/// # Errors
/// `EPERM`.
pub fn chown(
    who: &Credentials,
    inode: Attributes,
    flags: u32,
    uid: Option<Uid>,
    gid: Option<Gid>,
) -> Result<Attributes, Errno> {
    if flags & FROZEN != 0 && (uid.is_some() || gid.is_some()) {
        return Err(Errno::EPERM); // may_setattr
    }
    let owner = who.fsuid == inode.uid;
    let capable = who.has(Cap::CHOWN);
    let chown_ok = |uid| (owner && uid == inode.uid) || capable;
    let chgrp_ok = |gid| (owner && (gid == inode.gid || who.in_group(gid))) || capable;
    if !uid.is_none_or(chown_ok) || !gid.is_none_or(chgrp_ok) {
        return Err(Errno::EPERM);
    }
    let new_gid = gid.unwrap_or(inode.gid);
    let after = Attributes { uid: uid.unwrap_or(inode.uid), gid: new_gid, ..inode };
    match killed_by_chown(who, inode) {
        0 => Ok(after),
        // To lose a bit is a change of mode, and needs what that needs.
        killed => Ok(after.with_permissions(set_mode(who, inode.uid, new_gid, inode.mode & !killed)?)),
    }
}

/// The set-id bits that any chown of a non-directory takes, even root's and even of −1
/// (`chown_common`, `setattr_should_drop_sgid`).
fn killed_by_chown(who: &Credentials, inode: Attributes) -> u16 {
    if inode.is_directory() {
        return 0;
    }
    let drop_sgid = inode.mode & S_IXGRP != 0 || !keeps_set_gid(who, inode.gid);
    inode.mode & (S_ISUID | if drop_sgid { S_ISGID } else { 0 })
}

/// chmod(2) (`chmod_common`): the permission bits afterwards, which may lack `S_ISGID`.
///
/// # Errors
/// `EPERM`.
pub fn chmod(who: &Credentials, inode: Attributes, flags: u32, mode: u16) -> Result<u16, Errno> {
    if flags & FROZEN != 0 {
        return Err(Errno::EPERM);
    }
    set_mode(who, inode.uid, inode.gid, mode)
}

/// `setattr_prepare` for `ATTR_MODE`: `gid` is the group the inode will have.
fn set_mode(who: &Credentials, owner: Uid, gid: Gid, mode: u16) -> Result<u16, Errno> {
    if who.fsuid != owner && !who.has(Cap::FOWNER) {
        return Err(Errno::EPERM); // inode_owner_or_capable
    }
    let kept = if keeps_set_gid(who, gid) { PERMISSIONS } else { PERMISSIONS & !S_ISGID };
    Ok(mode & kept)
}

/// utimensat(2) and its relatives (`notify_change`, `setattr_prepare`); to the `present` may set both times
/// whoever may write.
///
/// # Errors
/// `EPERM`, `EACCES`.
pub fn set_times(who: &Credentials, inode: Attributes, flags: u32, present: bool) -> Result<(), Errno> {
    let frozen = if present { IMMUTABLE } else { FROZEN };
    if flags & frozen != 0 {
        return Err(Errno::EPERM);
    }
    match who.fsuid == inode.uid || who.has(Cap::FOWNER) {
        true => Ok(()),
        false if !present => Err(Errno::EPERM),
        false => may_write(who, inode),
    }
}

/// Whether a write takes set-id bits that a writer without `CAP_FSETID` there would take, and root would not
/// (`setattr_should_drop_suidgid`), from a file that nobody but root writes. In a user namespace nobody has it,
/// so the kernel takes them from root too.
pub const fn loses_set_id(inode: &Attributes) -> bool {
    const OTHERS_WRITE: u16 = 0o022;
    let taken = inode.mode & S_ISUID != 0 || inode.mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP;
    taken && inode.mode & S_IFMT == S_IFREG && inode.uid.0 == 0 && inode.mode & OTHERS_WRITE == 0
}

/// Whether who changes a file's mode may leave it its set-gid bit (`in_group_or_capable`, fs/inode.c).
pub fn keeps_set_gid(who: &Credentials, gid: Gid) -> bool {
    who.in_group(gid) || who.has(Cap::FSETID)
}

/// What an inode that `who` makes in `directory` is like, where the filesystem alone would have it be
/// `inode` (`inode_init_owner`). `S_ISGID` goes by the mode that was `asked` for, before the umask
/// (`mode_strip_sgid`).
pub fn made(who: &Credentials, directory: Option<Attributes>, inode: Attributes, asked: u16) -> Attributes {
    const SET_GID: u16 = S_ISGID | S_IXGRP;
    let (uid, gid) = (who.fsuid, who.fsgid);
    match directory.filter(Attributes::passes_group_on) {
        None => Attributes { uid, gid, ..inode },
        Some(Attributes { gid, .. }) => {
            let strip = !inode.is_directory() && asked & SET_GID == SET_GID && !keeps_set_gid(who, gid);
            let mode = if strip { inode.mode & !S_ISGID } else { inode.mode };
            Attributes { uid, gid, mode, ..inode }
        }
    }
}

/// Whether `who` may write to an inode, by its mode (`generic_permission`).
///
/// # Errors
/// `EACCES`.
pub fn may_write(who: &Credentials, inode: Attributes) -> Result<(), Errno> {
    if permits(who, inode, 2) { Ok(()) } else { Err(Errno::EACCES) }
}

/// Whether the mode of what is no directory permits `who` to read (4), write (2) or both.
fn permits(who: &Credentials, inode: Attributes, wanted: u16) -> bool {
    let shift = if who.fsuid == inode.uid {
        6
    } else if who.in_group(inode.gid) {
        3
    } else {
        0
    };
    inode.mode >> shift & wanted == wanted || who.has(Cap::DAC_OVERRIDE)
}

/// Whether `who` may take a name of `inode` out of a directory (`__check_sticky`).
pub fn may_take(who: &Credentials, directory: Attributes, inode: Attributes) -> bool {
    let owner = who.fsuid == inode.uid || who.fsuid == directory.uid;
    directory.mode & S_ISVTX == 0 || owner || who.has(Cap::FOWNER)
}

/// Whether `who` may give an inode another name where hard links are protected (`may_linkat`,
/// `safe_hardlink_source`).
pub fn may_link(who: &Credentials, inode: Attributes) -> bool {
    const SET_GID: u16 = S_ISGID | S_IXGRP;
    let safe = inode.mode & S_IFMT == S_IFREG && inode.mode & S_ISUID == 0 && inode.mode & SET_GID != SET_GID;
    who.fsuid == inode.uid || who.has(Cap::FOWNER) || (safe && permits(who, inode, 6))
}
