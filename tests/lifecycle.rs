//! Births, deaths and signals: one hazard a test. Small C programs print what they find, and must find the
//! same under remainroot as without it.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a helper of a test is a test

mod common;

use std::os::unix::process::ExitStatusExt;
use std::time::Duration;

use common::{Guest, How, Run, Running, Scratch, compare, needs_root, remainroot};
use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

/// In the same namespace: for what needs no root. The run without must not have failed.
fn same(name: &str, arguments: &[&str]) {
    let Some(guest) = Guest::new(name) else { return };
    let expected = guest.run(How::Namespace, arguments).output();
    assert!(expected.status.code() != Some(99), "{expected:#?}");
    compare(&expected, &guest.run(How::Remainroot, arguments).output());
    compare(&expected, &guest.run(How::Attached, arguments).output());
}

/// As real root: for what remainroot makes possible.
fn same_as_root(name: &str, arguments: &[&str]) {
    if !needs_root() {
        return;
    }
    let Some(guest) = Guest::new(name) else { return };
    let expected = guest.run(How::Native, arguments).output();
    assert!(expected.status.code() != Some(99), "{expected:#?}");
    compare(&expected, &guest.run(How::Remainroot, arguments).output());
    compare(&expected, &guest.run(How::Attached, arguments).output());
}

/// As real root, with a file of the user who runs it as argument.
fn same_as_root_with_a_file(name: &str) {
    if !needs_root() {
        return;
    }
    let Some(guest) = Guest::new(name) else { return };
    let outputs = [How::Native, How::Remainroot, How::Attached].map(|how| {
        let file = guest.scratch.file(&format!("{how:?}"));
        Run::new(if how == How::Native { how } else { How::Namespace }, ["touch", &file]).output().success();
        guest.run(how, &[&file]).output()
    });
    assert!(outputs[0].status.code() != Some(99), "{:#?}", outputs[0]);
    compare(&outputs[0], &outputs[1]);
    compare(&outputs[0], &outputs[2]);
}

/// As real root, in a new directory, which is the last argument: below a root directory that is the user's own, and below
/// the machine's.
fn same_as_root_in_a_directory(name: &str, arguments: &[&str]) {
    if !needs_root() {
        return;
    }
    let Some(guest) = Guest::new(name) else { return };
    let run = |how, own_root| {
        let (root, directory) = (Scratch::new("root"), Scratch::new("directory"));
        let directory = directory.path().to_string_lossy();
        let run = guest.run(how, &[arguments, &[&directory]].concat()).seconds(120);
        if own_root { run.own_root(root.path()).output() } else { run.output() }
    };
    let expected = run(How::Native, false);
    assert_eq!(expected.code(), 0, "{expected:#?}");
    for (how, own_root) in [(How::Remainroot, true), (How::Remainroot, false), (How::Attached, true)] {
        compare(&expected, &run(how, own_root));
    }
}

fn shell(script: &str) {
    let [bare, ours, attached] =
        [How::Namespace, How::Remainroot, How::Attached].map(|how| Run::shell(how, script).output());
    compare(&bare, &ours);
    compare(&bare, &attached);
}

/// Waits until nothing of a run is left, remainroot's own processes included.
fn assert_gone(running: &Running) {
    common::wait_until(|| running.processes().is_empty(), || format!("left over: {}", running.description()));
}

fn tracer_of(pid: u32) -> Option<u32> {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("TracerPid:"))?;
    let thread: u32 = line.trim().parse().ok().filter(|&tracer| tracer != 0)?;
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix("Tgid:"))?.trim().parse().ok()
}

// Births.

#[test]
fn a_forked_child_has_its_parents_ids() {
    same_as_root("births", &["fork"]);
}

#[test]
fn a_vforked_child_has_its_parents_ids() {
    same_as_root("births", &["vfork"]);
}

#[test]
fn a_cloned_child_has_its_parents_ids() {
    same_as_root("births", &["clone"]);
}

#[test]
fn a_child_that_shares_its_parents_memory_has_ids_of_its_own() {
    same_as_root("births", &["memory"]);
}

#[test]
fn a_child_cloned_untraced_is_answered_too() {
    for how in [&["untraced"][..], &["untraced", "owned"], &["untraced", "as root"]] {
        same_as_root("births", how);
    }
}

