//! Attributes that the kernel refuses to change, on inodes of others above all: all of them is remembered.

use super::hidden;
use super::request::{Kind, Operand, Request};
use crate::abi::stat::{PERMISSIONS, S_IFLNK, S_IFMT, Statx};
use crate::abi::{Errno, SysResult};
use crate::cred::Cap;
use crate::ownership::{Attributes, CAPABILITY_NAME, Extra, Identity};
use crate::syscalls::inode::{self, Place};
use crate::syscalls::{Guest, attributes, chmod, home, kernel};

/// A name that nobody but real root may set or remove.
const FORBIDDEN: &[u8] = b"trusted.remainroot\0";

/// What is wrong with a call to set an attribute before its permissions are asked.
///
/// # Errors
/// That.
pub(super) fn settable(guest: &mut dyn Guest, request: &Request) -> Result<(), Errno> {
    let value = Operand::At(request.value);
    come_through(request.run_with(guest, Kind::Set, Operand::Bytes(FORBIDDEN), value, request.size))
}

/// The same of a call to remove one.
///
/// # Errors
/// That.
pub(super) fn removable(guest: &mut dyn Guest, request: &Request) -> Result<(), Errno> {
    come_through(request.run_with(guest, Kind::Remove, Operand::Bytes(FORBIDDEN), Operand::At(0), 0))
}

fn come_through(result: SysResult) -> Result<(), Errno> {
    match result {
        Ok(_) | Err(Errno::EPERM) => Ok(()),
        Err(errno) => Err(errno),
    }
}

/// What the guest sees of the inode, if it may be changed at all (`xattr_permission`).
///
/// # Errors
/// `EPERM` where it is immutable or append-only.
pub(super) fn changeable(guest: &mut dyn Guest, request: &Request) -> Result<(Statx, Attributes), Errno> {
    let statx = inode::inspect(guest, request.place)?;
    let attributes = inode::attributes(guest, &statx).1;
    if inode::flags(&statx, &attributes) != 0 {
        return Err(Errno::EPERM);
    }
    Ok((statx, attributes))
}

/// Whether the inode is immutable or append-only to the guest, which the kernel does not know; what it knows
/// itself it heeds.
pub(super) fn is_frozen(guest: &mut dyn Guest, request: &Request) -> bool {
    !guest.ownership().is_empty()
        && inode::inspect(guest, request.place).is_ok_and(|statx| {
            let attributes = inode::attributes(guest, &statx).1;
            inode::flags(&statx, &attributes) != 0
        })
}

/// Whether what the kernel says of a user's attribute or a list is right, whatever it is: nothing is known of any inode, this
/// one is ours, and the guest may do as its owner. The guest is not made to look for that.
pub(super) fn is_the_kernels(guest: &mut dyn Guest, request: &Request) -> bool {
    let (who, ownership) = (guest.credentials(), guest.ownership());
    let nothing_known = ownership.is_empty() && !ownership.records_all() && !ownership.may_have_extras();
    let may = [Cap::FOWNER, Cap::FSETID].iter().all(|&cap| who.has(cap));
    if !nothing_known || !may || guest.view().lacks_privilege() {
        return false;
    }
    let seen = inode::sight(guest, request.place, 0, Statx::MASK);
    seen.is_some_and(|seen| seen.is_ok_and(|bytes| inode::known(&Statx::parse(&bytes)).is_ours(guest.view())))
}

/// Whether the guest is the owner or may do as if (`inode_owner_or_capable`).
pub(super) fn owns(guest: &dyn Guest, inode: Attributes) -> bool {
    let who = guest.credentials();
    inode.uid == who.fsuid || who.has(Cap::FOWNER)
}

