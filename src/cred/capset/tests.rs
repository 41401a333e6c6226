use super::super::{Cap, CapSet, CapSets, Credentials, Securebits};
use crate::abi::Errno;

const NET: CapSet = CapSet::of(&[Cap::NET_RAW]);

/// A task that holds these and nothing else.
fn holding(permitted: CapSet, effective: CapSet, inheritable: CapSet) -> Credentials {
    Credentials { permitted, effective, inheritable, ..Credentials::root() }
}

fn sets(effective: CapSet, permitted: CapSet, inheritable: CapSet) -> CapSets {
    CapSets { effective, permitted, inheritable }
}

#[test]
fn capset_sets_what_capget_reports() {
    let asked = sets(NET, NET.with(Cap::CHOWN), CapSet::of(&[Cap::KILL]));
    let new = Credentials::root().capset(asked).expect("root may");
    assert_eq!(new.cap_sets(), asked);
}

#[test]
fn capset_ignores_capabilities_that_do_not_exist() {
    let all = CapSet(u64::MAX);
    let new = Credentials::root().capset(sets(all, all, all)).expect("root may");
    assert_eq!(new.cap_sets(), sets(CapSet::FULL, CapSet::FULL, CapSet::FULL));
}

#[test]
fn capset_never_lets_permitted_grow_nor_effective_exceed_it() {
    let task = holding(NET, CapSet::EMPTY, CapSet::EMPTY);
    assert_eq!(task.capset(sets(CapSet::EMPTY, NET.with(Cap::KILL), CapSet::EMPTY)), Err(Errno::EPERM));
    assert_eq!(task.capset(sets(NET, CapSet::EMPTY, CapSet::EMPTY)), Err(Errno::EPERM));
    assert!(task.capset(sets(NET, NET, CapSet::EMPTY)).is_ok());
}

#[test]
fn inheritable_grows_only_by_what_is_permitted_unless_setpcap_is_effective() {
    let kill = CapSet::of(&[Cap::KILL]);
    let plain = holding(NET, NET, CapSet::EMPTY);
    assert!(plain.capset(sets(NET, NET, NET)).is_ok());
    assert_eq!(plain.capset(sets(NET, NET, kill)), Err(Errno::EPERM));
    let setpcap = CapSet::of(&[Cap::SETPCAP]);
    assert!(holding(setpcap, setpcap, CapSet::EMPTY).capset(sets(setpcap, setpcap, kill)).is_ok());
    let keeper = holding(NET, NET, kill);
    assert!(keeper.capset(sets(NET, NET, kill)).is_ok(), "what is there may stay");
}

#[test]
fn inheritable_never_grows_by_what_left_the_bounding_set() {
    let task = Credentials { bounding: CapSet::FULL.minus(NET), ..Credentials::root() };
    let full = CapSet::FULL;
    assert_eq!(task.capset(sets(full, full, NET)), Err(Errno::EPERM));
    let keeper = Credentials { inheritable: NET, ..task };
    assert!(keeper.capset(sets(full, full, NET)).is_ok());
}

#[test]
fn ambient_keeps_only_what_stays_permitted_and_inheritable() {
    let both = NET.with(Cap::KILL).with(Cap::CHOWN);
    let task = Credentials { inheritable: both, ambient: both, ..Credentials::root() };
    let new = task.capset(sets(CapSet::EMPTY, NET.with(Cap::KILL), NET.with(Cap::CHOWN))).expect("root may");
    assert_eq!(new.ambient, NET);
}

#[test]
fn the_bounding_set_only_shrinks_and_privilege_is_asked_before_the_number() {
    let root = Credentials::root();
    assert_eq!(root.drop_bounding(Some(Cap::NET_RAW)).expect("root may").bounding, CapSet::FULL.minus(NET));
    assert_eq!(root.drop_bounding(None), Err(Errno::EINVAL));
    assert_eq!(holding(NET, NET, NET).drop_bounding(None), Err(Errno::EPERM));
    assert_eq!(holding(CapSet::FULL, NET, NET).drop_bounding(Some(Cap::NET_RAW)), Err(Errno::EPERM));
}

