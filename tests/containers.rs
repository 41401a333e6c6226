//! Containers as people run them: by a user with one id, with each tool's default profile and each kind of storage.
//! remainroot comes from the host; inside, apt installs packages with its sandbox on, programs drop, files are given away.
//! `tests/containers/scenes` holds the scenes.
//!
//! Not part of plain `cargo test` (`test = false` in Cargo.toml): it needs a package archive and container tools.
#![allow(clippy::expect_used, clippy::panic)] // a helper of a test is a test

mod common;
#[path = "containers/stage.rs"]
mod stage;

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// What `tests/containers/tools-inside` says.
const DONE: &str = "dropped 7 8\nits own\n";

/// Of the lines those that are compared: all where much is installed, else what `inside` has made, and what is cron's.
fn looked_at(text: &str) -> Vec<&str> {
    const SOME: [&str; 5] = ["dropped ", "its own", "srv/", "usr/bin/crontab ", "var/spool/cron"];
    let all = std::env::var_os("REMAINROOT_CONTAINERS").is_some();
    let counts = |line: &&str| all || SOME.iter().any(|some| line.starts_with(some));
    text.lines().filter(counts).collect()
}

/// Plays a scene; it must say what is `expected` of what is seen in real root's tree.
fn scene(words: &[&str], programs: &[&str], expected: impl Fn(&str) -> String) {
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containers");
    let (inside, look) = (sources.join("tools-inside"), sources.join("tools-look"));
    let files = [(inside.as_path(), "tools/inside"), (look.as_path(), "tools/look")];
    let Some(found) = stage::play("containers/scenes", words, programs, &files) else { return };
    let engines = ["podman", "podman-commit", "podman-build", "buildah"];
    let is_pulled = words.first().is_some_and(|first| engines.contains(first));
    let seen = stage::base().expect("it was made").join(if is_pulled { "seen-of-image" } else { "seen" });
    let seen = fs::read_to_string(seen).expect("it was made with the base");
    assert!(seen.lines().count() > 3000, "real root has installed little: {seen}");
    let (name, expected) = (words.join(" "), expected(&seen));
    let found = found.unwrap_or_else(|complaint| panic!("{name}: {complaint}"));
    let [expected, stdout] = [&expected, &found.stdout].map(|text| looked_at(text));
    let [wanted, said] = [&expected, &stdout].map(|lines| lines.iter().copied().collect::<BTreeSet<_>>());
    let [missing, more] =
        [(&wanted, &said), (&said, &wanted)].map(|(of, not)| of.difference(not).take(20).collect::<Vec<_>>());
    let right = found.status.success() && stdout == expected;
    let (status, stderr) = (found.status, &found.stderr);
    assert!(right, "{name}: {status}\nmissing: {missing:#?}\nmore: {more:#?}\n{stderr}");
}

fn once(seen: &str) -> String {
    format!("{DONE}{seen}")
}

fn twice(seen: &str) -> String {
    format!("{DONE}{seen}{seen}")
}

fn only(seen: &str) -> String {
    seen.to_owned()
}

#[test]
fn a_tree_with_owners_is_entered_by_chroot() {
    scene(&["chroot"], &[], twice);
}

#[test]
fn bubblewrap_with_every_capability() {
    scene(&["bwrap"], &["bwrap"], once);
}

#[test]
fn bubblewrap_as_it_is_without_a_capability() {
    scene(&["bwrap-no-capabilities"], &["bwrap"], once);
}

#[test]
fn bubblewrap_within_remainroot() {
    scene(&["bwrap-within"], &["bwrap"], once);
}

#[test]
fn runc_runs_a_bundle() {
    scene(&["runc"], &["runc"], once);
}

#[test]
fn crun_runs_a_bundle() {
    scene(&["crun"], &["crun", "runc"], once);
}

const PODMAN: [&str; 4] = ["podman", "crun", "runc", "fuse-overlayfs"];

#[test]
fn podman_runs_an_image() {
    scene(&["podman", "vfs", "crun"], &PODMAN, once);
    scene(&["podman", "overlay", "runc"], &PODMAN, once);
    scene(&["podman", "fuse", "crun"], &PODMAN, once);
}

#[test]
fn podman_runs_a_tree() {
    scene(&["podman-rootfs"], &PODMAN, once);
}

#[test]
fn a_container_that_podman_commits_keeps_its_owners_on_vfs() {
    scene(&["podman-commit", "vfs"], &PODMAN, once);
}

#[test]
fn a_container_that_podman_commits_keeps_its_owners_on_overlay() {
    scene(&["podman-commit", "overlay"], &PODMAN, once);
}

#[test]
fn a_container_that_podman_commits_keeps_its_owners_on_fuse() {
    scene(&["podman-commit", "fuse"], &PODMAN, once);
}

#[test]
fn layers_that_podman_builds_keep_their_owners() {
    scene(&["podman-build", "overlay"], &PODMAN, only);
}

#[test]
fn layers_that_buildah_builds_keep_their_owners_on_vfs() {
    scene(&["buildah", "vfs"], &[&PODMAN[..], &["buildah"]].concat(), only);
}

#[test]
fn layers_that_buildah_builds_keep_their_owners_on_overlay() {
    scene(&["buildah", "overlay"], &[&PODMAN[..], &["buildah"]].concat(), only);
}

#[test]
fn layers_that_buildah_builds_keep_their_owners_on_fuse() {
    scene(&["buildah", "fuse"], &[&PODMAN[..], &["buildah"]].concat(), only);
}

/// umoci goes by `/proc/self/uid_map`, which tells of one id: it leaves an empty file where there was a device.
#[test]
fn umoci_unpacks_and_packs_within_remainroot() {
    scene(&["umoci"], &["skopeo"], |seen| {
        let unpacked = seen.replace("srv/node c 644 0:6", "srv/node f 644 0:6");
        let unpacked = unpacked.replace("character special file 1:3", "regular empty file 0:0");
        format!("{DONE}{seen}{unpacked}")
    });
}

/// What `remainroot --check` says in a container: nothing is missing, or capabilities, with this cure.
fn check(words: &[&str], programs: &[&str], cure: Option<&str>) {
    let expected = match cure {
        None => "usable: a program sees what real root in this place would see\nstatus 0\n".to_owned(),
        Some(cure) => {
            format!("capabilities: {cure}\ndegraded: a run works, with less; see capabilities\nstatus 1\n")
        }
    };
    let words = [&["check"], words].concat();
    let Some(found) = stage::play("containers/scenes", &words, programs, &[]) else { return };
    let found = found.unwrap_or_else(|complaint| panic!("{words:?}: {complaint}"));
    assert!(
        found.status.success() && found.stdout == expected,
        "{words:?}: {found:#?}\nexpected: {expected}"
    );
}

#[test]
fn a_check_finds_nothing_missing_in_a_container_of_podman() {
    check(&["podman"], &PODMAN, None);
    check(&["podman", "--security-opt", "no-new-privileges"], &PODMAN, None);
}

#[test]
fn a_check_names_the_cure_for_the_tool_that_has_taken_capabilities() {
    let podman = "podman run without --cap-drop, or --cap-add for each";
    check(&["podman", "--cap-drop", "all"], &PODMAN, Some(podman));
    check(&["bwrap"], &["bwrap"], Some("bwrap --unshare-user --uid 0 --gid 0 --cap-add ALL"));
    check(&["bwrap", "--cap-add", "ALL"], &["bwrap"], None);
    let runc = "runc, crun: name the capabilities in process.capabilities of config.json";
    check(&["runc"], &["runc"], Some(runc));
}
