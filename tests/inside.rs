//! What a process answers itself, at the first look of a run at inodes that bear owners of earlier runs or other tools.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)] // a helper of a test is a test
#![allow(clippy::print_stderr)]
#![cfg(target_arch = "x86_64")]

mod common;

use std::ffi::CString;
use std::fs;

use nix::unistd::{Gid, Uid, chown};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::TestRunner;
use remainroot::ownership::{Device, Fact, xattr};

use common::{How, NOBODY, Run, Scratch};

/// What a file bears: [`xattr::OWNER`], [`xattr::STAT`], and an attribute of somebody's own.
type Borne = (Option<Vec<u8>>, Option<Vec<u8>>, bool);

/// So many files at once.
const FILES: usize = 400;

fn id() -> impl Strategy<Value = u32> {
    prop_oneof![0..100u32, any::<u32>(), Just(u32::MAX), Just(0x7f), Just(0x80), Just(u32::MAX - 1)]
}

/// Mostly what tools write, and what none does.
fn owner() -> impl Strategy<Value = Vec<u8>> {
    let written = (id(), id()).prop_filter_map("nothing is written", |(uid, gid)| {
        let known = |id: u32| (id != u32::MAX).then_some(id);
        let (uid, gid) = (known(uid).map(remainroot::cred::Uid), known(gid).map(remainroot::cred::Gid));
        xattr::owner(&Fact { uid, gid, ..Fact::default() })
    });
    let other = prop::collection::vec(
        prop_oneof![Just(0x08u8), Just(0x10), Just(0x18), Just(0x80), Just(0xff), Just(0x0f), 0..16u8],
        0..16,
    );
    prop_oneof![4 => written, 1 => other]
}

/// The same.
fn line() -> impl Strategy<Value = Vec<u8>> {
    let kind = prop_oneof![
        4 => Just(":file"), 2 => Just(":dir"), 1 => Just(""), 2 => Just(":char-5-300"), 2 => Just(":block-8-1"),
        1 => Just(":char-1-3"), 1 => Just(":fifo"), 1 => Just(":"), 1 => Just(":filed")
    ];
    let written = (id(), id(), 0..0o10000u32, kind)
        .prop_map(|(uid, gid, mode, kind)| format!("{uid}:{gid}:{mode:04o}{kind}"));
    prop_oneof![5 => written, 1 => "[0-9:\\-+]{0,12}(:file)?\n?"].prop_map(String::into_bytes)
}

fn borne() -> impl Strategy<Value = Borne> {
    (prop::option::of(owner()), prop::option::of(line()), any::<bool>())
}

/// A file that bears all that. An empty one may stand for a device.
fn make(path: &str, content: &str, (owner, line, other): &Borne) {
    fs::write(path, content).unwrap();
    let path = CString::new(path).unwrap();
    let set = |name, value: &[u8]| remainroot::sys::xattr::set(&path, name, value).expect("user attributes");
    owner.iter().for_each(|value| set(xattr::OWNER, value));
    line.iter().for_each(|value| set(xattr::STAT, value));
    if *other {
        set(c"user.mine", b"x");
    }
}

/// A directory of such files that belong to who is root in the namespace, and one without to begin with.
fn place(content: &str, all: &[Borne]) -> Scratch {
    let place = Scratch::new("inside");
    for directory in 0..20 {
        fs::create_dir_all(place.path().join(format!("first/{directory}"))).unwrap();
    }
    fs::create_dir(place.path().join("d")).unwrap();
    for (index, borne) in all.iter().enumerate() {
        make(&place.file(&format!("d/{index}")), content, borne);
    }
    if nix::unistd::geteuid().is_root() {
        let given =
            |path: &str| chown(path, Some(Uid::from_raw(NOBODY)), Some(Gid::from_raw(NOBODY))).unwrap();
        given(&place.file("d"));
        (0..all.len()).for_each(|index| given(&place.file(&format!("d/{index}"))));
    }
    place
}

/// What a script says in it, in lines that are sorted, and how many calls a listener has answered.
fn says(place: &Scratch, script: &str) -> (Vec<String>, u64) {
    let summary = Scratch::new("inside-summary");
    let run = Run::shell(How::Remainroot, script).directory(place.path());
    let run = run.option("--store=xattr").option("--adopt");
    let said = run.option(&format!("--summary={}", summary.file("s"))).output().success();
    let summary = fs::read_to_string(summary.file("s")).expect("a summary was asked for");
    let counted = |what: &str| -> u64 {
        let line = summary.lines().find_map(|line| line.strip_suffix(what));
        line.and_then(|count| count.trim().parse().ok()).unwrap_or(0)
    };
    assert!(counted(" call sites answered inside") > 0, "{summary}");
    let mut lines: Vec<String> = said.lines().map(str::to_owned).collect();
    lines.sort();
    (lines, counted(" notifications"))
}

