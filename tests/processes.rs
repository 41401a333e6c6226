//! What is between processes: whom kill(2) with −1 reaches, who is made how, and how many a user may have.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stderr)]

mod common;

use common::{Guest, How, Output, Run, Scratch, compare, compile, needs_root};

/// A program as pid 1 of a namespace that has its own `/proc` or another's: nobody outside must be reached.
fn alone(how: How, has_proc: bool, words: &str) -> Output {
    let mount = if has_proc { "mount -t proc proc /proc; " } else { "" };
    let run = Run::shell(how, &format!("{mount}exec {words}")).seconds(60).namespaces("-Urmpf");
    let run = if how == How::Native { run.before(["unshare", "-mpf"]) } else { run };
    run.output()
}

#[test]
fn who_may_signal_whom_goes_by_emulated_ids() {
    if !needs_root() {
        return;
    }
    let Some(guest) = Guest::new("killall") else { return };
    // SIGKILL, SIGCONT, whether there is anybody, and a signal that does not exist; by a user, one who has nobody and root.
    for arguments in ["9 33", "18 33", "0 33", "65 33", "9 99", "18 99", "9 root"] {
        let words = format!("{} {arguments}", guest.program);
        let native = alone(How::Native, true, &words);
        assert!(native.stdout.ends_with("pid 1 is left\n"), "{native:#?}");
        compare(&native, &alone(How::Remainroot, true, &words));
        compare(&native, &alone(How::Attached, true, &words));
        compare(&native, &alone(How::Remainroot, false, &words));
        // In a pid namespace of the guest's own making, where the tracer is not.
        let inner = format!("unshare -mpf sh -c 'mount -t proc proc /proc; exec {words}'");
        compare(&native, &alone(How::Remainroot, true, &inner));
        compare(&native, &alone(How::Attached, true, &inner));
    }
}

#[test]
fn a_32_bit_program_reaches_the_same() {
    let scratch = Scratch::new("killall32");
    let Some(program) = compile(&scratch, "lifecycle/killall.c", &["-m32"]).filter(|_| needs_root()) else {
        return;
    };
    let words = format!("{program} 9 33");
    compare(&alone(How::Native, true, &words), &alone(How::Remainroot, true, &words));
}

/// By the program as real root and under remainroot.
fn how_many_tasks(flags: &[&str]) {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new("nproc");
    let Some(program) = compile(&scratch, "lifecycle/nproc.c", flags) else { return };
    let run = |how, before: &str| Run::shell(how, &format!("{before}exec {program}")).seconds(60).output();
    let native = run(How::Native, "");
    assert!(native.status.success(), "{native:#?}");
    for how in [How::Remainroot, How::Attached] {
        compare(&native, &run(how, ""));
        compare(&native, &run(how, "(sleep 20 & sleep 20 & sleep 20) >/dev/null 2>&1 & "));
        let higher = Run::new(how, [program.as_str(), "higher"]).output();
        assert_eq!(higher.stdout, "higher: Success\nroot: 3 4\n");
    }
}

#[test]
fn a_user_may_have_as_many_tasks_as_was_said_and_root_all() {
    how_many_tasks(&[]);
}

#[test]
fn the_same_of_a_32_bit_program() {
    how_many_tasks(&["-m32"]);
}
