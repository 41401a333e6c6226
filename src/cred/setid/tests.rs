use super::super::{Cap, CapSet, Credentials, Gid, Securebits, Uid};
use crate::abi::Errno;

const ROOT: Option<Uid> = Some(Uid::ROOT);

fn u(id: u32) -> Option<Uid> {
    Some(Uid(id))
}

fn g(id: u32) -> Option<Gid> {
    Some(Gid(id))
}

/// A task without capabilities whose real, effective, saved and filesystem ids are these.
fn user([uid, euid, suid, fsuid]: [u32; 4]) -> Credentials {
    Credentials {
        uid: Uid(uid),
        euid: Uid(euid),
        suid: Uid(suid),
        fsuid: Uid(fsuid),
        gid: Gid(uid),
        egid: Gid(euid),
        sgid: Gid(suid),
        fsgid: Gid(fsuid),
        permitted: CapSet::EMPTY,
        effective: CapSet::EMPTY,
        ..Credentials::root()
    }
}

fn uids(of: &Credentials) -> [u32; 4] {
    [of.uid.0, of.euid.0, of.suid.0, of.fsuid.0]
}

fn gids(of: &Credentials) -> [u32; 4] {
    [of.gid.0, of.egid.0, of.sgid.0, of.fsgid.0]
}

/// An outcome as its user ids.
fn changed(outcome: Result<Credentials, Errno>) -> Result<[u32; 4], Errno> {
    outcome.map(|new| uids(&new))
}

/// An outcome as its group ids.
fn regrouped(outcome: Result<Credentials, Errno>) -> Result<[u32; 4], Errno> {
    outcome.map(|new| gids(&new))
}

#[test]
fn setuid_of_a_privileged_task_sets_all_four_ids_and_of_another_only_the_effective_ones() {
    assert_eq!(changed(Credentials::root().setuid(u(7))), Ok([7, 7, 7, 7]));
    assert_eq!(changed(user([1, 2, 3, 4]).setuid(u(1))), Ok([1, 1, 3, 1]));
    assert_eq!(changed(user([1, 2, 3, 4]).setuid(u(3))), Ok([1, 3, 3, 3]));
}

#[test]
fn setuid_without_privilege_refuses_ids_that_are_neither_real_nor_saved() {
    for other in [0, 2, 4, 9] {
        assert_eq!(user([1, 2, 3, 4]).setuid(u(other)), Err(Errno::EPERM), "{other}");
    }
}

#[test]
fn setuid_and_setgid_of_minus_one_are_invalid_even_for_who_may_do_nothing() {
    for task in [Credentials::root(), user([1, 1, 1, 1])] {
        assert_eq!(task.setuid(None), Err(Errno::EINVAL));
        assert_eq!(task.setgid(None), Err(Errno::EINVAL));
    }
}

#[test]
fn setgid_follows_setuid_with_its_own_capability() {
    assert_eq!(regrouped(Credentials::root().setgid(g(7))), Ok([7, 7, 7, 7]));
    assert_eq!(regrouped(user([1, 2, 3, 4]).setgid(g(1))), Ok([1, 1, 3, 1]));
    assert_eq!(regrouped(user([1, 2, 3, 4]).setgid(g(3))), Ok([1, 3, 3, 3]));
    assert_eq!(user([1, 2, 3, 4]).setgid(g(2)), Err(Errno::EPERM));
    let only_setuid = Credentials { effective: CapSet::of(&[Cap::SETUID]), ..user([1, 1, 1, 1]) };
    assert_eq!(only_setuid.setgid(g(5)), Err(Errno::EPERM));
    assert_eq!(changed(only_setuid.setuid(u(5))), Ok([5, 5, 5, 5]));
    let only_setgid = Credentials { effective: CapSet::of(&[Cap::SETGID]), ..user([1, 1, 1, 1]) };
    assert_eq!(regrouped(only_setgid.setgid(g(5))), Ok([5, 5, 5, 5]));
    assert_eq!(only_setgid.setuid(u(5)), Err(Errno::EPERM));
}

#[test]
fn a_capability_that_is_permitted_but_not_effective_is_no_privilege() {
    let held = Credentials { permitted: CapSet::FULL, ..user([1, 1, 1, 1]) };
    assert_eq!(held.setuid(u(5)), Err(Errno::EPERM));
    assert_eq!(held.setresgid(g(5), None, None), Err(Errno::EPERM));
    assert_eq!(held.may_setgroups(), Err(Errno::EPERM));
}

/// Arguments, and the ids after the call.
type Case<const N: usize> = ([Option<u32>; N], Result<[u32; 4], Errno>);

