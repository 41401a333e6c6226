//! What holds after any sequence of changes.

use proptest::prelude::*;

use super::{Cap, CapSet, CapSets, Credentials, ExecFile, FileCaps, Gid, Securebits, Uid};

/// One attempt at a change.
#[derive(Debug, Clone)]
enum Step {
    Setuid(Option<u32>),
    Setgid(Option<u32>),
    Setreuid(Option<u32>, Option<u32>),
    Setregid(Option<u32>, Option<u32>),
    Setresuid(Option<u32>, Option<u32>, Option<u32>),
    Setresgid(Option<u32>, Option<u32>, Option<u32>),
    Setfsuid(Option<u32>),
    Setfsgid(Option<u32>),
    Setgroups(Vec<u32>),
    Capset(u64, u64, u64),
    DropBounding(u64),
    Securebits(u64),
    Keepcaps(u64),
    RaiseAmbient(u64),
    LowerAmbient(u64),
    Exec(ExecFile),
}

impl Step {
    /// The credentials after the step; what is refused changes nothing.
    fn take(&self, from: &Credentials) -> Credentials {
        let (uid, gid) = (|id: &Option<u32>| id.map(Uid), |id: &Option<u32>| id.map(Gid));
        let outcome = match self {
            Step::Setuid(id) => from.setuid(uid(id)),
            Step::Setgid(id) => from.setgid(gid(id)),
            Step::Setreuid(r, e) => from.setreuid(uid(r), uid(e)),
            Step::Setregid(r, e) => from.setregid(gid(r), gid(e)),
            Step::Setresuid(r, e, s) => from.setresuid(uid(r), uid(e), uid(s)),
            Step::Setresgid(r, e, s) => from.setresgid(gid(r), gid(e), gid(s)),
            Step::Setfsuid(id) => Ok(from.setfsuid(uid(id))),
            Step::Setfsgid(id) => Ok(from.setfsgid(gid(id))),
            Step::Setgroups(list) => {
                from.may_setgroups().map(|()| from.setgroups(list.iter().copied().map(Gid).collect()))
            }
            &Step::Capset(effective, permitted, inheritable) => from.capset(CapSets {
                effective: CapSet(effective),
                permitted: CapSet(permitted),
                inheritable: CapSet(inheritable),
            }),
            &Step::DropBounding(cap) => from.drop_bounding(Cap::from_arg(cap)),
            &Step::Securebits(bits) => from.set_securebits(bits),
            &Step::Keepcaps(keep) => from.set_keepcaps(keep),
            &Step::RaiseAmbient(cap) => {
                Cap::from_arg(cap).map_or(Ok(from.clone()), |cap| from.raise_ambient(cap))
            }
            &Step::LowerAmbient(cap) => {
                Ok(Cap::from_arg(cap).map_or(from.clone(), |cap| from.lower_ambient(cap)))
            }
            Step::Exec(file) => from.exec(file).map(|execed| execed.credentials),
        };
        outcome.unwrap_or_else(|_| from.clone())
    }
}

fn id() -> impl Strategy<Value = Option<u32>> {
    prop_oneof![Just(None), Just(Some(0)), (1..4u32).prop_map(Some)]
}

fn set() -> impl Strategy<Value = u64> {
    prop_oneof![Just(0), Just(CapSet::FULL.0), any::<u64>(), (0..41u32).prop_map(|cap| 1 << cap)]
}

/// A program; `plain` has neither set-id bits nor capabilities.
fn program(plain: bool) -> impl Strategy<Value = ExecFile> {
    let modes = if plain { vec![0o755] } else { vec![0o755, 0o4755, 0o2755, 0o6755, 0o2705] };
    let caps = (set(), set(), any::<bool>()).prop_map(|(permitted, inheritable, effective)| FileCaps {
        permitted: CapSet(permitted).and(CapSet::FULL),
        inheritable: CapSet(inheritable).and(CapSet::FULL),
        effective,
    });
    let caps = if plain { Just(None).boxed() } else { proptest::option::weighted(0.3, caps).boxed() };
    (0..4u32, 0..4u32, proptest::sample::select(modes), any::<bool>(), caps).prop_map(
        |(uid, gid, mode, nosuid, caps)| ExecFile { uid: Uid(uid), gid: Gid(gid), mode, nosuid, caps },
    )
}

