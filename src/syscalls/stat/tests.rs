use super::*;
use crate::abi::stat::Ctime;
use crate::cred::{Credentials, Gid, Uid};
use crate::ownership::Device;
use crate::syscalls::files::{BUFFER, DEV, Files, chown, shown, stat as bytes_of};

fn root() -> Credentials {
    Credentials::root()
}

#[test]
fn a_stat_without_a_fact_is_left_as_the_kernel_made_it() {
    let files = Files::default();
    files.make("/file", 0o100_644);
    let mut guest = files.guest(root());
    guest.memory.map_read_only(BUFFER, &bytes_of(&files.node("/file")));
    let address = Files::at(&mut guest, "/file");
    assert_eq!(guest.finish(Abi::X86_64, "stat", &[address, BUFFER], Ok(0)), Ok(0));
    assert!(guest.injected.is_empty());
}

#[test]
fn a_chown_is_seen_by_stat_and_looked_up_once() {
    let files = Files::default();
    files.make("/file", 0o100_644);
    let mut guest = files.guest(root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o100_644));
    let looks = guest.injected.len();
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o100_644));
    assert_eq!(guest.injected.len(), looks, "the same ctime needs no second look");
    files.edit("/file", |node| node.ctime += 1);
    assert_eq!(shown(&mut guest, &files, "/file"), (7, 8, 0o100_644));
    assert_eq!(guest.injected.len(), looks + 1);
}

