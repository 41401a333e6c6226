//! removexattr(2), lremovexattr(2), fremovexattr(2), removexattrat(2).

use super::class::Class;
use super::request::{Kind, Request};
use super::{acl, capability, foreign, hidden, privileged, users};
use crate::abi::Errno;
use crate::syscalls::{Guest, Verdict};

/// The whole call.
pub fn remove<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    let Some(request) = Request::read(guest, FORM, Kind::Remove) else { return Verdict::Run };
    let is_hidden = hidden::is_hidden(guest, &request.name);
    let is_plain =
        !is_hidden && matches!(Class::of(&request.name), Class::User | Class::Access | Class::Default);
    if is_plain && foreign::is_the_kernels(guest, &request) || guest.must_stop() {
        return Verdict::Run;
    }
    if is_hidden {
        return Verdict::Reply(hidden::remove(guest, &request));
    }
    if foreign::is_frozen(guest, &request) {
        return Verdict::Reply(foreign::removable(guest, &request).and(Err(Errno::EPERM)));
    }
    match Class::of(&request.name) {
        Class::User => users::remove::<FORM>(guest, &request),
        Class::Trusted | Class::Security => Verdict::Reply(privileged::remove(guest, &request)),
        Class::Capability => Verdict::Reply(capability::remove(guest, &request)),
        Class::Access | Class::Default => Verdict::Reply(acl::remove(guest, &request)),
        Class::Other => users::unknown::<FORM>(),
    }
}
