//! How the arguments of each call are written down, and what the call is about.

use super::event::{Effect, Kind};
use super::guest;
use super::words::quoted;
use crate::abi::{Call, DeviceNumber};
use crate::sys::Tid;

/// One call: what kind it is, and a letter for each argument.
#[derive(Debug, Clone, Copy)]
pub struct Shape {
    /// What kind of call it is.
    pub kind: Kind,
    /// See [`argument`].
    letters: &'static str,
}

/// Rows of names, without the widths at their ends, kind and letters.
#[rustfmt::skip]
const SHAPES: &[(&str, Kind, &str)] = &[
    ("setuid setgid setfsuid setfsgid", Kind::Change, "i"),
    ("setreuid setregid", Kind::Change, "ii"),
    ("setresuid setresgid", Kind::Change, "iii"),
    ("getuid geteuid getgid getegid fork vfork", Kind::Look, ""),
    ("getresuid getresgid", Kind::Look, "aaa"),
    ("setgroups", Kind::Change, "gl"),
    ("getgroups", Kind::Look, "ua"),
    ("capset", Kind::Change, "aa"),
    ("capget", Kind::Look, "aa"),
    ("prctl", Kind::Change, "oxxxx"),
    ("execve", Kind::Look, "paa"),
    ("execveat", Kind::Look, "dpaax"),
    ("chown lchown", Kind::Change, "pii"),
    ("fchown", Kind::Change, "fii"),
    ("fchownat", Kind::Change, "dpiix"),
    ("stat lstat oldstat oldlstat", Kind::Look, "pa"),
    ("fstat oldfstat", Kind::Look, "fa"),
    ("newfstatat", Kind::Look, "dpax"),
    ("statx", Kind::Look, "dpxxa"),
    ("chmod", Kind::Change, "pm"),
    ("fchmod", Kind::Change, "fm"),
    ("fchmodat", Kind::Change, "dpm"),
    ("fchmodat2", Kind::Change, "dpmx"),
    ("utime utimes", Kind::Change, "pa"),
    ("futimesat", Kind::Change, "dpa"),
    ("utimensat utimensat_time", Kind::Change, "dpax"),
    ("ioctl", Kind::Change, "fxa"),
    ("file_getattr", Kind::Look, "dpazx"),
    ("file_setattr", Kind::Change, "dpazx"),
    ("setxattr lsetxattr", Kind::Change, "pnazx"),
    ("fsetxattr", Kind::Change, "fnazx"),
    ("setxattrat", Kind::Change, "dpxnaz"),
    ("getxattr lgetxattr", Kind::Look, "pnaz"),
    ("fgetxattr", Kind::Look, "fnaz"),
    ("getxattrat", Kind::Look, "dpxnaz"),
    ("removexattr lremovexattr", Kind::Change, "pn"),
    ("fremovexattr", Kind::Change, "fn"),
    ("removexattrat", Kind::Change, "dpxn"),
    ("listxattr llistxattr", Kind::Look, "paz"),
    ("flistxattr", Kind::Look, "faz"),
    ("listxattrat", Kind::Look, "dpxaz"),
    ("open", Kind::Look, "pxm"),
    ("openat", Kind::Look, "dpxm"),
    ("openat2", Kind::Look, "dpaz"),
    ("creat", Kind::Look, "pm"),
    ("mkdir", Kind::Change, "pm"),
    ("mkdirat", Kind::Change, "dpm"),
    ("symlink", Kind::Change, "sp"),
    ("symlinkat", Kind::Change, "sdp"),
    ("mknod", Kind::Change, "pkv"),
    ("mknodat", Kind::Change, "dpkv"),
    ("bind", Kind::Change, "faz"),
    ("socketcall", Kind::Change, "ua"),
    ("link rename", Kind::Change, "pp"),
    ("linkat renameat2", Kind::Change, "dpdpx"),
    ("renameat", Kind::Change, "dpdp"),
    ("unlink rmdir", Kind::Change, "p"),
    ("unlinkat", Kind::Change, "dpx"),
    ("getdents", Kind::Look, "faz"),
    ("truncate", Kind::Change, "pu"),
    ("kill", Kind::Change, "uu"),
    ("setrlimit", Kind::Change, "ua"),
    ("prlimit", Kind::Change, "uuaa"),
    ("getrlimit ugetrlimit", Kind::Look, "ua"),
    ("io_uring_setup", Kind::Change, "ua"),
    ("mount", Kind::Privileged, "spsxa"),
    ("fsopen", Kind::Privileged, "sx"),
    ("fsconfig", Kind::Privileged, "fxsau"),
    ("fsmount", Kind::Privileged, "fxx"),
    ("umount2", Kind::Privileged, "px"),
    ("umount chroot acct swapoff", Kind::Privileged, "p"),
    ("pivot_root", Kind::Privileged, "pp"),
    ("setns", Kind::Privileged, "fx"),
    ("unshare", Kind::Privileged, "x"),
    ("init_module", Kind::Privileged, "azs"),
    ("finit_module", Kind::Privileged, "fsx"),
    ("delete_module", Kind::Privileged, "sx"),
    ("swapon", Kind::Privileged, "px"),
    ("reboot", Kind::Privileged, "xxxa"),
    ("settimeofday", Kind::Privileged, "aa"),
    ("clock_settime", Kind::Privileged, "ua"),
    ("sethostname setdomainname", Kind::Privileged, "sz"),
    ("kexec_load", Kind::Privileged, "azax"),
    ("iopl", Kind::Privileged, "u"),
    ("ioperm", Kind::Privileged, "uuu"),
];