/// Whether the kernel has getxattrat(2), which is needed.
fn can_be_answered() -> bool {
    let can = common::kernel_is_at_least(6, 13);
    if !can {
        common::skip(common::Lack::Kernel, "this kernel lacks getxattrat(2)");
    }
    can
}

fn letter(device: Option<Device>) -> char {
    match device {
        None => 'f',
        Some(device) if device.block => 'b',
        Some(_) => 'c',
    }
}

/// The lines that `find -printf '%f %y %m %U:%G'` is to say of files with such facts.
fn expected(facts: &[Fact]) -> Vec<String> {
    let line = |(index, fact): (usize, &Fact)| {
        let (mode, kind) = (fact.mode.unwrap_or(0o644), letter(fact.device));
        let [uid, gid] =
            [fact.uid.map(|uid| uid.0), fact.gid.map(|gid| gid.0)].map(Option::unwrap_or_default);
        format!("{index} {kind} {mode:o} {uid}:{gid}")
    };
    let mut lines: Vec<String> = facts.iter().enumerate().map(line).collect();
    lines.sort();
    lines
}

#[test]
fn what_inodes_bear_is_shown_at_the_first_look() {
    if !can_be_answered() {
        return;
    }
    let mut runner = TestRunner::deterministic();
    let mut sample = || borne().new_tree(&mut runner).expect("nothing is impossible").current();
    let all: Vec<Borne> = (0..FILES).map(|_| sample()).collect();
    let facts: Vec<Fact> =
        all.iter().map(|(owner, line, _)| xattr::fact(owner.as_deref(), line.as_deref())).collect();
    let place = place("", &all);

    let (lines, _) = says(&place, "find first d ! -type d -printf '%f %y %m %U:%G\\n'");
    assert_eq!(lines, expected(&facts));

    // By what getdents(2) says alone.
    for kind in ['f', 'b', 'c'] {
        let (lines, _) = says(&place, &format!("find first d -type {kind} -printf '%f\\n'"));
        let all = facts.iter().enumerate().filter(|(_, fact)| letter(fact.device) == kind);
        let mut wanted: Vec<String> = all.map(|(index, _)| index.to_string()).collect();
        wanted.sort();
        assert_eq!(lines, wanted, "{kind}");
    }
}

#[test]
fn owners_as_tools_write_them_need_no_listener() {
    if !can_be_answered() {
        return;
    }
    let owned = |id: u32| {
        let (uid, gid) = (Some(remainroot::cred::Uid(id)), Some(remainroot::cred::Gid(id + 1)));
        xattr::owner(&Fact { uid, gid, ..Fact::default() })
    };
    let both = |id: u32| (owned(id), id.is_multiple_of(3).then(|| b"0:0:4711:file".to_vec()), false);
    let all: Vec<Borne> = (0..FILES as u32).map(|id| both(id * 401)).collect();
    let facts: Vec<Fact> =
        all.iter().map(|(owner, line, _)| xattr::fact(owner.as_deref(), line.as_deref())).collect();
    let (lines, notifications) = says(&place("x", &all), "find first d -type f -printf '%f %y %m %U:%G\\n'");
    assert_eq!(lines, expected(&facts));
    assert!(notifications < FILES as u64 / 4, "{notifications}");
}

/// Runs a program without a C library so often that its later images are answered inside from their start; what it says
/// of each, and of one `last`; in a run whose processes are attached to from its start, or on demand. On a busy machine some
/// begin before it is known that they look: of several runs one must show it.
fn arrivals(last: &str, on_demand: bool) -> Option<String> {
    let mut summaries = vec![];
    for _ in 0..10 {
        let (said, stopped, summary) = arrivals_once(last, on_demand)?;
        // Of 140 looks: those of the first image, and of each later one the first.
        if stopped < 50 || !can_be_answered() || said != "registers are zero, 3 is closed, right\n".repeat(7)
        {
            return Some(said);
        }
        summaries.push(summary);
    }
    panic!("most looks stopped:\n{}", summaries.join("\n"));
}

