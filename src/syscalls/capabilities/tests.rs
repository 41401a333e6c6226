use std::sync::Arc;

use super::super::Verdict;
use super::super::fake::FakeGuest;
use crate::abi::{Abi, Errno};
use crate::cred::{Cap, CapSet, Credentials};

const V1: u32 = 0x1998_0330;
const V2: u32 = 0x2007_1026;
const V3: u32 = 0x2008_0522;
const HEADER: u64 = 0x1000;
const DATA: u64 = 0x2000;

/// Root, with this header and three words or six as data.
fn guest(version: u32, pid: i32, data: &[u32]) -> FakeGuest {
    let mut guest = FakeGuest::new();
    guest.memory.map(HEADER, &[version.to_le_bytes(), pid.to_le_bytes()].concat());
    guest.memory.map(DATA, &data.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>());
    guest
}

fn word(guest: &FakeGuest, at: u64) -> u32 {
    let mut bytes = [0; 4];
    guest.memory.read(at, &mut bytes).expect("mapped");
    u32::from_le_bytes(bytes)
}

fn words(guest: &FakeGuest) -> [u32; 6] {
    [0, 1, 2, 3, 4, 5].map(|index| word(guest, DATA + index * 4))
}

#[test]
fn capget_reports_effective_permitted_inheritable_in_low_then_high_halves() {
    let own = Credentials { effective: CapSet(1 << 40 | 2), inheritable: CapSet(4), ..Credentials::root() };
    for abi in Abi::ALL {
        for version in [V2, V3] {
            let mut guest = guest(version, 0, &[9; 6]);
            guest.credentials = Arc::new(own.clone());
            assert_eq!(guest.reply(abi, "capget", &[HEADER, DATA]), Ok(0));
            assert_eq!(words(&guest), [2, !0, 4, 0x100, 0x1ff, 0]);
        }
    }
}

#[test]
fn version_1_knows_only_the_low_half() {
    let mut guest = guest(V1, 0, &[9; 6]);
    assert_eq!(guest.sys("capget", &[HEADER, DATA]), Ok(0));
    assert_eq!(words(&guest), [!0, !0, 0, 9, 9, 9]);
    assert_eq!(guest.sys("capset", &[HEADER, DATA]), Ok(0));
    assert_eq!(guest.credentials.permitted, CapSet(0xffff_ffff), "the high half is dropped");
    assert_eq!(guest.credentials.effective, CapSet(0xffff_ffff));
}

#[test]
fn an_unknown_version_is_told_the_preferred_one() {
    for (name, data, outcome) in [
        ("capget", DATA, Err(Errno::EINVAL)),
        ("capget", 0, Ok(0)),
        ("capset", DATA, Err(Errno::EINVAL)),
        ("capset", 0, Err(Errno::EINVAL)),
    ] {
        let mut guest = guest(0, -5, &[0; 6]);
        assert_eq!(guest.sys(name, &[HEADER, data]), outcome, "{name} {data}");
        assert_eq!(word(&guest, HEADER), V3);
    }
}

#[test]
fn a_header_that_cannot_be_read_or_corrected_faults() {
    for name in ["capget", "capset"] {
        let mut guest = guest(V3, 0, &[0; 6]);
        assert_eq!(guest.sys(name, &[0, DATA]), Err(Errno::EFAULT));
        assert_eq!(guest.sys(name, &[0, 0]), Err(Errno::EFAULT));
        guest.memory.map_read_only(0x5000, &[0; 8]);
        assert_eq!(guest.sys(name, &[0x5000, DATA]), Err(Errno::EFAULT));
        guest.memory.map(0x6000, &V3.to_le_bytes());
        assert_eq!(guest.sys(name, &[0x6000, DATA]), Err(Errno::EFAULT), "no pid");
    }
}

#[test]
fn capget_without_data_looks_no_further_than_the_version() {
    let mut guest = guest(V3, -5, &[]);
    assert_eq!(guest.sys("capget", &[HEADER, 0]), Ok(0));
}

#[test]
fn data_that_faults_is_the_guests_fault() {
    let mut guest = guest(V3, 0, &[0; 3]);
    assert_eq!(guest.sys("capget", &[HEADER, DATA]), Err(Errno::EFAULT));
    assert_eq!(guest.sys("capset", &[HEADER, DATA]), Err(Errno::EFAULT));
    assert_eq!(guest.commits, 0);
}

#[test]
fn capget_knows_other_traced_tasks_and_leaves_the_rest_to_the_kernel() {
    let other = Credentials { permitted: CapSet(8), effective: CapSet::EMPTY, ..Credentials::root() };
    let mut traced = guest(V3, 77, &[9; 6]);
    traced.others.insert(77, Arc::new(other));
    assert_eq!(traced.sys("capget", &[HEADER, DATA]), Ok(0));
    assert_eq!(words(&traced), [0, 8, 0, 0, 0, 0]);
    let mut untraced = guest(V3, 78, &[9; 6]);
    let verdict = untraced.verdict(Abi::X86_64, "capget", &[HEADER, DATA]);
    assert!(matches!(verdict, Verdict::Run), "{verdict:?}");
    assert_eq!(guest(V3, -1, &[9; 6]).sys("capget", &[HEADER, DATA]), Err(Errno::EINVAL));
}

#[test]
fn capset_changes_the_caller_and_nobody_else() {
    let net = 1 << 13;
    let data = [net, net, 0, 0, 0, 0];
    let mut by_zero = guest(V3, 0, &data);
    assert_eq!(by_zero.sys("capset", &[HEADER, DATA]), Ok(0));
    assert_eq!(by_zero.credentials.permitted, CapSet::of(&[Cap::NET_RAW]));
    for (pid, outcome) in [(42, Ok(0)), (43, Err(Errno::EPERM)), (-1, Err(Errno::EPERM))] {
        let mut guest = guest(V3, pid, &data);
        guest.results.push_back(Ok(42));
        assert_eq!(guest.sys("capset", &[HEADER, DATA]), outcome, "{pid}");
        assert_eq!(guest.injected, [("gettid", [0; 6])]);
    }
}

#[test]
fn capset_of_more_than_one_has_is_refused() {
    let mut guest = guest(V3, 0, &[0, !0, 0, 0, !0, 0]);
    guest.credentials = Arc::new(Credentials { permitted: CapSet(8), ..Credentials::root() });
    assert_eq!(guest.sys("capset", &[HEADER, DATA]), Err(Errno::EPERM));
}