/// What is written of a call that no row describes.
const UNKNOWN: Shape = Shape { kind: Kind::Inner, letters: "xxx" };

/// The shape of a call. The widths of i386's forms are no part of a name.
pub fn of(name: &str) -> Shape {
    let plain = ["16", "64"].iter().find_map(|width| name.strip_suffix(width)).unwrap_or(name);
    let is_named = |row: &&(&str, Kind, &str)| row.0.split(' ').any(|known| known == name || known == plain);
    SHAPES.iter().find(is_named).map_or(UNKNOWN, |(_, kind, letters)| Shape { kind: *kind, letters })
}

impl Shape {
    /// The arguments of a call in strace's notation.
    pub fn args(self, tid: Tid, name: &str, call: &Call) -> String {
        let each =
            self.letters.chars().enumerate().map(|(index, letter)| argument(tid, name, call, index, letter));
        each.collect::<Vec<String>>().join(", ")
    }

    /// The path of what a call is about, from the root that the tracer has: its last path, or its descriptor.
    pub fn object(self, tid: Tid, call: &Call) -> Option<Vec<u8>> {
        let letters: Vec<char> = self.letters.chars().collect();
        let path = letters.iter().rposition(|&letter| letter == 'p');
        let Some(path) = path else {
            let descriptor = letters.iter().position(|&letter| letter == 'f')?;
            return guest::descriptor(tid, call.int(descriptor));
        };
        let directory = path.checked_sub(1).filter(|&before| letters.get(before) == Some(&'d'));
        let directory = directory.map(|index| call.int(index));
        guest::absolute(tid, directory, &guest::string(tid, call.arg(path))?)
    }

    /// What a call changes of an inode.
    pub fn effect(self, tid: Tid, name: &str, call: &Call) -> Option<Effect> {
        let at = |letter: char| self.letters.find(letter);
        if name.contains("chown") {
            let first = at('i')?;
            let given = |index: usize| id(name, call.arg(index));
            return Some(Effect::Owner(given(first), given(first + 1)));
        }
        if name.contains("chmod") {
            return Some(Effect::Mode(call.arg(at('m')?) as u32 & 0o7777));
        }
        if name.starts_with("mknod") {
            let device = DeviceNumber::decode(call.arg(at('v')?) as u32);
            return Some(Effect::Node(call.arg(at('k')?) as u32, device));
        }
        if name.contains("setxattr") && !name.ends_with("at") {
            let attribute = guest::string(tid, call.arg(at('n')?))?;
            let (value, size) = (call.arg(at('a')?), call.arg(at('z')?));
            return Some(match attribute.as_slice() {
                b"security.capability" => Effect::Capabilities(guest::capabilities(tid, value, size)),
                _ => Effect::Attribute(attribute),
            });
        }
        None
    }
}

