//! The one table of operations: number in every ABI, handler, and which calls stop in which stage.

use super::create::CWD;
use super::ids::{Narrow, Wide};
use super::inode::AT_SYMLINK_NOFOLLOW;
use super::{Guest, Stage, Stages, Test, Verdict};
use super::{
    bind, capabilities, chmod, chown, create, device, exec, flags, fsconfig, groups, ids, kill, limits, link,
    list, mappings, mknod, mount, mounted, moves, placed, prctl, refused, removal, sandbox, stat, statx,
    utimes, watched, xattr,
};
use crate::abi::{self, Abi, MARK, Numbers, WHOLE_MARK};

/// One syscall that remainroot answers.
#[derive(Debug, Clone, Copy)]
pub struct Operation {
    /// Its name in the manual; the 16-bit forms of i386 end in `16`.
    pub name: &'static str,
    /// Its number in every ABI.
    pub numbers: Numbers,
    /// What it means.
    pub handler: fn(&mut dyn Guest) -> Verdict,
    /// Which calls stop in which stage.
    pub stops: &'static [(Stage, Test)],
    /// Where one has room for a [mark](MARK), with which it stops in none.
    pub room: Option<Room>,
    /// For whom a listener may try all of them that stop in the base stage.
    pub tried: Tried,
}

/// For whom a listener may have a handler try a call: what it has done until it says that it takes a stop must be as if it
/// had not been, or come to the same when it is done again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Tried {
    /// For nobody, and no listener is told of it in the base stage: what nobody traces needs nobody for it.
    Untold,
    /// For nobody, beside what listeners are told of in other stages.
    Never,
    /// For who has the credentials that the run began with.
    ForRoot,
    /// For everybody.
    Always,
}

impl Operation {
    /// Whether a call with these arguments stops in one of `stages`.
    pub fn stops_in(&self, stages: Stages, args: &[u64; 6]) -> bool {
        let is_marked = self.room.is_some_and(|room| room.bears_mark(args));
        !is_marked && self.stops.iter().any(|(stage, test)| stages.hold(*stage) && test.matches(args))
    }

    /// Whether a process of these stages stops at a call with these arguments, and does not only tell its listener.
    pub fn stops_itself(&self, stages: Stages, args: &[u64; 6]) -> bool {
        // Who has been at large has the listener's filter in place of the base stage's.
        let is_untold = self.tried == Tried::Untold && stages.is_first();
        let base = if is_untold { Stage::Base.only() } else { Stages::NONE };
        self.stops_in(stages.minus(Stages::LISTENING).minus(base), args)
    }

    /// Whether the listener that a process of these stages has is told of a call with these arguments.
    pub fn is_told(&self, stages: Stages, args: &[u64; 6]) -> bool {
        let watched = if stages.is_first() { Stage::Watched.only() } else { Stages::NONE };
        self.tried != Tried::Untold && self.stops_in(stages.common(Stages::LISTENING).union(watched), args)
    }

    /// Whether calls are told by the addresses that they are about, which the kernel may have chosen at random.
    pub fn is_by_address(&self) -> bool {
        self.stops.iter().any(|(_, test)| matches!(test, Test::Meets { .. } | Test::Over { .. }))
    }

    /// Whether a listener may have the handler try a call of somebody who has dropped something, or has not.
    pub fn may_be_tried(&self, args: &[u64; 6], has_dropped: bool) -> bool {
        self.tried == Tried::Always
            || self.tried == Tried::ForRoot && !has_dropped
            || self.stops_in(Stages::LOOKING, args)
    }
}

/// An argument, or half of one, that the kernel does not look at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Room {
    /// Index of the argument.
    pub arg: u8,
    /// Whether it is the upper half alone.
    pub upper: bool,
}

impl Room {
    /// Whether it is marked in a way that a filter believes ([`abi::Call::made`]).
    fn bears_mark(self, args: &[u64; 6]) -> bool {
        let arg = args.get(usize::from(self.arg)).copied().unwrap_or(0);
        if self.upper { (arg >> u32::BITS) as u32 == MARK } else { arg == WHOLE_MARK }
    }

