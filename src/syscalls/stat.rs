//! stat(2) and its relatives: what the kernel says of the inode, with owner, group, mode and device corrected.

use std::ops::Range;

use super::inode::{self, AT_EMPTY_PATH, AT_NO_AUTOMOUNT, AT_SYMLINK_NOFOLLOW, Place};
use super::{Finish, Guest, Verdict, nodes};
use crate::abi::stat::{self, I386_64, I386_OLD, LARGEST, Patch, Reported, StatLayout, Statx};
use crate::abi::{Abi, Call, Errno, SysResult};
use crate::ownership::{Answer, Attributes, Fact, Identity, Inode, Kernel, Times};

/// How a call names its inode, and what it fills.
#[derive(Clone, Copy)]
struct Form {
    layout: fn(Abi) -> &'static StatLayout,
    place: fn(Call) -> Place,
    /// Index of the argument with the address to fill.
    buffer: usize,
}

/// Answers at once where the inode can be seen from outside; else has the kernel answer, then `finish`.
fn answer(guest: &mut dyn Guest, form: &Form, finish: Finish) -> Verdict {
    let call = *guest.call();
    let (layout, place) = ((form.layout)(call.abi), (form.place)(call));
    if !layout.can_fill() || !plain(call, form) {
        return Verdict::Amend(finish);
    }
    match inode::sight_to_read(guest, place, 0, Statx::MASK) {
        Some(Ok(seen)) => match show(guest, layout, place, &seen, call.arg(form.buffer)) {
            Ok(true) => Verdict::Reply(Ok(0)),
            Ok(false) => Verdict::Amend(finish),
            Err(errno) => Verdict::Reply(Err(errno)),
        },
        Some(Err(errno)) => Verdict::Reply(Err(errno)),
        None => Verdict::Amend(finish),
    }
}

/// Whether a call has only flags that say which inode is meant: `newfstatat` refuses some others.
fn plain(call: Call, form: &Form) -> bool {
    const KNOWN: u32 = AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH | AT_NO_AUTOMOUNT;
    form.buffer < 2 || call.arg(3) as u32 & !KNOWN == 0
}

/// Fills the structure at `buffer` with what the guest is to see of the inode at `place`, unless that is gone by now.
fn show(
    guest: &mut dyn Guest,
    layout: &StatLayout,
    place: Place,
    seen: &[u8; Statx::SIZE],
    buffer: u64,
) -> Result<bool, Errno> {
    let statx = Statx::parse(seen);
    let fact = inode::fact_of_seen(guest, place, &statx)?;
    if fact.is_none() && guest.ownership().has_outlived(Identity::of(&statx)) {
        return Ok(false);
    }
    let mut bytes = layout.fill(seen);
    let bytes = bytes.get_mut(..layout.size).unwrap_or_default();
    patch(guest, layout, bytes, fact);
    nodes::told(guest, fact.and_then(|fact| fact.device), Some(place));
    guest.ownership().enter(&statx, guest.view());
    guest.write(buffer, bytes).map(|()| true)
}

/// Corrects what the kernel put at the address in argument `buffer`, field by field, where the guest is
/// to see another value.
fn correct(guest: &mut dyn Guest, result: SysResult, form: &Form) -> SysResult {
    let value = result?;
    let call = *guest.call();
    let (layout, place, buffer) = ((form.layout)(call.abi), (form.place)(call), call.arg(form.buffer));
    let mut bytes = [0; LARGEST];
    let bytes = bytes.get_mut(..layout.size).unwrap_or_default();
    guest.read(buffer, bytes)?;
    let fact = fact_of(guest, &layout.read(bytes), place)?;
    nodes::told(guest, fact.and_then(|fact| fact.device), Some(place));
    overwrite(guest, layout, bytes, fact, buffer)?;
    Ok(value)
}

