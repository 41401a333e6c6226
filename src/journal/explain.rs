//! What a run came to: gathered while it goes on, in memory that is bounded, and told in plain words in the end.

mod files;
mod names;
mod rules;
mod screen;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use super::event::{Answered, Effect, Event, Kind, What};
use super::words::shown;
use crate::abi::Errno;
use crate::cred::{Cap, CapSet, Credentials};
use crate::sys::Tid;
use files::Files;

/// So many of each are remembered at most.
const MOST: usize = 50_000;

/// Everything that is gathered.
#[derive(Debug)]
pub struct Explanation {
    command: String,
    /// The capabilities that the run's root began with.
    roots: CapSet,
    /// Who is becoming somebody else, by process and program.
    changing: HashMap<(Tid, String), Change>,
    /// As which program each of them did so last.
    latest: HashMap<Tid, String>,
    /// Set-id and capability executions, and how often.
    gained: BTreeMap<(String, String), Gain>,
    files: Files,
    refused: BTreeMap<Refusal, Example>,
    /// How many calls of each program changed what the kernel could not, and looked at that.
    emulated: BTreeMap<String, [u64; 2]>,
    /// How many calls the kernel ran as they were, of those that change something.
    by_kernel: u64,
    /// What does not exist here.
    absent: BTreeMap<(&'static str, String), u64>,
    forgotten: u64,
}

/// A process that becomes somebody else.
#[derive(Debug)]
struct Change {
    from: Arc<Credentials>,
    to: Arc<Credentials>,
    /// Whom it has been in between.
    between: Vec<Arc<Credentials>>,
    calls: Vec<&'static str>,
    root: Option<Vec<u8>>,
}

/// An execution that gave its task more than it had.
#[derive(Debug)]
struct Gain {
    from: Arc<Credentials>,
    to: Arc<Credentials>,
    times: u64,
    root: Option<Vec<u8>>,
}

/// Why something was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Cause {
    /// The task may not, here as anywhere.
    Task,
    /// The container lacks a privilege.
    Container,
    /// The file is of somebody outside of the container.
    Stranger,
}

/// What was refused, and to whom.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
struct Refusal {
    cause: Cause,
    name: &'static str,
    errno: i32,
    program: String,
}

/// The first call that was refused so, and how often it was.
#[derive(Debug)]
struct Example {
    times: u64,
    args: String,
    who: Arc<Credentials>,
    root: Option<Vec<u8>>,
}

impl Explanation {
    /// Of this command, of which nothing has been seen yet.
    pub fn of(command: String, roots: CapSet) -> Explanation {
        Explanation {
            command,
            roots,
            changing: HashMap::new(),
            latest: HashMap::new(),
            gained: BTreeMap::new(),
            files: Files::default(),
            refused: BTreeMap::new(),
            emulated: BTreeMap::new(),
            by_kernel: 0,
            absent: BTreeMap::new(),
            forgotten: 0,
        }
    }

    /// Takes an event in.
    pub fn note(&mut self, event: &Event) {
        match &event.what {
            What::Call(call) => self.note_call(event, call),
            What::Exec { path, credentials, root, .. } => {
                self.note_exec(event, path, credentials, root.as_deref())
            }
            _ => {}
        }
    }

    fn note_exec(&mut self, event: &Event, path: &[u8], who: &[Arc<Credentials>; 2], root: Option<&[u8]>) {
        let [from, to] = who;
        let is_other = (from.euid, from.egid) != (to.euid, to.egid);
        let former = self.latest.remove(&event.tgid);
        if !is_other && to.permitted.is_subset(from.permitted) {
            // What is lost at an exec belongs to how it was dropped.
            if let Some(change) = former.and_then(|program| self.changing.get_mut(&(event.tgid, program))) {
                change.to = Arc::clone(to);
            }
            return;
        }
        let key = (event.program.clone(), shown(path));
        if self.gained.len() >= MOST && !self.gained.contains_key(&key) {
            self.forgotten += 1;
            return;
        }
        let (from, to, root) = (Arc::clone(from), Arc::clone(to), root.map(<[u8]>::to_vec));
        self.gained.entry(key).or_insert(Gain { from, to, times: 0, root }).times += 1;
    }

