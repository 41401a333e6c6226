//! POSIX ACLs (fs/posix_acl.c).
//!
//! A list that names users or groups is `EINVAL` to a kernel whose namespace does not know their ids. It is
//! given the same list without these names, so that mode, mask, umask and inheritance are its own, and they
//! are remembered beside it.

use super::class::{ACCESS, Class, DEFAULT};
use super::foreign;
use super::request::{Kind, Operand, Request};
use crate::abi::acl::{self, Entry};
use crate::abi::stat::{PERMISSIONS, S_IFDIR, S_IFLNK, S_IFMT, S_ISGID, Statx};
use crate::abi::{Errno, SysResult};
use crate::cred::{Cap, View};
use crate::ownership::{Extra, Identity, rules};
use crate::syscalls::inode::{self, Place};
use crate::syscalls::{Guest, Verdict, access, chmod, home};

/// A list that no inode can have, and that the kernel looks at last (`posix_acl_valid`).
const PROBE: &[u8] = &[2, 0, 0, 0, 32, 0, 0, 0, 255, 255, 255, 255];
/// The permission bits that a list stands for.
const ACCESS_BITS: u16 = 0o777;

/// Sets a list. What is none, the kernel refuses; an empty one it takes for a removal.
pub(super) fn set<const FORM: u8>(guest: &mut dyn Guest, request: &Request, value: &[u8]) -> Verdict {
    let Some(entries) = parse(value).filter(|entries| acl::is_readable(entries)) else { return Verdict::Run };
    let allowed = match may_change(guest, request) {
        Ok(allowed) => allowed,
        Err(errno) => return Verdict::Reply(Err(errno)),
    };
    let valid = entries.is_empty() || acl::is_valid(&entries);
    if !allowed || !valid {
        return Verdict::Reply(refused(guest, request, allowed));
    }
    if !entries.iter().any(|&entry| is_strange(guest.view(), entry)) {
        return Verdict::Amend(has_set::<FORM>);
    }
    let result = set_without_names(guest, request, &entries);
    Verdict::Reply(follow(guest, request, &entries, result))
}

/// Whether the kernel knows everybody that is named in what is to be set.
pub(super) fn is_plain(view: &View, request: &Request, value: &[u8]) -> bool {
    match Class::of(&request.name) {
        Class::User => true,
        Class::Access | Class::Default => {
            parse(value).unwrap_or_default().iter().all(|&entry| !is_strange(view, entry))
        }
        _ => false,
    }
}

/// Whether an entry names somebody whom the kernel does not know, or knows as somebody else.
fn is_strange(view: &View, entry: Entry) -> bool {
    let known = entry.user().is_none_or(|user| view.uids.contains(user))
        && entry.group().is_none_or(|group| view.gids.contains(group));
    entry.is_named() && (!known || view.translates())
}

fn parse(value: &[u8]) -> Option<Vec<Entry>> {
    if value.is_empty() { Some(Vec::new()) } else { acl::parse(value) }
}

/// What the kernel says before it looks who asks, and whether it is a list.
fn refused(guest: &mut dyn Guest, request: &Request, allowed: bool) -> SysResult {
    let name = Operand::At(request.name_at);
    match request.run_with(guest, Kind::Set, name, Operand::Bytes(PROBE), PROBE.len() as u64) {
        Err(Errno::EINVAL | Errno::EPERM) if !allowed => Err(Errno::EPERM),
        Err(Errno::EPERM) => Err(Errno::EINVAL), // an inode of another's
        result => result,
    }
}

fn set_without_names(guest: &mut dyn Guest, request: &Request, entries: &[Entry]) -> SysResult {
    let rest: Vec<Entry> =
        entries.iter().copied().filter(|&entry| !is_strange(guest.view(), entry)).collect();
    let (name, rest) = (Operand::At(request.name_at), acl::bytes(&rest));
    request.run_with(guest, Kind::Set, name, Operand::Bytes(&rest), rest.len() as u64)
}

/// The kernel has been asked to set a list that it knows all of.
fn has_set<const FORM: u8>(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    let Some(request) = Request::read(guest, FORM, Kind::Set) else { return result };
    let entries = request.value(guest).and_then(|value| parse(&value)).unwrap_or_default();
    follow(guest, &request, &entries, result)
}

/// Remembers what the kernel has not kept of a list.
fn follow(guest: &mut dyn Guest, request: &Request, entries: &[Entry], result: SysResult) -> SysResult {
    let class = Class::of(&request.name);
    match result {
        Ok(_) => {}
        Err(Errno::EPERM) => return set_on_anothers(guest, request, class, entries),
        Err(errno) => return Err(errno),
    }
    let names: Vec<Entry> =
        entries.iter().copied().filter(|&entry| is_strange(guest.view(), entry)).collect();
    if class == Class::Access && !entries.is_empty() {
        follow_mode(guest, request.place)?;
    } else if !names.is_empty() {
        guest.ownership().set_inherits();
    }
    foreign::beside(guest, request, (!names.is_empty()).then(|| acl::bytes(&names)))?;
    result
}

/// Whether the guest is the owner or may do as if (`set_posix_acl`).
fn may_change(guest: &mut dyn Guest, request: &Request) -> Result<bool, Errno> {
    if guest.credentials().has(Cap::FOWNER) {
        return Ok(true);
    }
    let statx = inode::inspect(guest, request.place)?;
    let inode = inode::attributes(guest, &statx).1;
    Ok(foreign::owns(guest, inode))
}

