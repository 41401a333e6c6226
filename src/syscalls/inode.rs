//! Inodes as the calls about files name them: by path or by descriptor, resolved by the kernel.
//!
//! Nothing here walks a path. An inode is looked at by making the guest execute statx(2) with its own
//! arguments, so that root, cwd, mounts and magic links are the guest's.

use std::cell::Cell;

use super::{Guest, Look, Share, Stage, access, chmod, filesystem, home, kernel, mounted, xattr};
use crate::abi::stat::{S_ISGID, S_ISUID, Statx};
use crate::abi::{DeviceNumber, Errno, SysResult};
use crate::cred::{Gid, Uid};
use crate::ownership::{Attributes, Fact, Identity, Kernel, rules};

/// `AT_FDCWD` as an argument register holds it in every ABI.
pub const AT_FDCWD: u64 = -100_i32 as u32 as u64;
/// Do not follow a final symbolic link.
pub const AT_SYMLINK_NOFOLLOW: u32 = 0x100;
/// Mount nothing that stands behind a name.
pub const AT_NO_AUTOMOUNT: u32 = 0x800;
/// An empty path means the descriptor itself.
pub const AT_EMPTY_PATH: u32 = 0x1000;
/// unlinkat(2) of a directory.
pub const AT_REMOVEDIR: u64 = 0x200;

/// Longest path the kernel takes, with its NUL.
const PATH_MAX: usize = 4096;
/// Where in the scratch memory an empty string stands, behind a `struct statx`.
const EMPTY: u64 = Statx::SIZE as u64;
/// Where in the scratch memory a path of ours stands.
const PATH: u64 = 512;

/// How a call names an inode.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// By path; `flags` has at most [`AT_SYMLINK_NOFOLLOW`] and [`AT_EMPTY_PATH`].
    Path {
        /// The directory that a relative path starts from.
        directory: u64,
        /// Address of the path.
        path: u64,
        /// `AT_*` flags.
        flags: u32,
    },
    /// By descriptor.
    Descriptor(u64),
    /// The directory in which a path names its last component.
    Parent {
        /// The directory that a relative path starts from.
        directory: u64,
        /// Address of the path.
        path: u64,
    },
}

impl Place {
    /// The path at `path`, from the working directory, followed to its end.
    pub const fn path(path: u64) -> Place {
        Place::Path { directory: AT_FDCWD, path, flags: 0 }
    }

    /// The same, not following a final symbolic link.
    pub const fn link(path: u64) -> Place {
        Place::Path { directory: AT_FDCWD, path, flags: AT_SYMLINK_NOFOLLOW }
    }

    /// The path of an `*at` call. Flags that only say how to look are left out.
    pub const fn at(directory: u64, path: u64, flags: u32) -> Place {
        Place::Path { directory, path, flags: flags & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) }
    }

    /// The same, not following a final symbolic link.
    pub const fn unfollowed(self) -> Place {
        match self {
            Place::Path { directory, path, flags } => {
                Place::Path { directory, path, flags: flags | AT_SYMLINK_NOFOLLOW }
            }
            Place::Descriptor(_) | Place::Parent { .. } => self,
        }
    }

    /// The `AT_*` flags of a path.
    pub const fn flags(self) -> u32 {
        match self {
            Place::Path { flags, .. } => flags,
            Place::Parent { .. } => 0,
            Place::Descriptor(_) => AT_EMPTY_PATH,
        }
    }

    /// The same place by a path of its own, which is put into the scratch memory; good until the next call of this.
    ///
    /// # Errors
    /// `ENOMEM` where there is no scratch memory; `EFAULT`.
    pub fn spelled(self, guest: &mut dyn Guest) -> Result<Place, Errno> {
        match self {
            Place::Parent { directory, path } => {
                let path = string(guest, path)?;
                place_in_scratch(guest, directory, dirname(&path), 0).ok_or(Errno::ENOMEM)
            }
            place => Ok(place),
        }
    }

    /// Directory, path and flags that name it in an `*at` call with [`AT_EMPTY_PATH`].
    ///
    /// # Errors
    /// `ENOMEM` where there is no scratch memory.
    pub fn spell(self, guest: &mut dyn Guest) -> Result<(u64, u64, u32), Errno> {
        match self.spelled(guest)? {
            Place::Path { directory, path, .. } | Place::Parent { directory, path } => {
                Ok((directory, path, self.flags()))
            }
            Place::Descriptor(descriptor) => {
                let empty = guest.scratch()? + EMPTY;
                guest.write(empty, &[0])?;
                Ok((descriptor, empty, AT_EMPTY_PATH))
            }
        }
    }
}

