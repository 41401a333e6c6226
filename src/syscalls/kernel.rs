//! The kernel calls that remainroot makes a tracee execute in place of, or beside, its own.

use crate::abi::{KernelCall, Numbers};

macro_rules! calls {
    ($($(#[$doc:meta])* $constant:ident = $name:literal, $x86_64:literal, $i386:literal, $aarch64:literal;)*) => {
        $($(#[$doc])* pub const $constant: KernelCall = KernelCall {
            name: $name,
            numbers: Numbers { x86_64: Some($x86_64), i386: Some($i386), aarch64: Some($aarch64) },
        };)*

        /// All of them.
        pub const ALL: &[KernelCall] = &[$($constant),*];
    };
}

calls! {
    /// statx(2).
    STATX = "statx", 332, 383, 291;
    /// fchownat(2).
    FCHOWNAT = "fchownat", 260, 298, 54;
    /// fchown(2); on i386 the 32-bit form.
    FCHOWN = "fchown", 93, 207, 55;
    /// fchmodat(2).
    FCHMODAT = "fchmodat", 268, 306, 53;
    /// fchmod(2).
    FCHMOD = "fchmod", 91, 94, 52;
    /// fchmodat2(2), Linux 6.6: only ever in place of the guest's own.
    FCHMODAT2 = "fchmodat2", 452, 452, 452;
    /// fstatfs(2); on i386 `fstatfs64`.
    FSTATFS = "fstatfs", 138, 269, 44;
    /// ioctl(2).
    IOCTL = "ioctl", 16, 54, 29;
    /// file_getattr(2), Linux 6.17: like the next only ever in place of the guest's own.
    FILE_GETATTR = "file_getattr", 468, 468, 468;
    /// file_setattr(2).
    FILE_SETATTR = "file_setattr", 469, 469, 469;
    /// fcntl(2).
    FCNTL = "fcntl", 72, 55, 25;
    /// setxattr(2).
    SETXATTR = "setxattr", 188, 226, 5;
    /// lsetxattr(2).
    LSETXATTR = "lsetxattr", 189, 227, 6;
    /// fsetxattr(2).
    FSETXATTR = "fsetxattr", 190, 228, 7;
    /// getxattr(2).
    GETXATTR = "getxattr", 191, 229, 8;
    /// lgetxattr(2).
    LGETXATTR = "lgetxattr", 192, 230, 9;
    /// fgetxattr(2).
    FGETXATTR = "fgetxattr", 193, 231, 10;
    /// listxattr(2).
    LISTXATTR = "listxattr", 194, 232, 11;
    /// llistxattr(2).
    LLISTXATTR = "llistxattr", 195, 233, 12;
    /// flistxattr(2).
    FLISTXATTR = "flistxattr", 196, 234, 13;
    /// removexattr(2).
    REMOVEXATTR = "removexattr", 197, 235, 14;
    /// lremovexattr(2).
    LREMOVEXATTR = "lremovexattr", 198, 236, 15;
    /// fremovexattr(2).
    FREMOVEXATTR = "fremovexattr", 199, 237, 16;
    /// setxattrat(2), Linux 6.13, as the next three.
    SETXATTRAT = "setxattrat", 463, 463, 463;
    /// getxattrat(2).
    GETXATTRAT = "getxattrat", 464, 464, 464;
    /// listxattrat(2).
    LISTXATTRAT = "listxattrat", 465, 465, 465;
    /// removexattrat(2).
    REMOVEXATTRAT = "removexattrat", 466, 466, 466;
    /// openat(2).
    OPENAT = "openat", 257, 295, 56;
    /// openat2(2), Linux 5.6: only ever in place of the guest's own.
    OPENAT2 = "openat2", 437, 437, 437;
    /// close(2).
    CLOSE = "close", 3, 6, 57;
    /// unlinkat(2).
    UNLINKAT = "unlinkat", 263, 301, 35;
    /// renameat2(2).
    RENAMEAT2 = "renameat2", 316, 353, 276;
    /// linkat(2).
    LINKAT = "linkat", 265, 303, 37;
    /// mount(2).
    MOUNT = "mount", 165, 21, 40;
    /// fsconfig(2), Linux 5.2: only ever in place of the guest's own, or beside it.
    FSCONFIG = "fsconfig", 431, 431, 431;
    /// mknodat(2).
    MKNODAT = "mknodat", 259, 297, 33;
    /// ftruncate(2).
    FTRUNCATE = "ftruncate", 77, 93, 46;
    /// dup3(2).
    DUP3 = "dup3", 292, 330, 24;
    /// socketpair(2).
    SOCKETPAIR = "socketpair", 53, 360, 199;
    /// recvmsg(2).
    RECVMSG = "recvmsg", 47, 372, 212;
    /// newfstatat, fstatat(2); on i386 `fstatat64`.
    NEWFSTATAT = "newfstatat", 262, 300, 79;
    /// getuid(2).
    GETUID = "getuid", 102, 199, 174;
    /// mmap(2); on i386 `mmap2`.
    MMAP = "mmap", 9, 192, 222;
    /// munmap(2).
    MUNMAP = "munmap", 11, 91, 215;
    /// mprotect(2).
    MPROTECT = "mprotect", 10, 125, 226;
    /// pkey_mprotect(2).
    PKEY_MPROTECT = "pkey_mprotect", 329, 380, 288;
    /// madvise(2).
    MADVISE = "madvise", 28, 219, 233;
    /// clone(2).
    CLONE = "clone", 56, 120, 220;
    /// clone3(2).
    CLONE3 = "clone3", 435, 435, 435;
    /// seccomp(2).
    SECCOMP = "seccomp", 317, 354, 277;
    /// prctl(2).
    PRCTL = "prctl", 157, 172, 167;
    /// getpid(2): the call that does nothing.
    GETPID = "getpid", 39, 20, 172;
    /// kill(2).
    KILL = "kill", 62, 37, 129;
    /// gettid(2): the task's id in its own pid namespace.
    GETTID = "gettid", 186, 224, 178;
}
