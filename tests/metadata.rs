//! Owners, modes, times and flags of every kind of inode, those that are not ours among them: real root and
//! remainroot in a one-id namespace say the same.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stderr)] // a helper of a test is a test

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use common::{How, Run, Scratch, compile};

/// What a program needs that has no C library, and where Debian keeps the headers of every ABI.
const BARE: [&str; 5] =
    ["-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-I/usr/include/x86_64-linux-gnu"];

/// A directory with inodes of root's in it, which are nobody's in a one-id namespace.
fn workplace() -> Scratch {
    let place = Scratch::new("metadata");
    fs::set_permissions(place.path(), fs::Permissions::from_mode(0o777)).unwrap();
    for (name, mode) in [("", 0o644), ("-open", 0o666), ("-set-id", 0o6755), ("-read-only", 0o644)] {
        let file = place.file(&format!("hosts{name}"));
        fs::write(&file, "").unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
    }
    fs::create_dir(place.file("hosts-directory")).unwrap();
    symlink("own", place.file("hosts-link")).unwrap();
    nix::unistd::mkfifo(&*place.path().join("hosts-fifo"), nix::sys::stat::Mode::from_bits_truncate(0o644))
        .unwrap();
    drop(UnixListener::bind(place.file("hosts-socket")).unwrap());
    place
}

/// Keeps an inode of sysfs in memory until both have looked at it: its times are those of its first look, and of the first
/// time since the machine was started that something of it was set (kernfs_iattrs).
fn settled(path: &str) -> Option<fs::File> {
    let file = fs::File::open(path).ok()?;
    std::os::unix::fs::fchown(&file, Some(0), Some(0)).ok()?;
    let age = || file.metadata().ok()?.modified().ok()?.elapsed().ok();
    while age().is_some_and(|age| age < Duration::from_secs(3)) {
        std::thread::sleep(Duration::from_millis(100));
    }
    Some(file)
}

/// Both transcripts of the probe. One at a time: some of the inodes are the machine's.
fn transcripts(probe: &str, what: &[&str], options: &[&str]) -> [String; 2] {
    static MACHINE: Mutex<()> = Mutex::new(());
    let _one = MACHINE.lock().unwrap_or_else(PoisonError::into_inner);
    let _old = settled("/sys/kernel/notes");
    [How::Native, How::Remainroot].map(|how| {
        let (place, home) = (workplace(), Scratch::new("metadata-home"));
        let words = [probe, place.path().to_str().unwrap()].into_iter().chain(what.iter().copied());
        let run = options.iter().fold(Run::new(how, words), |run, option| run.option(option));
        run.variable("HOME", home.path()).seconds(100).output().success()
    })
}

/// Fails with every line in which they differ, below the case it belongs to.
fn compare([native, ours]: &[String; 2]) {
    let (mut case, mut step, mut differences) = ("", "", Vec::new());
    for (native, ours) in native.lines().zip(ours.lines()) {
        if native.starts_with(|first: char| first.is_ascii_digit()) {
            case = native;
        } else if !native.starts_with(' ') {
            step = native;
        }
        if native != ours {
            differences.push(format!("{case}\n{step}\n  root:{native}\n  ours:{ours}"));
        }
    }
    let first = differences.iter().take(20).cloned().collect::<Vec<_>>().join("\n");
    assert!(differences.is_empty(), "{} lines differ\n{first}", differences.len());
    assert_eq!(native.lines().count(), ours.lines().count());
}

/// Every case in one run, behind a fact, so that every stage is up.
fn every_case(flags: &[&str], options: &[&str]) {
    if !common::needs_root() {
        return;
    }
    let built = Scratch::new("metadata-probe");
    let Some(probe) = compile(&built, "ownership/metadata.c", &[&BARE, flags].concat()) else { return };
    let said = transcripts(&probe, &["all"], options);
    assert!(said[0].lines().count() > 40_000, "the probe ended early: {}", said[0].len());
    compare(&said);
}

#[test]
fn every_call_of_a_64_bit_program_on_every_kind_of_inode_gives_what_root_gets() {
    every_case(&[], &["--store=memory"]);
}

#[test]
fn every_call_of_a_32_bit_program_on_every_kind_of_inode_gives_what_root_gets() {
    every_case(&["-m32"], &["--store=memory"]);
}

#[test]
#[cfg(target_arch = "x86_64")]
fn every_call_of_a_program_that_answers_itself_gives_what_root_gets() {
    every_case(&["-DSITES"], &["--store=memory"]);
}

#[test]
fn where_facts_last_every_call_gives_what_root_gets() {
    every_case(&[], &["--store=auto"]);
    #[cfg(target_arch = "x86_64")]
    every_case(&["-DSITES"], &["--store=auto"]);
}