/// An id argument; −1 is none.
fn id(name: &str, arg: u64) -> Option<u32> {
    let (id, none) =
        if name.ends_with("16") { (arg as u32 & 0xFFFF, 0xFFFF) } else { (arg as u32, u32::MAX) };
    (id != none).then_some(id)
}

/// One argument by its letter: an `i`d, a `d`irectory, a `f`ile descriptor, a `p`ath, a `s`tring or `n`ame, a `m`ode,
/// the `k`ind of a node, a de`v`ice, a count of `g`roups and their `l`ist, `u`nsigned, a si`z`e, an `a`ddress, an `o`ption of
/// prctl(2); else bits.
fn argument(tid: Tid, name: &str, call: &Call, index: usize, letter: char) -> String {
    let arg = call.arg(index);
    match letter {
        'i' => id(name, arg).map_or_else(|| "-1".to_owned(), |id| id.to_string()),
        'd' if arg as i32 == guest::HERE => "AT_FDCWD".to_owned(),
        'd' | 'f' | 'u' | 'g' => (arg as i32).to_string(),
        'z' => arg.to_string(),
        'p' | 's' | 'n' if arg != 0 => match guest::string(tid, arg) {
            Some(text) => quoted(&text),
            None => format!("{arg:#x}"),
        },
        'm' => octal(arg as u32),
        'k' => node(arg as u32),
        'v' => {
            let DeviceNumber { major, minor } = DeviceNumber::decode(arg as u32);
            format!("makedev({major}, {minor})")
        }
        'l' => groups(tid, name, call, index),
        'o' => option(arg as u32),
        _ if arg == 0 && "psnal".contains(letter) => "NULL".to_owned(),
        _ => format!("{arg:#x}"),
    }
}

fn octal(mode: u32) -> String {
    if mode == 0 { "0".to_owned() } else { format!("0{mode:o}") }
}

fn node(mode: u32) -> String {
    let kind = match mode & 0o170_000 {
        0o010_000 => "S_IFIFO|",
        0o020_000 => "S_IFCHR|",
        0o060_000 => "S_IFBLK|",
        0o140_000 => "S_IFSOCK|",
        0o100_000 | 0 => "S_IFREG|",
        _ => return octal(mode),
    };
    format!("{kind}{}", octal(mode & 0o7777))
}

/// A list of groups, of which the argument before says how many there are.
fn groups(tid: Tid, name: &str, call: &Call, index: usize) -> String {
    const MOST: usize = 32;
    let (count, width) = (call.arg(index - 1) as usize, if name.ends_with("16") { 2 } else { 4 });
    let mut bytes = vec![0; count.min(MOST) * width];
    if !guest::read(tid, call.arg(index), &mut bytes) {
        return format!("{:#x}", call.arg(index));
    }
    let number = |id: &[u8]| id.iter().rev().fold(0_u32, |id, &byte| id << 8 | u32::from(byte)).to_string();
    let mut list: Vec<String> = bytes.chunks_exact(width).map(number).collect();
    if count > MOST {
        list.push("...".to_owned());
    }
    format!("[{}]", list.join(", "))
}

