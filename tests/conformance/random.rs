//! Random sequences of credential calls, among threads, children and execs, both ways.

use std::time::{SystemTime, UNIX_EPOCH};

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::{BoxedStrategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestError, TestRng, TestRunner};

use crate::cast::Cast;
use crate::common::{How, needs_root};
use crate::oracle::{Bench, Entry, Root, Sequence};

/// How many sequences a normal run performs, and how many one launch of the probe.
const SEQUENCES: usize = 300;
const BATCH: usize = 50;

const IDS: &[&str] = &["0", "1", "2", "100", "65534", "65535", "65536", "4294967294", "-1"];
const SETS: &[u64] =
    &[0, 0x1c0, 0x1ff, 0x80, 0x40, 0x100, 0x1c1, 0x8000_021f, 0x100_0000_00c0, 0x20_0100, 0x1ff_feff_ffff];
const CAPS: &[&str] = &["0", "6", "7", "8", "21", "40", "41"];
const BITS: &[&str] =
    &["0", "1", "4", "5", "0x10", "0x14", "0x20", "0x2f", "0x40", "0x100", "0x500", "0x555"];

const SET_ID: &[&str] = &["./root", "./user", "./group", "./both", "./large"];

/// A step before it is known which tasks there are.
#[derive(Debug, Clone)]
enum Step {
    Call(String),
    Capget(u8),
    Spawn(&'static str),
    Exec(&'static str),
    Exit(&'static str),
}

fn id() -> impl Strategy<Value = &'static str> {
    select(IDS)
}

fn call() -> BoxedStrategy<Step> {
    let one = (select(&["setuid", "setgid", "setfsuid", "setfsgid"][..]), wide(), id())
        .prop_map(|(name, width, a)| format!("{name}{width} {a}"));
    let two = (select(&["setreuid", "setregid"][..]), wide(), id(), id())
        .prop_map(|(name, width, a, b)| format!("{name}{width} {a} {b}"));
    let three = (select(&["setresuid", "setresgid"][..]), wide(), id(), id(), id())
        .prop_map(|(name, width, a, b, c)| format!("{name}{width} {a} {b} {c}"));
    let groups = vec(id(), 0..4).prop_map(|ids| format!("setgroups {} u32[{}]", ids.len(), ids.join(",")));
    let capset = (select(SETS), select(SETS), select(SETS), any::<bool>()).prop_map(|(e, p, i, fit)| {
        let effective = if fit { e & p } else { e };
        format!("capset hdr(V3,0) cap3({effective:#x},{p:#x},{i:#x})")
    });
    let prctl = prop_oneof![
        select(&["0", "1", "2"][..]).prop_map(|keep| format!("prctl SET_KEEPCAPS {keep}")),
        select(CAPS).prop_map(|cap| format!("prctl CAPBSET_DROP {cap}")),
        select(BITS).prop_map(|bits| format!("prctl SET_SECUREBITS {bits}")),
        (select(&["RAISE", "RAISE", "LOWER"][..]), select(CAPS))
            .prop_map(|(what, cap)| format!("prctl CAP_AMBIENT {what} {cap}")),
        Just("prctl CAP_AMBIENT CLEAR_ALL".to_owned()),
        Just("prctl SET_NO_NEW_PRIVS 1".to_owned()),
    ];
    prop_oneof![3 => one, 2 => two, 4 => three, 1 => groups, 3 => capset, 4 => prctl, 2 => pointers()]
        .prop_map(Step::Call)
        .boxed()
}

/// Calls whose memory may be bad.
fn pointers() -> BoxedStrategy<String> {
    let to = || select(&["out", "out", "out^60", "out^62", "null", "void", "ro", "high"][..]);
    let at = || select(&["", "", "^", "^1", "^4", "^12", "!"][..]);
    let number = || select(&["0", "1", "3", "65536", "65537", "-1"][..]);
    let version = || select(&["V1", "V2", "V3", "0"][..]);
    prop_oneof![
        (select(&["getresuid", "getresgid"][..]), wide(), to(), to(), to())
            .prop_map(|(name, width, a, b, c)| format!("{name}{width} {a} {b} {c}")),
        (wide(), number(), to()).prop_map(|(width, count, to)| format!("getgroups{width} {count} {to}")),
        (wide(), number(), at()).prop_map(|(width, count, at)| match width {
            "" => format!("setgroups {count} u32[7,65536,5]{at}"),
            _ => format!("setgroups16 {count} u16[7,65535,5]{at}"),
        }),
        (version(), select(&["0", "0", "-1"][..]), at(), to())
            .prop_map(|(version, pid, at, to)| format!("capget hdr({version},{pid}){at} {to}")),
        (version(), at())
            .prop_map(|(version, at)| format!("capset hdr({version},0) cap3(0x1c0,0x1c0,0){at}")),
    ]
    .boxed()
}

/// The width of a call's ids: the 16-bit forms are there for 32-bit calls only.
fn wide() -> impl Strategy<Value = &'static str> {
    prop_oneof![4 => Just(""), 1 => Just("16")]
}

/// One step: a number that chooses the task, whether it may act together with the one before, and what
/// it does.
type Chosen = (u8, bool, Step);

fn step() -> BoxedStrategy<Chosen> {
    let spawn =
        select(&["thread", "thread", "thread3", "fork", "fork", "fork3", "vfork", "vfork3", "sibling"][..]);
    let exec = prop_oneof![select(&["./probe64", "./probe64", "./probe32"][..]), select(SET_ID)];
    let kind = prop_oneof![
        14 => call(),
        1 => any::<u8>().prop_map(Step::Capget),
        3 => spawn.prop_map(Step::Spawn),
        2 => exec.prop_map(Step::Exec),
        1 => select(&["exit", "exit", "exit_group"][..]).prop_map(Step::Exit),
    ];
    (any::<u8>(), prop::bool::weighted(0.3), kind).boxed()
}

/// Turns steps into a script in which every task that acts can act, and those that act together share
/// neither memory nor a process.
fn render(steps: &[Chosen]) -> String {
    let mut cast = Cast::new();
    let mut script = String::new();
    let mut acting: Vec<usize> = vec![];
    for (selector, along, step) in steps {
        let Some(actor) = cast.choose(*selector) else { break };
        let memory = cast.memory(actor);
        let line = match step {
            Step::Call(call) => call.clone(),
            Step::Capget(other) => format!("capget hdr(V3,@t{}) out", cast.choose_any(*other)),
            Step::Spawn(how) => {
                cast.spawn(actor, how).map_or("look".to_owned(), |child| format!("{how} t{child}"))
            }
            Step::Exec(path) => {
                cast.exec(actor);
                format!("exec {path}")
            }
            Step::Exit(how) => {
                cast.end(actor, *how == "exit_group");
                (*how).to_owned()
            }
        };
        // A task that looks at another must not meet its change, and one must be born to be chosen.
        let alone = matches!(step, Step::Capget(_) | Step::Spawn(_));
        if *along && !alone && !acting.is_empty() && !acting.contains(&memory) {
            script.pop();
            script.push_str(" | ");
        } else {
            acting.clear();
        }
        if !alone {
            acting.extend([memory, cast.memory(actor)]);
        }
        script.push_str(&format!("t{actor} {line}\n"));
    }
    script
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is no number")))
}

/// A runner whose every value follows from the seed.
fn runner(seed: u64) -> TestRunner {
    let mut bytes = [0; 32];
    bytes[..8].copy_from_slice(&seed.to_le_bytes());
    let config = Config {
        max_shrink_iters: 300,
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..Config::default()
    };
    TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &bytes))
}

