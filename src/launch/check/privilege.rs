//! The user namespace, and what its root may do.

use super::obstacle::{Obstacle, Refusal};
use super::{Ground, Need};
use crate::cred::{Cap, CapSet, View};
use crate::launch::{Failure, namespace};
use crate::sys;

/// What a root without any privilege of the kernel's is refused.
pub(super) const WITHOUT: &str =
    "chroot, mount, other users' files and ports below 1024 are refused as to any user";

/// Capabilities that programs notice, by what they are for.
const NOTICED: &[(Cap, &str, &str)] = &[
    (Cap::CHOWN, "CAP_CHOWN", "chown"),
    (Cap::DAC_OVERRIDE, "CAP_DAC_OVERRIDE", "opening whatever has no permission"),
    (Cap::FOWNER, "CAP_FOWNER", "chmod of others' files"),
    (Cap::FSETID, "CAP_FSETID", "set-id bits that stay"),
    (Cap::KILL, "CAP_KILL", "signals to others"),
    (Cap::SETGID, "CAP_SETGID", "setgid, setgroups"),
    (Cap::SETUID, "CAP_SETUID", "setuid"),
    (Cap::SETFCAP, "CAP_SETFCAP", "setcap"),
    (Cap::NET_BIND_SERVICE, "CAP_NET_BIND_SERVICE", "ports below 1024"),
    (Cap::SYS_CHROOT, "CAP_SYS_CHROOT", "chroot"),
];
/// Those that engines leave out as a rule.
const RARE: &[(Cap, &str, &str)] = &[
    (Cap::SYS_ADMIN, "CAP_SYS_ADMIN", "mount"),
    (Cap::MKNOD, "CAP_MKNOD", "mknod of devices"),
    (Cap::SYS_PTRACE, "CAP_SYS_PTRACE", "tracing on demand"),
];

/// The namespace of a run, whoever the caller is.
pub(super) fn view() -> Result<View, Failure> {
    namespace::prepare(true, false).map(|(view, _)| view)
}

/// Whether the run has a user namespace.
pub(super) fn namespace(ground: &Ground) -> Need {
    let was_root = nix::unistd::geteuid().is_root();
    match namespace::prepare(ground.allow_real_root, false) {
        Ok((view, None)) if view.is_of_all_ids() => {
            Need::ok("real root, as --allow-real-root has it: the kernel itself keeps what root does")
        }
        Ok((view, None)) if was_root => Need::ok(format!("already in one, {}", ids(&view))),
        Ok((_, None)) => Need::ok("made by remainroot itself, with one id"),
        Ok((_, Some(refusal))) => {
            let need = Need::degraded("none can be made", WITHOUT);
            need.for_want_of(refusal.obstacle())
        }
        Err(Failure::RealRoot) => {
            let need = Need::no("none, and none is made").for_want_of(Obstacle::RealRoot);
            need.with_effect("a run ends with status 125")
        }
        Err(failure) => Need::no(failure.to_string()),
    }
}

/// How many ids there are.
fn ids(view: &View) -> String {
    let map = sys::process::text("/proc/self/uid_map").unwrap_or_default();
    let extents = map.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let count: u64 = extents.filter_map(|extent| extent.get(2)?.parse::<u64>().ok()).sum();
    match map.split_whitespace().nth(1) {
        Some(outside) if view.is_of_one_id() => format!("with one id, which is {outside} outside"),
        _ if count == 0 => "with ids that are not known".to_owned(),
        _ => format!("with {count} user ids"),
    }
}

/// What has left root no capability.
pub(super) fn taken() -> Obstacle {
    if namespace::is_denied_all() { Refusal::Denied.obstacle() } else { Obstacle::Capabilities }
}

/// What root may do to the kernel.
pub(super) fn capabilities(_: &Ground) -> Need {
    let view = match view() {
        Ok(view) => view,
        Err(failure) => return Need::no(failure.to_string()),
    };
    let has = view.kernel_caps;
    let lacks = |list: &[(Cap, &'static str, &'static str)]| -> Vec<(&'static str, &'static str)> {
        list.iter().filter(|(cap, ..)| !has.has(*cap)).map(|&(_, name, what)| (name, what)).collect()
    };
    let (noticed, rare) = (lacks(NOTICED), lacks(RARE));
    let list = |lacking: &[(&str, &str)]| {
        let named: Vec<_> = lacking.iter().map(|(name, what)| format!("{name} ({what})")).collect();
        named.join(", ")
    };
    if view.translates() {
        return Need::degraded(
            "none, for want of a user namespace; ids, owners and modes are answered all the same",
            WITHOUT,
        )
        .with_cause("see user namespace");
    }
    if view.lacks_privilege() {
        let need =
            Need::degraded("none that count; ids, owners and modes are answered all the same", WITHOUT);
        return need.for_want_of(Obstacle::Capabilities);
    }
    if !noticed.is_empty() {
        let effect = format!("programs are refused as real root without {}", list(&noticed));
        return Need::degraded(format!("{} of {}", has.0.count_ones(), CapSet::FULL.0.count_ones()), &effect)
            .for_want_of(Obstacle::Capabilities);
    }
    match rare.as_slice() {
        [] => Need::ok("all that root has"),
        rare => Need::ok(format!("all that containers leave root, without {}", list(rare))),
    }
}
