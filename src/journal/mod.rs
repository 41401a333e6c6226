//! What happened in a run, for people: events, and the files that they are written to.
//!
//! Workers and listeners tell events where they make their verdicts; one thread writes them. Nobody waits for a file: events
//! go over a channel of bounded length, and what is not taken off it, or by a file, in time is left out and counted.
//!
//! - Told are the calls that remainroot answers, and those that only a privilege of the kernel's would allow, which the run's first
//!   filter stops as well then (`syscalls/watched.rs`). Not told are looks that a process answers itself (`worker/inside.rs`), what
//!   the kernel answers alone, and births, execs and ends of processes that nobody traces; for a timeline everybody is traced.
//! - What would have been changed inside a process is left to the tracer (`Ownership::have_changes_told`), so that no change is missing.
//! - Where a listener leaves a call to the kernel its result is not known: that is said.
//!
//! *Invariant:* nothing here changes what a guest sees. Where nothing was asked for there is no [`Journal`] at all.

mod event;
mod explain;
mod guest;
mod json;
mod outlet;
mod shapes;
mod text;
mod timeline;
mod words;
mod writer;

use event::{Answered, Effect, Event, Kind, What};
pub use event::{Inode, Way};
pub use outlet::Target;

use std::ffi::OsString;
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crossbeam_channel::{Sender, bounded};

use crate::abi::{Call, SysResult};
use crate::cred::{CapSet, Credentials};
use crate::sys::{self, Tid};
use crate::syscalls::Operation;
use shapes::Shape;
use writer::Item;

/// How many events may wait to be written.
const MOST: usize = 4096;
/// How long the command's end waits for the files of its run.
const PATIENCE: Duration = Duration::from_secs(10);
/// How long the tracer waits for its files once the last process has ended.
const LAST_PATIENCE: Duration = Duration::from_secs(60);

/// How a log is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// In strace's notation.
    Text,
    /// A JSON object a line.
    Json,
}

/// What is to be told, and where.
#[derive(Debug, Default)]
pub struct Wanted {
    /// Every event, while it happens.
    pub log: Option<(Target, Format)>,
    /// A trace of all processes.
    pub timeline: Option<Target>,
    /// What it comes to, when the command ends.
    pub explain: Option<Target>,
    /// Whether changes of the run's mode are said.
    pub modes: bool,
    /// The command, as it was given.
    pub command: Vec<OsString>,
}

impl Wanted {
    /// Whether calls are to be told.
    pub fn calls(&self) -> bool {
        self.log.is_some() || self.timeline.is_some() || self.explain.is_some()
    }

    /// The descriptors of its files.
    pub fn descriptors(&self) -> Vec<RawFd> {
        let log = self.log.as_ref().map(|(target, _)| target);
        [log, self.timeline.as_ref(), self.explain.as_ref()]
            .into_iter()
            .flatten()
            .map(Target::descriptor)
            .collect()
    }
}

/// Where events are told.
#[derive(Debug)]
pub struct Journal {
    outbox: Sender<Item>,
    /// How many did not fit there.
    left_out: Arc<AtomicU64>,
    calls: bool,
    lives: bool,
}

/// A call that is being answered.
#[derive(Debug)]
pub struct Noted {
    at: Duration,
    begun: Instant,
    waited: Duration,
    tid: Tid,
    name: &'static str,
    shape: Shape,
    args: String,
    object: Option<Vec<u8>>,
    effect: Option<Effect>,
    root: Option<Vec<u8>>,
    before: Arc<Credentials>,
    by_kernel: bool,
}

impl Noted {
    /// Whether its result is worth a stop where the kernel runs it as it is.
    pub fn wants_result(&self) -> bool {
        matches!(self.shape.kind, Kind::Change | Kind::Privileged)
    }

    /// What it is about, where it changes that.
    pub fn changes(&self) -> Option<&[u8]> {
        self.effect.as_ref()?;
        self.object.as_deref()
    }

    /// The task that makes it.
    pub fn tid(&self) -> Tid {
        self.tid
    }

    /// When its answer began to be made.
    pub fn begun(&self) -> Instant {
        self.begun
    }

    /// Who makes it.
    pub fn who(&self) -> Arc<Credentials> {
        Arc::clone(&self.before)
    }

    /// Whether the kernel runs it as it is.
    pub fn left_to_kernel(&mut self, is_left: bool) {
        self.by_kernel = is_left;
    }

    /// Whether the kernel runs the call unchanged.
    pub fn is_kernels(&self) -> bool {
        self.by_kernel
    }

    /// The tracer has made the task wait once more since then.
    pub fn waited_since(&mut self, since: Instant) {
        self.waited += since.elapsed();
    }
}

/// What came of a call.
#[derive(Debug)]
pub struct Outcome {
    /// The process.
    pub tgid: Tid,
    /// What the task gets; `None` where the kernel is left to say so.
    pub result: Option<SysResult>,
    /// Whether the kernel runs the call as it was.
    pub by_kernel: bool,
    /// How the answer came.
    pub way: Way,
    /// Who the task is now.
    pub after: Arc<Credentials>,
    /// Which inode was changed.
    pub inode: Option<Inode>,
}

