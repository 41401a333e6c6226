//! From the command line to the running command: the namespace, the tracer forked away, the filter,
//! and exec in place.
//!
//! The command keeps the pid that the caller started, so its exit status, its signals, its terminal
//! and its children are the kernel's business. The tracer is an orphan in a session of its own that
//! holds no descriptor of the caller's.
//!
//! *Invariant:* nothing here outlives the exec in the command's process, and no policy about
//! syscalls stands here.

mod check;
mod elsewhere;
mod executable;
mod failure;
mod inner;
mod kernel;
mod limits;
mod namespace;

pub use check::{Need, QUIET, Report, State, report};
pub use failure::{EXIT_OWN_FAILURE, Failure, say};

use std::ffi::{CStr, CString, OsString};
use std::fs::File;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use nix::sys::socket::{self, AddressFamily, MsgFlags, SockFlag, SockType};

use check::Refusal;
use elsewhere::Children;

use crate::cred::{IdMap, View};
use crate::journal::Wanted;
use crate::ownership::listing::Entry;
use crate::ownership::{Choice, Home, Listing};
use crate::seccomp;
use crate::supervisor::{self, Outputs};
use crate::sys::process::Forked;
use crate::sys::{self, Errno, Tid};
use crate::syscalls::Stage;
use crate::worker;

/// The name of the tracer and of its threads.
const NAME: &CStr = c"remainroot";

/// What to run, and how.
#[derive(Debug, Default)]
pub struct Plan {
    /// The command and its arguments.
    pub command: Vec<OsString>,
    /// Where facts are kept.
    pub store: Choice,
    /// Whether other tools have left owners that are to be seen.
    pub adopt: bool,
    /// Facts from a listing.
    pub load: Vec<Entry>,
    /// Where to write a listing when the command ends; absolute.
    pub save: Option<PathBuf>,
    /// Whether files of the caller's that nobody has touched are shown as his.
    pub unknown_is_real: bool,
    /// Whether the command is not to be run at all unless it is root to itself.
    pub needs_root: bool,
    /// Variables that the command finds beside the caller's.
    pub variables: Vec<(&'static CStr, CString)>,
    /// Whether to attach to every process from its start, and not when it first needs it.
    pub attach_at_start: bool,
    /// Whether to run as real root of the initial namespace.
    pub allow_real_root: bool,
    /// Where to write the summary.
    pub summary: Option<File>,
    /// Whether nothing is said of what this place lacks.
    pub quiet: bool,
    /// What is told of what happens.
    pub journal: Wanted,
    /// How much to say: 0 errors, 1 what was chosen, 2 events, 3 every stop.
    pub verbosity: u8,
}

/// Runs the plan; on success this process is the command and nothing returns.
pub fn run(mut plan: Plan) -> Failure {
    let command = match c_strings(std::mem::take(&mut plan.command)) {
        Ok(command) => command,
        Err(failure) => return failure,
    };
    for (name, value) in &plan.variables {
        if let Err(errno) = sys::process::set_variable(name, value) {
            return Failure::errno("setting a variable")(errno);
        }
    }
    match already_traced() {
        Some((_, name)) if name == NAME.to_string_lossy() => {
            say_inside(&plan);
            if plan.needs_root && !nix::unistd::geteuid().is_root() {
                return Failure::NotRootInside;
            }
            return inner::run(&command, &plan.load, plan.save.as_deref());
        }
        Some((tracer, name)) => return Failure::OtherTracer { tracer, name },
        None => {}
    }
    let (view, refusal) = match prepare(&plan) {
        Ok(prepared) => prepared,
        Err(failure) => return failure,
    };
    if view.lacks_privilege() && (plan.verbosity > 0 || !plan.quiet) {
        say(&check::helplessness(refusal));
    }
    if view.is_of_all_ids() {
        believe_nobody(&mut plan);
    }
    // Births and ends are seen of who is traced only.
    let attach_at_start = plan.attach_at_start || plan.journal.timeline.is_some();
    let outputs = match outputs(plan) {
        Ok(outputs) => outputs,
        Err(failure) => return failure,
    };
    begin(&view, outputs, attach_at_start).map_or_else(|failure| failure, |_| exec(&command))
}

/// Makes the place of a run, where it is not there, or tells why there can be none; also why it has no namespace.
fn prepare(plan: &Plan) -> Result<(View, Option<Refusal>), Failure> {
    kernel::check()?;
    limits::check()?;
    namespace::prepare(plan.allow_real_root, plan.unknown_is_real)
}

/// Starts the tracer and loads the filters: what this process does from then on is answered. Whether it is attached to on
/// demand.
fn begin(view: &View, outputs: Outputs, attach_at_start: bool) -> Result<bool, Failure> {
    let (stages, watches) = (first_stages(view, &outputs.home), outputs.journal.calls());
    // Of a place that lacks something it has been said.
    let is_said = outputs.verbosity > 0 && !view.lacks_privilege();
    let is_on_demand = !attach_at_start && stages == [Stage::Base] && worker::lacks_for_demand().is_none();
    let first = if view.is_foreign { Stage::NotifyForeign } else { Stage::NotifyBase };
    let is_on_demand = start_tracer(view, outputs, is_on_demand.then_some(first))?;
    if is_said {
        say(mode(is_on_demand, attach_at_start, &stages));
    }
    if !is_on_demand {
        load_filters(stages, view.is_foreign, watches)?;
    }
    Ok(is_on_demand)
}

/// What of what is recorded is to be read by who looks at files as a run here would.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Belief {
    /// All of it.
    All,
    /// Nothing, for another remainroot shows this process what is recorded in attributes and in the state file.
    Shown,
    /// What nobody else can write: this is real root.
    Nobody,
}

