//! mount(2) with options that the kernel refuses to who is root in a namespace alone.
//!
//! - Ids that the namespace lacks (`make_kuid` fails in `fs_param_is_uid`): the kernel is told root's, and the root
//!   directory of a tmpfs, which is all that they are about there, is remembered as theirs. Terminals of a devpts stay
//!   root's. Whoever mounts a FUSE filesystem is root to the kernel, so that may use it.
//! - An overlay keeps what it must remember in attributes `trusted.overlay.*`, which a namespace's root cannot set: a
//!   directory that is made where one was removed is an I/O error then. `userxattr` has it take `user.overlay.*`.
//!
//! The calls that build a filesystem context are in `fsconfig`.

use super::inode::{self, Place};
use super::{Guest, Verdict, kernel, layers, mounted};
use crate::abi::Errno;
use crate::cred::{Gid, Uid, View};
use crate::ownership::Attributes;

/// mount(2) that changes options of what is mounted.
const MS_REMOUNT: u64 = 32;
/// mount(2) that makes no new filesystem: `MS_REMOUNT`, `MS_BIND`, `MS_MOVE`, and changes of propagation.
const NOT_NEW: u64 = MS_REMOUNT | 1 << 12 | 1 << 13 | 1 << 17 | 1 << 18 | 1 << 19 | 1 << 20;
/// Where in the scratch memory the options stand.
const OPTIONS: u64 = 4096;
/// The longest that the kernel takes (`copy_mount_options`), with its NUL.
const LONGEST: usize = 4096;

/// Types of filesystems.
pub(super) const TMPFS: &[u8] = b"tmpfs";
pub(super) const OVERLAY: &[u8] = b"overlay";
/// The option of an overlay that keeps what it must remember in attributes of users.
pub(super) const USERXATTR: &[u8] = b"userxattr";

/// Options as the kernel can take them, and whom they were about.
#[derive(Debug, PartialEq, Eq, Default)]
struct Options {
    text: Vec<u8>,
    uid: Option<Uid>,
    gid: Option<Gid>,
}

/// umount(2): what the tracer holds open of it would make it busy.
pub fn umount(guest: &mut dyn Guest) -> Verdict {
    guest.unmounting(true);
    Verdict::Amend(|guest, result| {
        guest.unmounting(false);
        result
    })
}

/// mount(2): source, target, type, flags and options.
pub fn mount(guest: &mut dyn Guest) -> Verdict {
    let verdict = translate(guest);
    let is_new = guest.call().arg(3) & NOT_NEW == 0;
    if !matches!(verdict, Verdict::Run) || !is_new {
        return verdict;
    }
    let name = kind(guest);
    if !mounted::matters(guest, &name) {
        return verdict;
    }
    Verdict::Amend(|guest, result| {
        result?;
        let name = kind(guest);
        mounted::note(guest, None, &name, None, None);
        result
    })
}

/// The filesystems of an overlay's layers.
fn layers(guest: &mut dyn Guest, text: &[u8]) -> Vec<u64> {
    let mut all = Vec::new();
    for word in text.split(|&byte| byte == b',') {
        let mut parts = word.splitn(2, |&byte| byte == b'=');
        let (key, value) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        all.extend(layers::named(guest, key, value));
    }
    all
}

/// The type of the filesystem.
fn kind(guest: &mut dyn Guest) -> Vec<u8> {
    let kind = guest.call().arg(2);
    inode::string(guest, kind).unwrap_or_default()
}

/// Makes the call in the task's place where the kernel would refuse the options.
fn translate(guest: &mut dyn Guest) -> Verdict {
    let [source, target, kind, flags, data, unused] = guest.call().args;
    let name = if flags & (NOT_NEW & !MS_REMOUNT) == 0 { inode::string(guest, kind).ok() } else { None };
    let name = name.unwrap_or_default();
    guest.mounting(&name);
    if data == 0 {
        return Verdict::Run;
    }
    let Ok(text) = inode::string(guest, data) else { return Verdict::Run };
    let is_overlay = name == OVERLAY && flags & NOT_NEW == 0;
    let with_attributes = || is_overlay.then(|| with_userxattr(&text, guest.view())).flatten();
    // What an overlay is mounted on may be one of its layers: they are looked at before.
    let as_is = || is_overlay.then(|| Options { text: text.clone(), ..Options::default() });
    let options = translated(&text, guest.view()).or_else(with_attributes).or_else(as_is);
    let Some(options) = options else { return Verdict::Run };
    let layers = if is_overlay { layers(guest, &text) } else { Vec::new() };
    let Ok(scratch) = guest.scratch() else { return Verdict::Reply(Err(Errno::ENOMEM)) };
    if options.text.len() >= LONGEST || guest.write(scratch + OPTIONS, &options.text).is_err() {
        return Verdict::Run;
    }
    let _ = guest.write(scratch + OPTIONS + options.text.len() as u64, &[0]);
    let args = [source, target, kind, flags, scratch + OPTIONS, unused];
    let mounted = guest.inject(&kernel::MOUNT, args);
    if is_overlay && mounted == Err(Errno::EINVAL) {
        return Verdict::Run; // before Linux 5.11 it has no such option
    }
    if mounted.is_err() || flags & MS_REMOUNT != 0 {
        return Verdict::Reply(mounted);
    }
    mounted::note(guest, None, &name, options.uid, options.gid);
    if is_overlay {
        layers::note(guest, None, layers);
    }
    if name != TMPFS {
        return Verdict::Reply(mounted);
    }
    Verdict::Reply(give(guest, Place::path(target), options.uid, options.gid).and(mounted))
}

