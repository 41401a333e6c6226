//! setxattr(2), lsetxattr(2), fsetxattr(2), setxattrat(2).

use super::class::Class;
use super::request::{Kind, Request};
use super::{acl, capability, foreign, hidden, privileged, users};
use crate::abi::Errno;
use crate::syscalls::{Guest, Verdict};

/// The whole call.
pub fn set<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    let Some(request) = Request::read(guest, FORM, Kind::Set) else { return Verdict::Run };
    let is_hidden = hidden::is_hidden(guest, &request.name);
    let Some(value) = request.value(guest) else { return Verdict::Run };
    let is_plain = !is_hidden && acl::is_plain(guest.view(), &request, &value);
    if is_plain && foreign::is_the_kernels(guest, &request) || guest.must_stop() {
        return Verdict::Run;
    }
    if is_hidden {
        return Verdict::Reply(hidden::set(guest, &request, value));
    }
    if foreign::is_frozen(guest, &request) {
        return Verdict::Reply(foreign::settable(guest, &request).and(Err(Errno::EPERM)));
    }
    match Class::of(&request.name) {
        Class::User => users::set::<FORM>(guest, &request),
        Class::Trusted | Class::Security => Verdict::Reply(privileged::set(guest, &request, value)),
        Class::Capability => capability::set(guest, &request, &value),
        Class::Access | Class::Default => acl::set::<FORM>(guest, &request, &value),
        Class::Other => users::unknown::<FORM>(),
    }
}
