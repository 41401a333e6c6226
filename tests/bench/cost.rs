//! What remainroot costs: every piece of work runs in a bare one-id namespace, under remainroot in one, and under
//! fakeroot where that is installed, taking turns, and the medians stand beside each other. Started by `scripts/bench`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stdout, clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;
mod files;
mod statistics;

use common::{How, Run, Scratch};
use statistics::{Pairs, duration};

/// One piece of work.
struct Work {
    /// What the table calls it.
    title: &'static str,
    /// The name `work.c` knows it by; the exec storm is perl's.
    name: &'static str,
    /// Rounds in one measurement.
    count: u32,
}

const fn work(title: &'static str, name: &'static str, count: u32) -> Work {
    Work { title, name, count }
}

/// Where the last run under remainroot left its summary.
const SUMMARY: &str = "summary";

const EXEC_STORM: &str = "exec";

/// Says how many nanoseconds a round took.
const STORM: &str =
    "my $from = time; system('/usr/bin/true') for 1..$ARGV[0]; print((time - $from) * 1e9 / $ARGV[0])";

const WORK: &[Work] = &[
    work("fork, exec and exit of `true`", EXEC_STORM, 1000),
    work("fork and exit", "fork", 2000),
    work("start and join a thread", "thread", 2000),
    work("getppid", "getppid", 3_000_000),
    work("getuid", "getuid", 3_000_000),
    work("getuid after a drop", "dropped-getuid", 20_000),
    work("read", "read", 2_000_000),
    work("read after a drop", "dropped-read", 2_000_000),
    work("stat", "stat", 500_000),
    work("stat after a drop", "dropped-stat", 20_000),
    work("stat once another file was given away", "given-stat", 20_000),
    work("stat of a file that was given away", "given-own-stat", 20_000),
    work("open and close", "open", 200_000),
    work("open and close after a drop", "dropped-open", 200_000),
    work("create and unlink", "create", 20_000),
    work("create and unlink after a drop", "dropped-create", 5_000),
];

/// One side of the comparison.
#[derive(Clone, Copy, PartialEq)]
enum Side {
    Bare,
    Remainroot,
    Fakeroot,
    Root,
}

fn main() {
    let mut turns = 11;
    let mut only = String::new();
    for argument in std::env::args().skip(1).filter(|argument| argument != "--bench") {
        match argument.parse() {
            Ok(number) => turns = number,
            Err(_) => only = argument,
        }
    }
    let scratch = Scratch::new("bench");
    let Some(program) = common::compile(&scratch, "bench/work.c", &["-O2"]) else {
        std::process::exit(1);
    };
    println!("| work | bare namespace | remainroot | ratio | its quartiles | stops a round | fakeroot |");
    println!("|---|---:|---:|---:|---|---:|---:|");
    for work in WORK.iter().filter(|work| work.name.contains(&only)) {
        println!("{}", row(work, turns, &program, &scratch));
    }
    if only.is_empty() || only == "files" {
        files::table(turns.min(3));
    }
}

/// Measures in turns, each time in the other order, so that neither side always follows the other.
fn row(work: &Work, turns: usize, program: &str, scratch: &Scratch) -> String {
    let mut pairs = Pairs::default();
    for turn in 0..turns {
        let mut sides = [Side::Bare, Side::Remainroot];
        if turn % 2 == 1 {
            sides.reverse();
        }
        let [first, second] = sides.map(|side| measure(work, side, program, scratch, false));
        let (bare, ours) = if sides[0] == Side::Bare { (first, second) } else { (second, first) };
        pairs.add(bare, ours);
    }
    let peer = match installed("fakeroot") {
        true => duration(measure(work, Side::Fakeroot, program, scratch, false)),
        false => "–".into(),
    };
    measure(work, Side::Remainroot, program, scratch, true);
    let (low, high) = pairs.quartiles();
    format!(
        "| {} | {} | {} | **{:.2}** | {low:.2}–{high:.2} | {:.2} | {peer} |",
        work.title,
        duration(pairs.bare()),
        duration(pairs.ours()),
        pairs.ratio(),
        stops(&scratch.file(SUMMARY)) / f64::from(work.count),
    )
}

/// The stops that a summary counts, of every kind.
fn stops(summary: &str) -> f64 {
    let text = std::fs::read_to_string(summary).unwrap_or_else(|error| panic!("{summary}: {error}"));
    let count = |line: &str| line.trim().strip_suffix("stops")?.split(' ').next()?.parse::<f64>().ok();
    text.lines().filter_map(count).sum()
}

fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

/// Nanoseconds for one round, in a root directory that is the user's own and bears no mark of earlier facts. To count the stops costs time, so that is a run of its own.
fn measure(work: &Work, side: Side, program: &str, scratch: &Scratch, counted: bool) -> f64 {
    let how = if side == Side::Remainroot { How::Remainroot } else { How::Namespace };
    let mut words: Vec<String> =
        if side == Side::Fakeroot { vec!["fakeroot".into(), "--".into()] } else { Vec::new() };
    let (root, count) = (Scratch::new("bench-root"), work.count.to_string());
    match work.name {
        EXEC_STORM => words.extend(["perl", "-MTime::HiRes=time", "-e", STORM, &count].map(String::from)),
        name => words.extend([program, name, &count].map(String::from)),
    }
    let run = Run::new(how, words).own_root(root.path()).directory(scratch.path()).seconds(300);
    let run = run.option("--store=auto");
    let run = if counted { run.option(&format!("--summary={}", scratch.file(SUMMARY))) } else { run };
    let printed = run.output().success();
    printed.trim().parse().unwrap_or_else(|_| panic!("{}: printed {printed:?}", work.title))
}
