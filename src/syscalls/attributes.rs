//! Extended attributes of the inode that a call has named, whatever the way it has named it.
//!
//! Where the tracer has just seen the inode itself it needs nothing else. Otherwise
//! the guest is made to execute the call that takes what its own call took. Where there is none, a path
//! below an open directory before Linux 6.13 or a descriptor that is only a path, a detour through
//! `/proc` leads there: the guest's, or, since a guest's root need not have one, the tracer's own.

use std::ffi::CStr;

use super::inode::{self, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, kernel};
use crate::abi::acl::LARGEST;
use crate::abi::{Errno, KernelCall};
use crate::ownership::{reach, xattr};

/// An attribute that no inode bears, to be asked for or taken away in place of another.
pub const NOBODYS: &CStr = c"user.remainroot.none";

/// Where in the scratch memory a `struct xattr_args` stands, behind a path of ours.
const ARGS: u64 = 4608;
/// Its size.
const ARGS_LENGTH: u64 = 16;
/// Where the name of an attribute stands, and the names of all.
const NAME: u64 = 4672;
/// Where a value stands.
const VALUE: u64 = 4736;
/// Where a path of our own making stands.
const DETOUR: u64 = VALUE + xattr::LONGEST as u64;
/// How long a list of names may be.
const LIST_LENGTH: u64 = DETOUR - NAME;