/// What the kernel says of an inode (statx(2) executed by the guest), after what earlier runs left on
/// it was read.
///
/// # Errors
/// What the kernel gave, which is what it gives any call that resolves this path; `ENOMEM` where
/// there is no scratch memory.
pub fn inspect(guest: &mut dyn Guest, place: Place) -> Result<Statx, Errno> {
    let seen = sight_to_read(guest, place, 0, Statx::MASK);
    let statx = told(guest, place, seen)?;
    home::recall(guest, place, &statx)?;
    Ok(statx)
}

/// Whether nobody can tell which inode it is: the tracer does not see it from outside, and a filter of the guest's own
/// keeps it from looking.
pub fn is_out_of_sight(guest: &mut dyn Guest, place: Place) -> bool {
    guest.filtered() && !guest.may(&kernel::STATX, [0; 6]) && sight(guest, place, 0, Statx::MASK).is_none()
}

/// What the kernel says of an inode that this very call has inspected before, or has made.
///
/// # Errors
/// As [`inspect`].
pub fn look(guest: &mut dyn Guest, place: Place) -> Result<Statx, Errno> {
    let seen = sight(guest, place, 0, Statx::MASK);
    told(guest, place, seen)
}

/// The same of what was seen from outside, if anything was.
fn told(
    guest: &mut dyn Guest,
    place: Place,
    seen: Option<Result<[u8; Statx::SIZE], Errno>>,
) -> Result<Statx, Errno> {
    let bytes = match seen {
        Some(seen) => seen?,
        None => made_to_look(guest, place)?,
    };
    let statx = Statx::parse(&bytes);
    filesystem::find(guest, place, &statx);
    guest.ownership().meet(&statx, guest.view());
    Ok(statx)
}

/// The same without making the guest execute anything, where that is possible.
pub fn sight(
    guest: &mut dyn Guest,
    place: Place,
    flags: u32,
    mask: u32,
) -> Option<Result<[u8; Statx::SIZE], Errno>> {
    look_at(guest, place, flags, mask, false)
}

fn look_at(
    guest: &mut dyn Guest,
    place: Place,
    flags: u32,
    mask: u32,
    holds: bool,
) -> Option<Result<[u8; Statx::SIZE], Errno>> {
    let (directory, path, named) = match place {
        Place::Descriptor(descriptor) if (descriptor as i32) < 0 => return Some(Err(Errno::EBADF)), // AT_FDCWD too
        Place::Descriptor(descriptor) => (descriptor, None, AT_EMPTY_PATH),
        Place::Path { directory, path, flags } => (directory, Some(string(guest, path).ok()?), flags),
        Place::Parent { directory, path } => {
            (directory, Some(dirname(&string(guest, path).ok()?).to_owned()), 0)
        }
    };
    let path = path.filter(|path| !path.is_empty() || named & AT_EMPTY_PATH == 0);
    let follow = named & AT_SYMLINK_NOFOLLOW == 0;
    guest.sight(&Look { place, directory, path: path.as_deref(), follow, flags, mask, holds })
}

/// The same of an inode that will be asked for what it bears. Where its name is another's by then, which may have the same
/// number and change time, it is looked at once more, and held.
pub fn sight_to_read(
    guest: &mut dyn Guest,
    place: Place,
    flags: u32,
    mask: u32,
) -> Option<Result<[u8; Statx::SIZE], Errno>> {
    match sight(guest, place, flags, mask)? {
        Ok(seen) if home::will_read(guest, &Statx::parse(&seen)) && guest.seen(place).is_none() => {
            look_at(guest, place, flags, mask, true)
        }
        seen => Some(seen),
    }
}

