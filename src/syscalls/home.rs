//! Facts at home: on the inode they are about, in extended attributes that the guest is made to read and
//! write at the place its own call has named; beside it where an inode can bear none.

use super::inode::{self, AT_FDCWD, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, kernel};
use crate::abi::stat::{S_IFDIR, S_IFMT, S_IFREG, Statx};
use crate::abi::{Errno, KernelCall, SysResult};
use crate::ownership::{Attributes, Fact, Identity, xattr};

/// Where in the scratch memory the name of an attribute stands, behind a path of ours.
const NAME: u64 = 4672;
/// Where its value stands.
const VALUE: u64 = 4736;
/// Where the names of an inode's attributes stand, and a path through `/proc`.
const NAMES: u64 = VALUE + xattr::LONGEST as u64;
/// How long these may be.
const NAMES_LENGTH: usize = super::SCRATCH_BYTES - NAMES as usize;

/// A call about attributes: by path, by path without following a link, by descriptor.
type Calls = [&'static KernelCall; 3];
const GET: Calls = [&kernel::GETXATTR, &kernel::LGETXATTR, &kernel::FGETXATTR];
const LIST: Calls = [&kernel::LISTXATTR, &kernel::LLISTXATTR, &kernel::FLISTXATTR];
const SET: Calls = [&kernel::SETXATTR, &kernel::LSETXATTR, &kernel::FSETXATTR];
const REMOVE: Calls = [&kernel::REMOVEXATTR, &kernel::LREMOVEXATTR, &kernel::FREMOVEXATTR];

/// Makes the guest execute one of `calls` on the inode at `place`.
fn call(guest: &mut dyn Guest, calls: &Calls, place: Place, [name, value, size]: [u64; 3]) -> SysResult {
    let [by_path, by_link, by_descriptor] = *calls;
    let by = |guest: &mut dyn Guest, call: &'static KernelCall, first| {
        guest.inject(call, [first, name, value, size, 0, 0])
    };
    let (directory, path, flags) = match place {
        Place::Descriptor(descriptor) => (descriptor, None, 0),
        Place::Path { directory, path, flags } => {
            let mut first = [0];
            guest.read(path, &mut first)?;
            match first {
                [0] => (directory, None, 0),
                [b'/'] => (AT_FDCWD, Some(path), flags),
                _ => (directory, Some(path), flags),
            }
        }
    };
    let follow = if flags & AT_SYMLINK_NOFOLLOW == 0 { by_path } else { by_link };
    match path {
        Some(path) if directory as u32 == AT_FDCWD as u32 => by(guest, follow, path),
        Some(path) => {
            let path = inode::string(guest, path)?;
            let path = through_proc(guest, directory, &path)?;
            by(guest, follow, path)
        }
        None if directory as u32 == AT_FDCWD as u32 => {
            let here = guest.scratch()? + NAMES;
            guest.write(here, b".\0")?;
            by(guest, by_path, here)
        }
        None => match by(guest, by_descriptor, directory) {
            // A descriptor that is only a path.
            Err(Errno::EBADF) => {
                let path = through_proc(guest, directory, b"")?;
                by(guest, by_path, path)
            }
            outcome => outcome,
        },
    }
}

/// The path below an open directory, or the file itself that is open, as a path of its own.
fn through_proc(guest: &mut dyn Guest, descriptor: u64, path: &[u8]) -> Result<u64, Errno> {
    let mut whole = format!("/proc/thread-self/fd/{}", descriptor as i32).into_bytes();
    if !path.is_empty() {
        whole.push(b'/');
        whole.extend_from_slice(path);
    }
    whole.push(0);
    if whole.len() > NAMES_LENGTH {
        return Err(Errno::ENAMETOOLONG);
    }
    let address = guest.scratch()? + NAMES;
    guest.write(address, &whole)?;
    Ok(address)
}

/// Whether an inode can bear attributes of users.
fn can_bear(statx: &Statx) -> bool {
    matches!(statx.mode & S_IFMT, S_IFREG | S_IFDIR)
}

/// Reads what an earlier run or another tool may have left about the inode at `place`, once for each
/// change time.
pub fn recall(guest: &mut dyn Guest, place: Place, statx: &Statx) {
    let identity = Identity::of(statx);
    if guest.sandboxed() || !guest.ownership().is_unread(identity.inode(), Some(statx.ctime)) {
        return;
    }
    guest.ownership().begin_reading(identity.inode());
    let borne = guest.ownership().in_attributes() && can_bear(statx);
    let found = if borne { borne_by(guest, place).unwrap_or_default() } else { Fact::default() };
    let found = if found.is_empty() { guest.ownership().kept(identity).unwrap_or_default() } else { found };
    guest.ownership().learn(identity, statx.ctime, found.found(inode::known(statx)));
}

