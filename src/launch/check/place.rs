//! Where this is: which tool made the place, how its root directory is mounted, which security modules look on.

use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::{Ground, Need};
use crate::sys;

/// A tool that makes places.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::launch) enum Engine {
    /// docker, or what leaves its mark.
    Docker,
    /// podman.
    Podman,
    /// buildah, which is behind podman build as well.
    Buildah,
    /// A pod of Kubernetes.
    Kubernetes,
    /// bwrap.
    Bubblewrap,
    /// runc, crun or another that leaves no mark.
    Oci,
    /// A service of systemd.
    Systemd,
    /// No container that is known.
    Host,
    /// Not a place: what helps everywhere.
    Any,
}

/// Which tool made this place, and how that shows.
pub(super) fn engine() -> (Engine, String) {
    let variable = |name| std::env::var(name).ok().filter(|value: &String| !value.is_empty());
    // It may have bound everything of the place around it.
    if is_below_bwrap() {
        return (Engine::Bubblewrap, "a sandbox of bwrap".to_owned());
    }
    let engine_file = || fs::read_to_string("/run/.containerenv").ok();
    if variable("KUBERNETES_SERVICE_HOST").is_some() || Path::new("/var/run/secrets/kubernetes.io").exists() {
        return (Engine::Kubernetes, "a pod of Kubernetes".to_owned());
    }
    if let Some(text) = engine_file() {
        let name =
            text.lines().find_map(|line| line.strip_prefix("engine=")).map(|name| name.trim_matches('"'));
        let is_buildah = name.is_some_and(|name| name.starts_with("buildah"));
        let engine = if is_buildah { Engine::Buildah } else { Engine::Podman };
        return (engine, format!("a container of {}", name.unwrap_or("podman")));
    }
    if Path::new("/.dockerenv").exists() {
        return (Engine::Docker, "a container of docker".to_owned());
    }
    if let Some(name) = variable("container") {
        let engine = match name.as_str() {
            "podman" => Engine::Podman,
            "buildah" => Engine::Buildah,
            "docker" => Engine::Docker,
            _ => Engine::Oci,
        };
        return (engine, format!("a container, by the variable container={name}"));
    }
    if let Some(Mount { root, .. }) = Mount::at(Path::new("/")).filter(Mount::is_part) {
        return (
            Engine::Oci,
            format!("the root directory is {root} of a filesystem: a container or a chroot"),
        );
    }
    if variable("INVOCATION_ID").is_some() {
        return (Engine::Systemd, "a service of systemd".to_owned());
    }
    (Engine::Host, "no container that is known".to_owned())
}

/// Whether one of the processes from which this one descends is bubblewrap.
fn is_below_bwrap() -> bool {
    const DEPTH: usize = 64;
    let parent = |tid: &sys::Tid| sys::process::status(*tid, "PPid:")?.parse().ok().filter(|&tid| tid != 0);
    let line = std::iter::successors(Some(sys::process::thread_id()), parent);
    line.take(DEPTH).any(|tid| sys::process::name_of(tid) == "bwrap")
}

/// The place itself.
pub(super) fn place(_: &Ground) -> Need {
    let (_, what) = engine();
    let status = sys::process::status_text(sys::process::thread_id()).unwrap_or_default();
    let privs = sys::process::field(&status, "NoNewPrivs:") == Some("1");
    Need::ok(if privs { format!("{what}; with no_new_privs") } else { what })
}

/// Security modules, and how they know this process.
pub(super) fn modules(_: &Ground) -> Need {
    let active = fs::read_to_string("/sys/kernel/security/lsm").ok();
    let label = sys::process::text("/proc/self/attr/current")
        .map(|label| label.trim_end_matches(['\n', '\0']).to_owned());
    let label = label.filter(|label| !label.is_empty()).map(|label| format!("; this process is {label}"));
    let active = match active.as_deref().map(str::trim) {
        Some("") => "none".to_owned(),
        Some(active) => active.to_owned(),
        None => "not known: /sys/kernel/security is not mounted".to_owned(),
    };
    Need::ok(format!("{active}{}", label.unwrap_or_default()))
}