/// Gives the root directory of a new filesystem away.
pub(super) fn give(
    guest: &mut dyn Guest,
    place: Place,
    uid: Option<Uid>,
    gid: Option<Gid>,
) -> Result<(), Errno> {
    let statx = inode::inspect(guest, place)?;
    inode::remember(guest, place, &statx, |shown| Attributes {
        uid: uid.unwrap_or(shown.uid),
        gid: gid.unwrap_or(shown.gid),
        ..shown
    })
}

/// Options of an overlay with `userxattr`; `None` where they need no such, or have it.
fn with_userxattr(text: &[u8], view: &View) -> Option<Options> {
    let words = || text.split(|&byte| byte == b',');
    if !keeps_no_trusted(view) || words().any(|word| word == USERXATTR) {
        return None;
    }
    let is_kept = |word: &&[u8]| {
        let mut parts = word.splitn(2, |&byte| byte == b'=');
        !excludes_userxattr(parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
    };
    let kept: Vec<&[u8]> = words().filter(is_kept).chain([USERXATTR]).collect();
    Some(Options { text: kept.join(&b","[..]), ..Options::default() })
}

/// Whether an overlay's option cannot be had beside `userxattr` (`ovl_fs_params_verify`). Without it a directory of a lower
/// layer is not renamed (`EXDEV`), and a file whose owner is changed is copied as a whole; what another mount has left
/// of such in `trusted.overlay.*` cannot be read anyway.
pub(super) fn excludes_userxattr(key: &[u8], value: &[u8]) -> bool {
    match key {
        b"redirect_dir" => [&b"on"[..], b"off", b"follow"].contains(&value),
        b"metacopy" => value == b"on",
        _ => false,
    }
}

/// Whether root may set no `trusted.*` attributes: that takes the machine's own root.
pub(super) fn keeps_no_trusted(view: &View) -> bool {
    !view.uids.contains(u32::MAX - 1)
}

/// What an option says of whom files belong to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// A user, or none that the namespace lacks.
    User(Option<Uid>),
    /// A group, or none that the namespace lacks.
    Group(Option<Gid>),
}

impl Whose {
    /// `None` where an option is about nobody.
    pub(super) fn of(key: &[u8], value: &[u8], view: &View) -> Option<Whose> {
        let id = std::str::from_utf8(value).ok()?.parse().ok().filter(|&id| id != u32::MAX)?;
        match key {
            b"uid" | b"user_id" => Some(Whose::User(Some(Uid(id)).filter(|_| !view.uids.contains(id)))),
            b"gid" | b"group_id" => Some(Whose::Group(Some(Gid(id)).filter(|_| !view.gids.contains(id)))),
            _ => None,
        }
    }

    /// Root's id, which the kernel is told instead of one that the namespace lacks.
    pub(super) fn instead(self, view: &View) -> Option<u32> {
        match self {
            Whose::User(uid) => uid.map(|_| view.kernel_uid),
            Whose::Group(gid) => gid.map(|_| view.kernel_gid),
        }
    }
}

/// Options with root's ids for those that the namespace lacks; `None` where it has them all.
fn translated(text: &[u8], view: &View) -> Option<Options> {
    let mut options = Options::default();
    let (mut words, mut is_changed) = (Vec::new(), false);
    for word in text.split(|&byte| byte == b',') {
        let sign = word.iter().position(|&byte| byte == b'=');
        let (key, value) = word.split_at(sign.map_or(word.len(), |sign| sign + 1));
        let whose = Whose::of(key.strip_suffix(b"=").unwrap_or(key), value, view);
        // The last one counts.
        match whose {
            Some(Whose::User(uid)) => options.uid = uid,
            Some(Whose::Group(gid)) => options.gid = gid,
            None => {}
        }
        let instead = whose.and_then(|whose| whose.instead(view));
        is_changed |= instead.is_some();
        words.push(match instead {
            Some(id) => [key, id.to_string().as_bytes()].concat(),
            None => word.to_vec(),
        });
    }
    options.text = words.join(&b","[..]);
    is_changed.then_some(options)
}

#[cfg(test)]
mod tests;