/// The same by making the guest execute statx(2).
fn made_to_look(guest: &mut dyn Guest, place: Place) -> Result<[u8; Statx::SIZE], Errno> {
    let (directory, path, flags) = place.spell(guest)?;
    let scratch = guest.scratch()?;
    let flags = u64::from(flags | AT_NO_AUTOMOUNT);
    guest.inject(&kernel::STATX, [directory, path, flags, u64::from(Statx::MASK), scratch, 0])?;
    let mut bytes = [0; Statx::SIZE];
    guest.read(scratch, &mut bytes)?;
    Ok(bytes)
}

/// What the kernel says of it, as far as ownership matters.
pub const fn known(statx: &Statx) -> Kernel {
    Kernel { uid: statx.uid, gid: statx.gid, mode: statx.mode }
}

/// The fact about an inode, and its attributes as the guest sees them: what every permission rule
/// and a set-id exec go by.
pub fn attributes(guest: &dyn Guest, statx: &Statx) -> (Option<Fact>, Attributes) {
    let fact = guest.ownership().confirm(Identity::of(statx), statx.ctime);
    let fact = fact.map(|fact| Fact { times: fact.times.holding(statx.atime, statx.mtime), ..fact });
    (fact, Attributes::seen(known(statx), guest.view(), fact))
}

/// The fact about the inode at `place`, which has just been seen.
///
/// # Errors
/// What keeps its home from being read.
pub fn fact_of_seen(guest: &mut dyn Guest, place: Place, statx: &Statx) -> Result<Option<Fact>, Errno> {
    guest.ownership().meet(statx, guest.view());
    if guest.ownership().is_empty() {
        return Ok(None);
    }
    filesystem::find(guest, place, statx);
    home::recall(guest, place, statx)?;
    Ok(attributes(guest, statx).0)
}

/// The flags of chattr(1) that forbid changes, as the guest sees them.
pub const fn flags(statx: &Statx, shown: &Attributes) -> u32 {
    (statx.attributes as u32 ^ shown.flags) & rules::FROZEN
}

/// The kernel's chown to nobody: it finds what is wrong with the path and the filesystem, sets ctime
/// and takes set-id bits.
///
/// # Errors
/// The kernel's.
pub fn touch(guest: &mut dyn Guest, place: Place) -> SysResult {
    set_owner(guest, place, [NOBODY; 2])
}

/// An id that leaves an inode whose it is.
pub const NOBODY: u32 = u32::MAX;

/// The same, to these ids. Who watches is told of one that is no other than before (`fsnotify_change`), and of none to nobody.
///
/// # Errors
/// The kernel's.
pub fn set_owner(guest: &mut dyn Guest, place: Place, ids: [u32; 2]) -> SysResult {
    if let Some(made) = guest.make(place, Share::Owner(ids)) {
        return made.map(|()| 0);
    }
    let [uid, gid] = ids.map(u64::from);
    if let Place::Descriptor(descriptor) = place {
        return guest.inject(&kernel::FCHOWN, [descriptor, uid, gid, 0, 0, 0]);
    }
    let (directory, path, flags) = place.spell(guest)?;
    guest.inject(&kernel::FCHOWNAT, [directory, path, uid, gid, flags.into(), 0])
}

/// Whether the inode is one that procfs makes anew whenever it is looked for: of a process, or of a
/// sysctl. Nothing that is set on it stays (`pid_revalidate`). Others have numbers from
/// `PROC_DYNAMIC_FIRST` on, and the root has 1.
pub fn is_fleeting(guest: &dyn Guest, statx: &Statx) -> bool {
    const ROOT: u64 = 1;
    const DYNAMIC_FIRST: u64 = 0xF000_0000;
    let anonymous = DeviceNumber::decode(statx.dev as u32).major == 0;
    statx.birth == 0
        && anonymous
        && (ROOT + 1..DYNAMIC_FIRST).contains(&statx.ino)
        && guest.is_proc(statx.dev)
}

/// Remembers what `goal` makes of the attributes the guest has seen so far, and raises
/// [`Stage::Ownership`] if there is anything to remember.
///
/// # Errors
/// What keeps it from outlasting the run, where it is to do that: `ENOSPC` above all. Then nothing is
/// remembered.
pub fn remember(
    guest: &mut dyn Guest,
    place: Place,
    statx: &Statx,
    goal: impl Fn(Attributes) -> Attributes,
) -> Result<(), Errno> {
    let before = Attributes::seen(known(statx), guest.view(), None);
    remember_after(guest, place, statx, before, goal)
}

