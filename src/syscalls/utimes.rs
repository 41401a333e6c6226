//! utimensat(2) and its relatives.
//!
//! The kernel sets the times. On an inode that is not ours it refuses: then they are remembered. Who may is
//! decided by the emulated credentials and owner.

use std::time::{SystemTime, UNIX_EPOCH};

use super::inode::{self, AT_EMPTY_PATH, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Verdict};
use crate::abi::stat::{Statx, Time};
use crate::abi::{Abi, Call, Errno, SysResult};
use crate::ownership::{Attributes, Times, reach, rules};

/// utime(2).
pub const SECONDS: u8 = 0;
/// utimes(2).
pub const MICROSECONDS: u8 = 1;
/// futimesat(2).
pub const MICROSECONDS_AT: u8 = 2;
/// utimensat(2).
pub const NANOSECONDS: u8 = 3;
/// i386 `utimensat_time64`.
pub const NANOSECONDS64: u8 = 4;

/// `tv_nsec` of a time that is the present.
const UTIME_NOW: i64 = (1 << 30) - 1;
/// `tv_nsec` of a time that stays.
const UTIME_OMIT: i64 = (1 << 30) - 2;

/// What one of the two times shall be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wanted {
    /// As it is.
    Same,
    /// The present.
    Now,
    /// This.
    At(Time),
}

/// A call of one of these.
#[derive(Debug, Clone, Copy)]
struct Request {
    place: Place,
    /// Of last access and last modification.
    times: [Wanted; 2],
}

/// utime(2), utimes(2), futimesat(2), utimensat(2).
pub fn set<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    // What is wrong with the call itself, the kernel says first.
    let Ok(request) = Request::read(guest, FORM) else { return Verdict::Run };
    if request.times == [Wanted::Same; 2] {
        return Verdict::Run; // it does not even look at the path
    }
    let Ok(statx) = inode::inspect(guest, request.place) else { return Verdict::Run };
    if let Err(errno) = judge(guest, request, &statx) {
        return Verdict::Reply(Err(inode::refusal(guest, request.place, errno)));
    }
    if guest.stands_in(request.place) {
        return Verdict::Reply(set_on_placeholder(guest, request));
    }
    if inode::known(&statx).is_ours(guest.view()) { Verdict::Run } else { Verdict::Amend(refused::<FORM>) }
}

/// Sets the times of the placeholder by which a device was opened: the kernel's call would set the device's.
fn set_on_placeholder(guest: &mut dyn Guest, Request { place, times }: Request) -> SysResult {
    inode::look(guest, place)?; // something else may have been looked at since
    let placeholder = guest.seen(place).ok_or(Errno::EPERM)?;
    reach::set_times(&placeholder, times.map(Wanted::timespec)).map(|()| 0)
}

/// What the kernel would say under the emulated credentials before it sets anything.
fn judge(guest: &dyn Guest, Request { times, .. }: Request, statx: &Statx) -> Result<(), Errno> {
    let shown = inode::attributes(guest, statx).1;
    let flags = inode::flags(statx, &shown);
    rules::set_times(&guest.credentials(), shown, flags, times == [Wanted::Now; 2])
}

/// The kernel has refused to set the times of an inode that is not ours.
fn refused<const FORM: u8>(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    if !matches!(result, Err(Errno::EPERM | Errno::EACCES | Errno::EOVERFLOW)) {
        return result;
    }
    let request = Request::read(guest, FORM)?;
    let statx = inode::look(guest, request.place)?;
    let before = inode::attributes(guest, &statx).1;
    // Nobody may set ctime; that the kernel cannot even move it matters to nobody.
    let _ = inode::touch(guest, request.place);
    let now = inode::look(guest, request.place)?;
    let present = if now.ctime == statx.ctime { present() } else { now.changed };
    inode::remember_after(guest, request.place, &now, before, |shown| {
        let real = [now.atime, now.mtime];
        let [atime, mtime] = shown.times.seen(now.atime, now.mtime);
        let [new_atime, new_mtime] = request.times;
        let set = [new_atime.over(atime, present), new_mtime.over(mtime, present)];
        Attributes { times: Times::between(real, set), ..shown }
    })?;
    Ok(0)
}

