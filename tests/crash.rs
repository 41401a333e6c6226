//! Whatever is killed whenever: what a chown or mknod has reported finished is there in the next run, and nothing
//! has an owner that nobody gave it. `REMAINROOT_CRASHES=3000` makes it that many kills for each store.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)] // a helper of a test is a test

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::time::{Duration, Instant};

use common::{How, Run, Running, Scratch, compile};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Processes of a storm.
const PROCESSES: &str = "3";
/// Kills in one directory: the facts of all of them must last.
const ROUNDS: u64 = 8;
/// So many changes are finished at most before a kill is made ready.
const MOST: u64 = 24;
/// Kinds of files whose facts stand in attributes: regular files, directories, devices.
const BEARING: [u32; 3] = [0, 2, 5];

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// What is known of a file from what was told before the kill.
#[derive(Debug, Clone, Default)]
struct Told {
    kind: u32,
    /// Major and minor number, which are the same, where it is a device.
    device: u32,
    /// Owners that it may have: the last that is finished, and one that was begun since.
    owners: Vec<(u32, u32)>,
}

/// The files that must be there, by name.
fn told(said: &str, into: &mut BTreeMap<String, Told>) {
    let whole = said.rfind('\n').map_or("", |end| &said[..end]);
    for line in whole.lines() {
        let words: Vec<&str> = line.split(' ').collect();
        let (name, number) = (words[1], |index: usize| words[index].parse::<u32>().unwrap());
        match words[0] {
            "+" => {
                let kind = if number(2) == 1 { 0 } else { number(2) };
                let count = name.rsplit('.').next().unwrap().parse::<u32>().unwrap();
                let device = if kind == 5 { count % 100 + 1 } else { 0 };
                into.insert(name.to_owned(), Told { kind, device, owners: vec![(0, 0)] });
            }
            "?" => into.get_mut(name).unwrap().owners.push((number(2), number(3))),
            "!" => into.get_mut(name).unwrap().owners = vec![(number(2), number(3))],
            "-" => drop(into.remove(name).unwrap()),
            _ => panic!("{line}"),
        }
    }
}

/// Makes a directory that belongs to who runs the storm.
fn make_for_the_user(directory: &std::path::Path) {
    fs::create_dir(directory).unwrap();
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(directory, Some(common::NOBODY), Some(common::NOBODY)).unwrap();
    }
}

/// A store, a directory and the program that storms there.
struct Arena {
    place: Scratch,
    program: String,
    store: String,
}

impl Arena {
    fn run(&self, words: &[&str]) -> Run {
        let words = std::iter::once(self.program.as_str()).chain(words.iter().copied());
        let run = Run::new(How::Remainroot, words).directory(&self.place.path().join("w")).seconds(60);
        run.variable("HOME", self.place.path()).option(&format!("--store={}", self.store))
    }

    /// What is wrong with the files as the next run sees them.
    fn wrong(&self, told: &BTreeMap<String, Told>) -> Vec<String> {
        let said = self.run(&["show"]).output().success();
        let mut missing = told.clone();
        let mut wrong = vec![];
        for line in said.lines() {
            let words: Vec<&str> = line.split(' ').collect();
            let Some(told) = missing.remove(words[0].trim_end_matches('r')) else { continue };
            let number = |index: usize| words[index].parse::<u32>().unwrap();
            if self.store == "xattr" && !BEARING.contains(&told.kind) {
                continue;
            }
            let same = (number(1), number(4), number(5)) == (told.kind, told.device, told.device);
            if !same || !told.owners.contains(&(number(2), number(3))) {
                wrong.push(format!("{line}: not {told:?}"));
            }
        }
        wrong.extend(missing.iter().map(|(name, told)| format!("{name}: not there, {told:?}")));
        wrong
    }
}

/// The tracer of a run.
fn tracer(run: &Running) -> Option<u32> {
    let field = |pid: u32, key: &str| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix(key).map(str::to_owned))?;
        line.trim().parse::<u32>().ok().filter(|&id| id > 0)
    };
    field(field(run.pid(), "TracerPid:")?, "Tgid:")
}

/// Whether it is remainroot's own process: the tracer or its guardian.
fn is_ours(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "remainroot")
}

fn strike(victims: impl IntoIterator<Item = u32>) {
    for pid in victims {
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL); // it may be gone already
    }
}

/// Kills some of a run's processes; which, the dice say.
fn kill_some(run: &Running, dice: &mut Dice) {
    let tracer = tracer(run);
    let (ours, theirs): (Vec<u32>, Vec<u32>) = run.processes().into_iter().partition(|&pid| is_ours(pid));
    match dice.below(6) {
        0 => strike(tracer),
        1 => strike(theirs),
        2 => strike(theirs.into_iter().chain(tracer)),
        3 => strike(tracer.into_iter().chain(theirs)),
        4 => strike(ours),
        _ => strike((!theirs.is_empty()).then(|| theirs[dice.below(theirs.len() as u64) as usize])),
    }
}

