//! Processes at large: nobody is traced before it needs it, everybody is once it must be, and nobody can tell.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::indexing_slicing, clippy::panic)]
#![allow(clippy::print_stderr)]

mod common;

use std::fs;
use std::path::Path;
use std::time::Duration;

use common::{
    Guest, How, Lack, Run, Running, Scratch, has, kernel_is_at_least, needs_root, skip, wait_until,
};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Whether processes can be at large on this kernel; says so where they cannot.
fn can_be_at_large() -> bool {
    let can = kernel_is_at_least(6, 11);
    if !can {
        skip(Lack::Kernel, "this kernel does not say when nobody has a listener's filter any more");
    }
    can
}

fn field(pid: u32, name: &str) -> Option<String> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    status.lines().find_map(|line| line.strip_prefix(name)).map(|value| value.trim().to_owned())
}

/// The processes of a run that are its own, by name.
fn named(run: &Running, name: &str) -> Vec<u32> {
    let is = |&pid: &u32| field(pid, "Name:").as_deref() == Some(name);
    run.processes().into_iter().filter(is).collect()
}

/// The tracer and its guardian.
fn ours(run: &Running) -> [Vec<u32>; 2] {
    named(run, "remainroot")
        .into_iter()
        .partition(|&pid| field(pid, "Threads:").is_some_and(|it| it != "1"))
        .into()
}

/// The counts of a summary.
fn count(summary: &Path, what: &str) -> u64 {
    let text = fs::read_to_string(summary).expect("a summary was asked for");
    let line = text.lines().find_map(|line| line.strip_suffix(what)).expect(what);
    line.trim().parse().expect("a number")
}

#[test]
fn nobody_is_traced_who_asks_for_nothing_or_can_be_answered() {
    if !can_be_at_large() {
        return;
    }
    let place = Scratch::new("large");
    let script = "echo 7 > f; for i in 1 2 3; do true; /bin/true; (exit 2); done; chmod 640 f; chown 0:0 f; touch -d @5 f; \
                  stat -c '%a %u %Y' f; nproc >/dev/null; id -G; grep TracerPid /proc/self/status";
    let run = Run::shell(How::Remainroot, script).directory(place.path());
    assert_eq!(run.output().success(), "640 0 5\n0\nTracerPid:\t0\n");
    let summary = place.path().join("summary");
    let run = Run::shell(How::Remainroot, script).directory(place.path());
    let said = run.option(&format!("--summary={}", summary.display())).output().success();
    assert_eq!(said, "640 0 5\n0\nTracerPid:\t0\n");
    // The summary is written before the end of the first process is seen: so that one is attached to.
    for none in [" birth stops", " first stops", " seccomp stops", " injected calls", " hand-overs"] {
        assert_eq!(count(&summary, none), 0, "{none}");
    }
    assert!(count(&summary, " notifications") >= 4);
}

#[test]
fn who_could_not_be_attached_to_later_is_from_the_start() {
    let ours = common::remainroot().display().to_string();
    let script = format!(
        "setpriv --bounding-set -sys_ptrace {ours} --store=memory -- sh -c '/bin/true; grep -c \"TracerPid:.0$\" /proc/self/status; \
         setpriv --reuid 7 --clear-groups id -u'"
    );
    let output = Run::shell(How::Namespace, &script).output();
    assert_eq!(output.stdout, "0\n7\n", "{output:?}");
}

#[test]
fn a_debugger_of_the_guests_own_works() {
    let script =
        "strace -f -o trace sh -c 'chmod 600 f; /bin/true'; echo $?; grep -c '^[0-9 ]*fchmodat(.* = 0' trace";
    let place = Scratch::new("debugger");
    if !can_be_at_large() || !has(&["strace"]) {
        return;
    }
    let script = format!("echo > f; {script}; stat -c %a f");
    let run = Run::shell(How::Remainroot, &script).directory(place.path());
    assert_eq!(run.output().success(), "0\n1\n600\n");
}

/// A program that tells what it sees when it is told to, in the ways in which a process can be hard to find.
const SEES: &str = "tell() { : > up.$1; until test -e go; do sleep 0.01; done; echo $1 $(stat -c %u:%g f); }";