impl Belief {
    /// Where what is recorded is to be looked for, of where the person wants it to be.
    pub fn limit(self, choice: Choice) -> Choice {
        match (self, choice) {
            (Belief::Shown, _) | (Belief::Nobody, Choice::Auto(_) | Choice::Attributes) => Choice::Memory,
            (_, choice) => choice,
        }
    }
}

/// How ids are shown to who looks at files as a run here would, in a namespace of the caller's own where one is of use; and
/// what is to be read of what is recorded.
///
/// # Errors
/// Where the namespace cannot be looked at.
pub fn enter() -> Result<(View, Belief), Failure> {
    let is_shown = already_traced().is_some_and(|(_, name)| name == NAME.to_string_lossy());
    if !is_shown {
        let (view, _) = namespace::prepare(true, false)?;
        let belief = if view.is_of_all_ids() { Belief::Nobody } else { Belief::All };
        return Ok((view, belief));
    }
    let all = IdMap::parse("0 0 4294967295");
    let view = namespace::look()?;
    Ok((View { kernel_uid: 0, kernel_gid: 0, uids: all.clone(), gids: all, ..view }, Belief::Shown))
}

/// What is to be said of a run inside another.
fn say_inside(plan: &Plan) {
    if plan.verbosity > 0 {
        say("already inside remainroot: running the command as it is");
    }
    if plan.journal.calls() {
        say("another remainroot is around this one: give --explain, --log and --timeline to that");
    }
}

/// How the run is followed, for people.
fn mode(is_at_large: bool, attach_at_start: bool, stages: &[Stage]) -> &'static str {
    match stages {
        _ if is_at_large => "on demand: a process is traced once it asks for more than an answer",
        _ if attach_at_start => "every process is traced from its start, as was asked for",
        [Stage::Base] => {
            "every process is traced from its start: to do it on demand takes Linux 6.11, CAP_SYS_PTRACE, /proc and a \
             seccomp listener"
        }
        _ => {
            "every process is traced from its start, and its looks are answered: files here may have owners of their own"
        }
    }
}

/// A real root believes nothing that others can write, as attributes of files are, and the kernel keeps nearly all that he
/// does. The rest ends with the run, unless he has named a file for it.
fn believe_nobody(plan: &mut Plan) {
    if plan.adopt {
        say("--adopt is not for real root: others can write such owners");
    }
    plan.store = Belief::Nobody.limit(std::mem::take(&mut plan.store));
    plan.adopt = false;
}

