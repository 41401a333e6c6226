//! Capabilities, their sets, and the securebits.

/// One capability of capabilities(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cap(u8);

macro_rules! capabilities {
    ($($name:ident = $number:literal;)*) => {
        impl Cap {
            $(#[doc = concat!("`CAP_", stringify!($name), "`.")] pub const $name: Cap = Cap($number);)*
        }
    };
}

capabilities! {
    CHOWN = 0;
    DAC_OVERRIDE = 1;
    DAC_READ_SEARCH = 2;
    FOWNER = 3;
    FSETID = 4;
    KILL = 5;
    SETGID = 6;
    SETUID = 7;
    SETPCAP = 8;
    LINUX_IMMUTABLE = 9;
    NET_BIND_SERVICE = 10;
    NET_BROADCAST = 11;
    NET_ADMIN = 12;
    NET_RAW = 13;
    IPC_LOCK = 14;
    IPC_OWNER = 15;
    SYS_MODULE = 16;
    SYS_RAWIO = 17;
    SYS_CHROOT = 18;
    SYS_PTRACE = 19;
    SYS_PACCT = 20;
    SYS_ADMIN = 21;
    SYS_BOOT = 22;
    SYS_NICE = 23;
    SYS_RESOURCE = 24;
    SYS_TIME = 25;
    SYS_TTY_CONFIG = 26;
    MKNOD = 27;
    LEASE = 28;
    AUDIT_WRITE = 29;
    AUDIT_CONTROL = 30;
    SETFCAP = 31;
    MAC_OVERRIDE = 32;
    MAC_ADMIN = 33;
    SYSLOG = 34;
    WAKE_ALARM = 35;
    BLOCK_SUSPEND = 36;
    AUDIT_READ = 37;
    PERFMON = 38;
    BPF = 39;
    CHECKPOINT_RESTORE = 40;
}

impl Cap {
    /// `CAP_LAST_CAP` of Linux 5.9 to 6.18 (linux/capability.h).
    pub const LAST: Cap = Cap::CHECKPOINT_RESTORE;

    /// Reads a syscall argument as `cap_valid` does: `None` past [`Cap::LAST`].
    pub const fn from_arg(arg: u64) -> Option<Cap> {
        if arg <= Cap::LAST.0 as u64 { Some(Cap(arg as u8)) } else { None }
    }
}

/// A set of capabilities: bit *n* is capability number *n* of capabilities(7).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct CapSet(pub u64);

impl CapSet {
    /// No capability.
    pub const EMPTY: CapSet = CapSet(0);
    /// Every capability there is (`CAP_VALID_MASK`).
    pub const FULL: CapSet = CapSet((2 << Cap::LAST.0) - 1);
    /// What the fsuid decides (`CAP_FS_SET`): lost and regained when it leaves and becomes root's.
    pub const FS: CapSet = CapSet::of(&[
        Cap::CHOWN,
        Cap::DAC_OVERRIDE,
        Cap::DAC_READ_SEARCH,
        Cap::FOWNER,
        Cap::FSETID,
        Cap::LINUX_IMMUTABLE,
        Cap::MKNOD,
        Cap::MAC_OVERRIDE,
    ]);

    /// The set of these.
    pub const fn of(caps: &[Cap]) -> CapSet {
        let mut set = 0;
        let mut rest = caps;
        while let [Cap(number), tail @ ..] = rest {
            set |= 1 << *number;
            rest = tail;
        }
        CapSet(set)
    }

    /// Whether `cap` is in it (`cap_raised`).
    pub const fn has(self, cap: Cap) -> bool {
        self.0 >> cap.0 & 1 != 0
    }

    /// With `cap` (`cap_raise`).
    pub const fn with(self, cap: Cap) -> CapSet {
        CapSet(self.0 | 1 << cap.0)
    }

    /// Without `cap` (`cap_lower`).
    pub const fn without(self, cap: Cap) -> CapSet {
        CapSet(self.0 & !(1 << cap.0))
    }

    /// In both (`cap_intersect`).
    pub const fn and(self, other: CapSet) -> CapSet {
        CapSet(self.0 & other.0)
    }

    /// In either (`cap_combine`).
    pub const fn or(self, other: CapSet) -> CapSet {
        CapSet(self.0 | other.0)
    }

    /// In this and not in `other` (`cap_drop`).
    pub const fn minus(self, other: CapSet) -> CapSet {
        CapSet(self.0 & !other.0)
    }

    /// Whether all of it is in `other` (`cap_issubset`).
    pub const fn is_subset(self, other: CapSet) -> bool {
        self.minus(other).is_empty()
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// The securebits flags of capabilities(7), `SECBIT_*`; keepcaps is `SECBIT_KEEP_CAPS`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Securebits(pub u32);

impl Securebits {
    /// `SECBIT_NOROOT`: uid 0 gains nothing at exec.
    pub const NOROOT: Securebits = Securebits(1 << 0);
    /// `SECBIT_NO_SETUID_FIXUP`: changes of user ids leave the capabilities alone.
    pub const NO_SETUID_FIXUP: Securebits = Securebits(1 << 2);
    /// `SECBIT_KEEP_CAPS`: leaving uid 0 keeps the permitted set; cleared at exec.
    pub const KEEP_CAPS: Securebits = Securebits(1 << 4);
    /// `SECBIT_KEEP_CAPS_LOCKED`.
    pub const KEEP_CAPS_LOCKED: Securebits = Securebits(1 << 5);
    /// `SECBIT_NO_CAP_AMBIENT_RAISE`.
    pub const NO_CAP_AMBIENT_RAISE: Securebits = Securebits(1 << 6);
    /// `SECURE_ALL_BITS` of Linux 6.14 and newer: the four above and the two `SECBIT_EXEC_*`.
    pub const ALL: Securebits = Securebits(0x555);
    /// `SECURE_ALL_LOCKS`: each bit's lock is the next higher bit.
    pub const LOCKS: Securebits = Securebits(Securebits::ALL.0 << 1);
    /// What a task may change without privilege: `SECBIT_EXEC_RESTRICT_FILE`,
    /// `SECBIT_EXEC_DENY_INTERACTIVE` and their locks (`SECURE_ALL_UNPRIVILEGED`).
    pub const UNPRIVILEGED: Securebits = Securebits(0x500 | 0x500 << 1);

    /// Whether any of `bits` is set.
    pub const fn has(self, bits: Securebits) -> bool {
        self.0 & bits.0 != 0
    }

    /// With `bits`.
    pub const fn with(self, bits: Securebits) -> Securebits {
        Securebits(self.0 | bits.0)
    }

    /// Without `bits`.
    pub const fn without(self, bits: Securebits) -> Securebits {
        Securebits(self.0 & !bits.0)
    }
}
