//! Calls that make a file: what they make belongs to the emulated fsuid and fsgid, or to the group of
//! a set-gid directory.
//!
//! The kernel makes it, with umask and set-gid inheritance; the owner is remembered at the exit stop.
//! Whether open(2) made its file or found it is known by looking before. What is made through a
//! dangling symbolic link counts as made in the link's directory.

use super::inode::{self, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Stage, Test, Verdict, access, device, frozen, rooted, status, undo};
use crate::abi::{Abi, Errno, SysResult};

const O_WRONLY: u32 = 1;
const O_RDWR: u32 = 2;
const O_CREAT: u32 = 0o100;
const O_EXCL: u32 = 0o200;
const O_TRUNC: u32 = 0o1000;
const O_TMPFILE: u32 = 0o20_000_000;
/// `RESOLVE_IN_ROOT` of openat2(2).
const IN_ROOT: u64 = 0x10;

/// Stops of open(path, flags, mode).
pub const OPEN_STOPS: &[(Stage, Test)] = &opening(1);
/// Stops of openat(directory, path, flags, mode).
pub const OPENAT_STOPS: &[(Stage, Test)] = &opening(2);
/// Stops of openat2(2) and creat(2).
pub const ALL_STOPS: &[(Stage, Test)] =
    &[(Stage::Identity, Test::Always), (Stage::Ownership, Test::Always), (Stage::Devices, Test::Always)];

/// Creation matters to a process with an identity, and to all once a set-gid directory may pass an
/// emulated group on; what is opened once it may be a device. Only what must be new can be left to a listener: another
/// open may wait for the other end of a FIFO, and a signal may end that.
const fn opening(arg: u8) -> [(Stage, Test); 5] {
    let creating = Test::AnyBits { arg, mask: O_CREAT | O_TMPFILE };
    let writing = Test::AnyBits { arg, mask: O_WRONLY | O_RDWR | O_CREAT | O_TRUNC };
    let reaching = Test::NoBits { arg, mask: device::INERT };
    [
        (Stage::Identity, creating),
        (Stage::Ownership, creating),
        (Stage::Devices, writing),
        (Stage::Reading, reaching),
        (Stage::Notify, Test::AllBits { arg, mask: O_CREAT | O_EXCL }),
    ]
}

/// "No directory argument": relative paths start from the working directory.
pub const CWD: usize = usize::MAX;

/// Directory and path of the call at hand, from the arguments with these indices.
pub(super) fn names<const DIRECTORY: usize, const PATH: usize>(guest: &dyn Guest) -> (u64, u64) {
    let call = guest.call();
    (if DIRECTORY == CWD { AT_FDCWD } else { call.arg(DIRECTORY) }, call.arg(PATH))
}

/// open(2), openat(2): the flags follow the path, and the mode follows them.
pub fn open<const DIRECTORY: usize, const PATH: usize, const MODE: usize>(guest: &mut dyn Guest) -> Verdict {
    let flags = guest.call().arg(PATH + 1) as u32;
    let (_, path) = names::<DIRECTORY, PATH>(guest);
    if status::is_asked(guest, path, flags) {
        return Verdict::Amend(|guest, result| {
            let flags = guest.call().arg(PATH + 1) as u32;
            let place = named::<DIRECTORY, PATH>(guest);
            let result = device::opened(guest, result, place, flags);
            status::opened(guest, result, flags)
        });
    }
    let verdict = opened::<DIRECTORY, PATH, MODE>(guest, flags);
    let place = named::<DIRECTORY, PATH>(guest);
    device::guard(guest, verdict, Some(place), flags, |guest, result| {
        let flags = guest.call().arg(PATH + 1) as u32;
        let place = named::<DIRECTORY, PATH>(guest);
        device::opened(guest, result, place, flags)
    })
}

fn named<const DIRECTORY: usize, const PATH: usize>(guest: &dyn Guest) -> Place {
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    Place::at(directory, path, 0)
}

/// creat(2).
pub fn creat(guest: &mut dyn Guest) -> Verdict {
    let verdict = opened::<CWD, 0, 1>(guest, O_CREAT | O_WRONLY | O_TRUNC);
    let place = named::<CWD, 0>(guest);
    device::guard(guest, verdict, Some(place), O_CREAT | O_TRUNC, |guest, result| {
        let place = named::<CWD, 0>(guest);
        let flags = O_WRONLY | large(guest);
        device::opened(guest, result, place, flags)
    })
}