/// What setreuid or setregid gives for ids 1, 2, 3, 4 without privilege.
const RE: &[Case<2>] = &[
    ([None, None], Ok([1, 2, 3, 2])),
    ([Some(1), None], Ok([1, 2, 2, 2])),
    ([Some(2), None], Ok([2, 2, 2, 2])),
    ([Some(3), None], Err(Errno::EPERM)),
    ([Some(4), None], Err(Errno::EPERM)),
    ([None, Some(1)], Ok([1, 1, 3, 1])),
    ([None, Some(2)], Ok([1, 2, 2, 2])),
    ([None, Some(3)], Ok([1, 3, 3, 3])),
    ([None, Some(4)], Err(Errno::EPERM)),
    ([Some(2), Some(1)], Ok([2, 1, 1, 1])),
    ([Some(1), Some(9)], Err(Errno::EPERM)),
];

#[test]
fn setreuid_and_setregid_swap_real_and_effective_and_move_the_saved_id_along() {
    for &([real, effective], outcome) in RE {
        let task = user([1, 2, 3, 4]);
        let case = format!("{real:?} {effective:?}");
        assert_eq!(changed(task.setreuid(real.map(Uid), effective.map(Uid))), outcome, "uid {case}");
        assert_eq!(regrouped(task.setregid(real.map(Gid), effective.map(Gid))), outcome, "gid {case}");
    }
    assert_eq!(changed(Credentials::root().setreuid(u(8), u(9))), Ok([8, 9, 9, 9]));
    assert_eq!(changed(Credentials::root().setreuid(None, u(9))), Ok([0, 9, 9, 9]));
    assert_eq!(regrouped(Credentials::root().setregid(g(8), g(9))), Ok([8, 9, 9, 9]));
}

/// What setresuid or setresgid gives for ids 1, 2, 3, 4 without privilege.
const RES: &[Case<3>] = &[
    ([None, None, None], Ok([1, 2, 3, 4])),
    ([Some(1), None, Some(3)], Ok([1, 2, 3, 4])),
    ([None, Some(2), None], Ok([1, 2, 3, 2])),
    ([Some(2), None, None], Ok([2, 2, 3, 2])),
    ([Some(3), Some(1), Some(2)], Ok([3, 1, 2, 1])),
    ([None, None, Some(1)], Ok([1, 2, 1, 2])),
    ([Some(4), None, None], Err(Errno::EPERM)),
    ([None, Some(4), None], Err(Errno::EPERM)),
    ([None, None, Some(4)], Err(Errno::EPERM)),
    ([Some(1), Some(1), Some(0)], Err(Errno::EPERM)),
];

#[test]
fn setresuid_and_setresgid_permute_the_three_ids_and_a_no_op_leaves_the_filesystem_id() {
    for &([real, effective, saved], outcome) in RES {
        let task = user([1, 2, 3, 4]);
        let case = format!("{real:?} {effective:?} {saved:?}");
        let by_uid = task.setresuid(real.map(Uid), effective.map(Uid), saved.map(Uid));
        assert_eq!(changed(by_uid), outcome, "uid {case}");
        let by_gid = task.setresgid(real.map(Gid), effective.map(Gid), saved.map(Gid));
        assert_eq!(regrouped(by_gid), outcome, "gid {case}");
    }
    assert_eq!(changed(Credentials::root().setresuid(u(7), u(8), u(9))), Ok([7, 8, 9, 8]));
    assert_eq!(regrouped(Credentials::root().setresgid(g(7), None, g(9))), Ok([7, 0, 9, 0]));
}

#[test]
fn setfsuid_and_setfsgid_take_any_of_ones_own_ids_and_else_change_nothing() {
    let task = user([1, 2, 3, 4]);
    for own in [1, 2, 3, 4] {
        assert_eq!(uids(&task.setfsuid(u(own))), [1, 2, 3, own]);
        assert_eq!(gids(&task.setfsgid(g(own))), [1, 2, 3, own]);
    }
    for refused in [None, Some(0), Some(9)] {
        assert_eq!(task.setfsuid(refused.map(Uid)), task);
        assert_eq!(task.setfsgid(refused.map(Gid)), task);
    }
    assert_eq!(uids(&Credentials::root().setfsuid(u(9))), [0, 0, 0, 9]);
    assert_eq!(gids(&Credentials::root().setfsgid(g(9))), [0, 0, 0, 9]);
    assert_eq!(Credentials::root().setfsuid(None), Credentials::root());
}

