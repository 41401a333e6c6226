//! stat(2) and its relatives: the kernel answers, then owner, group, mode and device are corrected.

use super::inode::{self, Place};
use super::{Guest, Verdict};
use crate::abi::stat::{self, I386_64, I386_OLD, LARGEST, Reported, StatLayout};
use crate::abi::{Abi, Errno, SysResult};
use crate::ownership::{Answer, Attributes, Fact, Inode, Kernel};

/// Corrects what the kernel put at `buffer`, field by field, where the guest is to see another value.
fn correct(
    guest: &mut dyn Guest,
    result: SysResult,
    layout: &StatLayout,
    place: Place,
    buffer: u64,
) -> SysResult {
    let value = result?;
    let mut bytes = [0; LARGEST];
    let bytes = bytes.get_mut(..layout.size).unwrap_or_default();
    guest.read(buffer, bytes)?;
    let reported = layout.read(bytes);
    let fact = fact_of(guest, &reported, place);
    overwrite(guest, layout, &reported, fact, buffer)?;
    Ok(value)
}

/// The fact about the inode a stat has reported.
pub(super) fn fact_of(guest: &mut dyn Guest, reported: &Reported, place: Place) -> Option<Fact> {
    if guest.ownership().is_empty() {
        return None;
    }
    let Some(dev) = reported.dev else {
        // The oldest structure does not tell which inode it is.
        let statx = (!guest.sandboxed()).then(|| inode::inspect(guest, place).ok())??;
        return inode::attributes(guest, &statx).0;
    };
    let inode = Inode { dev, ino: reported.ino };
    match guest.ownership().ask(inode, reported.ctime) {
        Answer::Nothing => None,
        Answer::Known(fact) => Some(fact),
        // A guest that cannot be made to look, or whose path means another inode by now: trust it.
        Answer::Unsure(fact) if guest.sandboxed() => Some(fact),
        Answer::Unsure(fact) => match inode::inspect(guest, place) {
            Ok(statx) if inode::identity(&statx).inode() == inode => inode::attributes(guest, &statx).0,
            _ => Some(fact),
        },
    }
}

/// Puts the guest's attributes over the kernel's; what is equal is left alone.
pub(super) fn overwrite(
    guest: &mut dyn Guest,
    layout: &StatLayout,
    reported: &Reported,
    fact: Option<Fact>,
    buffer: u64,
) -> Result<(), Errno> {
    let kernel = Kernel { uid: reported.uid, gid: reported.gid, mode: reported.mode };
    let shown = Attributes::seen(kernel, guest.view(), fact);
    let patches = [
        (shown.uid.0 != reported.uid).then(|| layout.put_uid(shown.uid.0)),
        (shown.gid.0 != reported.gid).then(|| layout.put_gid(shown.gid.0)),
        (shown.mode != reported.mode).then(|| layout.put_mode(shown.mode)),
    ];
    let device = shown.device.map(|device| layout.put_device(device.number()));
    for patch in patches.into_iter().flatten().chain(device.into_iter().flatten()) {
        guest.write(buffer.wrapping_add(patch.offset as u64), patch.bytes())?;
    }
    Ok(())
}

/// A handler that lets the kernel answer and corrects it.
macro_rules! corrected {
    ($($(#[$doc:meta])* $name:ident: $layout:expr, |$call:ident| $place:expr, $buffer:literal;)*) => {
        $($(#[$doc])* pub fn $name(_: &mut dyn Guest) -> Verdict {
            Verdict::Amend(|guest, result| {
                let $call = *guest.call();
                let layout: fn(Abi) -> &'static StatLayout = $layout;
                correct(guest, result, layout($call.abi), $place, $call.arg($buffer))
            })
        })*
    };
}

corrected! {
    /// stat(2); on i386 the one with 16-bit ids.
    stat: stat::native, |call| Place::path(call.arg(0)), 1;
    /// lstat(2); on i386 the one with 16-bit ids.
    lstat: stat::native, |call| Place::link(call.arg(0)), 1;
    /// fstat(2); on i386 the one with 16-bit ids.
    fstat: stat::native, |call| Place::Descriptor(call.arg(0)), 1;
    /// `newfstatat`, fstatat(2); on i386 `fstatat64`.
    newfstatat: wide, |call| Place::at(call.arg(0), call.arg(1), call.int(3) as u32), 2;
    /// i386 stat64.
    stat64: wide, |call| Place::path(call.arg(0)), 1;
    /// i386 lstat64.
    lstat64: wide, |call| Place::link(call.arg(0)), 1;
    /// i386 fstat64.
    fstat64: wide, |call| Place::Descriptor(call.arg(0)), 1;
    /// i386 `oldstat`.
    oldstat: |_| &I386_OLD, |call| Place::path(call.arg(0)), 1;
    /// i386 `oldlstat`.
    oldlstat: |_| &I386_OLD, |call| Place::link(call.arg(0)), 1;
    /// i386 `oldfstat`.
    oldfstat: |_| &I386_OLD, |call| Place::Descriptor(call.arg(0)), 1;
}

/// The structure with 32-bit ids.
fn wide(abi: Abi) -> &'static StatLayout {
    if abi == Abi::I386 { &I386_64 } else { stat::native(abi) }
}

#[cfg(test)]
mod tests;