/// One run: what is said, how many looks took a stop, and the summary.
fn arrivals_once(last: &str, on_demand: bool) -> Option<(String, u64, String)> {
    let built = Scratch::new("inside-program");
    // Its text has room behind it, as a loader's has.
    let flags = [
        "-O1",
        "-static-pie",
        "-nostdlib",
        "-ffreestanding",
        "-fno-stack-protector",
        "-fno-builtin",
        "-fcf-protection=none",
    ];
    let program = common::compile(&built, "inside/arrives.c", &flags)?;
    let place = Scratch::new("inside");
    // The listener comes with a process that looks often itself.
    let script = format!(
        "touch f && chown 7:8 f && stat . . . . . . . . . . . . . . . . . . . . . . . . . . . . . . >/dev/null && \
         for i in $(seq 30); do [ -e f ] && [ -s f ] || :; done; \
         for i in 1 2 3 4 5 6; do {program} f; done; {last} {program} f"
    );
    let run = Run::shell(How::Remainroot, &script)
        .directory(place.path())
        .option("--store=xattr")
        .option(if on_demand { "--attach=demand" } else { "--adopt" });
    let summary = built.file("summary");
    let said = run.option(&format!("--summary={summary}")).output().success();
    let summary = fs::read_to_string(summary).expect("a summary was asked for");
    let stopped: u64 = summary
        .lines()
        .filter(|line| line.contains(" stat ") && line.contains("arrives"))
        .filter_map(|line| line.split_whitespace().nth(3)?.parse::<u64>().ok())
        .sum();
    Some((said, stopped, summary))
}

#[test]
fn an_image_that_is_answered_from_its_start_begins_as_any() {
    for on_demand in [false, true] {
        let Some(said) = arrivals("", on_demand) else { return };
        assert_eq!(said, "registers are zero, 3 is closed, right\n".repeat(7));
    }
}

#[test]
fn an_image_that_cannot_be_answered_begins_as_any_too() {
    // No room for the descriptor by which it would map the code.
    for on_demand in [false, true] {
        let Some(said) = arrivals("ulimit -n 3;", on_demand) else { return };
        assert_eq!(said, "registers are zero, 3 is closed, right\n".repeat(7));
    }
}

#[test]
fn an_image_that_goes_to_another_worker_meanwhile_begins_as_any_too() {
    // It has lived for long when it calls exec, and is handed over at the next call.
    let lives = "sh -c 'ulimit -n 3; i=0; while [ $i -lt 50000 ]; do i=$((i+1)); done; exec \"$0\" \"$@\"'";
    for on_demand in [false, true] {
        let Some(said) = arrivals(lives, on_demand) else { return };
        assert_eq!(said, "registers are zero, 3 is closed, right\n".repeat(7));
    }
}

#[test]
fn an_image_in_another_pid_namespace_begins_as_any_too() {
    // There the tracer is not found by its number, or is another.
    for on_demand in [false, true] {
        let Some(said) = arrivals("unshare -pf", on_demand) else { return };
        assert_eq!(said, "registers are zero, 3 is closed, right\n".repeat(7));
    }
}

#[test]
fn libraries_need_no_listener_once_they_are_known() {
    const RUNS: usize = 60;
    if !can_be_answered() {
        return;
    }
    let place = Scratch::new("inside");
    // Perl loads more of its libraries long after it has begun.
    let each = "stat -c %u:%g f; perl -MPOSIX -MFcntl -e 'print join(q(:), (stat q(f))[4, 5]), qq(\\n)'";
    let script = format!("touch f && chown 7:8 f && for i in $(seq {RUNS}); do {each}; done");
    let summary = place.file("summary");
    let run = Run::shell(How::Remainroot, &script).directory(place.path()).option("--store=xattr");
    let said = run.option(&format!("--summary={summary}")).seconds(60).output().success();
    assert_eq!(said, "7:8\n".repeat(2 * RUNS));
    let summary = fs::read_to_string(summary).expect("a summary was asked for");
    let asked =
        |line: &&str| line.contains("stat") && ["stat", "perl"].iter().any(|name| line.ends_with(name));
    let count = |line: &str| line.split_whitespace().nth(3)?.parse::<usize>().ok();
    let looks: usize = summary.lines().filter(asked).filter_map(count).sum();
    assert!(looks < RUNS, "{summary}");
}

