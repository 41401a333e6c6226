//! The harness that the other tests stand on does what it says.
#![allow(clippy::expect_used)] // a helper of a test is a test

mod common;

use std::time::{Duration, Instant};

use common::{How, Run, Running, Scratch};

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

/// Waits until a run's processes are all gone.
fn gone(processes: impl Fn() -> Vec<u32>) -> bool {
    let until = Instant::now() + Duration::from_secs(5);
    while Instant::now() < until {
        if processes().is_empty() {
            return true;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    false
}

fn hang(script: &str, seconds: u64) -> String {
    let failed = std::panic::catch_unwind(|| Run::shell(How::Namespace, script).seconds(seconds).output());
    *failed.expect_err("a deadline fails the test").downcast::<String>().expect("the message is text")
}

#[test]
fn a_program_that_hangs_fails_at_its_deadline_and_is_killed() {
    let started = Instant::now();
    let message = hang("echo before; sleep 86399", 1);
    assert!(started.elapsed() < Duration::from_secs(8));
    assert!(message.contains("did not end") && message.contains("before"), "{message}");
    assert!(gone(|| sleeping("86399")));
}

#[test]
fn a_daemon_that_keeps_a_pipe_open_fails_the_test_and_is_killed() {
    let message = hang("setsid sleep 86398 & exit 0", 1);
    assert!(message.contains("keeps its pipes open"), "{message}");
    assert!(gone(|| sleeping("86398")));
}

#[test]
fn dropping_a_run_kills_what_it_started() {
    let running: Running = Run::shell(How::Namespace, "echo up; sleep 86397").start();
    running.until("up");
    assert!(running.processes().contains(&running.pid()));
    drop(running);
    assert!(gone(|| sleeping("86397")));
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
