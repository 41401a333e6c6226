use std::sync::Arc;

use super::*;
use crate::abi::Errno;
use crate::cred::{Cap, CapSet, Credentials, Gid, Uid, View};

fn identity(birth: i128) -> Identity {
    Identity { dev: 0xFE00, ino: 12, birth }
}

fn owned_by(uid: u32) -> Fact {
    Fact { uid: Some(Uid(uid)), ..Fact::default() }
}

fn user(id: u32, groups: &[u32]) -> Credentials {
    let groups: Vec<Gid> = groups.iter().copied().map(Gid).collect();
    Credentials {
        fsuid: Uid(id),
        fsgid: Gid(id),
        groups: Arc::from(groups),
        effective: CapSet::EMPTY,
        ..Credentials::root()
    }
}

fn file(uid: u32, gid: u32, mode: u16) -> Attributes {
    Attributes {
        uid: Uid(uid),
        gid: Gid(gid),
        mode: 0o100_000 | mode,
        device: None,
        times: Times::default(),
        flags: 0,
    }
}

#[test]
fn a_fact_is_known_once_its_inode_was_confirmed_at_that_ctime() {
    let ownership = Ownership::default();
    let inode = identity(1).inode();
    assert_eq!(ownership.ask(inode, Some(Ctime(5))), Answer::Nothing);
    ownership.change(identity(1), |_| owned_by(7));
    assert_eq!(ownership.ask(inode, Some(Ctime(5))), Answer::Unsure(owned_by(7)));
    assert_eq!(ownership.ask(inode, None), Answer::Unsure(owned_by(7)));
    assert_eq!(ownership.confirm(identity(1), Ctime(5)), Some(owned_by(7)));
    assert_eq!(ownership.ask(inode, Some(Ctime(5))), Answer::Known(owned_by(7)));
    assert_eq!(ownership.ask(inode, Some(Ctime(6))), Answer::Unsure(owned_by(7)));
    assert_eq!(ownership.ask(inode, None), Answer::Unsure(owned_by(7)));
}

#[test]
fn an_inode_number_used_again_does_not_inherit_the_owner() {
    let ownership = Ownership::default();
    ownership.change(identity(1), |_| owned_by(7));
    assert_eq!(ownership.confirm(identity(1), Ctime(5)), Some(owned_by(7)));
    assert_eq!(ownership.confirm(identity(2), Ctime(6)), None);
    assert!(ownership.is_empty(), "the stale fact is dropped");
    assert_eq!(ownership.ask(identity(2).inode(), Some(Ctime(5))), Answer::Nothing);
}

#[test]
fn who_has_seen_an_inode_that_is_gone_takes_nothing_from_the_one_that_has_its_number() {
    let ownership = Ownership::default();
    ownership.change(identity(2), |_| owned_by(7));
    assert!(ownership.has_outlived(identity(1)) && !ownership.has_outlived(identity(2)));
    assert_eq!(ownership.confirm(identity(1), Ctime(5)), None);
    assert!(!ownership.has_outlived(identity(3)));
    assert_eq!(ownership.confirm(identity(2), Ctime(6)), Some(owned_by(7)));
}

#[test]
fn a_change_for_a_new_birth_time_starts_from_nothing() {
    let ownership = Ownership::default();
    ownership.change(identity(1), |_| owned_by(7));
    let seen = std::cell::Cell::new(Some(Fact::default()));
    ownership.change(identity(2), |old| {
        seen.set(old);
        owned_by(8)
    });
    assert_eq!(seen.get(), None);
    assert_eq!(ownership.confirm(identity(2), Ctime(1)), Some(owned_by(8)));
}

#[test]
fn an_empty_fact_is_forgotten() {
    let ownership = Ownership::default();
    ownership.change(identity(1), |_| owned_by(7));
    ownership.change(identity(1), |_| Fact::default());
    assert!(ownership.is_empty());
}

#[test]
fn a_store_drops_a_stale_record_only_while_it_is_the_one_found() {
    let store = Memory::default();
    store.put(identity(2), &|_| owned_by(8));
    store.remove(identity(1).inode(), 1);
    assert_eq!(store.get(identity(2).inode()), Some(Record { birth: 2, fact: owned_by(8) }));
}

#[test]
fn a_store_with_facts_of_an_earlier_run_may_have_set_gid_directories() {
    let store = Memory::default();
    store.put(identity(1), &|_| owned_by(7));
    assert!(Ownership::new(Box::new(store)).inherits());
    assert!(!Ownership::default().inherits());
}