/// The same after a call that may have made another inode of it, with the number of the first but
/// another birth time: overlayfs copies a file to its upper layer before it changes it. Then `goal`
/// starts from `before`.
///
/// # Errors
/// As [`remember`].
pub fn remember_after(
    guest: &mut dyn Guest,
    place: Place,
    statx: &Statx,
    before: Attributes,
    goal: impl Fn(Attributes) -> Attributes,
) -> Result<(), Errno> {
    let (kernel, view, identity) = (known(statx), guest.view(), Identity::of(statx));
    let shown = |fact| Attributes::seen(kernel, view, Some(fact));
    let ownership = guest.ownership();
    ownership.begin_writing(identity.inode());
    let stood = Cell::new(Fact::default());
    let fact = ownership.change(identity, |old| {
        stood.set(old.unwrap_or_default());
        ownership.between(kernel, goal(old.map_or(before, shown)), view)
    });
    let inherits = fact.gid.is_some() && shown(fact).passes_group_on();
    if guest.ownership().lasts() {
        let kept = home::keep(guest, place, statx, stood.get());
        if kept.is_err() {
            guest.ownership().change(identity, |_| stood.get());
        }
        guest.ownership().end_writing(identity.inode());
        kept?;
    }
    // What the kernel says of an inode that is not ours is never what is to be seen.
    if fact.is_empty() && kernel.is_ours(guest.view()) {
        return Ok(());
    }
    mounted::given(guest, statx.dev);
    if inherits {
        guest.ownership().set_inherits();
    }
    guest.raise(Stage::Ownership);
    if guest.ownership().is_named(statx) {
        guest.raise(Stage::Removal); // what takes names away is to be told of
    }
    if fact.device.is_some() {
        guest.raise(Stage::Devices);
    }
    Ok(())
}

/// Whether something about what the guest makes must be remembered: it is not root to the filesystem, or
/// the directory passes an emulated group on, or names in its default list.
pub fn creation_matters(
    guest: &mut dyn Guest,
    directory: impl FnOnce(&mut dyn Guest) -> Option<Place>,
) -> bool {
    let who = guest.credentials();
    if who.fsuid != Uid::ROOT || who.fsgid != Gid::ROOT {
        return true;
    }
    if !guest.ownership().inherits() {
        return false;
    }
    let Some(place) = directory(guest) else { return false };
    let Ok(parent) = look(guest, place) else { return false };
    if !may_pass_group_on(guest, &parent) && !xattr::passes_names_on(guest, &parent) {
        return false;
    }
    if home::recall(guest, place, &parent).is_err() {
        return true;
    }
    let shown = attributes(guest, &parent).1;
    shown.passes_group_on() && shown.gid != Gid::ROOT || xattr::passes_names_on(guest, &parent)
}

/// Whether a directory may have the set-gid bit, by what is known without reading its home again, which
/// would be due for every file that is made in it.
fn may_pass_group_on(guest: &dyn Guest, directory: &Statx) -> bool {
    let (identity, kernel) = (Identity::of(directory), known(directory));
    directory.mode & S_ISGID != 0
        || !kernel.is_ours(guest.view())
        || !guest.ownership().was_read(identity.inode())
        || guest.ownership().remembered(identity).mode.is_some()
}

/// The errno of a call that the rules forbid: theirs, unless the kernel would have said before that
/// the filesystem cannot be written (`mnt_want_write`) or the descriptor is only a path.
pub fn refusal(guest: &mut dyn Guest, place: Place, forbidden: Errno) -> Errno {
    const F_GETFL: u64 = 3;
    const O_PATH: u64 = 0o10_000_000;
    if let Place::Descriptor(descriptor) = place {
        match guest.inject(&kernel::FCNTL, [descriptor, F_GETFL, 0, 0, 0, 0]) {
            Ok(flags) if flags & O_PATH != 0 => return Errno::EBADF,
            Ok(_) => {}
            Err(errno) => return errno,
        }
    }
    if home::is_read_only(guest, place) { Errno::EROFS } else { forbidden }
}

