//! What may be told of a run: one event each.

use std::sync::Arc;
use std::time::Duration;

use crate::abi::{DeviceNumber, SysResult};
use crate::cred::Credentials;
use crate::sys::Tid;

/// Something that happened to a task.
#[derive(Debug, Clone)]
pub struct Event {
    /// When, since 1970.
    pub at: Duration,
    /// To which task.
    pub tid: Tid,
    /// Of which process.
    pub tgid: Tid,
    /// The name of its program (`/proc/PID/comm`), as [`super::words::shown`] makes it.
    pub program: String,
    /// What happened.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum What {
    /// A call was answered.
    Call(Box<Answered>),
    /// It was born, or is followed from now on.
    Born {
        /// The process that made it, where that is known.
        parent: Option<Tid>,
    },
    /// It runs another program.
    Exec {
        /// The file of the image.
        path: Vec<u8>,
        /// Its arguments, the first few.
        words: Vec<Vec<u8>>,
        /// Who it was, and is.
        credentials: [Arc<Credentials>; 2],
        /// Its root directory, where that is not the tracer's.
        root: Option<Vec<u8>>,
    },
    /// It has ended, with this wait status.
    Ended(i32),
    /// The run is in another mode from now on.
    Mode(String),
}

/// Which way a call was answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Way {
    /// At a stop of ptrace(2).
    Stop,
    /// By a listener (seccomp_unotify(2)).
    Notification,
}

impl Way {
    /// Its name for people.
    pub const fn name(self) -> &'static str {
        match self {
            Way::Stop => "ptrace",
            Way::Notification => "notification",
        }
    }
}

/// A call that was answered.
#[derive(Debug, Clone)]
pub struct Answered {
    /// Its name.
    pub name: &'static str,
    /// Its arguments in strace's notation.
    pub args: String,
    /// What kind of call it is.
    pub kind: Kind,
    /// What the task got; `None` where the kernel was left to say so.
    pub result: Option<SysResult>,
    /// Whether the kernel ran the call as it was.
    pub by_kernel: bool,
    /// How the answer came.
    pub way: Way,
    /// What it is about, by a path of the tracer's.
    pub object: Option<Vec<u8>>,
    /// Which inode that is.
    pub inode: Option<Inode>,
    /// What it changes of that.
    pub effect: Option<Effect>,
    /// Who the task was before, and is now.
    pub credentials: [Arc<Credentials>; 2],
    /// Its root directory, where that is not the tracer's.
    pub root: Option<Vec<u8>>,
    /// From when it began to wait to when it went on.
    pub took: Duration,
    /// How long of that the tracer made it wait.
    pub waited: Duration,
}

impl Answered {
    /// Whether the task was refused what it asked for, for lack of a right.
    pub fn is_refused(&self) -> bool {
        use crate::abi::Errno;
        matches!(self.result, Some(Err(Errno::EPERM | Errno::EACCES)))
    }
}

/// Device and number of an inode, and its birth: numbers are used again.
pub type Inode = (u64, u64, i128);

/// Kinds of calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// Looks at something.
    Look,
    /// Changes something that remainroot remembers.
    Change,
    /// Asks the kernel for something that only its own privilege gives.
    Privileged,
    /// Is there for the tracer's own sake.
    Inner,
}

/// What a call changes of an inode.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Its owner and group; `None` leaves them.
    Owner(Option<u32>, Option<u32>),
    /// Its permission bits.
    Mode(u32),
    /// It is made, as this device.
    Node(u32, DeviceNumber),
    /// It is given these capabilities.
    Capabilities(String),
    /// It is given an attribute of this name.
    Attribute(Vec<u8>),
}
