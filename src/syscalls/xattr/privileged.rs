//! `trusted.*` and `security.*`, which need `CAP_SYS_ADMIN`: the kernel asks for that of the first user
//! namespace, or of the one that the filesystem was mounted in (`xattr_permission`, `cap_inode_setxattr`).

use super::class::SELINUX;
use super::foreign;
use super::request::{Kind, Request};
use crate::abi::{Errno, SysResult};
use crate::cred::Cap;
use crate::syscalls::{Guest, inode};

/// An attribute that no inode bears, of a kind that filesystems bear which bear any of these.
const PROBE: &[u8] = b"security.remainroot.none";

/// Sets one.
pub(super) fn set(guest: &mut dyn Guest, request: &Request, value: Vec<u8>) -> SysResult {
    if !may(guest, request)? {
        return foreign::settable(guest, request).and(Err(Errno::EPERM));
    }
    match request.run(guest, Kind::Set) {
        Err(errno) if is_for_want_of_privilege(guest, errno) => {}
        Ok(result) => return foreign::forget(guest, request).map(|()| result),
        Err(errno) => return Err(errno),
    }
    let (statx, _) = foreign::changeable(guest, request)?;
    supported(guest, request)?;
    foreign::keep(guest, request, &statx, value, false)
}

/// Removes one.
pub(super) fn remove(guest: &mut dyn Guest, request: &Request) -> SysResult {
    if !may(guest, request)? {
        return foreign::removable(guest, request).and(Err(Errno::EPERM));
    }
    match request.run(guest, Kind::Remove) {
        Err(errno) if is_for_want_of_privilege(guest, errno) => {}
        result => return result,
    }
    let (statx, _) = foreign::changeable(guest, request)?;
    supported(guest, request)?;
    foreign::drop(guest, request, &statx, false)
}

/// Whether the kernel refuses what it would let its own root do.
fn is_for_want_of_privilege(guest: &dyn Guest, errno: Errno) -> bool {
    errno == Errno::EPERM || errno == Errno::EACCES && guest.view().lacks_privilege()
}

/// Whether the caller may. A kernel with SELinux and no policy lets the owner set a label
/// (`selinux_inode_setxattr`); without it the kernel itself refuses that.
fn may(guest: &mut dyn Guest, request: &Request) -> Result<bool, Errno> {
    if guest.credentials().has(Cap::SYS_ADMIN) {
        return Ok(true);
    }
    if request.name != SELINUX {
        return Ok(false);
    }
    // What cannot be looked at the kernel says.
    let Ok(statx) = inode::inspect(guest, request.place) else { return Ok(true) };
    let inode = inode::attributes(guest, &statx).1;
    Ok(foreign::owns(guest, inode))
}

/// Whether the filesystem has such attributes (`xattr_resolve_name`).
///
/// # Errors
/// `EOPNOTSUPP`; `EINVAL` for a name that is only a prefix.
pub(super) fn supported(guest: &mut dyn Guest, request: &Request) -> Result<(), Errno> {
    if request.kernel_has(guest, PROBE) == Err(Errno::EOPNOTSUPP) {
        return Err(Errno::EOPNOTSUPP);
    }
    if request.name.ends_with(b".") && request.name.iter().filter(|&&byte| byte == b'.').count() == 1 {
        return Err(Errno::EINVAL);
    }
    Ok(())
}
