//! What stands in a place's way, in words, and the cures: options of the tools that make such places.

use std::fmt;
use std::fs;

use super::place::{self, Engine};
use crate::sys::{self, Errno};
use crate::worker;

/// Why no user namespace can be made that is of use.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Refusal {
    /// unshare(2) is refused.
    Unshare(Errno),
    /// Whoever calls unshare(2) is killed.
    Killed,
    /// The namespace cannot be given its ids.
    Unmapped,
    /// Its root is denied every capability.
    Denied,
}

impl Refusal {
    const UNMAPPED: i32 = 201;
    const DENIED: i32 = 202;

    /// The exit status by which a trial tells of it.
    pub(in crate::launch) fn status(self) -> i32 {
        match self {
            Refusal::Unshare(errno) => errno as i32,
            Refusal::Killed | Refusal::Unmapped => Refusal::UNMAPPED,
            Refusal::Denied => Refusal::DENIED,
        }
    }

    /// What a trial with this wait status has told.
    pub(in crate::launch) fn read(status: i32) -> Result<(), Refusal> {
        if !libc::WIFEXITED(status) {
            return Err(Refusal::Killed);
        }
        match libc::WEXITSTATUS(status) {
            0 => Ok(()),
            Refusal::UNMAPPED => Err(Refusal::Unmapped),
            Refusal::DENIED => Err(Refusal::Denied),
            errno => Err(Refusal::Unshare(Errno::from_raw(errno))),
        }
    }

    /// What is behind it, as far as that can be found out.
    pub(in crate::launch) fn obstacle(self) -> Obstacle {
        let set = |name: &str, value: &str| {
            fs::read_to_string(format!("/proc/sys/{name}")).is_ok_and(|text| text.trim() == value)
        };
        match self {
            Refusal::Killed => Obstacle::Profile("unshare"),
            Refusal::Unshare(_) if sys::process::unshare_wrongly() != Errno::EINVAL => {
                Obstacle::Profile("unshare")
            }
            Refusal::Unshare(Errno::ENOSPC | Errno::EUSERS) if set("user/max_user_namespaces", "0") => {
                Obstacle::NoNamespaces
            }
            Refusal::Unshare(Errno::ENOSPC | Errno::EUSERS) => Obstacle::TooManyNamespaces,
            Refusal::Unshare(Errno::EINVAL | Errno::ENOSYS) => Obstacle::NoNamespacesInKernel,
            Refusal::Unshare(Errno::EAGAIN) => Obstacle::NoProcesses,
            _ if set("kernel/unprivileged_userns_clone", "0") => Obstacle::NoClone,
            _ if set("kernel/apparmor_restrict_unprivileged_userns", "1") => Obstacle::AppArmor,
            Refusal::Unshare(Errno::EPERM) if place::is_chroot() => Obstacle::Chroot,
            Refusal::Unshare(Errno::EPERM) if !place::has_module_for_namespaces() => Obstacle::Chroot,
            Refusal::Unshare(Errno::EPERM) => Obstacle::ModuleOrChroot,
            Refusal::Unmapped if !worker::has_proc() => Obstacle::NoProc,
            _ => Obstacle::Module,
        }
    }
}

