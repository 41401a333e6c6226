//! getxattr(2), lgetxattr(2), fgetxattr(2), getxattrat(2).
//!
//! What copies or lists files asks for the same three or four attributes of each, mostly in vain: where
//! nothing is known no call stops twice.

use super::class::Class;
use super::request::{Kind, Request};
use super::{acl, hidden, privileged, users};
use crate::abi::stat::Statx;
use crate::abi::{Errno, SysResult};
use crate::cred::Cap;
use crate::ownership::{Extra, Identity, joined};
use crate::syscalls::{Guest, Verdict, inode};

/// The whole call.
pub fn get<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    let Some(request) = Request::read(guest, FORM, Kind::Get) else { return Verdict::Run };
    if hidden::is_hidden(guest, &request.name) {
        return Verdict::Reply(hidden::get(guest, &request));
    }
    if !guest.ownership().may_have_extras() && !guest.view().lacks_privilege() {
        return Verdict::Run;
    }
    let kernel_knows = match Class::of(&request.name) {
        Class::Other => true,
        Class::User if request.name == users::BARE => false,
        Class::User if !guest.ownership().may_have_foreign_extras() => true,
        Class::Trusted => !guest.credentials().has(Cap::SYS_ADMIN), // who sees none
        _ => nothing_is_known(guest, &request),
    };
    if kernel_knows { Verdict::Run } else { Verdict::Amend(got::<FORM>) }
}

/// Whether nothing is remembered of the attribute, or the kernel will say why the inode is not found.
fn nothing_is_known(guest: &mut dyn Guest, request: &Request) -> bool {
    let Ok(statx) = inode::inspect(guest, request.place) else { return true };
    let known = guest.ownership().extras(Identity::of(&statx)).get(&request.name).is_some();
    !known && !request.has_placeholder(guest) && !acl::follows(guest, request, &statx)
}

/// Puts what is remembered over the kernel's answer.
fn got<const FORM: u8>(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    let Some(request) = Request::read(guest, FORM, Kind::Get) else { return result };
    if !matches!(
        result,
        Ok(_) | Err(Errno::ERANGE | Errno::EOVERFLOW | Errno::ENODATA | Errno::EINVAL | Errno::EACCES)
    ) {
        return result; // the inode was not found
    }
    let class = Class::of(&request.name);
    let Ok(statx) = inode::inspect(guest, request.place) else { return result };
    let result = if request.has_placeholder(guest) || acl::follows(guest, &request, &statx) {
        kernels_value(guest, &request, &statx).and_then(|value| request.give(guest, &value))
    } else {
        result
    };
    let extras = guest.ownership().extras(Identity::of(&statx));
    match extras.get(&request.name) {
        None => unknown(guest, &request, class, result, &statx),
        Some(Extra::Whole(value)) => request.give(guest, value),
        Some(Extra::Gone) => Err(Errno::ENODATA),
        Some(Extra::Beside(_)) if result == Err(Errno::ENODATA) => result, // void
        Some(Extra::Beside(beside)) => {
            let Ok(kernels) = kernels_value(guest, &request, &statx) else { return result };
            match joined(&request.name, &kernels, beside) {
                Some(shown) => request.give(guest, &shown),
                None => unknown(guest, &request, class, result, &statx),
            }
        }
    }
}

/// What the kernel has, as it would be with the mode that is remembered.
fn kernels_value(guest: &mut dyn Guest, request: &Request, statx: &Statx) -> Result<Vec<u8>, Errno> {
    let value = request.kernels_value(guest)?;
    Ok(if acl::follows(guest, request, statx) { acl::following(guest, statx, value) } else { value })
}

/// The answer where nothing is remembered. The kernel shows its own name spaces to those who may see them.
fn unknown(
    guest: &mut dyn Guest,
    request: &Request,
    class: Class,
    result: SysResult,
    statx: &Statx,
) -> SysResult {
    match (class, result) {
        (Class::Trusted, Err(Errno::ENODATA)) => privileged::supported(guest, request).and(result),
        (Class::User, Err(Errno::EINVAL)) if inode::attributes(guest, statx).1.device.is_some() => {
            Err(Errno::ENODATA)
        }
        _ => result,
    }
}