/// Whether there may be a module that keeps users from making namespaces.
pub(super) fn has_module_for_namespaces() -> bool {
    let active = fs::read_to_string("/sys/kernel/security/lsm").ok();
    let known =
        active.map(|active| ["apparmor", "selinux", "bpf"].iter().any(|module| active.contains(module)));
    known.unwrap_or_else(|| fs::read("/proc/self/attr/current").is_ok_and(|label| !label.is_empty()))
}

/// Whether the root directory is no mount's root, so that it is a chroot for certain.
pub(super) fn is_chroot() -> bool {
    const STATX_ATTR_MOUNT_ROOT: u64 = 0x2000;
    let Ok(bytes) = sys::files::describe(c"/", true) else { return false };
    // stx_attributes and stx_attributes_mask of struct statx.
    let word = |at: usize| {
        bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_ne_bytes)
    };
    word(56) & STATX_ATTR_MOUNT_ROOT != 0 && word(8) & STATX_ATTR_MOUNT_ROOT == 0
}

/// A line of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Mount {
    /// Which directory of the filesystem is mounted.
    root: String,
    at: PathBuf,
    /// The filesystem's type.
    pub(super) kind: String,
    /// Its own options.
    pub(super) options: String,
}

impl Mount {
    /// The mount that a path lies on, by its name.
    pub(super) fn at(path: &Path) -> Option<Mount> {
        Mount::of(&sys::process::text("/proc/self/mountinfo")?, path)
    }

    fn of(table: &str, path: &Path) -> Option<Mount> {
        let mounts = table.lines().filter_map(Mount::parse).filter(|mount| path.starts_with(&mount.at));
        // Of two at one place the last covers the other.
        mounts.max_by_key(|mount| mount.at.components().count())
    }

    fn parse(line: &str) -> Option<Mount> {
        let (before, after) = line.split_once(" - ")?;
        let mut before = before.split(' ').skip(3);
        let (root, at) = (before.next()?, before.next()?);
        let mut after = after.split(' ');
        let (kind, options) = (after.next()?.to_owned(), after.nth(1)?.to_owned());
        let at = PathBuf::from(std::ffi::OsString::from_vec(unescaped(at.as_bytes())));
        Some(Mount { root: root.to_owned(), at, kind, options })
    }

    /// Whether only a part of the filesystem is mounted.
    fn is_part(&self) -> bool {
        self.root != "/" && self.kind != "btrfs"
    }
}

/// A path with its `\040` and the like read.
fn unescaped(mut text: &[u8]) -> Vec<u8> {
    let mut path = vec![];
    while let Some((&byte, rest)) = text.split_first() {
        let digits = rest.get(..3).and_then(|digits| std::str::from_utf8(digits).ok());
        let escaped = digits.and_then(|digits| u8::from_str_radix(digits, 8).ok()).filter(|_| byte == b'\\');
        path.push(escaped.unwrap_or(byte));
        text = rest.get(if escaped.is_some() { 3 } else { 0 }..).unwrap_or_default();
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: &str = "22 1 254:0 /images/a / rw,relatime shared:1 - ext4 /dev/vda rw\n\
        23 22 0:20 / /proc rw - proc proc rw,hidepid=invisible\n\
        24 22 0:21 / /a\\040b rw master:2 - tmpfs none rw,size=4k\n\
        25 22 0:22 / /a\\040b rw - xfs /dev/b rw\nnonsense\n";

    #[test]
    fn a_path_lies_on_the_last_and_longest_mount() {
        let kind = |path: &str| Mount::of(TABLE, Path::new(path)).map(|mount| mount.kind);
        assert_eq!(kind("/"), Some("ext4".to_owned()));
        assert_eq!(kind("/proc/1"), Some("proc".to_owned()));
        assert_eq!(kind("/a b/c"), Some("xfs".to_owned()));
        assert_eq!(kind("/a bc"), Some("ext4".to_owned()));
        let root = Mount::of(TABLE, Path::new("/")).filter(Mount::is_part);
        assert_eq!(root.map(|mount| mount.root), Some("/images/a".to_owned()));
    }
}
