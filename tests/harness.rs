//! The harness that the other tests stand on does what it says.
#![allow(clippy::expect_used)] // a helper of a test is a test

mod common;
#[path = "bench/statistics.rs"]
mod statistics;

use std::path::Path;
use std::time::{Duration, Instant};

use common::{How, Place, Run, Running, Scratch};

#[test]
fn output_and_status_are_what_the_program_gave() {
    let output = Run::shell(How::Native, "cat; echo gone >&2; exit 7").input("here\n").output();
    assert_eq!((output.code(), output.stdout.as_str(), output.stderr.as_str()), (7, "here\n", "gone\n"));
}

#[test]
fn a_namespace_run_is_by_an_unprivileged_user_with_one_id() {
    let map = Run::shell(How::Namespace, "cat /proc/self/uid_map; id -u").output().success();
    let words: Vec<&str> = map.split_whitespace().collect();
    assert_eq!((words[0], words[2], words[3]), ("0", "1", "0"));
    assert!(words[1] != "0");
}

#[test]
fn a_scratch_directory_is_writable_in_a_namespace_run() {
    let scratch = Scratch::new("harness");
    let file = scratch.file("made");
    Run::new(How::Namespace, ["touch", &file]).output().success();
    assert!(std::path::Path::new(&file).exists());
}

/// Waits until all processes whose last argument is this are gone.
fn await_end(argument: &str) {
    common::wait_until(|| sleeping(argument).is_empty(), || format!("sleep {argument} is left"));
}

fn hang(script: &str, seconds: u64) -> String {
    let failed = std::panic::catch_unwind(|| Run::shell(How::Namespace, script).seconds(seconds).output());
    *failed.expect_err("a deadline fails the test").downcast::<String>().expect("the message is text")
}

#[test]
fn a_program_that_hangs_fails_at_its_deadline_and_is_killed() {
    let started = Instant::now();
    let message = hang("echo before; sleep 86399", 1);
    assert!(started.elapsed() < Duration::from_secs(3600));
    assert!(message.contains("did not end") && message.contains("before"), "{message}");
    await_end("86399");
}

#[test]
fn a_daemon_that_keeps_a_pipe_open_fails_the_test_and_is_killed() {
    let message = hang("setsid sleep 86398 & exit 0", 1);
    assert!(message.contains("keeps its pipes open"), "{message}");
    await_end("86398");
}

#[test]
fn dropping_a_run_kills_what_it_started() {
    let running: Running = Run::shell(How::Namespace, "echo up; sleep 86397").start();
    running.until("up");
    assert!(running.processes().contains(&running.pid()));
    drop(running);
    await_end("86397");
}

/// Processes whose last argument is this.
fn sleeping(argument: &str) -> Vec<u32> {
    let mut found = vec![];
    for entry in std::fs::read_dir("/proc").into_iter().flatten().flatten() {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        if line.ends_with(format!("{argument}\0").as_bytes()) {
            found.extend(entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()));
        }
    }
    found
}

#[test]
fn a_deadline_can_be_the_callers_to_judge() {
    let complaint = Run::shell(How::Native, "sleep 86396").seconds(1).start().outcome();
    assert!(complaint.is_err_and(|told| told.contains("did not end")));
    await_end("86396");
}

#[test]
fn the_benchmark_knows_medians_and_quartiles() {
    let values = [4.0, 1.0, 3.0, 2.0, 5.0];
    assert_eq!((statistics::median(&values), statistics::quartiles(&values)), (3.0, (2.0, 4.0)));
    assert_eq!((statistics::median(&values[..4]), statistics::quartiles(&values[..4])), (2.5, (1.75, 3.25)));
    assert_eq!((statistics::median(&[7.0]), statistics::quartiles(&[7.0])), (7.0, (7.0, 7.0)));
    assert!(statistics::median(&[]).is_nan());
}

#[test]
fn the_benchmark_compares_what_was_measured_in_the_same_turn() {
    // The second turn was disturbed on both sides: its ratio is that of the others.
    let (base, other) =
        ([Some(10.0), Some(40.0), None, Some(10.0)], [Some(20.0), Some(80.0), Some(1.0), None]);
    assert_eq!(statistics::ratios(&base, &other), [2.0, 2.0]);
}

