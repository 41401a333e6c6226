use super::*;
use crate::abi::Abi;
use crate::cred::{CapSet, Credentials};
use crate::syscalls::files::{Files, chown, shown, user};

const KEEP: u32 = u32::MAX;

fn with_file(mode: u16) -> Files {
    let files = Files::default();
    files.make("/file", 0o100_000 | mode);
    files.open(5, "/file");
    files
}

#[test]
fn chown_of_one_id_leaves_the_other() {
    let files = with_file(0o644);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, KEEP), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 0, 0o100_644));
    assert_eq!(chown(&mut guest, "/file", KEEP, 8), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o100_644));
}

#[test]
fn every_form_of_chown_gives_the_file_away() {
    let forms: [(Abi, &str); 4] =
        [(Abi::X86_64, "lchown"), (Abi::I386, "chown16"), (Abi::I386, "lchown16"), (Abi::I386, "chown")];
    for (abi, name) in forms {
        let files = with_file(0o644);
        let mut guest = files.guest(Credentials::root());
        let path = Files::at(&mut guest, "/file");
        assert_eq!(guest.reply(abi, name, &[path, 7, 8]), Ok(0), "{name}");
        assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o100_644), "{name}");
    }
    for name in ["fchown", "fchown16"] {
        let files = with_file(0o644);
        let mut guest = files.guest(Credentials::root());
        assert_eq!(guest.reply(Abi::I386, name, &[5, 7, 8]), Ok(0), "{name}");
        assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o100_644), "{name}");
    }
}

#[test]
fn in_16_bits_ffff_leaves_an_id() {
    let files = with_file(0o644);
    let mut guest = files.guest(Credentials::root());
    let path = Files::at(&mut guest, "/file");
    assert_eq!(guest.reply(Abi::I386, "chown16", &[path, 0xFFFF, 0x1_0008]), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file"), (0, 8, 0o100_644));
}

#[test]
fn errors_of_the_path_and_the_filesystem_are_the_kernels() {
    let files = with_file(0o644);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/absent", 7, 8), Err(Errno::ENOENT));
    assert_eq!(guest.sys("chown", &[0x10, 7, 8]), Err(Errno::EFAULT));
    assert_eq!(guest.sys("fchown", &[9, 7, 8]), Err(Errno::EBADF));
    let path = Files::at(&mut guest, "/file");
    assert_eq!(guest.sys("fchownat", &[0, path, 7, 8, 0x1]), Err(Errno::EINVAL));
    files.set_read_only();
    assert_eq!(chown(&mut guest, "/file", 7, 8), Err(Errno::EROFS));
    assert!(guest.ownership.is_empty());
    guest.credentials = user(7).into();
    assert_eq!(chown(&mut guest, "/file", 7, 8), Err(Errno::EROFS), "before EPERM");
}

#[test]
fn a_dropped_process_cannot_give_files_away_or_take_them() {
    let files = with_file(0o644);
    let mut guest = files.guest(user(7));
    assert_eq!(chown(&mut guest, "/file", 7, 7), Err(Errno::EPERM));
    assert_eq!(chown(&mut guest, "/file", 0, 0), Err(Errno::EPERM));
    assert_eq!(files.node("/file").ctime, files.node("/file").birth, "and nothing was touched");
    assert_eq!(guest.sys("fchown", &[5, 7, 7]), Err(Errno::EPERM));
}

#[test]
fn the_owner_may_give_it_to_a_group_of_his() {
    let files = with_file(0o644);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, 100), Ok(0));
    guest.credentials = Credentials { groups: [Gid(20)].into(), ..user(7) }.into();
    assert_eq!(chown(&mut guest, "/file", KEEP, 20), Ok(0));
    assert_eq!(chown(&mut guest, "/file", KEEP, 21), Err(Errno::EPERM));
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 20, 0o100_644));
}

#[test]
fn set_id_bits_go_for_root_too() {
    let files = with_file(0o6755);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o100_755));
    assert_eq!(files.node("/file").mode, 0o100_755, "for real");
}

#[test]
fn set_id_bits_of_an_inode_not_ours_are_remembered_as_gone() {
    let files = with_file(0o6755);
    files.edit("/file", |node| (node.uid, node.gid) = (65534, 65534));
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 0, 0), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file"), (0, 0, 0o100_755));
    assert_eq!(files.node("/file").mode, 0o106_755);
}

