//! Filesystems that a process inside serves: nobody who answers for that process may wait for it.
//!
//! A server is made to need answers itself before each of its own, as fuse-overlayfs and its like do; whether it runs as a
//! thread of its client, as its child, or as its parent decides which of the tracer's threads would have to wait for itself.
#![allow(clippy::expect_used, clippy::panic)] // a helper of a test is a test

mod common;

use common::{How, Lack, Run, Scratch, compile, skip};

const WAYS: [How; 2] = [How::Remainroot, How::Attached];

/// Whether an unprivileged user may open `/dev/fuse`, as udev has it, and there are these programs.
fn can_serve(programs: &[&str]) -> bool {
    use std::os::unix::fs::PermissionsExt;
    let mode = std::fs::metadata("/dev/fuse").map_or(0, |found| found.permissions().mode());
    if mode & 0o006 != 0o006 {
        skip(Lack::Kernel, "needs a /dev/fuse that everybody may open");
    }
    mode & 0o006 == 0o006 && common::has(programs)
}

/// What a script says in a directory of its own, as root of a mount namespace.
fn said(how: How, facts: bool, script: &str) -> String {
    let scratch = Scratch::new("fuse");
    let script = match facts {
        true => format!("touch known; chown 33:33 known; {script}"),
        false => script.to_owned(),
    };
    ran(how, &script, &scratch).success()
}

fn ran(how: How, script: &str, scratch: &Scratch) -> common::Output {
    Run::shell(how, script).namespaces("-Urm").directory(scratch.path()).seconds(90).output()
}

#[test]
fn a_server_that_needs_answers_gives_them_wherever_it_runs() {
    let built = Scratch::new("fuse-server");
    if !can_serve(&[]) {
        return;
    }
    let Some(server) = compile(&built, "fuse/server.c", &["-pthread", "-w"]) else { return };
    for how in WAYS {
        for who in ["thread", "child", "parent"] {
            for facts in [false, true] {
                let seen = said(how, facts, &format!("mkdir m; {server} {who} m own"));
                // Uids 7 to 18, and twelve times the group 5.
                assert_eq!(seen, "Success sum 210 entries 8 exec 0\n", "{how:?} {who} {facts}");
            }
        }
    }
}

/// Everything that is made of a tree while others walk it.
const STORM: &str = "
(find m -printf '%U\\n' >/dev/null) & tar cf t.tar m 2>/dev/null &
(for n in 1 2 3 4 5 6 7 8 9; do chown 5 m/d$n m/d$n/f; done) &
(i=0; while [ $i -lt 20 ]; do : >m/new$i; chown 6 m/new$i; stat -c %u m/new$i >/dev/null; i=$((i+1)); done) &
(mkdir m/e; cp -a m/d20 m/e/; install -o 3 m/d21/f m/e/i; chown -R 8 m/d25; touch -d @1 m/d22/f; chmod 4711 m/d22/f) &
wait; stat -c %u m/d3/f m/new19 m/e/i m/d25/f; stat -c '%a %Y' m/d22/f; umount m";

const TREE: &str =
    "mkdir lo up wk m; i=0; while [ $i -lt 30 ]; do mkdir lo/d$i; : >lo/d$i/f; i=$((i+1)); done; ";

fn storms(program: &str, mount: &str) {
    if !can_serve(&[program]) {
        return;
    }
    for how in WAYS {
        for facts in [false, true] {
            let seen = said(how, facts, &format!("{TREE}{mount} 2>/dev/null || exit; {STORM}"));
            assert_eq!(seen, "5\n6\n3\n8\n4711 1\n", "{how:?} {facts}");
        }
    }
}

#[test]
fn fuse_overlayfs_holds_under_a_storm() {
    storms("fuse-overlayfs", "fuse-overlayfs -o lowerdir=lo,upperdir=up,workdir=wk m");
}

#[test]
fn bindfs_holds_under_a_storm() {
    storms("bindfs", "bindfs lo m");
}