#[test]
fn the_benchmark_reads_what_a_summary_counts() {
    let summary = " 21.47    0.000541      540.6         1         0 fchownat         chown\n\n        \
                   67 seccomp stops\n         6 exec stops\n         5 injected calls\n         0 hand-overs\n";
    let counts = statistics::counts(summary);
    assert_eq!((statistics::stops(&counts), counts.len()), (73, 4));
    assert_eq!(counts[2], ("injected calls".to_owned(), 5));
}

#[test]
fn the_benchmark_writes_figures_for_people() {
    let shown = [9_999.0, 10_000.0, 2.5e7, 1.2e10, f64::NAN].map(statistics::duration);
    assert_eq!(shown, ["9999 ns", "10.0 µs", "25.0 ms", "12.0 s", "–"]);
    assert_eq!([1.0, 9.996, 94.5, 888.4].map(statistics::times), ["1.00", "10.0", "94.5", "888"]);
}

/// What a place is like for its user: id, no_new_privs, effective set, an unknown call, a new namespace.
const FOUND: &str = "echo $(id -u) $(grep -E 'CapEff|NoNewPrivs' /proc/self/status | cut -f2) \
    $(perl -e 'syscall(2000); print $! + 0') $(unshare -U true 2>/dev/null && echo makes || echo none)";

#[test]
fn places_are_what_their_names_say() {
    if !common::needs_root() {
        return;
    }
    let (full, empty) = ("000001ffffffffff", "0000000000000000");
    for (place, expected) in [
        (Place::Whole, format!("0 {full} 0 38 makes")),
        (Place::Filter { errno: 38 }, format!("0 {full} 1 38 makes")),
        (Place::Filter { errno: 1 }, format!("0 {full} 1 1 makes")),
        (Place::PrivilegedFilter { errno: 1 }, format!("0 {full} 0 1 makes")),
        (Place::NoCapabilities { no_new_privs: true }, format!("0 {empty} 1 38 makes")),
        (Place::NoCapabilities { no_new_privs: false }, format!("0 {empty} 0 38 makes")),
        (Place::NoNamespace, format!("65534 {empty} 1 38 none")),
        (Place::Chroot, format!("65534 {empty} 0 38 none")),
    ] {
        for root in [None, Some(Scratch::new("root"))] {
            let run = Run::shell(How::Namespace, FOUND).place(place);
            let run = if let Some(root) = &root { run.own_root(root.path()) } else { run };
            let said = run.output().success();
            // A root directory of one's own is a chroot too.
            let expected = if root.is_some() { expected.replace("makes", "none") } else { expected.clone() };
            assert_eq!(said.trim(), expected, "{place:?} {}", root.is_some());
        }
    }
}

#[test]
fn a_directory_is_mounted_for_whoever_may_mount_none() {
    if !common::needs_root() {
        return;
    }
    for place in
        [Place::Whole, Place::NoCapabilities { no_new_privs: true }, Place::NoNamespace, Place::Chroot]
    {
        for how in [How::Native, How::Namespace] {
            let scratch = Scratch::new("bound");
            let run =
                Run::shell(how, "touch /mnt/made").place(place).bound(scratch.path(), Path::new("/mnt"));
            run.output().success();
            assert!(scratch.path().join("made").exists(), "{place:?} {how:?}");
        }
    }
}

#[test]
fn a_build_that_is_missing_or_older_than_its_sources_is_not_tested() {
    let scratch = Scratch::new("build");
    let (program, source) = (scratch.path().join("tool"), scratch.path().join("a source.rs"));
    let told = || common::is_current(&program).err().unwrap_or_default();
    let touch = |path: &Path, seconds: u64| {
        let file = std::fs::File::create(path).expect("the directory is writable");
        file.set_modified(std::time::UNIX_EPOCH + Duration::from_secs(seconds)).expect("the file is ours");
    };
    assert!(told().starts_with("there is no "), "{}", told());
    touch(&source, 10);
    touch(&program, 20);
    assert!(told().ends_with("tool.d"), "{}", told());
    let name = source.to_str().expect("the path is text").replace(' ', "\\ ");
    std::fs::write(program.with_extension("d"), format!("tool: {name}\n"))
        .expect("the directory is writable");
    assert_eq!(told(), "");
    touch(&source, 30);
    assert!(told().contains(" is older than "), "{}", told());
    std::fs::remove_file(&source).expect("it is there");
    assert!(told().contains(" is older than "), "{}", told());
}
