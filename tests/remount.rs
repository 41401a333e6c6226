//! Facts beside inodes and the filesystems that these are on: mounted again under another device number they are the
//! same, and none is taken for another.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)] // a helper of a test is a test

mod common;

use std::fs;
use std::process::Command;

use common::{How, Run, Scratch};

/// Runs a script in a namespace of one id that may mount; `$R` is remainroot with the store file `facts`. `None` where
/// nothing can be mounted.
fn mounting(scratch: &Scratch, script: &str) -> Option<String> {
    let remainroot = common::remainroot().to_str().unwrap();
    let script = format!(
        "mkdir -p m; mount -t tmpfs none m || {{ echo cannot; exit; }}; umount m; \
         R='{remainroot} --store={}'; number() {{ stat -c %d $1; }}; {script}",
        scratch.file("facts")
    );
    let run = Run::shell(How::Namespace, &script).namespaces("-Urm").directory(scratch.path()).seconds(60);
    let said = run.output().success();
    if said == "cannot\n" {
        common::skip(common::Lack::Kernel, "no filesystem can be mounted");
        return None;
    }
    Some(said)
}

#[test]
fn an_overlay_mounted_again_is_the_same_and_another_one_is_another() {
    let scratch = Scratch::new("remount");
    let script = "
mkdir lower upper work upper2 work2 other; ln -s x lower/below; mkfifo lower/pipe
over() { mount -t overlay -o userxattr,lowerdir=lower,upperdir=$1,workdir=$2 none m || exit; }
over upper work; first=$(number m)
ln -s x m/above; $R -- sh -c 'chown -h 5:6 m/above; chown -h 7:8 m/below; chmod 620 m/pipe; chown 3:4 m/pipe'
umount m
mount -t tmpfs none other; over upper work
[ $first != $(number m) ] && echo another number
$R -- stat -c '%n %u:%g' m/above m/below m/pipe
umount m; over upper2 work2
$R -- stat -c '%n %u:%g' m/below
$R -- chown -h 9:9 m/below; umount m; over upper work
$R -- stat -c '%n %u:%g' m/below";
    let Some(said) = mounting(&scratch, script) else { return };
    if !common::kernel_is_at_least(6, 6) {
        common::skip(common::Lack::Kernel, "before Linux 6.6 an overlay has no id of its own");
        return;
    }
    assert_eq!(said, "another number\nm/above 5:6\nm/below 7:8\nm/pipe 3:4\nm/below 0:0\nm/below 7:8\n");
}

#[test]
fn a_filesystem_in_memory_ends_with_its_mount() {
    let scratch = Scratch::new("remount");
    let script = "
mount -t tmpfs none m; first=$(number m); for i in 1 2 3; do ln -s x m/l$i; done
$R -- sh -c 'chown -h 5 m/l*'; $R -- stat -c %u m/l1; umount m
mount -t tmpfs none m; [ $first = $(number m) ] && echo same number; for i in 1 2 3; do ln -s x m/l$i; done
$R -- stat -c %u m/l1 m/l2 m/l3";
    let Some(said) = mounting(&scratch, script) else { return };
    assert_eq!(said, "5\nsame number\n0\n0\n0\n");
}

#[test]
fn a_mount_in_the_middle_of_a_run_is_not_taken_for_the_one_before() {
    let scratch = Scratch::new("remount");
    let script = "
mkdir lower upper work upper2 work2; ln -s x lower/l
cat > s <<'X'
over() { mount -t overlay -o userxattr,lowerdir=lower,upperdir=$1,workdir=$2 none m || exit; }
for i in 1 2 3; do
over upper work; [ $i = 1 ] && chown -h 5 m/l; stat -c %u m/l; umount m
over upper2 work2; stat -c %u m/l; umount m
done
X
$R -- sh s; $R -- sh s";
    let Some(said) = mounting(&scratch, script) else { return };
    assert!(said.starts_with("5\n0\n5\n0\n5\n0\n"), "{said}");
}

/// An image with a filesystem on it, or why it is skipped.
fn image(scratch: &Scratch, kind: &str) -> Option<String> {
    let image = scratch.file(&format!("{kind}.image"));
    fs::File::create(&image).unwrap().set_len(330 << 20).unwrap();
    let made = Command::new(format!("mkfs.{kind}")).arg("-q").arg(&image).output();
    if made.is_ok_and(|made| made.status.success()) {
        return Some(image);
    }
    common::skip(common::Lack::Program, &format!("in part: needs mkfs.{kind}"));
    None
}

