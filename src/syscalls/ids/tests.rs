use super::super::Stage;
use super::super::fake::FakeGuest;
use crate::abi::{Abi, Errno};
use crate::cred::{CapSet, Credentials, Gid, Uid};

const M1: u64 = 0xFFFF_FFFF;
const AT: u64 = 0x1000;

/// Different ids in every field, and no capabilities.
fn mixed() -> Credentials {
    Credentials {
        uid: Uid(1),
        euid: Uid(70000),
        suid: Uid(3),
        fsuid: Uid(4),
        gid: Gid(11),
        egid: Gid(70011),
        sgid: Gid(13),
        fsgid: Gid(14),
        permitted: CapSet::EMPTY,
        effective: CapSet::EMPTY,
        ..Credentials::root()
    }
}

#[test]
fn every_getter_reports_its_own_id_in_its_own_width() {
    let mut guest = FakeGuest::with(mixed());
    for (name, wide, narrow) in
        [("getuid", 1, 1), ("geteuid", 70000, 65534), ("getgid", 11, 11), ("getegid", 70011, 65534)]
    {
        assert_eq!(guest.sys(name, &[]), Ok(wide), "{name}");
        assert_eq!(guest.reply(Abi::I386, name, &[]), Ok(wide), "{name}");
        assert_eq!(guest.reply(Abi::Aarch64, name, &[]), Ok(wide), "{name}");
        assert_eq!(guest.reply(Abi::I386, &format!("{name}16"), &[]), Ok(narrow), "{name}16");
    }
    assert_eq!(guest.commits, 0);
}

#[test]
fn getresuid_writes_real_effective_saved_and_not_a_byte_more() {
    for (name, ids) in [("getresuid", [1u32, 70000, 3]), ("getresgid", [11, 70011, 13])] {
        let mut guest = FakeGuest::with(mixed());
        guest.memory.map(AT, &[0xAA; 24]);
        assert_eq!(guest.sys(name, &[AT, AT + 8, AT + 16]), Ok(0));
        let mut seen = [0; 24];
        guest.memory.read(AT, &mut seen).expect("mapped");
        for (slot, id) in seen.chunks(8).zip(ids) {
            assert_eq!(slot, [id.to_le_bytes(), [0xAA; 4]].concat(), "{name}");
        }
    }
}

#[test]
fn the_16_bit_forms_write_two_bytes_an_id() {
    let mut guest = FakeGuest::with(mixed());
    guest.memory.map(AT, &[0xAA; 8]);
    assert_eq!(guest.reply(Abi::I386, "getresuid16", &[AT, AT + 2, AT + 4]), Ok(0));
    let mut seen = [0; 8];
    guest.memory.read(AT, &mut seen).expect("mapped");
    assert_eq!(seen, [1, 0, 0xFE, 0xFF, 3, 0, 0xAA, 0xAA]);
}

#[test]
fn getresuid_has_written_what_comes_before_the_address_that_faults() {
    let mut guest = FakeGuest::with(mixed());
    guest.memory.map(AT, &[0; 12]);
    assert_eq!(guest.sys("getresuid", &[AT, 0, AT + 8]), Err(Errno::EFAULT));
    let mut seen = [0; 12];
    guest.memory.read(AT, &mut seen).expect("mapped");
    assert_eq!(seen, [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0]);
}

#[test]
fn a_change_is_committed_and_raises_the_identity_stage() {
    let mut guest = FakeGuest::new();
    assert_eq!(guest.sys("setresuid", &[33, 33, 33]), Ok(0));
    assert_eq!(guest.raised, [Stage::Identity]);
    assert_eq!([guest.credentials.uid, guest.credentials.fsuid], [Uid(33); 2]);
    assert_eq!(guest.sys("setresuid", &[0, M1, M1]), Err(Errno::EPERM));
    assert_eq!(guest.commits, 1);
}

#[test]
fn a_call_that_changes_nothing_commits_nothing() {
    let mut guest = FakeGuest::new();
    for (name, args) in [
        ("setuid", [0, 0, 0]),
        ("setgid", [0, 0, 0]),
        ("setreuid", [M1, M1, 0]),
        ("setregid", [0, 0, 0]),
        ("setresuid", [M1, M1, M1]),
        ("setresgid", [0, 0, 0]),
    ] {
        assert_eq!(guest.sys(name, &args), Ok(0), "{name}");
    }
    assert_eq!(guest.commits, 0);
}

