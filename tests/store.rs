//! Facts that outlast the run: on the inodes themselves, and in a file beside them. `REMAINROOT_SEQUENCES=1000` makes
//! what is random that long.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr)] // a helper of a test is a test

mod common;

use std::fs;
use std::process::Command;

use common::{How, Output, Run, Scratch, compile};

/// A directory with a home in which `--store=auto` finds its file.
struct Place(Scratch);

impl Place {
    fn new() -> Place {
        Place(Scratch::new("store"))
    }

    fn run(&self, store: &str, script: &str) -> Run {
        let script = format!("umask 022; mkdir -p w; cd w; {script}");
        let run = Run::shell(How::Remainroot, &script).directory(self.0.path());
        run.variable("HOME", self.0.path()).option(&format!("--store={store}"))
    }

    /// What a script says; every call is another run.
    fn says(&self, store: &str, script: &str) -> String {
        self.run(store, script).output().success()
    }

    /// The attributes of the files in it, as the host sees them.
    fn attributes(&self, names: &[&str]) -> Option<String> {
        let mut getfattr = Command::new("getfattr");
        getfattr.args(["-d", "-m-", "-e", "hex"]).args(names).current_dir(self.0.path().join("w"));
        let Ok(output) = getfattr.output() else {
            common::skip(common::Lack::Program, "in part: needs getfattr (attr)");
            return None;
        };
        Some(String::from_utf8(output.stdout).unwrap())
    }
}

/// Makes one of every kind, each with another owner.
const MAKE: &str = "touch f; chown 7:8 f; chmod 4755 f; mkdir d; chown 9:0 d; ln -s f l; chown -h 3:4 l; \
     mkfifo p; chown 0:5 p; mknod -m 640 b b 8 1; chgrp 6 b; mknod c c 1 3; touch roots; chown 1 roots; chown 0 roots; \
     ln f hard";
/// Names every property of them.
const SHOW: &str = "stat -c '%n %F %a %u:%g %t:%T' -- *";

#[test]
fn what_one_run_gave_away_is_still_given_away_in_the_next() {
    for store in ["auto", "./facts"] {
        let place = Place::new();
        let store = if store == "auto" { store.to_owned() } else { place.0.file("facts") };
        let made = place.says(&store, &format!("{MAKE}; {SHOW}"));
        assert!(made.contains("f regular empty file 4755 7:8 0:0\n"), "{made}");
        assert!(made.contains("b block special file 640 0:6 8:1\n"), "{made}");
        assert!(
            made.contains("l symbolic link 777 3:4 0:0\n") && made.contains("p fifo 644 0:5 0:0\n"),
            "{made}"
        );
        assert_eq!(place.says(&store, SHOW), made, "{store}");
        let changed = place.says(&store, &format!("chown 20 f l p; chown -h 21 l; chmod 600 b c; {SHOW}"));
        assert!(changed != made);
        assert_eq!(place.says(&store, SHOW), changed, "{store}");
        let none = place.says(&store, &format!("chown -h 0:0 f d l p b; chmod 755 f; {SHOW}"));
        assert!(none.contains("f regular empty file 755 0:0 0:0\n"), "{none}");
        assert_eq!(place.says(&store, SHOW), none, "{store}");
    }
}

#[test]
fn facts_follow_renames_hard_links_copies_and_archives_into_the_next_run() {
    let place = Place::new();
    place.says("auto", MAKE);
    place.says("auto", "mkdir t; mv f d l p b c hard t/; mv t/f t/g; mv t u");
    let listing = "find u v/u c -printf '%p %y %m %U:%G %l\\n' | sort";
    place.says("auto", "cp -a u c; tar cf t.tar u; mkdir v; tar xpf t.tar -C v");
    let said = place.says("auto", listing);
    for copy in ["u", "v/u", "c"] {
        for line in [
            "g f 4755 7:8 ",
            "hard f 4755 7:8 ",
            "d d 755 9:0 ",
            "l l 777 3:4 f",
            "p p 644 0:5 ",
            "b b 640 0:6 ",
        ] {
            assert!(said.contains(&format!("{copy}/{line}\n")), "{copy}/{line} in\n{said}");
        }
    }
}