#[test]
fn an_overlay_above_a_served_layer_waits_for_nobody() {
    if !can_serve(&["bindfs"]) {
        return;
    }
    let script = format!(
        "{TREE}mkdir o; bindfs lo m || exit; mount -t overlay -o lowerdir=m,upperdir=up,workdir=wk none o || exit
         for n in 1 2 3; do chown 5 o/d$n o/d$n/f & done; find o -printf '%U' >/dev/null; wait
         stat -c %u o/d1 o/d2/f; umount o; umount m"
    );
    for how in WAYS {
        assert_eq!(said(how, false, &script), "5\n5\n", "{how:?}");
    }
}

#[test]
fn a_server_that_stands_still_stops_only_who_asks_it_and_lets_go_when_it_is_killed() {
    if !can_serve(&["bindfs"]) {
        return;
    }
    let script = format!(
        "{TREE}bindfs -f lo m & s=$!; until grep -q ' fuse' /proc/self/mounts; do sleep 0.05; done
         kill -STOP $s
         (chown 5 m/d1/f || echo let go) 2>/dev/null & a=$!
         (stat m/d2/f || echo let go) >out 2>/dev/null & b=$!
         (cd m && exec true || echo let go) 2>/dev/null & c=$!
         i=0; while [ $i -lt 40 ]; do : >o$i; chown 6 o$i; sh -c \"stat -c %u o$i >>seen\"; i=$((i+1)); done
         sort seen | uniq -c | tr -s ' '; kill -KILL $s; wait $a; wait $b; wait $c; cat out; echo end"
    );
    for how in WAYS {
        let seen = said(how, false, &script);
        assert!(seen.starts_with(" 40 6\n") && seen.ends_with("end\n"), "{how:?}: {seen}");
        assert!(seen.contains("let go"), "{how:?}: {seen}");
    }
}

#[test]
fn what_a_user_mounts_he_can_use_and_unmount_and_nobody_else() {
    if !can_serve(&["squashfuse", "mksquashfs", "setpriv", "fusermount3"]) {
        return;
    }
    let script =
        "mkdir s m; echo hello >s/f; mksquashfs s i -quiet -no-progress >/dev/null; chmod 755 .; chown 1 m
        as() { id=$1; shift; setpriv --reuid $id --regid $id --clear-groups \"$@\"; }
        as 1 squashfuse i m; echo $?; cat m/f
        as 2 fusermount3 -u m 2>/dev/null; echo $?
        as 1 fusermount3 -u m; echo $?; ls m
        squashfuse i m; grep -o 'user_id=.*' /proc/mounts; as 1 fusermount3 -u m 2>/dev/null; echo $?; umount m";
    for how in WAYS {
        let seen = said(how, false, script);
        assert_eq!(seen, "0\nhello\n1\n0\nuser_id=0,group_id=0 0 0\n1\n", "{how:?}");
    }
}

/// As long as a server cannot be told of owners.
#[test]
fn the_first_owner_that_a_server_is_not_told_of_is_said_once() {
    if !can_serve(&["bindfs"]) {
        return;
    }
    // The owners given before have programs answer such calls themselves.
    let known = "mkdir a b; : >a/x; : >a/y; : >z; for id in 1 2 3 4; do chown $id z; done; ";
    for how in WAYS {
        let said = |script: &str| {
            let scratch = Scratch::new("fuse-line");
            let output = ran(how, &format!("{known}{script}"), &scratch);
            assert!(output.status.success(), "{how:?}: {}", output.stderr);
            output.stderr.lines().filter(|line| line.contains("do not pass the FUSE server inside")).count()
        };
        assert_eq!(said("bindfs a b; cat b/x; stat b/y; chown 0:0 b/x; chown 5 z; umount b"), 0, "{how:?}");
        assert_eq!(said("bindfs a b; chown 5 b/x; chown 6 b/y b/x; umount b"), 1, "{how:?}");
    }
}
