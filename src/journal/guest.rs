//! What is read of a task for an event: from its memory, and from `/proc`, which tells of paths without looking at them.

use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;

use crate::sys::{self, Tid};

/// `AT_FDCWD`.
pub const HERE: i32 = -100;
/// The longest path.
const PATH_MAX: usize = 4096;
const PAGE: u64 = 4096;

/// Fills `into`; whether all of it could be read.
pub fn read(tid: Tid, address: u64, into: &mut [u8]) -> bool {
    let length = into.len();
    sys::memory::read(tid, address, into) == Ok(length)
}

/// The string at an address: its end, or the longest path's.
pub fn string(tid: Tid, address: u64) -> Option<Vec<u8>> {
    const PIECE: u64 = 256;
    let mut text = Vec::new();
    while text.len() < PATH_MAX {
        let from = address.checked_add(text.len() as u64)?;
        let mut piece = vec![0; PIECE.min(PAGE - from % PAGE) as usize];
        if !read(tid, from, &mut piece) {
            return None;
        }
        match piece.iter().position(|&byte| byte == 0) {
            Some(end) => {
                text.extend(piece.get(..end)?);
                return Some(text);
            }
            None => text.extend(piece),
        }
    }
    Some(text)
}

fn link(path: &str) -> Option<Vec<u8>> {
    std::fs::read_link(path).ok().map(|path| path.into_os_string().into_vec())
}

/// What a descriptor is open to.
pub fn descriptor(tid: Tid, number: i32) -> Option<Vec<u8>> {
    link(&format!("/proc/{tid}/fd/{number}"))
}

/// A task's root directory, where that is not the tracer's.
pub fn root(tid: Tid) -> Option<Vec<u8>> {
    link(&format!("/proc/{tid}/root")).filter(|root| root != b"/")
}

/// The file of a task's image.
pub fn image(tid: Tid) -> Option<Vec<u8>> {
    link(&format!("/proc/{tid}/exe"))
}

/// The first few arguments of a task's program.
pub fn words(tid: Tid) -> Vec<Vec<u8>> {
    const MOST: usize = 8;
    const LONGEST: usize = 256;
    let mut line = Vec::new();
    if let Ok(file) = File::open(format!("/proc/{tid}/cmdline")) {
        let _ = file.take(MOST as u64 * LONGEST as u64).read_to_end(&mut line); // what there is counts
    }
    let line = line.strip_suffix(b"\0").unwrap_or(&line);
    let cut = |word: &[u8]| word.get(..LONGEST).unwrap_or(word).to_vec();
    line.split(|&byte| byte == 0).take(MOST).map(cut).collect()
}

/// The path of a task's, from the tracer's root.
pub fn absolute(tid: Tid, directory: Option<i32>, path: &[u8]) -> Option<Vec<u8>> {
    let start = match path.first() {
        Some(b'/') => root(tid).unwrap_or_default(),
        _ => match directory {
            None | Some(HERE) => link(&format!("/proc/{tid}/cwd"))?,
            Some(number) => descriptor(tid, number)?,
        },
    };
    let mut whole = start;
    for part in path.split(|&byte| byte == b'/').filter(|part| !matches!(part, [] | [b'.'])) {
        if whole.last() != Some(&b'/') {
            whole.push(b'/');
        }
        whole.extend(part);
    }
    if whole.is_empty() {
        whole.push(b'/');
    }
    Some(whole)
}

/// The capabilities that a `security.capability` gives, as getcap(8) writes them.
pub fn capabilities(tid: Tid, value: u64, size: u64) -> String {
    let mut bytes = vec![0; size.min(24) as usize];
    if !read(tid, value, &mut bytes) {
        return "?".to_owned();
    }
    let word = |index: usize| {
        let word = bytes.get(4 * index..).and_then(<[u8]>::first_chunk).copied();
        u64::from(word.map_or(0, u32::from_le_bytes))
    };
    let permitted = word(1) | word(3) << 32;
    let inheritable = word(2) | word(4) << 32;
    let flag = |bit: bool, letter: &str| if bit { letter.to_owned() } else { String::new() };
    let flags = [flag(word(0) & 1 != 0, "e"), flag(inheritable != 0, "i"), flag(permitted != 0, "p")];
    format!("{}={}", names(permitted | inheritable).join(","), flags.concat())
}

/// The names of capabilities.
pub fn names(set: u64) -> Vec<String> {
    const NAMES: &str = "chown dac_override dac_read_search fowner fsetid kill setgid setuid setpcap linux_immutable \
        net_bind_service net_broadcast net_admin net_raw ipc_lock ipc_owner sys_module sys_rawio sys_chroot sys_ptrace \
        sys_pacct sys_admin sys_boot sys_nice sys_resource sys_time sys_tty_config mknod lease audit_write audit_control \
        setfcap mac_override mac_admin syslog wake_alarm block_suspend audit_read perfmon bpf checkpoint_restore";
    let names = NAMES.split_whitespace().enumerate();
    names.filter(|(number, _)| set >> number & 1 != 0).map(|(_, name)| format!("cap_{name}")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn file_capabilities_are_written_as_getcap_writes_them() {
        let value: Vec<u8> =
            [0x0200_0001_u32, 1 << 13, 0, 1 << 8, 0].into_iter().flat_map(u32::to_le_bytes).collect();
        let told = capabilities(std::process::id() as Tid, value.as_ptr() as u64, 20);
        assert_eq!(told, "cap_net_raw,cap_checkpoint_restore=ep");
    }

    #[test]
    fn a_string_ends_where_memory_does() {
        let tid = std::process::id() as Tid;
        assert_eq!(string(tid, c"abc".as_ptr() as u64), Some(b"abc".to_vec()));
        assert_eq!(string(tid, 16), None);
        assert_eq!(string(tid, u64::MAX), None);
    }
}
