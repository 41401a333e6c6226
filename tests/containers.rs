//! Containers as people run them: by a user with one id, with each tool's default profile and each kind of storage.
//! remainroot comes from the host; inside, apt installs packages with its sandbox on, programs drop, files are given away.
//! `tests/containers/scenes` holds the scenes.
//!
//! Not part of plain `cargo test` (`test = false` in Cargo.toml): it needs a package archive and container tools.
#![allow(clippy::expect_used, clippy::panic)] // a helper of a test is a test

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use common::{How, Lack, Run, Scratch, skip};

/// What `tests/containers/tools-inside` says.
const DONE: &str = "dropped 7 8\nits own\n";

/// Of the main job's packages those that bring users, programs with another's id, and capabilities.
const PACKAGES: &str =
    "openssh-server man-db dbus cron exim4-base sudo postgresql-common iputils-ping systemd libcap2-bin";
/// All of them, and what they ask for: where `REMAINROOT_CONTAINERS=full`.
const ALL_PACKAGES: &str =
    "openssh-server man-db dbus cron exim4-base sudo nginx-light postgresql iputils-ping systemd libcap2-bin";

fn packages() -> &'static str {
    let all = std::env::var("REMAINROOT_CONTAINERS").is_ok_and(|value| value == "full");
    if all { ALL_PACKAGES } else { PACKAGES }
}

/// The directory with the base, made once and kept below `target`; `None`, said as a skip, where it cannot be had.
fn base() -> Option<&'static Path> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (sources, kept) = (top.join("tests/containers"), top.join("target/containers"));
        let texts = ["base", "tools-inside", "tools-look"].map(|name| fs::read_to_string(sources.join(name)));
        let texts = texts.map(|text| text.expect("it is there"));
        let (text, recipe) = (texts.concat() + packages(), kept.join("recipe"));
        if fs::read_to_string(&recipe).is_ok_and(|made_by| made_by == text) {
            return Ok(kept);
        }
        let _ = fs::remove_file(&recipe); // there may be none
        let script = sources.join("base");
        let words = ["sh".as_ref(), script.as_os_str(), kept.as_os_str()];
        let words = words.into_iter().chain(packages().split(' ').map(AsRef::as_ref));
        let output = Run::new(How::Native, words).seconds(600).start().outcome()?;
        if !output.status.success() {
            return Err(output.stderr);
        }
        fs::write(recipe, text).expect("the directory was made");
        Ok(kept)
    });
    let why = made.as_ref().err();
    if let Some(why) = why {
        skip(Lack::Kernel, &format!("no base could be made: {why}"));
    }
    made.as_ref().ok().map(PathBuf::as_path)
}

/// Plays a scene; it must say what is `expected` of what is seen in real root's tree.
fn scene(words: &[&str], programs: &[&str], expected: impl Fn(&str) -> String) {
    if !common::needs_root()
        || !common::has(&["mmdebstrap", "umoci", "dpkg-scanpackages"])
        || !common::has(programs)
    {
        return;
    }
    let Some(base) = base() else { return };
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/containers");
    let scratch = Scratch::new("containers");
    fs::create_dir(scratch.path().join("tools")).expect("the directory is new");
    for (from, to, mode) in [
        (common::remainroot().to_owned(), "tools/rr", 0o755),
        (sources.join("tools-inside"), "tools/inside", 0o644),
        (sources.join("tools-look"), "tools/look", 0o644),
        (sources.join("scenes"), "scenes", 0o755),
        (sources.join("enter"), "enter", 0o755),
    ] {
        let to = scratch.path().join(to);
        fs::copy(from, &to).expect("it can be read");
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).expect("it is ours");
    }
    let (enter, scenes) = (scratch.file("enter"), scratch.file("scenes"));
    let work = scratch.path().to_str().expect("the path is text");
    let is_pulled = ["podman", "podman-commit", "podman-build", "buildah"].contains(&words[0]);
    let seen = base.join(if is_pulled { "seen-of-image" } else { "seen" });
    let seen = fs::read_to_string(seen).expect("it was made with the base");
    assert!(seen.lines().count() > 5000, "real root has installed little: {seen}");
    let base = base.to_str().expect("the path is text");
    let all = ["sh", &enter, work, base, &scenes].into_iter().chain(words.iter().copied());
    let found = Run::new(How::Native, all).seconds(200).start().outcome();
    let (name, expected) = (words.join(" "), expected(&seen));
    let found = found.unwrap_or_else(|complaint| panic!("{name}: {complaint}"));
    let [wanted, said] = [&expected, &found.stdout].map(|text| text.lines().collect::<BTreeSet<_>>());
    let [missing, more] =
        [(&wanted, &said), (&said, &wanted)].map(|(of, not)| of.difference(not).take(20).collect::<Vec<_>>());
    let right = found.status.success() && found.stdout == expected;
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
