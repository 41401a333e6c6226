//! The attributes that hold what we keep are no business of the guest's: it sees none, sets none, removes none,
//! and copies none along with a file's data. Where facts do not live in attributes nothing is hidden.

use super::request::{Kind, Operand, Request};
use crate::abi::SysResult;
use crate::ownership::{EXTRAS, MARK, xattr};
use crate::syscalls::Guest;
use crate::syscalls::attributes::NOBODYS;

/// Whether an attribute is one of ours.
pub(super) fn is_hidden(guest: &dyn Guest, name: &[u8]) -> bool {
    let ours = [xattr::OWNER, xattr::STAT, EXTRAS, MARK];
    guest.ownership().in_attributes() && ours.iter().any(|hidden| hidden.to_bytes() == name)
}

/// What the kernel says of an attribute that is not there: first that it cannot find the inode.
pub(super) fn absent(guest: &mut dyn Guest, request: &Request, kind: Kind) -> SysResult {
    request.run_with(
        guest,
        kind,
        Operand::Bytes(NOBODYS.to_bytes_with_nul()),
        Operand::At(request.value),
        request.size,
    )
}
