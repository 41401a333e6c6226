//! mount(2) with options that give files to ids which the namespace lacks: the kernel refuses them
//! (`make_kuid` fails in `fs_param_is_uid`). It is told root's, and the root directory of a tmpfs, which is
//! all that they are about there, is remembered as theirs. Terminals of a devpts stay root's.

use super::inode::{self, Place};
use super::{Guest, Verdict, kernel};
use crate::abi::Errno;
use crate::cred::{Gid, Uid, View};
use crate::ownership::Attributes;

/// mount(2) that changes options of what is mounted.
const MS_REMOUNT: u64 = 32;
/// Where in the scratch memory the options stand.
const OPTIONS: u64 = 4096;
/// The longest that the kernel takes (`copy_mount_options`), with its NUL.
const LONGEST: usize = 4096;

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
    let [source, target, kind, flags, data, unused] = guest.call().args;
    if data == 0 {
        return Verdict::Run;
    }
    let Some(options) = inode::string(guest, data).ok().and_then(|text| translated(&text, guest.view()))
    else {
        return Verdict::Run;
    };
    let Ok(scratch) = guest.scratch() else { return Verdict::Reply(Err(Errno::ENOMEM)) };
    if options.text.len() >= LONGEST || guest.write(scratch + OPTIONS, &options.text).is_err() {
        return Verdict::Run;
    }
    let _ = guest.write(scratch + OPTIONS + options.text.len() as u64, &[0]);
    let args = [source, target, kind, flags, scratch + OPTIONS, unused];
    let mounted = guest.inject(&kernel::MOUNT, args);
    let is_tmpfs = inode::string(guest, kind).is_ok_and(|kind| kind == b"tmpfs");
    if mounted.is_err() || !is_tmpfs || flags & MS_REMOUNT != 0 {
        return Verdict::Reply(mounted);
    }
    let place = Place::path(target);
    let given = inode::inspect(guest, place).and_then(|statx| {
        inode::remember(guest, place, &statx, |shown| Attributes {
            uid: options.uid.unwrap_or(shown.uid),
            gid: options.gid.unwrap_or(shown.gid),
            ..shown
        })
    });
    Verdict::Reply(given.and(mounted))
}

/// Options with root's ids for those that the namespace lacks; `None` where it has them all.
fn translated(text: &[u8], view: &View) -> Option<Options> {
    let mut options = Options::default();
    let mut words = Vec::new();
    for word in text.split(|&byte| byte == b',') {
        let id = |name: &[u8]| std::str::from_utf8(word.strip_prefix(name)?).ok()?.parse().ok();
        match (id(b"uid="), id(b"gid=")) {
            (Some(uid), _) if !view.uids.contains(uid) && uid != u32::MAX => {
                options.uid = Some(Uid(uid));
                words.push(format!("uid={}", view.kernel_uid).into_bytes());
            }
            (_, Some(gid)) if !view.gids.contains(gid) && gid != u32::MAX => {
                options.gid = Some(Gid(gid));
                words.push(format!("gid={}", view.kernel_gid).into_bytes());
            }
            _ => words.push(word.to_vec()),
        }
    }
    options.text = words.join(&b","[..]);
    (options.uid.is_some() || options.gid.is_some()).then_some(options)
}

#[cfg(test)]
mod tests;
