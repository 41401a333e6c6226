//! What `scripts/release` makes: the same files whoever makes them, and packages that install beside others.
//!
//! Not part of plain `cargo test` (`test = false` in Cargo.toml): it builds the release twice and needs a package archive.
#![allow(clippy::expect_used, clippy::panic)] // a helper of a test is a test

mod common;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use common::{How, Lack, Output, PATIENCE, Run, Scratch, has, needs_root, skip};

/// Seconds that the files are dated with.
const EPOCH: &str = "1700000000";

/// Copies what a checkout has to `place`.
fn copy_sources(place: &Path) {
    let script = "mkdir -p \"$1\" && tar c --exclude=./target --exclude=./.git . | tar x --touch -C \"$1\"";
    let place = place.to_str().expect("the path is text");
    let run = Run::new(How::Native, ["sh", "-c", script, "sh", place]);
    run.directory(Path::new(env!("CARGO_MANIFEST_DIR"))).seconds(60).output().success();
}

/// The first line that a program of the toolchain says.
fn said(program: &str, words: &[&str]) -> String {
    let output = Command::new(program).args(words).output().expect("there is a toolchain");
    String::from_utf8_lossy(&output.stdout).lines().next().unwrap_or_default().to_owned()
}

/// Where the toolchain is, and what it has downloaded.
fn toolchain() -> (String, String) {
    let home = std::env::var("CARGO_HOME");
    let home = home.unwrap_or_else(|_| format!("{}/.cargo", std::env::var("HOME").expect("there is a home")));
    (said("rustc", &["--print", "sysroot"]), home)
}

/// The machine's own release, made by root where these tests are root's; `None`, said as a skip, where tools are missing.
fn release() -> Option<&'static Path> {
    static MADE: OnceLock<PathBuf> = OnceLock::new();
    if !has(&["dpkg-deb", "rpmbuild", "gcc"]) {
        return None;
    }
    Some(MADE.get_or_init(|| {
        let place = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/release-test");
        let _ = fs::remove_dir_all(&place); // of an earlier run, if any
        copy_sources(&place.join("source"));
        let (sysroot, home) = toolchain();
        let script = format!("PATH={sysroot}/bin:$PATH CARGO_HOME={home} scripts/release \"$PWD/../files\"");
        let run = Run::shell(How::Native, &script).directory(&place.join("source")).seconds(400);
        run.variable("SOURCE_DATE_EPOCH", EPOCH).output().success();
        place.join("files")
    }))
}

/// Each file below a directory, with what is in it.
fn contents(directory: &Path) -> BTreeMap<String, Vec<u8>> {
    let entries = fs::read_dir(directory).expect("it was made").map(|entry| entry.expect("it can be read"));
    let named = |entry: fs::DirEntry| {
        let name = entry.file_name().into_string().expect("names are text");
        (name, fs::read(entry.path()).expect("it can be read"))
    };
    entries.map(named).collect()
}

#[test]
fn a_release_is_the_same_whoever_makes_it_where_and_when() {
    if !needs_root() {
        return;
    }
    let Some(first) = release() else { return };
    let scratch = Scratch::new("another-place-with-a-longer-name");
    copy_sources(&scratch.path().join("deep/below/the source"));
    let (sysroot, home) = toolchain();
    // Another user, who finds the toolchain and the crates elsewhere, and has other habits: blanks in paths, for one.
    let script = format!(
        "chown -R 65534:65534 {0} && mkdir {0}/toolchain {0}/crates && mount --bind {sysroot} {0}/toolchain && \
         mount --bind {home} {0}/crates && cd {0}/deep && umask 077 && \
         exec setpriv --reuid=65534 --regid=65534 --clear-groups env HOME={0} TMPDIR={0} CARGO_HOME={0}/crates \
         TZ=Asia/Tokyo PATH={0}/toolchain/bin:$PATH 'below/the source/scripts/release' ../files",
        scratch.path().display()
    );
    let run = Run::new(How::Native, ["unshare", "-m", "sh", "-c", &script]).seconds(400);
    run.variable("SOURCE_DATE_EPOCH", EPOCH).output().success();
    let (first, second) = (contents(first), contents(&scratch.path().join("files")));
    assert_eq!(first.keys().collect::<Vec<_>>(), second.keys().collect::<Vec<_>>());
    let differ: Vec<&String> = first.keys().filter(|name| first[*name] != second[*name]).collect();
    assert!(differ.is_empty(), "these differ: {differ:?}");
    assert!(!scratch.path().join(".rpmdb").exists(), "rpmbuild left a database in its user's home");
}