    fn note_call(&mut self, event: &Event, call: &Answered) {
        let [from, to] = &call.credentials;
        if from != to {
            self.note_change(event, call);
        }
        match call.result {
            Some(Ok(_)) | None if call.by_kernel => {
                self.by_kernel += u64::from(call.kind == Kind::Change);
                self.files.note_kernels(call);
            }
            Some(Ok(_)) => {
                let [changes, looks] = self.emulated.entry(event.program.clone()).or_default();
                match call.kind {
                    Kind::Change => *changes += 1,
                    Kind::Look => *looks += 1,
                    Kind::Privileged | Kind::Inner => {}
                }
                self.forgotten += u64::from(!self.files.note(call));
            }
            Some(Err(errno)) => self.note_failure(event, call, errno),
            None => {}
        }
    }

    fn note_change(&mut self, event: &Event, call: &Answered) {
        let [from, to] = &call.credentials;
        let key = (event.tgid, event.program.clone());
        if self.changing.len() >= MOST && !self.changing.contains_key(&key) {
            self.forgotten += 1;
            return;
        }
        self.latest.insert(event.tgid, event.program.clone());
        let change = self.changing.entry(key).or_insert_with(|| Change {
            from: Arc::clone(from),
            to: Arc::clone(from),
            between: Vec::new(),
            calls: Vec::new(),
            root: call.root.clone(),
        });
        let last = std::mem::replace(&mut change.to, Arc::clone(to));
        let is_passing = change.calls.last() != Some(&call.name);
        if last != change.from && change.between.len() < 8 && is_passing {
            change.between.push(last);
        }
        if !change.calls.contains(&call.name) {
            change.calls.push(call.name);
        }
    }

    fn note_failure(&mut self, event: &Event, call: &Answered, errno: Errno) {
        if errno == Errno::ENOSYS && call.name == "io_uring_setup" {
            *self.absent.entry((call.name, event.program.clone())).or_default() += 1;
            return;
        }
        let is_device = call.name.starts_with("open") && matches!(errno, Errno::EPERM | Errno::ENXIO);
        if !matches!(errno, Errno::EPERM | Errno::EACCES) && !is_device {
            return;
        }
        let [who, _] = &call.credentials;
        let is_bind = matches!(call.name, "bind" | "socketcall");
        let cause = match call.kind {
            Kind::Privileged if !self.roots.is_subset(who.effective) => Cause::Task,
            Kind::Privileged => Cause::Container,
            _ if is_device => Cause::Container,
            // Root may write to a socket's directory: it is the port.
            _ if errno == Errno::EACCES && is_bind && who.has(Cap::DAC_OVERRIDE) => Cause::Container,
            _ if errno == Errno::EACCES && who.has(Cap::DAC_OVERRIDE) => Cause::Stranger,
            _ => Cause::Task,
        };
        let key = Refusal { cause, name: call.name, errno: errno.0, program: event.program.clone() };
        if self.refused.len() >= MOST && !self.refused.contains_key(&key) {
            self.forgotten += 1;
            return;
        }
        let example =
            || Example { times: 0, args: call.args.clone(), who: Arc::clone(who), root: call.root.clone() };
        self.refused.entry(key).or_insert_with(example).times += 1;
    }

    /// Processes that became somebody else, those alike together: how many there are of each, by what they are shown as.
    fn changes(&self, show: impl Fn(&Change) -> String) -> BTreeMap<(String, String), BTreeSet<Tid>> {
        let mut alike: BTreeMap<(String, String), BTreeSet<Tid>> = BTreeMap::new();
        for ((tgid, program), change) in &self.changing {
            alike.entry((program.clone(), show(change))).or_default().insert(*tgid);
        }
        alike
    }
}

/// Whether an effect is one that a person wants to know of.
fn matters(effect: &Effect) -> bool {
    !matches!(effect, Effect::Attribute(name) if name.starts_with(b"system.posix_acl_"))
}
