//! Why the kernel did not execute a command: what the command's file names in turn may be missing.

use std::ffi::{CStr, CString, OsStr};
use std::fs::File;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access};

use super::Failure;
use crate::sys::{self, Errno};

/// So many scripts may be each other's interpreters (`BINPRM` in the kernel).
const DEPTH: u32 = 5;
/// The kernel looks no further for an interpreter's name (`BINPRM_BUF_SIZE`).
const LINE: usize = 256;

/// What is said of a command that execvp(3) refused so.
pub(super) fn failure(file: &CStr, errno: Errno) -> Failure {
    let found = find(Path::new(OsStr::from_bytes(file.to_bytes())));
    let command = file.to_string_lossy().into_owned();
    // execvp(3) says EACCES as well when another directory of PATH may not be searched.
    let missing = found.as_deref().filter(|path| is_executable(path)).and_then(|path| missing(path, DEPTH));
    match (errno, found) {
        (Errno::ENOENT | Errno::EACCES, Some(_)) if missing.is_some() => {
            Failure::Exec { command, errno: Errno::ENOENT, cause: missing }
        }
        (Errno::EACCES, Some(path)) => Failure::Exec { command, errno, cause: denied(&path) },
        (Errno::EACCES, None) => Failure::Exec { command, errno: Errno::ENOENT, cause: None },
        (errno, _) => Failure::Exec { command, errno, cause: None },
    }
}

/// Whether a file may be executed, or leads nowhere.
fn is_executable(path: &Path) -> bool {
    access(path, AccessFlags::X_OK) != Err(Errno::EACCES)
}

/// The file that a command's name means, in a directory of PATH where the name has no slash.
fn find(name: &Path) -> Option<PathBuf> {
    if name.as_os_str().as_bytes().contains(&b'/') {
        return std::fs::symlink_metadata(name).is_ok().then(|| name.to_owned());
    }
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|path| path.exists())
}

/// What is missing of a file that is there.
fn missing(path: &Path, depth: u32) -> Option<String> {
    if !path.exists() {
        return Some("the symbolic link leads to nothing".to_owned());
    }
    let name = path.display();
    match needed(path)? {
        Needed::Interpreter(interpreter) if interpreter.exists() => depth
            .checked_sub(1)
            .filter(|_| is_executable(&interpreter))
            .and_then(|depth| missing(&interpreter, depth)),
        Needed::Interpreter(interpreter) => {
            let shown = interpreter.to_string_lossy().replace('\r', "\\r");
            let cure = match shown.ends_with("\\r") {
                true => "its lines end as on DOS; sed -i 's/\\r$//' mends that",
                false => "install it, or name another in the script's first line",
            };
            Some(format!("the interpreter {shown} of the script {name} is not found: {cure}"))
        }
        Needed::Loader(loader) if loader.exists() => None,
        Needed::Loader(loader) => Some(format!(
            "the loader {} of the program {name} is not found: {}",
            loader.display(),
            package(&loader)
        )),
    }
}

/// Where a loader comes from.
fn package(loader: &Path) -> &'static str {
    let name = loader.file_name().unwrap_or_default().to_string_lossy();
    match &*name {
        "ld-linux.so.2" => {
            "it is a 32-bit program; install its C library (Debian: libc6:i386, Fedora: glibc.i686)"
        }
        name if name.starts_with("ld-musl") => {
            "it is made for musl; install that (Debian, Fedora: musl), or use a static program"
        }
        _ => {
            "it is made for another C library or architecture; install that library (Alpine: gcompat), or use a static program"
        }
    }
}

/// Why a file may not be executed.
fn denied(path: &Path) -> Option<String> {
    let name = path.display();
    let metadata = path.metadata().ok()?;
    if metadata.is_dir() {
        return Some("it is a directory".to_owned());
    }
    if !is_executable(path) {
        let noexec = CString::new(path.as_os_str().as_bytes())
            .ok()
            .and_then(|path| sys::process::is_noexec(&path).ok());
        return Some(match noexec {
            Some(true) => {
                "its filesystem is mounted noexec: copy it elsewhere, or mount -o remount,exec".to_owned()
            }
            _ => format!("it is not marked as executable: chmod +x {name}"),
        });
    }
    match needed(path)? {
        Needed::Interpreter(other) | Needed::Loader(other) if !is_executable(&other) => {
            Some(format!("{}, which is to interpret it, may not be executed", other.display()))
        }
        _ => None,
    }
}

/// What has to be there for a file to be executed.
#[derive(Debug, PartialEq, Eq)]
enum Needed {
    /// Of a script's first line.
    Interpreter(PathBuf),
    /// Of an ELF program.
    Loader(PathBuf),
}