    /// The arguments with a mark there.
    fn mark(self, mut args: [u64; 6]) -> [u64; 6] {
        if let Some(arg) = args.get_mut(usize::from(self.arg)) {
            let kept = if self.upper { u64::from(*arg as u32) } else { u64::from(MARK) };
            *arg = kept | u64::from(MARK) << u32::BITS;
        }
        args
    }
}

/// The sixth argument of a call that has five.
const SIXTH: Room = Room { arg: 5, upper: false };

/// A row of a call whose stops one passes that is marked in its sixth argument.
const fn markable(row: Operation) -> Operation {
    Operation { room: Some(SIXTH), ..row }
}

/// The same of one that a listener may try always.
const fn asking(row: Operation) -> Operation {
    Operation { tried: Tried::Always, ..markable(row) }
}

/// The same of one that a listener may try for root.
const fn changing(row: Operation) -> Operation {
    Operation { tried: Tried::ForRoot, ..markable(row) }
}

/// The same of a call with six arguments, of which this one is an `int`: 64-bit programs alone can mark it.
const fn markable_above(arg: u8, row: Operation) -> Operation {
    Operation { room: Some(Room { arg, upper: true }), ..row }
}

/// A row; −1 stands for "this ABI has no such call".
const fn row(
    name: &'static str,
    [x86_64, i386, aarch64]: [i32; 3],
    handler: fn(&mut dyn Guest) -> Verdict,
    stops: &'static [(Stage, Test)],
) -> Operation {
    const fn number(n: i32) -> Option<u32> {
        if n < 0 { None } else { Some(n as u32) }
    }
    let numbers = Numbers { x86_64: number(x86_64), i386: number(i386), aarch64: number(aarch64) };
    Operation { name, numbers, handler, stops, room: None, tried: Tried::Never }
}

/// Stops from the start.
const BASE: &[(Stage, Test)] = &[(Stage::Base, Test::Always)];

/// What is asked of the listener of a process that is attached to on demand, and not of the kernel; or as
/// [`mappings::MEETS`].
const UNMAPPING: &[(Stage, Test)] = &[
    (Stage::NotifyBase, Test::AnyOf { arg: 5, values: &[abi::WHOSE, abi::BRING] }),
    (Stage::NotifyForeign, Test::AnyOf { arg: 5, values: &[abi::WHOSE, abi::BRING] }),
    mappings::MEETS,
];

/// Stops once the process's credentials differ from what the kernel reports.
const IDENTITY: &[(Stage, Test)] = &[(Stage::Identity, Test::Always)];

/// The same for what only asks.
const ASK: &[(Stage, Test)] = &[
    (Stage::Identity, Test::Always),
    (Stage::NotifyIdentity, Test::Always),
    (Stage::NotifyIds, Test::Always),
];

/// Stops once a fact makes the kernel's answer wrong.
const OWNERSHIP: &[(Stage, Test)] = &[(Stage::Ownership, Test::Always)];

/// Looks at an inode: stops once a fact makes the kernel's answer wrong, or tells a listener where there is one.
const LOOK: &[(Stage, Test)] =
    &[(Stage::Ownership, Test::Always), (Stage::Notify, Test::Always), (Stage::NotifyIdentity, Test::Always)];

/// The same where the name itself is looked at, no link followed: that is told from the start where most files are others'.
const LOOK_AT_NAME: &[(Stage, Test)] = &look_at_name(Test::Always);

/// The same of a call that has flags in this argument.
const fn look_at(flags: u8) -> [(Stage, Test); 4] {
    look_at_name(Test::AnyBits { arg: flags, mask: AT_SYMLINK_NOFOLLOW })
}

