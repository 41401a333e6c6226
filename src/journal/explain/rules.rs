//! Why the kernel refuses what it refuses, and what a container would need for what it may not do.

use crate::abi::Errno;

/// The rule by which a call fails.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rule {
    /// Its manual page.
    pub page: &'static str,
    /// What that says, in short: behind "since".
    pub sentence: &'static str,
    /// The kernel's function that decides.
    pub function: &'static str,
}

/// Calls, an errno where the rule is of that one alone, manual page, sentence, function.
type Row = (&'static str, Option<Errno>, &'static str, &'static str, &'static str);

#[rustfmt::skip]
const RULES: &[Row] = &[
    ("setuid", None, "setuid(2)", "a process without CAP_SETUID may only become its real user or its saved set-user", "__sys_setuid, kernel/sys.c"),
    ("setreuid", None, "setreuid(2)", "a process without CAP_SETUID may only choose among its real, effective and saved user", "__sys_setreuid, kernel/sys.c"),
    ("setresuid", None, "setresuid(2)", "a process without CAP_SETUID may only choose among its real, effective and saved user", "__sys_setresuid, kernel/sys.c"),
    ("setgid", None, "setgid(2)", "a process without CAP_SETGID may only take its real group or its saved set-group", "__sys_setgid, kernel/sys.c"),
    ("setregid", None, "setregid(2)", "a process without CAP_SETGID may only choose among its real, effective and saved group", "__sys_setregid, kernel/sys.c"),
    ("setresgid", None, "setresgid(2)", "a process without CAP_SETGID may only choose among its real, effective and saved group", "__sys_setresgid, kernel/sys.c"),
    ("setgroups", None, "setgroups(2)", "only a process with CAP_SETGID may set its supplementary groups", "may_setgroups, kernel/groups.c"),
    ("capset", None, "capset(2)", "nobody may add to his permitted set, nor make effective what is not in it", "cap_capset, security/commoncap.c"),
    ("prctl", None, "prctl(2)", "the bounding set and the securebits are changed by a process with CAP_SETPCAP only, and only a permitted and inheritable capability can be made ambient", "cap_task_prctl, security/commoncap.c"),
    ("chown lchown fchown fchownat", Some(Errno::EPERM), "chown(2)", "only a process with CAP_CHOWN may give a file to another; its owner may only choose among his own groups", "setattr_prepare, fs/attr.c"),
    ("chmod fchmod fchmodat fchmodat2", Some(Errno::EPERM), "chmod(2)", "only the owner of a file, or a process with CAP_FOWNER, may change its mode", "setattr_prepare, fs/attr.c"),
    ("utime utimes futimesat utimensat", Some(Errno::EPERM), "utimensat(2)", "only the owner of a file, or a process with CAP_FOWNER, may set its times to others than now", "setattr_prepare, fs/attr.c"),
    ("utime utimes futimesat utimensat", Some(Errno::EACCES), "utimensat(2)", "only the owner of a file, or who may write to it, may set its times to now", "notify_change, fs/attr.c"),
    ("setxattr lsetxattr fsetxattr setxattrat removexattr lremovexattr fremovexattr removexattrat", None, "setxattr(2), xattr(7)", "security.capability takes CAP_SETFCAP, trusted.* CAP_SYS_ADMIN, an ACL the owner or CAP_FOWNER, and user.* the right to write to a file or directory", "xattr_permission, fs/xattr.c"),
    ("getxattr lgetxattr fgetxattr getxattrat", None, "getxattr(2), xattr(7)", "user.* takes the right to read the file, and trusted.* CAP_SYS_ADMIN", "xattr_permission, fs/xattr.c"),
    ("mknod mknodat", Some(Errno::EPERM), "mknod(2)", "only a process with CAP_MKNOD may make a device", "vfs_mknod, fs/namei.c"),
    ("kill", Some(Errno::EPERM), "kill(2)", "without CAP_KILL the sender's real or effective user must be the real or saved one of the receiver", "kill_ok_by_cred, kernel/signal.c"),
    ("execve execveat", Some(Errno::EACCES), "execve(2)", "the file may not be executed by this user, or a directory on the way not be searched", "do_open_execat, fs/exec.c"),
    ("execve execveat", Some(Errno::EPERM), "execve(2), capabilities(7)", "the file gives effective capabilities that the bounding set does not leave it", "get_file_caps, security/commoncap.c"),
    ("setrlimit prlimit", None, "getrlimit(2)", "only a process with CAP_SYS_RESOURCE may raise a hard limit", "do_prlimit, kernel/sys.c"),
    ("open openat openat2 creat truncate", Some(Errno::EACCES), "open(2), path_resolution(7)", "the mode of the file, or of a directory on the way, does not let this user", "inode_permission, fs/namei.c"),
    ("open openat openat2 creat truncate", Some(Errno::EPERM), "open(2)", "the file is immutable or append-only, O_NOATIME is the owner's, or it is a device that this container has not", "may_open, fs/namei.c"),
    ("unlink unlinkat rmdir rename renameat renameat2", Some(Errno::EPERM), "unlink(2), rename(2)", "in a sticky directory only the owner of a file or of the directory, or a process with CAP_FOWNER, may take its name away", "may_delete, fs/namei.c"),
    ("link linkat", Some(Errno::EPERM), "link(2), proc(5)", "fs.protected_hardlinks lets only the owner of a file, or who may read and write it, give it another name", "may_linkat, fs/namei.c"),
    ("mkdir mkdirat symlink symlinkat mknod mknodat link linkat unlink unlinkat rmdir rename renameat renameat2", Some(Errno::EACCES), "path_resolution(7)", "the mode of the directory does not let this user write to it", "may_create, fs/namei.c"),
    ("bind socketcall", Some(Errno::EACCES), "bind(2), ip(7)", "a port below net.ipv4.ip_unprivileged_port_start takes CAP_NET_BIND_SERVICE in the user namespace of its network, and a socket's file the right to write to its directory", "__inet_bind, net/ipv4/af_inet.c"),
    ("ioctl file_setattr", None, "ioctl_iflags(2)", "the immutable and append-only flags take CAP_LINUX_IMMUTABLE, the others the owner or CAP_FOWNER", "vfs_fileattr_set, fs/file_attr.c"),
    ("mount fsopen fsconfig fsmount umount umount2 pivot_root", None, "mount(2)", "only a process with CAP_SYS_ADMIN in the user namespace of its mount namespace may mount, and what reads a disk's blocks only the machine's root", "may_mount, fs/namespace.c"),
    ("chroot", None, "chroot(2)", "only a process with CAP_SYS_CHROOT may change its root directory", "ksys_chroot, fs/open.c"),
    ("setns unshare", None, "namespaces(7)", "every namespace but a user's own takes CAP_SYS_ADMIN", "create_new_namespaces, kernel/nsproxy.c"),
    ("init_module finit_module delete_module", None, "init_module(2)", "only the machine's root, with CAP_SYS_MODULE outside of every user namespace, may load modules", "may_init_module, kernel/module/main.c"),
    ("swapon swapoff", None, "swapon(2)", "only the machine's root, with CAP_SYS_ADMIN outside of every user namespace, may swap", "swapon, mm/swapfile.c"),
    ("reboot kexec_load", None, "reboot(2)", "only a process with CAP_SYS_BOOT in the pid namespace's user namespace may reboot", "reboot, kernel/reboot.c"),
    ("settimeofday clock_settime", None, "settimeofday(2)", "only the machine's root, with CAP_SYS_TIME outside of every user namespace, may set the clock", "cap_settime, security/commoncap.c"),
    ("sethostname setdomainname", None, "sethostname(2)", "only a process with CAP_SYS_ADMIN in the user namespace of its UTS namespace may set the name", "sethostname, kernel/sys.c"),
    ("acct", None, "acct(2)", "only the machine's root, with CAP_SYS_PACCT, may account for processes", "acct, kernel/acct.c"),
    ("iopl ioperm", None, "ioperm(2)", "only the machine's root, with CAP_SYS_RAWIO, may use ports", "ksys_ioperm, arch/x86/kernel/ioport.c"),
];

