//! Calls with hostile arguments: addresses that fault, counts that are absurd, paths without an end. They
//! bring nobody down, and get what real root gets for them. `REMAINROOT_SEED` chooses others.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a helper of a test is a test

mod common;

use common::{Guest, How, Run, Scratch, compile, needs_root, remainroot};

fn seed() -> String {
    std::env::var("REMAINROOT_SEED").unwrap_or_else(|_| "1".to_owned())
}

/// The numbers of the answered calls whose name is wanted, those of i386 after an `i`.
fn answered_calls(wanted: impl Fn(&str) -> bool) -> Vec<String> {
    let list = Run::new(How::Native, [remainroot(), "--list-syscalls".as_ref()]).output().success();
    let rows = list.lines().skip(1).map(|line| line.split_whitespace().collect::<Vec<_>>());
    // What is only told to people is the kernel's own: as real root it would set the machine's clock.
    let is_answered = |row: &Vec<&str>| row[4] != "watched:";
    let rows = rows.take_while(|row| !row.is_empty()).filter(|row| is_answered(row) && wanted(row[0]));
    let numbers = rows.flat_map(|row| [row[1].to_owned(), format!("i{}", row[2])]);
    numbers.filter(|number| !number.ends_with('-')).collect()
}

#[test]
fn hostile_arguments_bring_nobody_down() {
    let Some(guest) = Guest::new("monkey") else { return };
    // A filter of random bytes or a signal would only end the monkeys, another namespace part one from its children, and what
    // a monkey makes has no alarm.
    let births = ["clone", "clone3", "fork", "vfork"];
    let deadly = ["seccomp", "kill", "chroot", "pivot_root", "setns", "unshare"];
    let calls = answered_calls(|name| !deadly.contains(&name) && !births.contains(&name));
    assert!(calls.len() > 100, "{calls:?}");
    let seed = seed();
    let mut arguments = vec![seed.as_str(), "60", "storm"];
    arguments.extend(calls.iter().map(String::as_str));
    let output = guest.run(How::Remainroot, &arguments).directory(guest.scratch.path()).seconds(120).output();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("answered: 60\n", ""), "seed {seed}");
}

/// Makes a file system for the monkeys alone, and leaves them in it.
const CAGE: &str = "mount -t tmpfs none \"$1\" && cp \"$2\" \"$1/monkey\" && cd \"$1\" && mkdir d dev && : >dev/null && \
                    shift 2 && exec chroot . /monkey \"$@\"";

/// Compares what every call gives with what it gives real root.
fn same_answers(calls: &[String], store: &str) {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new("hostile");
    let Some(program) = compile(&scratch, "lifecycle/monkey.c", &["-static"]) else { return };
    let cage = scratch.file("cage");
    Run::new(How::Namespace, ["mkdir", &cage]).output().success();
    let seed = seed();
    let mut words = vec!["sh", "-c", CAGE, "sh", &cage, &program, &seed, "8", "tell"];
    words.extend(calls.iter().map(String::as_str));
    let native = Run::new(How::Native, &words).before(["unshare", "-m"]).seconds(60).output().success();
    let ours =
        Run::new(How::Remainroot, &words).namespaces("-Urm").option(store).seconds(120).output().success();
    assert!(native.lines().count() > 3000, "{native}");
    let differs = native.lines().zip(ours.lines()).position(|(native, ours)| native != ours);
    let around = |text: &str, at: usize| text.lines().skip(at).take(3).collect::<Vec<_>>().join("\n");
    if let Some(at) = differs {
        panic!(
            "seed {seed}, line {at}\nreal root:\n{}\nremainroot:\n{}",
            around(&native, at),
            around(&ours, at)
        );
    }
    assert_eq!(native.lines().count(), ours.lines().count());
}

#[test]
fn credential_calls_with_hostile_arguments_give_what_they_give_real_root() {
    let calls = answered_calls(|name| {
        (name.starts_with("set") || name.starts_with("get")) && !name.contains("xattr") || name == "capset"
    });
    assert!(calls.len() > 30, "{calls:?}");
    same_answers(&calls, "--store=memory");
}

#[test]
fn file_calls_with_hostile_arguments_give_what_they_give_real_root() {
    let families = ["chown", "chmod", "stat", "xattr", "mkdir", "symlink", "open", "creat", "bind"];
    let calls = answered_calls(|name| families.iter().any(|family| name.contains(family)));
    assert!(calls.len() > 60, "{calls:?}");
    for store in ["--store=memory", "--store=auto"] {
        same_answers(&calls, store);
    }
}