#[test]
fn the_filesystem_capabilities_leave_and_return_with_the_fsuid() {
    let away = Credentials::root().setfsuid(u(9));
    assert_eq!(away.effective, CapSet::FULL.minus(CapSet::FS));
    assert_eq!(away.permitted, CapSet::FULL);
    assert_eq!(away.setfsuid(ROOT), Credentials::root());
    let part = Credentials { permitted: CapSet::of(&[Cap::CHOWN]), effective: CapSet::EMPTY, ..away };
    assert_eq!(part.setfsuid(ROOT).effective, CapSet::of(&[Cap::CHOWN]));
    let unfixed = Credentials { securebits: Securebits::NO_SETUID_FIXUP, ..Credentials::root() };
    assert_eq!(unfixed.setfsuid(u(9)).effective, CapSet::FULL);
}

#[test]
fn leaving_root_with_every_uid_empties_permitted_effective_and_ambient() {
    let raised = Credentials { inheritable: CapSet::FULL, ambient: CapSet::FULL, ..Credentials::root() };
    let left = raised.setresuid(u(1), u(1), u(1)).expect("root may");
    assert_eq!((left.permitted, left.effective, left.ambient), Default::default());
    assert_eq!((left.inheritable, left.bounding), (CapSet::FULL, CapSet::FULL));
}

#[test]
fn keepcaps_saves_permitted_but_neither_effective_nor_ambient() {
    let keeping = Credentials {
        inheritable: CapSet::FULL,
        ambient: CapSet::FULL,
        securebits: Securebits::KEEP_CAPS,
        ..Credentials::root()
    };
    let left = keeping.setuid(u(1)).expect("root may");
    assert_eq!(left.permitted, CapSet::FULL);
    assert_eq!((left.effective, left.ambient), Default::default());
}

#[test]
fn an_effective_uid_that_leaves_root_and_returns_takes_the_effective_set_along() {
    let away = Credentials::root().setresuid(None, u(1), None).expect("root may");
    assert_eq!((away.permitted, away.effective), (CapSet::FULL, CapSet::EMPTY));
    let back = away.setresuid(None, ROOT, None).expect("the real id is root");
    assert_eq!(back, Credentials::root());
}

#[test]
fn a_saved_root_id_alone_keeps_the_permitted_set() {
    let task = Credentials::root().setresuid(u(1), u(1), ROOT).expect("root may");
    assert_eq!(task.permitted, CapSet::FULL);
    let gone = task.setresuid(None, None, u(1)).expect("its own id");
    assert_eq!(gone.permitted, CapSet::EMPTY);
}

#[test]
fn no_setuid_fixup_leaves_every_set_alone() {
    let fixed = Credentials { securebits: Securebits::NO_SETUID_FIXUP, ..Credentials::root() };
    let left = fixed.setuid(u(1)).expect("root may");
    assert_eq!((left.permitted, left.effective), (CapSet::FULL, CapSet::FULL));
}

#[test]
fn group_ids_never_touch_capabilities() {
    let left = Credentials::root().setresgid(g(1), g(1), g(1)).expect("root may");
    assert_eq!(left.effective, CapSet::FULL);
}

#[test]
fn groups_are_sorted_keep_duplicates_and_are_searched_beside_the_filesystem_group() {
    let task = Credentials::root().setgroups([30, 4, 30, 1].map(Gid).to_vec());
    assert_eq!(&task.groups[..], [1, 4, 30, 30].map(Gid));
    let task = Credentials { fsgid: Gid(7), egid: Gid(8), ..task };
    for member in [1, 4, 30] {
        assert!(task.in_group(Gid(member)) && task.in_egroup(Gid(member)));
    }
    assert!(task.in_group(Gid(7)) && !task.in_egroup(Gid(7)));
    assert!(task.in_egroup(Gid(8)) && !task.in_group(Gid(8)));
    assert_eq!(task.setgroups(Vec::new()).groups.len(), 0);
    assert_eq!(task.may_setgroups(), Ok(()));
}

#[test]
fn only_effective_and_filesystem_ids_end_the_parent_death_signal() {
    let root = Credentials { heeds_parent: true, ..Credentials::root() };
    let nine = (u(9), g(9));
    for (new, ends) in [
        (root.setresuid(nine.0, None, nine.0), false),
        (root.setresgid(nine.1, None, nine.1), false),
        (root.setresuid(None, nine.0, None), true),
        (root.setresgid(None, nine.1, None), true),
        (Ok(root.setfsuid(nine.0)), true),
        (Ok(root.setfsgid(nine.1)), true),
        (Ok(root.setgroups(vec![Gid(9)])), false),
        (root.drop_bounding(Some(Cap::KILL)), false),
    ] {
        let new = new.expect("root may");
        assert_eq!(root.outgrows_parent(&new), ends, "{new:?}");
        assert!(!Credentials::root().outgrows_parent(&new), "there is none");
    }
}