#[test]
fn owners_stand_on_files_as_image_tools_write_them_and_the_guest_sees_no_such_attribute() {
    if !common::has(&["getfattr", "setfattr"]) {
        return;
    }
    let place = Place::new();
    place.says("xattr", MAKE);
    let Some(seen) = place.attributes(&["f", "d", "b", "roots"]) else { return };
    assert!(seen.contains("# file: f\nuser.rootlesscontainers=0x08071008\n"), "{seen}");
    assert!(seen.contains("# file: d\nuser.rootlesscontainers=0x080910ffffffff0f\n"), "{seen}");
    let line: String = b"0:6:0640:block-8-1".iter().map(|byte| format!("{byte:02x}")).collect();
    assert!(seen.contains(&format!("user.containers.override_stat=0x{line}\n")), "{seen}");
    assert!(!seen.contains("roots"), "{seen}");
    let script = "setfattr -n user.mine -v x f; getfattr -d -m- f d b; for n in rootlesscontainers containers.override_stat; do \
         getfattr -n user.$n b; setfattr -n user.$n -v x b; setfattr -x user.$n b; setfattr -x user.$n none; done; \
         cp -a f copy; chown 0:0 copy; stat -c %u:%g f copy";
    let Output { stdout, stderr, .. } = place.run("xattr", script).output();
    assert_eq!(stdout, "# file: f\nuser.mine=\"x\"\n\n7:8\n0:0\n");
    assert_eq!(stderr.matches("No such attribute").count(), 2, "{stderr}");
    assert_eq!(stderr.matches("Operation not permitted").count(), 4, "{stderr}");
    assert_eq!(stderr.matches("No such file").count(), 2, "{stderr}");
    assert_eq!(place.attributes(&["copy"]).unwrap(), "# file: copy\nuser.mine=0x78\n\n");
}

#[test]
fn every_way_to_name_a_file_reaches_its_attributes() {
    let place = Place::new();
    let script = "
import os
open('f', 'w').close(); os.mkdir('d'); open('d/g', 'w').close(); os.mkdir('d/e')
os.chown('f', 1, 2)
fd = os.open('d', os.O_RDONLY); os.chown('g', 3, 4, dir_fd=fd); os.chown('e', 5, 6, dir_fd=fd, follow_symlinks=False)
os.fchown(fd, 7, 8)
h = os.open('h', os.O_CREAT | os.O_RDWR); os.fchown(h, 9, 10)
os.chown(os.path.abspath('i') if not open('i', 'w').close() else '', 11, 12)
p = os.open('j', os.O_CREAT | os.O_PATH) if not open('j', 'w').close() else 0
import ctypes
libc = ctypes.CDLL(None, use_errno=True); assert libc.fchownat(p, b'', 13, 14, 0x1000) == 0
";
    let show = "
import os
print([(os.stat(n).st_uid, os.stat(n).st_gid) for n in ('f', 'd/g', 'd/e', 'd', 'h', 'i', 'j')])
fd = os.open('d', os.O_RDONLY); p = os.open('j', os.O_PATH)
print([os.fstat(fd).st_uid, os.stat('g', dir_fd=fd).st_gid, os.fstat(p).st_uid])
";
    let python = |script: &str| format!("PATH=/usr/bin python3 -c \"{script}\"");
    if !common::has(&["python3"]) {
        return;
    }
    place.says("xattr", &python(script));
    let said = place.says("xattr", &python(show));
    assert_eq!(
        said,
        "[(1, 2), (3, 4), (5, 6), (7, 8), (9, 10), (11, 12), (13, 14)]\n[7, 4, 13]\n",
        "{:?}",
        place.attributes(&["f", "d/g", "d/e", "d", "h", "i", "j"])
    );
}

#[test]
fn a_dropped_process_owns_in_the_next_run_what_it_made() {
    let place = Place::new();
    let script = "chmod 777 .; setpriv --reuid 1000 --regid 1001 --clear-groups \
                  sh -c 'echo x > f; mkdir d; ln -s f l; mkfifo p; chmod 600 f'";
    place.says("auto", script);
    let said = place.says("auto", "stat -c '%n %u:%g %a' f d l p");
    assert_eq!(said, "f 1000:1001 600\nd 1000:1001 755\nl 1000:1001 777\np 1000:1001 644\n");
}

#[test]
fn two_runs_at_once_see_each_others_owners_and_lose_none() {
    let place = Place::new();
    place.says("auto", "mkdir one other");
    let storm = |name: &str, uid: u32| {
        let script = format!(
            "for i in $(seq 40); do touch {name}/$i; ln -s x {name}/l$i; chown -h {uid} {name}/$i {name}/l$i; done"
        );
        place.run("auto", &script).start()
    };
    let runs = [storm("one", 11), storm("other", 12)];
    for run in runs {
        run.finish().success();
    }
    let said = place.says("auto", "stat -c %u one/* | sort | uniq -c; stat -c %u other/* | sort | uniq -c");
    assert_eq!(said.split_whitespace().collect::<Vec<_>>(), ["80", "11", "80", "12"]);
    let watcher =
        place.run("auto", "stat -c %u one/1; read line; stat -c %u one/1; read line; stat -c %u one/l1");
    let script = "mkfifo go; exec 9<>go; (for i in 1 2; do while [ ! -e step$i ]; do sleep 0.02; done; echo >&9; done) & exec 0<&9";
    let watcher = watcher.before(["sh", "-c", &format!("{script}; exec \"$@\"",), "sh"]).start();
    watcher.until("11\n");
    place.says("auto", "chown -h 30 one/1 one/l1");
    for step in ["step1", "step2"] {
        fs::write(place.0.file(step), "").unwrap();
    }
    assert_eq!(watcher.finish().success(), "11\n30\n30\n");
}

