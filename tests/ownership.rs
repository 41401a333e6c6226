//! Owners, modes, devices and new files: real root and remainroot in a one-id namespace say the same.
//! `REMAINROOT_SEQUENCES=1000` makes the random part that long.
#![allow(clippy::expect_used, clippy::unwrap_used)] // a helper of a test is a test

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use common::{How, Run, Scratch, compile};

/// What a program needs that has no C library, and where Debian keeps the headers of every ABI.
const BARE: [&str; 5] =
    ["-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-I/usr/include/x86_64-linux-gnu"];

/// A 64-bit program that makes the calls of a 32-bit one.
const INT80: &[&str] = &["-DINT80"];
const SITES: &[&str] = &["-DSITES"];

/// A directory below `base` with files of root's in it, which are nobody's in a one-id namespace.
fn workplace(base: &Path) -> Scratch {
    let place = Scratch::below(base, "ownership");
    let hosts = place.file("hosts");
    fs::write(&hosts, "").unwrap();
    fs::set_permissions(&hosts, fs::Permissions::from_mode(0o6755)).unwrap();
    fs::create_dir(place.file("hostdir")).unwrap();
    symlink("hosts", place.file("hostlink")).unwrap();
    mkfifo(place.file("hostfifo").as_str(), Mode::from_bits_truncate(0o644)).unwrap();
    place
}

/// Runs the probe as real root and under remainroot, each in a directory of its own, and compares.
fn compare(flags: &[&str], base: &Path) {
    compare_by("ownership/files.c", flags, base, "memory");
}

/// The same with another probe.
fn compare_by(source: &str, flags: &[&str], base: &Path, store: &str) {
    if !common::needs_root() {
        return;
    }
    let built = Scratch::new("ownership-probe");
    let Some(probe) = compile(&built, source, &[&BARE, flags].concat()) else { return };
    let said = [How::Native, How::Remainroot].map(|how| {
        let place = workplace(base);
        let (home, run) =
            (Scratch::new("ownership-home"), Run::new(how, [&*probe, place.path().to_str().unwrap()]));
        let run = run.option(&format!("--store={store}")).variable("HOME", home.path());
        run.output().success()
    });
    let [native, ours] = &said;
    assert!(native.lines().count() > 3000, "the probe ended early: {native}");
    let (mut heading, mut differences) = ("", Vec::new());
    for (native, ours) in native.lines().zip(ours.lines()) {
        if !native.starts_with(' ') {
            heading = native;
        }
        if native != ours {
            differences.push(format!("{heading}\n  root:{native}\n  ours:{ours}"));
        }
    }
    assert!(differences.is_empty(), "{} lines differ\n{}", differences.len(), differences.join("\n"));
    assert_eq!(native.lines().count(), ours.lines().count());
}

#[test]
fn every_file_call_of_a_64_bit_program_gives_what_root_gets() {
    compare(&[], &std::env::temp_dir());
}

#[test]
fn every_file_call_of_a_program_that_answers_itself_gives_what_root_gets() {
    for store in ["memory", "auto"] {
        compare_by("ownership/files.c", SITES, &std::env::temp_dir(), store);
    }
}

#[test]
fn every_file_call_of_a_32_bit_program_gives_what_root_gets() {
    compare(&["-m32"], &std::env::temp_dir());
}

#[test]
fn every_call_about_extended_attributes_gives_what_root_gets() {
    // Nobody tells of a write, which takes the capabilities that the kernel itself keeps.
    let kept = if common::has_privilege() { "-DKEPT_BY_THE_KERNEL" } else { "-DREMEMBERED" };
    for flags in [&[][..], SITES, INT80, &["-m32"]] {
        let flags = &[flags, &[kept]].concat();
        compare_by("ownership/xattrs.c", flags, &std::env::temp_dir(), "memory");
    }
    let sites = &[SITES, &[kept]].concat();
    compare_by("ownership/xattrs.c", sites, &std::env::temp_dir(), "auto");
}

