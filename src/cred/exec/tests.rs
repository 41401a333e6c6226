use super::super::{Cap, CapSet, Credentials, ExecFile, FileCaps, Gid, Securebits, Uid};
use crate::abi::Errno;

const NET: CapSet = CapSet::of(&[Cap::NET_RAW]);

/// An ordinary program of root's.
const PLAIN: ExecFile = ExecFile { uid: Uid::ROOT, gid: Gid::ROOT, mode: 0o755, nosuid: false, caps: None };

/// A program with these file capabilities.
fn capable(permitted: CapSet, inheritable: CapSet, effective: bool) -> ExecFile {
    ExecFile { caps: Some(FileCaps { permitted, inheritable, effective }), ..PLAIN }
}

/// User and group 1000, without capabilities.
fn user() -> Credentials {
    let id = Some(Uid(1000));
    let group = Some(Gid(1000));
    let grouped = Credentials::root().setresgid(group, group, group).expect("root may");
    grouped.setresuid(id, id, id).expect("root may")
}

/// The credentials after the exec, and whether it is secure.
fn exec(task: &Credentials, file: &ExecFile) -> (Credentials, bool) {
    let execed = task.exec(file).expect("no file capability is lacking");
    (execed.credentials, execed.secure)
}

#[test]
fn root_and_user_stay_what_they_are_over_a_plain_program() {
    assert_eq!(exec(&Credentials::root(), &PLAIN), (Credentials::root(), false));
    assert_eq!(exec(&user(), &PLAIN), (user(), false));
}

#[test]
fn root_gets_back_what_the_bounding_set_and_inheritable_hold() {
    let reduced = Credentials {
        permitted: CapSet::EMPTY,
        effective: CapSet::EMPTY,
        bounding: NET,
        inheritable: CapSet::of(&[Cap::KILL]),
        ..Credentials::root()
    };
    let (new, secure) = exec(&reduced, &PLAIN);
    assert_eq!(new.permitted, NET.with(Cap::KILL));
    assert_eq!(new.effective, new.permitted);
    assert!(!secure);
}

#[test]
fn a_real_uid_of_root_alone_permits_but_does_not_make_effective() {
    let task = Credentials::root().setresuid(None, Some(Uid(1)), Some(Uid(1))).expect("root may");
    let (new, secure) = exec(&task, &PLAIN);
    assert_eq!((new.permitted, new.effective), (CapSet::FULL, CapSet::EMPTY));
    assert!(secure, "the effective id is not the real one");
}

#[test]
fn noroot_takes_root_its_power() {
    let task = Credentials { securebits: Securebits::NOROOT, ..Credentials::root() };
    let (new, _) = exec(&task, &PLAIN);
    assert_eq!((new.permitted, new.effective), Default::default());
    let (new, secure) =
        exec(&Credentials { securebits: Securebits::NOROOT, ..user() }, &ExecFile { mode: 0o4755, ..PLAIN });
    assert_eq!((new.euid, new.permitted), (Uid::ROOT, CapSet::EMPTY));
    assert!(secure);
}

#[test]
fn a_set_uid_program_of_root_gives_root_and_all_capabilities() {
    let (new, secure) = exec(&user(), &ExecFile { mode: 0o4755, ..PLAIN });
    assert_eq!([new.uid, new.euid, new.suid, new.fsuid], [1000, 0, 0, 0].map(Uid));
    assert_eq!((new.permitted, new.effective), (CapSet::FULL, CapSet::FULL));
    assert!(secure);
}

#[test]
fn a_set_uid_program_of_another_user_gives_its_id_and_takes_roots_effective_set() {
    let file = ExecFile { uid: Uid(7), mode: 0o4755, ..PLAIN };
    let (new, secure) = exec(&Credentials::root(), &file);
    assert_eq!([new.uid, new.euid, new.suid, new.fsuid], [0, 7, 7, 7].map(Uid));
    assert_eq!((new.permitted, new.effective), (CapSet::FULL, CapSet::EMPTY));
    assert!(secure);
    let (new, _) = exec(&user(), &file);
    assert_eq!((new.euid, new.permitted), (Uid(7), CapSet::EMPTY));
}

#[test]
fn set_gid_works_only_with_group_execution() {
    let file = ExecFile { gid: Gid(7), mode: 0o2755, ..PLAIN };
    let (new, secure) = exec(&user(), &file);
    assert_eq!([new.gid, new.egid, new.sgid, new.fsgid], [1000, 7, 7, 7].map(Gid));
    assert_eq!(new.euid, Uid(1000));
    assert!(secure);
    assert_eq!(exec(&user(), &ExecFile { mode: 0o2745, ..file }), (user(), false));
}