/// The fact in an inode's attributes.
fn borne_by(guest: &mut dyn Guest, place: Place) -> Result<Fact, Errno> {
    let (has_owner, has_stat) = names(guest, place)?;
    let owner = if has_owner { get(guest, place, xattr::OWNER.to_bytes_with_nul()) } else { None };
    let stat = if has_stat { get(guest, place, xattr::STAT.to_bytes_with_nul()) } else { None };
    Ok(xattr::fact(owner.as_deref(), stat.as_deref()))
}

/// Which of our attributes the inode bears. Where it bears too many to list, it may bear both.
fn names(guest: &mut dyn Guest, place: Place) -> Result<(bool, bool), Errno> {
    let list = guest.scratch()? + NAME;
    let most = (NAMES - NAME) as usize;
    let length = match call(guest, &LIST, place, [list, most as u64, 0]) {
        Ok(length) => (length as usize).min(most),
        Err(Errno::ERANGE) => return Ok((true, true)),
        Err(errno) => return Err(errno),
    };
    let mut names = vec![0; length];
    guest.read(list, &mut names)?;
    let has = |wanted: &[u8]| names.split(|&byte| byte == 0).any(|name| name == wanted);
    Ok((has(xattr::OWNER.to_bytes()), has(xattr::STAT.to_bytes())))
}

/// The value of an attribute.
fn get(guest: &mut dyn Guest, place: Place, name: &[u8]) -> Option<Vec<u8>> {
    let scratch = guest.scratch().ok()?;
    guest.write(scratch + NAME, name).ok()?;
    let args = [scratch + NAME, scratch + VALUE, xattr::LONGEST as u64];
    let length = call(guest, &GET, place, args).ok()?;
    let mut value = vec![0; (length as usize).min(xattr::LONGEST)];
    guest.read(scratch + VALUE, &mut value).ok()?;
    Some(value)
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
        if !fact.is_empty() {
            guest.ownership().leave_mark();
        }
        write(guest, place, statx, fact, stands)?;
        stands = fact;
        if guest.ownership().remembered(identity) == fact {
            return Ok(());
        }
    }
}

/// Writes a fact where `stands` stood: onto the inode if it can bear it, else beside it.
fn write(guest: &mut dyn Guest, place: Place, statx: &Statx, fact: Fact, stands: Fact) -> Result<(), Errno> {
    let identity = Identity::of(statx);
    if guest.ownership().in_attributes() && can_bear(statx) {
        let seen = Attributes::seen(inode::known(statx), guest.view(), Some(fact));
        let was = Attributes::seen(inode::known(statx), guest.view(), Some(stands));
        let values = [
            (xattr::STAT, xattr::stat(&fact, &seen), xattr::stat(&stands, &was).is_some()),
            (xattr::OWNER, xattr::owner(&fact), xattr::owner(&stands).is_some()),
        ];
        let mut written = Ok(());
        for (name, value, _) in &values {
            written = written.and_then(|()| match value {
                Some(value) => set(guest, place, name.to_bytes_with_nul(), value),
                None => Ok(()),
            });
        }
        for (name, value, stood) in &values {
            // What is not told any more, and what would outshine what stands beside the inode.
            if *stood && (value.is_none() || written.is_err()) {
                remove(guest, place, name.to_bytes_with_nul())?;
            }
        }
        match written {
            Ok(()) => return guest.ownership().keep(identity, &Fact::default()),
            Err(Errno::ESRCH) => return Err(Errno::ESRCH),
            Err(_) => {}
        }
    }
    guest.ownership().keep(identity, &fact)
}

fn set(guest: &mut dyn Guest, place: Place, name: &[u8], value: &[u8]) -> Result<(), Errno> {
    let scratch = guest.scratch()?;
    guest.write(scratch + NAME, name)?;
    guest.write(scratch + VALUE, value)?;
    call(guest, &SET, place, [scratch + NAME, scratch + VALUE, value.len() as u64]).map(drop)
}

fn remove(guest: &mut dyn Guest, place: Place, name: &[u8]) -> Result<(), Errno> {
    let scratch = guest.scratch()?;
    guest.write(scratch + NAME, name)?;
    match call(guest, &REMOVE, place, [scratch + NAME, 0, 0]) {
        Err(errno @ (Errno::ESRCH | Errno::EIO | Errno::ENOSPC | Errno::EDQUOT)) => Err(errno),
        // Not there, or on an inode that can bear none or is not ours to write.
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
