//! Attributes that a program sets under the names of remainroot's own are the program's: real root stores them and reads
//! them back.
#![allow(clippy::unwrap_used)] // a helper of a test is a test

mod common;

use common::{How, Run, Scratch};

const NAMES: &str = include_str!("hidden/names.py");

#[test]
fn attributes_under_our_names_are_set_read_listed_and_removed_as_by_real_root() {
    if !common::needs_root() || !common::has(&["python3"]) {
        return;
    }
    let says = |how, option: &str| {
        let place = Scratch::new("hidden");
        let script = format!("umask 022; mkdir w; cd w; python3 - <<'X'\n{NAMES}X");
        let run = Run::shell(how, &script).directory(place.path()).seconds(60);
        run.option("--store=auto").option(option).variable("HOME", place.path()).output().success()
    };
    let native = says(How::Native, "");
    assert!(native.lines().count() > 100, "{native}");
    for option in ["--attach=demand", "--attach=start"] {
        let ours = says(How::Remainroot, option);
        let other = native.lines().zip(ours.lines()).find(|(native, ours)| native != ours);
        assert!(native == ours, "{option}: {other:#?}");
    }
}

#[test]
fn what_a_program_has_set_under_our_names_is_there_in_the_next_run_and_does_not_change_an_owner() {
    if !common::has(&["setfattr", "getfattr"]) {
        return;
    }
    let place = Scratch::new("hidden");
    let says = |script: &str| {
        let run = Run::shell(How::Remainroot, script).directory(place.path()).option("--store=auto");
        run.variable("HOME", place.path()).output().success()
    };
    let set =
        "touch f; setfattr -n user.rootlesscontainers -v 0x0807 f; setfattr -n user.remainroot.xattrs -v x f";
    let set = format!("{set}; stat -c %u f; chown 3 f; cp -a f g");
    assert_eq!(says(&set), "0\n");
    let show = "stat -c %u f g; getfattr -d -e hex -m- f g";
    let said = says(show);
    let borne = "user.remainroot.xattrs=0x78\nuser.rootlesscontainers=0x0807\n\n";
    assert_eq!(said, format!("3\n3\n# file: f\n{borne}# file: g\n{borne}"));
    assert_eq!(
        says("setfattr -x user.rootlesscontainers f; stat -c %u f; getfattr -m- f"),
        "3\n# file: f\nuser.remainroot.xattrs\n\n"
    );
}
