//! What privileged programs make in a tree is the same made by real root and under remainroot: in the run that made it,
//! in later runs, after the tree was renamed, and in copies by `cp -a` and tar. `tests/jobs/drive` says what a job is
//! and what is listed.
//!
//! Not part of plain `cargo test` (`test = false` in Cargo.toml): it takes minutes, and programs that few machines have.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr)] // a helper of a test is a test

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use common::{How, NOBODY, Output, Run, Scratch};

/// The trees of a side, as `drive` names them.
const TREES: [&str; 3] = ["root", "copied", "archived"];

/// The later runs, and what the names of the trees have at their end by then.
const LATER: [(&str, &str); 2] = [("a second run", ""), ("a run after its renaming", ".renamed")];

struct Job {
    name: &'static str,
    scratch: Scratch,
    start: String,
    seconds: u64,
}

/// Does the job as real root and, with each store, under remainroot; `seconds` is the deadline of each.
fn same_as_real_root(name: &'static str, seconds: u64) {
    same_with(name, seconds, &["memory", "auto"]);
}

/// Jobs that neither mount nor chroot.
const PLAIN: [&str; 6] = ["install", "archives", "npm", "pip", "umoci", "systemd"];

/// The same with only these stores.
fn same_with(name: &'static str, seconds: u64, stores: &[&str]) {
    if !common::needs_root() {
        return;
    }
    if !PLAIN.contains(&name) && !common::needs_privilege("mount(2) and chroot(2)") {
        return;
    }
    if !Run::new(How::Native, ["unshare", "-m", "true"]).output().status.success() {
        common::skip(common::Lack::Kernel, "root may not make mount namespaces here");
        return;
    }
    let start = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_secs();
    let job = Job { name, scratch: Scratch::new(name), start: start.to_string(), seconds };
    job.provide();
    let lacks = job.drive(How::Native, "shared", &["lacks"]).output().success();
    if !lacks.is_empty() {
        common::skip(common::Lack::Program, &format!("{name} needs {lacks}"));
        return;
    }
    job.drive(How::Namespace, "shared", &["prepare"]).output().success();
    let native = job.side("native", None);
    for (situation, said) in &native {
        assert!(said.status.success(), "{name}, as real root, in {situation}: {said:?}");
    }
    for &store in stores {
        let ours = job.side(store, Some(store));
        for ((situation, expected), (_, found)) in native.iter().zip(&ours) {
            compare(&format!("{name}, --store={store}, in {situation}"), expected, found);
        }
    }
}

/// Fails, with the lines that differ, unless both said the same.
fn compare(what: &str, expected: &Output, found: &Output) {
    if expected == found {
        return;
    }
    let lines = |text: &Output| -> Vec<String> {
        text.stdout.lines().chain(text.stderr.lines()).map(str::to_owned).collect()
    };
    let without = |these: &Output, those: &Output| -> Vec<String> {
        let known: BTreeSet<String> = lines(those).into_iter().collect();
        // One that failed has listed nothing.
        let most = if expected.status == found.status { 60 } else { 10 };
        lines(these).into_iter().filter(|line| !known.contains(line)).take(most).collect()
    };
    let (missing, strange) = (without(expected, found), without(found, expected));
    panic!(
        "{what}\nreal root ({}): {missing:#?}\nremainroot ({}): {strange:#?}",
        expected.status, found.status
    );
}

impl Job {
    /// The scripts and what both sides share, where both sides can reach them.
    fn provide(&self) {
        let scripts = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/jobs");
        for script in fs::read_dir(scripts).expect("the scripts are there").flatten() {
            let copied = self.scratch.path().join(script.file_name());
            fs::copy(script.path(), copied).expect("a script can be read");
        }
        self.directory("shared");
    }

    fn directory(&self, name: &str) {
        let path = self.scratch.path().join(name);
        fs::create_dir(&path).expect("the directory is new");
        chown(&path, Some(NOBODY), Some(NOBODY)).expect("this is root");
    }

    fn drive(&self, how: How, side: &str, words: &[&str]) -> Run {
        let drive = self.scratch.file("drive");
        let command = ["sh", &drive, self.name].into_iter().chain(words.iter().copied());
        let run = Run::new(how, command).seconds(self.seconds).directory(self.scratch.path());
        let run = run.variable("SHARED", self.scratch.file("shared")).variable("START", &self.start);
        run.variable("HOME", self.scratch.file(side))
    }

    /// Does it all on one side, natively or with a store: what was said while it was made, and later.
    fn side(&self, side: &str, store: Option<&str>) -> Vec<(&'static str, Output)> {
        self.directory(side);
        // The same paths on both sides.
        let mounted = |run: Run| run.bound(&self.scratch.path().join(side), Path::new("/mnt"));
        let run = |words: &[&str]| match store {
            None => mounted(self.drive(How::Native, side, words)).output(),
            Some(store) => {
                let run = mounted(self.drive(How::Remainroot, side, words));
                run.option(&format!("--store={store}")).output()
            }
        };
        let mut said = vec![("the run that made it", run(&["make"]))];
        if store == Some("memory") {
            return said;
        }
        for (situation, suffix) in LATER {
            for tree in TREES.iter().filter(|_| !suffix.is_empty()) {
                let path = self.scratch.path().join(side).join(tree);
                fs::rename(&path, path.with_file_name(format!("{tree}{suffix}"))).expect("it was made");
            }
            said.push((situation, run(&["list", suffix])));
        }
        said
    }
}

#[test]
fn install_and_its_kin_make_the_tree_that_real_root_would_have_made() {
    same_as_real_root("install", 60);
}

#[test]
fn archives_and_copies_of_fifty_owners_are_those_that_real_root_makes() {
    same_as_real_root("archives", 120);
}

#[test]
fn users_and_groups_are_added_changed_and_removed_as_by_real_root() {
    same_as_real_root("users", 120);
}

#[test]
fn rpm_installs_upgrades_and_verifies_as_real_root_does() {
    same_as_real_root("rpm", 120);
}

#[test]
fn dnf_installs_upgrades_and_removes_as_real_root_does() {
    same_as_real_root("dnf", 120);
}

#[test]
fn pacman_installs_upgrades_verifies_and_removes_as_real_root_does() {
    same_as_real_root("pacman", 120);
}

#[test]
fn npm_installs_packages_and_runs_their_scripts_as_for_real_root() {
    same_as_real_root("npm", 120);
}

#[test]
fn pip_installs_wheels_and_sources_as_for_real_root() {
    same_as_real_root("pip", 120);
}

#[test]
fn umoci_unpacks_and_packs_the_layers_that_it_does_for_real_root() {
    same_as_real_root("umoci", 120);
}

#[test]
fn mmdebstrap_makes_the_tree_that_it_makes_for_real_root() {
    same_as_real_root("mmdebstrap", 240);
}

#[test]
fn zypper_installs_upgrades_and_removes_as_real_root_does() {
    same_as_real_root("zypper", 120);
}

#[test]
fn packages_in_the_layers_of_a_container_keep_their_owners() {
    // The layers' inodes are not the container's: only what stands on them is seen there.
    same_with("overlay", 120, &["auto"]);
}

#[test]
fn systemd_sysusers_and_tmpfiles_make_what_they_make_for_real_root() {
    same_as_real_root("systemd", 60);
}
