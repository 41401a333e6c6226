//! Device nodes: what real root gets of them, remainroot in a one-id namespace gets too.
#![allow(clippy::unwrap_used, clippy::print_stderr)] // a helper of a test is a test

mod common;

use std::process::Command;
use std::time::Duration;

use common::{How, Run, Scratch, compile};

/// Runs the same in a directory of its own each as real root and under remainroot, and compares.
fn compare(least: usize, run: impl Fn(How, &Scratch) -> Run) -> String {
    let said = [How::Native, How::Remainroot].map(|how| {
        let place = Scratch::new("devices");
        let output = run(how, &place).directory(place.path()).output();
        format!("{}{}exit {}\n", output.stdout, output.stderr, output.code())
    });
    let [native, ours] = &said;
    assert!(native.lines().count() >= least, "it ended early: {native}");
    let (mut heading, mut differences) = ("", Vec::new());
    for (native, ours) in native.lines().zip(ours.lines()) {
        if !native.starts_with("  ") {
            heading = native;
        }
        if native != ours {
            differences.push(format!("{heading}\n  root:{native}\n  ours:{ours}"));
        }
    }
    assert!(differences.is_empty(), "{} lines differ\n{}", differences.len(), differences.join("\n"));
    assert_eq!(native.lines().count(), ours.lines().count());
    said.into_iter().next().unwrap()
}

/// Every call about nodes, by a C program of this ABI.
fn nodes(flags: &[&str]) {
    if !common::needs_root() {
        return;
    }
    let built = Scratch::new("nodes");
    let Some(probe) = compile(&built, "devices/nodes.c", flags) else { return };
    compare(2300, |how, _| Run::new(how, [&probe]));
}

#[test]
fn every_call_about_a_node_gives_a_64_bit_program_what_root_gets() {
    nodes(&[]);
}

#[test]
fn every_call_about_a_node_gives_a_32_bit_program_what_root_gets() {
    nodes(&["-m32"]);
}

/// A looker beside a maker, in every way of running.
#[test]
fn who_looks_sees_a_device_or_nothing() {
    let built = Scratch::new("atomic");
    let Some(probe) = compile(&built, "devices/atomic.c", &[]) else { return };
    let owned = format!("touch owned; chown 3:3 owned; exec {probe}");
    for how in [How::Remainroot, How::Attached] {
        for words in [vec![probe.as_str()], vec!["sh", "-c", &owned]] {
            for store in ["--store=memory", "--store=xattr"] {
                let place = Scratch::new("atomic");
                let run = Run::new(how, words.clone()).directory(place.path()).option(store).seconds(60);
                let said = run.output().success();
                assert_eq!(said, "devices 100, others 0, with other modes 0\n", "{how:?} {words:?} {store}");
            }
        }
    }
}

/// Whoever is killed leaves what was made until then, so there is always something to look at.
#[test]
fn what_a_killed_run_leaves_is_a_device_or_nothing() {
    const RUNS: u64 = 30;
    let built = Scratch::new("killed");
    let Some(probe) = compile(&built, "devices/atomic.c", &[]) else { return };
    for nth in 0..RUNS {
        let place = Scratch::new("killed");
        let run = |words: &[&str]| {
            Run::new(How::Remainroot, words).directory(place.path()).option("--store=xattr").seconds(60)
        };
        let names = || std::fs::read_dir(place.path()).unwrap().count();
        let running = run(&[&probe, "make"]).start();
        // Until it has begun, and then a little longer, each time another while.
        common::wait_until(|| names() > 0, || format!("it made nothing: {}", running.description()));
        std::thread::sleep(Duration::from_micros(37 * nth));
        drop(running);
        let devices = run(&["find", ".", "-name", "dev*", "-type", "b", "-perm", "644"]).output().success();
        assert!(
            names() > 0 && devices.lines().count() == names(),
            "{} names, of which devices:\n{devices}",
            names()
        );
    }
}

/// Makes nodes of several kinds beside other files.
const MAKE: &str = "umask 022; exec 2>&1; mkdir t; cd t; mknod -m 666 null c 1 3; mknod zero c 1 5; mknod -m 600 disk b 8 1; \
     chgrp 6 disk; mknod undriven c 240 9; echo text > file; mkfifo fifo; \
     ln -s null link; touch -hd @1000000000 null zero disk undriven link; ln disk other; mkdir d; mv undriven d; touch -d @1000000001 file fifo d .; cd ..; ";