/// What creat(2) and openat2(2) set by themselves (`force_o_largefile`); in i386 the others do not.
fn large(guest: &dyn Guest) -> u32 {
    const O_LARGEFILE: u32 = 0o100_000;
    if guest.call().abi == Abi::I386 { O_LARGEFILE } else { 0 }
}

/// openat2(2): its flags stand in memory. Where it confines absolute paths to the directory, the path
/// means something else to every other call, see [`rooted`].
pub fn openat2(guest: &mut dyn Guest) -> Verdict {
    let Some((flags, resolve)) = how(guest) else { return Verdict::Run };
    let path = guest.call().arg(1);
    if status::is_asked(guest, path, flags) {
        return Verdict::Amend(|guest, result| {
            let flags = how(guest).map_or(0, |(flags, _)| flags);
            status::opened(guest, result, flags)
        });
    }
    let verdict = match resolve & IN_ROOT {
        0 => opened::<0, 1, IN_HOW>(guest, flags),
        _ => opened_in_root(guest, flags, resolve),
    };
    // What the path names outside the limits of this call might be another file.
    let place = (resolve == 0).then(|| named::<0, 1>(guest));
    device::guard(guest, verdict, place, flags, |guest, result| match how(guest) {
        Some((_, 1..)) if result.is_err() => result,
        Some((flags, _)) => {
            let place = named::<0, 1>(guest);
            let flags = flags | large(guest);
            device::opened(guest, result, place, flags)
        }
        None => result,
    })
}

/// The same with the limit `RESOLVE_IN_ROOT`.
fn opened_in_root(guest: &mut dyn Guest, flags: u32, resolve: u64) -> Verdict {
    let matters = flags & O_CREAT != 0 && rooted::matters(guest, resolve);
    let may_make = matters || flags & O_CREAT != 0 && guest.view().lacks_privilege();
    let makes = may_make && (flags & O_EXCL != 0 || rooted::is_absent(guest, resolve));
    if !makes {
        return Verdict::Run;
    }
    if !matters {
        return access::makes(guest, opened_new);
    }
    Verdict::Amend(|guest, result| {
        let asked = asked::<IN_HOW>(guest);
        let resolve = how(guest).map_or(IN_ROOT, |(_, resolve)| resolve);
        rooted::made(guest, result, asked, resolve)
    })
}

/// Flags and limits of an openat2(2).
fn how(guest: &mut dyn Guest) -> Option<(u32, u64)> {
    let mut fields = [0; 24];
    guest.read(guest.call().arg(2), &mut fields).ok()?;
    let [flags, _, resolve] = fields.as_chunks::<8>().0 else { return None };
    Some((u64::from_le_bytes(*flags) as u32, u64::from_le_bytes(*resolve)))
}

/// "No mode argument": it stands in memory, in openat2's structure.
const IN_HOW: usize = usize::MAX;

/// The mode of the call at hand, before the umask.
fn asked<const MODE: usize>(guest: &mut dyn Guest) -> u16 {
    if MODE != IN_HOW {
        return guest.call().arg(MODE) as u16;
    }
    let mut mode = [0; 2];
    let how = guest.call().arg(2);
    // Another thread may have taken the memory away since the kernel read it.
    guest.read(how + 8, &mut mode).map_or(0, |()| u16::from_le_bytes(mode))
}

