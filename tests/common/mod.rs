//! Runs programs natively, in a one-id namespace, and under remainroot in one; always with a deadline.
//!
//! ```ignore
//! let native = Run::new(How::Native, ["id", "-u"]).output();
//! let ours = Run::new(How::Remainroot, ["id", "-u"]).output();
//! assert_eq!(native, ours);
//! ```
//!
//! Tests that need real root begin with `if !common::needs_root() { return }`, which says why they skip.
#![allow(dead_code, unused_imports)] // not every test file needs everything
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stderr)]

mod binary;
mod guest;
mod patience;
mod place;
mod probe;
mod scratch;
mod skip;
mod tree;

use std::ffi::{OsStr, OsString};
use std::io::{Read, Write};
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

pub use binary::{is_current, remainroot};
pub use guest::{Guest, compare};
pub use patience::{PATIENCE, wait_until};
pub use place::{Place, has_privilege, needs_namespace, needs_privilege, place};
pub use probe::{Entry, probes};
pub use scratch::{Scratch, compile};
pub use skip::{Lack, skip};

/// The user that plays "an unprivileged user" when the tests run as root.
pub const NOBODY: u32 = 65534;

/// Who runs a program. Where, [`place`] says.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum How {
    /// As the tests themselves run: real root, for what [`needs_root`] guards.
    Native,
    /// By an unprivileged user in a user namespace that maps only that user, to 0.
    Namespace,
    /// The same under remainroot.
    Remainroot,
    /// The same, with every process attached to from its start.
    Attached,
    /// By an unprivileged user under remainroot, which makes the namespace itself.
    Alone,
}

/// Whether the tests run as real root; says on stderr that a test is skipped when not.
pub fn needs_root() -> bool {
    let root = nix::unistd::geteuid().is_root() && maps_every_id();
    if !root {
        skip(Lack::Root, "compares with real root, and this is not real root");
    }
    root
}

/// Whether this machine has every one of these programs; says so where it has not.
pub fn has(programs: &[&str]) -> bool {
    let there =
        |program: &str| ["/usr/bin", "/usr/sbin"].iter().any(|at| Path::new(at).join(program).exists());
    let lacks = |program: &&&str| !there(program);
    let missing: Vec<_> = programs.iter().filter(lacks).collect();
    if !missing.is_empty() {
        skip(Lack::Program, &format!("needs {missing:?}"));
    }
    missing.is_empty()
}

/// Whether this is the initial user namespace, or one as wide.
fn maps_every_id() -> bool {
    let map = std::fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    map.split_whitespace().nth(2).and_then(|count| count.parse::<u64>().ok()).unwrap_or(0) > 65_536
}

/// Makes the directory `$1` a root directory with the machine's directories in it, and runs the rest there from `$2` on.
const OWN_ROOT: &str = "cd \"$1\" && here=$2 && shift 2 && for entry in /*; do name=${entry#/}; \
    if [ -h $entry ]; then [ -h $name ] || cp -P $entry $name; elif [ -d $entry ]; then mkdir -p $name && \
    mount --rbind $entry $name; fi || exit; done; \
    exec chroot . sh -c 'cd \"$0\" && exec \"$@\"' \"$here\" \"$@\"";

/// Mounts the directory `$1` at `$2` and runs the rest.
const BOUND: &str = "mount --bind \"$1\" \"$2\" && shift 2 && exec \"$@\"";

/// A program to be run.
#[derive(Debug)]
pub struct Run {
    how: How,
    before: Vec<OsString>,
    namespaces: &'static str,
    root: Option<PathBuf>,
    bound: Option<(PathBuf, PathBuf)>,
    place: Place,
    options: Vec<OsString>,
    words: Vec<OsString>,
    input: Vec<u8>,
    directory: PathBuf,
    environment: Vec<(OsString, OsString)>,
    deadline: Duration,
    daemons: bool,
}

/// What came of it. Two of them are equal when status and both outputs are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// Exit code or signal.
    pub status: ExitStatus,
    /// What it wrote to stdout.
    pub stdout: String,
    /// What it wrote to stderr.
    pub stderr: String,
}

impl Output {
    /// The exit code; fails the test when the program died of a signal.
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("died of signal {:?}: {self:?}", self.status.signal()))
    }

    /// stdout of a program that must have succeeded.
    pub fn success(self) -> String {
        assert!(self.status.success(), "it failed: {self:?}");
        self.stdout
    }
}

