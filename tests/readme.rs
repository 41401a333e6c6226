//! Each block of commands in README.md, run as it stands there. `tests/readme/play` makes the place that a block is for.
//!
//! Not part of plain `cargo test` (`test = false` in Cargo.toml): it needs a package archive and container tools.
#![allow(clippy::expect_used, clippy::panic)] // a helper of a test is a test

mod common;
#[path = "containers/stage.rs"]
mod stage;

use std::fs;
use std::path::{Path, PathBuf};

use common::{How, Place, Run, Scratch};

/// A block between fences: its heading, its number below that heading and its language are its name.
#[derive(Debug)]
struct Block {
    name: String,
    text: String,
}

/// The blocks of README.md. Each is named in a test below.
const BLOCKS: [&str; 14] = [
    "remainroot 1 console",
    "Install 1 console",
    "In a Containerfile 1 dockerfile",
    "In a Containerfile 2 console",
    "In a Containerfile 3 console",
    "In a Containerfile 4 toml",
    "podman, buildah, docker run 1 console",
    "CI 1 yaml",
    "CI 2 yaml",
    "CI 3 yaml",
    "Packages and images 1 console",
    "bubblewrap, runc, Charliecloud, HPC 1 console",
    "When it does not work 1 console",
    "When it does not work 2 console",
];

fn blocks() -> Vec<Block> {
    let (mut found, mut heading, mut nth) = (vec![], "", 0);
    let mut open: Option<Block> = None;
    for line in include_str!("../README.md").lines() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(language)) => {
                nth += 1;
                open = Some(Block { name: format!("{heading} {nth} {language}"), text: String::new() });
            }
            (Some(_), Some(_)) => found.extend(open.take()),
            (Some(block), None) => block.text.extend([line, "\n"]),
            (None, None) => {
                if let Some(title) = line.strip_prefix("# ").or_else(|| line.strip_prefix("## ")) {
                    (heading, nth) = (title, 0);
                }
            }
        }
    }
    found
}

/// The text of the block of this name, which must be one of [`BLOCKS`].
fn text(name: &str) -> String {
    assert!(BLOCKS.contains(&name), "{name:?} is not in the list");
    let found = blocks().into_iter().find(|block| block.name == name);
    found.unwrap_or_else(|| panic!("README.md has no block {name:?}")).text
}

/// The commands of a session, and what it says they print.
fn session(name: &str) -> (String, String) {
    let (mut commands, mut said) = (String::new(), String::new());
    for line in text(name).lines() {
        match line.strip_prefix("$ ") {
            Some(command) => commands.extend([command, "\n"]),
            None => said.extend([line, "\n"]),
        }
    }
    (commands, said)
}

/// The lines of a list or of a text in YAML, below a key.
fn below(yaml: &str, key: &str) -> String {
    let after = yaml.split_once(key).unwrap_or_else(|| panic!("no {key:?} in:\n{yaml}")).1;
    let lines = after.lines().skip(1).take_while(|line| line.starts_with("    "));
    lines.map(|line| format!("{}\n", line.trim_start().trim_start_matches("- "))).collect()
}

/// Plays the place `name` of `tests/readme/play` with `files` of this content in it. It must print `expected`, after
/// whatever the commands themselves print.
fn play(name: &str, programs: &[&str], files: &[(&str, &str)], expected: &str) {
    let scratch = Scratch::new("readme");
    let written: Vec<(PathBuf, &str)> = files
        .iter()
        .map(|(to, content)| {
            let from = scratch.path().join(to.replace('/', "-"));
            fs::write(&from, content).expect("the directory is new");
            (from, *to)
        })
        .collect();
    let files: Vec<(&Path, &str)> = written.iter().map(|(from, to)| (from.as_path(), *to)).collect();
    let Some(found) = stage::play("readme/play", &[name], programs, &files) else { return };
    let right =
        found.as_ref().is_ok_and(|output| output.status.success() && output.stdout.ends_with(expected));
    assert!(right, "{name}\nexpected at the end:\n{expected}\nfound: {found:#?}");
}

#[test]
fn every_block_is_in_the_list() {
    let found: Vec<String> = blocks().into_iter().map(|block| block.name).collect();
    assert_eq!(found, BLOCKS);
}

