//! Facts at home: on the inode they are about, in extended attributes that the guest is made to read and
//! write at the place its own call has named; beside it where an inode can bear none.

use std::ffi::CStr;
use std::path::PathBuf;

use super::inode::{self, Place};
use super::{Guest, access, attributes, chmod, layers};
use crate::abi::Errno;
use crate::abi::stat::{PERMISSIONS, Statx};
use crate::ownership::{Attributes, EXTRAS, Extras, Fact, Identity, names, xattr};

mod extras;

pub use extras::remember as remember_extras;

/// Whether facts live in attributes, and those that an inode bears count.
fn can_bear(guest: &dyn Guest, statx: &Statx) -> bool {
    guest.ownership().in_attributes() && inode::known(statx).is_believed(guest.view())
}

/// Whether the attributes of an inode have to be read before anything is said of it.
pub fn will_read(guest: &dyn Guest, statx: &Statx) -> bool {
    can_bear(guest, statx) && guest.ownership().is_unread(Identity::of(statx).inode(), Some(statx.ctime))
}

/// Reads what an earlier run or another tool may have left about the inode at `place`, once for each
/// change time. What cannot be read leaves memory as it is.
///
/// # Errors
/// `EIO` where the store fails that the person has named.
pub fn recall(guest: &mut dyn Guest, place: Place, statx: &Statx) -> Result<(), Errno> {
    let identity = Identity::of(statx);
    if !guest.ownership().is_unread(identity.inode(), Some(statx.ctime)) {
        return Ok(());
    }
    let reading = guest.ownership().begin_reading(identity, statx.ctime);
    let mut borne = if can_bear(guest, statx) { borne_by(guest, place) } else { Ok(Default::default()) };
    let mut lent = None;
    if matches!(borne, Err(Errno::EACCES)) {
        // A run with privilege has left it without its owner's bits.
        lent = Some(access::let_owner_in(guest, place, *statx)).filter(|now| now.mode != statx.mode);
        borne = borne_by(guest, place);
    }
    // What its attributes cannot tell now, they are asked again.
    let found = guest.ownership().found(identity, borne.map_err(|_| Errno::ENODATA));
    let found = found.map(|found| layers::below(guest, statx, found));
    let failed = matches!(found, Err(Errno::EIO));
    guest.ownership().learn(reading, inode::known(statx), found);
    let mode = statx.mode & PERMISSIONS;
    if let Some(now) = lent
        && inode::remember(guest, place, &now, |shown| shown.with_permissions(mode)).is_err()
    {
        let _ = chmod::by_the_kernel(guest, place, mode); // it could be changed a moment ago
    }
    if failed { Err(Errno::EIO) } else { Ok(()) }
}

/// The fact in an inode's attributes, and what of those is packed there that the kernel does not take.
fn borne_by(guest: &mut dyn Guest, place: Place) -> Result<(Fact, Option<Extras>), Errno> {
    let [has_owner, has_stat, has_extras] = match attributes::list(guest, place) {
        Ok(names) => {
            let has = |wanted: &CStr| names.split(|&byte| byte == 0).any(|name| name == wanted.to_bytes());
            [xattr::OWNER, xattr::STAT, EXTRAS].map(has)
        }
        Err(Errno::EOPNOTSUPP) => [false; 3],
        // Too many to list: it may bear all.
        Err(Errno::ERANGE) => [true; 3],
        Err(errno) => return Err(errno),
    };
    let mut value = |has: bool, name| match has.then(|| attributes::get(guest, place, name)) {
        None | Some(Err(Errno::ENODATA)) => Ok(None),
        // Longer than any of ours.
        Some(Err(Errno::ERANGE)) => Ok(None),
        Some(value) => value.map(Some),
    };
    let (owner, stat) = (value(has_owner, xattr::OWNER)?, value(has_stat, xattr::STAT)?);
    let extras = match has_extras.then(|| attributes::get_long(guest, place, EXTRAS)) {
        None | Some(Err(Errno::ENODATA)) => None,
        Some(packed) => Some(Extras::parse(&packed?)),
    };
    Ok((xattr::fact(owner.as_deref(), stat.as_deref()), extras))
}