#[test]
fn each_setter_changes_the_ids_its_name_says() {
    let ids = |of: &Credentials| {
        [of.uid.0, of.euid.0, of.suid.0, of.fsuid.0, of.gid.0, of.egid.0, of.sgid.0, of.fsgid.0]
    };
    for (name, args, after) in [
        ("setuid", [5, 0, 0], [5, 5, 5, 5, 0, 0, 0, 0]),
        ("setgid", [5, 0, 0], [0, 0, 0, 0, 5, 5, 5, 5]),
        ("setreuid", [5, 6, 0], [5, 6, 6, 6, 0, 0, 0, 0]),
        ("setregid", [5, 6, 0], [0, 0, 0, 0, 5, 6, 6, 6]),
        ("setresuid", [5, 6, 7], [5, 6, 7, 6, 0, 0, 0, 0]),
        ("setresgid", [5, 6, 7], [0, 0, 0, 0, 5, 6, 7, 6]),
        ("setfsuid", [5, 0, 0], [0, 0, 0, 5, 0, 0, 0, 0]),
        ("setfsgid", [5, 0, 0], [0, 0, 0, 0, 0, 0, 0, 5]),
    ] {
        for (abi, name) in [
            (Abi::X86_64, name.to_owned()),
            (Abi::I386, name.to_owned()),
            (Abi::Aarch64, name.to_owned()),
            (Abi::I386, format!("{name}16")),
        ] {
            let mut guest = FakeGuest::new();
            assert_eq!(guest.reply(abi, &name, &args), Ok(0), "{abi:?} {name}");
            assert_eq!(ids(&guest.credentials), after, "{abi:?} {name}");
        }
    }
}

#[test]
fn only_the_low_bits_of_an_id_argument_count() {
    let mut guest = FakeGuest::new();
    assert_eq!(guest.sys("setuid", &[0x7_0000_0005]), Ok(0));
    assert_eq!(guest.credentials.uid, Uid(5));
    let mut guest = FakeGuest::new();
    assert_eq!(guest.sys("setuid", &[u64::MAX]), Err(Errno::EINVAL));
    assert_eq!(guest.reply(Abi::I386, "setuid16", &[0x1_FFFF]), Err(Errno::EINVAL));
    assert_eq!(guest.reply(Abi::I386, "setuid16", &[0x1_0007]), Ok(0));
    assert_eq!(guest.credentials.uid, Uid(7));
}

#[test]
fn ffff_means_unchanged_to_a_16_bit_call_and_is_an_id_to_the_others() {
    let mut guest = FakeGuest::new();
    assert_eq!(guest.reply(Abi::I386, "setresuid16", &[0xFFFF, 8, 0xFFFF]), Ok(0));
    assert_eq!([guest.credentials.uid, guest.credentials.euid], [Uid(0), Uid(8)]);
    let mut guest = FakeGuest::new();
    assert_eq!(guest.reply(Abi::I386, "setresgid", &[0xFFFF, M1, M1]), Ok(0));
    assert_eq!([guest.credentials.gid, guest.credentials.egid], [Gid(0xFFFF), Gid(0)]);
}

#[test]
fn setfsuid_and_setfsgid_return_the_previous_id_and_never_fail() {
    let mut guest = FakeGuest::with(Credentials { fsuid: Uid(70000), fsgid: Gid(70001), ..mixed() });
    for (name, previous) in [("setfsuid", 70000), ("setfsgid", 70001)] {
        assert_eq!(guest.sys(name, &[M1]), Ok(previous), "a query");
        assert_eq!(guest.sys(name, &[999]), Ok(previous), "refused");
        assert_eq!(guest.reply(Abi::I386, &format!("{name}16"), &[0xFFFF]), Ok(previous), "not narrowed");
    }
    assert_eq!(guest.commits, 0);
    assert_eq!(guest.sys("setfsuid", &[3]), Ok(70000));
    assert_eq!(guest.sys("setfsuid", &[M1]), Ok(3));
}

#[test]
fn the_kernel_forgets_a_parent_death_signal_unless_a_filter_might_kill_for_it() {
    let heeding = || FakeGuest::with(Credentials { heeds_parent: true, ..Credentials::root() });
    let mut guest = heeding();
    assert_eq!(guest.sys("setresuid", &[7, M1, M1]), Ok(0));
    assert_eq!(guest.injected, []);
    guest.results.push_back(Ok(0));
    assert_eq!(guest.sys("setresuid", &[M1, 7, M1]), Ok(0));
    assert_eq!(guest.injected, [("prctl", [1, 0, 0, 0, 0, 0])]);
    assert!(!guest.credentials.heeds_parent);
    let mut guest = heeding();
    guest.refuses = true;
    assert_eq!(guest.sys("setuid", &[7]), Ok(0));
    assert_eq!(guest.injected, []);
    assert!(guest.credentials.heeds_parent);
}
