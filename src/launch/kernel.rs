//! What the kernel must have, and what is done where it has less.

use super::Failure;
use crate::sys;

/// One thing remainroot uses that old kernels lack.
#[derive(Debug, Clone, Copy)]
struct Need {
    /// The first Linux that has it.
    since: (u32, u32),
    /// What it is.
    what: &'static str,
    /// What is done without it; `None` where nothing can be.
    without: Option<&'static str>,
}

const fn need(since: (u32, u32), what: &'static str, without: Option<&'static str>) -> Need {
    Need { since, what, without }
}

/// Every dependence on a kernel version or option, with its fallback.
const NEEDS: &[Need] = &[
    need((3, 5), "kcmp (CONFIG_KCMP)", Some("a child of vfork is taken to have its own memory")),
    need((3, 11), "PTRACE_SETSIGMASK", None),
    need((3, 17), "seccomp(2) with TSYNC", None),
    need((4, 8), "seccomp stops after syscall-entry stops", None),
    need((4, 11), "statx(2)", None),
    need((5, 3), "PTRACE_GET_SYSCALL_INFO", None),
    need(
        (5, 6),
        "openat2(2)",
        Some("tracees are made to look at files themselves, which takes two more stops"),
    ),
    need(
        (5, 6),
        "pidfd_getfd(2)",
        Some("without a /proc of its own the tracer sees nothing by a path's descriptor"),
    ),
    need((5, 9), "close_range(2)", Some("descriptors are closed one by one")),
    need(
        (6, 8),
        "STATX_MNT_ID_UNIQUE",
        Some("which filesystem an inode is on is asked again whenever it is looked at"),
    ),
    need(
        (6, 11),
        "listeners of seccomp_unotify(2) that end",
        Some("every process is traced from its start, and what only looks at files stops"),
    ),
    need(
        (6, 13),
        "getxattrat(2)",
        Some("attributes below an open directory are reached through /proc or by opening"),
    ),
];

/// Refuses to run on a kernel that lacks what nothing can replace.
///
/// # Errors
/// [`Failure::OldKernel`], [`Failure::Denied`].
pub fn check() -> Result<(), Failure> {
    age().and_then(|()| denied())
}

/// Whether it is new enough. A release that cannot be read is trusted.
///
/// # Errors
/// [`Failure::OldKernel`].
pub(super) fn age() -> Result<(), Failure> {
    match release().and_then(|release| Some((lacking(sys::process::version(&release)?)?, release))) {
        None => Ok(()),
        Some((Need { since: (major, minor), what, .. }, release)) => {
            Err(Failure::OldKernel { release, what, major: *major, minor: *minor })
        }
    }
}

/// The kernel's release.
pub(super) fn release() -> Option<String> {
    let release = sys::process::text("/proc/sys/kernel/osrelease")?;
    Some(release.trim_end().to_owned())
}

/// What it lacks that something replaces, and what does.
pub(super) fn replaced() -> Vec<String> {
    let version = release().and_then(|release| sys::process::version(&release));
    version.map(replaced_in).unwrap_or_default()
}

fn replaced_in(version: (u32, u32)) -> Vec<String> {
    let lacked = NEEDS.iter().filter(|need| need.since > version);
    lacked.filter_map(|need| Some(format!("without {}: {}", need.what, need.without?))).collect()
}

/// Whether a filter above refuses what the kernel has.
///
/// # Errors
/// [`Failure::Denied`].
pub(super) fn denied() -> Result<(), Failure> {
    match sys::files::describe(c"/", true) {
        Err(errno @ (sys::Errno::ENOSYS | sys::Errno::EPERM)) => {
            Err(Failure::Denied { call: "statx", errno })
        }
        _ => Ok(()),
    }
}

/// The newest thing without a fallback that a version lacks.
fn lacking(version: (u32, u32)) -> Option<&'static Need> {
    NEEDS.iter().rev().find(|need| need.without.is_none() && need.since > version)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sys::process::version;

    #[test]
    fn releases_of_all_spellings_are_read() {
        assert_eq!(version("6.1.0-37-amd64"), Some((6, 1)));
        assert_eq!(version("4.18.0-553.el8.x86_64"), Some((4, 18)));
        assert_eq!(version("6.18+"), Some((6, 18)));
        assert_eq!(version("gVisor"), None);
    }

    #[test]
    fn only_what_has_no_fallback_is_required() {
        assert_eq!(lacking((5, 3)).map(|need| need.what), None);
        assert_eq!(lacking((5, 2)).map(|need| need.what), Some("PTRACE_GET_SYSCALL_INFO"));
        assert_eq!(lacking((2, 6)).map(|need| need.what), Some("PTRACE_GET_SYSCALL_INFO"));
    }

    #[test]
    fn what_is_replaced_is_what_is_newer_and_not_required() {
        assert!(replaced_in((6, 13)).is_empty());
        assert_eq!(replaced_in((6, 10)).len(), 2);
        assert_eq!(replaced_in((5, 3)).len(), 6);
        assert!(replaced_in((6, 10)).iter().any(|text| text.contains("traced from its start")));
    }

    #[test]
    fn the_table_is_in_the_order_of_versions() {
        assert!(NEEDS.is_sorted_by_key(|need| need.since));
    }
}
