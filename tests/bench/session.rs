//! A piece of work as one shell session, whose steps are timed one after the other on every side.

use std::fs::{Permissions, set_permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::Path;

use crate::common::Scratch;
use crate::sides::{Options, Side};
use crate::statistics::counts;

/// What a figure is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unit {
    /// Nanoseconds.
    Time,
    /// KiB.
    Memory,
    /// How many times as much; more is better.
    Throughput,
}

/// Whose clock a step is measured by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Clock {
    /// The session's, which looks before and after; this many rounds are made.
    Session(u32),
    /// The command's own: it prints the figure of one round, and may print how many it made.
    Own,
}

/// One row of a table.
#[derive(Debug)]
pub struct Step {
    /// What the table calls it.
    pub title: &'static str,
    /// In the shell's words.
    pub command: String,
    /// How it is measured.
    pub clock: Clock,
    /// What its figure is.
    pub unit: Unit,
    /// A condition that holds afterwards as real root; what ends without it has done something else.
    pub check: &'static str,
}

/// Where the session's shell is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// Under the side. All but the shell itself are its tracees or the like.
    Within,
    /// Outside of it: the session starts the side, whose words are `"$@"`.
    Outside,
    /// The same, by the unprivileged user without a namespace, which remainroot makes itself.
    Plain,
    /// Within, but for PRoot, which is told the root directory when it starts.
    Chroot,
}

/// The work.
#[derive(Debug)]
pub struct Session {
    /// The table and the plot it is part of.
    pub group: &'static str,
    /// By which it is chosen.
    pub name: &'static str,
    /// What comes before the steps and is not measured.
    pub prepare: String,
    /// What is measured.
    pub steps: Vec<Step>,
    /// Where.
    pub place: Place,
    /// More turns than these take too long.
    pub turns: usize,
    /// When it is given up.
    pub seconds: u64,
    /// What must be in the directory `$material`.
    pub material: Needs,
}

/// What a session works on.
#[derive(Debug, Clone)]
pub enum Needs {
    /// What every machine has.
    Nothing,
    /// The loops of `work.c`.
    Loops,
    /// What a shell script makes there, in the bare namespace.
    Script(&'static str),
    /// What `tests/bench/material` makes, once for many runs.
    Fetched {
        /// Its name in the directory.
        name: &'static str,
        /// What is to be made.
        what: &'static str,
        /// Of what.
        arguments: Vec<String>,
    },
}

impl Session {
    /// A quick session of `steps`.
    pub fn new(group: &'static str, name: &'static str, steps: Vec<Step>) -> Session {
        Session {
            group,
            name,
            prepare: ":".into(),
            steps,
            place: Place::Within,
            turns: usize::MAX,
            seconds: 120,
            material: Needs::Nothing,
        }
    }

    /// One that takes so long that three turns are enough.
    pub fn slow(self, seconds: u64) -> Session {
        Session { turns: 3, seconds, ..self }
    }
}

/// A step of so many rounds that the session times.
pub fn step(title: &'static str, rounds: u32, command: impl Into<String>) -> Step {
    let clock = Clock::Session(rounds);
    Step { title, command: command.into(), clock, unit: Unit::Time, check: "true" }
}

/// What came of a step on a side.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// The figure of one round, and how many there were.
    Done(f64, f64),
    /// The figure of something that ended well and was not done.
    Wrong(f64),
    /// It failed.
    Failed,
}

/// One measured session.
#[derive(Debug, Default)]
pub struct Measured {
    /// By step.
    pub outcomes: Vec<Outcome>,
    /// The last that it said of a failure.
    pub complaint: String,
    /// What remainroot counted, where it was asked to.
    pub counts: Vec<(String, u64)>,
}