#[test]
fn a_filesystem_in_memory_makes_no_difference() {
    let memory = Path::new("/dev/shm");
    if !memory.exists() {
        common::skip(common::Lack::Kernel, "there is no /dev/shm");
        return;
    }
    compare(&[], memory);
    compare(&["-m32"], memory); // its inode numbers are small enough for the oldest stat
}

/// Random sequences of calls under changing credentials: [`SEQUENCES`] of them, or as many as
/// `REMAINROOT_SEQUENCES` says, from `REMAINROOT_SEED` on.
fn compare_at_random(flags: &[&str]) {
    if !common::needs_root() {
        return;
    }
    let built = Scratch::new("ownership-random");
    let Some(probe) = compile(&built, "ownership/random.c", &[&BARE, flags].concat()) else { return };
    let number = |name| std::env::var(name).ok().and_then(|value| value.parse::<u32>().ok());
    let first = number("REMAINROOT_SEED").unwrap_or(1);
    for seed in first..first + number("REMAINROOT_SEQUENCES").unwrap_or(SEQUENCES) {
        let [native, ours] = [How::Native, How::Remainroot].map(|how| {
            let place = Scratch::new("ownership-random");
            let words = [&probe, place.path().to_str().unwrap(), &seed.to_string(), "300"];
            Run::new(how, words).output().success()
        });
        let agreed = native.lines().zip(ours.lines()).take_while(|(native, ours)| native == ours).count();
        let rest =
            |said: &str| said.lines().skip(agreed.saturating_sub(20)).take(24).collect::<Vec<_>>().join("\n");
        assert!(native == ours, "seed {seed}\nroot:\n{}\nours:\n{}", rest(&native), rest(&ours));
    }
}

/// Sequences of a normal run, 300 calls each.
const SEQUENCES: u32 = 15;

#[test]
fn random_file_calls_of_a_64_bit_program_give_what_root_gets() {
    compare_at_random(&[]);
}

#[test]
fn random_file_calls_of_a_program_that_answers_itself_give_what_root_gets() {
    compare_at_random(SITES);
}

#[test]
fn random_32_bit_calls_of_a_64_bit_program_give_what_root_gets() {
    compare_at_random(INT80);
}

#[test]
fn random_file_calls_of_a_32_bit_program_give_what_root_gets() {
    compare_at_random(&["-m32"]);
}

/// Runs a script as real root and under remainroot, each in a directory of its own.
fn same(script: &str) {
    if !common::needs_root() {
        return;
    }
    let [native, ours] = [How::Native, How::Remainroot].map(|how| {
        let place = Scratch::new("ownership");
        let script = format!("umask 022; chmod 755 .; mkdir w; cd w; {script}");
        Run::shell(how, &script).directory(place.path()).output()
    });
    assert_eq!(native, ours, "{script}");
    assert!(native.status.success() && !native.stdout.is_empty(), "{native:?}");
}

#[test]
fn an_archive_keeps_its_owners() {
    same(
        "mkdir -p d/e; echo x > d/f; chown 7:8 d/f; chown -h 9 d; chgrp 50 d/e; chmod 2755 d/e; \
         ln -s f d/l; chown -h 3:4 d/l; mknod d/null c 1 3; mkfifo d/p; chown 1:2 d/p; chmod 4711 d/f; \
         tar cf t.tar d; mkdir u; tar xpf t.tar -C u; find d u -printf '%p %y %m %U:%G %l\\n' | sort; \
         ls -ln --time-style=+ u/d; cp -a d c; find c -printf '%p %y %m %U:%G %l\\n' | sort",
    );
}

#[test]
fn a_process_that_was_there_before_the_first_fact_sees_it() {
    same(
        "touch f; mkfifo go gone; \
         (read line < go; stat -c '%u:%g' f; test -O f || echo another; echo done > gone) & \
         chown 7:8 f; echo go > go; read line < gone; wait; stat -c '%u:%g' f",
    );
}