/// The fact about the inode a stat has reported.
///
/// # Errors
/// `EIO` where what is kept of it cannot be read.
pub(super) fn fact_of(
    guest: &mut dyn Guest,
    reported: &Reported,
    place: Place,
) -> Result<Option<Fact>, Errno> {
    if guest.ownership().is_empty() {
        return Ok(None);
    }
    let Some(dev) = reported.dev else {
        // The oldest structure does not tell which inode it is.
        return again(guest, place, |_| true, None);
    };
    let inode = Inode { dev, ino: reported.ino };
    let same = |statx: &Statx| Identity::of(statx).inode() == inode;
    match guest.ownership().ask(inode, reported.ctime) {
        Answer::Nothing => Ok(None),
        Answer::Known(fact) => Ok(Some(fact)),
        Answer::Unread(fact) => again(guest, place, same, fact),
        Answer::Unsure(fact) => again(guest, place, same, Some(fact)),
    }
}

/// The fact about the inode at `place`; `else_fact` where it is not the `same` by now.
fn again(
    guest: &mut dyn Guest,
    place: Place,
    same: impl Fn(&Statx) -> bool,
    else_fact: Option<Fact>,
) -> Result<Option<Fact>, Errno> {
    match inode::inspect(guest, place) {
        Ok(statx) if same(&statx) => Ok(inode::attributes(guest, &statx).0),
        Err(Errno::EIO) => Err(Errno::EIO),
        _ => Ok(else_fact),
    }
}

/// Puts the guest's attributes over the kernel's in `bytes`, a copy of the structure at `buffer`, and
/// writes the fields that changed; those that touch in one piece.
pub(super) fn overwrite(
    guest: &mut dyn Guest,
    layout: &StatLayout,
    bytes: &mut [u8],
    fact: Option<Fact>,
    buffer: u64,
) -> Result<(), Errno> {
    let fields = patch(guest, layout, bytes, fact);
    for piece in fields.chunk_by(|one, next| one.end == next.start || one == next) {
        let (Some(first), Some(last)) = (piece.first(), piece.last()) else { continue };
        let changed = bytes.get(first.start..last.end).unwrap_or_default();
        if !changed.is_empty() {
            guest.write(buffer.wrapping_add(first.start as u64), changed)?;
        }
    }
    Ok(())
}

/// Puts the guest's attributes over the kernel's in a structure; gives the fields that changed, in order.
pub(super) fn patch(
    guest: &dyn Guest,
    layout: &StatLayout,
    bytes: &mut [u8],
    fact: Option<Fact>,
) -> Vec<Range<usize>> {
    let reported = layout.read(bytes);
    let kernel = Kernel { uid: reported.uid, gid: reported.gid, mode: reported.mode };
    let shown = Attributes::shown(kernel, guest.view(), fact);
    let patches: Vec<Patch> = [
        (shown.uid.0 != reported.uid).then(|| layout.put_uid(shown.uid.0)),
        (shown.gid.0 != reported.gid).then(|| layout.put_gid(shown.gid.0)),
        (shown.mode != reported.mode).then(|| layout.put_mode(shown.mode)),
    ]
    .into_iter()
    .flatten()
    .chain(shown.device.into_iter().flat_map(|device| layout.put_device(device.number())))
    .chain(times(layout, bytes, &shown.times))
    .chain(layout.put_flags(bytes, shown.flags))
    .collect();
    let mut fields = Vec::with_capacity(patches.len());
    for patch in patches {
        let field = patch.offset..patch.offset + patch.bytes().len();
        let old = bytes.get_mut(field.clone()).unwrap_or_default();
        old.iter_mut().zip(patch.bytes()).for_each(|(old, new)| *old = *new);
        fields.push(field);
    }
    fields.sort_unstable_by_key(|field| field.start);
    fields
}