#[test]
fn random_sequences_go_as_they_go_for_real_root() {
    if !needs_root() {
        return;
    }
    let wanted = number("REMAINROOT_SEQUENCES").map_or(SEQUENCES, |count| count as usize);
    let clock = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let seed = number("REMAINROOT_SEED").unwrap_or(if wanted == SEQUENCES { 1 } else { clock });
    let mut runner = runner(seed);
    let (bench, strategy) = (Bench::new(), vec(step(), 1..24));
    for start in (0..wanted).step_by(BATCH) {
        let batch = start / BATCH;
        let entries = if batch % 4 < 2 { &Entry::ALL[..3] } else { &Entry::ALL[3..] };
        let root = Root::ALL[batch % 2];
        let how = [How::Remainroot, How::Alone, How::Attached, How::Remainroot][batch % 4];
        let mut trees: Vec<_> =
            (start..wanted.min(start + BATCH)).map(|_| strategy.new_tree(&mut runner).unwrap()).collect();
        let sequence = |at: usize, steps: &[Chosen]| {
            let mut steps = render(steps);
            if batch.is_multiple_of(3) {
                // No file has an emulated owner then.
                SET_ID.iter().for_each(|name| steps = steps.replace(name, "./probe64"));
            }
            Sequence { entry: entries[at % entries.len()], brief: true, steps }
        };
        let sequences: Vec<Sequence> =
            trees.iter().enumerate().map(|(at, tree)| sequence(at, &tree.current())).collect();
        let Some((at, what)) = bench.difference(how, root, &sequences) else {
            eprint!("{} ", start + sequences.len());
            continue;
        };
        eprintln!("differs, and is being made smaller:\n{what}");
        let smaller = runner.run_one(trees.swap_remove(at), |steps| {
            let alone = bench.difference(how, root, &[sequence(at, &steps)]);
            prop_assert!(alone.is_none(), "{}", alone.map(|(_, what)| what).unwrap_or_default());
            Ok(())
        });
        match smaller {
            Err(TestError::Fail(why, steps)) => {
                panic!("seed {seed}: {why}\nthe sequence was:\n{}", sequence(at, &steps).steps)
            }
            _ => {
                panic!("seed {seed}, and not when alone: {what}\nthe sequence was:\n{}", sequences[at].steps)
            }
        }
    }
    eprintln!("{wanted} sequences are the same both ways; seed {seed}");
}