/// Names everything about what is below the directory.
const SHOW: &str = "show() { find \"$1\" -printf '%P %y %m %U:%G %s %n\\n' | sort; \
     find \"$1\" ! -type d ! -type l -printf '%P %T@\\n' | sort; \
     find \"$1\" -type b -o -type c | sort; find \"$1\" -type f | sort; (cd \"$1\"; stat -c '%n %F %t:%T %s %b' *); }; ";

#[test]
fn programs_that_copy_trees_copy_nodes() {
    if !common::needs_root() || !common::has(&["tar", "cpio", "rsync", "cp"]) {
        return;
    }
    let script = format!(
        "{MAKE}{SHOW}show t; ls -lR --time-style=+%s t; \
         tar cf t.tar t; tar tvf t.tar --full-time | sort; mkdir tar; tar xpf t.tar -C tar; show tar; \
         cp -a t cp; show cp; mkdir rsync; rsync -aHD t/ rsync/; show rsync; rsync -aHDni --delete t/ rsync/; \
         (cd t; find . | sort | cpio -o --quiet -H newc) > t.cpio; cpio -tv --quiet < t.cpio | sort; \
         mkdir cpio; (cd cpio; cpio -idm --quiet < ../t.cpio); show cpio; (cd t; find . | cpio -pdm --quiet ../pass); show pass; \
         cp t/zero plain & until [ -s plain ]; do sleep 0.01; done; kill $!; wait $!; rm -r t tar cp rsync cpio pass; ls"
    );
    let said = compare(150, |how, _| Run::shell(how, &script).seconds(60));
    assert!(said.contains("block special file 8:1"), "{said}");
}

#[test]
fn shells_and_tools_read_and_write_nodes() {
    if !common::needs_root() || !common::has(&["dd", "od", "tee"]) {
        return;
    }
    let script = format!(
        "{MAKE}cd t; echo words > null; echo more >> null; cat null; wc -c < null; stat -c '%s %b %Y' null; \
         head -c 5 zero | od -c; dd if=zero of=filled bs=1k count=3 2> null; stat -c %s filled; \
         for kind in b c f p L e s r w x; do for name in *; do test -$kind $name; echo $kind $name $?; done; done; \
         echo words | tee null; cat d/undriven; cat disk; echo x > disk; : > link; readlink link; cmp null link; \
         exec 3<> null; echo x >&3; cat <&3; ls /nonexistent 2> null; (./null); ./zero; file=$(cat null); echo \"<$file>\"; \
         diff null file; cp file null; cp null empty; stat -c %s empty null; ln null second; rm null; echo x > second; \
         stat -c '%F %h %s' second; grep -c . second; sort -o second file; tail -c 3 second; truncate -s 5 second"
    );
    compare(100, |how, _| Run::shell(how, &script));
}

#[test]
fn a_terminal_is_opened_as_ones_own() {
    if !common::needs_root() || !common::has(&["script"]) {
        return;
    }
    let script = "script -qec 'mknod t c 5 0; echo to the terminal > t; test -t 3 3< t; echo $?; \
         (exec 3<> t; stty size <&3 > /dev/null && echo sized); setsid -w sh -c \": < t\"' /dev/null < /dev/null";
    compare(3, |how, _| Run::shell(how, script));
}

/// What a small root file system needs to run these programs.
fn small_root(place: &Scratch, programs: &[&str]) {
    let script = format!(
        "cd {}; mkdir -p root/bin root/tmp root/dev; for program in {}; do file=$(command -v $program); \
         cp -L $file root/bin/; for library in $(ldd $file | grep -o '/[^ :]*'); do \
         mkdir -p root$(dirname $library); cp -Ln $library root$library; done; done; cp {} root/; \
         chown -R --no-dereference 65534:65534 root",
        place.path().display(),
        programs.join(" "),
        common::remainroot().display(),
    );
    let status = Command::new("sh").args(["-c", &script]).status().unwrap();
    assert!(status.success());
}

const IN_ROOT: &str = "cd /; echo words > /dev/null; cat /dev/null; head -c 4 /dev/zero | od -c; \
     stat -c '%n %F %t:%T %s %a' /dev/*; find dev -type c | sort; find dev -type b; ls /none 2> /dev/null; (: < /dev/tty); \
     (: < /dev/sda); for i in 1 2 3; do echo x; done >> /dev/null; stat -c %s /dev/null; head -c 9 /dev/urandom | wc -c";
