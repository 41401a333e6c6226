//! setxattr(2) and its relatives, where they are about POSIX ACLs.
//!
//! A list that names users or groups is `EINVAL` to a kernel whose namespace does not know their ids.
//! The kernel is given the same list without names, so that mode, mask and errors are its own, and the
//! names are remembered. Other attributes are the kernel's business.

use std::sync::Arc;

use super::inode::{self, Place};
use super::{Guest, Stage, Verdict, kernel};
use crate::abi::acl::{self, Entry, LARGEST};
use crate::abi::stat::Statx;
use crate::abi::{Errno, KernelCall, SysResult};
use crate::cred::Cap;
use crate::ownership::{Identity, List};

/// The inode is named by a path.
pub const PATH: u8 = 0;
/// By a path whose final symbolic link is not followed.
pub const LINK: u8 = 1;
/// By a descriptor.
pub const DESCRIPTOR: u8 = 2;

/// Where in the scratch memory a value of ours stands, behind what a look at the inode needs.
const VALUE: u64 = 512;

fn place(guest: &dyn Guest, form: u8) -> Place {
    let first = guest.call().arg(0);
    match form {
        LINK => Place::link(first),
        DESCRIPTOR => Place::Descriptor(first),
        _ => Place::path(first),
    }
}

/// The list that the attribute named by argument 1 holds.
fn list(guest: &mut dyn Guest) -> Option<List> {
    const ACCESS: &[u8] = b"system.posix_acl_access\0";
    const DEFAULT: &[u8] = b"system.posix_acl_default\0";
    let name = guest.call().arg(1);
    [(ACCESS, List::Access), (DEFAULT, List::Default)].into_iter().find_map(|(expected, list)| {
        let mut found = vec![0; expected.len()];
        (guest.read(name, &mut found).is_ok() && found == expected).then_some(list)
    })
}

/// setxattr(2), lsetxattr(2), fsetxattr(2).
pub fn set<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    if guest.sandboxed() {
        return Verdict::Run; // it cannot be made to look
    }
    let Some(list) = list(guest) else { return Verdict::Run };
    let size = guest.call().arg(3) as usize;
    if size > LARGEST {
        return Verdict::Run; // E2BIG
    }
    let mut value = vec![0; size];
    if guest.read(guest.call().arg(2), &mut value).is_err() {
        return Verdict::Run; // EFAULT
    }
    let entries = acl::parse(&value).unwrap_or_default(); // what is no list, the kernel refuses
    Verdict::Reply(set_to(guest, FORM, list, &entries))
}

/// Has the kernel keep the list without names, and remembers the names.
fn set_to(guest: &mut dyn Guest, form: u8, list: List, entries: &[Entry]) -> SysResult {
    let (names, rest): (Vec<Entry>, Vec<Entry>) = entries.iter().partition(|entry| entry.is_named());
    if !names.is_empty() && !acl::names_are_valid(entries) {
        return Err(Errno::EINVAL); // the list is looked at before the inode (vfs_set_acl)
    }
    let place = place(guest, form);
    may_change(guest, place)?;
    let [first, name, mut value, mut size, flags, _] = guest.call().args;
    if !names.is_empty() {
        let bytes = acl::bytes(&rest);
        (value, size) = (guest.scratch()? + VALUE, bytes.len() as u64);
        guest.write(value, &bytes)?;
    }
    let result = guest.inject(setter(form), [first, name, value, size, flags, 0])?;
    if list == List::Access {
        follow_mode(guest, place)?;
    }
    let after = inode::inspect(guest, place)?; // not before: overlayfs may have copied the file up
    guest.ownership().acls().set(Identity::of(&after), list, &names);
    if !names.is_empty() {
        guest.raise(Stage::Ownership);
    }
    Ok(result)
}

/// Whether the guest is the owner or may do as if (`inode_owner_or_capable`).
fn may_change(guest: &mut dyn Guest, place: Place) -> Result<(), Errno> {
    let statx = inode::inspect(guest, place)?;
    let who = guest.credentials();
    if inode::attributes(guest, &statx).1.uid != who.fsuid && !who.has(Cap::FOWNER) {
        return Err(inode::refusal(guest, place));
    }
    Ok(())
}

const fn setter(form: u8) -> &'static KernelCall {
    match form {
        LINK => &kernel::LSETXATTR,
        DESCRIPTOR => &kernel::FSETXATTR,
        _ => &kernel::SETXATTR,
    }
}

/// An access list is the mode's lower bits too (`posix_acl_update_mode`): where a mode is remembered,
/// it takes over what the kernel has made of its own.
fn follow_mode(guest: &mut dyn Guest, place: Place) -> Result<(), Errno> {
    const ACCESS: u16 = 0o777;
    let statx = inode::inspect(guest, place)?;
    if inode::attributes(guest, &statx).0.is_some_and(|fact| fact.mode.is_some()) {
        let Statx { mode, .. } = statx;
        inode::remember(guest, place, &statx, |shown| {
            shown.with_permissions((shown.permissions() & !ACCESS) | (mode & ACCESS))
        })?;
    }
    Ok(())
}

/// getxattr(2), lgetxattr(2), fgetxattr(2).
pub fn get<const FORM: u8>(_: &mut dyn Guest) -> Verdict {
    Verdict::Amend(|guest, result| {
        let length = result?;
        let Some((_, _, names)) = names(guest, FORM) else { return Ok(length) };
        let (value, size) = (guest.call().arg(2), guest.call().arg(3));
        let whole = length + acl::length(&names);
        if size == 0 {
            return Ok(whole);
        }
        if whole > size {
            return Err(Errno::ERANGE);
        }
        let mut bytes = vec![0; usize::try_from(length).unwrap_or(0).min(LARGEST)];
        guest.read(value, &mut bytes)?;
        guest.write(value, &acl::bytes(&acl::merge(&acl::parse(&bytes).unwrap_or_default(), &names)))?;
        Ok(whole)
    })
}

/// The list that the call is about, where it has names, and these.
fn names(guest: &mut dyn Guest, form: u8) -> Option<(Identity, List, Arc<[Entry]>)> {
    if guest.ownership().acls().is_empty() || guest.sandboxed() {
        return None;
    }
    let (list, place) = (list(guest)?, place(guest, form));
    let statx = inode::inspect(guest, place).ok()?;
    let identity = Identity::of(&statx);
    Some((identity, list, guest.ownership().acls().names(identity, list)?))
}

/// removexattr(2), lremovexattr(2), fremovexattr(2).
pub fn remove<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    if guest.sandboxed() || list(guest).is_none() {
        return Verdict::Run;
    }
    let place = place(guest, FORM);
    if let Err(errno) = may_change(guest, place) {
        return Verdict::Reply(Err(errno));
    }
    Verdict::Amend(|guest, result| {
        if result.is_ok()
            && let Some((identity, list, _)) = names(guest, FORM)
        {
            guest.ownership().acls().set(identity, list, &[]);
        }
        result
    })
}

#[cfg(test)]
mod tests;
