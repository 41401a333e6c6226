//! `user.*`, which the kernel keeps on regular files and directories of ours.

use super::foreign;
use super::request::{Kind, Request};
use crate::abi::stat::{S_IFDIR, S_IFMT, S_IFREG, S_ISVTX, Statx};
use crate::abi::{Errno, SysResult};
use crate::cred::Cap;
use crate::ownership::{Attributes, rules};
use crate::syscalls::attributes::NOBODYS;
use crate::syscalls::inode;
use crate::syscalls::{Guest, Verdict, access};

/// The beginning of each, and no name.
pub(super) const BARE: &[u8] = b"user.";

/// Sets one.
pub(super) fn set<const FORM: u8>(guest: &mut dyn Guest, request: &Request) -> Verdict {
    if forbidden(guest, request) {
        return Verdict::Reply(foreign::settable(guest, request).and(Err(Errno::EPERM)));
    }
    Verdict::Amend(|guest, result| {
        if !matches!(result, Err(Errno::EPERM | Errno::EACCES)) {
            return result;
        }
        let Some(request) = Request::read(guest, FORM, Kind::Set) else { return result };
        let Some(value) = request.value(guest) else { return result };
        let result = as_root(guest, &request, Kind::Set, result);
        if result.is_ok() {
            return result;
        }
        let statx = refused(guest, &request, result)?;
        foreign::keep(guest, &request, &statx, value, true)
    })
}

/// Removes one.
pub(super) fn remove<const FORM: u8>(guest: &mut dyn Guest, request: &Request) -> Verdict {
    if forbidden(guest, request) {
        return Verdict::Reply(foreign::removable(guest, request).and(Err(Errno::EPERM)));
    }
    Verdict::Amend(|guest, result| removed::<FORM>(guest, result))
}

fn removed<const FORM: u8>(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    if !matches!(result, Err(Errno::EPERM | Errno::EACCES)) {
        return result;
    }
    let Some(request) = Request::read(guest, FORM, Kind::Remove) else { return result };
    let result = as_root(guest, &request, Kind::Remove, result);
    if result.is_ok() {
        return result;
    }
    let statx = refused(guest, &request, result)?;
    foreign::drop(guest, &request, &statx, true)
}

/// Does it once more where the kernel has refused it to an owner without privilege, and the guest may.
fn as_root(guest: &mut dyn Guest, request: &Request, kind: Kind, refused: SysResult) -> SysResult {
    if !guest.view().lacks_privilege() {
        return refused;
    }
    let statx = inode::inspect(guest, request.place)?;
    let inode = inode::attributes(guest, &statx).1;
    if rules::may_write(&guest.credentials(), inode).is_err() {
        return refused;
    }
    access::as_root(guest, request.place, |guest| request.run(guest, kind))
}

/// Whether the guest's inode cannot bear any where the kernel's can, or its owner alone may change it
/// (`xattr_permission`).
pub(super) fn forbidden(guest: &mut dyn Guest, request: &Request) -> bool {
    let almighty = guest.credentials().has(Cap::FOWNER);
    if guest.ownership().is_empty() && almighty {
        return false;
    }
    let Ok(statx) = inode::inspect(guest, request.place) else { return false };
    let inode = inode::attributes(guest, &statx).1;
    let sticky = inode.is_directory() && inode.mode & S_ISVTX != 0;
    inode.device.is_some() || sticky && !foreign::owns(guest, inode)
}

/// An attribute of a kind that there is not: the kernel asks who may first, and on the inodes of others says
/// that nobody may.
pub(super) fn unknown<const FORM: u8>() -> Verdict {
    Verdict::Amend(|guest, result| {
        if !matches!(result, Err(Errno::EPERM | Errno::EACCES)) {
            return result;
        }
        let Some(request) = Request::read(guest, FORM, Kind::Remove) else { return result };
        others(guest, &request, result)?;
        Err(Errno::EOPNOTSUPP)
    })
}

/// The inode, where the kernel has refused to write to one of others although the guest may.
///
/// # Errors
/// What the kernel has said, or `EACCES`.
fn others(guest: &mut dyn Guest, request: &Request, result: SysResult) -> Result<(Statx, Attributes), Errno> {
    let (statx, inode) = foreign::changeable(guest, request)?;
    if inode::known(&statx).is_ours(guest.view()) && !guest.view().lacks_privilege() {
        result?;
    }
    rules::may_write(&guest.credentials(), inode).map(|()| (statx, inode))
}

/// The same where it can bear such attributes.
fn refused(guest: &mut dyn Guest, request: &Request, result: SysResult) -> Result<Statx, Errno> {
    let (statx, inode) = others(guest, request, result)?;
    if !matches!(inode.mode & S_IFMT, S_IFREG | S_IFDIR) {
        return Err(Errno::EPERM);
    }
    if request.kernel_has(guest, NOBODYS.to_bytes()) == Err(Errno::EOPNOTSUPP) {
        return Err(Errno::EOPNOTSUPP);
    }
    if request.name == BARE { Err(Errno::EINVAL) } else { Ok(statx) }
}