/// What is asked of an inode.
#[derive(Debug, Clone, Copy)]
enum Request<'a> {
    List,
    Get(&'a CStr),
    GetLong(&'a CStr),
    Set(&'a CStr, &'a [u8]),
    Remove(&'a CStr),
}

/// A call by path, by path without following a link, by descriptor, and by directory and path.
type Calls = [&'static KernelCall; 4];
const LIST: Calls = [&kernel::LISTXATTR, &kernel::LLISTXATTR, &kernel::FLISTXATTR, &kernel::LISTXATTRAT];
const GET: Calls = [&kernel::GETXATTR, &kernel::LGETXATTR, &kernel::FGETXATTR, &kernel::GETXATTRAT];
const SET: Calls = [&kernel::SETXATTR, &kernel::LSETXATTR, &kernel::FSETXATTR, &kernel::SETXATTRAT];
const REMOVE: Calls =
    [&kernel::REMOVEXATTR, &kernel::LREMOVEXATTR, &kernel::FREMOVEXATTR, &kernel::REMOVEXATTRAT];

/// The names of all, each with a NUL behind it.
///
/// # Errors
/// `ERANGE` where there are very many; what else the kernel gave, or the way to the inode.
pub fn list(guest: &mut dyn Guest, place: Place) -> Result<Vec<u8>, Errno> {
    perform(guest, place, Request::List)
}

/// The value of one.
///
/// # Errors
/// `ENODATA` where there is no such attribute; as [`list`].
pub fn get(guest: &mut dyn Guest, place: Place, name: &CStr) -> Result<Vec<u8>, Errno> {
    perform(guest, place, Request::Get(name))
}

/// The value of one that may be long.
///
/// # Errors
/// As [`get`].
pub fn get_long(guest: &mut dyn Guest, place: Place, name: &CStr) -> Result<Vec<u8>, Errno> {
    match get(guest, place, name) {
        Err(Errno::ERANGE) => perform(guest, place, Request::GetLong(name)),
        value => value,
    }
}

/// Sets one.
///
/// # Errors
/// `ENOSPC`, `EDQUOT`; as [`list`].
pub fn set(guest: &mut dyn Guest, place: Place, name: &CStr, value: &[u8]) -> Result<(), Errno> {
    perform(guest, place, Request::Set(name, value)).map(drop)
}

/// Removes one.
///
/// # Errors
/// As [`get`].
pub fn remove(guest: &mut dyn Guest, place: Place, name: &CStr) -> Result<(), Errno> {
    perform(guest, place, Request::Remove(name)).map(drop)
}

/// Goes the way that the place needs.
fn perform(guest: &mut dyn Guest, place: Place, request: Request) -> Result<Vec<u8>, Errno> {
    if let Some(path) = guest.seen(place) {
        return request.reach(&path);
    }
    let (directory, path, flags) = match place.spelled(guest)? {
        Place::Descriptor(descriptor) => (descriptor, None, 0),
        Place::Path { directory, path, .. } | Place::Parent { directory, path } => {
            let flags = place.flags();
            let mut first = [0];
            guest.read(path, &mut first)?;
            match first {
                [0] => (directory, None, 0),
                [b'/'] => (AT_FDCWD, Some(path), flags),
                _ => (directory, Some(path), flags),
            }
        }
    };
    let here = directory as u32 == AT_FDCWD as u32;
    match path {
        Some(path) if here => by_path(guest, path, flags, request),
        Some(path) => below(guest, directory, path, flags, request),
        None if here => {
            let path = detour(guest, b".")?;
            by_path(guest, path, 0, request)
        }
        None => match request.execute(guest, 2, &[directory]) {
            Err(Errno::EBADF) => open(guest, directory, request),
            outcome => outcome,
        },
    }
}

fn by_path(guest: &mut dyn Guest, path: u64, flags: u32, request: Request) -> Result<Vec<u8>, Errno> {
    let form = usize::from(flags & AT_SYMLINK_NOFOLLOW != 0);
    request.execute(guest, form, &[path])
}

/// By a directory that is open, and a path.
fn below(
    guest: &mut dyn Guest,
    directory: u64,
    path: u64,
    flags: u32,
    request: Request,
) -> Result<Vec<u8>, Errno> {
    const O_PATH: u64 = 0o10_000_000;
    const O_CLOEXEC: u64 = 0o2_000_000;
    let no_follow = flags & AT_SYMLINK_NOFOLLOW;
    match request.execute(guest, 3, &[directory, path, no_follow.into()]) {
        // Some containers' filters say EPERM to what they do not know.
        Err(Errno::ENOSYS | Errno::EPERM) => {}
        outcome => return outcome,
    }
    let name = inode::string(guest, path)?;
    if let Ok(path) = through_proc(guest, directory, &name) {
        match by_path(guest, path, flags, request) {
            Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES) => {} // there is no /proc in its root
            outcome => return outcome,
        }
    }
    let no_follow = if no_follow == 0 { 0 } else { u64::from(guest.call().abi.no_follow()) };
    let how = O_PATH | O_CLOEXEC | no_follow;
    let opened = guest.inject(&kernel::OPENAT, [directory, path, how, 0, 0, 0])?;
    let outcome = open(guest, opened, request);
    guest.inject(&kernel::CLOSE, [opened, 0, 0, 0, 0, 0])?;
    outcome
}

/// What a descriptor that is only a path stands for.
fn open(guest: &mut dyn Guest, descriptor: u64, request: Request) -> Result<Vec<u8>, Errno> {
    match guest.open_file(descriptor).map(|path| request.reach(&path)) {
        None | Some(Err(Errno::ENOENT | Errno::ENOTDIR | Errno::EACCES | Errno::EPERM)) => {
            let path = through_proc(guest, descriptor, b"")?;
            by_path(guest, path, 0, request)
        }
        Some(outcome) => outcome,
    }
}

/// The path below an open directory, or the file itself that is open, as a path of its own.
fn through_proc(guest: &mut dyn Guest, descriptor: u64, path: &[u8]) -> Result<u64, Errno> {
    let mut whole = format!("/proc/thread-self/fd/{}", descriptor as i32).into_bytes();
    if !path.is_empty() {
        whole.push(b'/');
        whole.extend_from_slice(path);
    }
    detour(guest, &whole)
}

/// Puts a path of ours where none of the guest's or of [`inode`]'s stands.
fn detour(guest: &mut dyn Guest, path: &[u8]) -> Result<u64, Errno> {
    if path.len() as u64 >= super::SCRATCH_BYTES as u64 - DETOUR {
        return Err(Errno::ENAMETOOLONG);
    }
    let address = guest.scratch()? + DETOUR;
    guest.write(address, path)?;
    guest.write(address + path.len() as u64, &[0])?;
    Ok(address)
}

/// So much more of the guest's memory; to be [given back](give_back).
fn borrow(guest: &mut dyn Guest, length: usize) -> Result<u64, Errno> {
    const PROT_READ_WRITE: u64 = 3;
    const MAP_PRIVATE_ANONYMOUS: u64 = 0x22;
    const NO_FILE: u64 = u32::MAX as u64;
    guest.inject(&kernel::MMAP, [0, length as u64, PROT_READ_WRITE, MAP_PRIVATE_ANONYMOUS, NO_FILE, 0])
}

fn give_back(guest: &mut dyn Guest, at: u64, length: usize) {
    // It stays where that fails, which harms nobody.
    let _ = guest.inject(&kernel::MUNMAP, [at, length as u64, 0, 0, 0, 0]);
}

impl Request<'_> {
    /// How much room its value needs.
    fn room(self) -> usize {
        match self {
            Request::List | Request::Remove(_) => 0,
            Request::Get(_) => xattr::LONGEST,
            Request::GetLong(_) => LARGEST,
            Request::Set(_, value) => value.len(),
        }
    }

    /// Makes the guest execute the call of this form, whose first arguments say which inode.
    fn execute(self, guest: &mut dyn Guest, form: usize, first: &[u64]) -> Result<Vec<u8>, Errno> {
        let room = self.room();
        if room <= xattr::LONGEST {
            let value = guest.scratch()? + VALUE;
            return self.execute_in(guest, form, first, value);
        }
        let value = borrow(guest, room)?;
        let outcome = self.execute_in(guest, form, first, value);
        give_back(guest, value, room);
        outcome
    }

    /// The same with its value at this address.
    fn execute_in(
        self,
        guest: &mut dyn Guest,
        form: usize,
        first: &[u64],
        value_at: u64,
    ) -> Result<Vec<u8>, Errno> {
        let name_at = guest.scratch()? + NAME;
        if let Request::Get(name) | Request::GetLong(name) | Request::Set(name, _) | Request::Remove(name) =
            self
        {
            guest.write(name_at, name.to_bytes_with_nul())?;
        }
        if let Request::Set(_, value) = self {
            guest.write(value_at, value)?;
        }
        let room = self.room() as u64;
        let (calls, rest, result) = match self {
            Request::List => (LIST, [name_at, LIST_LENGTH, 0], Some((name_at, LIST_LENGTH))),
            Request::Get(_) | Request::GetLong(_) => (GET, [name_at, value_at, room], Some((value_at, room))),
            Request::Set(..) => (SET, [name_at, value_at, room], None),
            Request::Remove(_) => (REMOVE, [name_at, 0, 0], None),
        };
        let rest = if form == 3 { self.packed(guest, rest)? } else { rest };
        let mut args = [0; 6];
        args.iter_mut().zip(first.iter().chain(&rest)).for_each(|(arg, &value)| *arg = value);
        let length = guest.inject(calls.get(form).copied().ok_or(Errno::ENOSYS)?, args)?;
        let Some((at, most)) = result else { return Ok(Vec::new()) };
        let mut found = vec![0; length.min(most) as usize];
        guest.read(at, &mut found)?;
        Ok(found)
    }

    /// The arguments behind the flags of the `*at` calls: a value's place and size stand in memory.
    fn packed(self, guest: &mut dyn Guest, rest: [u64; 3]) -> Result<[u64; 3], Errno> {
        let [name, value, size] = rest;
        let scratch = guest.scratch()?;
        if matches!(self, Request::List | Request::Remove(_)) {
            return Ok(rest);
        }
        guest.write(scratch + ARGS, &[value.to_le_bytes(), size.to_le_bytes()].concat())?;
        Ok([name, scratch + ARGS, ARGS_LENGTH])
    }

    /// Does it in the tracer.
    fn reach(self, path: &CStr) -> Result<Vec<u8>, Errno> {
        match self {
            Request::List => reach::list(path, LIST_LENGTH as usize),
            Request::Get(name) => reach::get(path, name),
            Request::GetLong(name) => reach::get_long(path, name),
            Request::Set(name, value) => reach::set(path, name, value).map(|()| Vec::new()),
            Request::Remove(name) => reach::remove(path, name).map(|()| Vec::new()),
        }
    }
}

#[cfg(test)]
mod tests;
