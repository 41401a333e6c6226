//! Storms: signals at random, programs from many threads around the first owner, and a long loop of processes. By name only
//! (`cargo test --test chaos`); `REMAINROOT_CHAOS=100` makes each so many times as long.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr)] // tests

mod common;

use std::fs;
use std::time::Duration;

use common::{How, Run, Running, Scratch, compile};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How many times as much as usually.
fn times(usually: u64) -> u64 {
    let times = std::env::var("REMAINROOT_CHAOS").ok().and_then(|value| value.parse::<u64>().ok());
    usually * times.unwrap_or(1)
}

/// Numbers that look random and are the same every time.
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % bound
    }
}

/// The ways of attaching, and whether the root directory is the user's own and whether there are owners already.
const WAYS: [(How, bool, bool); 4] = [
    (How::Remainroot, true, false),
    (How::Remainroot, true, true),
    (How::Remainroot, false, false),
    (How::Attached, true, false),
];

fn is_ours(pid: u32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "remainroot")
}

fn send(pid: u32, signal: Signal) {
    let _ = kill(Pid::from_raw(pid as i32), signal); // it may be gone already
}

/// Stops and continues processes of a run, its tracer and guardian among them, and kills some in the end.
fn harass(run: &Running, dice: &mut Dice) {
    let mut stopped = vec![];
    for _ in 0..dice.below(8) {
        let all = run.processes();
        if all.is_empty() {
            break;
        }
        let pid = all[dice.below(all.len() as u64) as usize];
        if dice.below(3) == 0 {
            stopped.iter().for_each(|&pid| send(pid, Signal::SIGCONT));
            stopped.clear();
        } else {
            send(pid, Signal::SIGSTOP);
            stopped.push(pid);
        }
        std::thread::sleep(Duration::from_micros(dice.below(3000)));
    }
    stopped.iter().for_each(|&pid| send(pid, Signal::SIGCONT));
    std::thread::sleep(Duration::from_micros(dice.below(20_000)));
    let (ours, theirs): (Vec<u32>, Vec<u32>) = run.processes().into_iter().partition(|&pid| is_ours(pid));
    let victims = match dice.below(4) {
        0 => ours,
        1 => ours.into_iter().take(1).collect(),
        2 => theirs.into_iter().take(1).collect(),
        _ => theirs,
    };
    victims.into_iter().for_each(|pid| send(pid, Signal::SIGKILL));
}

/// Kills the guests of a run that are left; the rest must end by itself.
fn end(run: &Running) {
    let none_is_left = || {
        let left = run.processes();
        left.iter().filter(|&&pid| !is_ours(pid)).for_each(|&pid| send(pid, Signal::SIGKILL));
        left.is_empty()
    };
    common::wait_until(none_is_left, || format!("left over: {}", run.description()));
}

#[test]
fn signals_at_random_leave_nobody_and_no_answer_is_wrong() {
    let (built, mut dice) = (Scratch::new("chaos-built"), Dice(0xBADC_0FFE));
    let Some(program) = compile(&built, "chaos/busy.c", &["-O1", "-pthread"]) else { return };
    let rounds = times(20);
    for round in 0..rounds {
        let (how, own_root, _) = WAYS[dice.below(WAYS.len() as u64) as usize];
        let (place, root) = (Scratch::new("chaos"), Scratch::new("chaos-root"));
        let run = Run::new(how, [program.as_str(), "3", "3"]).directory(place.path()).seconds(60);
        let run = if own_root { run.own_root(root.path()) } else { run }.start();
        run.until("up");
        harass(&run, &mut dice);
        end(&run);
        let said = run.so_far();
        assert!(!said.contains("WRONG"), "round {round}, {how:?}: {said}");
    }
    eprintln!("{rounds} rounds of signals at random");
}

#[test]
fn programs_of_many_threads_see_the_first_owner() {
    let built = Scratch::new("chaos-built");
    let Some(program) = compile(&built, "chaos/spawns.c", &["-O1", "-pthread"]) else { return };
    let each = times(5).to_string();
    for (how, own_root, owners) in WAYS {
        let (place, root) = (Scratch::new("chaos"), Scratch::new("chaos-root"));
        let script = format!("{} exec {program} 40 {each}", if owners { "touch o; chown 3 o;" } else { "" });
        let run = Run::shell(how, &script).directory(place.path()).seconds(60 + times(60));
        let run = if own_root { run.own_root(root.path()) } else { run };
        let said = run.output().success();
        let expected = format!("0 of {} wrong\n", 40 * times(5));
        assert_eq!(said, expected, "{how:?}, own root {own_root}, owners {owners}");
        eprintln!("{how:?}, own root {own_root}, owners {owners}: {}", said.trim());
    }
}

/// What the tracer of a run holds: kilobytes of memory, threads, descriptors.
fn held(run: &Running) -> [usize; 3] {
    let tracer = run.processes().into_iter().filter(|&pid| is_ours(pid)).map(|pid| {
        let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let field = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            line.and_then(|line| line.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
        };
        let open = fs::read_dir(format!("/proc/{pid}/fd")).map_or(0, Iterator::count);
        [field("VmRSS:"), field("Threads:"), open]
    });
    tracer.max().expect("there is a tracer")
}

#[test]
fn a_long_loop_of_processes_needs_no_more_and_more() {
    let built = Scratch::new("chaos-built");
    let Some(program) = compile(&built, "chaos/forks.c", &["-O1", "-pthread"]) else { return };
    let processes = times(3000);
    for (how, own_root, _) in WAYS {
        let (place, root) = (Scratch::new("chaos"), Scratch::new("chaos-root"));
        let lines = place.file("lines");
        nix::unistd::mkfifo(lines.as_str(), nix::sys::stat::Mode::empty()).unwrap();
        fs::set_permissions(&lines, std::os::unix::fs::PermissionsExt::from_mode(0o666)).unwrap();
        let script = format!("exec {program} {processes} <> lines");
        let run = Run::shell(how, &script).directory(place.path()).seconds(60 + times(30));
        let run = if own_root { run.own_root(root.path()) } else { run }.start();
        let held: Vec<[usize; 3]> = (1..=10)
            .map(|tenth| {
                run.until_times("tenth", tenth);
                let held = held(&run);
                fs::write(&lines, "\n").unwrap();
                held
            })
            .collect();
        run.finish().success();
        let [early, late] = [held[2], held[9]];
        eprintln!("{how:?}, own root {own_root}, {processes} processes: {held:?}");
        assert!(late[0] <= early[0] + early[0] / 4 + 512, "memory: {held:?}");
        assert!(late[1] <= early[1] + 2 && late[2] <= early[2] + 4, "threads, descriptors: {held:?}");
    }
}