/// What holds of all calls that take a path.
const PATHS: Rule = Rule {
    page: "path_resolution(7)",
    sentence: "a directory on the way may not be searched by this user",
    function: "inode_permission, fs/namei.c",
};

/// Calls, and what allows them.
const CURES: &[(&str, &str)] = &[
    (
        "mount fsopen fsconfig fsmount umount umount2 pivot_root",
        "what would allow it: a mount namespace of its own, `unshare -Urm remainroot COMMAND`; or docker, podman: --cap-add SYS_ADMIN \
         and, where a profile forbids it, --security-opt seccomp=unconfined --security-opt apparmor=unconfined; a disk or an \
         image is mounted outside and passed with --volume, or by FUSE with --device /dev/fuse",
    ),
    ("chroot", "what would allow it: docker, podman: --cap-add SYS_CHROOT; bwrap: --cap-add CAP_SYS_CHROOT"),
    (
        "setns unshare",
        "what would allow it: docker, podman: --cap-add SYS_ADMIN, and --security-opt seccomp=unconfined for namespaces of users",
    ),
    (
        "init_module finit_module delete_module",
        "no rootless container can: load the module outside (modprobe, /etc/modules-load.d) and make /lib/modules seen with \
         --volume /lib/modules:/lib/modules:ro",
    ),
    (
        "swapon swapoff acct iopl ioperm kexec_load",
        "no rootless container can: do it outside, as the machine's root",
    ),
    (
        "reboot",
        "it would end the container's init only in a pid namespace of its own: docker, podman: --init and `kill 1`",
    ),
    (
        "settimeofday clock_settime",
        "no container can; the time is the machine's: see time_namespaces(7) for offsets, or libfaketime",
    ),
    (
        "sethostname setdomainname",
        "what would allow it: docker, podman: --hostname NAME; else `unshare -Uru remainroot COMMAND`",
    ),
    (
        "bind socketcall",
        "what would allow it: a port that is not below net.ipv4.ip_unprivileged_port_start, which outside may be set to 80; or a \
         network of its own, `unshare -Urn remainroot COMMAND`",
    ),
    (
        "open openat openat2 creat",
        "a device that mknod made opens as the container's own of that number: docker, podman: --device /dev/NAME; bwrap: \
         --dev-bind /dev/NAME /dev/NAME",
    ),
];

