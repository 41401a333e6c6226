use super::super::fake::FakeGuest;
use super::super::{Stage, Verdict};
use super::STOPS;
use crate::abi::{Abi, Errno};
use crate::cred::{CapSet, Credentials};

const CAP: u64 = 13;

/// Root, and what prctl makes of these arguments.
fn root(args: &[u64]) -> Result<u64, Errno> {
    FakeGuest::new().sys("prctl", args)
}

/// The same for a task without capabilities.
fn user(args: &[u64]) -> Result<u64, Errno> {
    let nothing = Credentials { permitted: CapSet::EMPTY, effective: CapSet::EMPTY, ..Credentials::root() };
    FakeGuest::with(nothing).sys("prctl", args)
}

#[test]
fn keepcaps_is_set_read_and_checked() {
    let mut guest = FakeGuest::new();
    assert_eq!(guest.sys("prctl", &[7]), Ok(0));
    assert_eq!(guest.sys("prctl", &[8, 1]), Ok(0));
    assert_eq!(guest.sys("prctl", &[7]), Ok(1));
    assert_eq!(guest.sys("prctl", &[27]), Ok(0x10), "it is a securebit");
    assert_eq!(guest.sys("prctl", &[8, 2]), Err(Errno::EINVAL));
    assert_eq!(guest.sys("prctl", &[8, 0]), Ok(0));
    assert_eq!(guest.sys("prctl", &[7]), Ok(0));
}

#[test]
fn the_bounding_set_is_read_by_anybody_and_cut_by_setpcap() {
    let mut guest = FakeGuest::new();
    assert_eq!(guest.sys("prctl", &[23, CAP]), Ok(1));
    assert_eq!(guest.sys("prctl", &[24, CAP]), Ok(0));
    assert_eq!(guest.sys("prctl", &[23, CAP]), Ok(0));
    assert_eq!(user(&[23, 40]), Ok(1));
    for option in [23, 24] {
        for cap in [41, 1 << 32, u64::MAX] {
            assert_eq!(root(&[option, cap]), Err(Errno::EINVAL), "{option} {cap}");
        }
    }
    assert_eq!(user(&[24, 41]), Err(Errno::EPERM));
}

#[test]
fn securebits_are_set_and_read_whole() {
    let mut guest = FakeGuest::new();
    assert_eq!(guest.sys("prctl", &[28, 0x2f]), Ok(0));
    assert_eq!(guest.sys("prctl", &[27]), Ok(0x2f));
    assert_eq!(guest.sys("prctl", &[28, 0]), Err(Errno::EPERM));
    assert_eq!(root(&[28, 1 << 12]), Err(Errno::EPERM));
    assert_eq!(user(&[28, 0]), Err(Errno::EPERM));
    assert_eq!(user(&[28, 0x100]), Ok(0));
}

#[test]
fn no_new_privs_is_one_way_and_wants_zeros() {
    let mut guest = FakeGuest::new();
    assert_eq!(guest.sys("prctl", &[39]), Ok(0));
    for args in [[38, 0, 0, 0, 0], [38, 2, 0, 0, 0], [38, 1, 1, 0, 0], [38, 1, 0, 1, 0], [38, 1, 0, 0, 1]] {
        assert_eq!(guest.sys("prctl", &args), Err(Errno::EINVAL), "{args:?}");
    }
    for args in [[39, 1, 0, 0, 0], [39, 0, 1, 0, 0], [39, 0, 0, 1, 0], [39, 0, 0, 0, 1]] {
        assert_eq!(guest.sys("prctl", &args), Err(Errno::EINVAL), "{args:?}");
    }
    assert_eq!(guest.sys("prctl", &[38, 1, 0, 0, 0, 9]), Ok(0), "there is no sixth argument");
    assert_eq!(guest.sys("prctl", &[39]), Ok(1));
    assert_eq!(guest.sys("prctl", &[38, 1]), Ok(0));
    assert_eq!(guest.commits, 1);
}

#[test]
fn ambient_is_raised_read_lowered_and_cleared() {
    let both = CapSet(1 << CAP | 1 << 40);
    let mut guest = FakeGuest::with(Credentials { inheritable: both, ..Credentials::root() });
    assert_eq!(guest.sys("prctl", &[47, 1, CAP]), Ok(0));
    for cap in [CAP, 40] {
        assert_eq!(guest.sys("prctl", &[47, 2, cap]), Ok(0));
        assert_eq!(guest.sys("prctl", &[47, 1, cap]), Ok(1));
    }
    assert_eq!(guest.sys("prctl", &[47, 2, 0]), Err(Errno::EPERM), "not inheritable");
    assert_eq!(guest.sys("prctl", &[47, 3, CAP]), Ok(0));
    assert_eq!(guest.credentials.ambient, CapSet(1 << 40));
    assert_eq!(guest.sys("prctl", &[47, 4]), Ok(0));
    assert_eq!(guest.credentials.ambient, CapSet::EMPTY);
}

#[test]
fn ambient_calls_check_every_argument() {
    for args in [
        [47, 0, CAP, 0, 0],
        [47, 5, CAP, 0, 0],
        [47, 1 << 32 | 1, CAP, 0, 0],
        [47, 1, 41, 0, 0],
        [47, 1, CAP, 1, 0],
        [47, 1, CAP, 0, 1],
        [47, 2, CAP, 1, 0],
        [47, 3, CAP, 0, 1],
        [47, 4, CAP, 0, 0],
        [47, 4, 0, 1, 0],
        [47, 4, 0, 0, 1],
    ] {
        assert_eq!(root(&args), Err(Errno::EINVAL), "{args:?}");
    }
}

#[test]
fn a_parent_death_signal_is_the_kernels_and_is_remembered() {
    let mut guest = FakeGuest::new();
    for (signal, heeds) in [(0, false), (15, true), (0, true)] {
        let verdict = guest.verdict(Abi::X86_64, "prctl", &[1, signal]);
        assert!(matches!(verdict, Verdict::Run), "{verdict:?}");
        assert_eq!(guest.credentials.heeds_parent, heeds, "{signal}");
    }
}

#[test]
fn every_other_option_is_the_kernels() {
    for option in [0, 2, 3, 4, 15, 16, 36, 53, 0x1234, u64::MAX] {
        let verdict = FakeGuest::new().verdict(Abi::X86_64, "prctl", &[option]);
        assert!(matches!(verdict, Verdict::Run), "{option}: {verdict:?}");
        assert!(!STOPS.iter().any(|(_, test)| test.matches(&[option, 0, 0, 0, 0, 0])), "{option}");
    }
}

#[test]
fn options_stop_as_early_as_the_kernel_could_be_wrong() {
    let stops =
        |stage, option| STOPS.iter().any(|(at, test)| *at == stage && test.matches(&[option, 0, 0, 0, 0, 0]));
    for option in [1, 8, 24, 28, 38, 39, 47] {
        assert!(stops(Stage::Base, option), "{option}");
    }
    for option in [7, 23, 27] {
        assert!(!stops(Stage::Base, option) && stops(Stage::Identity, option), "{option}");
    }
    assert!(stops(Stage::Base, 0x1_0000_0008), "only the low half is the option");
}