#[test]
fn facts_survive_many_threads() {
    let ownership = Ownership::default();
    std::thread::scope(|scope| {
        for thread in 0..4 {
            let ownership = &ownership;
            scope.spawn(move || {
                for ino in 0..500 {
                    let identity = Identity { dev: 1, ino, birth: 1 };
                    ownership.change(identity, |old| match thread % 2 {
                        0 => Fact { uid: Some(Uid(5)), ..old.unwrap_or_default() },
                        _ => Fact { gid: Some(Gid(6)), ..old.unwrap_or_default() },
                    });
                    assert!(ownership.confirm(identity, Ctime(ino)).is_some());
                }
            });
        }
    });
    let both = Fact { uid: Some(Uid(5)), gid: Some(Gid(6)), ..Fact::default() };
    for ino in 0..500 {
        assert_eq!(ownership.ask(Inode { dev: 1, ino }, Some(Ctime(ino))), Answer::Known(both));
    }
}

#[test]
fn what_the_kernel_shows_as_the_overflow_id_is_roots() {
    let kernel = Kernel { uid: 65534, gid: 65534, mode: 0o100_644 };
    assert_eq!(Attributes::seen(kernel, &View::of_root_alone(), None), file(0, 0, 0o644));
    assert!(!kernel.is_ours(&View::of_root_alone()));
}

#[test]
fn an_emulated_nobody_is_shown_as_nobody() {
    let kernel = Kernel { uid: 65534, gid: 0, mode: 0o100_644 };
    assert_eq!(
        Attributes::seen(kernel, &View::of_root_alone(), Some(owned_by(65534))),
        file(65534, 0, 0o644)
    );
}

#[test]
fn a_fact_is_the_least_that_shows_the_goal() {
    let kernel = Kernel { uid: 65534, gid: 0, mode: 0o100_644 };
    let device = Some(Device { block: true, major: 8, minor: 1 });
    for goal in [
        file(0, 0, 0o644),
        file(7, 0, 0o644),
        file(0, 7, 0o644),
        file(65534, 65534, 0o4755),
        Attributes { device, mode: 0o060_644, ..file(0, 6, 0) },
    ] {
        let fact = Fact::between(kernel, goal, &View::of_root_alone());
        assert_eq!(Attributes::seen(kernel, &View::of_root_alone(), Some(fact)), goal);
    }
    assert!(Fact::between(kernel, file(0, 0, 0o644), &View::of_root_alone()).is_empty());
    assert_eq!(Fact::between(kernel, file(7, 0, 0o644), &View::of_root_alone()), owned_by(7));
}

#[test]
fn root_may_give_a_file_to_anybody() {
    let after = rules::chown(&Credentials::root(), file(0, 0, 0o644), 0, Some(Uid(7)), Some(Gid(8)));
    assert_eq!(after, Ok(file(7, 8, 0o644)));
}

#[test]
fn an_owner_may_change_the_group_to_one_of_his_own_and_nothing_else() {
    let who = user(7, &[20, 30]);
    let own = file(7, 100, 0o644);
    let chown = |uid: Option<u32>, gid: Option<u32>| {
        rules::chown(&who, own, 0, uid.map(Uid), gid.map(Gid)).map(|after| (after.uid.0, after.gid.0))
    };
    assert_eq!(chown(None, Some(20)), Ok((7, 20)));
    assert_eq!(chown(None, Some(7)), Ok((7, 7)), "fsgid");
    assert_eq!(chown(Some(7), Some(100)), Ok((7, 100)), "what it has");
    assert_eq!(chown(None, Some(21)), Err(Errno::EPERM));
    assert_eq!(chown(Some(8), None), Err(Errno::EPERM));
    assert_eq!(rules::chown(&who, file(8, 7, 0o644), 0, None, Some(Gid(7))), Err(Errno::EPERM));
    assert_eq!(rules::chown(&who, file(8, 7, 0o644), 0, None, None), Ok(file(8, 7, 0o644)));
}

#[test]
fn chown_takes_set_id_bits_even_from_root_but_not_those_of_directories() {
    let root = Credentials::root();
    let mode = |before, uid: Option<u32>| {
        rules::chown(&root, before, 0, uid.map(Uid), None).map(|after| after.permissions())
    };
    assert_eq!(mode(file(0, 0, 0o6755), Some(7)), Ok(0o755));
    assert_eq!(mode(file(0, 0, 0o6755), None), Ok(0o755), "with −1 too");
    assert_eq!(mode(file(0, 0, 0o6745), Some(7)), Ok(0o2745), "no group execute: a mark for locking");
    let directory = Attributes { mode: 0o046_755, ..file(0, 0, 0) };
    assert_eq!(mode(directory, Some(7)), Ok(0o6755));
}

#[test]
fn to_take_a_set_id_bit_needs_the_right_to_change_the_mode() {
    let stranger = user(8, &[]);
    assert_eq!(rules::chown(&stranger, file(7, 7, 0o4755), 0, None, None), Err(Errno::EPERM));
    let owner = user(7, &[20]);
    let after = rules::chown(&owner, file(7, 100, 0o6745), 0, None, Some(Gid(20)));
    assert_eq!(after, Ok(file(7, 20, 0o745)), "the group he is not in costs him the locking mark");
}

