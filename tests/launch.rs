//! How a command starts: with everything its caller gave it, or not at all and with a sentence why.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // a helper of a test is a test

mod common;

use std::io::Write;
use std::os::unix::fs::PermissionsExt;

use common::{Guest, How, Run, Scratch, compare, needs_root, remainroot};

/// What the program finds, without the ids that differ from run to run.
fn facts(guest: &Guest, how: How, pinned: bool) -> String {
    let mut run = guest.run(how, &["show"]).before([&guest.program, "wrap"]);
    if pinned {
        run = run.variable("PINNED", "1");
    }
    let running = run.start();
    let (pid, parent) = (running.pid(), std::process::id());
    let text = running.finish().success();
    let (first, rest) = text.split_once('\n').expect("several lines");
    let named = |word: &str| match word.parse::<u32>() {
        Ok(id) if id == pid => "itself".to_owned(),
        Ok(id) if id == parent => "caller".to_owned(),
        _ => word.to_owned(),
    };
    format!("{}\n{rest}", first.split(' ').map(named).collect::<Vec<_>>().join(" "))
}

#[test]
fn a_command_starts_with_everything_its_caller_gave_it() {
    let Some(guest) = Guest::new("facts") else { return };
    for pinned in [false, true] {
        let expected = facts(&guest, How::Namespace, pinned);
        assert!(expected.starts_with("pid itself parent caller group itself session "), "{expected}");
        assert_eq!(expected, facts(&guest, How::Remainroot, pinned), "pinned: {pinned}");
    }
}

#[test]
fn descriptors_that_the_caller_closed_stay_closed() {
    let Some(guest) = Guest::new("facts") else { return };
    let run = |how| {
        let closed = ["sh", "-c", "exec \"$@\" <&- 2>&-", "sh"];
        let text = guest.run(how, &["show"]).before(closed).output().success();
        text.lines().filter(|line| line.starts_with("descriptor")).map(str::to_owned).collect::<Vec<_>>()
    };
    let expected = run(How::Namespace);
    assert!(expected.iter().all(|line| !line.starts_with("descriptor 0 ")), "{expected:?}");
    assert_eq!(expected, run(How::Remainroot));
}

/// Says that it runs, and that it goes on.
const JOB: &str = "$| = 1; $SIG{CONT} = sub { print qq(on again\\n) }; print qq(begun\\n); sleep 1 while 1";

/// What an interactive shell at a terminal says while a job is run there, stopped, continued and interrupted by keys.
/// The next key is pressed once the one before has had its effect.
fn typed(prefix: &str) -> String {
    let scratch = Scratch::new("keys");
    std::fs::write(scratch.path().join("job"), JOB).expect("the directory is writable");
    nix::unistd::mkfifo(&scratch.path().join("keys"), nix::sys::stat::Mode::S_IRWXU)
        .expect("the name is free");
    let keys = std::fs::File::options().read(true).write(true).open(scratch.path().join("keys"));
    let mut keys = keys.expect("both ends of a FIFO are opened at once");
    let script = "exec script -qc 'bash --norc --noprofile -i' /dev/null <keys";
    let running =
        Run::shell(How::Native, script).variable("PS1", "ready> ").directory(scratch.path()).start();
    let mut press = |text: &str, effect: &str, times: usize| {
        keys.write_all(text.as_bytes()).expect("somebody reads");
        running.until_times(effect, times);
    };
    press("", "ready> ", 1);
    press(&format!("{prefix} perl job\r"), "begun", 1);
    press("\x1a", "Stopped", 1);
    press("jobs\r", "Stopped", 2);
    press("fg\r", "on again", 1);
    press("\x03", "ready> ", 4);
    press("echo \"co\"\"de: $?\"\r", "code: ", 1);
    press("", "ready> ", 5);
    press("exit\r", "exit", 1);
    running.finish().stdout
}

#[test]
fn control_z_and_control_c_reach_the_command_through_an_interactive_shell() {
    if !common::has(&["script", "bash", "perl"]) {
        return;
    }
    let program = remainroot().to_str().expect("the path is text");
    for prefix in ["unshare -Ur".to_owned(), format!("unshare -Ur {program} --")] {
        let said = typed(&prefix);
        assert!(said.matches("Stopped").count() == 2 && said.contains("code: 130"), "{prefix}: {said}");
    }
}

