//! A root file system with packages in it, made by real root and made by an unprivileged user under remainroot, is the
//! same tree: every path, type, mode, owner and link target. `scripts/rootfs` says what is made and how.
//!
//! Not part of plain `cargo test` (`test = false` in Cargo.toml): it takes minutes and a package archive.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr)] // a helper of a test is a test

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{How, Lack, Output, Run, Scratch};

/// The exit status of `scripts/rootfs` where the machine cannot do it at all.
const CANNOT: i32 = 77;

fn rootfs(words: &[&str]) -> Output {
    let root = env!("CARGO_MANIFEST_DIR");
    let script = format!("{root}/scripts/rootfs");
    let mut run = Run::new(How::Native, [script.as_str()].iter().chain(words)).seconds(1200);
    for name in ["MIRROR", "SUITE", "PACKAGES", "http_proxy", "https_proxy"] {
        if let Ok(value) = std::env::var(name) {
            run = run.variable(name, value);
        }
    }
    run.variable("CACHE", format!("{root}/target/packages")).variable("DEADLINE", "900").output()
}

/// The lines of a listing. None is left out: two runs of real root differ in none either.
fn listing(file: &str) -> BTreeSet<String> {
    let text = fs::read_to_string(file).unwrap_or_else(|error| panic!("{file}: {error}"));
    text.lines().map(str::to_owned).collect()
}

/// Fails, with what differs, unless the listing is the one that real root's tree has.
fn compare(scratch: &Scratch, native: &BTreeSet<String>, name: &str) {
    let ours = listing(&scratch.file(&format!("{name}.list")));
    let expected: Vec<_> = native.difference(&ours).take(50).collect();
    let found: Vec<_> = ours.difference(native).take(50).collect();
    let differ = (native.difference(&ours).count(), ours.difference(native).count());
    assert!(
        expected.is_empty() && found.is_empty(),
        "{name} {differ:?}: real root: {expected:#?}\nremainroot: {found:#?}"
    );
}

#[test]
fn a_debian_tree_with_packages_is_the_one_real_root_would_have_made_and_stays_that() {
    if !common::needs_root() {
        return;
    }
    let scratch = Scratch::new("tree");
    let work = scratch.path().to_str().expect("the path is text");
    let prepared = rootfs(&["prepare", work]);
    if prepared.code() == CANNOT {
        common::skip(Lack::Kernel, &prepared.stderr);
        return;
    }
    prepared.success();
    rootfs(&["native", work, "native"]).success();
    let native = listing(&scratch.file("native.list"));
    assert!(native.len() > 10_000, "real root's tree has only {} paths", native.len());

    let binary = common::remainroot().to_str().expect("the path is text");
    rootfs(&["oneid", work, "made", binary]).success();
    compare(&scratch, &native, "made");
    for report in ["audit", "complaints"] {
        let report = fs::read_to_string(scratch.file(&format!("made.{report}"))).expect("it was written");
        assert_eq!(report, "", "what the installation reports");
    }
    // Each of these is another run of remainroot.
    let again = |name: &str, step: &str, argument: &str| {
        rootfs(&["oneid", work, name, binary, step, argument]).success();
    };
    let list = |name: &str, list: &str| {
        again(name, "list", list);
        compare(&scratch, &native, list);
    };
    list("made", "in a second run");
    for mounted in ["after a copy-up", "after another mount"] {
        let layer = rootfs(&["oneid", work, "layer", binary, "layer", "made"]);
        if layer.code() == CANNOT {
            common::skip(Lack::Kernel, &format!("in part: {}", layer.stderr));
            break;
        }
        layer.success();
        fs::rename(scratch.file("layer.list"), scratch.file(&format!("{mounted}.list")))
            .expect("it was made");
        compare(&scratch, &native, mounted);
    }
    fs::rename(scratch.file("made"), scratch.file("renamed")).expect("nothing is mounted there");
    list("renamed", "after the tree was renamed");
    again("renamed", "copy", "");
    list("renamed.copied", "after a copy by cp");
    again("unpacked", "unpack", "renamed.tar");
    list("unpacked", "after a round trip through tar");
    // The image that is made of it is for machines where nothing is remembered.
    rootfs(&["native", work, "image", "unpack", "renamed.tar"]).success();
    rootfs(&["native", work, "image", "list", "as an image"]).success();
    compare(&scratch, &native, "as an image");
}