/// What the tracer writes, and the home of facts that outlast it.
fn outputs(plan: Plan) -> Result<Outputs, Failure> {
    let Plan { summary, save, verbosity, journal, .. } = plan;
    let listing = match save {
        Some(_) => Listing::Saved,
        None if plan.unknown_is_real => Listing::Touched,
        None => Listing::None,
    };
    let mut home = Home::prepare(plan.store).map_err(Failure::Store)?.with_listings(plan.load, listing);
    if plan.adopt {
        home.adopt();
    }
    if let Some(lacks) = home.lacks()
        && verbosity > 0
    {
        say(&format!("owners of what can bear no attribute end with this run: {lacks}"));
    }
    Ok(Outputs { home, summary, journal, save, verbosity, stderr: failure::listener(), say })
}

fn c_strings(words: Vec<OsString>) -> Result<Vec<CString>, Failure> {
    let command: Result<Vec<_>, _> = words.into_iter().map(|word| CString::new(word.into_vec())).collect();
    match command {
        Ok(command) if !command.is_empty() => Ok(command),
        _ => Err(Failure::NoCommand),
    }
}

/// The task that traces this one, or would on demand, if any, and its name.
fn already_traced() -> Option<(Tid, String)> {
    let traced = sys::process::status(std::process::id() as Tid, "TracerPid:");
    let tracer = traced.and_then(|tracer| tracer.parse().ok()).filter(|&tracer| tracer != 0);
    let tracer = tracer.or_else(sys::process::answerer)?;
    Some((tracer, sys::process::name_of(tracer)))
}

fn exec(command: &[CString]) -> Failure {
    let argv: Vec<&CStr> = command.iter().map(CString::as_c_str).collect();
    let Some(file) = argv.first() else { return Failure::NoCommand };
    executable::failure(file, sys::process::exec(file, &argv))
}

/// Forks the tracer away and waits until it has attached, or will `on_demand`; whether the filters are loaded.
fn start_tracer(view: &View, outputs: Outputs, on_demand: Option<Stage>) -> Result<bool, Failure> {
    let children = Children::bring_home()?;
    let command = std::process::id() as Tid;
    let watches = outputs.journal.calls();
    let (ours, theirs) = sockets().map_err(Failure::errno("making a socket pair"))?;
    // No signal of the child's end may stay pending for the command. An orphan of pid 1 would be
    // adopted by pid 1, which might wait for it: there the tracer stays that unseen child.
    let orphan = command != 1;
    let forked = sys::process::fork_unseen();
    match forked.map_err(Failure::errno("forking the tracer"))? {
        Forked::Child => {
            drop(ours);
            become_tracer(orphan, theirs, view, outputs, (command, on_demand));
        }
        Forked::Parent(child) => {
            drop((theirs, outputs));
            children.let_go()?;
            if orphan {
                let _ = sys::wait::one(child);
            }
            meet_tracer(&ours, on_demand, watches)
        }
    }
}

/// The command's side: learn who the tracer is, permit it, load the filter whose calls it is told of `on_demand`, and wait
/// until it has attached; whether there is that filter. Without it the tracer attaches from the start.
fn meet_tracer(socket: &OwnedFd, on_demand: Option<Stage>, watches: bool) -> Result<bool, Failure> {
    let tracer = receive(socket)?;
    // EINVAL: no Yama, nothing to permit.
    let _ = sys::process::allow_tracer(tracer);
    let listener = on_demand.and_then(|stage| load_filter(stage, watches, sys::seccomp::load_listener).ok());
    let sent = match &listener {
        Some(listener) => hand_over(socket, listener),
        None => send(socket, 0),
    };
    sent.map_err(Failure::errno("speaking to the tracer"))?;
    match receive(socket)? {
        0 => Ok(listener.is_some()),
        errno => Err(Failure::Ptrace(Errno::from_raw(errno))),
    }
}

/// Sends a listener. The user may have as many descriptors under way as the sender may have open.
fn hand_over(socket: &OwnedFd, listener: &OwnedFd) -> sys::Result<()> {
    let send = || sys::descriptor::send(socket, &[listener.as_fd()]);
    match send() {
        Err(Errno::ETOOMANYREFS) => sys::process::lifted(sys::process::Limit::Files, send),
        sent => sent,
    }
}

/// Two ends, each of which is told when the other is gone.
fn sockets() -> sys::Result<(OwnedFd, OwnedFd)> {
    socket::socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
}

fn send(socket: &OwnedFd, word: i32) -> sys::Result<()> {
    socket::send(socket.as_raw_fd(), &word.to_ne_bytes(), MsgFlags::MSG_NOSIGNAL).map(drop)
}