#[test]
fn a_capability_alone_counts_not_the_id() {
    let root = Credentials { effective: CapSet::EMPTY, ..Credentials::root() };
    assert_eq!(rules::chown(&root, file(0, 0, 0o644), 0, Some(Uid(7)), None), Err(Errno::EPERM));
    let chowner = Credentials { effective: CapSet::of(&[Cap::CHOWN]), ..user(9, &[]) };
    assert!(rules::chown(&chowner, file(0, 0, 0o644), 0, Some(Uid(7)), None).is_ok());
}

#[test]
fn nobody_changes_what_is_frozen() {
    let root = Credentials::root();
    assert_eq!(
        rules::chown(&root, file(0, 0, 0o644), rules::IMMUTABLE, Some(Uid(0)), None),
        Err(Errno::EPERM)
    );
    assert_eq!(rules::chown(&root, file(0, 0, 0o644), rules::IMMUTABLE, None, None), Ok(file(0, 0, 0o644)));
    assert_eq!(rules::chmod(&root, file(0, 0, 0o644), rules::IMMUTABLE, 0o600), Err(Errno::EPERM));
}

#[test]
fn chmod_is_the_owners_and_fowners_and_loses_s_isgid_outside_the_group() {
    let chmod = |who: &Credentials, mode| rules::chmod(who, file(7, 100, 0o644), 0, mode);
    assert_eq!(chmod(&user(7, &[100]), 0o6755), Ok(0o6755));
    assert_eq!(chmod(&user(7, &[]), 0o6755), Ok(0o4755));
    assert_eq!(chmod(&user(8, &[100]), 0o755), Err(Errno::EPERM));
    assert_eq!(chmod(&Credentials::root(), 0o7_7777), Ok(0o7777));
    let fowner = Credentials { effective: CapSet::of(&[Cap::FOWNER]), ..user(8, &[]) };
    assert_eq!(chmod(&fowner, 0o2755), Ok(0o755));
}

#[test]
fn a_set_gid_directory_gives_its_group_to_what_is_made_in_it() {
    let who = user(7, &[]);
    let directory = |mode| Some(Attributes { mode, ..file(0, 50, 0) });
    let made = |directory, mode| rules::made(&who, directory, file(0, 0, mode), mode);
    assert_eq!(made(None, 0o644), file(7, 7, 0o644));
    assert_eq!(made(directory(0o040_777), 0o6777), file(7, 7, 0o6777));
    assert_eq!(made(directory(0o042_777), 0o644), file(7, 50, 0o644));
    assert_eq!(made(directory(0o042_777), 0o6777), file(7, 50, 0o4777), "a group he is not in");
    assert_eq!(made(directory(0o042_777), 0o6767), file(7, 50, 0o6767), "no group execute");
    let masked = rules::made(&who, directory(0o042_777), file(0, 0, 0o2700), 0o2777);
    assert_eq!(masked, file(7, 50, 0o700), "what the umask takes was asked for");
    let subdirectory = Attributes { mode: 0o042_755, ..file(0, 0, 0) };
    assert_eq!(rules::made(&who, directory(0o042_777), subdirectory, 0o2755).mode, 0o042_755);
}

#[test]
fn a_terminal_without_a_birth_time_is_told_apart_by_its_last_change() {
    let mut bytes = [0; 256];
    bytes[96..104].copy_from_slice(&7_u64.to_le_bytes());
    let identity = |mode: u16| {
        let mut bytes = bytes;
        bytes[28..30].copy_from_slice(&mode.to_le_bytes());
        Identity::of(&crate::abi::stat::Statx::parse(&bytes))
    };
    assert_eq!(identity(0o100_644).birth, 0);
    assert_eq!(identity(0o020_620).birth, 7 << 32);
}

#[test]
fn without_a_file_attributes_last_for_the_run() {
    let ownership = Ownership::default();
    let name = b"security.capability";
    assert_eq!(ownership.attribute(identity(1), name), Ok(None));
    ownership.put_attribute(identity(1), name, b"v").unwrap();
    assert_eq!(ownership.attribute(identity(1), name), Ok(Some(b"v".to_vec())));
    assert_eq!(ownership.attribute_names(identity(1)), Ok(vec![name.to_vec()]));
    assert_eq!(ownership.attribute(identity(2), name), Ok(None), "another inode with its number");
    let refused = ownership.change_attribute(identity(1), name, |_| Err(Errno::EEXIST));
    assert_eq!(refused, Err(Errno::EEXIST));
    assert_eq!(ownership.remove_attribute(identity(1), name), Ok(true));
    assert_eq!(ownership.remove_attribute(identity(1), name), Ok(false));
}