impl Journal {
    /// Starts the thread that writes what is wanted, if anything is, and says what cannot be written.
    ///
    /// # Errors
    /// `EAGAIN` where no thread can be made.
    pub fn start(wanted: Wanted, roots: CapSet, say: fn(&str)) -> sys::Result<Option<Journal>> {
        let (calls, lives) = (wanted.calls(), wanted.timeline.is_some());
        if !calls && !wanted.modes {
            return Ok(None);
        }
        let (outbox, inbox) = bounded(MOST);
        let left_out = Arc::new(AtomicU64::new(0));
        let counter = Arc::clone(&left_out);
        let thread = std::thread::Builder::new().stack_size(256 << 10);
        let write = move || writer::live(&inbox, (wanted, roots), &counter, say);
        thread.spawn(write).map_err(|_| sys::Errno::EAGAIN)?;
        Ok(Some(Journal { outbox, left_out, calls, lives }))
    }

    /// Whether calls are told.
    pub fn tells_calls(&self) -> bool {
        self.calls
    }

    /// Whether every birth, exec and end is to be seen.
    pub fn tells_lives(&self) -> bool {
        self.lives
    }

    /// A task makes a call that is about to be answered.
    pub fn begin(&self, tid: Tid, operation: &Operation, call: &Call, who: Arc<Credentials>) -> Noted {
        let (name, begun) = (operation.name, Instant::now());
        let shape = shapes::of(name);
        let effect = shape.effect(tid, name, call);
        Noted {
            at: now(),
            begun,
            waited: Duration::ZERO,
            tid,
            name,
            shape,
            args: shape.args(tid, name, call),
            object: if shape.kind == Kind::Inner { None } else { shape.object(tid, call) },
            effect,
            root: guest::root(tid),
            before: who,
            by_kernel: false,
        }
    }

    /// It was answered. Of what the kernel does by itself only what changes something is told.
    pub fn end(&self, noted: Noted, outcome: Outcome) {
        let Outcome { tgid, result, by_kernel, way, after, inode } = outcome;
        if by_kernel && !noted.wants_result() {
            return;
        }
        let answered = Answered {
            name: noted.name,
            args: noted.args,
            kind: noted.shape.kind,
            result,
            by_kernel,
            way,
            object: noted.object,
            inode,
            effect: noted.effect,
            credentials: [noted.before, after],
            root: noted.root,
            took: noted.begun.elapsed(),
            waited: noted.waited,
        };
        self.tell_at(noted.at, noted.tid, tgid, What::Call(Box::new(answered)));
    }

    /// A task is followed from now on.
    pub fn born(&self, tid: Tid, tgid: Tid, parent: Option<Tid>) {
        self.tell_at(now(), tid, tgid, What::Born { parent });
    }

    /// A process runs another program.
    pub fn execs(&self, tid: Tid, credentials: [Arc<Credentials>; 2]) {
        let path = guest::image(tid).unwrap_or_default();
        let what = What::Exec { path, words: guest::words(tid), credentials, root: guest::root(tid) };
        self.tell_at(now(), tid, tid, what);
    }

    /// A task has ended.
    pub fn ended(&self, tid: Tid, tgid: Tid, status: i32) {
        self.tell_at(now(), tid, tgid, What::Ended(status));
    }

    /// The run is in another mode from now on.
    pub fn mode(&self, sentence: String) {
        let own = std::process::id() as Tid;
        self.tell_at(now(), own, own, What::Mode(sentence));
    }

    fn tell_at(&self, at: Duration, tid: Tid, tgid: Tid, what: What) {
        let program = match what {
            What::Mode(_) => "remainroot".to_owned(),
            // Nothing is left of it in /proc.
            What::Ended(_) => String::new(),
            _ => words::shown(sys::process::name_of(tgid).as_bytes()),
        };
        let event = Event { at, tid, tgid, program, what };
        if self.outbox.try_send(Item::Event(event)).is_err() {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// The command is about to end: writes what was told until now, and what it comes to. Whoever reads the command's stderr must
    /// not wait for those that it leaves behind.
    pub fn first_ends(&self) {
        self.wait(Item::FirstEnds, PATIENCE);
    }

    /// Everybody has ended.
    pub fn close(&self) {
        self.wait(Item::Close, LAST_PATIENCE);
    }

    fn wait(&self, item: fn(Sender<()>) -> Item, patience: Duration) {
        let (done, answer) = bounded(1);
        if self.outbox.send_timeout(item(done), patience).is_ok() {
            let _ = answer.recv_timeout(patience); // a file that nobody reads is not waited for
        }
    }
}

/// Since 1970.
fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// A command as it may be typed.
fn typed(command: &[OsString]) -> String {
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || b"-_./=:,+@%".contains(byte);
    let word = |word: &OsString| match word.as_bytes() {
        bytes if !bytes.is_empty() && bytes.iter().all(plain) => words::shown(bytes),
        bytes => format!("'{}'", words::shown(bytes)),
    };
    command.iter().map(word).collect::<Vec<String>>().join(" ")
}