/// Times that were set and that the kernel's own have not outrun.
fn times(layout: &StatLayout, bytes: &[u8], times: &Times) -> impl Iterator<Item = Patch> {
    let atime = times.atime.map(|atime| layout.put_atime(bytes, atime.real, atime.shown));
    let mtime = times.mtime.map(|mtime| layout.put_mtime(bytes, mtime.real, mtime.shown));
    atime.into_iter().chain(mtime).flatten()
}

/// stat(2); on i386 the one with 16-bit ids.
pub fn stat(guest: &mut dyn Guest) -> Verdict {
    const FORM: Form = Form { layout: stat::native, place: path, buffer: 1 };
    answer(guest, &FORM, |guest, result| correct(guest, result, &FORM))
}

/// lstat(2); on i386 the one with 16-bit ids.
pub fn lstat(guest: &mut dyn Guest) -> Verdict {
    const FORM: Form = Form { layout: stat::native, place: link, buffer: 1 };
    answer(guest, &FORM, |guest, result| correct(guest, result, &FORM))
}

/// fstat(2); on i386 the one with 16-bit ids.
pub fn fstat(guest: &mut dyn Guest) -> Verdict {
    const FORM: Form = Form { layout: stat::native, place: descriptor, buffer: 1 };
    answer(guest, &FORM, |guest, result| correct(guest, result, &FORM))
}

/// `newfstatat`, fstatat(2); on i386 `fstatat64`.
pub fn newfstatat(guest: &mut dyn Guest) -> Verdict {
    const FORM: Form = Form { layout: wide, place: at, buffer: 2 };
    answer(guest, &FORM, |guest, result| correct(guest, result, &FORM))
}

/// i386 `stat64`.
pub fn stat64(guest: &mut dyn Guest) -> Verdict {
    const FORM: Form = Form { layout: wide, place: path, buffer: 1 };
    answer(guest, &FORM, |guest, result| correct(guest, result, &FORM))
}

/// i386 `lstat64`.
pub fn lstat64(guest: &mut dyn Guest) -> Verdict {
    const FORM: Form = Form { layout: wide, place: link, buffer: 1 };
    answer(guest, &FORM, |guest, result| correct(guest, result, &FORM))
}

/// i386 `fstat64`.
pub fn fstat64(guest: &mut dyn Guest) -> Verdict {
    const FORM: Form = Form { layout: wide, place: descriptor, buffer: 1 };
    answer(guest, &FORM, |guest, result| correct(guest, result, &FORM))
}

/// i386 `oldstat`.
pub fn oldstat(guest: &mut dyn Guest) -> Verdict {
    const FORM: Form = Form { layout: oldest, place: path, buffer: 1 };
    answer(guest, &FORM, |guest, result| correct(guest, result, &FORM))
}

/// i386 `oldlstat`.
pub fn oldlstat(guest: &mut dyn Guest) -> Verdict {
    const FORM: Form = Form { layout: oldest, place: link, buffer: 1 };
    answer(guest, &FORM, |guest, result| correct(guest, result, &FORM))
}

/// i386 `oldfstat`.
pub fn oldfstat(guest: &mut dyn Guest) -> Verdict {
    const FORM: Form = Form { layout: oldest, place: descriptor, buffer: 1 };
    answer(guest, &FORM, |guest, result| correct(guest, result, &FORM))
}

fn path(call: Call) -> Place {
    Place::path(call.arg(0))
}

fn link(call: Call) -> Place {
    Place::link(call.arg(0))
}

fn descriptor(call: Call) -> Place {
    Place::Descriptor(call.arg(0))
}

fn at(call: Call) -> Place {
    Place::at(call.arg(0), call.arg(1), call.int(3) as u32)
}

/// The structure with 32-bit ids.
fn wide(abi: Abi) -> &'static StatLayout {
    if abi == Abi::I386 { &I386_64 } else { stat::native(abi) }
}

/// The oldest structure.
fn oldest(_: Abi) -> &'static StatLayout {
    &I386_OLD
}

#[cfg(test)]
mod tests;