/// Of so many cases each is the first thing that happens to a container of which nothing is known yet.
const SAMPLE: usize = 40;

#[test]
fn calls_before_the_first_fact_give_what_root_gets() {
    if !common::needs_root() {
        return;
    }
    let built = Scratch::new("metadata-probe");
    let Some(probe) = compile(&built, "ownership/metadata.c", &BARE) else { return };
    let place = workplace();
    let said = Run::new(How::Native, [&*probe, place.path().to_str().unwrap()]).output().success();
    let cases: usize = said.split_whitespace().last().and_then(|count| count.parse().ok()).expect("a number");
    // A stride that has no factor in common with the numbers of forms, calls and callers.
    for case in (0..cases).step_by((cases / SAMPLE) | 1) {
        let mut said = transcripts(&probe, &[&case.to_string()], &["--store=memory"]);
        // While nothing stops a stat shows what the kernel shows of inodes that are not ours.
        said[1] = said[1].replace(" 65534:65534 ", " 0:0 ");
        compare(&said);
    }
}

#[test]
fn what_is_given_to_root_is_shown_as_roots_though_nothing_has_to_be_remembered() {
    if !common::needs_root() {
        return;
    }
    let place = workplace();
    let script = "chown 0:0 hosts && stat -c '%u:%g %a' hosts hosts-directory";
    let run = Run::shell(How::Remainroot, script).directory(place.path()).option("--store=memory");
    assert_eq!(run.output().success(), "0:0 644\n0:0 755\n");
}

#[test]
fn flags_are_set_told_and_obeyed_as_roots() {
    if !common::needs_root() {
        return;
    }
    let script = include_str!("ownership/flags.sh");
    let [native, memory, auto] =
        [(How::Native, "memory"), (How::Remainroot, "memory"), (How::Remainroot, "auto")].map(
            |(how, store)| {
                let (place, home) = (workplace(), Scratch::new("metadata-home"));
                let run = Run::shell(how, script).option(&format!("--store={store}"));
                run.directory(place.path()).variable("HOME", home.path()).output().success()
            },
        );
    assert!(native.lines().count() > 40, "{native}");
    assert_eq!(native, memory);
    assert_eq!(native, auto);
}

#[test]
fn flags_times_and_set_id_bits_outlast_the_run_and_roots_writes() {
    if !common::needs_root() {
        return;
    }
    let both = |how: How, scripts: [&str; 2]| {
        let (place, home) = (workplace(), Scratch::new("metadata-home"));
        scripts.map(|script| {
            let run = Run::shell(how, script).directory(place.path()).variable("HOME", home.path());
            run.option("--store=auto").output().success()
        })
    };
    let show = "stat -c '%n %u:%g %a %X %Y' hosts hosts-directory f; lsattr -d hosts f | cut -c1-20";
    let first = format!(
        "umask 022; echo > f; touch -d @3 f; chown 7:8 hosts; touch -d @5 hosts hosts-directory; chattr +d hosts; \
         chmod 4755 f; chattr +a f; {show}; chattr -a f; echo more >> f; touch -d @9 f; chattr +a f; {show}"
    );
    let then = format!("{show}; chattr -a f; touch -a -d @6 hosts; {show}");
    let scripts = [first.as_str(), then.as_str()];
    assert_eq!(both(How::Native, scripts), both(How::Remainroot, scripts));
}

#[test]
fn a_change_that_the_kernel_may_make_stops_once_or_is_told_once() {
    change_that_the_kernel_may_make(How::Attached, "seccomp stops");
    change_that_the_kernel_may_make(How::Remainroot, "notifications");
}

/// In a root directory of the user's own: on one of others' looks are answered from a run's start.
fn change_that_the_kernel_may_make(how: How, told: &str) {
    let (place, root) = (Scratch::new("metadata"), Scratch::new("metadata-root"));
    let summary = place.file("summary");
    let script = "mkdir d; cd d; : > 1; for i in 2 3 4 5 6 7 8 9; do : > $i; done; \
                  chown 0:0 *; chmod 640 *; touch -c -d @5 *; stat -c '%a %Y' *";
    let run = Run::shell(how, script).directory(place.path()).own_root(root.path()).option("--store=memory");
    let said = run.option(&format!("--summary={summary}")).output().success();
    assert_eq!(said, "640 5\n".repeat(9));
    let summary = fs::read_to_string(&summary).unwrap();
    let count = |what: &str| {
        let line = summary.lines().find(|line| line.trim_start().ends_with(what)).expect("it is counted");
        line.split_whitespace().next().and_then(|count| count.parse::<u64>().ok()).expect("a number")
    };
    assert_eq!([count(told) - common::by_chance(&summary), count("injected calls")], [27, 0], "{summary}");
}
