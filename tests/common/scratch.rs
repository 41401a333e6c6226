//! Directories and programs that an unprivileged user can reach.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use super::NOBODY;
use super::skip::{Lack, skip};

/// A new directory that belongs to the unprivileged user; removed when dropped.
#[derive(Debug)]
pub struct Scratch(PathBuf);

impl Scratch {
    /// Makes one; `name` is for people.
    pub fn new(name: &str) -> Scratch {
        Scratch::below(&std::env::temp_dir(), name)
    }

    /// Makes one in the directory `base`.
    pub fn below(base: &Path, name: &str) -> Scratch {
        static COUNT: AtomicUsize = AtomicUsize::new(0);
        let unique = format!("{}-{}", std::process::id(), COUNT.fetch_add(1, Ordering::Relaxed));
        let path = base.join(format!("remainroot-{name}-{unique}"));
        fs::create_dir(&path).unwrap_or_else(|error| panic!("cannot make {}: {error}", path.display()));
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        if nix::unistd::geteuid().is_root() {
            chown(&path, Some(NOBODY), Some(NOBODY)).unwrap();
        }
        Scratch(path)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// A path below it, as text for a command line.
    pub fn file(&self, name: &str) -> String {
        self.0.join(name).to_str().expect("the path is text").to_owned()
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if fs::remove_dir_all(&self.0).is_err() {
            // A guest may have left directories that only root could list.
            let _ = Command::new("chmod").args(["-R", "u+rwx"]).arg(&self.0).output();
            let _ = fs::remove_dir_all(&self.0); // what is left is in the temporary directory
        }
    }
}

/// Compiles `tests/SOURCE` with gcc and more `flags` to `name` below `into`; `None`, said on stderr,
/// where there is no such compiler.
pub fn compile(into: &Scratch, source: &str, flags: &[&str]) -> Option<String> {
    compile_to(into.path(), source, flags)
}

fn compile_to(into: &Path, source: &str, flags: &[&str]) -> Option<String> {
    let input = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(source);
    let stem = input.file_stem().and_then(|stem| stem.to_str()).expect("the name is text");
    let output = into.join(stem).to_str().expect("the path is text").to_owned();
    let mut gcc = Command::new("gcc");
    gcc.args(["-O1", "-Wall", "-Werror", "-pthread", "-o"]).arg(&output).arg(&input).args(flags);
    let Ok(done) = gcc.output() else {
        skip(Lack::Program, "needs gcc");
        return None;
    };
    let complaint = String::from_utf8_lossy(&done.stderr);
    if !done.status.success() && flags.contains(&"-m32") && complaint.contains("No such file") {
        skip(Lack::Program, "needs gcc for 32-bit programs (gcc-multilib)");
        return None;
    }
    assert!(done.status.success(), "{source}: {complaint}");
    Some(output)
}

/// What tests put something else in the place of, in roots of their own.
const REPLACED: [&str; 4] = ["/var", "/run", "/root", "/srv"];

/// The program itself where everyone may reach it by its usual name, from whatever root a test makes; else a copy.
pub fn reachable(program: &Path) -> &'static Path {
    static COPY: OnceLock<PathBuf> = OnceLock::new();
    COPY.get_or_init(|| {
        let open = |path: &Path| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 1 != 0);
        let stays =
            program.ends_with("remainroot") && !REPLACED.iter().any(|below| program.starts_with(below));
        if stays && program.ancestors().all(open) {
            return program.to_owned();
        }
        let copy = copies().join("remainroot");
        fs::copy(program, &copy).unwrap();
        fs::set_permissions(&copy, fs::Permissions::from_mode(0o755)).unwrap();
        copy
    })
}

/// A program of the tests' own, compiled for as long as this test process lives.
pub fn build(source: &str) -> Option<PathBuf> {
    compile_to(copies(), source, &[]).map(PathBuf::from)
}

/// A directory that everyone may reach. It stays until the next test process removes it.
fn copies() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        remove_stale_copies();
        let directory = std::env::temp_dir().join(format!("{COPIES}{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        directory
    })
}

/// What the directories of copies begin with; the id of their test process follows.
const COPIES: &str = "remainroot-copy-";

/// Removes copies whose test process is gone: a test process has no moment at which it ends.
fn remove_stale_copies() {
    for entry in fs::read_dir(std::env::temp_dir()).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let owner = name.to_str().and_then(|name| name.strip_prefix(COPIES));
        if owner.is_some_and(|owner| !Path::new("/proc").join(owner).exists()) {
            let _ = fs::remove_dir_all(entry.path()); // another user's is not ours to remove
        }
    }
}