/// Lets the kernel open, and remembers the owner if that makes the file.
fn opened<const DIRECTORY: usize, const PATH: usize, const MODE: usize>(
    guest: &mut dyn Guest,
    flags: u32,
) -> Verdict {
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    let place = Place::at(directory, path, 0);
    if frozen::refuses_open(guest, [directory, path], flags, flags & (O_CREAT | O_TMPFILE) == O_CREAT) {
        return Verdict::Reply(Err(Errno::EPERM));
    }
    if flags & O_TMPFILE != 0 {
        let matters = inode::creation_matters(guest, |_| Some(place));
        return if matters {
            Verdict::Amend(made_unnamed::<DIRECTORY, PATH, MODE>)
        } else {
            access::makes(guest, opened_new)
        };
    }
    let matters = flags & O_CREAT != 0
        && inode::creation_matters(guest, |guest| {
            if is_null_device(guest, path) { None } else { Some(Place::Parent { directory, path }) }
        });
    let may_make = matters || flags & O_CREAT != 0 && guest.view().lacks_privilege();
    let makes = may_make && (flags & O_EXCL != 0 || inode::inspect(guest, place) == Err(Errno::ENOENT));
    match (makes, matters) {
        (false, _) => Verdict::Run,
        (true, false) => access::makes(guest, opened_new),
        (true, true) => Verdict::Amend(made_and_opened::<DIRECTORY, PATH, MODE>),
    }
}

/// The call has made and opened a file that is root's.
fn opened_new(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    let kept = access::made(guest, Place::Descriptor(result?));
    undo::opened(guest, result?, None, kept).and(result)
}

/// Whether the path is the one that shells redirect to: two of three opens that may create, when packages
/// are installed, and not worth a look at its directory.
fn is_null_device(guest: &mut dyn Guest, path: u64) -> bool {
    const NULL: &[u8; 10] = b"/dev/null\0";
    let mut start = [0; NULL.len()];
    guest.read(path, &mut start).is_ok() && start == *NULL
}

/// `O_TMPFILE`: the path is the directory.
fn made_unnamed<const DIRECTORY: usize, const PATH: usize, const MODE: usize>(
    guest: &mut dyn Guest,
    result: SysResult,
) -> SysResult {
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    let made = Place::Descriptor(result?);
    let asked = asked::<MODE>(guest);
    let kept =
        inode::remember_new(guest, made, asked, |_| Some(Place::at(directory, path, 0)), |shown| shown);
    undo::opened(guest, result?, None, kept).and(result)
}

/// `O_CREAT`: the path names the file.
fn made_and_opened<const DIRECTORY: usize, const PATH: usize, const MODE: usize>(
    guest: &mut dyn Guest,
    result: SysResult,
) -> SysResult {
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    let made = Place::Descriptor(result?);
    let asked = asked::<MODE>(guest);
    let parent = Place::Parent { directory, path };
    let kept = inode::remember_new(guest, made, asked, |_| Some(parent), |shown| shown);
    undo::opened(guest, result?, Some(Place::at(directory, path, 0)), kept).and(result)
}

/// mkdir(2), mkdirat(2). A listing tells of every directory that was made, as fakeroot's does.
pub fn mkdir<const DIRECTORY: usize, const PATH: usize>(guest: &mut dyn Guest) -> Verdict {
    if guest.ownership().records_all() {
        return Verdict::Amend(made::<DIRECTORY, PATH>);
    }
    make::<DIRECTORY, PATH>(guest)
}

/// mkdir(2), symlink(2) and their `at` forms, which fail where something is already.
pub fn make<const DIRECTORY: usize, const PATH: usize>(guest: &mut dyn Guest) -> Verdict {
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    if frozen::refuses_new(guest, [directory, path]) {
        return Verdict::Reply(Err(Errno::EPERM));
    }
    if inode::creation_matters(guest, |_| Some(Place::Parent { directory, path })) {
        Verdict::Amend(made::<DIRECTORY, PATH>)
    } else {
        access::makes(guest, |guest, result| {
            result?;
            let (directory, path) = names::<DIRECTORY, PATH>(guest);
            let place = Place::at(directory, path, AT_SYMLINK_NOFOLLOW);
            let kept = access::made(guest, place);
            undo::made(guest, place, kept).and(result)
        })
    }
}

/// What has just been made at the path.
fn made<const DIRECTORY: usize, const PATH: usize>(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    result?;
    let (directory, path) = names::<DIRECTORY, PATH>(guest);
    let made = Place::at(directory, path, AT_SYMLINK_NOFOLLOW);
    let asked = guest.call().arg(PATH + 1) as u16; // of a directory or a symbolic link it does not matter
    let parent = Place::Parent { directory, path };
    let kept = inode::remember_new(guest, made, asked, |_| Some(parent), |shown| shown);
    undo::made(guest, made, kept).and(result)
}

#[cfg(test)]
mod tests;
