//! Programs with seccomp filters of their own: what they do and what others see of it is as for real root, whatever the
//! filters keep the tracer from having them do.
#![allow(clippy::expect_used, clippy::unwrap_used)] // a helper of a test is a test

mod common;

use common::{Guest, How, Run, Scratch, compile, needs_root};

/// What a program needs that has no C library.
const BARE: [&str; 5] =
    ["-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-I/usr/include/x86_64-linux-gnu"];

/// What others see of what the probe has left.
const SEEN: &str = "find . -mindepth 1 ! -name .own -printf '%p %U:%G %m %y\\n' | sort; stat -c '%n %t:%T' [bc][0-9]; \
                    getfattr -hd -m- f l 2>/dev/null | grep -v selinux; touch late; stat -c %u late";

/// A kind of run: where it takes place, and what comes before.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Demand,
    Facts,
    Host,
    Attached,
}

/// Runs a script as real root or in this kind of run, in a directory of its own; twice, to see what lasts.
fn run(how: How, kind: Kind, script: &str) -> [String; 2] {
    let (place, root) = (Scratch::new("filters"), Scratch::new("filters-root"));
    for directory in ["usr", "etc", "dev", "proc", "sys", "tmp", "root", "home", "var", "run", "mnt", "old"] {
        std::fs::create_dir_all(root.path().join(directory)).unwrap();
    }
    let before = if kind == Kind::Facts { "touch .own; chown 33:33 .own; " } else { "" };
    [format!("{before}{script}; {SEEN}"), SEEN.to_owned()].map(|script| {
        let run = Run::shell(how, &script).directory(place.path()).seconds(60);
        let run = if how == How::Native { run } else { run.option("--store=auto") };
        let run = if kind == Kind::Host { run } else { run.own_root(root.path()) };
        let output = run.variable("HOME", root.path()).output();
        format!("{}{}exit {}", output.stdout, output.stderr, output.code())
    })
}

/// Compares each of these calls of the probe with real root's, in these kinds of run.
fn compare(flags: &[&str], kinds: &[Kind], calls: &[&str]) {
    if !needs_root() {
        return;
    }
    let built = Scratch::new("filters-probe");
    let Some(probe) = compile(&built, "filters/probe.c", &[&BARE, flags].concat()) else { return };
    let mut wrong = Vec::new();
    for call in calls {
        let script = format!("{probe} {call} s 2>&1; echo ended $?");
        let [native, later] = run(How::Native, Kind::Demand, &script);
        assert!(native.lines().count() > 100, "the probe ended early: {native}");
        for &kind in kinds {
            let how = if kind == Kind::Attached { How::Attached } else { How::Remainroot };
            let found = run(how, kind, &script);
            for (native, found) in [&native, &later].into_iter().zip(&found) {
                let (native, found): (Vec<_>, Vec<_>) = (native.lines().collect(), found.lines().collect());
                for at in 0..native.len().max(found.len()) {
                    let [root, ours] = [&native, &found].map(|lines| lines.get(at).unwrap_or(&"(no line)"));
                    if root != ours {
                        let heading = native.get(at.saturating_sub(1)).unwrap_or(&"");
                        wrong.push(format!(
                            "{call} {kind:?} line {at}, after {heading}\n  root: {root}\n  ours: {ours}"
                        ));
                    }
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{} differ\n{}", wrong.len(), wrong.join("\n"));
}

const EVERYWHERE: &[Kind] = &[Kind::Demand, Kind::Facts, Kind::Host, Kind::Attached];

#[test]
fn a_filter_that_allows_all_changes_nothing() {
    compare(&[], EVERYWHERE, &["l 9999", "n 1000"]);
}

/// Calls that the tracer has a task make: mmap, munmap, statx, newfstatat, openat, close, fcntl, the setting, getting, listing
/// and removing of attributes by path, link, descriptor and directory, fchown, fchownat, fchmod, fchmodat, mknodat,
/// unlinkat, seccomp, prctl, getpid and gettid, socketpair and recvmsg.
const HELPERS: &[&str] = &[
    "9",
    "11",
    "332",
    "262",
    "257",
    "3",
    "72",
    "188,189,190",
    "191,192,193",
    "194,195,196",
    "197,198,199",
    "463,464,465,466",
    "93,260",
    "91,268",
    "259",
    "263",
    "317",
    "157",
    "39,186",
    "53,47",
];

/// All of them at once but what the probe itself needs.
const ALL_HELPERS: &str = "9,11,332,262,257,72,189,190,192,193,194,195,196,198,199,463,464,465,466,93,260,91,268,259,\
                           263,317,157,39,186,53,47";

#[test]
fn a_call_that_a_filter_kills_for_is_made_from_outside() {
    let calls: Vec<String> = HELPERS.iter().chain([&ALL_HELPERS]).map(|it| format!("k {it}")).collect();
    compare(&[], &[Kind::Demand, Kind::Facts], &calls.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn what_a_filter_refuses_is_refused_and_nothing_else() {
    let calls: Vec<String> = ["e", "t"]
        .iter()
        .flat_map(|how| HELPERS.iter().chain([&ALL_HELPERS]).map(move |it| format!("{how} {it}")))
        .collect();
    compare(&[], &[Kind::Demand, Kind::Facts], &calls.iter().map(String::as_str).collect::<Vec<_>>());
}

#[test]
fn calls_of_32_bit_programs_are_no_other() {
    for flags in [&["-m32"], &["-DINT80"]] {
        compare(flags, &[Kind::Demand, Kind::Facts], &["l 9999", "n 1000", "k 192,383,354"]);
    }
}

#[test]
fn a_threads_filters_are_its_own_or_all_threads() {
    if !needs_root() {
        return;
    }
    let Some(guest) = Guest::of("filters/threads.c") else { return };
    let script = format!("for i in 1 2 3 4 5; do rm -f *.*; {} || echo $?; done", guest.program);
    let [native, later] = run(How::Native, Kind::Demand, &script);
    for &kind in EVERYWHERE {
        let how = if kind == Kind::Attached { How::Attached } else { How::Remainroot };
        let [found, afterwards] = run(how, kind, &script);
        assert_eq!((&found, &afterwards), (&native, &later), "{kind:?}");
    }
}

/// Beneath a filter that the tracer does not know, which kills threads or processes for a call that it has them make.
#[test]
fn who_is_killed_for_what_the_tracer_has_it_do_ends_and_leaves_nothing() {
    if !needs_root() {
        return;
    }
    let built = Scratch::new("filters-kills");
    let Some(kills) = compile(&built, "filters/kills.c", &["-pthread", "-Wno-cast-function-type"]) else {
        return;
    };
    for (action, what, said, code) in [
        ("thread", "leader", "the leader is gone\n5:6\n", 7),
        ("thread", "sibling", "of who is gone: 3\n5:6\n", 0),
        ("process", "process", "child: signal 31\nchild: signal 31\n5:6\n", 0),
    ] {
        for (how, before) in [
            (How::Remainroot, ""),
            (How::Remainroot, "touch own; chown 3:4 own;"),
            (How::Attached, "touch own; chown 3:4 own;"),
        ] {
            let place = Scratch::new("filters");
            let script = format!("{before} {kills} {what}");
            let run = Run::shell(how, &script).before([kills.as_str(), action]).directory(place.path());
            let found = run.seconds(60).output();
            assert_eq!(
                (found.stdout.as_str(), found.code()),
                (said, code),
                "{what} {how:?} {before}: {found:?}"
            );
        }
    }
}