fn receive(socket: &OwnedFd) -> Result<i32, Failure> {
    let mut word = [0; 4];
    match socket::recv(socket.as_raw_fd(), &mut word, MsgFlags::empty()) {
        Ok(4) => Ok(i32::from_ne_bytes(word)),
        Ok(_) => Err(Failure::TracerDied),
        Err(errno) => Err(Failure::errno("listening to the tracer")(errno)),
    }
}

/// The tracer's side, in the child.
fn become_tracer(
    orphan: bool,
    socket: OwnedFd,
    view: &View,
    outputs: Outputs,
    command: (Tid, Option<Stage>),
) -> ! {
    let (command, on_demand) = command;
    if orphan {
        match sys::process::fork() {
            Ok(Forked::Child) => {}
            _ => sys::process::exit_now(0),
        }
    }
    let _ = nix::unistd::setsid();
    sys::process::block_signals();
    limits::lift();
    let _ = sys::process::set_name(NAME);
    let _ = nix::unistd::chdir("/");
    let socket = leave_descriptors(socket, &outputs);
    let introduced = send(&socket, sys::process::thread_id()).is_ok();
    if introduced && let Ok(listener) = sys::descriptor::receive(&socket) {
        let listener = listener.zip(on_demand);
        supervisor::run(view.clone(), outputs, command, listener, move |outcome| {
            let errno = outcome.err().map_or(0, |errno| errno as i32);
            let _ = send(&socket, errno);
        });
    }
    sys::process::exit_now(0)
}

/// Closes every descriptor of the caller's; the standard ones become `/dev/null`, and stderr stays
/// only where something is to be said on it.
fn leave_descriptors(socket: OwnedFd, outputs: &Outputs) -> OwnedFd {
    let mut kept: Vec<RawFd> = vec![socket.as_raw_fd()];
    kept.extend(outputs.summary.as_ref().map(AsRawFd::as_raw_fd));
    kept.extend(outputs.journal.descriptors());
    kept.sort_unstable();
    if let Ok(null) = File::options().read(true).write(true).open("/dev/null") {
        for fd in 0..=2 {
            if !kept.contains(&fd) && (fd != 2 || !outputs.speak()) {
                let _ = sys::process::duplicate(null.as_raw_fd(), fd);
            }
        }
    }
    sys::process::close_all_but(&kept);
    socket
}

/// The stages that are up from the start. The base stage last: under it, loading a filter is the guest's
/// doing.
fn first_stages(view: &View, home: &Home) -> Vec<Stage> {
    let stages = [
        (Stage::Reading, home.evidence_of_readable_devices() || view.lacks_privilege()),
        (Stage::Devices, home.evidence_of_devices()),
        (Stage::Removal, home.listing() == Listing::Saved || home.has_names() || view.lacks_privilege()),
        (Stage::Ownership, home.evidence() || home.listing() != Listing::None || view.lacks_privilege()),
        (Stage::Identity, view.lacks_privilege()),
        (Stage::Base, true),
    ];
    stages.into_iter().filter_map(|(stage, is_up)| is_up.then_some(stage)).collect()
}

/// Installs the filters this process and all it starts live under. `no_new_privs` is set only where
/// the kernel demands it. Where most files `are_foreign` looks stop whatever is known.
fn load_filters(stages: Vec<Stage>, are_foreign: bool, watches: bool) -> Result<(), Failure> {
    let lacks_looks = are_foreign && !stages.contains(&Stage::Ownership);
    let stages = lacks_looks.then_some(Stage::Ownership).into_iter().chain(stages);
    for stage in stages {
        load_filter(stage, watches, sys::seccomp::load).map_err(Failure::Seccomp)?;
    }
    Ok(())
}

fn load_filter<T>(stage: Stage, watches: bool, load: impl Fn(&[u8]) -> sys::Result<T>) -> sys::Result<T> {
    let is_first = matches!(stage, Stage::Base | Stage::NotifyBase | Stage::NotifyForeign);
    let program = match watches && is_first {
        true => seccomp::bytes(&seccomp::watching_program(stage)),
        false => seccomp::bytes(seccomp::program(stage)),
    };
    match load(&program) {
        Err(Errno::EACCES) => sys::process::set_no_new_privs().and_then(|()| load(&program)),
        outcome => outcome,
    }
}