impl Run {
    /// A command and its arguments; it gets half a minute several times over, no input, and `/` as directory.
    pub fn new<W: AsRef<OsStr>>(how: How, words: impl IntoIterator<Item = W>) -> Run {
        Run {
            how,
            before: Vec::new(),
            namespaces: "-Ur",
            root: None,
            bound: None,
            place: place(),
            options: Vec::new(),
            words: words.into_iter().map(|word| word.as_ref().to_owned()).collect(),
            input: Vec::new(),
            directory: PathBuf::from("/"),
            environment: Vec::new(),
            deadline: Duration::from_secs(30),
            daemons: false,
        }
    }

    /// A line for `sh -c`.
    pub fn shell(how: How, script: &str) -> Run {
        Run::new(how, ["sh", "-c", script])
    }

    /// A command that is given everything else as its arguments: it runs before the namespace exists.
    pub fn before<W: AsRef<OsStr>>(mut self, words: impl IntoIterator<Item = W>) -> Run {
        self.before = words.into_iter().map(|word| word.as_ref().to_owned()).collect();
        self
    }

    /// The letters of unshare(1), `-Ur` if nothing is said.
    pub fn namespaces(mut self, letters: &'static str) -> Run {
        self.namespaces = letters;
        self
    }

    /// In a mount namespace whose root directory is this one, so that it is the user's own, as a container's is; real
    /// root in such a mount namespace too. Not alone.
    pub fn own_root(mut self, root: &Path) -> Run {
        self.root = Some(root.to_owned());
        self.in_mount_namespace()
    }

    /// In this place, whatever the environment chooses.
    pub fn place(mut self, place: Place) -> Run {
        self.place = place;
        self
    }

    /// In a mount namespace in which one directory is mounted at another; real root too. Not alone.
    pub fn bound(mut self, from: &Path, onto: &Path) -> Run {
        self.bound = Some((from.to_owned(), onto.to_owned()));
        self.in_mount_namespace()
    }

    fn in_mount_namespace(self) -> Run {
        let letters = if self.how == How::Native { "-m" } else { "-Urm" };
        self.namespaces(letters)
    }

    /// An option for remainroot itself; ignored where it does not run. Facts end with the run where no other store is
    /// said.
    pub fn option(mut self, option: &str) -> Run {
        self.options.push(option.into());
        self
    }

    /// What it reads from stdin.
    pub fn input(mut self, input: impl Into<Vec<u8>>) -> Run {
        self.input = input.into();
        self
    }

    /// Where it runs.
    pub fn directory(mut self, directory: &Path) -> Run {
        self.directory = directory.to_owned();
        self
    }