#[test]
fn a_child_of_an_untraced_clone3_is_answered_too() {
    for way in ["untraced clone3", "untraced vfork of clone3", "untraced clone3 of constants"] {
        same_as_root("births", &[way]);
        same_as_root("births", &[way, "owned"]);
        same_as_root("births", &[way, "as root"]);
    }
}

#[test]
fn what_all_threads_have_is_had_by_threads_that_are_made_then() {
    same_as_root_in_a_directory("siblings", &[]);
}

#[test]
fn children_that_wait_in_vfork_see_the_first_owner() {
    for giver in ["self", "other"] {
        same_as_root_in_a_directory("waiting", &["40", giver]);
    }
}

#[test]
fn a_child_of_clone3_has_its_parents_ids() {
    same_as_root("births", &["clone3"]);
}

#[test]
fn a_spawned_program_has_its_parents_ids() {
    same_as_root("births", &["spawn"]);
}

#[test]
fn a_thread_has_its_makers_ids_and_keeps_its_own() {
    same_as_root("births", &["thread"]);
}

#[test]
fn a_thread_never_takes_the_ids_of_one_that_ends_meanwhile() {
    same_as_root("crossing", &[]);
}

#[test]
fn a_sibling_made_by_a_child_has_the_childs_ids() {
    same_as_root("births", &["parent"]);
}

#[test]
fn a_vfork_suspends_only_its_own_thread() {
    same_as_root("vfork", &[]);
}

#[test]
fn the_library_tells_every_thread_and_raw_calls_tell_none() {
    same_as_root("broadcast", &[]);
}

#[test]
fn exec_from_another_thread_keeps_the_pid_and_that_threads_ids() {
    same_as_root("exec", &[]);
}

#[test]
fn threads_that_race_to_exec_leave_one_program() {
    for _ in 0..10 {
        same("exec", &["race"]);
    }
}

#[test]
fn a_process_outlives_its_leader() {
    same_as_root("leader", &[]);
}

// Many of them.

#[test]
fn two_thousand_quick_forks_from_four_threads_all_end() {
    same("storm", &["forks", "2000"]);
}

#[test]
fn four_thousand_quick_threads_from_four_threads_all_end() {
    same("storm", &["threads", "4000"]);
}

#[test]
fn a_deep_chain_of_forks_carries_ids_to_its_end() {
    same_as_root("storm", &["chain", "150"]);
}

#[test]
fn a_process_killed_while_it_breeds_dies_of_that() {
    same("storm", &["doomed", "60"]);
}

#[test]
fn signals_reach_a_process_in_its_first_moment() {
    same_as_root("newborn", &[]);
}

#[test]
fn a_process_that_is_killed_while_its_leader_executes_a_call_of_ours_ends() {
    let Some(guest) = Guest::new("leaving") else { return };
    let output = Run::new(How::Remainroot, [&guest.program]).output();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("ended: 400\n", ""), "{output:?}");
}

#[test]
fn at_the_limit_of_tasks_or_memory_everybody_born_is_answered() {
    let Some(guest) = Guest::new("crowd") else { return };
    let program = remainroot().to_str().expect("the path is text");
    for limit in ["--nproc=20", "--nproc=16", "--as=300000000", "--nofile=16"] {
        let output =
            Run::new(How::Namespace, ["prlimit", limit, "--", program, "--", &guest.program]).output();
        let expected = "some were born: 1, all good: 1\n";
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), (expected, ""), "{limit}: {output:?}");
    }
}

// Signals.

#[test]
fn job_control_is_seen_by_the_parent() {
    same("jobs", &[]);
}

#[test]
fn a_process_goes_on_after_each_sigcont() {
    for argument in ["drop", "give"] {
        same_as_root_in_a_directory("continued", &[argument]);
    }
}

#[test]
fn the_command_itself_stops_and_continues_for_its_caller() {
    let Some(guest) = Guest::new("jobs") else { return };
    for command in [&["sleep", "1000"][..], &["sh", "-c", "while :; do :; done"]] {
        let run = |how| Run::new(how, command).before([&guest.program]).output();
        compare(&run(How::Namespace), &run(How::Remainroot));
    }
}

#[test]
fn interrupted_and_restarted_calls_behave() {
    same_as_root("interrupted", &[]);
}

#[test]
fn signals_arrive_as_they_were_sent() {
    same("siginfo", &[]);
}

