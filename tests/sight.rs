//! What a stat tells once there are facts is what it tells without remainroot, whatever its path goes through.
#![allow(clippy::expect_used, clippy::unwrap_used)] // a helper of a test is a test

mod common;

use std::fs;

use common::{How, Run, Scratch};

/// Raises the ownership stage under remainroot; does nothing to what is looked at.
const FACT: &str = "touch given; [ -z \"$FACT\" ] || chown 7:8 given;";
/// All that stat(2) tells but owners, by newfstatat(2); and all that stat(1) tells, by statx(2).
const TELL: &str = r#"
    perl=$(command -v perl)
    tell() {
        "$perl" -e 'for (@ARGV) { for my $f ([lstat], [stat]) {
            print join(" ", $_, @$f ? @$f[0 .. 3, 6 .. 7, 9 .. 12] : $! + 0), "\n" } }' -- "$@"
        stat -c '%n %F %a %i %h %s %b %B %d %t %T %m %Y %Z %w' "$@" 2>&1
        stat -L -c '%n %F %a %i %h %s %b %B %d %t %T %Y %Z %w' "$@" 2>&1
        true
    }
"#;

/// What `script` says of the tree that `made` has made is the same in a bare namespace and with facts under remainroot.
/// Gives how many stats remainroot had the kernel answer and corrected.
fn same(made: &str, script: &str) -> u64 {
    let (place, given) = (Scratch::new("sight"), Scratch::new("sight-fact"));
    // One directory deeper: others make and remove directories beside the first.
    let inner = place.path().join("inner");
    let made = format!("mkdir inner; cd inner; {made}");
    Run::shell(How::Namespace, &made).directory(place.path()).output().success();
    let script = format!("cd {}; {FACT} cd {}; {TELL} {script}", given.path().display(), inner.display());
    let summary = given.file("summary");
    let said = [How::Namespace, How::Remainroot].map(|how| {
        let run = Run::shell(how, &script).namespaces("-Urm");
        let run = match how {
            How::Namespace => run,
            _ => run.variable("FACT", "1").option("--store=memory").option(&format!("--summary={summary}")),
        };
        run.output().success()
    });
    let [bare, ours] = &said;
    let lines = bare.lines().zip(ours.lines()).filter(|(bare, ours)| bare != ours);
    let differing: Vec<_> = lines.map(|(bare, ours)| format!("\n  bare: {bare}\n  ours: {ours}")).collect();
    assert!(differing.is_empty(), "{}", differing.concat());
    assert_eq!(bare.lines().count(), ours.lines().count());
    assert!(bare.lines().count() > 3, "{bare}");
    let summary = fs::read_to_string(&summary).unwrap();
    let line = summary.lines().find(|line| line.ends_with(" syscall stops")).expect(&summary);
    line.split_whitespace().next().and_then(|count| count.parse().ok()).expect("a number")
}

const TREE: &str = "mkdir a a/b; ln -s a l; ln -s none n; ln -s loop loop; ln -s /etc e; ln -s ../$(basename \"$PWD\")/a up; \
                    ln -s /proc/self/exe x; ln -s /dev/fd/3 three; echo text > f; mkfifo p";

#[test]
fn ordinary_paths_are_looked_up_from_outside() {
    let script = "tell . a l n e/passwd /etc/passwd a/.. l/ up/. p /dev/zero ../nothing a/nothing f/x f/ ''; stat -c '%n %i %d' / /.. e; \
                  cd a; tell .. ../f ../nothing /a";
    let corrected = same(TREE, script);
    assert!(corrected < 60, "{corrected} were corrected");
}

#[test]
fn what_proc_makes_up_is_what_it_is_to_the_one_who_looks() {
    let script = r#"
        follow() { stat -L -c '%n %F %a %i %h %s %d %Y' "$@" 2>&1; "$perl" -e 'for (@ARGV) { @f = stat; print "$_ @f[0 .. 2, 7 .. 9]\n" }' "$@"; }
        exec 3<f
        follow /dev/stdin /dev/fd/3 /proc/self/fd/3 /proc/self/root/etc/passwd /proc/thread-self/cwd/a three <e/passwd
        follow /proc/self/cwd /proc/self/../../etc/passwd; stat -L -c '%n %i %d' /proc/mounts/../..
        follow /proc/$$/cwd/a/b /proc/$$/fd/3 | sed s,/proc/$$,,
        "$perl" -e 'for (qw(/proc/self /proc/thread-self)) { print readlink == $$ || readlink eq "$$/task/$$" ? "own" : "not own", "\n" }
            print((stat "/proc/self/exe")[1] == (stat $^X)[1] ? "own" : "not own", "\n");
            for ([qw(/proc/self)], ["/proc/self/stat"]) { my ($a, $b) = ((stat $$_[0])[1], (stat $$_[0] =~ s/self/$$/r)[1]); print $a == $b ? "own" : "$a $b", "\n" }
            open my $f, "<", "f"; $n = fileno $f; print((stat "/dev/fd/$n")[1] == (stat $f)[1] ? "own" : "not own", "\n")
            ; print -e "/proc/self/fd/77" ? "there" : "absent", "\n"; print -e "/proc/self/nothing" ? "there" : "absent", "\n"'
        cd /proc/self/fd && "$perl" -e 'print scalar(grep { -e } 0 .. 2), "\n"'
    "#;
    same(TREE, script);
}

