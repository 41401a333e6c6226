//! Who may meet a device node, and has to stop at what might be one.
//!
//! From the first node on every process stops where it opens to write ([`Stage::Devices`]). To read, programs
//! open a hundred files for one that might be a node, and the commonest node, null, reads as the empty file
//! that stands for it: installing packages opens 300,000 times to read. So these opens stop only
//! ([`Stage::Reading`]) in a process that may meet a node that reads otherwise: everywhere once one was made,
//! unless it was made in the `dev` of another root directory (debootstrap, tar); then in those that change to
//! a root with such a `dev`, and in those that were told of a node by a stat or a listing. A process outside
//! that opens one there to read without a look at it has the empty file, until it asks fstat(2) what it has
//! open: then the device takes its place. One that reads without having asked finds nothing in it.

use super::device::{NULL, open_real};
use super::inode::{self, AT_EMPTY_PATH, AT_FDCWD, Place};
use super::{Guest, Stage, device, kernel};
use crate::abi::Errno;
use crate::ownership::{Device, Identity, READABLE};

/// A node was made at `place`, by this path in the directory at `parent`.
pub fn made(guest: &mut dyn Guest, device: Option<Device>, place: Place, path: &[u8], parent: Option<Place>) {
    let identity = |guest: &mut dyn Guest, place| inode::look(guest, place).ok().map(|it| Identity::of(&it));
    if device == Some(NULL) {
        // Where there are no devices not even this one opens.
        if identity(guest, place).is_none() || guest.has_devices(place) != Some(true) {
            guest.raise_for_all(Stage::Reading);
        }
        return;
    }
    let in_a_dev = inode::dirname(path).ends_with(b"/dev") || inode::dirname(path) == b"dev";
    let there = parent.and_then(|parent| identity(guest, parent));
    let own = inode::place_in_scratch(guest, AT_FDCWD, b"/dev", 0);
    let own = own.and_then(|own| identity(guest, own));
    if device.is_some() && (!in_a_dev || there.is_none() || there == own) {
        guest.raise_for_all(Stage::Reading);
    }
}

/// The guest was told that what is at `place` is a device.
pub fn told(guest: &mut dyn Guest, device: Option<Device>, place: Option<Place>) {
    let Some(device) = device.filter(|&device| device != NULL) else { return };
    guest.raise(Stage::Reading);
    let open = match place {
        Some(Place::Descriptor(descriptor)) => Some(descriptor),
        Some(Place::Path { directory, path, flags }) if flags & AT_EMPTY_PATH != 0 => {
            inode::string(guest, path).is_ok_and(|path| path.is_empty()).then_some(directory)
        }
        _ => None,
    };
    if let Some(descriptor) = open {
        // What cannot be had stays as it is.
        let _ = exchange(guest, descriptor, device);
    }
}

/// Puts the device where its placeholder is open.
fn exchange(guest: &mut dyn Guest, descriptor: u64, device: Device) -> Result<(), Errno> {
    const F_GETFD: u64 = 1;
    const F_GETFL: u64 = 3;
    const FD_CLOEXEC: u64 = 1;
    const O_CLOEXEC: u64 = 0o2_000_000;
    const O_PATH: u64 = 0o10_000_000;
    let is_placeholder =
        guest.observe(descriptor, b"").is_ok_and(|found| device::device(guest, &found).is_some());
    let mut get = |what| guest.inject(&kernel::FCNTL, [descriptor, what, 0, 0, 0, 0]);
    let (flags, cloexec) = (get(F_GETFL)?, get(F_GETFD)? & FD_CLOEXEC != 0);
    if !is_placeholder || !device::may_open_real(guest) || flags & O_PATH != 0 || guest.is_nodev(descriptor) {
        return Ok(());
    }
    let name = guest.real_device(device)?;
    let label = if device.is_memory() { guest.label(descriptor) } else { None };
    let opened = open_real(guest, name, flags as u32)?;
    let how = if cloexec { O_CLOEXEC } else { 0 };
    let put = guest.inject(&kernel::DUP3, [opened, descriptor, how, 0, 0, 0]);
    guest.inject(&kernel::CLOSE, [opened, 0, 0, 0, 0, 0])?;
    if let Some(label) = label {
        guest.stick(put?, label);
    }
    Ok(())
}

/// The guest may have another root, and other nodes in its `/dev`.
pub fn moved(guest: &mut dyn Guest) {
    if !guest.ownership().devices().any() {
        return;
    }
    for name in READABLE {
        let place = inode::place_in_scratch(guest, AT_FDCWD, name.to_bytes(), 0);
        let found = place.and_then(|place| inode::inspect(guest, place).ok());
        if found.is_some_and(|found| device::device(guest, &found).is_some()) {
            return guest.raise(Stage::Reading);
        }
    }
}