/// How often something random is done: as the environment says, or `usually`.
fn times(variable: &str, usually: u64) -> u64 {
    std::env::var(variable).ok().and_then(|value| value.parse().ok()).unwrap_or(usually)
}

#[test]
fn a_full_filesystem_is_the_guests_error_and_loses_nothing() {
    if !common::needs_privilege("mount(2)") {
        return;
    }
    let place = Place::new();
    let remainroot = common::remainroot().to_str().unwrap();
    let script = format!(
        "mkdir t; mount -t tmpfs -o size=512k none t || {{ echo cannot; exit; }}; mkdir w; cd w; \
         touch f g h; ln -s f l; {remainroot} --store=../t/facts -- sh -c 'chown 5 f g; chown -h 6 l; \
           cat /dev/zero > ../t/fill 2>&-; i=0; while [ $i -lt 3000 ] && chown 7 h; do i=$((i+1)); touch x$i; \
           chown 9 x$i || break; done 2>err; cat err; stat -c \"%n %u\" f g l; rm ../t/fill; chown 8 g && stat -c \"%n %u\" g'; \
         {remainroot} --store=../t/facts -- stat -c '%n %u' f g l"
    );
    let run = Run::shell(How::Namespace, &script).namespaces("-Urm").directory(place.0.path()).seconds(120);
    let said = run.output().success();
    if said == "cannot\n" {
        common::skip(common::Lack::Kernel, "no tmpfs can be mounted");
        return;
    }
    assert!(said.contains("No space left on device\n"), "{said}");
    assert!(said.ends_with("f 5\ng 5\nl 6\ng 8\nf 5\ng 8\nl 6\n"), "{said}");
}

/// Runs a script in a container whose root directory is ours and stays in `place`; `$R` is remainroot.
fn container(place: &Place, script: &str) -> String {
    let root = place.0.path().join("root");
    let _ = fs::create_dir(&root);
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&root, Some(common::NOBODY), Some(common::NOBODY)).unwrap();
    }
    let remainroot = common::remainroot().to_str().unwrap();
    let run = Run::shell(How::Namespace, script).own_root(&root).directory(place.0.path());
    let run = run.variable("R", format!("{remainroot} --summary=summary"));
    run.variable("HOME", place.0.path()).output().success()
}

#[test]
fn in_a_container_of_ours_stats_are_native_until_a_fact_leaves_its_mark() {
    if !common::needs_privilege("the kernel is right from the start") {
        return;
    }
    let place = Place::new();
    let count = "grep seccomp summary | tr -s \" \" | cut -d\" \" -f2";
    let script = format!(
        "mkdir many; for i in 1 2 3 4 5 6 7 8 9; do touch many/$i; done; \
         $R find many -size -9 >/dev/null; {count}; $R chown 7:8 many/1; $R find many -size -9 -user 7; {count}"
    );
    let said = container(&place, &script);
    let [before, found, after] = said.lines().collect::<Vec<_>>()[..] else { panic!("{said}") };
    assert_eq!(found, "many/1");
    let (before, after): (u64, u64) = (before.parse().unwrap(), after.parse().unwrap());
    assert!(before < 8 && after > before + 9, "{said}");
    let bare = Place::new();
    let script = "touch f; setfattr -n user.rootlesscontainers -v 0x0807 f";
    let looks = "$R stat -c %u f; $R --adopt stat -c %u:%g f; $R stat -c %u:%g f";
    let adopted = container(&bare, &format!("{script}; {looks}"));
    assert_eq!(adopted, "0\n7:0\n7:0\n", "seen when told, and from then on");
    // Another container with this root: the mark and the owner are still there.
    let again = container(&place, "$R stat -c %u:%g many/1");
    assert_eq!(again, "7:8\n");
}

#[test]
fn what_another_run_gives_away_first_is_seen_by_what_is_started_from_then_on() {
    let script = "mkfifo go told; touch f; \
         $R sh -c 'stat -c %u f; echo >told; read line <go; stat -c %u f; sh -c \"stat -c %u f\"' & \
         read line <told; $R chown 7 f; echo >go; wait";
    assert_eq!(container(&Place::new(), script), "0\n7\n7\n");
}