#[test]
fn securebits_cannot_be_unlocked_changed_under_a_lock_or_unknown() {
    let root = Credentials::root();
    let locked = root.set_securebits(0x30).expect("root may");
    assert_eq!(locked.securebits, Securebits(0x30));
    for bits in [0, 0x10, 0x20] {
        assert_eq!(locked.set_securebits(bits), Err(Errno::EPERM), "{bits:#x}");
    }
    assert!(locked.set_securebits(0x30 | 0x40).is_ok());
    for bits in [0x1000, 1 << 32, u64::MAX] {
        assert_eq!(root.set_securebits(bits), Err(Errno::EPERM), "{bits:#x}");
    }
    assert!(root.set_securebits(0xfff).is_ok());
    assert!(root.set_securebits(0).is_ok(), "root may change nothing");
}

#[test]
fn without_setpcap_only_the_exec_securebits_may_change_and_something_must() {
    let user = Credentials { securebits: Securebits::KEEP_CAPS, ..holding(NET, NET, NET) };
    for bits in [0x110, 0x410, 0xf10] {
        assert_eq!(user.set_securebits(bits).expect("unprivileged").securebits, Securebits(bits as u32));
    }
    for bits in [0x10, 0, 0x11, 0x111, 0x30] {
        assert_eq!(user.set_securebits(bits), Err(Errno::EPERM), "{bits:#x}");
    }
}

#[test]
fn keepcaps_needs_no_privilege_but_an_open_lock() {
    let user = holding(NET, NET, NET);
    let keeping = user.set_keepcaps(1).expect("anybody may");
    assert_eq!(keeping.securebits, Securebits::KEEP_CAPS);
    assert_eq!(keeping.set_keepcaps(0).expect("anybody may"), user);
    for value in [2, 1 << 32, u64::MAX] {
        assert_eq!(user.set_keepcaps(value), Err(Errno::EINVAL));
    }
    let locked = Credentials { securebits: Securebits::KEEP_CAPS_LOCKED, ..user };
    assert_eq!(locked.set_keepcaps(1), Err(Errno::EPERM));
    assert_eq!(locked.set_keepcaps(2), Err(Errno::EINVAL));
}

#[test]
fn ambient_rises_only_by_what_is_permitted_and_inheritable_and_not_forbidden() {
    let cap = Cap::NET_RAW;
    assert_eq!(holding(NET, NET, CapSet::EMPTY).raise_ambient(cap), Err(Errno::EPERM));
    assert_eq!(holding(CapSet::EMPTY, CapSet::EMPTY, NET).raise_ambient(cap), Err(Errno::EPERM));
    let able = holding(NET, CapSet::EMPTY, NET);
    let raised = able.raise_ambient(cap).expect("permitted and inheritable");
    assert_eq!(raised.ambient, NET);
    assert_eq!(raised.lower_ambient(cap), able);
    assert_eq!(raised.lower_ambient(Cap::KILL), raised);
    assert_eq!(raised.clear_ambient(), able);
    let forbidden = Credentials { securebits: Securebits::NO_CAP_AMBIENT_RAISE, ..able };
    assert_eq!(forbidden.raise_ambient(cap), Err(Errno::EPERM));
}

#[test]
fn a_seccomp_filter_needs_no_new_privs_or_sys_admin() {
    let user = holding(NET, NET, NET);
    assert!(!user.may_filter());
    assert!(Credentials { no_new_privs: true, ..user }.may_filter());
    assert!(Credentials::root().may_filter());
}

#[test]
fn capabilities_are_valid_up_to_the_last_one() {
    assert_eq!(Cap::from_arg(40), Some(Cap::LAST));
    for arg in [41, 63, 64, 1 << 32, u64::MAX] {
        assert_eq!(Cap::from_arg(arg), None);
    }
    assert_eq!(CapSet::FULL.0, 0x1ff_ffff_ffff);
    assert_eq!(CapSet::FS.0, 0x1_0800_021f, "CAP_FS_SET of linux/capability.h");
}