/// What stands in the way.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::launch) enum Obstacle {
    /// A seccomp filter refuses this call.
    Profile(&'static str),
    /// `user.max_user_namespaces` is 0.
    NoNamespaces,
    /// There are as many as there may be.
    TooManyNamespaces,
    /// The kernel has none.
    NoNamespacesInKernel,
    /// The user has as many processes as may be (`EAGAIN`).
    NoProcesses,
    /// `kernel.unprivileged_userns_clone` is 0.
    NoClone,
    /// `kernel.apparmor_restrict_unprivileged_userns` is 1.
    AppArmor,
    /// The root directory is not the mount namespace's.
    Chroot,
    /// A security module forbids it.
    Module,
    /// That, or a chroot that cannot be told from another root directory.
    ModuleOrChroot,
    /// Root has been left no capability, or not these.
    Capabilities,
    /// Root lacks the capability to trace, which some runs do without.
    NoPtrace,
    /// Yama forbids to trace: its scope.
    Yama(u8),
    /// SELinux forbids to trace.
    Selinux,
    /// Another filter tells a listener already.
    OtherListener,
    /// The kernel has no such thing, or is too old.
    Kernel,
    /// So is what stands in for it.
    Sandbox,
    /// There is no `/proc`, or another's.
    NoProc,
    /// `/proc` hides processes.
    HiddenProc,
    /// No attributes can be set.
    Attributes,
    /// The state file cannot be.
    State,
    /// The caller is real root.
    RealRoot,
    /// Another program traces this one.
    OtherTracer,
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let text = match self {
            Obstacle::Profile(call) => return write!(f, "a seccomp profile refuses {call}(2)"),
            Obstacle::Yama(scope) => return write!(f, "kernel.yama.ptrace_scope={scope} forbids it"),
            Obstacle::NoNamespaces => "user.max_user_namespaces is 0",
            Obstacle::TooManyNamespaces => {
                "there are as many as user.max_user_namespaces allows, or 33 within each other"
            }
            Obstacle::NoNamespacesInKernel => "the kernel is built without user namespaces",
            Obstacle::NoProcesses => "no more processes may be made",
            Obstacle::NoClone => "kernel.unprivileged_userns_clone is 0",
            Obstacle::AppArmor => "kernel.apparmor_restrict_unprivileged_userns is 1",
            Obstacle::Chroot => "this is a chroot, where the kernel makes none",
            Obstacle::Module => "a security module (AppArmor, SELinux) forbids it",
            Obstacle::ModuleOrChroot => {
                "a security module (AppArmor, SELinux) forbids it, or this is a chroot"
            }
            Obstacle::Capabilities => "whoever made this place has taken capabilities away",
            Obstacle::NoPtrace => worker::NO_PTRACE,
            Obstacle::Selinux => "SELinux forbids it (deny_ptrace)",
            Obstacle::OtherListener => "a filter above has a listener already, and there can be only one",
            Obstacle::Kernel => "the kernel lacks it",
            Obstacle::Sandbox => "the kernel, or a sandbox that stands in for it (gVisor), lacks it",
            Obstacle::NoProc => "no /proc is mounted, or that of another pid namespace",
            Obstacle::HiddenProc => "/proc is mounted with hidepid",
            Obstacle::Attributes => "the filesystem takes no user attributes",
            Obstacle::State => "the state directory cannot be written to",
            Obstacle::RealRoot => "this is real root, for whom there is nothing to emulate",
            Obstacle::OtherTracer => "a process has only one tracer",
        };
        f.write_str(text)
    }
}

/// What takes a filter away, by who loaded it.
const PROFILE: &[(Engine, &str)] = &[
    (Engine::Docker, "docker run --security-opt seccomp=unconfined"),
    (Engine::Podman, "podman run --security-opt seccomp=unconfined"),
    (Engine::Buildah, "buildah build --security-opt seccomp=unconfined"),
    (Engine::Kubernetes, "Kubernetes: securityContext.seccompProfile.type: Unconfined, or a newer runtime"),
    (Engine::Systemd, "systemd: no SystemCallFilter= and RestrictNamespaces=no"),
    (Engine::Bubblewrap, "bwrap without --seccomp"),
    (Engine::Oci, "runc, crun: no linux.seccomp in config.json"),
];
/// The same where it is about tracing.
const TRACING: &[(Engine, &str)] = &[
    (
        Engine::Docker,
        "docker run --security-opt seccomp=unconfined, or --cap-add SYS_PTRACE; with Linux 4.8 or newer the default profile allows it",
    ),
    (Engine::Podman, "podman run --security-opt seccomp=unconfined, or --cap-add SYS_PTRACE"),
    (Engine::Buildah, "buildah build --security-opt seccomp=unconfined, or --cap-add SYS_PTRACE"),
    (
        Engine::Kubernetes,
        "Kubernetes: securityContext.capabilities.add: [SYS_PTRACE], or seccompProfile.type: Unconfined",
    ),
    (Engine::Systemd, "systemd: SystemCallFilter=@debug"),
    (Engine::Bubblewrap, "bwrap without --seccomp"),
    (Engine::Oci, "runc, crun: allow ptrace in linux.seccomp of config.json"),
];
const NEWER: &[(Engine, &str)] =
    &[(Engine::Any, "a newer kernel: Linux 5.3 is needed, 6.11 answers on demand, 6.13 has everything")];
