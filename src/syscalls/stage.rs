//! Stages: which syscalls stop, and since when.

use std::fmt;

use crate::abi::window;

/// A filter that is stacked on a process; see DESIGN, "Stages".
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Stage {
    /// From the start, every process: what the kernel would refuse or get wrong.
    Base,
    /// A process whose credentials differ from what the kernel reports, and its descendants.
    Identity,
    /// Every process, from the first fact that makes a stat lie.
    Ownership,
    /// Every process, where it is to be told in the end what still exists: what takes names away.
    Removal,
    /// Every process, from the first device node: what it opens to write may be one, and what a
    /// directory lists.
    Devices,
    /// Who may open a node to read that reads otherwise than the empty file which stands for it.
    Reading,
    /// A process that has looked at many inodes, and its descendants: what only looks is answered by user notification
    /// (seccomp_unotify(2)) instead of a stop.
    Notify,
    /// The same for one whose credentials differ from what the kernel reports: these are told so too.
    NotifyIdentity,
    /// Only these, as long as nothing is known that makes a look wrong.
    NotifyIds,
    /// A process that has set how many tasks its user may have, and its descendants: what tells that, and births.
    Limits,
    /// A process that is attached to on demand, and its descendants: what stops in the base stage is told instead.
    NotifyBase,
    /// The same where most files are those of ids that the namespace lacks, which the kernel shows as nobody's: looks are
    /// told too.
    NotifyForeign,
    /// No filter of its own: what the first filter of a run stops as well where what happens is told to people.
    Watched,
}

impl Stage {
    /// All stages that have a filter, in the order of their bits.
    pub const ALL: [Stage; 12] = [
        Stage::Base,
        Stage::Identity,
        Stage::Ownership,
        Stage::Removal,
        Stage::Devices,
        Stage::Reading,
        Stage::Notify,
        Stage::NotifyIdentity,
        Stage::NotifyIds,
        Stage::Limits,
        Stage::NotifyBase,
        Stage::NotifyForeign,
    ];

    /// Whether the filter of this stage refuses calls that no row can describe: one is on every process.
    pub fn refuses(self) -> bool {
        self == Stage::Base || Stages::FIRST.contains(self)
    }

    /// The name DESIGN gives it.
    const fn name(self) -> &'static str {
        match self {
            Stage::Base => "base",
            Stage::Identity => "identity",
            Stage::Ownership => "ownership",
            Stage::Removal => "removal",
            Stage::Devices => "devices",
            Stage::Reading => "reading",
            Stage::Notify => "notify",
            Stage::NotifyIdentity => "notify-identity",
            Stage::NotifyIds => "notify-ids",
            Stage::Limits => "limits",
            Stage::NotifyBase => "notify-base",
            Stage::NotifyForeign => "notify-foreign",
            Stage::Watched => "watched",
        }
    }

    /// The set that holds only this stage.
    pub const fn only(self) -> Stages {
        Stages(1 << self as u16)
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// A set of stages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub struct Stages(u16);

impl Stages {
    /// No stage.
    pub const NONE: Stages = Stages(0);
    /// Every stage that has a filter.
    pub const ALL: Stages = Stages(4095);
    /// What a process gets that may not load a filter later.
    pub const LASTING: Stages = Stages::ALL.minus(Stages::LISTENING);
    /// Those with a listener, of which a process has one at most.
    pub const LISTENING: Stages = Stage::Notify
        .only()
        .union(Stage::NotifyIdentity.only())
        .union(Stage::NotifyIds.only())
        .union(Stages::FIRST);

    /// Those whose listener is told of looks.
    pub const LOOKING: Stages = Stages::LISTENING.minus(Stages::FIRST);

    /// Those that a run begins with which is attached to on demand.
    pub const FIRST: Stages = Stage::NotifyBase.only().union(Stage::NotifyForeign.only());

    /// Whether the set holds `stage`.
    pub const fn contains(self, stage: Stage) -> bool {
        self.0 & stage.only().0 != 0
    }

    /// Whether the filters of these stages ask about a row of `row`'s.
    pub fn hold(self, row: Stage) -> bool {
        self.contains(row) || row == Stage::Base && self.is_first()
    }

    /// Whether one of them is the first of a run that is attached to on demand.
    pub const fn is_first(self) -> bool {
        self.0 & Stages::FIRST.0 != 0
    }

    /// Both sets together.
    pub const fn union(self, other: Stages) -> Stages {
        Stages(self.0 | other.0)
    }

    /// What is in this set and not in `other`.
    pub const fn minus(self, other: Stages) -> Stages {
        Stages(self.0 & !other.0)
    }

    /// What is in both sets.
    pub const fn common(self, other: Stages) -> Stages {
        Stages(self.0 & other.0)
    }

    /// Whether one of them has a listener.
    pub const fn listens(self) -> bool {
        self.0 & Stages::LISTENING.0 != 0
    }

    /// Whether it is empty.
    pub const fn is_empty(self) -> bool {
        self.0 == 0
    }
}

/// Ids that a namespace of one id knows, and "no change".
pub const ROOT_OR_NONE: &[u32] = &[0, u32::MAX];

/// Which calls of an operation stop, decided by the filter from the argument registers.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Test {
    /// Every call.
    Always,
    /// Calls whose 32-bit argument is one of these values.
    AnyOf {
        /// Index of the argument.
        arg: u8,
        /// The values.
        values: &'static [u32],
    },
    /// Calls whose 32-bit argument has one of these bits.
    AnyBits {
        /// Index of the argument.
        arg: u8,
        /// The bits.
        mask: u32,
    },
    /// Calls whose 32-bit argument has none of these bits.
    NoBits {
        /// Index of the argument.
        arg: u8,
        /// The bits.
        mask: u32,
    },
    /// Calls whose 32-bit argument has all of these bits.
    AllBits {
        /// Index of the argument.
        arg: u8,
        /// The bits.
        mask: u32,
    },
    /// Calls about a range of addresses that has some where a process may have what it answers itself by
    /// ([`window::meets`]).
    Meets {
        /// Index of the first address.
        start: u8,
        /// Index of the length.
        length: u8,
    },
    /// Of calls with one of these bits in a 32-bit argument those about such a range.
    Over {
        /// Index of the first address.
        start: u8,
        /// Index of the length.
        length: u8,
        /// Index of the argument with the bits.
        flags: u8,
        /// The bits.
        mask: u32,
    },
    /// Calls two of whose arguments are root's ids, or none: what the kernel can give by itself.
    ToRoot {
        /// Index of the user id; the group id follows.
        ids: u8,
    },
    /// Calls whose 32-bit argument has this value and that pass an address.
    Passes {
        /// Index of the argument.
        arg: u8,
        /// The value.
        value: u32,
        /// Index of the address.
        pointer: u8,
    },
    /// mknod of a device: file type `S_IFCHR` or `S_IFBLK`, except the character device 0:0, a
    /// whiteout, which needs no capability.
    DeviceNode {
        /// Index of the mode argument.
        mode: u8,
        /// Index of the device argument.
        dev: u8,
    },
}