#[test]
fn an_unmapped_owner_is_roots_but_an_emulated_nobody_is_nobodys() {
    let files = Files::default();
    files.make("/hosts", 0o100_644);
    files.edit("/hosts", |node| (node.uid, node.gid) = (65534, 65534));
    let mut guest = files.guest(root());
    assert_eq!(shown(&mut guest, &files, "/hosts"), (0, 0, 0o100_644));
    assert_eq!(chown(&mut guest, "/hosts", 65534, u32::MAX), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/hosts"), (65534, 0, 0o100_644));
}

#[test]
fn a_reused_inode_number_does_not_inherit_an_owner() {
    let files = Files::default();
    files.make("/old", 0o100_644);
    let mut guest = files.guest(root());
    assert_eq!(chown(&mut guest, "/old", 7, 8), Ok(0));
    let ino = files.node("/old").ino;
    files.make("/new", 0o100_600);
    files.edit("/new", |node| node.ino = ino);
    assert_eq!(shown(&mut guest, &files, "/new"), (0, 0, 0o100_600));
    assert!(guest.ownership.is_empty());
}

#[test]
fn a_path_that_means_another_inode_by_now_does_not_change_the_answer() {
    let files = Files::default();
    files.make("/file", 0o100_644);
    let mut guest = files.guest(root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    let node = files.node("/file");
    guest.memory.map(BUFFER, &bytes_of(&node));
    files.make("/file", 0o100_600);
    let address = Files::at(&mut guest, "/file");
    assert_eq!(guest.finish(Abi::X86_64, "stat", &[address, BUFFER], Ok(0)), Ok(0));
    let mut bytes = [0; 144];
    guest.memory.read(BUFFER, &mut bytes).unwrap();
    assert_eq!(stat::X86_64.read(&bytes).uid, 7);
}

#[test]
fn errors_pass_and_a_buffer_that_vanished_is_efault() {
    let files = Files::default();
    let mut guest = files.guest(root());
    let error = Err(Errno::ENOTDIR);
    assert_eq!(guest.finish(Abi::X86_64, "lstat", &[0, BUFFER], error), error);
    assert_eq!(guest.finish(Abi::X86_64, "lstat", &[0, 0x10], Ok(0)), Err(Errno::EFAULT));
}

#[test]
fn the_oldest_stat_always_looks_and_shows_16_bits() {
    let files = Files::default();
    let ino = files.make("/file", 0o100_644);
    files.open(3, "/file");
    let mut guest = files.guest(root());
    assert_eq!(chown(&mut guest, "/file", 70_000, 8), Ok(0));
    let mut old = [0; 32];
    old[2..4].copy_from_slice(&(ino as u16).to_le_bytes());
    for (name, first) in [("oldfstat", 3), ("oldstat", Files::at(&mut guest, "/file"))] {
        guest.memory.map(BUFFER, &old);
        assert_eq!(guest.finish(Abi::I386, name, &[first, BUFFER], Ok(0)), Ok(0));
        let mut bytes = [0; 32];
        guest.memory.read(BUFFER, &mut bytes).unwrap();
        let reported = I386_OLD.read(&bytes);
        assert_eq!((reported.uid, reported.gid), (65534, 8), "{name}");
    }
}

#[test]
fn a_device_is_shown_with_its_type_its_number_and_no_length() {
    let files = Files::default();
    let ino = files.make("/dev/sda1", 0o100_660);
    files.edit("/dev/sda1", |node| node.length = 99);
    let mut guest = files.guest(root());
    let birth = i128::from(files.node("/dev/sda1").birth) * 1_000_000_000;
    let device = Some(Device { block: true, major: 8, minor: 1 });
    let fact = Fact { gid: Some(Gid(6)), device, ..Fact::default() };
    guest.ownership.change(Identity { dev: DEV, ino, birth }, |_| fact);
    assert_eq!(shown(&mut guest, &files, "/dev/sda1"), (0, 6, 0o060_660));
    let mut bytes = [0; 144];
    guest.memory.read(BUFFER, &mut bytes).unwrap();
    assert_eq!(bytes[40..48], 0x801_u64.to_le_bytes());
    assert_eq!(bytes[48..56], [0; 8]);
}

#[test]
fn without_a_namespace_the_guests_own_id_is_roots() {
    let files = Files::default();
    files.make("/own", 0o100_644);
    files.edit("/own", |node| (node.uid, node.gid) = (1000, 1000));
    let mut guest = files.guest(root());
    (guest.view.kernel_uid, guest.view.kernel_gid) = (1000, 1000);
    assert_eq!(shown(&mut guest, &files, "/own"), (0, 0, 0o100_644));
}

#[test]
fn a_fact_known_by_ctime_is_not_asked_for_again_even_by_another_abi() {
    let files = Files::default();
    files.make("/file", 0o100_644);
    let mut guest = files.guest(root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/file").0, 7);
    let node = files.node("/file");
    let answer = guest.ownership.ask(Inode { dev: DEV, ino: node.ino }, Some(Ctime(node.ctime << 32)));
    assert_eq!(answer, Answer::Known(Fact { uid: Some(Uid(7)), gid: Some(Gid(8)), ..Fact::default() }));
}

#[test]
fn what_lies_between_the_fields_is_not_written() {
    let files = Files::default();
    let ino = files.make("/file", 0o100_644);
    files.open(3, "/file");
    let mut guest = files.guest(root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    let mut narrow = [0; 64];
    narrow[..4].copy_from_slice(&(DEV as u32).to_le_bytes());
    narrow[4..8].copy_from_slice(&(ino as u32).to_le_bytes());
    narrow[8..10].copy_from_slice(&0o104_755_u16.to_le_bytes());
    guest.memory.map(BUFFER, &narrow);
    guest.memory.map_read_only(BUFFER + 10, &[3, 0]); // st_nlink, between mode and owner
    let identity = Identity { dev: DEV, ino, birth: i128::from(files.node("/file").birth) * 1_000_000_000 };
    guest.ownership.change(identity, |fact| Fact { mode: Some(0o755), ..fact.unwrap_or_default() });
    assert_eq!(guest.finish(Abi::I386, "fstat", &[3, BUFFER], Ok(0)), Ok(0));
    guest.memory.read(BUFFER, &mut narrow).unwrap();
    assert_eq!(narrow[8..16], [0xED, 0x81, 3, 0, 7, 0, 8, 0]);
}