#[test]
fn sigchld_ignored_or_not_is_the_kernels_business() {
    same("sigchld", &[]);
}

#[test]
fn registers_survive_every_answered_call() {
    same_as_root_with_a_file("registers");
}

#[test]
fn a_task_keeps_the_processors_it_chose() {
    same_as_root("affinity", &[]);
}

#[test]
fn a_new_process_may_run_wherever_its_maker_may() {
    same_as_root_with_a_file("placed");
}

#[test]
fn a_process_that_may_not_be_looked_at_is_answered() {
    same_as_root_with_a_file("hidden");
}

#[test]
fn filters_of_the_guests_own_work_and_change_no_answer() {
    same_as_root("sandbox", &[]);
}

#[test]
fn a_sandbox_that_kills_for_every_other_call_sees_none() {
    same_as_root_with_a_file("allowlist");
}

// Ends.

#[test]
fn exit_statuses_and_signals_reach_the_caller() {
    for script in
        ["exit 0", "exit 1", "exit 127", "exit 255", "kill -TERM $$", "kill -KILL $$", "kill -USR1 $$"]
    {
        shell(script);
    }
}

#[test]
fn the_core_flag_is_the_kernels() {
    for signal in ["SEGV", "ABRT", "QUIT", "TERM"] {
        for limit in ["unlimited", "0"] {
            let statuses = [How::Namespace, How::Remainroot].map(|how| {
                let scratch = Scratch::new("core");
                let script = format!("ulimit -c {limit}; kill -{signal} $$");
                Run::shell(how, &script).directory(scratch.path()).output().status
            });
            assert_eq!(statuses[0].core_dumped(), statuses[1].core_dumped(), "{signal} {limit}");
            assert_eq!(statuses[0], statuses[1], "{signal} {limit}");
        }
    }
}

#[test]
fn a_shell_sees_its_children_end_as_they_do() {
    shell("for i in 0 3 200; do sh -c \"exit $i\"; echo $?; done; sh -c 'kill -9 $$'; echo $?");
    // Whether dash says "Terminated" depends on the moment, without remainroot too.
    shell("exec 2>/dev/null; sleep 1000 & kill $!; wait $!; echo $?; (exit 4) & wait $!; echo $?");
    shell("set -o pipefail 2>/dev/null; yes | head -2; seq 100000 | tail -1; echo $?");
}

/// How many were born, and how many of them were handed over, in a run of which every second child lives long enough.
fn handed_over() -> (u64, u64) {
    let scratch = common::Scratch::new("handover");
    let summary = scratch.file("summary");
    // It is somebody else before and after.
    let lives = "setpriv --reuid 7 --regid 8 --clear-groups perl -e 'sub who { print \"$< $> $(\n\" } who; select undef, undef, undef, 0.03; \
                 who; system(\"id -u\"); who'";
    let script = format!("for i in 1 2 3 4 5; do true; /bin/true; {lives}; done; exit 3");
    let run = Run::shell(How::Attached, &script).option(&format!("--summary={summary}"));
    let output = run.output();
    assert_eq!((output.code(), output.stdout.as_str()), (3, "7 7 8\n7 7 8\n7\n7 7 8\n".repeat(5).as_str()));
    let summary = std::fs::read_to_string(&summary).expect("it was written");
    let count = |name: &str| {
        let line = summary.lines().find_map(|line| line.strip_suffix(name)).expect(name);
        line.trim().parse::<u64>().expect("a number")
    };
    assert_eq!(count(" foster children"), 0);
    (count(" first stops"), count(" hand-overs"))
}

#[test]
fn a_child_that_lives_gets_a_worker_of_its_own_and_others_do_not() {
    // Where the machine is slow a short life is long: of several runs one must show it.
    let mut seen = vec![];
    for _ in 0..20 {
        let (born, handed_over) = handed_over();
        assert!(handed_over >= 5, "{handed_over} of {born}");
        seen.push((born, handed_over));
        if born >= handed_over + 5 {
            return;
        }
    }
    panic!("everybody was handed over: {seen:?}");
}