#[test]
fn what_the_kernel_can_do_it_does() {
    let files = with_file(0o644);
    let mut guest = files.guest(Credentials::root());
    let path = Files::at(&mut guest, "/file");
    let verdict = guest.verdict(Abi::X86_64, "chown", &[path, 0, 0]);
    assert!(matches!(verdict, Verdict::Run), "{verdict:?}");
    guest.credentials = Credentials { effective: CapSet::EMPTY, ..Credentials::root() }.into();
    assert_eq!(guest.sys("chown", &[path, 0, 0]), Ok(0), "it is his already");
    assert_eq!(guest.sys("chown", &[path, 0, 1]), Err(Errno::EPERM));
}

#[test]
fn a_frozen_inode_is_nobodys_to_give() {
    let files = with_file(0o644);
    files.edit("/file", |node| node.attributes = 0x10);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Err(Errno::EPERM));
}

#[test]
fn what_nobody_can_look_at_gets_only_an_owner_that_the_kernel_knows() {
    let files = with_file(0o644);
    let mut guest = files.guest(Credentials::root());
    guest.filters.push(None);
    guest.refuses = true;
    assert_eq!(guest.sys("fchown", &[5, 7, 8]), Err(Errno::EPERM));
    let verdict = guest.verdict(Abi::X86_64, "fchown", &[5, 0, u64::from(KEEP)]);
    assert!(matches!(verdict, Verdict::Run), "{verdict:?}");
    assert!(guest.injected.is_empty());
}

#[test]
fn a_file_that_is_copied_up_by_the_change_keeps_what_was_known() {
    let files = with_file(0o644);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, KEEP), Ok(0));
    files.set_copies_up();
    assert_eq!(chown(&mut guest, "/file", KEEP, 8), Ok(0));
    assert_ne!(files.node("/file").birth, 1);
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o100_644));
}

#[test]
fn root_is_not_judged_before_it_gives_all_away_and_so_costs_two_calls() {
    let files = with_file(0o644);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    let calls: Vec<&str> = guest.injected.iter().map(|(name, _)| *name).collect();
    assert_eq!(calls, ["fchownat", "statx"]);
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o100_644));
    assert_eq!(guest.injected.len(), 2, "and the next stat need not look");
}

#[test]
fn in_a_namespace_that_maps_more_ids_the_kernel_gives_to_those() {
    let files = with_file(0o644);
    let mut guest = files.guest(Credentials::root());
    guest.view.uids = crate::cred::IdMap::parse("0 100000 50");
    let path = Files::at(&mut guest, "/file");
    let verdict = guest.verdict(Abi::X86_64, "chown", &[path, 33, 0]);
    assert!(matches!(verdict, Verdict::Run), "{verdict:?}");
    assert_eq!(guest.sys("chown", &[path, 33, 33]), Ok(0), "no such group");
    assert_eq!(guest.sys("chown", &[path, 50, 0]), Ok(0), "no such user");
}

#[test]
fn without_a_namespace_the_kernel_gives_nothing_away() {
    let files = with_file(0o644);
    files.edit("/file", |node| (node.uid, node.gid) = (1000, 1000));
    let mut guest = files.guest(Credentials::root());
    (guest.view.kernel_uid, guest.view.kernel_gid) = (1000, 1000);
    guest.view.uids = crate::cred::IdMap::parse("0 0 4294967295");
    guest.view.gids = guest.view.uids.clone();
    assert_eq!(chown(&mut guest, "/file", 1000, 0), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file"), (1000, 0, 0o100_644));
    let path = Files::at(&mut guest, "/file");
    assert_eq!(guest.sys("chown", &[path, 0, 0]), Ok(0));
    assert!(guest.ownership.is_empty());
}

#[test]
fn a_chowner_who_may_not_change_modes_is_judged_even_where_the_kernel_could() {
    let files = with_file(0o4755);
    let mut guest = files.guest(Credentials { effective: CapSet::of(&[Cap::CHOWN]), ..user(9) });
    assert_eq!(chown(&mut guest, "/file", 0, 0), Err(Errno::EPERM));
    assert_eq!(files.node("/file").mode, 0o104_755);
}
