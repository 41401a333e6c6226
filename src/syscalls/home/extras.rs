//! Extended attributes that the kernel does not take, packed into one that it does, or kept beside the inode.

use std::cell::RefCell;
use std::sync::Arc;

use super::{can_bear, remove};
use crate::abi::Errno;
use crate::abi::stat::Statx;
use crate::ownership::{EXTRAS, Extras, Identity};
use crate::syscalls::inode::Place;
use crate::syscalls::{Guest, Stage, access, attributes};

/// Changes what is remembered of an inode's attributes, and has it outlast the run where it is to. `foreign`:
/// it stands for what the kernel could hold, but not there.
///
/// # Errors
/// What `change` says; what keeps it from being kept, `ENOSPC` above all. Then nothing is remembered.
pub fn remember(
    guest: &mut dyn Guest,
    place: Place,
    statx: &Statx,
    foreign: bool,
    change: impl Fn(&mut Extras) -> Result<(), Errno>,
) -> Result<(), Errno> {
    let identity = Identity::of(statx);
    let outcome = RefCell::new(Ok(()));
    guest.ownership().begin_writing(identity.inode());
    let (old, new) = guest.ownership().change_extras(identity, |extras| {
        *outcome.borrow_mut() = change(extras);
    });
    let mut kept = outcome.into_inner();
    if kept.is_ok() && old != new {
        guest.ownership().expect_extras(foreign);
        kept = keep(guest, place, statx, &old);
    }
    if kept.is_err() {
        guest.ownership().change_extras(identity, |extras| extras.clone_from(&old));
    }
    guest.ownership().end_writing(identity.inode());
    kept?;
    if old != new {
        guest.raise(Stage::Ownership);
    }
    Ok(())
}

/// Brings what memory says home, where it was `old` before, and goes on until that is what memory says:
/// another worker may change it meanwhile.
fn keep(guest: &mut dyn Guest, place: Place, statx: &Statx, old: &Arc<Extras>) -> Result<(), Errno> {
    if !guest.ownership().lasts() {
        return Ok(());
    }
    let mut stands = Arc::clone(old);
    loop {
        let new = guest.ownership().extras(Identity::of(statx));
        if new == stands {
            return Ok(());
        }
        if !new.is_empty() {
            guest.ownership().leave_mark()?;
        }
        write(guest, place, statx, &new, !stands.is_empty())?;
        stands = new;
    }
}

/// Writes them where some stood, or none: onto the inode if it can bear them, else beside it.
fn write(
    guest: &mut dyn Guest,
    place: Place,
    statx: &Statx,
    extras: &Extras,
    stood: bool,
) -> Result<(), Errno> {
    let identity = Identity::of(statx);
    if can_bear(guest, statx) {
        let written = if !extras.is_empty() {
            access::as_root(guest, place, |guest| attributes::set(guest, place, EXTRAS, &extras.bytes()))
        } else if stood {
            remove(guest, place, EXTRAS)
        } else {
            Ok(())
        };
        match written {
            Ok(()) => return guest.ownership().keep_extras(identity, &Extras::default()),
            // As the kernel would have said, which has no more room for it in any attribute.
            Err(errno @ (Errno::ENOSPC | Errno::EDQUOT | Errno::EIO | Errno::ESRCH)) => return Err(errno),
            // What stands there would outshine what is kept beside it.
            Err(_) if stood => remove(guest, place, EXTRAS)?,
            Err(_) => {}
        }
    }
    guest.ownership().keep_extras(identity, extras)
}