#[test]
fn a_daemon_outlives_its_command_and_is_answered() {
    if !needs_root() {
        return;
    }
    let Some(guest) = Guest::new("daemon") else { return };
    let found = [How::Native, How::Remainroot].map(|how| {
        let file = guest.scratch.file(&format!("{how:?}"));
        let running = guest.run(how, &[&file]).leaves_daemons().start();
        // Both pipes close with the command, though the daemon lives.
        assert_eq!(running.finish().success(), "started\n");
        let ended = || std::fs::read_to_string(&file).is_ok_and(|text| text.ends_with("end\n"));
        common::wait_until(ended, || "the daemon did not finish".to_owned());
        std::fs::read_to_string(&file).expect("it was read before")
    });
    assert_eq!(found[0], found[1]);
}

#[test]
fn a_killed_command_dies_of_that_and_its_children_live_on() {
    let script =
        "sleep 1000 >/dev/null 2>&1 </dev/null & echo up; while :; do sleep 1000 >/dev/null 2>&1; done";
    let running = Run::shell(How::Attached, script).leaves_daemons().start();
    running.until("up");
    let pid = running.pid();
    let tracer = tracer_of(pid).expect("it is traced");
    let is_child = |&other: &u32| other != pid && tracer_of(other) == Some(tracer);
    let children = || running.processes().into_iter().filter(is_child).collect::<Vec<u32>>();
    common::wait_until(
        || children().len() == 2,
        || format!("both children begin: {}", running.description()),
    );
    let children = children();
    assert_eq!(children.len(), 2);
    kill(Pid::from_raw(pid as i32), Signal::SIGKILL).expect("it lives");
    let mark = running.mark().to_owned();
    assert_eq!(running.finish().status.signal(), Some(9));
    assert!(children.iter().all(|&child| tracer_of(child) == Some(tracer)), "children live on, traced");
    for child in children {
        kill(Pid::from_raw(child as i32), Signal::SIGKILL).expect("it lives");
    }
    let ended = || common::living(&mark).is_empty();
    common::wait_until(ended, || "the tracer did not end with its last tracee".to_owned());
}

#[test]
fn a_tree_killed_at_any_moment_leaves_nothing() {
    let Some(guest) = Guest::new("storm") else { return };
    for round in 0..40 {
        let running = guest.run(How::Remainroot, &["forks", "1000000"]).before(["setsid"]).start();
        std::thread::sleep(Duration::from_millis(round * 4));
        let group = Pid::from_raw(running.pid() as i32);
        let _ = killpg(group, Signal::SIGKILL); // it may not lead a group yet
        let _ = kill(group, Signal::SIGKILL);
        assert_gone(&running);
    }
}

#[test]
fn a_killed_tracer_takes_its_tracees_along() {
    let running = Run::shell(How::Attached, "sleep 1000 & echo up; sleep 1000").start();
    running.until("up");
    let tracer = tracer_of(running.pid()).expect("it is traced");
    kill(Pid::from_raw(tracer as i32), Signal::SIGKILL).expect("it lives");
    assert_gone(&running);
    assert_eq!(running.finish().status.signal(), Some(9));
}

#[test]
fn a_signal_to_everybody_does_not_reach_the_tracer() {
    let all = "sleep 98 & sleep 97 & kill -STOP -1; kill -CONT -1; kill -9 -1; echo $?; \
               wait; setpriv --reuid 5 --clear-groups id -u";
    let script = format!("sleep 99 & (exec sh -c '{all}'); echo after");
    // Pid 1 is spared, and nobody outside is there to be hit. Once with a /proc of that namespace.
    for mount in ["", "mount -t proc proc /proc; "] {
        let run = Run::shell(How::Remainroot, &format!("{mount}{script}")).namespaces("-Urmpf");
        let output = run.output();
        assert_eq!((output.code(), output.stdout.as_str()), (0, "0\n5\nafter\n"), "{output:#?}");
    }
}

#[test]
fn a_tracer_killed_in_a_storm_leaves_nobody_parked() {
    let Some(guest) = Guest::new("storm") else { return };
    for round in 0..30 {
        let running = guest.run(How::Attached, &["forks", "1000000"]).start();
        std::thread::sleep(Duration::from_millis(20 + round * 3));
        if let Some(tracer) = tracer_of(running.pid()) {
            let _ = kill(Pid::from_raw(tracer as i32), Signal::SIGKILL); // it may have ended
        }
        let _ = kill(Pid::from_raw(running.pid() as i32), Signal::SIGKILL); // it may not be traced yet
        assert_gone(&running);
    }
}