/// The present where the filesystem does not tell it.
fn present() -> Time {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Time { seconds: since.as_secs().cast_signed(), nanoseconds: since.subsec_nanos() }
}

impl Wanted {
    /// As utimensat(2) takes it: seconds and nanoseconds.
    const fn timespec(self) -> [i64; 2] {
        match self {
            Wanted::Same => [0, UTIME_OMIT],
            Wanted::Now => [0, UTIME_NOW],
            Wanted::At(time) => [time.seconds, time.nanoseconds as i64],
        }
    }

    /// What comes of a time that was `old`.
    const fn over(self, old: Time, present: Time) -> Time {
        match self {
            Wanted::Same => old,
            Wanted::Now => present,
            Wanted::At(time) => time,
        }
    }

    /// From the fields of a structure whose fraction counts `unit` nanoseconds; `EINVAL` as in
    /// `do_futimesat` and `nsec_valid`.
    fn from(seconds: i64, fraction: i64, unit: i64) -> Result<Wanted, Errno> {
        match fraction {
            UTIME_NOW if unit == 1 => Ok(Wanted::Now),
            UTIME_OMIT if unit == 1 => Ok(Wanted::Same),
            _ => match fraction.checked_mul(unit) {
                Some(nanoseconds @ 0..1_000_000_000) => {
                    Ok(Wanted::At(Time { seconds, nanoseconds: nanoseconds as u32 }))
                }
                _ => Err(Errno::EINVAL),
            },
        }
    }
}

impl Request {
    /// From the arguments of a call.
    fn read(guest: &mut dyn Guest, form: u8) -> Result<Request, Errno> {
        let call = *guest.call();
        let (place, times) = match form {
            SECONDS | MICROSECONDS => (Place::path(call.arg(0)), call.arg(1)),
            MICROSECONDS_AT => (named(&call, 0)?, call.arg(2)),
            _ => (named(&call, call.arg(3) as u32)?, call.arg(2)),
        };
        let times = if times == 0 { [Wanted::Now; 2] } else { wanted(guest, call.abi, form, times)? };
        Ok(Request { place, times })
    }
}

/// The inode that the first two arguments name, without a path the descriptor; `EINVAL` as in
/// `do_utimes_fd` and `do_utimes_path`.
const fn named(call: &Call, flags: u32) -> Result<Place, Errno> {
    let [directory, path, ..] = call.args;
    let descriptor = path == 0 && directory as u32 != AT_FDCWD as u32;
    let known = if descriptor { 0 } else { AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH };
    match flags & !known {
        0 if descriptor => Ok(Place::Descriptor(directory)),
        0 => Ok(Place::at(directory, path, flags)),
        _ => Err(Errno::EINVAL),
    }
}

/// The times at an address.
fn wanted(guest: &mut dyn Guest, abi: Abi, form: u8, address: u64) -> Result<[Wanted; 2], Errno> {
    let width = if form == NANOSECONDS64 { 8 } else { abi.word() };
    let mut bytes = [0; 32];
    let bytes = bytes.get_mut(..if form == SECONDS { 2 } else { 4 } * width).unwrap_or_default();
    guest.read(address, bytes)?;
    let mut fields = bytes.chunks(width).map(signed);
    let mut field = || fields.next().unwrap_or_default();
    let times = match form {
        SECONDS => [(field(), 0), (field(), 0)],
        // A 32-bit program leaves the upper half of this field to chance (get_timespec64).
        NANOSECONDS64 => [(field(), field() as i32), (field(), field() as i32)].map(|(s, n)| (s, n.into())),
        _ => [(field(), field()), (field(), field())],
    };
    let unit = if matches!(form, MICROSECONDS | MICROSECONDS_AT) { 1000 } else { 1 };
    let [(atime, atime_fraction), (mtime, mtime_fraction)] = times;
    Ok([Wanted::from(atime, atime_fraction, unit)?, Wanted::from(mtime, mtime_fraction, unit)?])
}

/// A little-endian integer of four or eight bytes.
fn signed(bytes: &[u8]) -> i64 {
    let value = bytes.iter().rev().fold(0, |value: u64, &byte| (value << 8) | u64::from(byte));
    if bytes.len() == 4 { i64::from(value as u32 as i32) } else { value.cast_signed() }
}

#[cfg(test)]
mod tests;