fn needed(path: &Path) -> Option<Needed> {
    // Nobody may ever come to the other end of a FIFO.
    let open = || File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path).ok();
    let file = path.metadata().is_ok_and(|found| found.is_file()).then(open).flatten()?;
    let mut head = [0; LINE];
    let length = file.read_at(&mut head, 0).ok()?;
    let head = head.get(..length)?;
    if let Some(line) = head.strip_prefix(b"#!") {
        return interpreter(line).map(Needed::Interpreter);
    }
    let at = |offset, length: u64| {
        let mut bytes = vec![0; usize::try_from(length.min(4096)).ok()?];
        file.read_exact_at(&mut bytes, offset).ok().map(|()| bytes)
    };
    loader(head, at).map(Needed::Loader)
}

fn interpreter(line: &[u8]) -> Option<PathBuf> {
    let line = line.split(|&byte| byte == b'\n').next()?;
    let mut words = line.split(|byte| b" \t\0".contains(byte)).filter(|word| !word.is_empty());
    words.next().map(|word| PathBuf::from(OsStr::from_bytes(word)))
}

/// The path in a program header of type `PT_INTERP` (elf(5)); `at` reads the file.
fn loader(head: &[u8], at: impl Fn(u64, u64) -> Option<Vec<u8>>) -> Option<PathBuf> {
    const PT_INTERP: u64 = 3;
    let head = head.starts_with(b"\x7fELF").then_some(head)?;
    let is_wide = head.get(4) == Some(&2);
    let number = |bytes: &[u8], offset: usize, length: usize| {
        let bytes = bytes.get(offset..offset.checked_add(length)?)?;
        Some(bytes.iter().rev().fold(0_u64, |number, &byte| number << 8 | u64::from(byte)))
    };
    // e_phoff, e_phentsize and e_phnum; p_offset and p_filesz.
    let (table, size, count) = match is_wide {
        true => (number(head, 32, 8)?, number(head, 54, 2)?, number(head, 56, 2)?),
        false => (number(head, 28, 4)?, number(head, 42, 2)?, number(head, 44, 2)?),
    };
    for index in 0..count {
        let header = at(table.checked_add(index * size)?, size)?;
        if number(&header, 0, 4)? == PT_INTERP {
            let (offset, length) = match is_wide {
                true => (number(&header, 8, 8)?, number(&header, 32, 8)?),
                false => (number(&header, 4, 4)?, number(&header, 16, 4)?),
            };
            let path = at(offset, length)?;
            let path = path.split(|&byte| byte == 0).next()?;
            return Some(PathBuf::from(OsStr::from_bytes(path)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_word_of_a_scripts_first_line_is_its_interpreter() {
        let is = |line: &[u8], path: &str| assert_eq!(interpreter(line), Some(path.into()), "{line:?}");
        is(b" /bin/sh -e\nexit", "/bin/sh");
        is(b"/bin/sh\r\n", "/bin/sh\r");
        is(b"\t/usr/bin/env\tperl", "/usr/bin/env");
        assert_eq!(interpreter(b"\n/bin/sh"), None);
        assert_eq!(interpreter(b""), None);
    }

    /// An ELF head with one program header of this type behind it, and a path behind that.
    fn program(is_wide: bool, kind: u8, length: u8) -> Vec<u8> {
        let (head, size) = if is_wide { (64_usize, 56_usize) } else { (52, 32) };
        let mut file = vec![0; head + size];
        file[..5].copy_from_slice(&[0x7f, b'E', b'L', b'F', 1 + u8::from(is_wide)]);
        let (table, entry, count) = if is_wide { (32, 54, 56) } else { (28, 42, 44) };
        (file[table], file[entry], file[count]) = (head as u8, size as u8, 1);
        let (offset, filesz) = if is_wide { (8, 32) } else { (4, 16) };
        (file[head], file[head + offset], file[head + filesz]) = (kind, (head + size) as u8, length);
        file.extend(b"/lib/ld.so\0");
        file
    }

    #[test]
    fn a_programs_loader_is_read_from_its_headers_and_nonsense_is_none() {
        let of = |file: &[u8]| {
            let at = |offset: u64, length: u64| {
                let (from, length) = (usize::try_from(offset).ok()?, usize::try_from(length).ok()?);
                Some(file.get(from..from.checked_add(length)?)?.to_vec())
            };
            loader(&file[..file.len().min(LINE)], at)
        };
        for is_wide in [false, true] {
            assert_eq!(of(&program(is_wide, 3, 11)), Some("/lib/ld.so".into()));
            assert_eq!(of(&program(is_wide, 1, 11)), None);
            assert_eq!(of(&program(is_wide, 3, 200)), None, "longer than the file");
            let whole = program(is_wide, 3, 11);
            for length in 0..whole.len() - 1 {
                assert_eq!(of(&whole[..length]), None, "cut at {length}");
            }
        }
    }
}
