use super::super::fake::FakeGuest;
use crate::abi::{Abi, Errno};
use crate::cred::{CapSet, Credentials, Gid};

/// The last bytes before an unmapped page.
const END: u64 = 0x3000;

/// Root with `bytes` ending where the mapping ends, and their address.
fn with_list(bytes: &[u8]) -> (FakeGuest, u64) {
    let mut guest = FakeGuest::new();
    let at = END - bytes.len() as u64;
    guest.memory.map(at, bytes);
    (guest, at)
}

fn list(ids: &[u32]) -> Vec<u8> {
    ids.iter().flat_map(|id| id.to_le_bytes()).collect()
}

fn grouped(ids: &[u32]) -> Credentials {
    Credentials::root().setgroups(ids.iter().copied().map(Gid).collect())
}

#[test]
fn setgroups_sorts_what_it_reads() {
    let (mut guest, at) = with_list(&list(&[70000, 4, 4, 0]));
    assert_eq!(guest.sys("setgroups", &[4, at]), Ok(0));
    assert_eq!(&guest.credentials.groups[..], [0, 4, 4, 70000].map(Gid));
}

#[test]
fn setgroups16_reads_two_bytes_an_id() {
    let (mut guest, at) = with_list(&[5, 0, 0xFE, 0xFF, 4, 0]);
    assert_eq!(guest.reply(Abi::I386, "setgroups16", &[3, at]), Ok(0));
    assert_eq!(&guest.credentials.groups[..], [4, 5, 65534].map(Gid));
    let (mut guest, at) = with_list(&[5, 0, 0xFF, 0xFF]);
    assert_eq!(guest.reply(Abi::I386, "setgroups16", &[2, at]), Err(Errno::EINVAL));
}

#[test]
fn no_groups_at_all_need_no_list() {
    let mut guest = FakeGuest::with(grouped(&[5]));
    assert_eq!(guest.sys("setgroups", &[0, 0]), Ok(0));
    assert_eq!(guest.credentials.groups.len(), 0);
}

#[test]
fn setgroups_asks_for_the_capability_then_the_count_then_the_list() {
    let mut plain = FakeGuest::with(Credentials { effective: CapSet::EMPTY, ..Credentials::root() });
    let mut root = FakeGuest::new();
    for (count, errno) in [(65537, Errno::EINVAL), (u64::MAX, Errno::EINVAL), (65536, Errno::EFAULT)] {
        assert_eq!(plain.sys("setgroups", &[count, 0]), Err(Errno::EPERM), "{count}");
        assert_eq!(root.sys("setgroups", &[count, 0]), Err(errno), "{count}");
    }
    assert_eq!(root.commits + plain.commits, 0);
}

#[test]
fn an_id_of_minus_one_and_a_fault_decide_by_which_comes_first() {
    let (mut guest, at) = with_list(&list(&[1, u32::MAX]));
    assert_eq!(guest.sys("setgroups", &[3, at]), Err(Errno::EINVAL));
    let (mut guest, at) = with_list(&list(&[1, 2]));
    assert_eq!(guest.sys("setgroups", &[3, at]), Err(Errno::EFAULT));
}

#[test]
fn the_longest_list_may_lie_anywhere_in_a_page() {
    let ids: Vec<u32> = (0..65536).rev().collect();
    for offset in [0, 1, 2, 4095] {
        let mut guest = FakeGuest::new();
        guest.memory.map(0x10000 + offset, &list(&ids));
        assert_eq!(guest.sys("setgroups", &[65536, 0x10000 + offset]), Ok(0));
        assert!(guest.credentials.groups.iter().copied().eq((0..65536).map(Gid)));
    }
}

#[test]
fn getgroups_of_size_0_counts_and_otherwise_wants_room_for_all() {
    let mut guest = FakeGuest::with(grouped(&[5, 70000]));
    guest.memory.map(END - 12, &[0xAA; 12]);
    assert_eq!(guest.sys("getgroups", &[0, 0]), Ok(2));
    assert_eq!(guest.sys("getgroups", &[1, END - 12]), Err(Errno::EINVAL));
    assert_eq!(guest.sys("getgroups", &[M1, END - 12]), Err(Errno::EINVAL));
    assert_eq!(guest.sys("getgroups", &[0x7FFF_FFFF, 0]), Err(Errno::EFAULT));
    assert_eq!(guest.sys("getgroups", &[0x7FFF_FFFF, END - 12]), Ok(2));
    let mut seen = [0; 12];
    guest.memory.read(END - 12, &mut seen).expect("mapped");
    assert_eq!(seen[..], [list(&[5, 70000]), vec![0xAA; 4]].concat());
}

const M1: u64 = 0xFFFF_FFFF;

#[test]
fn getgroups16_shows_what_does_not_fit_as_the_overflow_id() {
    let mut guest = FakeGuest::with(grouped(&[5, 70000]));
    guest.memory.map(END - 6, &[0xAA; 6]);
    assert_eq!(guest.reply(Abi::I386, "getgroups16", &[2, END - 6]), Ok(2));
    let mut seen = [0; 6];
    guest.memory.read(END - 6, &mut seen).expect("mapped");
    assert_eq!(seen, [5, 0, 0xFE, 0xFF, 0xAA, 0xAA]);
}

#[test]
fn getgroups_without_groups_writes_nowhere() {
    assert_eq!(FakeGuest::new().sys("getgroups", &[10, 0]), Ok(0));
}