#[test]
fn nosuid_mounts_and_no_new_privs_ignore_set_id_bits() {
    let file = ExecFile { gid: Gid(7), mode: 0o6755, ..PLAIN };
    assert_eq!(exec(&user(), &ExecFile { nosuid: true, ..file }), (user(), false));
    let bound = Credentials { no_new_privs: true, ..user() };
    assert_eq!(exec(&bound, &file), (bound, false));
}

#[test]
fn the_saved_and_filesystem_ids_follow_the_effective_ones() {
    let task = Credentials {
        suid: Uid(2),
        fsuid: Uid(3),
        sgid: Gid(4),
        fsgid: Gid(5),
        groups: [Gid(1000)].into(),
        ..user()
    };
    let (new, secure) = exec(&task, &PLAIN);
    assert_eq!([new.suid, new.fsuid], [Uid(1000); 2]);
    assert_eq!([new.sgid, new.fsgid], [Gid(1000); 2]);
    assert!(!secure);
}

#[test]
fn an_effective_group_the_task_is_no_member_of_counts_as_a_change_of_id() {
    let stray = Credentials { fsgid: Gid(5), inheritable: NET, permitted: NET, ambient: NET, ..user() };
    let (new, secure) = exec(&stray, &PLAIN);
    assert_eq!(new.ambient, CapSet::EMPTY);
    assert!(secure);
}

#[test]
fn keepcaps_ends_at_exec_and_its_lock_stays() {
    let bits = Securebits::KEEP_CAPS.with(Securebits::KEEP_CAPS_LOCKED).with(Securebits::NOROOT);
    let (new, _) = exec(&Credentials { securebits: bits, ..user() }, &PLAIN);
    assert_eq!(new.securebits, bits.without(Securebits::KEEP_CAPS));
}

#[test]
fn ambient_capabilities_survive_a_plain_program_and_are_its_permitted_and_effective_ones() {
    let task = Credentials {
        permitted: CapSet::FULL,
        inheritable: NET,
        ambient: NET,
        effective: CapSet::EMPTY,
        ..user()
    };
    let (new, secure) = exec(&task, &PLAIN);
    assert_eq!((new.permitted, new.effective, new.ambient), (NET, NET, NET));
    assert!(!secure);
    for file in
        [ExecFile { uid: Uid(7), mode: 0o4755, ..PLAIN }, capable(CapSet::EMPTY, CapSet::EMPTY, false)]
    {
        let (new, _) = exec(&task, &file);
        assert_eq!((new.permitted, new.effective, new.ambient), Default::default());
    }
}

#[test]
fn file_capabilities_are_cut_by_the_bounding_set_and_joined_by_inheritable_ones() {
    let kill = CapSet::of(&[Cap::KILL]);
    let task = Credentials { inheritable: kill, bounding: CapSet::FULL.minus(NET), ..user() };
    let (new, secure) = exec(&task, &capable(NET.with(Cap::CHOWN), kill.with(Cap::LEASE), false));
    assert_eq!(new.permitted, kill.with(Cap::CHOWN));
    assert_eq!(new.effective, CapSet::EMPTY);
    assert!(secure);
}

#[test]
fn effective_file_capabilities_are_granted_whole_or_the_exec_is_refused() {
    let file = capable(NET, CapSet::EMPTY, true);
    let (new, secure) = exec(&user(), &file);
    assert_eq!((new.permitted, new.effective), (NET, NET));
    assert!(secure);
    for task in [user(), Credentials::root()] {
        let cut = Credentials { bounding: CapSet::FULL.minus(NET), ..task };
        assert_eq!(cut.exec(&file), Err(Errno::EPERM));
        assert!(cut.exec(&ExecFile { nosuid: true, ..file }).is_ok());
    }
}

#[test]
fn file_capabilities_keep_a_set_uid_root_program_from_gaining_all_but_not_root_itself() {
    let file = ExecFile { mode: 0o4755, ..capable(NET, CapSet::EMPTY, true) };
    let (new, _) = exec(&user(), &file);
    assert_eq!((new.euid, new.permitted, new.effective), (Uid::ROOT, NET, NET));
    let (new, _) = exec(&Credentials::root(), &file);
    assert_eq!((new.permitted, new.effective), (CapSet::FULL, CapSet::FULL));
}

#[test]
fn no_new_privs_gains_no_capability_and_falls_back_to_the_real_ids() {
    let bound = Credentials { no_new_privs: true, ..user() };
    let (new, _) = exec(&bound, &capable(NET, CapSet::EMPTY, true));
    assert_eq!(new.permitted, CapSet::EMPTY);
    assert!(new.no_new_privs);
    let odd = Credentials { euid: Uid(7), egid: Gid(8), ..bound };
    let (new, secure) = exec(&odd, &capable(NET, CapSet::EMPTY, false));
    assert_eq!((new.euid, new.egid), (Uid(1000), Gid(1000)));
    assert!(secure);
}