#[test]
fn a_shell_has_the_pid_that_its_caller_started() {
    let running =
        Run::shell(How::Remainroot, "echo $$; ls -l /proc/self/fd | sed 's/.*[0-9] //' | wc -l").start();
    let pid = running.pid();
    assert!(running.finish().success().starts_with(&format!("{pid}\n")));
}

#[test]
fn a_terminal_stays_the_commands() {
    let script = "tty | sed 's/[0-9]*$//'; stty size; test -t 0 && read pid _ _ _ group _ _ front _ </proc/self/stat; \
                  [ \"$group\" = \"$front\" ] && echo in front";
    let typed = |how| Run::new(how, ["script", "-qec", script, "/dev/null"]).output();
    compare(&typed(How::Namespace), &typed(How::Remainroot));
}

#[test]
fn pid_1_and_subreapers_have_no_child_they_did_not_make() {
    let Some(guest) = Guest::new("reaper") else { return };
    for namespaces in ["-Ur", "-Urpf"] {
        let run = |how| guest.run(how, &[]).namespaces(namespaces).output();
        compare(&run(How::Namespace), &run(How::Remainroot));
    }
}

#[test]
fn remainroot_inside_remainroot_is_one_remainroot() {
    let inner = remainroot().to_str().expect("the path is text");
    let script = "id -u; chown 5:6 f; stat -c %u:%g f; setpriv --reuid 7 --clear-groups id -u; exit 9";
    let scratch = Scratch::new("nested");
    std::fs::write(scratch.path().join("f"), "").expect("the directory is writable");
    if nix::unistd::geteuid().is_root() {
        let owner = Some(common::NOBODY);
        std::os::unix::fs::chown(scratch.path().join("f"), owner, owner).expect("root may");
    }
    let words = [inner, "--", inner, "--", "sh", "-c", script];
    let output = Run::new(How::Remainroot, words).directory(scratch.path()).output();
    assert_eq!((output.code(), output.stdout.as_str(), output.stderr.as_str()), (9, "0\n5:6\n7\n", ""));
}

#[test]
fn a_plain_user_gets_a_namespace() {
    let output =
        Run::shell(How::Alone, "id -u; id -g; setpriv --reuid 7 --clear-groups id -u; exit 3").output();
    assert_eq!((output.code(), output.stdout.as_str(), output.stderr.as_str()), (3, "0\n0\n7\n", ""));
}

#[test]
fn a_plain_user_may_mount_in_a_namespace_made_for_the_run() {
    let scratch = Scratch::new("mounts");
    let script = "mount -t tmpfs -o uid=5,gid=6 none . && cd . && touch f && stat -c %u:%g . && umount -l .";
    let output = Run::shell(How::Alone, script).directory(scratch.path()).output();
    assert_eq!((output.code(), output.stdout.as_str(), output.stderr.as_str()), (0, "5:6\n", ""));
    assert_eq!(std::fs::read_dir(scratch.path()).expect("it is ours").count(), 0);
}

#[test]
fn where_no_namespace_can_be_made_the_users_own_id_is_roots() {
    if !needs_root() {
        return;
    }
    let scratch = Scratch::new("chroot");
    let program = remainroot().to_str().expect("the path is text");
    // A process whose root is not its mount namespace's may not make a user namespace.
    let script = format!(
        "mount --rbind / {0} && exec chroot {0} setpriv --reuid=65534 --regid=65534 --clear-groups {program} -- \
         sh -c 'id -u; id -g; unshare -U true 2>/dev/null || echo none; \
         setpriv --reuid 7 --regid 8 --clear-groups id; exit 4'",
        scratch.path().display()
    );
    let output = Run::new(How::Native, ["unshare", "-m", "sh", "-c", &script]).output();
    let expected = "0\n0\nnone\nuid=7 gid=8(mail) groups=8(mail)\n".replace("uid=7", "uid=7(lp)");
    assert_eq!((output.code(), output.stdout, output.stderr.as_str()), (4, expected, ""));
}

// What cannot be.

