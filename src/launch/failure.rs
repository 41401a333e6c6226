//! Why the command could not be started: sentences for the person, and exit statuses.

use std::io::{self, Write};
use std::path::PathBuf;

use crate::ownership::Unusable;
use crate::sys::{Errno, Tid};

/// Exit status when remainroot itself fails, as env(1) and its like have it.
pub const EXIT_OWN_FAILURE: u8 = 125;
/// Exit status for a command that was found but cannot be executed.
pub const EXIT_NOT_EXECUTABLE: u8 = 126;
/// Exit status for a command that was not found.
pub const EXIT_NOT_FOUND: u8 = 127;

/// What went wrong.
#[derive(Debug)]
pub enum Failure {
    /// There is nothing to run, or an argument holds a NUL byte.
    NoCommand,
    /// Real root of the initial namespace has no need of remainroot.
    RealRoot,
    /// The caller has no id in the user namespace that it is in.
    Unmapped {
        /// Which map has none: `uid` or `gid`.
        map: &'static str,
    },
    /// The kernel is too old.
    OldKernel {
        /// Its release.
        release: String,
        /// What it lacks.
        what: &'static str,
        /// The first version that has it.
        major: u32,
        /// Its minor number.
        minor: u32,
    },
    /// A call that nothing replaces is refused.
    Denied {
        /// Its name.
        call: &'static str,
        /// How.
        errno: Errno,
    },
    /// Something else traces this process.
    OtherTracer {
        /// The tracing task.
        tracer: Tid,
        /// Its name.
        name: String,
    },
    /// The command could not be executed.
    Exec {
        /// What was to run.
        command: String,
        /// Why not.
        errno: Errno,
        /// What is wrong with its file, where that is known.
        cause: Option<String>,
    },
    /// ptrace(2) was refused.
    Ptrace(Errno),
    /// The place that the caller has prepared leaves no room for a tracer: a sentence.
    Place(String),
    /// The filter was refused.
    Seccomp(Errno),
    /// What earlier runs kept cannot be used.
    Store(Unusable),
    /// A listing cannot be loaded.
    Listing {
        /// The file.
        path: PathBuf,
        /// Why not.
        cause: String,
    },
    /// A file that is to be written to while the command runs: a sentence.
    Output(String),
    /// The remainroot around this one loads and saves nothing for it.
    Inner(Errno),
    /// The remainroot around this one has another user run it.
    NotRootInside,
    /// An image or a list could not be made: a sentence.
    Export(String),
    /// Nobody reads what is written, and nobody is to be told.
    Unread,
    /// Options that exclude each other.
    Options(&'static str),
    /// The tracer ended before it had attached.
    TracerDied,
    /// Anything else, with what was being done.
    System {
        /// What was being done.
        doing: &'static str,
        /// Why it failed.
        source: io::Error,
    },
}

impl Failure {
    /// Wraps an I/O error with what was being done.
    pub fn io(doing: &'static str) -> impl FnOnce(io::Error) -> Failure {
        move |source| Failure::System { doing, source }
    }

    /// Wraps an errno with what was being done.
    pub fn errno(doing: &'static str) -> impl FnOnce(Errno) -> Failure {
        move |errno| Failure::System { doing, source: errno.into() }
    }

    /// What is said of it: also what tells more, where the place is to blame.
    pub fn sentence(&self) -> String {
        match self {
            Failure::OldKernel { .. } | Failure::Denied { .. } | Failure::Ptrace(_) | Failure::Seccomp(_) => {
                format!("{self}; remainroot --check says more")
            }
            _ => self.to_string(),
        }
    }