fn option(option: u32) -> String {
    const NAMES: &[(u32, &str)] = &[
        (1, "PR_SET_PDEATHSIG"),
        (4, "PR_SET_DUMPABLE"),
        (7, "PR_GET_KEEPCAPS"),
        (8, "PR_SET_KEEPCAPS"),
        (22, "PR_SET_SECCOMP"),
        (23, "PR_CAPBSET_READ"),
        (24, "PR_CAPBSET_DROP"),
        (27, "PR_GET_SECUREBITS"),
        (28, "PR_SET_SECUREBITS"),
        (38, "PR_SET_NO_NEW_PRIVS"),
        (39, "PR_GET_NO_NEW_PRIVS"),
        (47, "PR_CAP_AMBIENT"),
    ];
    let known = NAMES.iter().find(|(number, _)| *number == option);
    known.map_or_else(|| format!("{option:#x}"), |(_, name)| (*name).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;
    use crate::syscalls::TABLE;

    fn call(args: [u64; 6]) -> Call {
        Call { abi: Abi::X86_64, number: 0, args }
    }

    /// This process's own memory is read as a guest's.
    fn written(name: &str, args: [u64; 6]) -> String {
        of(name).args(std::process::id() as Tid, name, &call(args))
    }

    #[test]
    fn every_operation_but_the_tracers_own_has_a_shape() {
        const OWN: [&str; 13] = [
            "sched_setaffinity",
            "sched_getaffinity",
            "munmap",
            "mprotect",
            "pkey_mprotect",
            "mremap",
            "madvise",
            "mmap",
            "epoll_ctl",
            "seccomp",
            "clone",
            "clone3",
            "none",
        ];
        for operation in TABLE.iter().filter(|operation| of(operation.name).kind == Kind::Inner) {
            assert!(OWN.contains(&operation.name), "{}", operation.name);
        }
        let named = SHAPES.iter().flat_map(|row| row.0.split(' '));
        for name in named {
            let known = |operation: &&crate::syscalls::Operation| operation.name.starts_with(name);
            assert!(TABLE.iter().any(|operation| known(&operation)), "{name} is in no table");
        }
    }

    #[test]
    fn arguments_are_written_as_strace_writes_them() {
        let path = c"/a \"b\"\n";
        let at = path.as_ptr() as u64;
        assert_eq!(written("chown", [at, 7, u64::MAX, 0, 0, 0]), r#""/a \"b\"\n", 7, -1"#);
        assert_eq!(written("chown16", [at, 7, 0xFFFF, 0, 0, 0]), r#""/a \"b\"\n", 7, -1"#);
        assert_eq!(written("chown", [8, 7, 9, 0, 0, 0]), "0x8, 7, 9", "nothing is there");
        let made = written("mknodat", [-100_i64 as u64, at, 0o20_666, 0x103, 0, 0]);
        assert_eq!(made, r#"AT_FDCWD, "/a \"b\"\n", S_IFCHR|0666, makedev(1, 3)"#);
        let groups = [4_u32, 20];
        assert_eq!(written("setgroups", [2, groups.as_ptr() as u64, 0, 0, 0, 0]), "2, [4, 20]");
        assert_eq!(written("prctl", [24, 7, 0, 0, 0, 0]), "PR_CAPBSET_DROP, 0x7, 0x0, 0x0, 0x0");
    }

    #[test]
    fn what_a_call_changes_is_read_from_its_arguments() {
        let tid = std::process::id() as Tid;
        let effect = |name: &str, args| of(name).effect(tid, name, &call(args));
        assert_eq!(effect("fchown", [3, u64::MAX, 5, 0, 0, 0]), Some(Effect::Owner(None, Some(5))));
        assert_eq!(effect("fchmodat2", [3, 0, 0o104_755, 0, 0, 0]), Some(Effect::Mode(0o4755)));
        let device = DeviceNumber { major: 1, minor: 3 };
        assert_eq!(effect("mknod", [0, 0o20_600, 0x103, 0, 0, 0]), Some(Effect::Node(0o20_600, device)));
        assert_eq!(effect("setuid", [3, 0, 0, 0, 0, 0]), None);
        let object = of("chown").object(tid, &call([c"/a/./b".as_ptr() as u64, 0, 0, 0, 0, 0]));
        assert_eq!(object, Some(b"/a/b".to_vec()));
    }
}