#[test]
fn who_gives_files_away_itself_gets_what_root_gets() {
    // Before that two changes may have the same time.
    if !common::needs_root() || !can_be_answered() {
        return;
    }
    let built = Scratch::new("inside-program");
    let Some(program) = common::compile(&built, "inside/gives.c", &["-O1", "-pthread"]) else { return };
    for manner in ["", "jail", "thread", "late"] {
        for seed in 1..=SEEDS {
            let run = |how, place: &Scratch| {
                let (path, seed) = (place.path().to_str().unwrap(), seed.to_string());
                Run::new(how, [program.as_str(), path, &seed, "400", manner]).option("--store=xattr")
            };
            let said = |how| run(how, &Scratch::new("inside")).output();
            let native = said(How::Native);
            assert_eq!(native.code(), 0, "{native:#?}");
            common::compare(&native, &said(How::Attached));
            // Where the root directory is its own nothing is known at first.
            let (root, place) = (Scratch::new("inside-root"), Scratch::new("inside"));
            common::compare(&native, &run(How::Remainroot, &place).own_root(root.path()).output());
        }
    }
}

/// So many sequences of 400 calls.
const SEEDS: u32 = 4;

#[test]
fn who_gives_many_files_away_asks_nobody() {
    const FILES: u64 = 300;
    if !can_be_answered() {
        return;
    }
    let place = Scratch::new("inside");
    let script = format!(
        "touch f && chown 7:8 f && perl -e 'for $i (1..{FILES}) {{ open F, qq(>$i); chown $i, 1000, *F; \
         chown -1, $i + 5, qq($i); chmod 0600, qq($i); utime 1, 2, qq($i) }} \
         for (1..{FILES}) {{ @s = stat; print qq($s[4]:$s[5]:$s[9]\\n) }}'"
    );
    let run = Run::shell(How::Remainroot, &script).directory(place.path());
    let expected: String = (1..=FILES).map(|id| format!("{id}:{}:2\n", id + 5)).collect();
    // Of 2,100 calls about them.
    assert_eq!(perl_says(run, FILES / 2), expected);
}

#[test]
fn who_changes_much_before_anything_is_known_asks_nobody() {
    const FILES: u64 = 300;
    if !can_be_answered() {
        return;
    }
    let (place, root) = (Scratch::new("inside"), Scratch::new("inside-root"));
    let script = format!(
        "perl -e 'for $i (1..{FILES}) {{ open F, qq(>$i); chown 0, 0, *F; chmod 0600, qq($i); utime 1, 2, qq($i) }} \
         chown 7, 8, q(1); @s = stat q(1); print qq($s[4]:$s[5]:$s[9]\\n); @s = stat q(2); print qq($s[4]\\n)'"
    );
    let run = Run::shell(How::Remainroot, &script).directory(place.path()).own_root(root.path());
    // Of 900 changes.
    assert_eq!(perl_says(run, FILES / 3), "7:8:2\n0\n");
}

#[test]
fn a_label_that_everything_bears_makes_no_difference() {
    const FILES: u64 = 300;
    if !can_be_answered() || !common::needs_root() {
        return;
    }
    let place = Scratch::new("inside");
    for index in 1..=FILES {
        let (path, nobody) = (place.file(&index.to_string()), (Uid::from_raw(NOBODY), Gid::from_raw(NOBODY)));
        fs::write(&path, "").unwrap();
        // As on a system with SELinux. Only real root may set it, where there is none.
        let named = CString::new(path.as_str()).unwrap();
        let label = b"system_u:object_r:tmp_t:s0\0";
        if let Err(errno) = remainroot::sys::xattr::set(&named, c"security.selinux", label) {
            common::skip(common::Lack::Kernel, &format!("no label can be set ({errno:?})"));
            return;
        }
        chown(path.as_str(), Some(nobody.0), Some(nobody.1)).unwrap();
    }
    let script = format!(
        "perl -e 'for $i (1..{FILES}) {{ chown $i, 1000, qq($i); chown -1, $i + 5, qq($i); chmod 0600, qq($i); \
         open F, qq(>$i); print F 1; close F; utime 1, 2, qq($i) }} \
         for (1..{FILES}) {{ @s = stat; print qq($s[4]:$s[5]:$s[7]:$s[9]\\n) }}'"
    );
    let run = Run::shell(How::Remainroot, &script).directory(place.path());
    let expected: String = (1..=FILES).map(|id| format!("{id}:{}:1:2\n", id + 5)).collect();
    assert_eq!(perl_says(run, FILES / 2), expected);
}

