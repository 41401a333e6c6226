//! Whether this place can run a command, and how well: what a run needs, each need tried in a process of its own.
//!
//! The trials call what a run itself calls at its start, so that both judge alike. They leave nothing behind: what they
//! make has no name, and the processes that make it end within their time.
//!
//! *Invariant:* nothing here prints, and nothing waits without a deadline.

mod attempt;
mod files;
mod obstacle;
mod place;
mod privilege;
mod tracing;
mod trial;

pub use obstacle::Refusal;

use obstacle::Obstacle;

use super::elsewhere::Children;
use super::{NAME, already_traced};
use crate::ownership::Choice;

/// How far a need is met, from the best to the worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum State {
    /// As it should be.
    Ok,
    /// A run goes on without, and a program can notice.
    Degraded,
    /// No run is possible.
    No,
}

/// Something that a run needs, and what was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// What it is.
    pub name: &'static str,
    /// How far it is met.
    pub state: State,
    /// What was found.
    pub detail: String,
    /// Why that is no better.
    pub cause: Option<String>,
    /// What does not work for that, or takes longer.
    pub effect: Option<String>,
    /// Options and settings that mend it; those that fit the place first.
    pub cures: Vec<String>,
    /// How many of them fit the place.
    pub fitting: usize,
}

impl Need {
    fn new(state: State, detail: impl Into<String>) -> Need {
        Need { name: "", state, detail: detail.into(), cause: None, effect: None, cures: vec![], fitting: 0 }
    }

    fn ok(detail: impl Into<String>) -> Need {
        Need::new(State::Ok, detail)
    }

    fn degraded(detail: impl Into<String>, effect: &str) -> Need {
        Need::new(State::Degraded, detail).with_effect(effect)
    }

    fn no(detail: impl Into<String>) -> Need {
        Need::new(State::No, detail)
    }

    fn with_effect(self, effect: &str) -> Need {
        Need { effect: Some(effect.to_owned()), ..self }
    }

    fn with_cause(self, cause: &str) -> Need {
        Need { cause: Some(cause.to_owned()), ..self }
    }

    /// With what stands in the way, in words, and its cures.
    fn for_want_of(self, obstacle: Obstacle) -> Need {
        let (cures, fitting) = obstacle.cures(place::engine().0);
        Need { cause: Some(obstacle.to_string()), cures, fitting, ..self }
    }
}

/// What the person wants to know of: the run that these options would make.
#[derive(Debug)]
pub(in crate::launch) struct Ground {
    store: Choice,
    attach_at_start: bool,
    allow_real_root: bool,
}

/// What was found.
#[derive(Debug)]
pub struct Report {
    /// All needs, in the order in which they are to be read.
    pub needs: Vec<Need>,
}

impl Report {
    /// The worst of all.
    pub fn verdict(&self) -> State {
        self.needs.iter().map(|need| need.state).max().unwrap_or(State::Ok)
    }
}

/// One trial.
type Probe = fn(&Ground) -> Need;

/// What is looked at wherever this is.
const SURROUNDINGS: [(&str, Probe); 3] =
    [("place", place::place), ("kernel", tracing::kernel), ("security modules", place::modules)];
/// What a run of its own needs.
const NEEDS: [(&str, Probe); 14] = [
    ("user namespace", privilege::namespace),
    ("capabilities", privilege::capabilities),
    ("ptrace", tracing::ptrace),
    ("PTRACE_GET_SYSCALL_INFO", tracing::syscall_info),
    ("seccomp filters", tracing::filters),
    ("seccomp listener", tracing::listener),
    ("statx", tracing::statx),
    ("pidfd_getfd", tracing::pidfd_getfd),
    ("process_vm_readv", tracing::process_vm_readv),
    ("/proc", files::proc),
    ("owners on /", files::root),
    ("owners here", files::here),
    ("state file", files::state),
    ("a run", trial::run),
];

/// Tries everything that a run with these options needs.
pub fn report(store: Choice, attach_at_start: bool, allow_real_root: bool) -> Report {
    // A process that is born elsewhere can try nothing for this one.
    let elsewhere = Children::bring_home().err();
    let mut patience = attempt::PATIENCE;
    let ground = Ground { store, attach_at_start, allow_real_root };
    let mut tried = |probes: &[(&'static str, Probe)]| -> Vec<Need> {
        let tried =
            probes.iter().map(|&(name, probe)| attempt::attempt(name, &mut patience, || probe(&ground)));
        tried.collect()
    };
    let mut needs = tried(&SURROUNDINGS);
    match (already_traced(), elsewhere) {
        (Some((_, name)), _) if name == NAME.to_string_lossy() => {
            let need = Need::ok("inside another remainroot, which answers for all that is run here");
            needs.push(Need { name: "a run", ..need });
        }
        (_, Some(failure)) => needs.push(Need { name: "pid namespace", ..Need::no(failure.to_string()) }),
        (traced, None) => {
            if let Some((tracer, name)) = traced {
                let need =
                    Need::no(format!("{} (process {tracer}) traces this process", attempt::plain(&name)));
                let need = need.for_want_of(Obstacle::OtherTracer);
                needs.push(Need { name: "no other tracer", ..need.with_effect("nothing can be run") });
            }
            needs.extend(tried(&NEEDS));
        }
    }
    Report { needs }
}

/// What a run says of a place whose root has no privilege, and why no namespace could be made there.
pub(super) fn helplessness(refusal: Option<Refusal>) -> String {
    let (what, why) = match refusal {
        Some(refusal) => ("no user namespace can be made", refusal.obstacle().to_string()),
        None => ("root has no privilege in this user namespace", privilege::taken().to_string()),
    };
    format!(
        "{what} ({why}): {}; remainroot --check names the cure, {QUIET}=1 silences this",
        privilege::WITHOUT
    )
}

/// The variable that has a run say nothing of what its place lacks.
pub const QUIET: &str = "REMAINROOT_QUIET";
