//! What remainroot costs where thousands of files have owners: whole commands, in turns, beside real root, the bare
//! namespace and fakeroot.

use std::path::Path;

use crate::common::{How, Run, Scratch};
use crate::statistics::{Pairs, duration};
use crate::{Side, installed, stops};

/// Makes an archive of 20,000 files of 50 owners.
const ARCHIVE: &str = "
    mkdir tree; cd tree
    perl -e 'for $o (1 .. 50) { mkdir \"d$o\"; for (1 .. 400) { open F, \">\", \"d$o/f$_\"; print F \"$o $_\\n\" } }'
    for owner in $(seq 1 50); do
        tar -rf ../archive --owner=$((1000 + owner)) --group=$((2000 + owner)) d$owner
    done
    cd ..; rm -r tree";

/// What is measured, by name and shell command, one after the other in one session.
const STEPS: &[(&str, &str)] = &[
    ("`tar x`, 20,000 files of 50 owners", "tar x $same -f ../archive"),
    ("`find -ls` of them", "find . -ls"),
    ("`ls -lR` of them", "ls -lR ."),
    ("`tar c` of them", "tar -c . | cat"),
    ("`chown -R` of them to another", "chown -R $to ."),
    ("`rm -r` of them", "rm -r d*"),
];

/// Prints the nanoseconds of each step.
fn session() -> String {
    let steps = STEPS.iter().map(|(_, command)| {
        format!("from=$(date +%s%N); {{ {command}; }} >/dev/null || exit 1; echo $(($(date +%s%N) - from))\n")
    });
    format!("mkdir files; cd files\n{}cd ..; rmdir files", steps.collect::<String>())
}

/// Measures in turns, and prints a table.
pub fn table(turns: usize) {
    let root = nix::unistd::geteuid().is_root();
    let mut sides = vec![Side::Bare, Side::Remainroot];
    sides.extend(installed("fakeroot").then_some(Side::Fakeroot));
    sides.extend(root.then_some(Side::Root));
    let scratch = Scratch::new("bench-files");
    Run::shell(How::Namespace, ARCHIVE).directory(scratch.path()).seconds(300).output().success();
    // Against real root, or where there is none against the bare namespace, which gives nothing away.
    let base = if root { Side::Root } else { Side::Bare };
    let mut measured: Vec<Vec<(Side, Vec<f64>)>> = Vec::new();
    for turn in 0..turns {
        let shift = turn % sides.len();
        sides.rotate_left(shift);
        measured.push(sides.iter().map(|&side| (side, measure(side, scratch.path(), None))).collect());
    }
    let summary = scratch.file("summary");
    measure(Side::Remainroot, scratch.path(), Some(&summary));
    println!(
        "\n| work | real root | bare namespace | remainroot | ratio | its quartiles | fakeroot | its ratio |"
    );
    println!("|---|---:|---:|---:|---:|---|---:|---:|");
    for (index, (title, _)) in STEPS.iter().enumerate() {
        let of = |side| {
            let mut pairs = Pairs::default();
            for turn in &measured {
                let time =
                    |wanted| turn.iter().find(|(side, _)| *side == wanted).map(|(_, times)| times[index]);
                if let (Some(one), Some(other)) = (time(base), time(side)) {
                    pairs.add(one, other);
                }
            }
            pairs
        };
        let shown = |side| {
            let median = of(side).ours();
            if median.is_nan() { "–".to_owned() } else { duration(median) }
        };
        let (ours, peer) = (of(Side::Remainroot), of(Side::Fakeroot));
        let (low, high) = ours.quartiles();
        println!(
            "| {title} | {} | {} | {} | **{:.2}** | {low:.2}–{high:.2} | {} | {:.2} |",
            shown(Side::Root),
            shown(Side::Bare),
            shown(Side::Remainroot),
            ours.ratio(),
            shown(Side::Fakeroot),
            peer.ratio(),
        );
    }
    println!("\n{} stops in all of these under remainroot.", stops(&summary));
}

/// The nanoseconds of each step.
fn measure(side: Side, directory: &Path, summary: Option<&str>) -> Vec<f64> {
    let how = match side {
        Side::Root => How::Native,
        Side::Remainroot => How::Remainroot,
        Side::Bare | Side::Fakeroot => How::Namespace,
    };
    // A bare namespace cannot give anything away.
    let given = if side == Side::Bare { "same=--no-same-owner; to=0:0" } else { "same=; to=7:8" };
    let script = format!("{given}\n{}", session());
    let words = match side {
        Side::Fakeroot => vec!["fakeroot", "--", "sh", "-c", &script],
        _ => vec!["sh", "-c", &script],
    };
    let (root, run) = (Scratch::new("bench-root"), Run::new(how, words));
    let run = if side == Side::Root { run } else { run.own_root(root.path()) };
    let run =
        run.directory(directory).variable("FAKEROOTDONTTRYCHOWN", "1").option("--store=auto").seconds(600);
    let run = match summary {
        Some(file) => run.option(&format!("--summary={file}")),
        None => run,
    };
    let printed = run.output().success();
    let times: Vec<f64> = printed.lines().filter_map(|line| line.parse().ok()).collect();
    assert_eq!(times.len(), STEPS.len(), "{printed}");
    times
}