/// What a script says, of whose perl somebody else answers fewer than `most` calls, but some.
fn perl_says(run: Run, most: u64) -> String {
    let place = Scratch::new("inside-summary");
    let run = run.option("--store=xattr").option(&format!("--summary={}", place.file("s")));
    let said = run.output().success();
    let summary = fs::read_to_string(place.file("s")).expect("a summary was asked for");
    let count = |line: &str| line.split_whitespace().nth(3)?.parse::<u64>().ok();
    let asked: u64 = summary.lines().filter(|line| line.ends_with("perl")).filter_map(count).sum();
    assert!((1..most).contains(&asked), "{summary}");
    said
}

/// Has a program make calls as no C library does, as real root and in every kind of run, in which it answers some itself. Where
/// each run was, and its summary.
fn stands(what: &str) -> Vec<(Scratch, String)> {
    if !common::needs_root() {
        return vec![];
    }
    let built = Scratch::new("inside-program");
    let Some(program) = common::compile(&built, "inside/stands.c", &[]) else { return vec![] };
    let run = |how, place: &Scratch, before: &str| {
        let script = format!("{before} exec \"$@\"");
        let words = ["sh", "-c", &script, "sh", &program, place.path().to_str().unwrap(), what];
        Run::new(how, words).directory(place.path()).seconds(120)
    };
    let native = run(How::Native, &Scratch::new("inside"), "touch own &&").output();
    assert_eq!(native.code(), 0, "{native:#?}");
    let (root, mut runs) = (Scratch::new("inside-root"), vec![]);
    for (how, is_own, before) in [
        (How::Remainroot, true, "touch own &&"),
        (How::Remainroot, true, "touch own && chown 33:33 own &&"),
        (How::Remainroot, false, "touch own &&"),
        (How::Attached, true, "touch own &&"),
    ] {
        let (place, summary) = (Scratch::new("inside"), built.file("summary"));
        let run = run(how, &place, before).option("--store=xattr").option(&format!("--summary={summary}"));
        let run = if is_own { run.own_root(root.path()) } else { run };
        common::compare(&native, &run.output());
        let summary = fs::read_to_string(summary).expect("a summary was asked for");
        let sites = summary.lines().find_map(|line| line.strip_suffix(" call sites answered inside"));
        let sites: u64 = sites.and_then(|count| count.trim().parse().ok()).unwrap_or(0);
        assert!(sites > 0 || !can_be_answered(), "{how:?}: {summary}");
        runs.push((place, summary));
    }
    runs
}

/// How many calls of this name by the program were answered elsewhere than inside.
fn asked(summary: &str, name: &str) -> u64 {
    let is_asked = |line: &&str| line.contains(&format!(" {name} ")) && line.ends_with("stands");
    let count = |line: &str| line.split_whitespace().nth(3)?.parse::<u64>().ok();
    summary.lines().filter(is_asked).filter_map(count).sum()
}

#[test]
fn a_call_needs_no_stack_and_leaves_registers_and_flags_alone() {
    stands("registers");
}

#[test]
fn what_only_looks_like_a_call_site_is_none() {
    stands("encodings");
}

#[test]
fn signals_come_in_the_middle_of_calls_and_some_never_return() {
    stands("signals");
}

#[test]
fn threads_and_children_make_calls_at_once() {
    stands("threads");
}

#[test]
fn who_takes_away_what_it_has_not_mapped_goes_on() {
    stands("unmaps");
}

#[test]
fn who_maps_over_what_it_has_not_mapped_has_that_there() {
    stands("maps");
}

#[test]
fn who_changes_its_own_text_runs_what_it_has_written() {
    stands("patches");
}

#[test]
fn who_says_where_its_calls_may_come_from_makes_them_there() {
    stands("dispatches");
}

#[test]
fn a_handler_of_a_call_that_is_answered_inside_makes_calls_as_any() {
    let runs = stands("inherits");
    let is_marked = |(place, _): &(Scratch, String)| fs::exists(place.file("marked")).unwrap();
    assert!(
        runs.is_empty() || !can_be_answered() || runs.iter().any(is_marked),
        "no handler came in such a call"
    );
}

#[test]
fn who_has_left_ten_thousand_calls_is_answered_inside_as_before() {
    for (_, summary) in stands("leaves") {
        // Of 10,000 looks afterwards, two each.
        assert!(asked(&summary, "stat") < 2000 || !can_be_answered(), "{summary}");
    }
}

#[test]
fn ids_that_are_answered_inside_leave_registers_and_flags_alone() {
    for (_, summary) in stands("ids") {
        assert!(asked(&summary, "getuid") < 1000 || !can_be_answered(), "{summary}");
    }
}
