//! execve(2), execveat(2), where they must not succeed. What a successful exec makes of the credentials is
//! worked out when it has happened.

use super::inode::{self, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, Place};
use super::{Guest, Verdict, attributes, limits};
use crate::abi::Errno;
use crate::abi::stat::{S_IFMT, S_IFREG};
use crate::cred::{CapSet, ExecFile};
use crate::ownership::{CAPABILITY_NAME, Identity, reach};

/// execve(2).
pub fn execve(guest: &mut dyn Guest) -> Verdict {
    let place = Place::path(guest.call().arg(0));
    begun(guest, place)
}

/// execveat(2).
pub fn execveat(guest: &mut dyn Guest) -> Verdict {
    let call = *guest.call();
    let flags = call.arg(4) as u32;
    if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
        return Verdict::Run;
    }
    begun(guest, Place::at(call.arg(0), call.arg(1), flags))
}

/// A program is not executed whose capabilities are to be effective at once but not all within the bounding
/// set (`bprm_caps_from_vfs_caps`).
fn begun(guest: &mut dyn Guest, place: Place) -> Verdict {
    if limits::refuses_exec(guest) {
        return Verdict::Reply(Err(Errno::EAGAIN));
    }
    let who = guest.credentials();
    if CapSet::FULL.is_subset(who.bounding) {
        return Verdict::Run;
    }
    // What is wrong with the file itself is the kernel's to say.
    let Ok(statx) = inode::inspect(guest, place) else { return Verdict::Run };
    let seen = inode::attributes(guest, &statx).1;
    if seen.mode & S_IFMT != S_IFREG || seen.mode & 0o111 == 0 {
        return Verdict::Run;
    }
    let kernels = attributes::get(guest, place, CAPABILITY_NAME).ok();
    let caps = guest.ownership().file_caps(Identity::of(&statx), kernels.as_deref());
    let file = ExecFile { uid: seen.uid, gid: seen.gid, mode: seen.permissions(), nosuid: false, caps };
    match caps.and_then(|_| who.exec(&file).err()) {
        Some(errno) if !guest.seen(place).is_some_and(|path| reach::is_script(&path)) => {
            Verdict::Reply(Err(errno))
        }
        _ => Verdict::Run,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cred::{Cap, Credentials};
    use crate::syscalls::files::Files;

    /// `CAP_NET_RAW`, effective.
    const CAPS: &[u8] = &[1, 0, 0, 2, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0];

    #[test]
    fn a_program_whose_capabilities_are_out_of_bounds_is_not_executed() {
        let files = Files::default();
        files.make("/program", 0o100_755);
        let bounded = |bounding| Credentials { bounding, ..Credentials::root() };
        let lacking = CapSet::FULL.without(Cap::NET_RAW);
        for (bounding, value, refused) in [
            (CapSet::FULL, CAPS, false),
            (lacking, CAPS, true),
            (CapSet::FULL.without(Cap::KILL), CAPS, false),
            (lacking, &[&[0][..], &CAPS[1..]].concat(), false),
            (lacking, b"", false),
        ] {
            let mut guest = files.guest(bounded(bounding));
            let identity = files.identity("/program");
            let whole = crate::ownership::Extra::Whole(value.to_vec());
            let name = crate::ownership::CAPABILITY;
            guest.ownership.change_extras(identity, |extras| extras.set(name, Some(whole.clone())));
            let path = Files::at(&mut guest, "/program");
            let verdict = guest.verdict(crate::abi::Abi::X86_64, "execve", &[path]);
            let found = matches!(verdict, Verdict::Reply(Err(Errno::EPERM)));
            assert_eq!(found, refused, "{bounding:?} {value:?}");
        }
    }
}
