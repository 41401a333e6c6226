//! The program that performs scripts of calls; its grammar is in `tests/probe/probe.c`.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use super::Scratch;

/// The way a sequence's calls enter the kernel; each belongs to one build of the probe.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Entry {
    /// `syscall` in a 64-bit program.
    Syscall,
    /// The same as a C library makes it: by an instruction of its own for each number.
    Sites,
    /// `int $0x80` in a 64-bit program.
    Int80In64,
    /// `int $0x80` in a 32-bit program.
    Int80,
    /// The vdso's way in a 32-bit program.
    Vdso,
}

impl Entry {
    /// All of them, those of one build beside each other.
    pub const ALL: [Entry; 5] = [Entry::Syscall, Entry::Sites, Entry::Int80In64, Entry::Int80, Entry::Vdso];

    /// The build that it belongs to.
    pub fn program(self) -> &'static str {
        match self {
            Entry::Syscall | Entry::Sites | Entry::Int80In64 => "./probe64",
            Entry::Int80 | Entry::Vdso => "./probe32",
        }
    }

    /// The line of a script that asks for it.
    pub fn line(self) -> &'static str {
        match self {
            Entry::Syscall | Entry::Int80 => "entry native",
            Entry::Sites => "entry sites",
            Entry::Int80In64 => "entry int80",
            Entry::Vdso => "entry vdso",
        }
    }
}

/// Puts `probe64` and `probe32` into a directory.
pub fn probes(into: &Scratch) {
    static BUILDS: OnceLock<[Vec<u8>; 2]> = OnceLock::new();
    let builds = BUILDS.get_or_init(|| ["-m64", "-m32"].map(compile));
    for (name, build) in ["probe64", "probe32"].iter().zip(builds) {
        let path = into.file(name);
        fs::write(&path, build).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }
}

/// Builds the probe; it needs no libc, so gcc alone builds it for 32 bits too.
fn compile(width: &str) -> Vec<u8> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/probe");
    let build = Scratch::new("build");
    let mut gcc = Command::new("gcc");
    gcc.args(["-std=c11", "-O1", "-Wall", "-Wextra", "-Werror", "-ffreestanding", "-nostdlib", width]);
    gcc.args(["-static", "-fno-pie", "-no-pie", "-fno-stack-protector", "-fcf-protection=none"]);
    gcc.arg("-o")
        .arg(build.file("probe"))
        .args(["probe.c", "task.c", "operand.c", "files.c"].map(|part| source.join(part)));
    let done = gcc.output().expect("the probe needs gcc");
    assert!(done.status.success(), "{}", String::from_utf8_lossy(&done.stderr));
    fs::read(build.file("probe")).unwrap()
}
