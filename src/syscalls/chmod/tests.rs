use super::*;
use crate::abi::Abi;
use crate::cred::Credentials;
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{Files, chown, shown, user};

fn with_file() -> Files {
    let files = Files::default();
    files.make("/file", 0o100_644);
    files.open(5, "/file");
    files
}

/// The call, run by the kernel where it may.
fn chmod(guest: &mut FakeGuest, files: &Files, mode: u16) -> SysResult {
    let path = Files::at(guest, "/file");
    match guest.verdict(Abi::X86_64, "chmod", &[path, mode.into()]) {
        Verdict::Reply(result) => result,
        Verdict::Run => {
            files.edit("/file", |node| node.mode = 0o100_000 | mode);
            Ok(0)
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn root_leaves_its_own_files_to_the_kernel() {
    let files = with_file();
    let mut guest = files.guest(Credentials::root());
    let verdict = guest.verdict(Abi::X86_64, "fchmod", &[5, 0o755]);
    assert!(matches!(verdict, Verdict::Run), "{verdict:?}");
}

#[test]
fn set_id_bits_that_the_kernel_takes_at_roots_next_write_are_remembered() {
    let files = with_file();
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chmod(&mut guest, &files, 0o4755), Ok(0));
    assert_eq!(files.node("/file").mode, 0o104_755, "the kernel has them too");
    files.edit("/file", |node| node.mode = 0o100_755);
    assert_eq!(shown(&mut guest, &files, "/file"), (0, 0, 0o104_755));
    assert_eq!(chmod(&mut guest, &files, 0o4775), Ok(0));
    files.edit("/file", |node| node.mode = 0o100_775);
    let other = "who else may write it has lost them";
    assert_eq!(shown(&mut guest, &files, "/file"), (0, 0, 0o100_775), "{other}");
}

#[test]
fn only_the_emulated_owner_may() {
    let files = with_file();
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    guest.credentials = user(9).into();
    assert_eq!(chmod(&mut guest, &files, 0o600), Err(Errno::EPERM));
    guest.credentials = user(7).into();
    assert_eq!(chmod(&mut guest, &files, 0o600), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o100_600));
}

#[test]
fn s_isgid_is_lost_outside_the_group_silently() {
    let files = with_file();
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    guest.credentials = user(7).into();
    assert_eq!(chmod(&mut guest, &files, 0o6755), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o104_755));
    guest.credentials = Credentials { fsgid: crate::cred::Gid(8), ..user(7) }.into();
    assert_eq!(chmod(&mut guest, &files, 0o6755), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o106_755));
}

#[test]
fn the_mode_of_an_inode_not_ours_is_remembered_and_later_changed() {
    let files = with_file();
    files.edit("/file", |node| (node.uid, node.gid) = (65534, 65534));
    let mut guest = files.guest(Credentials::root());
    for mode in [0o600, 0o2755, 0o644] {
        assert_eq!(chmod(&mut guest, &files, mode), Ok(0));
        assert_eq!(shown(&mut guest, &files, "/file"), (0, 0, 0o100_000 | mode));
        assert_eq!(files.node("/file").mode, 0o100_644);
    }
    assert!(guest.ownership.is_empty(), "0644 is what the kernel has");
}

#[test]
fn a_bit_the_kernel_dropped_for_an_unknown_group_is_remembered() {
    let files = with_file();
    files.edit("/file", |node| node.gid = 65534);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chmod(&mut guest, &files, 0o2755), Ok(0));
    assert_eq!(files.node("/file").mode, 0o100_755);
    assert_eq!(shown(&mut guest, &files, "/file"), (0, 0, 0o102_755));
}

#[test]
fn errors_are_the_kernels_and_in_its_order() {
    let files = with_file();
    let mut guest = files.guest(Credentials::root());
    assert_eq!(guest.sys("chmod", &[0x10, 0o600]), Err(Errno::EFAULT));
    assert_eq!(guest.sys("fchmod", &[9, 0o600]), Err(Errno::EBADF));
    let path = Files::at(&mut guest, "/file");
    assert_eq!(guest.sys("fchmodat2", &[0, path, 0o600, 0x2]), Err(Errno::EINVAL));
    files.set_read_only();
    guest.credentials = user(7).into();
    assert_eq!(chmod(&mut guest, &files, 0o600), Err(Errno::EROFS));
}

#[test]
fn a_frozen_inode_keeps_its_mode() {
    let files = with_file();
    files.edit("/file", |node| (node.uid, node.attributes) = (65534, 0x10));
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chmod(&mut guest, &files, 0o600), Err(Errno::EPERM));
}

#[test]
fn fchmodat_ignores_a_fourth_argument_and_fchmodat2_passes_it_on() {
    let files = with_file();
    files.edit("/file", |node| node.uid = 65534);
    let mut guest = files.guest(Credentials::root());
    let path = Files::at(&mut guest, "/file");
    assert_eq!(guest.sys("fchmodat", &[0, path, 0o600, 0xFFFF]), Ok(0));
    assert_eq!(guest.sys("fchmodat2", &[0, path, 0o600, 0x100]), Ok(0));
    let calls: Vec<&str> = guest.injected.iter().map(|(name, _)| *name).collect();
    let moves_ctime = "fchownat";
    let expected =
        [["statx", "fchmodat", moves_ctime, "statx"], ["statx", "fchmodat2", moves_ctime, "statx"]];
    assert_eq!(calls, expected.concat());
}