impl Test {
    /// Whether a call with these arguments stops: the definition that the filter is compiled to.
    pub fn matches(&self, args: &[u64; 6]) -> bool {
        let arg = |index: u8| args.get(usize::from(index)).map_or(0, |&value| value as u32);
        match *self {
            Test::Always => true,
            Test::AnyOf { arg: index, values } => values.contains(&arg(index)),
            Test::AnyBits { arg: index, mask } => arg(index) & mask != 0,
            Test::NoBits { arg: index, mask } => arg(index) & mask == 0,
            Test::AllBits { arg: index, mask } => arg(index) & mask == mask,
            Test::Meets { start, length } => {
                let whole = |index: u8| args.get(usize::from(index)).copied().unwrap_or(0);
                window::meets(whole(start), whole(length))
            }
            Test::Over { start, length, flags, mask } => {
                arg(flags) & mask != 0 && Test::Meets { start, length }.matches(args)
            }
            Test::ToRoot { ids } => [ids, ids + 1].iter().all(|&id| ROOT_OR_NONE.contains(&arg(id))),
            Test::Passes { arg: index, value, pointer } => {
                arg(index) == value && args.get(usize::from(pointer)).is_some_and(|&pointer| pointer != 0)
            }
            Test::DeviceNode { mode, dev } => match arg(mode) & 0o170_000 {
                0o020_000 => arg(dev) != 0,
                0o060_000 => true,
                _ => false,
            },
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match *self {
            Test::Always => f.write_str("always"),
            Test::AnyOf { arg, values } => {
                let values: Vec<String> = values.iter().map(u32::to_string).collect();
                write!(f, "argument {arg} is one of {}", values.join(" "))
            }
            Test::AnyBits { arg, mask } => write!(f, "argument {arg} has a bit of {mask:#x}"),
            Test::NoBits { arg, mask } => write!(f, "argument {arg} has no bit of {mask:#x}"),
            Test::AllBits { arg, mask } => write!(f, "argument {arg} has all bits of {mask:#x}"),
            Test::Meets { start, .. } => {
                write!(f, "argument {start} begins a range that may be remainroot's")
            }
            Test::Over { start, flags, mask, .. } => {
                write!(f, "argument {flags} has a bit of {mask:#x} and argument {start} begins such a range")
            }
            Test::ToRoot { ids } => write!(f, "arguments {ids} and {} are 0 or -1", ids + 1),
            Test::Passes { arg, value, pointer } => {
                write!(f, "argument {arg} is {value} and argument {pointer} is not null")
            }
            Test::DeviceNode { mode, .. } => write!(f, "argument {mode} is the mode of a device"),
        }
    }
}