/// So look those who care for owners, and copy them: ls, cp, tar, find, rsync. Shells and others that look for programs and
/// directories follow links; loaders and C libraries look at what they have opened. Were that told, all would begin later.
const fn look_at_name(test: Test) -> [(Stage, Test); 4] {
    [
        (Stage::Ownership, Test::Always),
        (Stage::Notify, Test::Always),
        (Stage::NotifyIdentity, Test::Always),
        (Stage::NotifyForeign, test),
    ]
}

/// Stops from the start; mostly the kernel does it, as a listener can say.
const SET_TIMES: &[(Stage, Test)] = &[(Stage::Base, Test::Always), (Stage::Notify, Test::Always)];

/// The same of what is given to root, by the arguments from this one on.
const fn giving(ids: u8) -> [(Stage, Test); 2] {
    [(Stage::Base, Test::Always), (Stage::Notify, Test::ToRoot { ids })]
}

/// Stops where it is to be told in the end what still exists, and for the rights to a name.
const REMOVAL: &[(Stage, Test)] = &[(Stage::Removal, Test::Always), (Stage::Identity, Test::Always)];

/// Stops once there may be device nodes.
const DEVICES: &[(Stage, Test)] = &[(Stage::Devices, Test::Always)];

/// Stops as soon as either stage is up: permission checks and new files.
const IDENTITY_AND_OWNERSHIP: &[(Stage, Test)] =
    &[(Stage::Identity, Test::Always), (Stage::Ownership, Test::Always)];

/// The same for names that are made: the kernel mostly makes them as they are to be, as a listener can say.
const MAKE: &[(Stage, Test)] =
    &[(Stage::Identity, Test::Always), (Stage::Ownership, Test::Always), (Stage::Notify, Test::Always)];

