//! What a listener answers, and what is answered inside a process, is what real root is told, and what a stop would
//! have told.
#![allow(clippy::expect_used, clippy::unwrap_used)] // a helper of a test is a test

mod common;

use std::fs;

use common::{How, Run, Scratch};

/// Runs `looks NAME` of both widths, and where it looks as a C library does, as real root and under remainroot; what it
/// prints, and that there were notifications, or sites that were answered inside.
fn same(name: &str, expected: &str) {
    for kind in ["-m64", "-m32", "-DSITES"] {
        if kind == "-DSITES" && !cfg!(target_arch = "x86_64") {
            continue;
        }
        let built = Scratch::new("notify");
        let Some(program) = common::compile(&built, "notify/looks.c", &["-O1", "-pthread", kind]) else {
            return;
        };
        let how: &[How] = if common::needs_root() {
            &[How::Native, How::Remainroot, How::Attached]
        } else {
            &[How::Attached]
        };
        for &how in how {
            let (place, summary) = (Scratch::new("notify-place"), built.file("summary"));
            let run =
                Run::new(how, [program.as_str(), name]).directory(place.path()).option("--store=memory");
            let said = run.option(&format!("--summary={summary}")).output().success();
            assert_eq!(said.trim(), expected, "{kind} {how:?}");
            if how == How::Attached {
                let summary = fs::read_to_string(&summary).expect("a summary was asked for");
                let counted = |what: &str| -> u64 {
                    let line = summary.lines().find_map(|line| line.strip_suffix(what));
                    line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
                };
                let enough = match kind {
                    "-DSITES" => counted(" call sites answered inside") > 0,
                    _ => counted(" notifications") > 20,
                };
                if listens() {
                    assert!(enough, "{kind}\n{summary}");
                }
            }
        }
    }
}

/// Whether the kernel can wake a listener as it must, and ends it with its last task.
fn listens() -> bool {
    let can = common::kernel_is_at_least(6, 11);
    if !can {
        common::skip(common::Lack::Kernel, "in part: this kernel has no listener as it must be");
    }
    can
}

#[test]
fn a_signal_interrupts_no_look() {
    same("interrupted", "wrong 0, signals many");
}

#[test]
fn a_signal_ends_what_waits_in_the_kernel() {
    same("waiting", "wrong 0, signals enough");
}

#[test]
fn threads_look_at_once() {
    same("threads", "wrong 0 0 0 0");
}

#[test]
fn what_only_the_task_itself_can_look_at_takes_a_stop() {
    same("own", "wrong 0 0");
}

#[test]
fn no_call_changes_a_register_that_it_leaves_alone() {
    same("registers", "wrong 0");
}

#[test]
fn who_is_killed_while_it_waits_is_gone() {
    same("killed", "ended 60, wrong 0");
}

#[test]
fn children_are_answered_too() {
    same("children", "wrong 0");
}

#[test]
fn who_has_dropped_looks_and_makes_files_of_its_own() {
    same("dropped", "wrong 0, child 0");
}

#[test]
fn an_identity_that_comes_and_goes_is_answered_right_every_time() {
    same("raised", "wrong 0");
}

#[test]
fn a_filter_of_the_guests_own_works_on() {
    same("sandboxed", "wrong 0, owner 101 101");
}
