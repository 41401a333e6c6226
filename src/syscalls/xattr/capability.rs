//! `security.capability`. The kernel keeps it on inodes of ours, and drops it with a write or a chown; but it
//! knows no root of a namespace that has no id here: then that id is what is remembered.

use super::foreign;
use super::request::{Kind, Operand, Request};
use crate::abi::{Errno, SysResult, VfsCaps};
use crate::cred::Cap;
use crate::syscalls::{Guest, Verdict};

/// Sets it (`cap_convert_nscap`). An empty value needs no capability, and a broken one gets to no check.
pub(super) fn set(guest: &mut dyn Guest, request: &Request, value: &[u8]) -> Verdict {
    match VfsCaps::parse(value) {
        Some(caps) => Verdict::Reply(set_to(guest, request, caps)),
        None => Verdict::Run,
    }
}

fn set_to(guest: &mut dyn Guest, request: &Request, caps: VfsCaps) -> SysResult {
    if !guest.credentials().has(Cap::SETFCAP) {
        return foreign::settable(guest, request).and(Err(Errno::EPERM));
    }
    if caps.root == u32::MAX {
        return foreign::settable(guest, request).and(Err(Errno::EINVAL)); // it is no id
    }
    let known = caps.root == 0 || guest.view().uids.contains(caps.root) && !guest.view().lacks_privilege();
    let result = if known {
        request.run(guest, Kind::Set)
    } else {
        let stand_in = caps.short();
        let name = Operand::At(request.name_at);
        request.run_with(guest, Kind::Set, name, Operand::Bytes(&stand_in), stand_in.len() as u64)
    };
    match result {
        Ok(result) => {
            foreign::beside(guest, request, (!known).then(|| caps.shown()))?;
            Ok(result)
        }
        Err(Errno::EPERM) => {
            let (statx, _) = foreign::changeable(guest, request)?;
            foreign::keep(guest, request, &statx, caps.shown(), true)
        }
        Err(errno) => Err(errno),
    }
}

/// Removes it (`cap_inode_removexattr`).
pub(super) fn remove(guest: &mut dyn Guest, request: &Request) -> SysResult {
    if !guest.credentials().has(Cap::SETFCAP) {
        return foreign::removable(guest, request).and(Err(Errno::EPERM));
    }
    match request.run(guest, Kind::Remove) {
        Ok(result) => foreign::forget(guest, request).map(|()| result),
        Err(Errno::EPERM) => {
            let (statx, _) = foreign::changeable(guest, request)?;
            foreign::drop(guest, request, &statx, true)
        }
        Err(errno) => Err(errno),
    }
}
