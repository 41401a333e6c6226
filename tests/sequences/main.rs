//! Random sequences of file operations by several users: real root and remainroot in a one-id namespace
//! get the same answers, and see the same files after every step.
//!
//! `REMAINROOT_SEQUENCES=10000` makes each part that long; `REMAINROOT_SEED=N` repeats a run. What differs
//! is made as small as it goes and printed as a script for the probe (`tests/probe`).
//!
//! Left out is what the kernel decides by permission bits: a process that has dropped is still root to it.
//! So a call is made only where it is permitted to everybody, or to one who overrides permissions.
#![cfg(target_arch = "x86_64")]
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stderr)]

#[path = "../common/mod.rs"]
mod common;

#[path = "../conformance/cast.rs"]
#[allow(dead_code)] // no exec here
mod cast;
mod ground;
mod script;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};

use common::{Entry, needs_root};
use ground::{Ground, Sequence, Store};
use script::Step;

/// How many sequences a part of a normal run performs, and how many one launch of the probe.
const SEQUENCES: usize = 100;
const BATCH: usize = 12;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// A runner whose every value follows from the seed.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    TestRunner::new_with_rng(Config::default(), TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

/// Leaves steps out, many at once and then one by one, as long as what is left still fails.
fn smaller(mut steps: Vec<Step>, fails: impl Fn(&[Step]) -> bool) -> Vec<Step> {
    let until = Instant::now() + Duration::from_secs(60);
    let mut size = steps.len().div_ceil(2);
    while Instant::now() < until {
        let before = steps.len();
        let mut at = 0;
        while at < steps.len() && Instant::now() < until {
            let rest = [&steps[..at], &steps[steps.len().min(at + size)..]].concat();
            if fails(&rest) {
                steps = rest;
            } else {
                at += size;
            }
        }
        if size == 1 && steps.len() == before {
            break;
        }
        size = size.div_ceil(2);
    }
    steps
}

/// Batches of sequences on a filesystem; they differ in how calls enter the kernel, and every fifth is
/// a single sequence that begins before the first fact.
fn compare(ground: Ground, store: Store) {
    if !needs_root() || !ground.is_there() {
        return;
    }
    let wanted = number("REMAINROOT_SEQUENCES").map_or(SEQUENCES, |count| count as usize);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = number("REMAINROOT_SEED").unwrap_or(if wanted == SEQUENCES { 1 } else { clock });
    let mut runner = runner(seed);
    let strategy = vec(script::step(), 20..60);
    let mut done = 0;
    for batch in 0.. {
        if done >= wanted {
            break;
        }
        let fresh = batch % 5 == 4;
        let size = if fresh { 1 } else { BATCH };
        let mut all: Vec<Vec<Step>> =
            (0..size).map(|_| strategy.new_tree(&mut runner).unwrap().current()).collect();
        let entry = Entry::ALL[(batch + batch / 5) % Entry::ALL.len()];
        let sequence = |at: usize, steps: &[Step]| Sequence {
            entry,
            fresh,
            steps: script::render(steps, ground, (batch + at) % 3 != 2),
        };
        let sequences: Vec<Sequence> =
            all.iter().enumerate().map(|(at, steps)| sequence(at, steps)).collect();
        done += size;
        let Some((at, what)) = ground::difference(ground, store, &sequences) else { continue };
        eprintln!("seed {seed}: differs, and is being made smaller:\n{what}");
        let differs = |steps: &[Step]| ground::difference(ground, store, &[sequence(at, steps)]);
        let steps = smaller(all.swap_remove(at), |steps| differs(steps).is_some());
        let what = differs(&steps).map_or(format!("not when alone: {what}"), |(_, what)| what);
        panic!("seed {seed}: {what}\nthe script was:\n{}", sequence(at, &steps).steps);
    }
    eprintln!("{done} sequences are the same both ways; seed {seed}");
}

#[test]
fn random_sequences_on_a_disk_go_as_they_go_for_real_root() {
    compare(Ground::Disk, Store::Memory);
}

#[test]
fn random_sequences_in_memory_go_as_they_go_for_real_root() {
    compare(Ground::Memory, Store::Memory);
}

#[test]
fn random_sequences_on_layers_go_as_they_go_for_real_root() {
    compare(Ground::Layers, Store::Memory);
}

#[test]
fn what_random_sequences_leave_on_a_disk_is_there_in_the_next_run() {
    compare(Ground::Disk, Store::Auto);
}

#[test]
fn what_random_sequences_leave_on_layers_is_there_in_the_next_run() {
    compare(Ground::Layers, Store::Auto);
}