impl Session {
    /// Runs it in a new directory, which is `kept`; `material` holds what was made before. Counting costs time, so it is for
    /// a run of its own.
    pub fn measure(&self, side: Side, material: &Path, counted: bool, kept: &mut Vec<Scratch>) -> Measured {
        let (work, root) = (Scratch::new("bench"), Scratch::new("bench-root"));
        let state = Scratch::new("bench-state");
        open_to(side, work.path());
        let summary = state.file("summary");
        let asked = (counted && side == Side::Remainroot).then_some(summary.as_str());
        let prefix = side.prefix(Options { state: state.path(), summary: asked });
        let mut words = Vec::new();
        let within = self.place == Place::Within || (self.place == Place::Chroot && side != Side::Proot);
        if within {
            words.extend(prefix.iter().cloned());
        }
        words.extend(["sh", "-c", &self.script(), "sh"].map(String::from));
        words.extend(prefix);
        let plain = self.place == Place::Plain && side != Side::Root;
        let run = if plain { Side::plain(&words) } else { side.run(root.path(), &words) };
        let given = if side.gives_away() { ("", "7:8") } else { ("--no-same-owner", "0:0") };
        let run = run.directory(work.path()).variable("HOME", work.path()).seconds(self.seconds);
        let run = run.variable("material", material).variable("side", side.name());
        let run = run.variable("same", given.0).variable("to", given.1);
        let mut measured = match run.start().outcome() {
            Ok(output) => self.read(&output.stdout, &output.stderr),
            Err(_) => self.read("", &format!("did not end within {} s", self.seconds)),
        };
        if asked.is_some() {
            measured.counts = counts(&std::fs::read_to_string(&summary).unwrap_or_default());
        }
        kept.extend([work, root]);
        measured
    }

    /// Prints a line for each step: its figure and the number of rounds, or that it failed; and `wrong` where it was not
    /// done.
    fn script(&self) -> String {
        let mut script = format!("{{ {}\n}} </dev/null >&2 || exit\n", self.prepare);
        for step in &self.steps {
            let command = &step.command;
            script += &match step.clock {
                Clock::Own => format!("{{ {command}\n}} </dev/null || echo failed\n"),
                Clock::Session(rounds) => format!(
                    "from=$(date +%s%N); if {{ {command}\n}} </dev/null >/dev/null; then \
                     echo $((($(date +%s%N) - from) / {rounds})) {rounds}; else echo failed; fi\n"
                ),
            };
            script += &format!("{{ {}\n}} >&2 || echo wrong\n", step.check);
        }
        script
    }

    fn read(&self, stdout: &str, stderr: &str) -> Measured {
        let mut outcomes = Vec::new();
        for line in stdout.lines() {
            let mut words = line.split_whitespace();
            let figure = words.next().and_then(|word| word.parse().ok());
            let rounds = words.next().and_then(|word| word.parse().ok()).unwrap_or(1.0);
            match (line, figure, outcomes.last()) {
                ("wrong", _, Some(&Outcome::Done(figure, _))) => {
                    outcomes.pop();
                    outcomes.push(Outcome::Wrong(figure));
                }
                ("wrong", ..) => {}
                (_, Some(figure), _) => outcomes.push(Outcome::Done(figure, rounds)),
                (_, None, _) => outcomes.push(Outcome::Failed),
            }
        }
        outcomes.resize(self.steps.len(), Outcome::Failed);
        let complaint = complaint(stderr);
        Measured { outcomes, complaint, counts: Vec::new() }
    }
}

/// Lines that speak of an error and do not say which.
const EMPTY: [&str; 4] = ["complete log", "previous errors", "errors were encountered", "for more info"];

/// The last line that speaks of an error, or the last.
pub fn complaint(stderr: &str) -> String {
    let says = |line: &&str| {
        let line = line.to_lowercase();
        !["", "npm error"].contains(&line.as_str()) && !EMPTY.iter().any(|empty| line.contains(empty))
    };
    let lines: Vec<&str> = stderr.lines().map(str::trim).filter(says).collect();
    let error = |line: &&&str| line.to_lowercase().contains("error") || line.starts_with("E: ");
    lines.iter().rfind(error).or(lines.last()).copied().unwrap_or("it says nothing").to_owned()
}

/// A process that drops works on in the directory; and real root's is its own.
fn open_to(side: Side, directory: &Path) {
    let opened = set_permissions(directory, Permissions::from_mode(0o777));
    let owned = if side == Side::Root { chown(directory, Some(0), Some(0)) } else { Ok(()) };
    opened.and(owned).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
}