const FILL: &str = "mknod -m 666 dev/null c 1 3; mknod -m 666 dev/zero c 1 5; mknod -m 666 dev/urandom c 1 9; \
     mknod -m 666 dev/tty c 5 0; mknod -m 660 dev/sda b 8 0; ";
const SMALL: [&str; 9] = ["sh", "cat", "head", "od", "stat", "find", "sort", "ls", "wc"];

#[test]
fn behind_a_chroot_without_proc_the_nodes_there_are_the_devices_outside() {
    if !common::needs_root() {
        return;
    }
    compare(14, |how, place| {
        small_root(place, &SMALL);
        Run::shell(how, &format!("exec 2>&1; cd root; {FILL} chroot . /bin/sh -c \"{IN_ROOT}\""))
    });
}

#[test]
fn in_namespaces_of_its_own_making_too() {
    if !common::needs_root() {
        return;
    }
    for letters in ["-p", "-n", "-m", "-pmn", "-i", "-C"] {
        compare(14, |how, place| {
            small_root(place, &SMALL);
            let inside = format!("unshare {letters} --fork chroot . /bin/sh -c \"{IN_ROOT}\"");
            Run::shell(how, &format!("exec 2>&1; cd root; {FILL} {inside}"))
        });
    }
}

/// Runs a script in the small root file system, as a container's own root, which can bear the mark.
fn contained(place: &Scratch, store: &str, script: &str) -> String {
    let words = ["chroot", "root", "/remainroot", store, "--", "/bin/sh", "-c", script];
    Run::new(How::Namespace, words).directory(place.path()).output().success()
}

#[test]
fn in_the_next_run_they_are_still_devices_and_without_any_no_open_stops() {
    if !common::needs_root() {
        return;
    }
    let place = Scratch::new("devices");
    small_root(&place, &["sh", "cat", "mknod", "chown", "stat", "find"]);
    let summary = || {
        let words = [
            "chroot",
            "root",
            "/remainroot",
            "--store=xattr",
            "--summary=/tmp/summary",
            "--",
            "/bin/cat",
            "f",
        ];
        Run::new(How::Namespace, words).directory(place.path()).output().success();
        std::fs::read_to_string(place.file("root/tmp/summary")).unwrap()
    };
    contained(&place, "--store=xattr", "echo text > f; chown 7 f");
    assert!(!summary().contains(" openat "), "there are owners, but no devices");
    contained(&place, "--store=xattr", "mknod dev/zero c 1 5; mknod dev/null c 1 3");
    assert!(summary().contains(" openat "), "there are devices");
    let said = contained(&place, "--store=xattr", "stat -c %F dev/zero; find dev -type c; cat f > dev/null");
    assert_eq!(said.lines().count(), 3, "{said}");
    let outside = |script: &str| {
        let run = Run::shell(How::Remainroot, script).option("--store=xattr");
        run.directory(place.path()).output().success()
    };
    assert_eq!(
        // What reads without a look at what it has open, as head does, would find the placeholder.
        outside("cat root/dev/zero | head -c 3 | od -An -c; ls -l root/dev | cut -c1 | sort -u"),
        "  \\0  \\0  \\0\nc\nt\n"
    );
}

#[test]
fn on_a_mount_without_devices_they_cannot_be_opened() {
    let script = "mkdir m; mount -t tmpfs -o nodev none m; cd m; mknod null c 1 3; stat -c %F null; (: < null) 2>&1; \
         (: > null) 2>&1; mount -o remount,dev . . 2> /dev/null; mkdir d";
    if !common::needs_root() {
        return;
    }
    compare(3, |how, _| Run::new(how, ["unshare", "-m", "sh", "-c", script]));
}

#[test]
fn where_nothing_can_be_written_devices_can() {
    if !common::needs_root() {
        return;
    }
    let script = "mkdir m; mount -t tmpfs none m; mknod m/null c 1 3; mknod m/undriven c 240 9; touch m/file; \
         mount --bind m m; mount -o remount,bind,ro m; exec 2>&1; (echo x > m/null); echo $?; (echo x > m/undriven); \
         (echo x > m/file); (echo x > m/new); mkdir n; touch n/bound; mount --bind m/null n/bound; echo x > n/bound; stat -c '%F %t:%T %s' n/bound";
    compare(5, |how, _| Run::new(how, ["unshare", "-m", "sh", "-c", script]));
}

