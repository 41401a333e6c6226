//! A root file system with packages in it, made by real root and made by an unprivileged user under remainroot, is the
//! same tree: every path, type, mode, owner and link target. `scripts/rootfs` says what is made and how.
//!
//! Not part of plain `cargo test` (`test = false` in Cargo.toml): it takes minutes and a package archive.
#![allow(clippy::expect_used, clippy::panic, clippy::print_stderr)] // a helper of a test is a test

mod common;

use std::collections::BTreeSet;
use std::fs;

use common::{How, Output, Run, Scratch};

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

#[test]
fn a_debian_tree_with_packages_is_the_one_real_root_would_have_made() {
    if !common::needs_root() {
        return;
    }
    let scratch = Scratch::new("tree");
    let work = scratch.path().to_str().expect("the path is text");
    let prepared = rootfs(&["prepare", work]);
    if prepared.code() == CANNOT {
        eprintln!("skipped: {}", prepared.stderr);
        return;
    }
    prepared.success();
    rootfs(&["native", work, "native"]).success();
    let binary = common::remainroot().to_str().expect("the path is text");
    rootfs(&["oneid", work, "oneid", binary]).success();

    let (native, ours) = (listing(&scratch.file("native.list")), listing(&scratch.file("oneid.list")));
    assert!(native.len() > 10_000, "real root's tree has only {} paths", native.len());
    let expected: Vec<_> = native.difference(&ours).take(50).collect();
    let found: Vec<_> = ours.difference(&native).take(50).collect();
    assert!(expected.is_empty() && found.is_empty(), "real root: {expected:#?}\nremainroot: {found:#?}");
    for report in ["audit", "complaints"] {
        let report = fs::read_to_string(scratch.file(&format!("oneid.{report}"))).expect("it was written");
        assert_eq!(report, "", "what the installation reports");
    }
}
