//! The attributes that hold what we keep are no business of the guest's: it sees none, and copies none along with a file's
//! data. What it sets under such a name itself is kept as what the kernel does not take. Where facts do not live in
//! attributes nothing is hidden.

use super::foreign;
use super::request::{Kind, Operand, Request};
use super::users;
use crate::abi::stat::{S_IFDIR, S_IFMT, S_IFREG};
use crate::abi::{Errno, SysResult};
use crate::ownership::{EXTRAS, Extra, Identity, MARK, rules, xattr};
use crate::syscalls::attributes::NOBODYS;
use crate::syscalls::{Guest, inode};

/// Whether an attribute is one of ours.
pub(super) fn is_hidden(guest: &dyn Guest, name: &[u8]) -> bool {
    let ours = [xattr::OWNER, xattr::STAT, EXTRAS, MARK, NOBODYS];
    guest.ownership().in_attributes() && ours.iter().any(|hidden| hidden.to_bytes() == name)
}

/// What the kernel says of an attribute that is not there: first that it cannot find the inode.
fn absent(guest: &mut dyn Guest, request: &Request, kind: Kind) -> SysResult {
    request.run_with(
        guest,
        kind,
        Operand::Bytes(NOBODYS.to_bytes_with_nul()),
        Operand::At(request.value),
        request.size,
    )
}

/// The value that the guest has given such an attribute.
pub(super) fn get(guest: &mut dyn Guest, request: &Request) -> SysResult {
    let absent = absent(guest, request, Kind::Get);
    if absent != Err(Errno::ENODATA) || !guest.ownership().may_have_extras() {
        return absent;
    }
    let statx = inode::inspect(guest, request.place)?;
    match guest.ownership().extras(Identity::of(&statx)).get(&request.name) {
        Some(Extra::Whole(value)) => request.give(guest, value),
        _ => absent,
    }
}

/// Keeps the value that the guest gives such an attribute.
pub(super) fn set(guest: &mut dyn Guest, request: &Request, value: Vec<u8>) -> SysResult {
    foreign::settable(guest, request)?;
    let (statx, inode) = foreign::changeable(guest, request)?;
    if !matches!(inode.mode & S_IFMT, S_IFREG | S_IFDIR) || users::forbidden(guest, request) {
        return Err(Errno::EPERM);
    }
    rules::may_write(&guest.credentials(), inode)?;
    if request.kernel_has(guest, NOBODYS.to_bytes()) == Err(Errno::EOPNOTSUPP) {
        return Err(Errno::EOPNOTSUPP);
    }
    foreign::keep(guest, request, &statx, value, false)
}

/// Forgets that value.
pub(super) fn remove(guest: &mut dyn Guest, request: &Request) -> SysResult {
    let absent = absent(guest, request, Kind::Remove);
    if absent != Err(Errno::ENODATA) || !guest.ownership().may_have_extras() {
        return absent;
    }
    let (statx, inode) = foreign::changeable(guest, request)?;
    if users::forbidden(guest, request) {
        return Err(Errno::EPERM);
    }
    rules::may_write(&guest.credentials(), inode)?;
    foreign::drop(guest, request, &statx, false)
}