const SANDBOX: &[(Engine, &str)] = &[
    (Engine::Any, "Linux 5.3 or newer"),
    (Engine::Docker, "docker run --runtime runc"),
    (Engine::Kubernetes, "Kubernetes: another runtimeClassName"),
];

impl Obstacle {
    fn all_cures(self) -> &'static [(Engine, &'static str)] {
        match self {
            Obstacle::Profile("ptrace") => TRACING,
            Obstacle::Profile(_) => PROFILE,
            Obstacle::NoNamespaces | Obstacle::TooManyNamespaces => {
                &[(Engine::Any, "sysctl -w user.max_user_namespaces=15000")]
            }
            Obstacle::NoNamespacesInKernel => &[(Engine::Any, "a kernel with CONFIG_USER_NS=y")],
            Obstacle::NoProcesses => NO_PROCESSES,
            Obstacle::NoClone => &[(Engine::Any, "sysctl -w kernel.unprivileged_userns_clone=1")],
            Obstacle::AppArmor => &[
                (Engine::Any, "a profile in /etc/apparmor.d that grants this program `userns,`"),
                (Engine::Any, "sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"),
            ],
            Obstacle::Chroot => &[
                (Engine::Any, "make the namespace first: unshare -r chroot TREE remainroot COMMAND"),
                (Engine::Any, "bwrap --bind TREE / --cap-add ALL instead of chroot"),
            ],
            Obstacle::Module | Obstacle::ModuleOrChroot => MODULE,
            Obstacle::Capabilities => CAPABILITIES,
            Obstacle::NoPtrace => PTRACE,
            Obstacle::Yama(3) => &[(
                Engine::Any,
                "kernel.yama.ptrace_scope=1 in /etc/sysctl.d and a reboot: 3 is not lowered while the machine runs",
            )],
            Obstacle::Yama(_) => &[(Engine::Any, "sysctl -w kernel.yama.ptrace_scope=1")],
            Obstacle::Selinux => &[(Engine::Any, "setsebool deny_ptrace off")],
            Obstacle::OtherListener => &[(
                Engine::Any,
                "run without seccomp agent (runc: linux.seccomp.listenerPath; LXD: security.syscalls.intercept)",
            )],
            Obstacle::Kernel => NEWER,
            Obstacle::Sandbox => SANDBOX,
            Obstacle::NoProc => PROC,
            Obstacle::HiddenProc => &[(Engine::Any, "mount -o remount,hidepid=0 /proc")],
            Obstacle::Attributes => &[(
                Engine::Any,
                "work on ext4, xfs, btrfs or overlayfs (tmpfs: Linux 6.6), or do with the state file",
            )],
            Obstacle::State => STATE,
            Obstacle::RealRoot => &[(Engine::Any, "run it as a plain user, or with --allow-real-root")],
            Obstacle::OtherTracer => &[(Engine::Any, "run the tracer inside: remainroot strace COMMAND")],
        }
    }

    /// Options that remove it, those that fit this place first, and how many these are.
    pub(in crate::launch) fn cures(self, engine: Engine) -> (Vec<String>, usize) {
        let fits = |(tool, _): &&(Engine, &str)| *tool == engine || *tool == Engine::Any;
        let (fitting, others): (Vec<_>, Vec<_>) = self.all_cures().iter().partition(fits);
        let count = fitting.len();
        (fitting.into_iter().chain(others).map(|(_, cure)| (*cure).to_owned()).collect(), count)
    }
}