/// Every operation.
#[rustfmt::skip]
pub const TABLE: &[Operation] = &[
    // User and group ids.
    markable(row("setuid", [105, 213, 146], ids::setuid::<Wide>, BASE)),
    markable(row("setuid16", [-1, 23, -1], ids::setuid::<Narrow>, BASE)),
    markable(row("setgid", [106, 214, 144], ids::setgid::<Wide>, BASE)),
    markable(row("setgid16", [-1, 46, -1], ids::setgid::<Narrow>, BASE)),
    markable(row("setreuid", [113, 203, 145], ids::setreuid::<Wide>, BASE)),
    markable(row("setreuid16", [-1, 70, -1], ids::setreuid::<Narrow>, BASE)),
    markable(row("setregid", [114, 204, 143], ids::setregid::<Wide>, BASE)),
    markable(row("setregid16", [-1, 71, -1], ids::setregid::<Narrow>, BASE)),
    markable(row("setresuid", [117, 208, 147], ids::setresuid::<Wide>, BASE)),
    markable(row("setresuid16", [-1, 164, -1], ids::setresuid::<Narrow>, BASE)),
    markable(row("setresgid", [119, 210, 149], ids::setresgid::<Wide>, BASE)),
    markable(row("setresgid16", [-1, 170, -1], ids::setresgid::<Narrow>, BASE)),
    markable(row("setfsuid", [122, 215, 151], ids::setfsuid::<Wide>, BASE)),
    markable(row("setfsuid16", [-1, 138, -1], ids::setfsuid::<Narrow>, BASE)),
    markable(row("setfsgid", [123, 216, 152], ids::setfsgid::<Wide>, BASE)),
    markable(row("setfsgid16", [-1, 139, -1], ids::setfsgid::<Narrow>, BASE)),
    markable(row("getuid", [102, 199, 174], ids::getuid::<Wide>, ASK)),
    markable(row("getuid16", [-1, 24, -1], ids::getuid::<Narrow>, ASK)),
    markable(row("geteuid", [107, 201, 175], ids::geteuid::<Wide>, ASK)),
    markable(row("geteuid16", [-1, 49, -1], ids::geteuid::<Narrow>, ASK)),
    markable(row("getgid", [104, 200, 176], ids::getgid::<Wide>, ASK)),
    markable(row("getgid16", [-1, 47, -1], ids::getgid::<Narrow>, ASK)),
    markable(row("getegid", [108, 202, 177], ids::getegid::<Wide>, ASK)),
    markable(row("getegid16", [-1, 50, -1], ids::getegid::<Narrow>, ASK)),
    markable(row("getresuid", [118, 209, 148], ids::getresuid::<Wide>, ASK)),
    markable(row("getresuid16", [-1, 165, -1], ids::getresuid::<Narrow>, ASK)),
    markable(row("getresgid", [120, 211, 150], ids::getresgid::<Wide>, ASK)),
    markable(row("getresgid16", [-1, 171, -1], ids::getresgid::<Narrow>, ASK)),
    // Groups.
    markable(row("setgroups", [116, 206, 159], groups::setgroups::<Wide>, BASE)),
    markable(row("setgroups16", [-1, 81, -1], groups::setgroups::<Narrow>, BASE)),
    asking(row("getgroups", [115, 205, 158], groups::getgroups::<Wide>, BASE)),
    asking(row("getgroups16", [-1, 80, -1], groups::getgroups::<Narrow>, BASE)),
    // Capabilities and prctl.
    markable(row("capset", [126, 185, 91], capabilities::capset, BASE)),
    asking(row("capget", [125, 184, 90], capabilities::capget, BASE)),
    markable(row("prctl", [157, 172, 167], prctl::prctl, prctl::STOPS)),
    row("execve", [59, 11, 221], exec::execve, IDENTITY),
    row("execveat", [322, 358, 281], exec::execveat, IDENTITY),
    // Owners of files.
    changing(row("chown", [92, 212, -1], chown::chown::<Wide>, &giving(1))),
    changing(row("chown16", [-1, 182, -1], chown::chown::<Narrow>, BASE)),
    changing(row("lchown", [94, 198, -1], chown::lchown::<Wide>, &giving(1))),
    changing(row("lchown16", [-1, 16, -1], chown::lchown::<Narrow>, BASE)),
    changing(row("fchown", [93, 207, 55], chown::fchown::<Wide>, &giving(1))),
    changing(row("fchown16", [-1, 95, -1], chown::fchown::<Narrow>, BASE)),
    changing(row("fchownat", [260, 298, 54], chown::fchownat, &giving(2))),
    // Attributes of files.
    markable(row("stat", [4, 106, -1], stat::stat, LOOK)),
    markable(row("lstat", [6, 107, -1], stat::lstat, LOOK_AT_NAME)),
    markable(row("fstat", [5, 108, 80], stat::fstat, LOOK)),
    markable(row("newfstatat", [262, 300, 79], stat::newfstatat, &look_at(3))),
    markable(row("stat64", [-1, 195, -1], stat::stat64, LOOK)),
    markable(row("lstat64", [-1, 196, -1], stat::lstat64, LOOK_AT_NAME)),
    markable(row("fstat64", [-1, 197, -1], stat::fstat64, LOOK)),
    markable(row("oldstat", [-1, 18, -1], stat::oldstat, LOOK)),
    markable(row("oldlstat", [-1, 84, -1], stat::oldlstat, LOOK_AT_NAME)),
    markable(row("oldfstat", [-1, 28, -1], stat::oldfstat, LOOK)),
    markable(row("statx", [332, 383, 291], statx::statx, &look_at(2))),
    changing(row("chmod", [90, 15, -1], chmod::chmod, BASE)),
    changing(row("fchmod", [91, 94, 52], chmod::fchmod, BASE)),
    changing(row("fchmodat", [268, 306, 53], chmod::fchmodat, BASE)),
    changing(row("fchmodat2", [452, 452, 452], chmod::fchmodat2, BASE)),
    markable(row("utime", [132, 30, -1], utimes::set::<{ utimes::SECONDS }>, SET_TIMES)),
    markable(row("utimes", [235, 271, -1], utimes::set::<{ utimes::MICROSECONDS }>, SET_TIMES)),
    markable(row("futimesat", [261, 299, -1], utimes::set::<{ utimes::MICROSECONDS_AT }>, SET_TIMES)),
    markable(row("utimensat", [280, 320, 88], utimes::set::<{ utimes::NANOSECONDS }>, SET_TIMES)),
    markable(row("utimensat_time64", [-1, 412, -1], utimes::set::<{ utimes::NANOSECONDS64 }>, SET_TIMES)),
    markable(row("ioctl", [16, 54, 29], flags::ioctl, flags::STOPS)),
    row("file_getattr", [468, 468, 468], flags::file_getattr, OWNERSHIP),
    markable(row("file_setattr", [469, 469, 469], flags::file_setattr, BASE)),
    changing(row("setxattr", [188, 226, 5], xattr::set::<{ xattr::PATH }>, BASE)),
    changing(row("lsetxattr", [189, 227, 6], xattr::set::<{ xattr::LINK }>, BASE)),
    changing(row("fsetxattr", [190, 228, 7], xattr::set::<{ xattr::DESCRIPTOR }>, BASE)),
    markable(row("getxattr", [191, 229, 8], xattr::get::<{ xattr::PATH }>, LOOK)),
    markable(row("lgetxattr", [192, 230, 9], xattr::get::<{ xattr::LINK }>, LOOK)),
    markable(row("fgetxattr", [193, 231, 10], xattr::get::<{ xattr::DESCRIPTOR }>, LOOK)),
    changing(row("removexattr", [197, 235, 14], xattr::remove::<{ xattr::PATH }>, BASE)),
    changing(row("lremovexattr", [198, 236, 15], xattr::remove::<{ xattr::LINK }>, BASE)),
    changing(row("fremovexattr", [199, 237, 16], xattr::remove::<{ xattr::DESCRIPTOR }>, BASE)),
    markable(row("listxattr", [194, 232, 11], xattr::list::<{ xattr::PATH }>, LOOK)),
    markable(row("llistxattr", [195, 233, 12], xattr::list::<{ xattr::LINK }>, LOOK)),
    markable(row("flistxattr", [196, 234, 13], xattr::list::<{ xattr::DESCRIPTOR }>, LOOK)),
    markable_above(2, row("setxattrat", [463, 463, 463], xattr::set::<{ xattr::AT }>, BASE)),
    markable_above(2, row("getxattrat", [464, 464, 464], xattr::get::<{ xattr::AT }>, OWNERSHIP)),
    markable(row("listxattrat", [465, 465, 465], xattr::list::<{ xattr::AT }>, LOOK)),
    markable(row("removexattrat", [466, 466, 466], xattr::remove::<{ xattr::AT }>, BASE)),
    // New files.
    markable(row("open", [2, 5, -1], create::open::<CWD, 0, 2>, create::OPEN_STOPS)),
    markable(row("openat", [257, 295, 56], create::open::<0, 1, 3>, create::OPENAT_STOPS)),
    row("openat2", [437, 437, 437], create::openat2, create::ALL_STOPS),
    markable(row("creat", [85, 8, -1], create::creat, create::ALL_STOPS)),
    markable(row("mkdir", [83, 39, -1], create::mkdir::<CWD, 0>, MAKE)),
    markable(row("mkdirat", [258, 296, 34], create::mkdir::<0, 1>, MAKE)),
    markable(row("symlink", [88, 83, -1], create::make::<CWD, 1>, MAKE)),
    markable(row("symlinkat", [266, 304, 36], create::make::<1, 2>, MAKE)),
    markable(row("mknod", [133, 14, -1], mknod::mknod::<CWD, 0>, mknod::STOPS)),
    markable(row("mknodat", [259, 297, 33], mknod::mknod::<0, 1>, mknod::STOPS_AT)),
    row("bind", [49, 361, 200], bind::bind, IDENTITY_AND_OWNERSHIP),
    row("socketcall", [-1, 102, -1], bind::socketcall, bind::SOCKETCALL_STOPS),
    // Names that come and go.
    row("link", [86, 9, -1], link::link, REMOVAL),
    row("linkat", [265, 303, 37], link::linkat, REMOVAL),
    row("unlink", [87, 10, -1], removal::unlink, REMOVAL),
    row("rmdir", [84, 40, -1], removal::rmdir, REMOVAL),
    row("unlinkat", [263, 301, 35], removal::unlinkat, REMOVAL),
    row("rename", [82, 38, -1], removal::rename, REMOVAL),
    row("renameat", [264, 302, 38], removal::renameat, REMOVAL),
    row("renameat2", [316, 353, 276], removal::renameat2, REMOVAL),
    row("epoll_ctl", [233, 255, 21], mounted::watched, mounted::WATCH_STOPS),
    // What a directory lists, and what can be cut short.
    row("getdents", [78, 141, -1], list::getdents, DEVICES),
    markable(row("getdents64", [217, 220, 61], list::getdents64, DEVICES)),
    row("truncate", [76, 92, 45], device::truncate, DEVICES),
    row("truncate64", [-1, 193, -1], device::truncate, DEVICES),
    // What the tracer narrows for the moment of a wake-up: a look at it waits until it is back.
    asking(row("sched_setaffinity", [203, 241, 122], placed::run, BASE)),
    asking(row("sched_getaffinity", [204, 242, 123], placed::run, BASE)),
    // What gives tasks another root or namespace, which paths and ids depend on.
    markable(row("mount", [165, 21, 40], mount::mount, BASE)),
    markable(row("fsopen", [430, 430, 430], fsconfig::fsopen, BASE)),
    markable(row("fsconfig", [431, 431, 431], fsconfig::fsconfig, BASE)),
    markable(row("fsmount", [432, 432, 432], fsconfig::fsmount, BASE)),
    markable(row("umount2", [166, 52, 39], mount::umount, BASE)),
    markable(row("umount", [-1, 22, -1], mount::umount, BASE)),
    markable(row("chroot", [161, 61, 51], moves::moves, BASE)),
    markable(row("pivot_root", [155, 217, 41], moves::moves, BASE)),
    markable(row("setns", [308, 346, 268], moves::setns, BASE)),
    markable(row("unshare", [272, 310, 97], moves::moves, moves::UNSHARE_STOPS)),
    // What is done to mappings. By munmap the tracer has a process ask its listener, too.
    asking(row("munmap", [11, 91, 215], mappings::munmap, UNMAPPING)),
    asking(row("mprotect", [10, -1, -1], mappings::mprotect, mappings::PROTECT_STOPS)),
    asking(row("pkey_mprotect", [329, -1, -1], mappings::pkey_mprotect, mappings::PROTECT_STOPS)),
    asking(row("mremap", [25, -1, -1], mappings::mremap, mappings::REMAP_STOPS)),
    Operation { tried: Tried::Always, ..markable_above(4, row("mmap", [9, -1, -1], mappings::mmap, mappings::MAP_STOPS)) },
    asking(row("madvise", [28, -1, -1], mappings::madvise, mappings::STOPS)),
    // How many tasks a user may have.
    markable(row("setrlimit", [160, 75, 164], limits::set, limits::SET_STOPS)),
    markable(row("getrlimit", [97, 76, 163], limits::get, limits::GET_STOPS)),
    markable(row("ugetrlimit", [-1, 191, -1], limits::get_unsigned, limits::GET_STOPS)),
    markable(row("prlimit64", [302, 340, 261], limits::prlimit, limits::PRLIMIT_STOPS)),
    row("fork", [57, 2, -1], limits::birth, limits::BIRTH_STOPS),
    row("vfork", [58, 190, -1], limits::birth, limits::BIRTH_STOPS),
    // What nothing replaces.
    markable(row("init_module", [175, 128, 105], watched::run, watched::STOPS)),
    markable(row("finit_module", [313, 350, 273], watched::run, watched::STOPS)),
    markable(row("delete_module", [176, 129, 106], watched::run, watched::STOPS)),
    markable(row("swapon", [167, 87, 224], watched::run, watched::STOPS)),
    markable(row("swapoff", [168, 115, 225], watched::run, watched::STOPS)),
    markable(row("reboot", [169, 88, 142], watched::run, watched::STOPS)),
    markable(row("kexec_load", [246, 283, 104], watched::run, watched::STOPS)),
    markable(row("settimeofday", [164, 79, 170], watched::run, watched::STOPS)),
    markable(row("clock_settime", [227, 264, 112], watched::run, watched::STOPS)),
    markable(row("sethostname", [170, 74, 161], watched::run, watched::STOPS)),
    markable(row("setdomainname", [171, 121, 162], watched::run, watched::STOPS)),
    markable(row("acct", [163, 51, 89], watched::run, watched::STOPS)),
    markable(row("iopl", [172, 110, -1], watched::run, watched::STOPS)),
    markable(row("ioperm", [173, 101, -1], watched::run, watched::STOPS)),
    // Sandboxes and what is refused.
    markable(row("seccomp", [317, 354, 277], sandbox::seccomp, sandbox::STOPS)),
    // What is born has the registers of who made it: there must be no mark.
    row("clone", [56, 120, 220], refused::clone, refused::CLONE_STOPS),
    Operation { tried: Tried::Untold, ..row("clone3", [435; 3], refused::clone3, refused::CLONE3_STOPS) },
    markable(row("kill", [62, 37, 129], kill::kill, kill::STOPS)),
    markable(row("io_uring_setup", [425, 425, 425], refused::io_uring_setup, BASE)),
];