#[test]
fn a_command_that_cannot_be_executed_is_said_in_one_sentence() {
    for (command, code) in
        [("no-such-command", 127), ("/no/such/command", 127), ("/etc/passwd", 126), ("/etc", 126)]
    {
        let output = Run::new(How::Remainroot, [command]).output();
        assert_eq!(output.code(), code, "{output:?}");
        assert_eq!(output.stdout, "");
        assert!(output.stderr.lines().count() == 1 && output.stderr.contains(command), "{output:?}");
    }
}

#[test]
fn what_a_script_or_a_program_needs_and_lacks_is_named() {
    let place = Scratch::new("lacks");
    let make = |name: &str, content: &[u8], mode: u32| {
        let path = place.path().join(name);
        std::fs::write(&path, content).expect("the directory is writable");
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    make("begin", b"#!/no/such -e\n", 0o755);
    make("nested", format!("#! {}\n", place.file("begin")).as_bytes(), 0o755);
    make("dos", b"#!/bin/sh\r\necho\r\n", 0o755);
    make("plain", b"#!/no/such\n", 0o644);
    make("of-plain", format!("#!{}\n", place.file("plain")).as_bytes(), 0o755);
    std::os::unix::fs::symlink("/no/such", place.path().join("link")).expect("the name is free");
    let program = std::fs::read("/bin/true").expect("it can be read");
    let loader = b"/lib64/ld-linux-x86-64.so.2\0";
    let at = program.windows(loader.len()).position(|bytes| bytes == loader).expect("it has a loader");
    for (name, other) in
        [("musl", &b"/lib/ld-musl-x86_64.so.1\0"[..]), ("narrow", b"/lib/no/ld-linux.so.2\0")]
    {
        let mut program = program.clone();
        program[at..at + other.len()].copy_from_slice(other);
        make(name, &program, 0o755);
    }
    let cases = [
        ("./begin", 127, "the interpreter /no/such of the script ./begin is not found"),
        ("begin", 127, "the interpreter /no/such of the script "),
        ("./nested", 127, "the interpreter /no/such of the script /"),
        (
            "./dos",
            127,
            "the interpreter /bin/sh\\r of the script ./dos is not found: its lines end as on DOS",
        ),
        ("./link", 127, "the symbolic link leads to nothing"),
        (
            "./musl",
            127,
            "the loader /lib/ld-musl-x86_64.so.1 of the program ./musl is not found: it is made for musl",
        ),
        (
            "./narrow",
            127,
            "the loader /lib/no/ld-linux.so.2 of the program ./narrow is not found: it is a 32-bit",
        ),
        ("./plain", 126, "it is not marked as executable: chmod +x ./plain"),
        ("./of-plain", 126, "plain, which is to interpret it, may not be executed"),
        ("/etc", 126, "it is a directory"),
    ];
    let path = format!("/usr/bin:/bin:{}", place.path().display());
    for (command, code, sentence) in cases {
        let run = Run::new(How::Remainroot, [command]).directory(place.path()).variable("PATH", &path);
        let said = run.output();
        assert_eq!((said.code(), said.stdout.as_str()), (code, ""), "{said:?}");
        assert!(said.stderr.lines().count() == 1 && said.stderr.contains(sentence), "{command}: {said:?}");
        // The status is a shell's.
        let shell = Run::shell(How::Namespace, command).directory(place.path()).variable("PATH", &path);
        assert_eq!(shell.output().code(), code, "{command}");
    }
}

#[test]
fn a_wrong_command_line_is_said_and_ends_with_125() {
    let missing = Run::new(How::Remainroot, [] as [&str; 0]).output();
    assert_eq!((missing.code(), missing.stderr.lines().count()), (125, 1), "{missing:?}");
    let unknown = Run::new(How::Remainroot, ["true"]).option("--no-such-option").output();
    assert_eq!(unknown.code(), 125, "{unknown:?}");
    assert!(unknown.stderr.contains("--no-such-option"), "{unknown:?}");
}

#[test]
fn an_option_that_would_mean_nothing_is_refused() {
    for store in ["memory", "./facts"] {
        let run = Run::new(How::Remainroot, ["true"]).option("--adopt").option(&format!("--store={store}"));
        let output = run.output();
        let sentence = "remainroot: --adopt is for stores on the files: auto or xattr\n";
        assert_eq!((output.code(), output.stderr.as_str()), (125, sentence));
    }
}

#[test]
fn real_root_is_refused_with_a_sentence_unless_it_insists() {
    if !needs_root() {
        return;
    }
    let program = remainroot().to_str().expect("the path is text");
    let refused = Run::new(How::Native, [program, "--", "true"]).output();
    assert_eq!((refused.code(), refused.stderr.lines().count()), (125, 1), "{refused:?}");
    assert!(refused.stderr.contains("--allow-real-root"), "{refused:?}");
    let insisted = Run::new(How::Native, [program, "--allow-real-root", "--", "sh", "-c", "exit 6"]).output();
    assert_eq!((insisted.code(), insisted.stderr.as_str()), (6, ""), "{insisted:?}");
}

#[test]
fn a_summary_that_cannot_be_written_is_said_and_changes_nothing_else() {
    let run = |file: &str| {
        Run::shell(How::Remainroot, "echo hi; exit 3").option(&format!("--summary={file}")).output()
    };
    let full = run("/dev/full");
    assert_eq!((full.code(), full.stdout.as_str()), (3, "hi\n"));
    assert!(full.stderr.starts_with("remainroot: writing the summary failed: No space left"), "{full:#?}");
    let missing = run("/nonexistent/summary");
    assert_eq!((missing.code(), missing.stdout.as_str()), (125, ""));
}

#[test]
fn whoever_has_left_its_pid_namespace_to_its_children_can_run_it() {
    // The namespace that this process is in is not its own to enter again: the command goes to the other.
    let run = Run::shell(How::Remainroot, "echo hi; sh -c 'echo there'; exit 3").namespaces("-Urp").output();
    assert_eq!((run.code(), run.stdout.as_str()), (3, "hi\nthere\n"), "{run:?}");
    let killed = Run::shell(How::Remainroot, "kill -9 $$").namespaces("-Urp").output();
    assert_eq!(killed.code(), 137, "{killed:?}");
    // It is: all is as without remainroot, also that nothing more is born there when the first has ended.
    let ours = format!("{} --store=memory", common::remainroot().display());
    let [native, ours] = ["", ours.as_str()].map(|prefix| {
        let command = "sh -c 'echo $$; sh -c \"echo \\$\\$\"; sh -c true; echo not reached'; echo $?";
        let script = format!("mount -t proc proc /proc; unshare --pid {prefix} {command}");
        Run::shell(How::Namespace, &script).namespaces("-Urmpf").output()
    });
    assert!(native.stdout.contains("\n1\n"), "{native:?}");
    compare(&native, &ours);
}

#[test]
fn what_the_user_has_under_way_between_processes_keeps_no_command_from_starting() {
    if !common::has(&["python3"]) {
        return;
    }
    // No more descriptors may be under way than the sender may have open.
    let script = "import os, socket, subprocess, sys
one, other = socket.socketpair()
for i in range(30): socket.send_fds(one, [b'x'], [0])
sys.exit(subprocess.call(sys.argv[1:]))";
    let limited = ["python3", "-c", script, "sh", "-c", "ulimit -Sn 12; exec \"$@\"", "sh"];
    let run =
        Run::shell(How::Remainroot, "ulimit -Sn; setpriv --reuid 5 --clear-groups id -u").before(limited);
    assert_eq!(run.output().success(), "12\n5\n");
}

#[test]
fn the_commands_limits_are_not_the_tracers() {
    let place = common::Scratch::new("limits");
    let limited = |limit: &str| {
        let before = format!("ulimit {limit}; exec \"$@\"");
        let script = "echo > f; chown 3:4 f; stat -c %u:%g f; setpriv --reuid 5 --clear-groups id -u";
        Run::shell(How::Remainroot, script)
            .directory(place.path())
            .before(["sh", "-c", &before, "sh"])
            .output()
    };
    for soft in ["-Sn 12", "-Sd 2000", "-Sv 40000", "-Sf 1", "-Ss 128", "-St 5"] {
        assert_eq!(limited(soft).stdout, "3:4\n5\n", "{soft}");
    }
    for hard in ["-n 8", "-d 2000"] {
        let output = limited(hard);
        assert_eq!(output.code(), 125, "{hard}: {output:?}");
        assert!(output.stderr.contains("the hard limit of "), "{hard}: {output:?}");
    }
}