#[test]
fn a_release_is_one_static_stripped_program_and_what_belongs_to_it() {
    let Some(files) = release() else { return };
    let version = env!("CARGO_PKG_VERSION");
    let names: Vec<String> = contents(files).into_keys().collect();
    let expected = [
        "SHA256SUMS".to_owned(),
        "THIRD-PARTY-LICENCES".to_owned(),
        format!("remainroot-{version}-1.x86_64.rpm"),
        format!("remainroot-{version}-x86_64-linux"),
        format!("remainroot-{version}-x86_64-linux.tar.gz"),
        format!("remainroot_{version}-1_amd64.deb"),
    ];
    assert_eq!(names, expected);
    Run::new(How::Native, ["sha256sum", "--check", "--quiet", "SHA256SUMS"])
        .directory(files)
        .output()
        .success();
    let program = files.join(&expected[3]);
    let metadata = fs::metadata(&program).expect("it was made");
    assert!(metadata.len() <= 5_000_000 && metadata.permissions().mode() & 0o777 == 0o755, "{metadata:?}");
    let bytes = fs::read(&program).expect("it can be read");
    let has = |word: &str| bytes.windows(word.len()).any(|window| window == word.as_bytes());
    assert!(
        !has("/.cargo/registry") && !has(env!("CARGO_MANIFEST_DIR")),
        "no path of the builder's is in it"
    );
    // In a root that holds nothing else.
    let root = Scratch::new("empty-root");
    fs::copy(&program, root.path().join("remainroot")).expect("the directory is writable");
    let words = ["chroot", root.path().to_str().expect("the path is text"), "/remainroot", "--version"];
    let version = Run::new(How::Namespace, words).output().success();
    assert_eq!(version, format!("remainroot {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn every_crate_that_is_linked_in_has_its_licence_told() {
    let Some(files) = release() else { return };
    let text = fs::read_to_string(files.join("THIRD-PARTY-LICENCES")).expect("it was made");
    let rule = "=".repeat(100);
    let mut sections = text.split(rule.as_str());
    let opening = sections.next().expect("there is an opening");
    assert!(["SQLite", "GNU C Library", "Rust standard library"].iter().all(|name| opening.contains(name)));
    let sections: Vec<&str> = sections.collect();
    for crate_ in ["clap_builder", "libsqlite3-sys", "nix", "prost"] {
        let named = |section: &&str| section.trim_start().starts_with(&format!("{crate_} "));
        assert!(sections.iter().any(named), "{crate_} is missing");
    }
    let without: Vec<&str> = sections.iter().copied().filter(|section| !section.contains("\n-- ")).collect();
    assert!(without.is_empty(), "no text of the licence: {without:?}");
}

#[test]
fn both_packages_have_the_same_files_all_of_them_roots() {
    let Some(files) = release() else { return };
    let version = env!("CARGO_PKG_VERSION");
    let listed = |words: &[&str]| {
        // rpm makes a database of its own in its user's home.
        let home = Scratch::new("release-home");
        let run = Run::new(How::Native, words).directory(files).variable("HOME", home.path());
        let lines = run.output().success();
        let lines = lines.lines().filter(|line| !line.starts_with('d')).map(|line| {
            let (file, target) = line.split_once(" -> ").map_or((line, ""), |(file, target)| (file, target));
            let mut words = file.split_whitespace();
            let mode = words.next().unwrap_or_default().to_owned();
            let owner = words.next().unwrap_or_default().to_owned();
            (
                file.rsplit([' ']).next().unwrap_or_default().trim_start_matches('.').to_owned(),
                mode,
                owner,
                target,
            )
        });
        let shared = |path: &str| {
            !["/usr/share/doc", "/usr/share/licenses", "/usr/share/lintian"]
                .iter()
                .any(|own| path.starts_with(own))
        };
        let mut found: Vec<String> = lines
            .filter(|(path, ..)| shared(path))
            .map(|(path, mode, owner, target)| {
                format!("{mode} {owner} {} {target}", path.replace("vendor-completions", "site-functions"))
            })
            .collect();
        found.sort();
        found
    };
    let debian = listed(&["dpkg-deb", "-c", &format!("remainroot_{version}-1_amd64.deb")]);
    let format = "[%{FILEMODES:perms} %{FILEUSERNAME}/%{FILEGROUPNAME} %{FILENAMES} -> %{FILELINKTOS}\n]";
    let redhat =
        listed(&["rpm", "-qp", "--queryformat", format, &format!("remainroot-{version}-1.x86_64.rpm")]);
    assert!(debian.len() == 7 && debian.iter().all(|line| line.contains(" root/root ")), "{debian:?}");
    assert_eq!(debian, redhat);
    if has(&["lintian"]) {
        let deb = format!("remainroot_{version}-1_amd64.deb");
        let words = ["lintian", "--allow-root", "--fail-on=error,warning", &deb];
        Run::new(How::Native, words).directory(files).seconds(400).output().success();
    }
}

#[test]
fn a_stranger_installs_uses_and_removes_the_package() {
    if !needs_root() || !has(&["mmdebstrap"]) {
        return;
    }
    let Some(files) = release() else { return };
    let scratch = Scratch::new("stranger");
    let deb = files.join(format!("remainroot_{}-1_amd64.deb", env!("CARGO_PKG_VERSION")));
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/release/stranger");
    let words = [Path::new("sh"), &script, scratch.path(), &deb];
    let said = Run::new(How::Native, words).seconds(400).output().success();
    let expected = format!(
        "== manual\n/usr/share/man/man1/remainroot.1.gz\n/usr/share/man/man1/fakeroot-remainroot.1.gz\n\
         REMAINROOT(1) User Commands REMAINROOT(1)\nNAME\nSYNOPSIS\nDESCRIPTION\nOPTIONS\nEXAMPLES\nFILES\nENVIRONMENT\n\
         EXIT STATUS\nNOTES\nSEE ALSO\n\
         == completion\ncomplete -F _remainroot remainroot\n\
         == used\nremainroot {0}\n0\n33:34\n\
         == beside fakeroot\n/usr/bin/fakeroot-sysv\n/usr/bin/fakeroot-remainroot - priority 1\n  \
         slave fakeroot.1.gz: /usr/share/man/man1/fakeroot-remainroot.1.gz\n\
         fakeroot version 1.31 (remainroot {0})\n5:6\n/usr/share/man/man1/fakeroot-remainroot.1.gz\n/usr/bin/fakeroot-sysv\n\
         == instead of fakeroot\n/usr/bin/fakeroot-remainroot\n\
         == removed\nupdate-alternatives: error: no alternatives for fakeroot\n",
        env!("CARGO_PKG_VERSION")
    );
    assert_eq!(said, expected);
}

/// `scripts/demo` with a program in remainroot's place that does what `script` says.
fn demo(scratch: &Scratch, script: &str) -> Run {
    let program = scratch.file("program");
    fs::write(&program, format!("#!/bin/sh\n{script}\n")).expect("the directory is writable");
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).expect("it is ours");
    fs::create_dir(scratch.path().join("tmp")).expect("the directory is writable");
    let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("scripts/demo");
    let mut run = Run::new(How::Native, [demo]).variable("REMAINROOT", program).seconds(300);
    for name in ["MIRROR", "SUITE", "http_proxy", "https_proxy"] {
        if let Some(value) = std::env::var_os(name) {
            run = run.variable(name, value);
        }
    }
    run.variable("TMPDIR", scratch.file("tmp")).variable("CACHE", scratch.file("cache"))
}

/// Whether a run of the demo says that this machine cannot do it, which is a skip.
fn cannot(output: &Output) -> bool {
    let cannot = output.code() == 2 && output.stderr.contains("scripts/demo: this machine cannot do it: ");
    if cannot {
        skip(Lack::Kernel, &output.stderr);
    }
    cannot
}

/// What a run left of its directories.
fn left(scratch: &Scratch) -> Vec<String> {
    let entries = fs::read_dir(scratch.path().join("tmp")).expect("it is there").flatten();
    entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

#[test]
fn a_demo_that_fails_says_so_and_names_its_log() {
    let scratch = Scratch::new("demo");
    let output = demo(&scratch, "echo it is broken >&2; exit 3").output();
    if cannot(&output) {
        return;
    }
    let last = output.stdout.lines().next_back().unwrap_or_default();
    assert!(output.code() == 1 && last.starts_with("FAIL after "), "{output:?}");
    let log = last.rsplit(' ').next().unwrap_or_default();
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join(log);
    let text = fs::read_to_string(&log).unwrap_or_else(|error| panic!("{}: {error}", log.display()));
    assert!(text.contains("it is broken"), "{text}");
    assert_eq!(left(&scratch), Vec::<String>::new());
}

#[test]
fn a_demo_that_is_interrupted_leaves_nothing_behind() {
    let scratch = Scratch::new("demo");
    let begun = scratch.file("begun");
    // No other process sleeps for exactly this long.
    let sleep = format!("sleep 86396.{}", std::process::id());
    let running = demo(&scratch, &format!("{sleep} & echo > {begun}; wait")).start();
    let pid = running.pid();
    let until = Instant::now() + Duration::from_secs(240) * PATIENCE;
    while !Path::new(&begun).exists() && !running.processes().is_empty() && Instant::now() < until {
        std::thread::sleep(Duration::from_millis(20));
    }
    if fs::remove_file(&begun).is_err() {
        let output = running.finish();
        assert!(cannot(&output), "the program never began: {output:?}");
        return;
    }
    let pid = nix::unistd::Pid::from_raw(i32::try_from(pid).expect("ids are small"));
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGTERM).expect("it runs");
    let output = running.finish();
    assert_eq!(output.code(), 143, "{output:?}");
    let asleep = format!("{}\0", sleep.replace(' ', "\0")).into_bytes();
    let sleeps =
        |entry: &fs::DirEntry| fs::read(entry.path().join("cmdline")).is_ok_and(|line| line == asleep);
    assert!(!fs::read_dir("/proc").expect("it is mounted").flatten().any(|entry| sleeps(&entry)));
    assert!(
        output.stderr.ends_with(" s\n") && output.stderr.contains("FAIL: interrupted after "),
        "{output:?}"
    );
    assert_eq!(left(&scratch), Vec::<String>::new());
}