/// An access list is the mode's lower bits too, and takes a set-gid bit from who is not in the group
/// (`posix_acl_update_mode`). Where a mode is remembered, it takes over what the kernel has made of its own.
fn follow_mode(guest: &mut dyn Guest, place: Place) -> Result<(), Errno> {
    let who = guest.credentials();
    if guest.ownership().is_empty() && who.has(Cap::FSETID) && !guest.view().lacks_privilege() {
        return Ok(());
    }
    let statx = inode::inspect(guest, place)?;
    let (fact, shown) = inode::attributes(guest, &statx);
    let lost = if rules::keeps_set_gid(&who, shown.gid) { 0 } else { shown.mode & S_ISGID };
    if lost != 0 {
        let (call, args) = chmod::kernels(place, statx.mode & PERMISSIONS & !S_ISGID);
        guest.inject(call, args)?;
    }
    let Statx { mode, .. } = statx;
    let keeps_more = access::let_owner_in(guest, place, statx).mode != mode;
    if lost != 0 || keeps_more || fact.is_some_and(|fact| fact.mode.is_some()) {
        let statx = inode::look(guest, place)?;
        inode::remember(guest, place, &statx, |shown| {
            shown.with_permissions((shown.permissions() & !ACCESS_BITS & !lost) | (mode & ACCESS_BITS))
        })?;
    }
    Ok(())
}

/// Remembers a list on an inode where the kernel refuses to have any.
fn set_on_anothers(guest: &mut dyn Guest, request: &Request, class: Class, entries: &[Entry]) -> SysResult {
    let (statx, inode) = foreign::changeable(guest, request)?;
    if request.kernel_has(guest, &request.name) == Err(Errno::EOPNOTSUPP) {
        return Err(Errno::EOPNOTSUPP);
    }
    if entries.is_empty() {
        return forget_on_anothers(guest, request, &statx);
    }
    if class == Class::Default && !inode.is_directory() {
        return Err(Errno::EACCES);
    }
    let (mode, is_mode) = acl::mode(entries);
    if class == Class::Access {
        let others = if rules::keeps_set_gid(&guest.credentials(), inode.gid) {
            !ACCESS_BITS
        } else {
            !ACCESS_BITS & !S_ISGID
        };
        inode::remember(guest, request.place, &statx, |shown| {
            shown.with_permissions(shown.permissions() & others | mode)
        })?;
        if is_mode {
            return forget_on_anothers(guest, request, &statx);
        }
    }
    let whole = Extra::Whole(acl::bytes(entries));
    home::remember_extras(guest, request.place, &statx, true, |extras| {
        extras.set(&request.name, Some(whole.clone()));
        Ok(())
    })?;
    Ok(0)
}

fn forget_on_anothers(guest: &mut dyn Guest, request: &Request, statx: &Statx) -> SysResult {
    let stays = request.kernel_has(guest, &request.name).is_ok();
    home::remember_extras(guest, request.place, statx, true, |extras| {
        extras.set(&request.name, stays.then_some(Extra::Gone));
        Ok(())
    })?;
    Ok(0)
}

/// Removes a list.
pub(super) fn remove(guest: &mut dyn Guest, request: &Request) -> SysResult {
    if !may_change(guest, request)? {
        foreign::removable(guest, request)?;
        if request.kernel_has(guest, &request.name) == Err(Errno::EOPNOTSUPP) {
            return Err(Errno::EOPNOTSUPP);
        }
        let statx = inode::inspect(guest, request.place)?;
        let nothing = request.name == DEFAULT && statx.mode & S_IFMT != S_IFDIR;
        return if nothing { Ok(0) } else { Err(Errno::EPERM) };
    }
    match request.run(guest, Kind::Remove) {
        Ok(result) => foreign::forget(guest, request).map(|()| result),
        Err(Errno::EPERM) => {
            let (statx, _) = foreign::changeable(guest, request)?;
            forget_on_anothers(guest, request, &statx)
        }
        Err(errno) => Err(errno),
    }
}

/// Whether a list is that of an inode of ours whose mode is remembered: the disk has other bits of its owner's.
pub(super) fn follows(guest: &dyn Guest, request: &Request, statx: &Statx) -> bool {
    guest.view().lacks_privilege()
        && Class::of(&request.name) == Class::Access
        && inode::known(statx).is_ours(guest.view())
        && inode::attributes(guest, statx).0.is_some_and(|fact| fact.mode.is_some())
}

/// The list that goes with the remembered mode.
pub(super) fn following(guest: &dyn Guest, statx: &Statx, kernels: Vec<u8>) -> Vec<u8> {
    let mode = inode::attributes(guest, statx).1.permissions();
    acl::parse(&kernels).map_or(kernels, |entries| acl::bytes(&acl::after_chmod(&entries, mode)))
}

/// Whether what is made in a directory gets names from it.
pub fn passes_names_on(guest: &dyn Guest, directory: &Statx) -> bool {
    guest.ownership().may_have_extras()
        && guest.ownership().extras(Identity::of(directory)).get(DEFAULT).is_some()
}

/// A new inode gets the names in its directory's default list (`posix_acl_create`); the rest the kernel has
/// made.
///
/// # Errors
/// As [`home::remember_extras`].
pub fn inherit(guest: &mut dyn Guest, made: Place, new: &Statx, directory: &Statx) -> Result<(), Errno> {
    if new.mode & S_IFMT == S_IFLNK || !passes_names_on(guest, directory) {
        return Ok(());
    }
    let extras = guest.ownership().extras(Identity::of(directory));
    let Some(names @ Extra::Beside(_)) = extras.get(DEFAULT) else { return Ok(()) };
    let is_directory = new.mode & S_IFMT == S_IFDIR;
    home::remember_extras(guest, made, new, false, |extras| {
        extras.set(ACCESS, Some(names.clone()));
        extras.set(DEFAULT, is_directory.then(|| names.clone()));
        Ok(())
    })
}