/// Brings what memory says of an inode home, where it was `old` before. Another worker may change it
/// meanwhile, so this ends when what stands there is what memory says.
///
/// # Errors
/// `ENOSPC`, `EDQUOT`, and what else keeps a fact from being kept.
pub fn keep(guest: &mut dyn Guest, place: Place, statx: &Statx, old: Fact) -> Result<(), Errno> {
    let identity = Identity::of(statx);
    let mut stands = old;
    loop {
        let fact = guest.ownership().remembered(identity);
        if fact == stands && fact.device.is_none() && fact.mode.is_none() {
            return Ok(());
        }
        if fact.device.is_some() {
            guest.ownership().leave_mark_of_device()?;
        } else if !fact.is_empty() {
            guest.ownership().leave_mark()?;
        }
        write(guest, place, statx, fact, stands)?;
        stands = fact;
        if guest.ownership().remembered(identity) == fact {
            return Ok(());
        }
    }
}

/// Writes a fact where `stands` stood: onto the inode if it can bear it, else beside it. Where it can be
/// neither, `stands` stands there still.
fn write(guest: &mut dyn Guest, place: Place, statx: &Statx, fact: Fact, stands: Fact) -> Result<(), Errno> {
    let identity = Identity::of(statx);
    if !can_bear(guest, statx) {
        return guest.ownership().keep(identity, &fact).map(|()| note_name(guest, place, statx));
    }
    let [old, new] = [stands, fact].map(|fact| {
        let seen = Attributes::seen(inode::known(statx), guest.view(), Some(fact));
        [(xattr::STAT, xattr::stat(&fact, &seen)), (xattr::OWNER, xattr::owner(&fact))]
    });
    let kept = match put(guest, place, &new, &old) {
        Ok(()) => return guest.ownership().keep(identity, &fact.unborne()),
        Err(errno @ (Errno::ENOSPC | Errno::EDQUOT)) if !guest.ownership().keeps_beside() => Err(errno),
        Err(Errno::ESRCH) => Err(Errno::ESRCH),
        Err(_) => guest.ownership().keep(identity, &fact).map(|()| note_name(guest, place, statx)),
    };
    match kept {
        // What stands on the inode would outshine what is kept beside it.
        Ok(()) => put(guest, place, &[(xattr::STAT, None), (xattr::OWNER, None)], &old),
        // There was room for it before.
        Err(errno) => put(guest, place, &old, &new).and(Err(errno)),
    }
}

/// Notes by its path what an inode itself cannot bear, where files go into image layers.
pub fn note_name(guest: &mut dyn Guest, place: Place, statx: &Statx) {
    if guest.ownership().notes_names()
        && let Some(path) = whole_path(guest, place)
    {
        guest.ownership().note_name(&path, statx);
    }
}

/// The path of an inode from the root, where the tracer can tell.
pub fn whole_path(guest: &mut dyn Guest, place: Place) -> Option<PathBuf> {
    inode::sight(guest, place, 0, Statx::MASK)?.ok()?;
    names::whole(&guest.seen(place)?)
}

/// An attribute's name and its value, if it is to be there.
type Named = (&'static CStr, Option<Vec<u8>>);

/// Sets those that are to be there, then removes those that are not, where `old` were or may be.
fn put(guest: &mut dyn Guest, place: Place, new: &[Named], old: &[Named]) -> Result<(), Errno> {
    for (name, value) in new {
        if let Some(value) = value {
            access::as_root(guest, place, |guest| attributes::set(guest, place, name, value))?;
        }
    }
    for ((name, value), (_, stood)) in new.iter().zip(old) {
        if value.is_none() && stood.is_some() {
            remove(guest, place, name)?;
        }
    }
    Ok(())
}

/// Removes an attribute that may not be there.
fn remove(guest: &mut dyn Guest, place: Place, name: &CStr) -> Result<(), Errno> {
    let removed = access::as_root(guest, place, |guest| attributes::remove(guest, place, name));
    let errno = match removed {
        Ok(()) | Err(Errno::ENODATA | Errno::EOPNOTSUPP) => return Ok(()),
        Err(errno) => errno,
    };
    // What may not be written can be asked for its names still. What stands there would be seen.
    match attributes::list(guest, place) {
        Ok(names) if !names.split(|&byte| byte == 0).any(|other| other == name.to_bytes()) => Ok(()),
        Err(Errno::EOPNOTSUPP) => Ok(()),
        Ok(_) => Err(errno),
        Err(_) => Err(Errno::EIO),
    }
}

/// Whether the inode at `place` is on a filesystem or a mount that cannot be written, found out by taking
/// away an attribute that nobody has: `mnt_want_write` comes before every question of permission.
pub fn is_read_only(guest: &mut dyn Guest, place: Place) -> bool {
    attributes::remove(guest, place, attributes::NOBODYS) == Err(Errno::EROFS)
}

#[cfg(test)]
mod tests;