#[test]
fn whoever_is_at_large_sees_the_first_fact() {
    if !can_be_at_large() {
        return;
    }
    let place = Scratch::new("first");
    // A child, an orphan, one in a session of its own, one that is stopped, one whose child has vfork'ed it to sleep, one
    // whose name is no text, and one that execs all the time.
    let script = format!(
        "echo > f; {SEES}; tell child & (tell orphan &) ; setsid sh -c '{SEES}; tell session' & \
         (tell stopped) & stopped=$!; begun() {{ until test -e up.$1; do sleep 0.01; done; }}; begun stopped; kill -STOP $stopped; \
         perl -e 'system(\": > up.parent; until test -e go; do sleep 0.01; done\"); print \"parent \", join(\":\", (stat \"f\")[4, 5]), \"\\n\"' & \
         perl -e '$0 = \"\\xff\\xfe\"; open U, \">up.named\"; select undef, undef, undef, 0.01 until -e \"go\"; \
           print \"named \", join(\":\", (stat \"f\")[4, 5]), \"\\n\"' & \
         perl -e 'open U, \">up.exec\"; exec $^X, \"-e\", $ARGV[0], $ARGV[0] unless -e \"go\"; print \"exec \", join(\":\", (stat \"f\")[4, 5]), \"\\n\"' \
           'exec $^X, \"-e\", $ARGV[0], $ARGV[0] unless -e \"go\"; print \"exec \", join(\":\", (stat \"f\")[4, 5]), \"\\n\"' & \
         for name in child orphan session parent named exec; do begun $name; done; \
         chown 5:6 f; echo > go; kill -CONT $stopped; wait"
    );
    for _ in 0..3 {
        let run = Run::shell(How::Remainroot, &format!("rm -f go up.*; {script}")).directory(place.path());
        let said = run.output().success();
        let mut lines: Vec<&str> = said.lines().collect();
        lines.sort_unstable();
        let expected = ["child", "exec", "named", "orphan", "parent", "session", "stopped"]
            .map(|who| format!("{who} 5:6"));
        assert_eq!(lines, expected);
    }
}

#[test]
fn births_at_any_moment_are_found_by_the_first_fact() {
    if !can_be_at_large() {
        return;
    }
    let Some(guest) = Guest::of("demand/births.c") else { return };
    for _ in 0..6 {
        let place = Scratch::new("births-place");
        let run = guest.run(How::Remainroot, &[]).directory(place.path());
        assert_eq!(run.output().success(), "wrong 0, seen many\n");
    }
}

#[test]
fn another_run_and_a_sandbox_are_left_alone() {
    if !can_be_at_large() {
        return;
    }
    let Some(guest) = Guest::of("demand/sandbox.c") else { return };
    let (sandbox, place) = (&guest.program, Scratch::new("foreign"));
    let ours = common::remainroot().display().to_string();
    // All in one namespace: another run with a process at large, and one with as many filters that are its own and kill
    // it for nearly everything.
    let script = format!(
        "{ours} --store=memory -- sh -c 'echo up > other; until test -e go; do sleep 0.01; done; grep TracerPid /proc/self/status; \
           stat -c %u f; id -u' > said & other=$!; \
         {sandbox} & sandbox=$!; until test -e other && test -e up; do sleep 0.01; done; echo > f; \
         {ours} --store=memory -- sh -c 'sleep 0.1 & chown 5 f; stat -c %u f; wait'; \
         sleep 0.1; echo > go; wait $sandbox; echo sandbox $?; wait $other; cat said"
    );
    let run = Run::shell(How::Namespace, &script).directory(place.path());
    assert_eq!(run.output().success(), "5\nsandbox 7\nTracerPid:\t0\n0\n0\n");
}

#[test]
fn who_is_inside_a_run_at_large_knows_it() {
    let ours = common::remainroot().display().to_string();
    let script = format!("{ours} -v id -u; setpriv --reuid 7 --clear-groups {ours} -v id -u");
    let output = Run::shell(How::Remainroot, &script).output();
    let inside = "remainroot: already inside remainroot: running the command as it is\n";
    assert_eq!((output.stdout.as_str(), output.stderr), ("0\n7\n", inside.repeat(2)));
}

#[test]
fn when_the_tracer_is_killed_who_asks_is_killed_and_nobody_is_answered_wrong() {
    if !can_be_at_large() {
        return;
    }
    let script = "sleep 1000 & echo up; until test -e go; do sleep 0.01; done; echo asks; \
                  perl -e 'print syscall(105, 5) . \"\\n\"'; echo $?; perl -e '$) = \"5 5 6\"; print \"answered\\n\"'; echo $?";
    let place = Scratch::new("killed");
    let running = Run::shell(How::Remainroot, script).directory(place.path()).leaves_daemons().start();
    running.until("up");
    let [tracer, guardian] = ours(&running);
    assert_eq!((tracer.len(), guardian.len()), (1, 1));
    kill(Pid::from_raw(tracer[0] as i32), Signal::SIGKILL).expect("it lives");
    let sleeper = named(&running, "sleep");
    fs::write(place.path().join("go"), "").unwrap();
    running.until("asks");
    wait_until(|| named(&running, "perl").is_empty(), || "who asks is not killed".to_owned());
    let mark = running.mark().to_owned();
    for pid in sleeper {
        let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL); // it may have ended
    }
    let said = running.finish();
    assert_eq!(said.stdout, "up\nasks\n137\n137\n", "{said:?}");
    wait_until(|| common::living(&mark).is_empty(), || "the guardian does not end".to_owned());
}