    /// The exit status.
    pub fn status(&self) -> u8 {
        match self {
            Failure::Exec { errno: Errno::ENOENT, .. } => EXIT_NOT_FOUND,
            Failure::Exec { .. } => EXIT_NOT_EXECUTABLE,
            _ => EXIT_OWN_FAILURE,
        }
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Failure::NoCommand => write!(f, "no command to run; see remainroot --help"),
            Failure::RealRoot => write!(
                f,
                "you are real root already, so there is nothing to emulate; run it as a plain user, or pass \
                 --allow-real-root to do it all the same"
            ),
            Failure::Unmapped { map } => unmapped(map, f),
            Failure::OldKernel { release, what, major, minor } => {
                write!(f, "Linux {release} is too old: it lacks {what}; {major}.{minor} or newer is needed")
            }
            Failure::OtherTracer { tracer, name } => write!(
                f,
                "{name} (process {tracer}) traces this process already, and a process has only one tracer; \
                 run {name} without remainroot, or attach it to nothing that remainroot runs"
            ),
            Failure::Exec { command, errno, cause } => unexecuted(command, *errno, cause.as_deref(), f),
            Failure::Ptrace(errno) => untraceable(*errno, f),
            Failure::Denied { call, errno } => write!(
                f,
                "{call}(2) is refused ({}), and nothing replaces it: a seccomp profile that is older than the call forbids it; \
                 allow it in the container's profile (docker: --security-opt seccomp=unconfined)",
                errno.desc()
            ),
            Failure::Seccomp(errno) => write!(
                f,
                "the seccomp filter is refused ({}): the kernel needs CONFIG_SECCOMP_FILTER and the container's \
                 profile must allow the seccomp syscall",
                errno.desc()
            ),
            Failure::Store(unusable) => {
                write!(f, "{unusable}; {}, or go without: --store=xattr", unusable.cure())
            }
            Failure::Listing { path, cause } => {
                write!(f, "{} cannot be loaded: {cause}", path.display())
            }
            Failure::Inner(Errno::EPERM) => {
                write!(f, "inside another remainroot nobody but root can load and save owners")
            }
            Failure::Inner(errno) => write!(
                f,
                "the remainroot around this one loads and saves nothing for it ({}); is it of another version?",
                errno.desc()
            ),
            Failure::NotRootInside => write!(
                f,
                "this user is not root in the remainroot around it, and cannot become root again; run it as root \
                 there, or use the real fakeroot"
            ),
            Failure::Options(cause) => write!(f, "{cause}"),
            Failure::Place(cause) | Failure::Output(cause) | Failure::Export(cause) => write!(f, "{cause}"),
            Failure::Unread => write!(f, "nobody reads what is written"),
            Failure::TracerDied => {
                write!(f, "the tracer ended before the command could start; out of memory?")
            }
            Failure::System { doing, source } => write!(f, "{doing} failed: {source}"),
        }
    }
}

/// Which id of the caller's the kernel does not know.
fn unmapped(map: &str, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    write!(
        f,
        "your {map} is not mapped in this user namespace, so the kernel lets you make no file; make the namespace with \
         `unshare -Ur` instead of `unshare -U`, or write a line to /proc/PID/{map}_map from outside"
    )
}

/// Why the command was not executed.
fn unexecuted(
    command: &str,
    errno: Errno,
    cause: Option<&str>,
    f: &mut std::fmt::Formatter<'_>,
) -> std::fmt::Result {
    match (errno, cause) {
        (_, Some(cause)) => write!(f, "{command}: cannot be executed: {cause}"),
        (Errno::ENOENT, None) => write!(f, "{command}: command not found; check the spelling and PATH"),
        (errno, None) => write!(f, "{command}: cannot be executed: {}", errno.desc()),
    }
}

/// Why the command cannot be traced.
fn untraceable(errno: Errno, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
    match errno {
        Errno::EIO => write!(
            f,
            "this kernel lacks a request of ptrace that nothing replaces (PTRACE_SEIZE, PTRACE_GET_SYSCALL_INFO or \
             PTRACE_SETSIGMASK); Linux 5.3 has all, but a sandbox that stands in for it, like gVisor, may not: run it \
             without that"
        ),
        Errno::EPERM | Errno::EACCES | Errno::ENOSYS => write!(
            f,
            "tracing is refused (ptrace: {}): a seccomp profile, AppArmor or kernel.yama.ptrace_scope=3 forbids it; allow \
             the ptrace syscall in the container's profile (docker: --security-opt seccomp=unconfined or --cap-add \
             SYS_PTRACE)",
            errno.desc()
        ),
        errno => write!(f, "the command cannot be traced (ptrace: {})", errno.desc()),
    }
}

/// Which file sentences go to, by device and inode number.
pub fn listener() -> Option<(u64, u64)> {
    nix::sys::stat::fstat(std::io::stderr()).ok().map(|found| (found.st_dev, found.st_ino))
}

/// Says one sentence on stderr. Nothing else in the crate prints.
/// A name of a guest's in it moves no cursor.
pub fn say(sentence: &str) {
    let mut line = String::from("remainroot: ");
    for character in sentence.chars() {
        if character.is_control() {
            line.extend(character.escape_default());
        } else {
            line.push(character);
        }
    }
    line.push('\n');
    // One write, so that no other line gets into it. Where nobody listens nobody can be told so.
    let _ = std::io::stderr().write_all(line.as_bytes());
}