/// What is to be said where root may not.
pub const STRANGER: &str = "since the file, or a directory on the way, is of somebody whom this namespace does not map: to the \
    kernel its root is a stranger there. What would allow it: a copy that is yours, or rights that its owner gives (setfacl)";

fn is_among(names: &str, name: &str) -> bool {
    names.split(' ').any(|known| known == name)
}

/// The name of a call without the width of i386's form.
pub fn plain(name: &str) -> &str {
    let is_known = |name: &str| RULES.iter().any(|row| is_among(row.0, name));
    let narrow = ["_time64", "16", "64"].iter().find_map(|width| name.strip_suffix(width));
    narrow.filter(|narrow| is_known(narrow)).unwrap_or(name)
}

/// The rule by which a call fails with this errno.
pub fn of(name: &str, errno: Errno) -> Option<Rule> {
    let name = plain(name);
    let fits = |row: &&Row| is_among(row.0, name) && row.1.is_none_or(|only| only == errno);
    let row = RULES.iter().find(fits).map(|row| Rule { page: row.2, sentence: row.3, function: row.4 });
    row.or_else(|| (errno == Errno::EACCES).then_some(PATHS))
}

/// What would allow a call that the kernel has refused.
pub fn cure(name: &str) -> Option<&'static str> {
    CURES.iter().find(|(names, _)| is_among(names, plain(name))).map(|(_, cure)| *cure)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls::TABLE;

    #[test]
    fn every_call_that_changes_something_has_a_rule_for_its_refusal() {
        use super::super::super::{event::Kind, shapes};
        let changing =
            TABLE.iter().filter(|row| matches!(shapes::of(row.name).kind, Kind::Change | Kind::Privileged));
        // What is refused otherwise, or never.
        const NEVER: &str = "setfsuid setfsgid setfsuid16 setfsgid16 socketcall io_uring_setup";
        for row in changing.filter(|row| !is_among(NEVER, row.name)) {
            let rule = [Errno::EPERM, Errno::EACCES].into_iter().find_map(|errno| of(row.name, errno));
            assert!(rule.is_some(), "{}", row.name);
        }
    }

    #[test]
    fn rules_and_cures_name_calls_of_the_table() {
        let names = RULES.iter().map(|row| row.0).chain(CURES.iter().map(|row| row.0));
        for name in names.flat_map(|names| names.split(' ')) {
            assert!(TABLE.iter().any(|row| plain(row.name) == name), "{name}");
        }
        assert_eq!(of("setuid16", Errno::EPERM).map(|rule| rule.page), Some("setuid(2)"));
        assert_eq!(of("chown", Errno::EACCES), Some(PATHS));
        assert_eq!(of("stat", Errno::EPERM), None);
    }
}
