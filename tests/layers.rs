//! Owners in a container whose root directory is made from an image's layers: these carry neither the attributes of the
//! root directory nor inode numbers.
#![allow(clippy::unwrap_used)] // a helper of a test is a test

mod common;

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use common::{How, NOBODY, Run, Scratch};

/// What a script says in a container with this root; `$R` is remainroot. `/srv`, `/var` and `/root` are of the root.
fn says(root: &Path, script: &str) -> String {
    run(root, script).output().success()
}

fn run(root: &Path, script: &str) -> Run {
    let script = format!(
        "umount -l /var /run /root /srv 2>&-; umask 022; mkdir -p /run /srv /root /var/lib; : >/run/.containerenv; mount -t tmpfs none /dev/shm; cd /srv; {script}"
    );
    let run = Run::shell(How::Namespace, &script).own_root(root).directory(Path::new("/"));
    run.variable("HOME", "/root").variable("R", common::remainroot()).seconds(60)
}

/// A root directory of its own.
fn root(place: &Scratch, name: &str) -> std::path::PathBuf {
    let root = place.path().join(name);
    fs::create_dir(&root).unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(&root, Some(NOBODY), Some(NOBODY)).unwrap();
    }
    root
}

/// Makes a root of another by path, as the next layer's container has it: with all attributes but the root directory's.
fn next(place: &Scratch, old: &Path, name: &str) -> std::path::PathBuf {
    let new = root(place, name);
    let (from, to) = (old.display(), new.display());
    // Mount points are not of the layer.
    let copy = format!("cp -a {from}/srv {from}/var {from}/root {to}");
    Run::shell(How::Namespace, &copy).output().success();
    new
}

const MAKE: &str = "mkdir sub dir; touch f; chown 5:6 f; chown 7:8 dir; for l in l gone kept moved swapped; do ln -s to-$l $l; chown -h 9:10 $l; done; \
    mkfifo p; chown 11:12 p; rm gone; ln -s to-gone gone; mv moved sub/there; mv sub dir/below; ln -s other x; mv x swapped; \
    setpriv --reuid 0 --regid 0 --clear-groups true; chown -h 0:0 kept; mknod n c 1 3";
const SHOW: &str = "cd /srv; find . -mindepth 1 -printf '%P %y %U:%G\\n' | sort";
const SHOWN: &str = "dir d 7:8\ndir/below d 0:0\ndir/below/there l 9:10\nf f 5:6\ngone l 0:0\nkept l 0:0\nl l 9:10\nn c 0:0\n\
    p p 11:12\nswapped l 0:0\n";

#[test]
fn owners_of_all_types_are_there_in_the_next_layer_and_in_the_one_after_it() {
    let place = Scratch::new("layers");
    let first = root(&place, "first");
    // Whatever the run did once is done by another, too: of two commands the second is told of what the first has left.
    let said = says(
        &first,
        &format!("$R sh -c '{MAKE}'; $R sh -c \"{SHOW}\"; ls /var/lib/remainroot; find /root -type f"),
    );
    assert_eq!(said, format!("{SHOWN}facts.devices\nfacts.owners\nnames\n"));
    let second = next(&place, &first, "second");
    let change = "mv dir/below/there back; rm l; ln -s to-l l; ln -s new late; chown -h 3 late";
    let said = says(&second, &format!("$R sh -c \"{SHOW}\"; $R sh -c '{change}'; $R sh -c \"{SHOW}\""));
    let changed = "back l 9:10\ndir d 7:8\ndir/below d 0:0\nf f 5:6\ngone l 0:0\nkept l 0:0\nl l 0:0\nlate l 3:0\nn c 0:0\n\
        p p 11:12\nswapped l 0:0\n";
    assert_eq!(said, format!("{SHOWN}{changed}"));
    let third = next(&place, &second, "third");
    assert_eq!(
        says(&third, &format!("$R sh -c \"{SHOW}\"; ls -l l >/dev/null; $R sh -c \"{SHOW}\"")),
        [changed; 2].concat()
    );
}

#[test]
fn what_a_run_has_reported_done_is_there_in_the_next_layer_before_it_ends() {
    let place = Scratch::new("layers");
    let first = root(&place, "first");
    let script = "$R sh -c 'ln -s x l; chown -h 5:6 l; mv l m; touch f; chown 7 f; echo done; sleep 50'";
    let killed = run(&first, script).start();
    killed.until("done\n");
    let second = next(&place, &first, "second");
    drop(killed);
    assert_eq!(says(&second, "$R stat -c '%n %u:%g' m f"), "m 5:6\nf 7:0\n");
}

#[test]
fn a_name_counts_only_for_what_it_was_noted_of_and_where_there_is_no_container_none_is_noted() {
    let place = Scratch::new("layers");
    let first = root(&place, "first");
    says(&first, "$R sh -c 'for l in same type target; do ln -s x $l; chown -h 5:6 $l; done'");
    let second = next(&place, &first, "second");
    let srv = second.join("srv").display().to_string();
    let change = format!("cd {srv}; rm type target; mkfifo type; ln -s y target");
    Run::shell(How::Namespace, &change).output().success();
    assert_eq!(says(&second, "$R stat -c '%n %u:%g' same type target"), "same 5:6\ntype 0:0\ntarget 0:0\n");
    let plain = root(&place, "plain");
    let script = "rm /run/.containerenv; $R sh -c 'ln -s x l; chown -h 5:6 l'; ls -A /var/lib; ls /root/.local/state/remainroot/facts; $R stat -c %u l";
    assert_eq!(says(&plain, script), "/root/.local/state/remainroot/facts\n5\n");
}
