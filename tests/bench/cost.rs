//! What remainroot costs: every piece of work runs as real root, in a bare one-id namespace, under remainroot in one, and
//! under its peers, taking turns; medians and pairs stand beside each other. Started by `scripts/bench`.
//!
//! A session ([`session`]) is a shell script whose steps are timed; a side ([`sides`]) is who runs it. What the sessions do
//! is in `storms`, `calls`, `files`, `builds`, `packages` and `memory`; what they do it on, `material` makes.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;

mod builds;
mod calls;
mod files;
mod memory;
mod packages;
mod plot;
mod report;
mod rows;
mod session;
mod sides;
mod statistics;
mod storms;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use common::{How, Run, Scratch};
use report::Report;
use rows::Taken;
use session::{Needs, Session, complaint};
use sides::Side;

fn main() {
    let (mut turns, mut only, mut without) = (11, String::new(), String::new());
    for argument in std::env::args().skip(1).filter(|argument| argument != "--bench") {
        match (argument.parse(), argument.strip_prefix("without=")) {
            (Ok(number), _) => turns = number,
            (_, Some(sides)) => without = sides.to_owned(),
            _ => only = argument,
        }
    }
    let is_side = |name: &&str| Side::ALL.iter().any(|side| side.name() == *name);
    if let Some(unknown) = without.split(',').find(|name| !name.is_empty() && !is_side(name)) {
        eprintln!("no side is named {unknown:?}; there are {}", Side::ALL.map(Side::name).join(", "));
        std::process::exit(2);
    }
    let is_asked = |side: &Side| !without.split(',').any(|name| name == side.name());
    let sides: Vec<Side> =
        Side::ALL.into_iter().filter(is_asked).filter(|side| side.absent().is_none()).collect();
    let mut sessions = all();
    sessions.retain(|session| session.name.contains(&only) || session.group.contains(&only));
    if sessions.is_empty() {
        let names: Vec<&str> = all().iter().map(|session| session.name).collect();
        eprintln!("nothing is named {only:?}; there are {}", names.join(", "));
        std::process::exit(2);
    }
    let place = Path::new(env!("CARGO_TARGET_TMPDIR")).with_file_name("bench");
    std::fs::create_dir_all(&place)
        .unwrap_or_else(|error| panic!("cannot make {}: {error}", place.display()));
    let material = Material { cache: place.clone(), made: Scratch::new("bench-material") };
    let mut report = Report::new(&place, turns);
    for session in &sessions {
        report.group(session.group);
        match material.have(session) {
            Ok(()) => report.add(measure(session, turns, &sides, material.made.path())),
            Err(why) => report.skip(session, &why),
        }
    }
    report.end();
}

fn all() -> Vec<Session> {
    let lists = [
        storms::sessions(),
        calls::sessions(),
        files::sessions(),
        builds::sessions(),
        packages::sessions(),
        memory::sessions(),
    ];
    lists.into_iter().flatten().collect()
}

/// Measures in turns, each time beginning with another side, so that none always follows the same. Who fails at
/// everything is not asked again. What they have made stays until the end: a filesystem that has just removed a large tree is
/// slower for a while.
fn measure<'a>(session: &'a Session, turns: usize, sides: &[Side], material: &Path) -> Taken<'a> {
    let (mut sides, mut kept) = (sides.to_vec(), Vec::new());
    let mut taken = Taken::new(session);
    for turn in 0..turns.min(session.turns) {
        let shift = turn % sides.len();
        for &side in sides[shift..].iter().chain(&sides[..shift]) {
            taken.add(turn, side, session.measure(side, material, false, &mut kept));
        }
        sides.retain(|&side| !taken.hopeless(side));
    }
    if sides.contains(&Side::Remainroot) {
        taken.counted = session.measure(Side::Remainroot, material, true, &mut kept);
    }
    taken
}

/// What the sessions work on.
struct Material {
    /// Where it is kept for the next run.
    cache: PathBuf,
    /// Where every user can read it.
    made: Scratch,
}

impl Material {
    /// Whether a session has what it needs; made if it is not there yet, or why it cannot be.
    fn have(&self, session: &Session) -> Result<(), String> {
        match &session.material {
            Needs::Nothing => Ok(()),
            Needs::Loops if self.made.path().join("work").exists() => Ok(()),
            Needs::Loops => {
                let compiled = common::compile(&self.made, "bench/work.c", &["-O2"]);
                compiled.map(|_| ()).ok_or("gcc is not installed".into())
            }
            Needs::Script(script) => {
                let run = Run::shell(How::Namespace, script).directory(self.made.path()).seconds(300);
                match run.start().outcome() {
                    Ok(output) if output.status.success() => Ok(()),
                    Ok(output) => Err(complaint(&output.stderr)),
                    Err(_) => Err("what it works on was not made within 300 s".into()),
                }
            }
            Needs::Fetched { name, what, arguments } => {
                let (kept, made) = (self.cache.join(name), self.made.path().join(name));
                if !kept.exists() {
                    self.fetch(what, arguments)?;
                }
                if made.exists() {
                    return Ok(());
                }
                let copied = Command::new("cp").arg("-r").args([&kept, &made]).status();
                let whole = copied.is_ok_and(|status| status.success());
                whole.then_some(()).ok_or(format!("{} cannot be copied", kept.display()))
            }
        }
    }

    /// Runs `material`, as the machine is configured.
    fn fetch(&self, what: &str, arguments: &[String]) -> Result<(), String> {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/bench/material");
        let mut command = Command::new("timeout");
        command.args(["-k", "10", "1200"]).arg(script).arg(what).arg(&self.cache).args(arguments);
        command.env("REMAINROOT", common::remainroot()).stdin(Stdio::null());
        let output = command.output().map_err(|error| format!("timeout cannot be run: {error}"))?;
        let said = String::from_utf8_lossy(&output.stderr);
        output.status.success().then_some(()).ok_or_else(|| complaint(&said))
    }
}
