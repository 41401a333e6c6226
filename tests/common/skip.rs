//! Tests that cannot run here. A skip is no pass: each is said on stderr, and written where `scripts/test` adds them up.

use std::fs::OpenOptions;
use std::io::Write;

/// The variable that names the file to which a line is added for each skip: its kind, the test, and the reason.
const FILE: &str = "REMAINROOT_SKIPS";

/// What is missing. `scripts/test` allows no skip for want of what it installs itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lack {
    /// A program or library that `scripts/test` installs.
    Program,
    /// Something that the running kernel, or the machine around it, does not have or allow.
    Kernel,
    /// Real root.
    Root,
    /// What remainroot does not do yet, and a list beside the test names.
    Work,
    /// What the place that [`super::place`] chose does not give.
    Place,
}

/// Says that the running test is skipped, and why.
pub fn skip(lack: Lack, reason: &str) {
    // The test harness names each test's thread after it.
    let thread = std::thread::current();
    let test = thread.name().unwrap_or("?");
    let program = std::env::args_os().next().unwrap_or_default();
    let program =
        std::path::Path::new(&program).file_name().unwrap_or_default().to_string_lossy().into_owned();
    let target = program.rsplit_once('-').map_or(program.as_str(), |(target, _)| target);
    eprintln!("skipped: {reason}");
    let Some(file) = std::env::var_os(FILE) else { return };
    let mut file = OpenOptions::new().append(true).create(true).open(file).expect("the file of skips");
    let place = std::env::var(super::place::VARIABLE).unwrap_or_else(|_| "everywhere".to_owned());
    // One write: tests run beside each other.
    let line = format!("{lack:?}\t{target}::{test}\t{place}\t{}\n", reason.replace(['\n', '\t'], " "));
    file.write_all(line.as_bytes()).expect("a skip is noted");
}