#[test]
fn a_dropped_process_owns_what_it_makes_and_nothing_else() {
    same(
        "chmod 777 .; touch roots; \
         setpriv --reuid 1000 --regid 1001 --clear-groups sh -c '\
           touch f; mkdir d; ln -s f l; mkfifo p; stat -c \"%n %U %G %a\" f d l p; \
           chmod 600 f && echo mine; chmod 600 roots || echo not mine; chown 0 f || echo cannot; \
           chgrp 1001 f && echo group; chgrp 5 f || echo no group' 2>/dev/null; \
         stat -c '%n %u:%g %a' f d l p roots",
    );
}

#[test]
fn install_and_useful_tools_agree() {
    same(
        "install -d -o 33 -g 33 -m 2770 www; install -o 1 -g 2 -m 4755 /bin/true www/true; \
         touch www/index; mkdir www/sub; ls -lnR --time-style=+ www | grep -v ^total | sed 's/ [0-9]* *true/ true/'; \
         find . -user 33 -o -group 2 | sort; find . -perm -4000; \
         chown --from=1:2 5:6 www/true; stat -c '%u:%g %a' www/true; \
         chown -R 12 www; chmod -R u=rwX,go= www; find www -printf '%p %m %U:%G\\n' | sort",
    );
}

#[test]
fn package_tools_agree() {
    if !common::has(&["useradd", "dpkg-deb", "dpkg", "perl"]) {
        return;
    }
    same(
        "mkdir -p r/etc r/home skel/d; echo x > skel/d/f; touch r/etc/passwd r/etc/group r/etc/shadow r/etc/gshadow; \
         useradd --prefix $PWD/r -m -k $PWD/skel -d /home/bob -u 1500 -U bob; \
         find r -printf '%p %y %m %U:%G\\n' | sort; \
         mkdir -p p/DEBIAN p/var/lib/x p/usr/bin; \
         printf 'Package: x\\nVersion: 1\\nArchitecture: all\\nMaintainer: a <a@b>\\nDescription: x\\n' > p/DEBIAN/control; \
         echo > p/usr/bin/t; chown 7:8 p/usr/bin/t; chmod 6755 p/usr/bin/t; chown -R 33:50 p/var/lib/x; \
         chmod 2775 p/var/lib/x; dpkg-deb -b p x.deb >/dev/null; dpkg-deb -c x.deb | awk '{print $1, $2, $6}'; \
         mkdir -p root/var/lib/dpkg/updates root/var/lib/dpkg/info; \
         touch root/var/lib/dpkg/status root/var/lib/dpkg/available; \
         dpkg --root=$PWD/root --log=$PWD/log --force-all -i x.deb >/dev/null; \
         find root/usr root/var/lib/x -printf '%p %y %m %U:%G\\n' | sort; \
         perl -e 'mkdir \"d\"; chown 3, 4, \"d\"; print join(\" \", (stat \"d\")[2, 4, 5]), \"\\n\"; $> = 3; \
           print chmod(0700, \"d\"), chown(5, 5, \"d\"), -o \"d\", \"\\n\"'",
    );
}

