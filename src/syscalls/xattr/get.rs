//! getxattr(2), lgetxattr(2), fgetxattr(2), getxattrat(2).
//!
//! What copies or lists files asks for the same three or four attributes of each, mostly in vain: where nothing
//! can be known no call stops twice, and where the kernel's answer settles it nothing is looked up.

use super::class::Class;
use super::request::{Kind, Request};
use super::{acl, capability, hidden, privileged, users};
use crate::abi::stat::Statx;
use crate::abi::{Errno, SysResult};
use crate::cred::Cap;
use crate::ownership::{Extra, Identity};
use crate::syscalls::{Guest, Verdict, inode};

/// The whole call.
pub fn get<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    let Some(request) = Request::read(guest, FORM, Kind::Get) else { return Verdict::Run };
    if hidden::is_hidden(guest, &request.name) {
        return Verdict::Reply(hidden::absent(guest, &request, Kind::Get));
    }
    if guest.sandboxed() || !guest.ownership().may_have_extras() {
        return Verdict::Run;
    }
    match Class::of(&request.name) {
        Class::Other => Verdict::Run,
        Class::User if !guest.ownership().may_have_foreign_extras() && request.name != users::BARE => {
            Verdict::Run
        }
        Class::Trusted if !guest.credentials().has(Cap::SYS_ADMIN) => Verdict::Run, // and it sees none
        _ => Verdict::Amend(got::<FORM>),
    }
}

/// Puts what is remembered over the kernel's answer.
fn got<const FORM: u8>(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    let Some(request) = Request::read(guest, FORM, Kind::Get) else { return result };
    let class = Class::of(&request.name);
    if settles(guest, class, result) {
        return result;
    }
    let Ok(statx) = inode::inspect(guest, request.place) else { return result };
    let extras = guest.ownership().extras(Identity::of(&statx));
    match extras.get(&request.name) {
        None => unknown(guest, &request, class, result, &statx),
        Some(Extra::Whole(value)) => request.give(guest, value),
        Some(Extra::Gone) => Err(Errno::ENODATA),
        Some(Extra::Beside(beside)) => {
            let Ok(kernels) = request.kernels_value(guest) else { return result };
            let shown = match class {
                Class::Capability => capability::shown(&kernels, beside),
                _ => acl::shown(&kernels, beside),
            };
            match shown {
                Some(shown) => request.give(guest, &shown),
                None => unknown(guest, &request, class, result, &statx),
            }
        }
    }
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

/// Whether nothing that may be remembered changes this answer of the kernel.
fn settles(guest: &dyn Guest, class: Class, result: SysResult) -> bool {
    match (class, result) {
        (_, Ok(_) | Err(Errno::ERANGE | Errno::EOVERFLOW)) => false,
        // What would be remembered beside it is void.
        (Class::Capability | Class::Access | Class::Default, Err(Errno::ENODATA)) => {
            !guest.ownership().may_have_foreign_extras()
        }
        (_, Err(Errno::ENODATA)) | (Class::User, Err(Errno::EINVAL | Errno::EACCES)) => false,
        (_, Err(_)) => true,
    }
}