#[test]
fn a_device_that_another_tool_or_listing_speaks_of_opens_as_one() {
    if !common::needs_root() || !common::has(&["setfattr"]) {
        return;
    }
    let place = Scratch::new("devices");
    small_root(&place, &["sh", "cat", "stat", "find"]);
    let script = "setfattr -n user.containers.override_stat -v 0:0:0666:char-1-7 root/dev/full; \
         setfattr -n user.containers.override_stat -v 0:0:0660:block-8-0 root/dev/sda";
    let state = "mkdir -p root/state/remainroot; chown -R 65534:65534 root/state";
    let script = format!("touch root/dev/full root/dev/sda; chown 65534:65534 root/dev/*; {script}; {state}");
    let marked = Command::new("sh").args(["-c", &script]).current_dir(place.path()).status().unwrap();
    assert!(marked.success());
    let look = "stat -c %F dev/full; find dev -type b; (cat < dev/sda) 2>&1";
    let inside = |options: &[&str]| {
        let words = ["chroot", "root", "/remainroot"].into_iter().chain(options.iter().copied());
        let words: Vec<_> = words.chain(["--", "/bin/sh", "-c", look]).collect();
        let run = Run::new(How::Namespace, words).variable("XDG_STATE_HOME", "/state");
        run.directory(place.path()).output().stdout
    };
    let unmarked = inside(&["--store=xattr"]);
    assert!(unmarked.contains("regular"), "a container of ours without a mark has nothing to look for");
    std::fs::write(place.path().join("root/state/remainroot/facts.devices"), "").unwrap();
    assert_eq!(inside(&["--store=auto"]), unmarked, "the note is of a container that bears no mark");
    let adopted = inside(&["--store=xattr", "--adopt"]);
    assert!(adopted.starts_with("character special file\ndev/sda\n"), "{adopted}");
    assert_eq!(inside(&["--store=xattr"]), adopted, "the mark says so from now on");
    let outside = |options: &[&str], script: &str| {
        let run = options.iter().fold(Run::shell(How::Remainroot, script), |run, option| run.option(option));
        let output = run.option("--store=memory").directory(place.path()).output();
        format!("{}{}", output.stdout, output.stderr)
    };
    let save = format!("--save={}", place.file("list"));
    let load = format!("--load={}", place.file("list"));
    outside(&[&save], "mknod full c 1 7; touch file");
    assert_eq!(outside(&[&load], "echo x > full"), "sh: 1: echo: echo: I/O error\n");
}

#[test]
fn a_device_that_another_run_makes_is_one_in_a_run_that_began_before() {
    if !common::needs_root() {
        return;
    }
    let place = Scratch::new("devices");
    small_root(&place, &["sh", "cat", "mknod", "sleep", "find", "head", "od"]);
    let wait = "echo begun; while ! cat made >/none 2>&1; do sleep 0.02; done; head -c 2 dev/zero | od -An -c; find dev -type c";
    let wait = wait.replace(">/none 2>&1", ">tmp/out 2>&1");
    let words = ["chroot", "root", "/remainroot", "--store=xattr", "--", "/bin/sh", "-c", &wait];
    let first = Run::new(How::Namespace, words).directory(place.path()).start();
    first.until("begun");
    contained(&place, "--store=xattr", "mknod dev/zero c 1 5; echo > made");
    // The container has no zero of its own: what matters is that it is no empty file.
    let output = first.finish();
    assert!(output.stdout.ends_with("dev/zero\n"), "{output:?}");
}

#[test]
fn one_descriptor_more_than_the_open_itself_is_enough() {
    if !common::needs_root() {
        return;
    }
    let script = "mknod zero c 1 5; (ulimit -n 5; exec head -c 3 zero) | wc -c";
    assert_eq!(compare(2, |how, _| Run::shell(how, script)), "3\nexit 0\n");
}

#[test]
fn an_open_device_is_changed_wherever_its_node_is_mounted() {
    if !common::needs_root() {
        return;
    }
    let script = "mkdir m; mount -t tmpfs none m; cd m; mknod null c 1 3; touch -d @1000000000 null; chmod 600 null; \
         stat -c '%Y %a' null; cp null ../copy; mkdir bin dev; mknod dev/null c 1 3; exec 3> dev/null; \
         stat -L -c '%t:%T' /proc/self/fd/3";
    compare(3, |how, _| Run::new(how, ["unshare", "-m", "sh", "-c", script]));
}