#[test]
fn a_terminal_does_not_inherit_the_owner_of_an_earlier_one() {
    if !common::has(&["python3"]) {
        return;
    }
    same(
        "python3 -c '
import os, pty, time
for user in 1000, 1001, 1002:
    master, slave = pty.openpty()
    show = lambda: print(*os.fstat(slave)[4:6], oct(os.stat(os.ttyname(slave)).st_mode))
    show()
    os.fchown(slave, user, -1)
    os.chown(os.ttyname(slave), -1, 5)
    os.fchmod(slave, 0o620)
    show()
    os.write(slave, b\"x\")
    os.read(master, 1)
    show()
    time.sleep(0.05)
    os.close(master)
    os.close(slave)'",
    );
}

#[test]
fn facts_follow_their_inodes_through_renames_and_links() {
    same(
        "touch a; chown 7 a; ln a b; mv a c; mkdir d; mv c d/; stat -c '%n %u %h' b d/c; \
         rm b d/c; touch a; stat -c '%n %u' a; \
         for i in 1 2 3 4 5 6 7 8; do touch x; chown $i x; rm x; sleep 0.01; touch x; stat -c %u x; rm x; done",
    );
}

#[test]
fn a_file_without_a_name_leaves_its_owner_to_nobody() {
    if !common::has(&["python3"]) {
        return;
    }
    same(
        "chmod 777 .; python3 -c '
import os
wrong = 0
for number in range(200):
    if os.fork() == 0:
        os.setresuid(50, 50, 50)
        made = os.open(\".\", os.O_TMPFILE | os.O_RDWR, 0o600)
        for step in range(number % 3):
            os.write(made, b\"text\")
            os.fstat(made)
        os._exit(0)
    os.wait()
    os.mkdir(str(number))
    wrong += os.stat(str(number)).st_uid
print(wrong)'",
    );
}

#[test]
fn a_device_opens_as_a_placeholder_and_shows_as_a_device() {
    same(
        "mknod -m 640 b b 259 70000; mknod c c 5 1; mknod p p; stat -c '%n %F %a %t:%T %s' b c p; \
         chgrp 6 b; ls -ln --time-style=+ b c; test -b b && test -c c && ! test -f b && echo devices; \
         mknod b b 1 1 || echo exists",
    );
}

#[test]
fn a_storm_of_processes_never_sees_a_wrong_owner() {
    let built = Scratch::new("ownership-storm");
    let Some(probe) = compile(&built, "ownership/storm.c", &BARE) else { return };
    let place = Scratch::new("ownership-storm");
    let words = [&probe, place.path().to_str().unwrap(), "12", "60"];
    let said = Run::new(How::Remainroot, words).seconds(60).output().success();
    assert_eq!(said, "over\n");
}

#[test]
fn a_program_in_a_sandbox_of_its_own_is_not_killed_by_what_we_would_look_up() {
    let built = Scratch::new("ownership-sandbox");
    let Some(probe) = compile(&built, "ownership/sandbox.c", &BARE) else { return };
    let place = Scratch::new("ownership-sandbox");
    let run = |script: &str, store: &str| {
        let run = Run::shell(How::Remainroot, script).option(store).variable("HOME", place.path());
        run.directory(place.path()).output().success()
    };
    let said = run(&format!("touch f; chown 7:8 f; {probe} f"), "--store=memory");
    let done = " = 0\n";
    let expected = [
        ["no_new_privs", done],
        ["seccomp", done],
        ["stat", done],
        ["7:8", "\n"],
        ["chown to root", done],
        ["chown", done],
        ["chmod", done],
        ["open", " = ok\n"],
        ["mkdir", done],
        ["mknod", done],
        ["stat of a child", done],
    ];
    assert_eq!(said, expected.concat().concat());
    run("rm -r f new directory device; touch f; chown 7:8 f", "--store=auto");
    assert_eq!(
        run(&format!("{probe} f"), "--store=auto"),
        expected.concat().concat(),
        "given away in an earlier run"
    );
}

#[test]
fn where_the_kernel_knows_the_ids_it_gives_files_away_itself() {
    if !common::needs_root() {
        return;
    }
    let place = Scratch::new("ownership");
    let remainroot = common::remainroot().to_str().unwrap();
    let script = "touch f; chown 7:8 f; chmod 4755 f; chown 9 f; stat -c '%u:%g %a' f";
    let run = Run::new(How::Native, [remainroot, "--allow-real-root", "--store=memory", "sh", "-c", script]);
    assert_eq!(run.directory(place.path()).output().success(), "9:8 755\n");
    let real = fs::metadata(place.file("f")).unwrap();
    assert_eq!((real.uid(), real.gid(), real.mode()), (9, 8, 0o100_755));
}

#[test]
fn a_file_of_a_lower_layer_keeps_its_owner_when_it_is_copied_up() {
    if !common::needs_privilege("mount(2)") {
        return;
    }
    same(
        "mkdir l u x m; echo a > l/a; echo b > l/b; mkdir l/d; chmod 4755 l/b; \
         unshare -m sh -c 'mount -t overlay -o lowerdir=l,upperdir=u,workdir=x,userxattr none m && \
           cd m && stat -c \"%n %u:%g %a\" a b d && chown 7:8 a && chown 9 b && chgrp 50 d && chmod 2775 d && \
           stat -c \"%n %u:%g %a\" a b d && chown 10 a && chmod 640 a && echo more >> b && touch d/f && \
           mv a e && stat -c \"%n %u:%g %a\" b d d/f e'",
    );
}

/// How many stops and notifications a script costs that looks at some hundred files.
fn stops(before: &str) -> u64 {
    let (place, root) = (Scratch::new("ownership"), Scratch::new("ownership-root"));
    let summary = place.file("summary");
    let many = "for i in 1 2 3 4 5 6 7 8; do mkdir d$i; touch d$i/1 d$i/2 d$i/3 d$i/4; done; \
                for i in 1 2 3 4 5 6 7 8; do find . -size -9 >/dev/null; done";
    let run = Run::shell(How::Remainroot, &format!("{before}; {many}")).directory(place.path());
    let run = run.own_root(root.path()).option("--store=auto");
    run.option(&format!("--summary={summary}")).output().success();
    let summary = fs::read_to_string(&summary).unwrap();
    let count = |name| {
        let line = summary.lines().find_map(|line| line.strip_suffix(name)).expect("the summary counts them");
        line.trim().parse::<u64>().expect("a number")
    };
    count(" seccomp stops") + count(" notifications") - common::by_chance(&summary)
}

#[test]
fn while_the_kernel_is_right_no_file_call_stops() {
    if !common::needs_privilege("the kernel is right from the start") {
        return;
    }
    // No inode can bear a link's owner: once there is one, programs do not answer themselves.
    let (right, wrong) =
        (stops("ln -s . f; chown -h 0:0 f; chmod 700 f"), stops("ln -s . f; chown -h 1:0 f; chmod 700 f"));
    // Two changes, and the times that touch sets on 32 files.
    assert!(right < 40, "{right} stops without a fact");
    assert!(wrong > right + 200, "{wrong} stops with one: so the other figure means something");
}

#[test]
fn filesystems_are_mounted_with_owners_that_the_namespace_lacks() {
    if !common::needs_root() || !common::needs_privilege("mount(2)") {
        return;
    }
    let script = "mkdir t p; mount -t tmpfs -o uid=5,gid=6,mode=2750 none t; stat -c '%u:%g %a' t; touch t/f; mkdir t/d; \
         stat -c '%n %u:%g %a' t/f t/d; mount -t tmpfs -o gid=70 none p; stat -c %u:%g p t; umount p; stat -c %u:%g p; \
         mount -t devpts -o uid=5,gid=5,mode=620,ptmxmode=666 none p; stat -c '%u:%g %a' p p/ptmx; \
         mount -t tmpfs -o uid=1x none p 2>/dev/null; echo $?; mount -o remount,size=1m,uid=9 t; stat -c %u t";
    let [native, ours] = [(How::Native, "-m"), (How::Remainroot, "-Urm")].map(|(how, namespaces)| {
        let place = Scratch::new("mounts");
        let run = Run::shell(how, script).directory(place.path()).namespaces(namespaces);
        let run = if how == How::Native { run.before(["unshare", "-m", "--"]) } else { run };
        run.output().success()
    });
    assert_eq!(ours, native);
    assert!(ours.starts_with("5:6 2750\nt/f 0:6 644\n"), "{ours}");
}