/// Remembers the owner of an inode that the guest has just made in `directory`, and `asked` to have a
/// certain mode. What cannot be looked
/// at any more, because another took it away, is nobody's.
///
/// # Errors
/// As [`remember`].
pub fn remember_new(
    guest: &mut dyn Guest,
    made: Place,
    asked: u16,
    directory: impl FnOnce(&mut dyn Guest) -> Option<Place>,
    complete: impl Fn(Attributes) -> Attributes,
) -> Result<(), Errno> {
    let Ok(new) = look(guest, made) else { return Ok(()) };
    let statx = access::let_owner_in(guest, made, new);
    let parent = directory(guest).and_then(|place| inspect(guest, place).ok());
    let of_parent = parent.map(|parent| attributes(guest, &parent).1);
    let shown = Attributes::seen(known(&new), guest.view(), None);
    // Some filesystems give everything one owner (vfat); then the creator does not count.
    let fixed = statx.uid != guest.view().kernel_uid;
    let goal = if fixed { shown } else { rules::made(&guest.credentials(), of_parent, shown, asked) };
    let statx = if guest.view().is_of_all_ids() { give_away(guest, made, statx, goal) } else { statx };
    remember(guest, made, &statx, |_| complete(goal))?;
    parent.map_or(Ok(()), |parent| xattr::inherit(guest, made, &statx, &parent))
}

/// Has the kernel give what a real root's guest has made to whom it is to belong to; what it is then. What the kernel refuses
/// is remembered.
fn give_away(guest: &mut dyn Guest, made: Place, statx: Statx, goal: Attributes) -> Statx {
    if (statx.uid, statx.gid) == (goal.uid.0, goal.gid.0)
        || set_owner(guest, made, [goal.uid.0, goal.gid.0]).is_err()
    {
        return statx;
    }
    if goal.mode & (S_ISUID | S_ISGID) != 0 && !goal.is_directory() {
        let _ = chmod::by_the_kernel(guest, made, goal.permissions()); // a chown takes these bits
    }
    look(guest, made).unwrap_or(statx)
}

/// Puts a path into the scratch memory.
pub fn place_in_scratch(guest: &mut dyn Guest, directory: u64, path: &[u8], flags: u32) -> Option<Place> {
    if path.len() >= PATH_MAX {
        return None;
    }
    let address = guest.scratch().ok()? + PATH;
    guest.write(address, path).ok()?;
    guest.write(address + path.len() as u64, &[0]).ok()?;
    Some(Place::Path { directory, path: address, flags })
}

/// The path without its last component (dirname(3)).
pub(super) fn dirname(path: &[u8]) -> &[u8] {
    let trimmed = |path: &[u8]| path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
    let path = path.get(..trimmed(path)).unwrap_or(path);
    let Some(slash) = path.iter().rposition(|&byte| byte == b'/') else { return b"." };
    match path.get(..slash).map(|head| (head, trimmed(head))) {
        Some((head, length)) if length > 0 => head.get(..length).unwrap_or(head),
        _ => b"/",
    }
}

/// The NUL-terminated string at `address`, without its NUL.
///
/// # Errors
/// `EFAULT`; `ENAMETOOLONG` past `PATH_MAX` (`getname`).
pub fn string(guest: &mut dyn Guest, address: u64) -> Result<Vec<u8>, Errno> {
    const PAGE: u64 = 4096;
    let mut text = Vec::new();
    while text.len() < PATH_MAX {
        let from = address.checked_add(text.len() as u64).ok_or(Errno::EFAULT)?;
        // Up to the end of the page: the next need not exist.
        let mut chunk = [0; PAGE as usize];
        let length = (PAGE - from % PAGE).min(256) as usize;
        let chunk = chunk.get_mut(..length).unwrap_or_default();
        guest.read(from, chunk)?;
        match chunk.iter().position(|&byte| byte == 0) {
            Some(end) => {
                text.extend(chunk.iter().take(end));
                return Ok(text);
            }
            None => text.extend_from_slice(chunk),
        }
    }
    Err(Errno::ENAMETOOLONG)
}

#[cfg(test)]
mod tests;
