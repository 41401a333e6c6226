//! The user namespace the command runs in, and what the kernel reports there.
//!
//! Three kinds of place: a namespace whose root has privilege, all or what a container leaves; a namespace whose root has
//! been left none; and no namespace. In the first the guest is shown what the kernel reports. In the others the kernel
//! knows the guest's root as a plain user. What the emulation answers needs no privilege of the kernel's, so there the
//! guest is shown the credentials of real root.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

use super::Failure;
use super::check::Refusal;
use crate::cred::{Cap, CapSet, Credentials, Gid, IdMap, Securebits, Uid, View};
use crate::sys;
use crate::sys::process::Forked;

/// Length of the identity map of the initial user namespace.
const ALL_IDS: &str = "4294967295";

/// What a root is known by. Whoever has limited root deliberately, as container engines do, has left some of it: then real
/// root has no more there either. A root that has none of it is a plain user who is called root.
pub(super) const OF_ROOT: CapSet = CapSet::of(&[
    Cap::CHOWN,
    Cap::DAC_OVERRIDE,
    Cap::FOWNER,
    Cap::FSETID,
    Cap::SETFCAP,
    Cap::SETGID,
    Cap::SETUID,
]);

/// Makes a one-id namespace where one is needed, and looks at what the kernel reports; also why no namespace could be
/// made, where one was needed. Where `unknown_is_real`, what nobody has touched is shown as the caller's that it is.
///
/// # Errors
/// [`Failure::RealRoot`] for real root without `allow_real_root`; [`Failure::Unmapped`] where the caller has no id.
pub(super) fn prepare(
    allow_real_root: bool,
    unknown_is_real: bool,
) -> Result<(View, Option<Refusal>), Failure> {
    let uid = nix::unistd::geteuid().as_raw();
    let gid = nix::unistd::getegid().as_raw();
    let mut refusal = None;
    if uid == 0 {
        if is_initial() && !allow_real_root {
            return Err(Failure::RealRoot);
        }
    } else {
        match try_namespace(uid, gid).and_then(|()| unshare()) {
            Ok(()) => {
                map(uid, gid).map_err(Failure::io("mapping the ids of a user namespace"))?;
                // Root may mount, in mounts of its own. Where the limit of such namespaces is reached the command goes without.
                let _ = sys::process::unshare_mounts();
            }
            Err(why) => refusal = Some(why),
        }
    }
    for (map, id) in [("uid", nix::unistd::geteuid().as_raw()), ("gid", nix::unistd::getegid().as_raw())] {
        let text = fs::read_to_string(format!("/proc/self/{map}_map"));
        if text.is_ok_and(|text| !IdMap::parse(&text).contains(id)) {
            return Err(Failure::Unmapped { map });
        }
    }
    let untouched = unknown_is_real.then_some((Uid(uid), Gid(gid)));
    look().map(|view| (View { untouched, ..view }, refusal))
}

/// Whether this is the initial user namespace, or one that maps as much.
pub(super) fn is_initial() -> bool {
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().eq(["0", "0", ALL_IDS])
}

/// Makes a namespace in a process of its own, to find out whether it is of use: there is no way back from one that cannot be
/// given its ids, or whose root may do nothing, as AppArmor has it.
fn try_namespace(uid: u32, gid: u32) -> Result<(), Refusal> {
    match sys::process::fork_unseen() {
        Ok(Forked::Child) => {
            let _ = sys::process::set_parent_death_signal(libc::SIGKILL);
            let outcome = unshare().and_then(|()| map(uid, gid).map_err(|_| Refusal::Unmapped));
            let outcome = match outcome {
                Ok(()) if is_denied_all() => Err(Refusal::Denied),
                outcome => outcome,
            };
            sys::process::exit_now(outcome.err().map_or(0, Refusal::status))
        }
        Ok(Forked::Parent(child)) => sys::wait::one(child).map_err(Refusal::Unshare).and_then(Refusal::read),
        Err(errno) => Err(Refusal::Unshare(errno)),
    }
}

fn unshare() -> Result<(), Refusal> {
    sys::process::unshare_user_namespace().map_err(Refusal::Unshare)
}