#[test]
fn a_tracer_killed_while_it_answers_leaves_nobody_waiting() {
    if !can_be_at_large() {
        return;
    }
    let Some(guest) = Guest::of("demand/asker.c") else { return };
    for round in 0..30 {
        let running = guest.run(How::Remainroot, &[]).leaves_daemons().start();
        running.until("up");
        std::thread::sleep(Duration::from_millis(round % 7));
        let [tracer, _] = ours(&running);
        for pid in tracer {
            let _ = kill(Pid::from_raw(pid as i32), Signal::SIGKILL); // it may have ended
        }
        let mark = running.mark().to_owned();
        assert_eq!(running.finish().status.to_string(), "signal: 9 (SIGKILL)");
        wait_until(|| common::living(&mark).is_empty(), || "somebody waits still".to_owned());
    }
}

#[test]
fn a_run_sees_what_another_leaves_first() {
    if !can_be_at_large() {
        return;
    }
    let place = Scratch::new("evidence");
    let ours = common::remainroot().display().to_string();
    let store = place.file("facts");
    let script = format!(
        "echo > f; {ours} --store={store} -- sh -c 'echo > up; until test -e go; do sleep 0.01; done; \
           until test $(stat -Lc %u:%g f) = 5:6; do sleep 0.01; done; echo one' & until test -e up; do sleep 0.01; done; \
         {ours} --store={store} -- sh -c 'chown 5:6 f'; echo > go; wait"
    );
    // The other looks for everybody at the same time, and meets the first's.
    for _ in 0..10 {
        let script = format!("rm -f {store}* f up go; {script}");
        let output = Run::shell(How::Namespace, &script).directory(place.path()).output();
        assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("one\n", ""));
    }
}

#[test]
fn threads_are_attached_to_with_the_one_that_asks() {
    if !needs_root() {
        return;
    }
    let Some(guest) = Guest::of("demand/threads.c") else { return };
    let [native, ours] = [How::Native, How::Remainroot].map(|how| guest.run(how, &[]).output());
    common::compare(&native, &ours);
    assert!(native.stdout.ends_with("end\n"), "{native:?}");
}

#[test]
fn a_process_of_which_all_threads_have_ended_is_looked_past() {
    let Some(guest) = Guest::of("demand/ended.c") else { return };
    let file = guest.scratch.file("given");
    fs::write(&file, "").unwrap();
    std::os::unix::fs::chown(&file, nix::unistd::geteuid().is_root().then_some(common::NOBODY), None)
        .unwrap();
    let output = guest.run(How::Remainroot, &[&file]).output();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("owner 5:6\n", ""), "{output:?}");
}

#[test]
fn a_child_at_large_of_one_that_answers_itself_is_known_to_do_so() {
    if !can_be_at_large() || !needs_root() {
        return;
    }
    // The parent sets modes until it does; the child drops what it has inherited, as does its own child.
    let script = r#"touch f g h; perl -MPOSIX -e '
        sub look { lstat q(h) for 1..40; chown 7, 8, q(h) for 1..40; POSIX::setuid(1000);
                   print chmod(0644, q(g)) ? qq(done\n) : qq($!\n); mkdir qq(d$_[0]); print +(lstat qq(d$_[0]))[4], qq(\n) }
        chmod 0600, q(f) for 1..80;
        $pid = fork; if (!$pid) { chown 5, 6, q(h); $pid = fork; if (!$pid) { look(1); exit } wait; look(2); exit } wait'"#;
    let said = |how| {
        let (place, root) = (Scratch::new("large"), Scratch::new("large-root"));
        // Whoever has dropped may make something here.
        fs::set_permissions(place.path(), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
        let run = Run::shell(how, script).directory(place.path()).own_root(root.path());
        run.option("--store=xattr").output()
    };
    let native = said(How::Native);
    assert_eq!(native.stdout, "Operation not permitted\n1000\n".repeat(2));
    common::compare(&native, &said(How::Remainroot));
}

#[test]
fn whoever_is_killed_at_any_moment_can_be_reaped_soon() {
    let Some(guest) = Guest::of("demand/killed.c") else { return };
    let place = Scratch::new("killed");
    let runs: Vec<Running> = ["17", "4711"]
        .iter()
        .map(|seed| guest.run(How::Remainroot, &["250", seed]).directory(place.path()).seconds(120).start())
        .collect();
    for run in runs {
        assert_eq!(run.finish().success(), "late: 0\n");
    }
}