const MODULE: &[(Engine, &str)] = &[
    (Engine::Docker, "docker run --security-opt apparmor=unconfined, or label=disable"),
    (Engine::Podman, "podman run --security-opt label=disable, or apparmor=unconfined"),
    (Engine::Buildah, "buildah build --security-opt label=disable, or apparmor=unconfined"),
    (Engine::Kubernetes, "Kubernetes: securityContext.appArmorProfile.type: Unconfined"),
    (
        Engine::Host,
        "a profile in /etc/apparmor.d that allows it to this program, or in a chroot, unshare -r chroot TREE remainroot COMMAND",
    ),
];
const CAPABILITIES: &[(Engine, &str)] = &[
    (Engine::Bubblewrap, "bwrap --unshare-user --uid 0 --gid 0 --cap-add ALL"),
    (Engine::Oci, "runc, crun: name the capabilities in process.capabilities of config.json"),
    (Engine::Docker, "docker run without --cap-drop, or --cap-add for each"),
    (Engine::Podman, "podman run without --cap-drop, or --cap-add for each"),
    (Engine::Buildah, "buildah build --cap-add for each"),
    (Engine::Kubernetes, "Kubernetes: securityContext.capabilities.add, no drop: [ALL]"),
    (Engine::Systemd, "systemd: CapabilityBoundingSet= with them"),
];
const PTRACE: &[(Engine, &str)] = &[
    (Engine::Docker, "docker run --cap-add SYS_PTRACE"),
    (Engine::Podman, "podman run --cap-add SYS_PTRACE"),
    (Engine::Buildah, "buildah build --cap-add SYS_PTRACE"),
    (Engine::Kubernetes, "Kubernetes: securityContext.capabilities.add: [SYS_PTRACE]"),
    (Engine::Oci, "runc, crun: CAP_SYS_PTRACE in process.capabilities of config.json"),
];
const NO_PROCESSES: &[(Engine, &str)] = &[
    (Engine::Any, "ulimit -u with a higher number, before"),
    (Engine::Docker, "docker run --pids-limit with a higher number"),
    (Engine::Podman, "podman run --pids-limit with a higher number"),
    (Engine::Systemd, "systemd: TasksMax= with a higher number"),
];
const PROC: &[(Engine, &str)] = &[
    (Engine::Bubblewrap, "bwrap --proc /proc"),
    (Engine::Host, "unshare --mount-proc; in a chroot, mount --rbind /proc TREE/proc"),
    (Engine::Oci, "runc, crun: a mount of type proc in config.json"),
];
const STATE: &[(Engine, &str)] = &[
    (Engine::Any, "name a directory that can be written to: XDG_STATE_HOME=DIR, or a file: --store=./FILE"),
    (Engine::Kubernetes, "Kubernetes: an emptyDir volume, and HOME or XDG_STATE_HOME in it"),
    (Engine::Docker, "docker run --tmpfs /state -e XDG_STATE_HOME=/state"),
    (Engine::Podman, "podman run --tmpfs /state -e XDG_STATE_HOME=/state"),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_is_told_by_an_exit_status() {
        let all = [
            Refusal::Unshare(Errno::EPERM),
            Refusal::Unshare(Errno::ENOSPC),
            Refusal::Unmapped,
            Refusal::Denied,
        ];
        for refusal in all {
            assert_eq!(Refusal::read(refusal.status() << 8), Err(refusal));
        }
        assert_eq!(Refusal::read(0), Ok(()));
        assert_eq!(Refusal::read(libc::SIGSYS), Err(Refusal::Killed));
    }

    #[test]
    fn the_cure_of_the_tool_that_made_the_place_stands_first() {
        for (engine, word) in [
            (Engine::Docker, "docker"),
            (Engine::Podman, "podman"),
            (Engine::Buildah, "buildah"),
            (Engine::Kubernetes, "Kubernetes"),
            (Engine::Bubblewrap, "bwrap"),
            (Engine::Oci, "runc"),
            (Engine::Systemd, "systemd"),
        ] {
            for obstacle in [Obstacle::Profile("ptrace"), Obstacle::Profile("statx"), Obstacle::Capabilities]
            {
                let (cures, fitting) = obstacle.cures(engine);
                assert!(cures.first().is_some_and(|cure| cure.starts_with(word)), "{engine:?} {cures:?}");
                assert_eq!((cures.len(), fitting), (obstacle.all_cures().len(), 1));
            }
        }
    }
}