/// Waits until nothing of a run is left; what was spared is killed when it was given `grace`.
fn await_end(run: &Running, grace: Duration) {
    let start = Instant::now();
    loop {
        let left = run.processes();
        if left.is_empty() {
            return;
        }
        if start.elapsed() > grace {
            strike(left.into_iter().filter(|&pid| !is_ours(pid)));
        }
        assert!(start.elapsed() < Duration::from_secs(120), "left over: {}", run.description());
        std::thread::sleep(Duration::from_millis(2));
    }
}

/// How often each store's runs are killed: as the environment says, or `usually`.
fn crashes(usually: u64) -> u64 {
    std::env::var("REMAINROOT_CRASHES").ok().and_then(|value| value.parse().ok()).unwrap_or(usually)
}

fn outlives_kills(store: &str) {
    let built = Scratch::new("crash-built");
    let Some(program) = compile(&built, "crash/storm.c", &[]) else { return };
    let mut dice = Dice(0xC0FFEE ^ store.len() as u64);
    let (mut finished, mut kills) = (0, 0);
    for directory in 0..crashes(104).div_ceil(ROUNDS) {
        let place = Scratch::new("crash");
        make_for_the_user(&place.path().join("w"));
        let store = if store == "FILE" { place.file("facts") } else { store.to_owned() };
        let arena = Arena { place, program: program.clone(), store };
        let mut known = BTreeMap::new();
        for round in 0..ROUNDS {
            let run = arena.run(&[&round.to_string(), PROCESSES]).start();
            // The dice say how many changes must be finished, and how far the next may be.
            run.until_times("\n!", 1 + dice.below(MOST) as usize);
            std::thread::sleep(Duration::from_micros(dice.below(120_000)));
            kill_some(&run, &mut dice);
            await_end(&run, Duration::from_millis(dice.below(10)));
            let output = run.finish();
            assert!(output.status.signal() == Some(9) && output.stderr.is_empty(), "{output:?}");
            finished += output.stdout.matches('!').count();
            kills += 1;
            told(&output.stdout, &mut known);
            let wrong = arena.wrong(&known);
            assert!(wrong.is_empty(), "directory {directory}, round {round}\n{}", wrong.join("\n"));
        }
    }
    eprintln!("{store}: {kills} kills, {finished} finished changes of owner");
}

#[test]
fn finished_changes_outlive_kills_where_facts_live_on_files_and_beside_them() {
    outlives_kills("auto");
}

#[test]
fn finished_changes_outlive_kills_where_facts_live_on_files_alone() {
    outlives_kills("xattr");
}

#[test]
fn finished_changes_outlive_kills_where_facts_live_in_a_file_alone() {
    outlives_kills("FILE");
}

/// Two runs on one tree; one of them is killed in half of the rounds, and a third run sees what both have finished.
#[test]
fn two_runs_on_one_tree_leave_what_both_have_finished() {
    let built = Scratch::new("crash-built");
    let Some(program) = compile(&built, "crash/storm.c", &[]) else { return };
    let mut dice = Dice(0xFACADE);
    let (mut finished, mut kills, rounds) = (0, 0, crashes(24));
    for directory in 0..rounds.div_ceil(ROUNDS) {
        let place = Scratch::new("crash");
        make_for_the_user(&place.path().join("w"));
        let arena = Arena { place, program: program.clone(), store: "auto".to_owned() };
        let mut known = BTreeMap::new();
        for round in 0..ROUNDS {
            let runs = [2 * round, 2 * round + 1].map(|round| arena.run(&[&round.to_string(), "2"]).start());
            for run in &runs {
                run.until_times("\n!", 1 + dice.below(MOST) as usize);
            }
            if round % 2 == 0 {
                kill_some(&runs[0], &mut dice);
                kills += 1;
            }
            for run in runs {
                await_end(&run, Duration::from_millis(dice.below(10)));
                let output = run.finish();
                assert!(output.status.signal() == Some(9) && output.stderr.is_empty(), "{output:?}");
                finished += output.stdout.matches('!').count();
                told(&output.stdout, &mut known);
            }
            let wrong = arena.wrong(&known);
            assert!(wrong.is_empty(), "directory {directory}, round {round}\n{}", wrong.join("\n"));
        }
    }
    eprintln!("two runs: {rounds} rounds, {kills} kills, {finished} finished changes of owner");
}