/// The arguments of a call that a tracee is made to execute, such that no listener is told of it.
pub fn marked(abi: Abi, number: u32, args: [u64; 6]) -> [u64; 6] {
    lookup(abi, number).and_then(|operation| operation.room).map_or(args, |room| room.mark(args))
}

/// The operation with this number in this ABI, in constant time.
pub fn lookup(abi: Abi, number: u32) -> Option<&'static Operation> {
    static ROWS: [[u16; NUMBERS]; 3] = [rows(Abi::X86_64), rows(Abi::I386), rows(Abi::Aarch64)];
    let [x86_64, i386, aarch64] = &ROWS;
    let rows = match abi {
        Abi::X86_64 => x86_64,
        Abi::I386 => i386,
        Abi::Aarch64 => aarch64,
    };
    TABLE.get(usize::from(*rows.get(number as usize)?))
}

/// Numbers the index has room for; the build fails when a row's is higher.
const NUMBERS: usize = 512;

/// For every number of `abi` the row that describes it, or one past the last.
#[expect(clippy::indexing_slicing, reason = "runs when the crate is built, and fails the build")]
const fn rows(abi: Abi) -> [u16; NUMBERS] {
    let mut rows = [TABLE.len() as u16; NUMBERS];
    let mut row = TABLE.len();
    while row > 0 {
        row -= 1;
        if let Some(number) = TABLE[row].numbers.of(abi) {
            rows[number as usize] = row as u16;
        }
    }
    rows
}

/// The table for people: a line per operation with its numbers, and which calls stop in which stage.
pub fn listing() -> String {
    let number = |number: Option<u32>| number.map_or_else(|| "-".to_owned(), |number| number.to_string());
    let mut text = format!("{:<22}{:>7}{:>6}{:>9}  {}\n", "operation", "x86_64", "i386", "aarch64", "stops");
    for Operation { name, numbers, stops, .. } in TABLE {
        let stops: Vec<String> = stops.iter().map(|(stage, test)| format!("{stage}: {test}")).collect();
        let [x86_64, i386, aarch64] = [numbers.x86_64, numbers.i386, numbers.aarch64].map(number);
        text += &format!("{name:<22}{x86_64:>7}{i386:>6}{aarch64:>9}  {}\n", stops.join("; "));
    }
    text
}

#[cfg(test)]
mod tests;