#[test]
fn the_first_lines_say_what_it_is() {
    let (commands, said) = session("remainroot 1 console");
    play("user", &[], &[("commands", &commands)], &said);
}

const PODMAN: [&str; 3] = ["podman", "buildah", "crun"];

#[test]
fn images_are_built_from_a_containerfile() {
    let (commands, said) = session("In a Containerfile 2 console");
    let (file, storage) = (text("In a Containerfile 1 dockerfile"), text("In a Containerfile 4 toml"));
    let (export, _) = session("In a Containerfile 3 console");
    let files = [
        ("commands", commands.as_str()),
        ("export", export.as_str()),
        ("context/Containerfile", file.as_str()),
        ("storage.conf", storage.as_str()),
    ];
    let said = format!("{said}0/101 usr/bin/ssh-agent\n");
    play("containerfile", &PODMAN, &files, &said);
}

#[test]
fn a_container_is_run() {
    let (commands, _) = session("podman, buildah, docker run 1 console");
    let storage = text("In a Containerfile 4 toml");
    play("run", &PODMAN, &[("commands", &commands), ("storage.conf", &storage)], "installed\n");
}

#[test]
fn a_job_of_gitlab_installs_packages() {
    let (commands, storage) = (below(&text("CI 1 yaml"), "script:"), text("In a Containerfile 4 toml"));
    play("gitlab", &PODMAN, &[("commands", &commands), ("storage.conf", &storage)], "root:_ssh\n");
}

/// A project of which `make install` installs a file in a directory `srv`.
const MAKEFILE: &str =
    "all:\n\techo hello >hello\ninstall: all\n\tinstall -D -m 640 -o 0 -g 42 hello $(DESTDIR)/srv/hello\n";

/// Runs the commands in a place where no namespace with capabilities can be made, in a project; says what is in the archive.
fn project(words: &[&str], archive: &str) {
    if !common::needs_root() || !common::has(&["make"]) {
        return;
    }
    let scratch = Scratch::new("readme");
    fs::write(scratch.path().join("Makefile"), MAKEFILE).expect("the directory is new");
    fs::copy(common::remainroot(), scratch.path().join("remainroot")).expect("it can be read");
    let run = |words: &[&str]| {
        Run::new(How::Namespace, words)
            .place(Place::NoNamespace)
            .directory(scratch.path())
            .seconds(120)
            .output()
            .success()
    };
    run(words);
    let listed = run(&["tar", "tvf", archive, "--numeric-owner"]);
    let owner = |name: &str| {
        let line = listed
            .lines()
            .find(|line| line.ends_with(name))
            .unwrap_or_else(|| panic!("{name} in:\n{listed}"));
        line.split_whitespace().take(2).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(
        (owner("./srv/"), owner("./srv/hello")),
        ("drwxr-xr-x 33/33".to_owned(), "-rw-r----- 33/33".to_owned())
    );
}

#[test]
fn a_step_of_github_makes_an_archive() {
    project(&["sh", "-ec", &below(&text("CI 2 yaml"), "run: |")], "root.tar.gz");
}

#[test]
fn a_pod_of_kubernetes_makes_an_archive() {
    let yaml = text("CI 3 yaml");
    let line = yaml
        .lines()
        .find_map(|line| line.trim_start().strip_prefix("command: "))
        .expect("the pod has a command");
    let words: Vec<String> = serde_json::from_str(line).expect("the command is a list of texts");
    project(&words.iter().map(String::as_str).collect::<Vec<_>>(), "root.tar");
}

#[test]
fn packages_and_images_are_built() {
    let (commands, _) = session("Packages and images 1 console");
    let programs = ["dpkg-buildpackage", "rpmbuild", "makepkg", "mksquashfs"];
    play("packages", &programs, &[("commands", &commands)], "built\n");
}

#[test]
fn other_containers_install_packages() {
    let (commands, _) = session("bubblewrap, runc, Charliecloud, HPC 1 console");
    play("others", &["bwrap", "ch-run"], &[("commands", &commands)], "installed\n");
}

#[test]
fn what_a_place_lacks_is_said() {
    let (commands, _) = session("When it does not work 1 console");
    play("check", &[], &[("commands", &commands)], "said\n");
}

#[test]
fn what_was_done_and_refused_is_said() {
    let (commands, _) = session("When it does not work 2 console");
    play("explain", &[], &[("commands", &commands)], "explained\n");
}