/// Whether the inode has the attribute that the call names, as the guest sees it.
fn has(guest: &mut dyn Guest, request: &Request, statx: &Statx) -> Result<bool, Errno> {
    let extras = guest.ownership().extras(Identity::of(statx));
    match extras.get(&request.name) {
        Some(Extra::Whole(_)) => Ok(true),
        Some(Extra::Gone) => Ok(false),
        None if hidden::is_hidden(guest, &request.name) => Ok(false),
        Some(Extra::Beside(_)) | None => match request.kernel_has(guest, &request.name) {
            Ok(()) | Err(Errno::EOVERFLOW) => Ok(true),
            Err(Errno::ENODATA) => Ok(false),
            Err(errno) => Err(errno),
        },
    }
}

/// Remembers an attribute that the kernel did not take.
pub(super) fn keep(
    guest: &mut dyn Guest,
    request: &Request,
    statx: &Statx,
    value: Vec<u8>,
    foreign: bool,
) -> SysResult {
    let exists = has(guest, request, statx)?;
    request.may_set(exists)?;
    let whole = Extra::Whole(value);
    let statx = stamp(guest, request, statx)?;
    home::remember_extras(guest, request.place, &statx, foreign, |extras| {
        extras.set(&request.name, Some(whole.clone()));
        Ok(())
    })?;
    Ok(0)
}

/// Gives the inode a new ctime, as the kernel would have done with the attribute, and what it is then:
/// overlayfs copies it up. Of others that cannot be had.
fn stamp(guest: &mut dyn Guest, request: &Request, statx: &Statx) -> Result<Statx, Errno> {
    const UNCHANGED: u64 = u32::MAX as u64;
    if !inode::known(statx).is_ours(guest.view()) || request.has_placeholder(guest) {
        return Ok(*statx);
    }
    // A mode that it has already. A symbolic link has none, but nothing that a chown takes away unless it has
    // capabilities: then these once more.
    let (call, args) = match (statx.mode & S_IFMT, request.place) {
        (S_IFLNK, place @ Place::Path { directory, path, flags }) => {
            if let Ok(caps) = attributes::get(guest, place, CAPABILITY_NAME) {
                attributes::set(guest, place, CAPABILITY_NAME, &caps)?;
                return inode::look(guest, place);
            }
            (&kernel::FCHOWNAT, [directory, path, UNCHANGED, UNCHANGED, flags.into(), 0])
        }
        (_, place) => chmod::kernels(place, statx.mode & PERMISSIONS),
    };
    guest.inject(call, args)?;
    inode::look(guest, request.place)
}

/// Remembers that an attribute is gone which the kernel did not remove.
pub(super) fn drop(guest: &mut dyn Guest, request: &Request, statx: &Statx, foreign: bool) -> SysResult {
    if !has(guest, request, statx)? {
        return Err(Errno::ENODATA);
    }
    let stays = !hidden::is_hidden(guest, &request.name)
        && !matches!(request.kernel_has(guest, &request.name), Err(Errno::ENODATA | Errno::EOPNOTSUPP));
    let statx = stamp(guest, request, statx)?;
    home::remember_extras(guest, request.place, &statx, foreign, |extras| {
        extras.set(&request.name, stays.then_some(Extra::Gone));
        Ok(())
    })?;
    Ok(0)
}

/// Forgets what was remembered of an attribute that the kernel keeps now, or has removed.
pub(super) fn forget(guest: &mut dyn Guest, request: &Request) -> Result<(), Errno> {
    beside(guest, request, None)
}

/// Remembers what the kernel did not keep of an attribute that it has taken.
pub(super) fn beside(guest: &mut dyn Guest, request: &Request, value: Option<Vec<u8>>) -> Result<(), Errno> {
    if value.is_none() && !guest.ownership().may_have_extras() {
        return Ok(());
    }
    let statx = inode::inspect(guest, request.place)?; // not before: overlayfs may have copied the file up
    if value.is_none() && guest.ownership().extras(Identity::of(&statx)).get(&request.name).is_none() {
        return Ok(());
    }
    let value = value.map(Extra::Beside);
    home::remember_extras(guest, request.place, &statx, false, |extras| {
        extras.set(&request.name, value.clone());
        Ok(())
    })
}