#[test]
fn a_disk_found_under_another_device_number_keeps_its_owners() {
    if !common::needs_root() {
        return;
    }
    let remainroot = common::remainroot().to_str().unwrap();
    for (kind, number_is_its_name) in [("ext4", false), ("btrfs", false), ("xfs", true)] {
        let scratch = Scratch::new("remount-disk");
        let Some(image) = image(&scratch, kind) else { continue };
        let facts = scratch.file("facts");
        let script = format!(
            "mkdir m; losetup -f >/dev/null || {{ echo cannot; exit; }}; mount -o loop {image} m || {{ echo cannot; exit; }}
             chmod 777 m; ln -s x m/l; chown -h 65534:65534 m/l; first=$(losetup -nO NAME -j {image})
             as() {{ setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Ur {remainroot} --store={facts} -- \"$@\"; }}
             as chown -h 5:6 m/l; as stat -c %u:%g m/l; umount m; while losetup -nO NAME -j {image} | grep -q .; do sleep 0.05; done
             truncate -s 1M filler; other=$(losetup -f --show filler); mount -o loop {image} m
             [ $other = $first ] && as stat -c %u:%g m/l || echo inconclusive; umount m; losetup -d $other"
        );
        // In a mount namespace of its own, so that nothing stays mounted.
        let run = Run::new(How::Native, ["unshare", "-m", "sh", "-c", &script])
            .directory(scratch.path())
            .seconds(60);
        let said = run.output().success();
        if said == "cannot\n" || said.ends_with("inconclusive\n") {
            common::skip(common::Lack::Kernel, &format!("in part: no loop device for {kind}"));
            continue;
        }
        // What names a disk by the order in which it was found loses a fact rather than give it to another.
        let again = if number_is_its_name { "65534:65534\n0:0\n" } else { "5:6\n" };
        let again = if number_is_its_name { &again[12..] } else { again };
        assert_eq!(said, format!("5:6\n{again}"), "{kind}");
    }
}

#[test]
fn an_inode_number_used_again_between_two_runs_has_no_owner() {
    let scratch = Scratch::new("remount");
    let facts = scratch.file("facts");
    let run = |script: &str| {
        let run = Run::shell(How::Remainroot, script).directory(scratch.path());
        let running = run.option(&format!("--store={facts}")).leaves_daemons().start();
        let mark = running.mark().to_owned();
        let said = running.finish().success();
        // The tracer closes the file after its command has ended.
        common::wait_until(|| common::living(&mark).is_empty(), || "the tracer does not end".to_owned());
        said
    };
    run("mkdir d; for i in $(seq 40); do ln -s x d/$i; done; chown -h 5:6 d/*");
    let names = |path: &str| -> Vec<u64> {
        let mut found: Vec<u64> = fs::read_dir(scratch.file(path))
            .unwrap()
            .map(|entry| std::os::unix::fs::MetadataExt::ino(&entry.unwrap().metadata().unwrap()))
            .collect();
        found.sort_unstable();
        found
    };
    let before = names("d");
    let native = Run::shell(How::Namespace, "rm d/*; for i in $(seq 40); do ln -s x d/$i; done");
    native.directory(scratch.path()).output().success();
    let again = names("d").iter().filter(|number| before.contains(number)).count();
    assert_eq!(run("stat -c %u:%g d/* | sort | uniq -c").trim(), "40 0:0");
    if again == 0 {
        common::skip(common::Lack::Kernel, "in part: this filesystem does not use a number again");
        return;
    }
    // Who has met the number's next owner has forgotten the first.
    let rows = rusqlite::Connection::open(&facts).unwrap();
    let left: i64 = rows.query_row("SELECT count(*) FROM facts", [], |row| row.get(0)).unwrap();
    assert!(left <= 40 - again as i64, "{left} rows are left, though {again} of 40 numbers were met");
}

#[test]
fn attributes_without_room_are_the_guests_error_and_leave_what_stood_there() {
    if !common::needs_root() || !common::has(&["setfattr"]) {
        return;
    }
    let remainroot = common::remainroot().to_str().unwrap();
    let scratch = Scratch::new("full-disk");
    let image = scratch.file("image");
    fs::File::create(&image).unwrap().set_len(8 << 20).unwrap();
    let made =
        Command::new("mkfs.ext4").args(["-q", "-I", "256", "-O", "^has_journal", "-m", "0", &image]).output();
    if !made.is_ok_and(|made| made.status.success()) {
        common::skip(common::Lack::Program, "needs mkfs.ext4");
        return;
    }
    // What an inode has room for itself is taken up: every further attribute needs a block of its own.
    let script = format!(
        "mkdir m; mount -o loop {image} m || {{ echo cannot; exit; }}; chmod 777 m; cd m
         as() {{ setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Ur {remainroot} --store=xattr -- \"$@\"; }}
         as sh -c 'umask 022; touch a b p1 p2 p3 p4 p5 p6; for f in a b p?; do setfattr -n user.pad -v $(printf %044d 0) $f; done;  \
                   chown 5:6 a'
         setpriv --reuid 65534 --regid 65534 --clear-groups sh -c 'dd if=/dev/zero of=fill bs=1k; i=0; \
           while echo > s$i; do i=$((i+1)); done' 2>/dev/null
         as sh -c 'chown 9 p1 p2 p3 p4 p5 p6 2>/dev/null; chown 7:8 b; chown 9:9 a; stat -c \"%n %a %u:%g\" a b; \
                   rm fill; chown 7:8 b; stat -c \"%n %a %u:%g\" a b' 2>&1
         as stat -c '%n %a %u:%g' a b; cd ..; umount m"
    );
    let run =
        Run::new(How::Native, ["unshare", "-m", "sh", "-c", &script]).directory(scratch.path()).seconds(60);
    let said = run.output().success();
    if said == "cannot\n" {
        common::skip(common::Lack::Kernel, "no loop device");
        return;
    }
    let lines: Vec<&str> = said.lines().collect();
    let full = lines.iter().filter(|line| line.ends_with("No space left on device")).count();
    let rest: Vec<&str> = lines.iter().filter(|line| !line.contains(": ")).copied().collect();
    let after = ["a 644 9:9", "b 644 7:8"];
    let before = ["a 644 9:9", "b 644 0:0"];
    assert_eq!(rest, [&before[..], &after[..], &after[..]].concat(), "{said}");
    assert_eq!(full, 1, "{said}");
}