    /// A variable beside `PATH`, `HOME` and `LC_ALL`.
    pub fn variable(mut self, name: &str, value: impl AsRef<OsStr>) -> Run {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// How long it may take, several times over: [`PATIENCE`].
    pub fn seconds(mut self, seconds: u64) -> Run {
        self.deadline = Duration::from_secs(seconds);
        self
    }

    /// Spares what outlives it: daemons, which the test itself must see end.
    pub fn leaves_daemons(mut self) -> Run {
        self.daemons = true;
        self
    }

    /// Runs it to its end and until both its pipes are closed. At the deadline everything it started
    /// is killed and the test fails.
    pub fn output(self) -> Output {
        self.start().finish()
    }

    /// Starts it.
    pub fn start(self) -> Running {
        let mark = mark();
        let mut command = self.command(&mark);
        let mut child = command.spawn().unwrap_or_else(|error| panic!("cannot run {command:?}: {error}"));
        let mut stdin = child.stdin.take().expect("stdin is a pipe");
        let input = self.input;
        std::thread::spawn(move || stdin.write_all(&input));
        let (events, received) = channel();
        let pid = child.id();
        let stdout = gather(child.stdout.take().expect("stdout is a pipe"), events.clone());
        let stderr = gather(child.stderr.take().expect("stderr is a pipe"), events.clone());
        let reaped = Arc::new(AtomicBool::new(false));
        let ended = Arc::clone(&reaped);
        std::thread::spawn(move || wait(child, &ended, &events));
        let until = Instant::now() + self.deadline * PATIENCE;
        Running {
            pid,
            reaped,
            mark,
            daemons: self.daemons,
            until,
            what: format!("{command:?}"),
            stdout,
            stderr,
            received,
        }
    }

    /// What unshare(1) is told, if it runs at all.
    fn letters(&self) -> Option<String> {
        if self.place.has_namespace(self.how) || self.how == How::Native {
            let mounts = self.root.is_some() || self.bound.is_some();
            return (self.how != How::Native || mounts).then(|| self.namespaces.to_owned());
        }
        // Real root makes what a plain user, who has no namespace here, cannot.
        let letters: String = self.namespaces.chars().filter(|letter| !"Ur".contains(*letter)).collect();
        (self.how != How::Alone && letters != "-").then_some(letters)
    }

    /// The words that make namespaces, and what is mounted there.
    fn mounts(&self, letters: Option<&str>) -> Vec<OsString> {
        let mut words: Vec<OsString> = vec![];
        if let Some(letters) = letters {
            words.extend(["unshare", letters, "--"].map(OsString::from));
        }
        if let Some((from, onto)) = &self.bound {
            words.extend(["sh", "-c", BOUND, "sh"].map(OsString::from));
            words.extend([from, onto].map(|path| path.clone().into_os_string()));
        }
        if let Some(root) = &self.root {
            words.extend(["sh", "-c", OWN_ROOT, "sh"].map(OsString::from));
            words.extend([root, &self.directory].map(|path| path.clone().into_os_string()));
        }
        words
    }

    fn command(&self, mark: &str) -> Command {
        let place = self.place;
        let (outside, inside) = (place.outside(self.how), place.inside(self.how));
        let letters = self.letters();
        let mounts = self.mounts(letters.as_deref());
        let before = outside.iter().chain(&self.before);
        let mut words: Vec<&OsStr> = if place.has_namespace(self.how) || self.how == How::Native {
            before.chain(&mounts).chain(&inside).map(OsString::as_os_str).collect()
        } else {
            mounts.iter().chain(before).map(OsString::as_os_str).collect()
        };
        if matches!(self.how, How::Remainroot | How::Attached | How::Alone) {
            words.push(remainroot().as_os_str());
            if self.how == How::Attached {
                words.push(OsStr::new("--attach=start"));
            }
            // As in a container of the user's own nothing is known from earlier: stages are raised when they must be.
            if !self.options.iter().any(|option| option.to_string_lossy().starts_with("--store")) {
                words.push(OsStr::new("--store=memory"));
            }
            words.extend(self.options.iter().map(OsString::as_os_str));
            words.push(OsStr::new("--"));
        }
        words.extend(self.words.iter().map(OsString::as_os_str));
        let mut command = Command::new(words[0]);
        command.args(&words[1..]).current_dir(&self.directory).env_clear();
        command.env("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin");
        command.env("HOME", "/nonexistent").env("LC_ALL", "C").env(tree::MARK, mark);
        // What a place lacks is its tests' business: outputs are compared.
        command.env("REMAINROOT_QUIET", "1");
        command.envs(self.environment.iter().map(|(name, value)| (name, value)));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        if self.how != How::Native && outside.is_empty() && nix::unistd::geteuid().is_root() {
            command.uid(NOBODY).gid(NOBODY); // std drops the supplementary groups with them
        }
        command
    }
}

/// The processes of a run that still live.
pub fn living(mark: &str) -> Vec<u32> {
    tree::marked(mark, None)
}

/// A value of [`tree::MARK`] that no other run has.
fn mark() -> String {
    static RUNS: AtomicUsize = AtomicUsize::new(0);
    format!("{}-{}", std::process::id(), RUNS.fetch_add(1, Ordering::Relaxed))
}

/// A program that runs; dropping it kills everything it started.
#[derive(Debug)]
pub struct Running {
    pid: u32,
    /// From then on the id may be another process's.
    reaped: Arc<AtomicBool>,
    mark: String,
    daemons: bool,
    until: Instant,
    what: String,
    stdout: Arc<Mutex<Vec<u8>>>,
    stderr: Arc<Mutex<Vec<u8>>>,
    received: Receiver<Event>,
}

/// What the threads around a child report.
#[derive(Debug)]
enum Event {
    Closed,
    Ended(ExitStatus),
}

fn gather(mut from: impl Read + Send + 'static, events: Sender<Event>) -> Arc<Mutex<Vec<u8>>> {
    let gathered = Arc::new(Mutex::new(Vec::new()));
    let into = Arc::clone(&gathered);
    std::thread::spawn(move || {
        let mut buffer = [0; 65536];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            into.lock().unwrap().extend_from_slice(&buffer[..count]);
        }
        let _ = events.send(Event::Closed); // nobody listens after a deadline
    });
    gathered
}

