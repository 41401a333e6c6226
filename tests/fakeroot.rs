//! Under fakeroot's name, and with fakeroot's file: the real one is the peer.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::indexing_slicing, clippy::print_stderr)] // a helper of a test is a test

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;

use common::{How, NOBODY, Output, Run, Scratch};

/// The peer.
const REAL: &str = "/usr/bin/fakeroot";

/// A directory in which remainroot is called `fakeroot`.
struct Place(Scratch);

impl Place {
    fn new() -> Place {
        let scratch = Scratch::new("fakeroot");
        symlink(common::remainroot(), scratch.path().join("fakeroot")).unwrap();
        fs::create_dir(scratch.path().join("w")).unwrap();
        if nix::unistd::geteuid().is_root() {
            std::os::unix::fs::chown(scratch.path().join("w"), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Place(scratch)
    }

    /// A line for an unprivileged user's shell outside, in which `$F` is ours and `$R` the real one.
    fn shell(&self, line: &str) -> Run {
        if matches!(common::place(), common::Place::NoCapabilities { .. }) {
            let run = Run::shell(How::Namespace, line).directory(&self.0.path().join("w"));
            return run.variable("F", self.0.file("fakeroot")).variable("R", REAL).seconds(60);
        }
        // Never as real root: before anything else the shell becomes an unprivileged user's.
        let run = Run::new(How::Native, ["sh", "-c", line]).directory(&self.0.path().join("w"));
        let run = if nix::unistd::geteuid().is_root() {
            let id = NOBODY.to_string();
            run.before(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"])
        } else {
            run
        };
        run.variable("F", self.0.file("fakeroot")).variable("R", REAL).seconds(60)
    }

    fn says(&self, line: &str) -> String {
        self.shell(line).output().success()
    }

    /// Whether the peer is there; says that a test is skipped when not.
    fn has_peer() -> bool {
        let there = Path::new(REAL).exists();
        // In a namespace that maps one id the kernel refuses what it does not take for an answer (EINVAL).
        let works = !matches!(common::place(), common::Place::NoCapabilities { .. });
        if !there {
            common::skip(common::Lack::Program, "needs fakeroot");
        } else if !works {
            common::skip(common::Lack::Place, "fakeroot itself fails where root has no capability");
        }
        there && works
    }
}

/// One of every kind.
const MAKE: &str = "umask 022; touch a b; mkdir d; chown 5:6 a; chmod 4755 a; mknod n b 8 1; mknod c c 1 3; \
     chown 7:8 d; chmod 2750 d; ln -s a l; chown -h 9:9 l; ln b bb; chown 3:0 b";
const SHOW: &str = "stat -c '%n %f %u:%g %h %t:%T' a b bb c d l n";
const SHOWN: &str = "a 89ed 5:6 1 0:0\nb 81a4 3:0 2 0:0\nbb 81a4 3:0 2 0:0\nc 21a4 0:0 1 1:3\nd 45e8 7:8 2 0:0\n\
     l a1ff 9:9 1 0:0\nn 61a4 0:0 1 8:1\n";

/// The lines that fakeroot knows, without inode numbers, in the order of the rest.
fn lines(text: &str) -> Vec<String> {
    let known = text.lines().filter(|line| line.starts_with("dev="));
    let mut lines: Vec<String> = known.map(|line| line.split_once(",mode=").unwrap().1.to_owned()).collect();
    lines.sort();
    lines
}

#[test]
fn what_either_saved_the_other_loads() {
    if !Place::has_peer() {
        return;
    }
    let mut saved = vec![];
    for (first, second) in [("$F", "$R"), ("$R", "$F"), ("$F", "$F")] {
        let place = Place::new();
        let made = place.says(&format!("{first} -s ../db sh -c \"{MAKE}; {SHOW}\""));
        assert_eq!(made, SHOWN, "{first}");
        let db = fs::read_to_string(place.0.file("db")).expect("it was saved");
        assert_eq!(place.says(&format!("{second} -i ../db {SHOW}")), SHOWN, "{first} to {second}\n{db}");
        let through = place.says(&format!("{second} -i ../db -s ../db {SHOW}; {first} -i ../db {SHOW}"));
        assert_eq!(through, format!("{SHOWN}{SHOWN}"), "{first} to {second} and back");
        saved.push((lines(&db), lines(&fs::read_to_string(place.0.file("db")).unwrap())));
    }
    for (once, twice) in &saved {
        assert_eq!((once, twice), (&saved[0].0, &saved[0].0));
    }
}

/// The lines that fakeroot knows of what lies in `w`, by name; counts of links are as they were when it was
/// last looked at, and left out. Fails where the file tells of anything else.
fn told(place: &Place, db: &str) -> BTreeMap<String, String> {
    let text = fs::read_to_string(place.0.file(db)).unwrap();
    let known =
        text.lines().filter_map(|line| line.strip_prefix("dev=")?.split_once(",ino=")?.1.split_once(','));
    let mut lines: BTreeMap<&str, &str> = known.collect();
    let mut told = BTreeMap::new();
    let names = place.says("find . -printf '%i %p\n' | sort -k 2");
    for (ino, name) in names.lines().filter_map(|line| line.split_once(' ')) {
        if let Some(line) = lines.get(ino) {
            let fields: Vec<&str> = line.split(',').filter(|field| !field.starts_with("nlink=")).collect();
            told.insert(name.to_owned(), fields.join(","));
        }
    }
    let here: Vec<&str> = names.lines().filter_map(|line| line.split(' ').next()).collect();
    lines.retain(|ino, _| !here.contains(ino));
    assert!(lines.is_empty(), "of what is not there any more: {lines:?}");
    told
}

/// What every kind of change leaves behind, each on a file of its own.
const TOUCH: &str = "umask 022; touch plain chmodded none chowned roots gone over renamed hard looked; \
     mkdir d gonedir e; ln -s plain l; ln -s plain c; chown -h 3:3 c; mkfifo p; mknod n c 1 3; mknod gonenode b 8 1; \
     chmod 640 chmodded; chmod 0 none; chmod 700 e; chown 5:6 chowned; chown 0:0 roots; \
     chown 7 gone over renamed hard gonedir; ln hard again; rm gone again gonenode; rmdir gonedir; mv looked over; \
     mv renamed moved; mv -T d/../moved ./moved2; mkdir -m 2755 s; chgrp 50 s; stat l >/dev/null; \
     mkdir -m 0 locked; chmod 100 d/../e";
const EVERYTHING: &str = "find . -printf '%p %M %U:%G\n' | sort";

#[test]
fn what_was_touched_and_still_exists_is_saved_as_fakeroot_saves_it() {
    if !Place::has_peer() {
        return;
    }
    // A file that gets its name after its owner, and one that is looked at when it has none any more.
    let unnamed = "exec 8>late; chown 8 late; rm late; stat -L /proc/self/fd/8 >/dev/null; \
         perl -e 'sysopen(F, q(.), 020200000 | 2, 0644) or die; chown(4, 4, *F) or die; \
         syscall(265, -100, q(/proc/self/fd/).fileno(F), -100, my $name = q(temporary), 0x400) == 0 or die'";
    for option in ["", "-u"] {
        let outcome = ["$R", "$F"].map(|which| {
            let place = Place::new();
            fs::write(place.0.path().join("unnamed"), unnamed).unwrap();
            let said = place.says(&format!(
                "{which} {option} -s ../db sh -c \"{TOUCH}; . ../unnamed; {EVERYTHING}; stat -c %u:%g /etc/passwd\""
            ));
            let told = told(&place, "db");
            let loaded = format!("{which} {option} -i ../db -s ../db2 sh -c 'chown 30 hard; rm chowned'");
            place.says(&loaded);
            let twice = self::told(&place, "db2");
            (said, told, twice)
        });
        assert_eq!(outcome[1], outcome[0], "{option}");
        assert!(outcome[0].1.contains_key("./roots") && !outcome[0].1.contains_key("./plain"));
    }
}

#[test]
fn what_nobody_touched_is_the_users_own_where_the_unknown_is_real() {
    let place = Place::new();
    let owner = "stat -c '%n %u:%g' .";
    let real = place.says(owner);
    assert_eq!(place.says(&format!("$F {owner}")), ". 0:0\n");
    assert_eq!(place.says(&format!("$F -u {owner}")), real);
    let uid = real.trim().strip_prefix(". ").unwrap();
    let said = place
        .says("$F -u sh -c 'touch a b c; chown 5 a; chmod 600 b; mkdir d; id -u; stat -c %u:%g a b c d'");
    assert_eq!(said, format!("0\n5:0\n0:0\n{uid}\n0:0\n"));
}

/// A script of random changes to a few files, without what fakeroot answers as no kernel does: set-id bits of a
/// file given away, groups of set-gid directories, and nodes made where something is already.
fn random_script(seed: u64) -> String {
    let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    let mut below = |limit: u64| {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state % limit
    };
    let mut script = String::from("exec </dev/null 2>/dev/null; umask 022\n");
    for _ in 0..100 {
        let mut name = || format!("{}f{}", ["", "d0/", "d1/", "d2/"][below(4) as usize], below(6));
        let (one, two) = (name(), name());
        let mode = ["600", "644", "0", "711", "1777"][below(5) as usize];
        let (some, other) = (below(20), below(300));
        let line = match below(15) {
            0 => format!("touch {one}"),
            1 => format!("chown {some}:{other} {one}"),
            2 => format!("chown -h {some} {one}"),
            3 => format!("chmod {mode} {one}"),
            4 => format!("mkdir d{}", some % 3),
            5 => format!("mkdir {one}"),
            6 => format!("rmdir {one}"),
            7 => format!("rm -f {one}"),
            8 => format!("mv -T {one} {two}"),
            9 => format!("ln -T {one} {two}"),
            10 => format!("ln -sT {two} {one}"),
            11 => format!("test -e {one} || test -h {one} || mknod {one} c {some} {other}"),
            12 => format!("mkfifo {one}"),
            13 => format!("! test -f {one} || test -p {two} || test -c {two} || cp {one} {two}"),
            _ => format!("rm -rf d{}", some % 3),
        };
        script += &line;
        script.push('\n');
    }
    format!("{script}{EVERYTHING}; true")
}

#[test]
fn random_changes_are_saved_as_fakeroot_saves_them_and_loaded_by_the_other() {
    if !Place::has_peer() {
        return;
    }
    for seed in 1..=4 {
        let outcome = [("$R", "$F"), ("$F", "$R")].map(|(first, second)| {
            let place = Place::new();
            fs::write(place.0.path().join("script"), random_script(seed)).unwrap();
            let said = place.says(&format!("{first} -s ../db bash ../script"));
            assert_eq!(
                place.says(&format!("{second} -i ../db {EVERYTHING}")),
                said,
                "{first} to {second}, {seed}"
            );
            (said, told(&place, "db"))
        });
        assert_eq!(outcome[1], outcome[0], "{seed}");
    }
}

#[test]
fn saved_owners_come_back_by_option_and_a_number_taken_again_inherits_none() {
    let place = Place::new();
    let run = |options: &[&str], script: &str| {
        let run = Run::shell(How::Remainroot, script).directory(&place.0.path().join("w"));
        options.iter().fold(run, |run, option| run.option(option)).output().success()
    };
    let db = place.0.file("db");
    let (save, load) = (format!("--save={db}"), format!("--load={db}"));
    run(&[&save], &format!("{MAKE}; for i in 0 1 2 3 4 5 6 7 8 9; do touch x$i; chown 77 x$i; done; rm x*"));
    assert_eq!(run(&[&load], SHOW), SHOWN);
    assert_eq!(run(&[&load, &save], "true"), "", "nobody looks");
    assert_eq!(
        run(&[&load], &format!("chown 0:0 a; stat -c %u:%g a; chown 5:6 a; chmod 4755 a; {SHOW}")),
        format!("0:0\n{SHOWN}")
    );
    let again = "for i in 0 1 2 3 4 5 6 7 8 9; do touch y$i; done; stat -c %u y* | sort -u";
    assert_eq!(run(&[&load], again), "0\n");
    assert_eq!(run(&[&load, &save], "chown 20 a; rm b bb; mv d e; stat -c %u:%g e"), "7:8\n");
    assert_eq!(run(&[&load], "stat -c %u:%g a e"), "20:6\n7:8\n");
}

#[test]
fn the_file_is_there_when_the_command_has_ended_and_daemons_do_not_hold_it_back() {
    let place = Place::new();
    let line = "$F -s ../w/db sh -c 'touch a; chown 5 a; sleep 20 >/dev/null 2>&1 & exec sh -c \"chown 6 a; exit 3\"'; \
         echo $?; grep -c uid=6, db; ls";
    let output = place.shell(line).leaves_daemons().output();
    assert_eq!(output.success(), "3\n1\na\ndb\n", "no temporary file stays");
}

#[test]
fn what_cannot_be_saved_or_loaded_is_said_in_a_sentence() {
    let place = Place::new();
    let ends = |line: &str| {
        let Output { stdout, stderr, .. } = place.shell(&format!("{line}; echo $?")).output();
        (stdout, stderr)
    };
    let (status, said) = ends("$F -s /nonexistent/db sh -c 'exit 7'");
    assert_eq!(status, "7\n");
    assert!(said.starts_with("remainroot: saving to /nonexistent/db failed: No such file"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
    let (status, said) = ends("echo dev=1 >bad; $F -i bad echo ran");
    assert_eq!((status.as_str(), said.lines().count()), ("1\n", 1), "{said}");
    assert!(said.contains("bad cannot be loaded: line 1: ino= with a decimal number is missing"), "{said}");
    let (status, said) = ends("$F -i none -s db echo ran; $F -i db true");
    assert_eq!(status, "ran\n0\n", "fakeroot goes on without");
    assert!(said.contains("database file none does not exist"), "{said}");
    let refused = |option: &str| {
        let output =
            Run::new(How::Remainroot, ["echo", "ran"]).option("--load=/none").option(option).output();
        (output.code(), output.stdout, output.stderr)
    };
    let (code, stdout, said) = refused("-v");
    assert_eq!((code, stdout.as_str()), (125, ""));
    assert!(said.contains("/none cannot be loaded: No such file"), "{said}");
    assert!(refused("--store=xattr").2.contains("are for --store=memory"));
}

#[test]
fn only_the_file_is_written_that_was_named_and_nothing_is_renamed_over_a_device() {
    let place = Place::new();
    let line = "touch real; ln -s real link; $F -s link sh -c 'touch a; chown 5 a'; $F -s /dev/null chown 5 a; \
         stat -c %F link /dev/null; grep -c uid=5, real; $F -s /dev/stdout chown 6 a >out; ls";
    let said = place.says(line);
    assert!(said.starts_with("symbolic link\ncharacter special file\n1\n"), "{said}");
}

#[test]
fn scripts_recognise_fakeroot_and_nesting_is_no_error() {
    let place = Place::new();
    let said = place.says("$F sh -c 'test -n \"$FAKEROOTKEY\" && echo $FAKED_MODE; id -u'");
    assert_eq!(said, "unknown-is-root\n0\n");
    assert_eq!(place.says("$F -u -b 9 --lib x -f y -- sh -c 'echo $FAKED_MODE'"), "unknown-is-real\n");
    assert_eq!(place.says("echo id -u | SHELL= $F; echo 'id -g' | SHELL=/bin/sh $F --"), "0\n0\n");
    assert_eq!(place.says("$F sh -c 'touch a; chown 5 a; $F stat -c %u a'"), "5\n");
    assert!(place.says("$F --version").starts_with("fakeroot version "));
    for wrong in ["$F -h", "$F -x", "$F -s"] {
        let output = place.shell(wrong).output();
        assert!(output.code() == 1 && output.stderr.contains("usage: fakeroot"), "{wrong}: {output:?}");
    }
}

#[test]
fn the_real_fakeroot_says_inside_what_it_says_for_real_root() {
    if !common::needs_root() || !Place::has_peer() {
        return;
    }
    let script = "umask 022; fakeroot -s db sh -c 'touch a; chown 5:6 a; mknod c c 1 3; stat -c \"%n %u:%g %F\" a c'; \
         stat -c '%n %u:%g' a; fakeroot -i db stat -c '%n %u:%g %t:%T %F' a c; mkdir u; chown 1000:1000 u; cd u; \
         setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'id -u; fakeroot sh -c \"id -u; touch b; chown 7:8 b; \
         stat -c %u:%g b; mknod d b 8 1; stat -c %F d\"; stat -c %u:%g b; fakeroot -u stat -c %u:%g .; fakeroot stat -c %u:%g .'";
    let [native, ours] = [How::Native, How::Remainroot].map(|how| {
        let place = Scratch::new("real-fakeroot");
        if how == How::Native {
            std::os::unix::fs::chown(place.path(), Some(0), Some(0)).unwrap();
        }
        Run::shell(how, script).directory(place.path()).seconds(60).output().success()
    });
    assert_eq!(ours, native);
    assert!(ours.ends_with("1000\n0\n7:8\nblock special file\n1000:1000\n1000:1000\n0:0\n"), "{ours}");
}

#[test]
fn inside_the_real_fakeroot_it_refuses_as_that_does_itself() {
    if !Place::has_peer() {
        return;
    }
    let place = Place::new();
    for inner in ["$F", "$R"] {
        let output = place.shell(&format!("$R {inner} sh -c 'echo ran; stat .'")).output();
        assert_eq!((output.code(), output.stdout.as_str()), (1, ""), "{inner}");
        assert!(output.stderr.contains("fakeroot"), "{inner}: {output:?}");
    }
}

#[test]
fn inside_another_remainroot_it_loads_and_saves_all_the_same() {
    if !Place::has_peer() {
        return;
    }
    for option in ["--store=auto", "--store=memory"] {
        let place = Place::new();
        let inside = |script: &str| {
            let run = Run::shell(How::Remainroot, script).directory(&place.0.path().join("w")).option(option);
            run.variable("F", place.0.file("fakeroot")).variable("HOME", place.0.path()).output().success()
        };
        let made = inside(&format!(
            "umask 022; mkdir before; $F -s ../db sh -c \"{MAKE}; touch x; chown 77 x; rm x; {SHOW}; exit 7\"; echo $?"
        ));
        assert_eq!(made, format!("{SHOWN}7\n"), "{option}");
        let db = told(&place, "db");
        let names: Vec<&str> = db.keys().map(String::as_str).collect();
        assert_eq!(names, ["./a", "./b", "./bb", "./c", "./d", "./l", "./n"], "{option}");
        assert_eq!(place.says(&format!("$R -i ../db {SHOW}")), SHOWN, "{option}");
        assert_eq!(
            inside(&format!("$F -i ../db -s ../db2 {SHOW}; cmp ../db ../db2 && echo same")),
            format!("{SHOWN}same\n")
        );
    }
    let place = Place::new();
    let line = "$F sh -c 'touch a; $F -s ../db chown 5 a; $F -s /nonexistent/db sh -c \"kill -9 \\$\\$\"; echo $?; stat -c %u a'; \
                grep -c uid=5, ../db; $F setpriv --reuid 9 $F id 2>&1; echo $?";
    let said = place.says(&format!("{{ {line}; }} 2>&1"));
    let lines: Vec<&str> = said.lines().collect();
    assert!(lines[0].contains("saving to /nonexistent/db failed: No such file"), "{said}");
    assert_eq!(lines[1..4], ["137", "5", "1"], "{said}");
    assert!(
        lines[4].contains("this user is not root in the remainroot around it") && lines[5] == "1",
        "{said}"
    );
}

#[test]
fn packages_and_archives_made_inside_have_the_owners() {
    let place = Place::new();
    let line = "mkdir -p p/DEBIAN p/usr/bin; echo x >p/usr/bin/x; echo \
         'Package: x\nVersion: 1\nArchitecture: all\nMaintainer: x <x@localhost>\nDescription: x' >p/DEBIAN/control; \
         chmod -R u=rwX,go=rX p; $F -s db sh -c 'chown -R 0:0 p; chown 5:6 p/usr/bin/x; chmod 4755 p/usr/bin/x'; \
         $F -i db tar cf t p/usr; tar --numeric-owner -tvf t | grep -c '^-rwsr-xr-x 5/6 .* p/usr/bin/x$'; \
         $F -i db dpkg-deb --build p x.deb >/dev/null; dpkg-deb --fsys-tarfile x.deb | tar --numeric-owner -tv | \
         grep -c -e '^-rwsr-xr-x 5/6 .* ./usr/bin/x$' -e '^drwxr-xr-x 0/0 .* ./usr/bin/$'";
    if Path::new("/usr/bin/dpkg-deb").exists() {
        assert_eq!(place.says(line), "1\n2\n");
    } else {
        common::skip(common::Lack::Program, "needs dpkg-deb");
    }
}

#[test]
fn dpkg_buildpackage_gains_root_by_it() {
    if !["dpkg-buildpackage", "make"].iter().all(|name| Path::new("/usr/bin").join(name).exists()) {
        common::skip(common::Lack::Program, "needs dpkg-buildpackage (dpkg-dev) and make");
        return;
    }
    let line = r#"mkdir -p x/debian/source; cd x; echo '3.0 (native)' >debian/source/format
printf 'x (1) unstable; urgency=low\n\n  * x\n\n -- x <x@localhost>  Thu, 01 Jan 2026 00:00:00 +0000\n' >debian/changelog
printf 'Source: x\nSection: misc\nPriority: optional\nMaintainer: x <x@localhost>\nRules-Requires-Root: binary-targets\n\nPackage: x\nArchitecture: all\nDescription: x\n x\n' >debian/control
cat >debian/rules <<'RULES'
#!/usr/bin/make -f
d = debian/t
clean:
	rm -rf $d
build build-indep build-arch:
binary-arch:
binary binary-indep:
	mkdir -p $d/DEBIAN $d/etc $d/many $d/dev; echo x >$d/etc/x
	for i in $$(seq 50); do mkdir $d/many/$$i; echo $$i >$d/many/$$i/file; ln -s file $d/many/$$i/link; done
	chmod -R u=rwX,go=rX $d; chown -R 0:0 $d; chown 0:42 $d/etc/x
	for i in $$(seq 50); do chown -R $$i:1$$i $d/many/$$i; chown -h $$i:7 $d/many/$$i/link; done
	chmod 640 $d/etc/x; install -o 3 -g 4 -m 4755 /bin/true $d/etc/tool; ln $d/etc/tool $d/etc/hard
	install -d -m 2775 -o 8 -g 8 $d/etc/spool; mknod -m 660 $d/dev/disk b 8 1; chgrp 6 $d/dev/disk; mkfifo $d/dev/pipe
	dpkg-gencontrol -P$d; dpkg-deb --build $d ..
RULES
chmod 755 debian/rules; dpkg-buildpackage "-r$GAIN" -b -d -us -uc >../log 2>&1 || { cat ../log; exit 1; }
dpkg-deb --fsys-tarfile ../x_1_all.deb | tar --numeric-owner --full-time -tv; cat ../x_1_all.deb | sha256sum"#;
    let peer = if Place::has_peer() { vec!["$R"] } else { vec![] };
    let built: Vec<String> = [vec!["$F"], peer]
        .concat()
        .iter()
        .map(|gain| Place::new().says(&format!("GAIN={gain}; {line}")))
        .collect();
    assert!(built[0].contains("-rw-r----- 0/42 ") && built[0].contains("lrwxrwxrwx 50/7 "), "{}", built[0]);
    assert!(built.iter().all(|one| *one == built[0]), "{built:#?}");
}