#[test]
fn what_umoci_unpacked_has_its_owners_from_the_first_stat() {
    if !common::needs_root() {
        return;
    }
    if !common::has(&["umoci"]) {
        return;
    }
    let place = Place::new();
    let make = "umoci init --layout img && umoci new --image img:a && mkdir -p tree/etc tree/home/u && \
        echo x > tree/etc/f && chown 7:8 tree/etc/f && chown 1000:1001 tree/home/u && chmod 700 tree/home/u && \
        umoci insert --image img:a tree / && chown -R 65534:65534 img && rm -r tree";
    Run::shell(How::Native, make).directory(place.0.path()).output().success();
    let unpack = Run::shell(
        How::Native,
        "setpriv --reuid 65534 --regid 65534 --clear-groups umoci unpack --rootless --image img:a w",
    );
    unpack.directory(place.0.path()).variable("HOME", place.0.path()).output().success();
    let run = place.run("auto", "cd rootfs; stat -c '%n %u:%g %a' etc/f home/u home").option("--adopt");
    let said = run.output().success();
    assert_eq!(said, "etc/f 7:8 644\nhome/u 1000:1001 700\nhome 0:0 755\n");
    let change = "cd rootfs; touch etc/new; chown 5:6 etc/new; chown 70 etc/f; chown 20:30 home; chmod 2775 home; \
                  rm -r home/u; mkdir -p var/lib; chown 4000000000:9 var/lib; chmod 4711 etc/f; mknod etc/null c 1 3";
    place.says("auto", change);
    let pack = "setpriv --reuid 65534 --regid 65534 --clear-groups umoci repack --image img:b w >&2; \
                for b in img/blobs/sha256/*; do tar tvzf $b --numeric-owner 2>/dev/null; done | tr -s ' ' | cut -d' ' -f1,2,6 | sort -u";
    let run = Run::shell(How::Native, pack).directory(place.0.path()).variable("HOME", place.0.path());
    let said = run.output().success();
    for line in [
        "-rw-r--r-- 5/6 etc/new",
        "-rws--x--x 70/8 etc/f",
        "drwxrwsr-x 20/30 home/",
        "drwxr-xr-x 4000000000/9 var/lib/",
        "---------- 0/0 home/.wh.u",
    ] {
        assert!(said.lines().any(|said| said == line), "{line} in\n{said}");
    }
}

/// Runs a probe of tests/ownership as real root and with a store, each in a directory of its own, and compares
/// line by line.
fn agrees(source: &str, flags: &[&str], words: &[&str], store: &str) {
    const BARE: [&str; 5] =
        ["-static", "-nostdlib", "-ffreestanding", "-fno-stack-protector", "-I/usr/include/x86_64-linux-gnu"];
    if !common::needs_root() {
        return;
    }
    let built = Scratch::new("store-probe");
    let Some(probe) = compile(&built, source, &[&BARE, flags].concat()) else { return };
    let state = Scratch::new("store-state");
    let [native, ours] = [How::Native, How::Remainroot].map(|how| {
        let place = Scratch::new("store");
        if words.is_empty() {
            let hosts = place.file("hosts");
            fs::write(&hosts, "").unwrap();
            fs::set_permissions(&hosts, std::os::unix::fs::PermissionsExt::from_mode(0o6755)).unwrap();
        }
        let command: Vec<&str> =
            [probe.as_str(), place.path().to_str().unwrap()].iter().chain(words).copied().collect();
        let run = Run::new(how, command).option(&format!("--store={store}")).seconds(60);
        run.variable("XDG_STATE_HOME", state.path()).output().success()
    });
    let agreed = native.lines().zip(ours.lines()).take_while(|(native, ours)| native == ours).count();
    let rest =
        |said: &str| said.lines().skip(agreed.saturating_sub(20)).take(24).collect::<Vec<_>>().join("\n");
    assert!(native == ours, "{words:?}\nroot:\n{}\nours:\n{}", rest(&native), rest(&ours));
    assert!(native.lines().count() > 200, "the probe ended early: {native}");
    // Not every random sequence makes what can bear no attribute.
    assert!(!words.is_empty() || state.path().join("remainroot/facts").exists() == (store == "auto"));
}

#[test]
fn every_file_call_gives_what_root_gets_where_facts_live_on_files() {
    for store in ["auto", "xattr"] {
        agrees("ownership/files.c", &[], &[], store);
    }
    agrees("ownership/files.c", &["-m32"], &[], "auto");
}

#[test]
fn random_file_calls_give_what_root_gets_where_facts_live_on_files() {
    for seed in 1..=times("REMAINROOT_SEQUENCES", 6) {
        agrees("ownership/random.c", &[], &[&seed.to_string(), "300"], "auto");
    }
}