#[test]
fn under_another_root_paths_start_there() {
    let made = "mkdir -p r/etc r/bin r/d out; echo in > r/etc/passwd; ln -s /etc/passwd r/d/abs; ln -s ../../../etc/passwd r/d/up; \
                ln -s / r/d/top; echo o > out/secret; mkdir r/proc";
    let script = r#"
        chrooted() { "$perl" -e 'my ($root, $cwd) = splice @ARGV, 0, 2; opendir my $d, "out"; chdir $cwd; chroot $root or die;
            for (@ARGV) { for my $f ([lstat], [stat]) { print join(" ", $_, @$f ? @$f[0 .. 2] : $! + 0), "\n" } }' -- "$@"; }
        here=$PWD
        chrooted $here/r $here/r /etc/passwd etc/passwd d/abs d/up d/top d/top/etc .. ../.. ../out /out /nothing nothing d/../.. /d/../../etc
        chrooted $here/r $here/out secret ../out/secret ../r/etc/passwd ../../ /etc/passwd .
        chrooted $here/r $here / /etc r out r/d/abs
    "#;
    same(made, script);
}

#[test]
fn in_another_mount_namespace_its_mounts_are_seen() {
    let script = r#"
        unshare -m sh -c 'mount -t tmpfs -o mode=750,nr_inodes=7 t a; stat -f -c %T a; stat -c "%a %h" a; perl -e "print((stat q(a))[2], qq(\n))"
            perl -e "print -e q(a/b) ? 1 : 0, -e q(f) ? 1 : 0, qq(\n)"'
        tell a/b
        mount -t tmpfs -o mode=751 t a; perl -e 'print((stat "a")[2], -e "a/b" ? 1 : 0, "\n"); chdir "a/.." or die; print -e "a/b" ? 1 : 0, -e "f" ? 1 : 0, "\n"'
    "#;
    same(TREE, script);
}

#[test]
fn descriptors_name_what_they_hold() {
    let script = r#"
        "$perl" -e 'sub tell { print join(" ", shift, @_ ? @_[0 .. 3, 7 .. 9] : $! + 0), "\n" }
            open my $f, "<", "f"; opendir my $d, "a"; tell("file", stat $f); tell("directory", stat $d);
            pipe my $r, my $w; my @p = stat $r; print $p[2], "\n"; print -t STDIN ? 1 : 0, "\n";
            open my $x, "<", "a"; tell("closed", stat STDERR2);
            chdir $d; tell("moved", stat "."); tell("up", lstat "../f"); tell("b", stat "b");'
        find . -printf '%p %y %i %n %s %m %T@\n'
        find a -inum 1; find /proc/self/ns -maxdepth 1 -printf '%y %p\n'
        cd "$OLDPWD"; mkdir gone; cd gone; rmdir ../gone; stat -c '%F %h' . ; stat .. 2>/dev/null | wc -l; perl -e 'print -e "x" ? 1 : $! + 0, "\n"'
    "#;
    same(TREE, script);
}

#[test]
fn a_root_that_paths_started_from_can_be_unmounted() {
    let script = r#"
        unshare -m perl -e '
            sub look { lstat "/x$_" for 1 .. 40 }
            my $busy = 0;
            for (1 .. 30) {
                system("mount -t tmpfs none a") == 0 or die;
                unless (my $child = fork // die) { chroot "a" or die; chdir "/"; look; exit } else { waitpid $child, 0 }
                $busy += system("umount a") != 0;
            }
            opendir my $out, "/" or die; opendir my $here, "." or die;
            for (1 .. 30) {
                system("mount -t tmpfs none a") == 0 or die;
                chroot "a" or die; look; chdir $out or die; chroot "." or die; chdir $here or die;
                $busy += system("umount a") != 0;
            }
            print "busy $busy
"' 2>&1
        tell f a
    "#;
    same(TREE, script);
}
