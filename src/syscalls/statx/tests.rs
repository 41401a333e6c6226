use super::*;
use crate::abi::Abi;
use crate::cred::Credentials;
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{BUFFER, Files, chown, statx as bytes_of};

/// Owner and group that a statx shows when the kernel filled `mask`.
fn shown(guest: &mut FakeGuest, files: &Files, mask: u32) -> (u32, u32) {
    let mut bytes = bytes_of(&files.node("/file"));
    bytes[..4].copy_from_slice(&mask.to_le_bytes());
    if mask & Statx::INO == 0 {
        bytes[32..40].fill(0);
    }
    guest.memory.map(BUFFER, &bytes);
    let path = Files::at(guest, "/file");
    assert_eq!(guest.finish(Abi::X86_64, "statx", &[0, path, 0, u64::from(mask), BUFFER], Ok(0)), Ok(0));
    let mut after = [0; Statx::SIZE];
    guest.memory.read(BUFFER, &mut after).unwrap();
    bytes[20..28].copy_from_slice(&after[20..28]);
    assert_eq!(bytes, after, "nothing but the owner was written");
    (STATX.read(&after).uid, STATX.read(&after).gid)
}

#[test]
fn a_statx_with_a_birth_time_needs_no_second_look() {
    let files = Files::default();
    files.make("/file", 0o100_644);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    let looks = guest.injected.len();
    assert_eq!(shown(&mut guest, &files, Statx::MASK), (7, 8));
    assert_eq!(guest.injected.len(), looks);
}

#[test]
fn a_statx_that_was_asked_for_less_is_looked_up() {
    let files = Files::default();
    files.make("/file", 0o100_644);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    assert_eq!(shown(&mut guest, &files, Statx::MASK & !Statx::BTIME), (7, 8));
    assert_eq!(shown(&mut guest, &files, Statx::MASK & !Statx::INO), (7, 8));
    assert_eq!(shown(&mut guest, &files, 0), (7, 8));
}