fn wait(mut child: Child, reaped: &AtomicBool, events: &Sender<Event>) {
    if let Ok(status) = child.wait() {
        reaped.store(true, Ordering::Release);
        let _ = events.send(Event::Ended(status)); // nobody listens after a deadline
    }
}

impl Running {
    /// The process id the caller of the program sees.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What marks every process it started, for [`living`].
    pub fn mark(&self) -> &str {
        &self.mark
    }

    /// What it has written to stdout so far.
    pub fn so_far(&self) -> String {
        String::from_utf8_lossy(&self.stdout.lock().unwrap()).into_owned()
    }

    /// Waits until stdout so far contains `text`; the deadline is the program's.
    pub fn until(&self, text: &str) {
        self.until_times(text, 1);
    }

    /// The same until it contains it so many times.
    pub fn until_times(&self, text: &str, times: usize) {
        while self.so_far().matches(text).count() < times {
            if Instant::now() > self.until {
                panic!("{}", self.complaint(&format!("wrote {text:?} less than {times} times")));
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    fn root(&self) -> Option<u32> {
        (!self.reaped.load(Ordering::Acquire)).then_some(self.pid)
    }

    /// Every process it started that still lives, remainroot's own included.
    pub fn processes(&self) -> Vec<u32> {
        tree::marked(&self.mark, self.root())
    }

    /// What each of them is doing.
    pub fn description(&self) -> String {
        tree::describe(&self.processes())
    }

    /// Waits for its end and for both pipes to close; the test fails at the deadline.
    pub fn finish(self) -> Output {
        let waited = self.outcome();
        waited.unwrap_or_else(|complaint| panic!("{complaint}"))
    }

    /// The same, but what happened at the deadline is for the caller to judge.
    pub fn outcome(self) -> Result<Output, String> {
        let (mut status, mut open) = (None, 2);
        while status.is_none() || open > 0 {
            let left = self.until.saturating_duration_since(Instant::now());
            match self.received.recv_timeout(left) {
                Ok(Event::Closed) => open -= 1,
                Ok(Event::Ended(ended)) => status = Some(ended),
                Err(_) if status.is_some() => {
                    return Err(self.complaint("ended, but something keeps its pipes open"));
                }
                Err(_) => return Err(self.complaint("did not end")),
            }
        }
        let text = |bytes: &Mutex<Vec<u8>>| String::from_utf8_lossy(&bytes.lock().unwrap()).into_owned();
        let status = status.expect("it ended");
        Ok(Output { status, stdout: text(&self.stdout), stderr: text(&self.stderr) })
    }

    /// Kills it and tells what it was doing.
    fn complaint(&self, how: &str) -> String {
        let stderr = String::from_utf8_lossy(&self.stderr.lock().unwrap()).into_owned();
        let living = self.description();
        tree::kill(&self.mark, self.root());
        let stdout = self.so_far();
        format!("{}\n{how} by its deadline\nstdout: {stdout}\nstderr: {stderr}\n{living}", self.what)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if self.daemons && self.root().is_none() && !std::thread::panicking() {
            return;
        }
        tree::kill(&self.mark, self.root());
    }
}

/// How many of the calls that a summary counts have come by chance: those about mappings, of which a filter tells by
/// addresses, and the kernel chooses these at random.
pub fn by_chance(summary: &str) -> u64 {
    const MAPPINGS: [&str; 6] = ["mmap", "munmap", "mprotect", "pkey_mprotect", "mremap", "madvise"];
    let rows = summary.lines().map(|line| line.split_whitespace().collect::<Vec<_>>());
    let of_mappings = rows.filter(|row| row.len() == 8 && MAPPINGS.contains(&row[6]));
    of_mappings.map(|row| row[3].parse::<u64>().expect("a number of calls")).sum()
}

/// Whether the running kernel is of this version or newer.
pub fn kernel_is_at_least(major: u32, minor: u32) -> bool {
    let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
    (numbers.next().unwrap_or(0), numbers.next().unwrap_or(0)) >= (major, minor)
}