/// Steps within one program.
fn change() -> impl Strategy<Value = Step> {
    prop_oneof![
        id().prop_map(Step::Setuid),
        id().prop_map(Step::Setgid),
        (id(), id()).prop_map(|(r, e)| Step::Setreuid(r, e)),
        (id(), id()).prop_map(|(r, e)| Step::Setregid(r, e)),
        (id(), id(), id()).prop_map(|(r, e, s)| Step::Setresuid(r, e, s)),
        (id(), id(), id()).prop_map(|(r, e, s)| Step::Setresgid(r, e, s)),
        id().prop_map(Step::Setfsuid),
        id().prop_map(Step::Setfsgid),
        proptest::collection::vec(0..4u32, 0..4).prop_map(Step::Setgroups),
        (set(), set(), set()).prop_map(|(e, p, i)| Step::Capset(e & p, p, i)),
        (0..45u64).prop_map(Step::DropBounding),
        (0..0x1fffu64).prop_map(Step::Securebits),
        (0..3u64).prop_map(Step::Keepcaps),
        (0..45u64).prop_map(Step::RaiseAmbient),
        (0..45u64).prop_map(Step::LowerAmbient),
    ]
}

fn changes(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(change(), 0..most)
}

/// Any steps, execs of any program among them.
fn steps(most: usize) -> impl Strategy<Value = Vec<Step>> {
    proptest::collection::vec(prop_oneof![6 => change(), 1 => program(false).prop_map(Step::Exec)], 0..most)
}

fn run(from: Credentials, steps: &[Step]) -> Credentials {
    steps.iter().fold(from, |task, step| step.take(&task))
}

proptest! {
    #[test]
    fn who_does_not_heed_file_capabilities_becomes_the_same_without(all in steps(20), file in program(false)) {
        let task = run(Credentials::root(), &all);
        let without = ExecFile { caps: None, ..file };
        if !task.heeds_file_caps(file.mode) && let Ok(execed) = task.exec(&file) {
            prop_assert_eq!(Ok(execed), task.exec(&without));
        }
    }

    #[test]
    fn effective_stays_within_permitted_and_ambient_within_permitted_and_inheritable(all in steps(40)) {
        let mut task = Credentials::root();
        for step in all {
            task = step.take(&task);
            prop_assert!(task.effective.is_subset(task.permitted), "{step:?}");
            prop_assert!(task.ambient.is_subset(task.permitted.and(task.inheritable)), "{step:?}");
            prop_assert!(task.groups.is_sorted(), "{step:?}");
        }
    }

    #[test]
    fn permitted_grows_only_at_exec_and_the_bounding_set_never(all in steps(40)) {
        let mut task = Credentials::root();
        for step in all {
            let new = step.take(&task);
            prop_assert!(new.bounding.is_subset(task.bounding), "{step:?}");
            if !matches!(step, Step::Exec(_)) {
                prop_assert!(new.permitted.is_subset(task.permitted), "{step:?}");
            }
            task = new;
        }
    }

    #[test]
    fn a_full_drop_is_not_undone_by_any_call_nor_by_executing_plain_programs(
        before in changes(4),
        after in proptest::collection::vec(
            prop_oneof![6 => change(), 1 => program(true).prop_map(Step::Exec)], 0..40),
    ) {
        // What `su` does, after whatever went before.
        let full = Some(7);
        let drop = [
            Step::Securebits(0),
            Step::Setgroups(vec![7]),
            Step::Setresgid(full, full, full),
            Step::Setresuid(full, full, full),
            Step::Capset(0, 0, 0),
        ];
        let dropped = run(run(Credentials::root(), &before), &drop);
        let complete = Credentials {
            uid: Uid(7), euid: Uid(7), suid: Uid(7), fsuid: Uid(7),
            gid: Gid(7), egid: Gid(7), sgid: Gid(7), fsgid: Gid(7),
            groups: [Gid(7)].into(),
            inheritable: CapSet::EMPTY, permitted: CapSet::EMPTY,
            effective: CapSet::EMPTY, ambient: CapSet::EMPTY,
            ..dropped.clone()
        };
        prop_assume!(dropped == complete);
        let end = run(dropped, &after);
        let still = Credentials { bounding: end.bounding, securebits: end.securebits, ..complete };
        prop_assert_eq!(end, still);
    }

    #[test]
    fn no_new_privs_stays_and_no_exec_under_it_adds_a_capability(before in steps(20), file in program(false)) {
        let bound = Credentials { no_new_privs: true, ..run(Credentials::root(), &before) };
        let after = Step::Exec(file).take(&bound);
        prop_assert!(after.no_new_privs);
        prop_assert!(after.permitted.is_subset(bound.permitted));
        prop_assert!([bound.uid, bound.euid].contains(&after.euid));
        prop_assert!([bound.gid, bound.egid].contains(&after.egid));
    }

    #[test]
    fn a_securebit_lock_never_opens(all in steps(40)) {
        let mut task = Credentials::root();
        for step in all {
            let new = step.take(&task);
            let locks = task.securebits.0 & Securebits::LOCKS.0;
            prop_assert_eq!(new.securebits.0 & locks, locks, "{:?}", step);
            task = new;
        }
    }
}