/// Whether a security module denies the capabilities that the kernel reports. To drop one that does not exist is asked for
/// privilege first, and changes nothing.
pub(super) fn is_denied_all() -> bool {
    const NONE: u64 = 63;
    let dropped = sys::process::prctl(libc::PR_CAPBSET_DROP, [NONE, 0, 0, 0]);
    kernel_caps().has(Cap::SETPCAP) && dropped == Err(sys::Errno::EPERM)
}

/// The capabilities that this process has to the kernel, which are those of what it executes as root.
fn kernel_caps() -> CapSet {
    sys::process::capabilities().map_or(CapSet::EMPTY, |[_, permitted, _]| CapSet(permitted))
}

/// Has the new namespace this process is in know the caller's own ids as 0, as `unshare -r` does.
fn map(uid: u32, gid: u32) -> std::io::Result<()> {
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("0 {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("0 {gid} 1"))
}

/// What the kernel reports in the namespace that this process is in.
///
/// # Errors
/// Where it cannot be asked.
pub(super) fn look() -> Result<View, Failure> {
    // Without /proc, in a bare chroot, the namespace is taken to be of the usual kind: one id, 0.
    let map = |file| IdMap::parse(&fs::read_to_string(file).unwrap_or_else(|_| "0 0 1".to_owned()));
    let (uids, gids) = (map("/proc/self/uid_map"), map("/proc/self/gid_map"));
    let kernel_uid = nix::unistd::geteuid().as_raw();
    let kernel_gid = nix::unistd::getegid().as_raw();
    let groups = sys::process::groups().map_err(Failure::errno("reading the groups"))?;
    let mut groups: Vec<Gid> = groups
        .into_iter()
        .filter(|&group| gids.contains(group))
        .map(|group| if group == kernel_gid { Gid::ROOT } else { Gid(group) })
        .collect();
    groups.sort_unstable();
    let kernel_caps = if is_denied_all() { CapSet::EMPTY } else { kernel_caps() };
    let is_plain_user = kernel_uid != 0 || kernel_gid != 0 || kernel_caps.and(OF_ROOT).is_empty();
    let initial = if is_plain_user {
        Credentials { groups: groups.into(), ..Credentials::root() }
    } else {
        reported(groups.into())?
    };
    let protection = fs::read_to_string("/proc/sys/fs/protected_hardlinks");
    let protects_hardlinks = protection.is_ok_and(|setting| setting.trim() != "0");
    let is_foreign = fs::metadata("/").is_ok_and(|root| !uids.contains(root.uid()));
    Ok(View {
        initial,
        kernel_uid,
        kernel_gid,
        kernel_caps,
        uids,
        gids,
        protects_hardlinks,
        is_foreign,
        untouched: None,
    })
}

/// Real root's credentials as the kernel reports them inside the namespace.
fn reported(groups: Arc<[Gid]>) -> Result<Credentials, Failure> {
    let [effective, permitted, inheritable] =
        sys::process::capabilities().map_err(Failure::errno("reading the capabilities"))?.map(CapSet);
    let mut bounding = 0;
    let mut ambient = 0;
    for cap in 0..64 {
        bounding |= u64::from(sys::process::prctl(libc::PR_CAPBSET_READ, [cap, 0, 0, 0]) == Ok(1)) << cap;
        let is_set = [libc::PR_CAP_AMBIENT_IS_SET as u64, cap, 0, 0];
        ambient |= u64::from(sys::process::prctl(libc::PR_CAP_AMBIENT, is_set) == Ok(1)) << cap;
    }
    let securebits = sys::process::prctl(libc::PR_GET_SECUREBITS, [0; 4]).unwrap_or(0);
    let no_new_privs = sys::process::prctl(libc::PR_GET_NO_NEW_PRIVS, [0; 4]) == Ok(1);
    Ok(Credentials {
        inheritable,
        permitted,
        effective,
        bounding: CapSet(bounding),
        ambient: CapSet(ambient),
        securebits: Securebits(securebits as u32),
        no_new_privs,
        groups,
        ..Credentials::root()
    })
}
