use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::*;
use crate::abi::SysResult;
use crate::cred::{Gid, Uid};
use crate::ownership::{Choice, Device, Home, Inode, Ownership, Voice};
use crate::syscalls::fake::{FakeGuest, Memory};
use crate::syscalls::files;

type Attributed = Rc<RefCell<BTreeMap<Vec<u8>, Vec<u8>>>>;

const PATH: u64 = 0x1_0000;

/// A guest whose kernel knows one inode with attributes, by whatever name; `refuses` answers first.
fn guest(inode: &Attributed, refuses: fn(&str) -> Option<Errno>) -> FakeGuest {
    let mut guest = FakeGuest::new();
    let inode = Rc::clone(inode);
    guest.memory.map(PATH, &[0; 5000]);
    guest.ownership =
        Ownership::at(Home::prepare(Choice::Attributes).expect("no file is needed"), Voice::default());
    guest.kernel = Some(Box::new(move |memory, call, args| match refuses(call.name) {
        Some(errno) => Err(errno),
        None => answer(&inode, memory, call.name.trim_start_matches(['l', 'f']), args),
    }));
    guest
}

fn answer(inode: &Attributed, memory: &mut Memory, name: &str, args: [u64; 6]) -> SysResult {
    let [_, name_at, value_at, size, ..] = args;
    let mut inode = inode.borrow_mut();
    if name == "istxattr" {
        let names: Vec<u8> = inode.keys().flat_map(|name| [name, &b"\0"[..]].concat()).collect();
        let fits = names.len() as u64 <= value_at;
        return if fits {
            memory.write(name_at, &names).map(|()| names.len() as u64)
        } else {
            Err(Errno::ERANGE)
        };
    }
    let attribute = memory.string(name_at)?;
    match name {
        "getxattr" => {
            let value = inode.get(&attribute).ok_or(Errno::ENODATA)?;
            memory.write(value_at, value).map(|()| value.len() as u64)
        }
        "setxattr" => {
            let mut value = vec![0; size as usize];
            memory.read(value_at, &mut value)?;
            inode.insert(attribute, value);
            Ok(0)
        }
        "removexattr" => inode.remove(&attribute).map(|_| 0).ok_or(Errno::ENODATA),
        other => panic!("nobody expected {other}"),
    }
}

fn statx(mode: u16, ctime: u64) -> Statx {
    Statx::parse(&told(mode, ctime))
}

/// What the kernel says of the inode.
fn told(mode: u16, ctime: u64) -> [u8; Statx::SIZE] {
    files::statx(&files::Node { ino: 9, birth: 1, ctime, uid: 0, gid: 0, mode, attributes: 0, length: 0 })
}

/// Gives the inode a fact, and brings it home.
fn give(guest: &mut FakeGuest, statx: &Statx, fact: Fact) -> Result<(), Errno> {
    let identity = Identity::of(statx);
    let old = guest.ownership.remembered(identity);
    guest.ownership.begin_writing(identity.inode());
    guest.ownership.change(identity, |_| fact);
    let outcome = keep(guest, Place::path(PATH), statx, old);
    guest.ownership.end_writing(identity.inode());
    outcome
}

fn owned(uid: u32, gid: u32) -> Fact {
    Fact { uid: Some(Uid(uid)), gid: Some(Gid(gid)), ..Fact::default() }
}

const WILLING: fn(&str) -> Option<Errno> = |_| None;

#[test]
fn a_fact_is_found_on_its_inode_by_another_run() {
    let inode = Attributed::default();
    let device = Some(Device { block: true, major: 8, minor: 1 });
    for fact in [owned(7, 8), Fact { mode: Some(0o4711), ..owned(7, 8) }, Fact { device, ..owned(0, 6) }] {
        let mut one = guest(&inode, WILLING);
        one.memory.map(PATH, b"/f\0");
        let file = statx(0o100_644, 5);
        recall(&mut one, Place::path(PATH), &file).unwrap();
        assert_eq!(give(&mut one, &file, fact), Ok(()));
        let mut other = guest(&inode, WILLING);
        other.memory.map(PATH, b"/f\0");
        if other.ownership.evidence() {
            recall(&mut other, Place::path(PATH), &file).unwrap();
            let found = other.ownership.remembered(Identity::of(&file));
            let seen = |fact| Attributes::seen(inode::known(&file), &other.view, Some(fact));
            assert_eq!(seen(found), seen(fact));
        }
        assert_eq!(give(&mut one, &file, Fact::default()), Ok(()));
        assert!(inode.borrow().is_empty(), "nothing is left behind");
    }
}

#[test]
fn an_inode_is_looked_at_once_for_a_change_time_and_costs_one_call_where_there_is_nothing() {
    let mut guest = guest(&Attributed::default(), WILLING);
    guest.memory.map(PATH, b"/f\0");
    guest.ownership.leave_mark().expect("the root bears it or never can");
    for (ctime, calls) in [(5, 1), (5, 1), (6, 2)] {
        recall(&mut guest, Place::path(PATH), &statx(0o100_644, ctime)).unwrap();
        assert_eq!(guest.injected.len(), calls);
    }
    recall(&mut guest, Place::path(PATH), &statx(0o120_777, 7)).unwrap();
    assert_eq!(guest.injected.len(), 2, "a symbolic link bears none");
}

#[test]
fn a_mode_that_the_kernel_came_to_have_too_is_taken_off_the_inode_when_it_changes() {
    let inode = Attributed::default();
    inode.borrow_mut().insert(xattr::STAT.to_bytes().to_vec(), b"7:8:0644:file".to_vec());
    let mut guest = guest(&inode, WILLING);
    guest.memory.map(PATH, b"/f\0");
    guest.ownership.leave_mark().expect("the root bears it or never can");
    recall(&mut guest, Place::path(PATH), &statx(0o100_644, 5)).unwrap();
    let changed = statx(0o104_755, 6);
    let before = inode::attributes(&guest, &changed).1;
    let goal = |seen: Attributes| seen.with_permissions(0o4755);
    assert_eq!(inode::remember_after(&mut guest, Place::path(PATH), &changed, before, goal), Ok(()));
    assert_eq!(inode.borrow().keys().collect::<Vec<_>>(), [xattr::OWNER.to_bytes()], "and the owner stays");
}

#[test]
fn a_character_device_is_only_what_a_regular_file_stands_for() {
    let inode = Attributed::default();
    inode.borrow_mut().insert(xattr::STAT.to_bytes().to_vec(), b"0:0:0666:char-1-3".to_vec());
    for (mode, is_device) in [(0o100_644, true), (0o040_755, false)] {
        let mut guest = guest(&inode, WILLING);
        guest.memory.map(PATH, b"/f\0");
        guest.ownership.leave_mark().expect("the root bears it or never can");
        recall(&mut guest, Place::path(PATH), &statx(mode, 5)).unwrap();
        let known = guest.ownership.remembered(Identity::of(&statx(mode, 5)));
        assert_eq!(known.device.is_some(), is_device);
    }
}

/// A guest whose directory is changed before every look, as by what is made in it.
fn crowded(inode: &Attributed, mode: u16) -> FakeGuest {
    let mut guest = guest(inode, WILLING);
    guest.ownership.leave_mark().expect("the root bears it or never can");
    guest.ownership.set_inherits();
    guest.memory.map(PATH, b"/d\0");
    let inode = Rc::clone(inode);
    let mut ctime = 5;
    guest.kernel = Some(Box::new(move |memory, call, args| {
        if call.name != "statx" {
            return answer(&inode, memory, call.name.trim_start_matches(['l', 'f']), args);
        }
        ctime += 1;
        memory.write(args[4], &told(mode, ctime)).map(|()| 0)
    }));
    guest
}

#[test]
fn a_directory_is_not_read_again_for_every_file_that_is_made_in_it() {
    let matters = |guest: &mut FakeGuest| inode::creation_matters(guest, |_| Some(Place::path(PATH)));
    let mut plain = crowded(&Attributed::default(), 0o040_755);
    for calls in [2, 3, 4] {
        assert!(!matters(&mut plain));
        assert_eq!(plain.injected.len(), calls, "after the first time only a look");
    }
    let inode = Attributed::default();
    inode.borrow_mut().insert(xattr::OWNER.to_bytes().to_vec(), b"\x08\xff\xff\xff\xff\x0f\x10\x32".to_vec());
    let mut shared = crowded(&inode, 0o042_755);
    assert!(matters(&mut shared) && matters(&mut shared), "it passes its group on");
    inode.borrow_mut().insert(xattr::STAT.to_bytes().to_vec(), b"0:50:2755:dir".to_vec());
    let mut told = crowded(&inode, 0o040_755);
    assert!(matters(&mut told) && matters(&mut told), "and so does one of which only its attributes tell it");
}

#[test]
fn what_could_not_be_read_is_neither_taken_for_nothing_nor_for_read() {
    for errno in [Errno::EACCES, Errno::EPERM, Errno::ENOENT, Errno::ENOMEM, Errno::EIO, Errno::EMFILE] {
        for refused in ["listxattr", "getxattr"] {
            let inode = Attributed::default();
            let mut guest = guest(&inode, WILLING);
            guest.memory.map(PATH, b"/f\0");
            let file = statx(0o100_644, 5);
            assert_eq!(give(&mut guest, &file, owned(7, 8)), Ok(()));
            let marked = Rc::clone(&inode);
            guest.kernel = Some(Box::new(move |memory, call, args| match call.name == refused {
                true => Err(errno),
                false => answer(&marked, memory, call.name.trim_start_matches(['l', 'f']), args),
            }));
            recall(&mut guest, Place::path(PATH), &file).unwrap();
            assert_eq!(guest.ownership.remembered(Identity::of(&file)), owned(7, 8), "{refused} {errno:?}");
            assert!(guest.ownership.is_unread(Identity::of(&file).inode(), Some(file.ctime)));
        }
    }
    let mut guest = guest(&Attributed::default(), |_| Some(Errno::EOPNOTSUPP));
    guest.memory.map(PATH, b"/f\0");
    guest.ownership.leave_mark().expect("the root bears it or never can");
    let file = statx(0o100_644, 5);
    recall(&mut guest, Place::path(PATH), &file).unwrap();
    assert!(!guest.ownership.is_unread(Identity::of(&file).inode(), Some(file.ctime)), "it can bear none");
}

#[test]
fn an_inode_with_too_many_attributes_to_list_is_asked_for_ours() {
    let inode = Attributed::default();
    inode.borrow_mut().insert(vec![b'x'; 300], vec![]);
    inode.borrow_mut().insert(xattr::OWNER.to_bytes().to_vec(), b"\x08\x07\x10\x08".to_vec());
    let mut guest = guest(&inode, WILLING);
    guest.memory.map(PATH, b"/f\0");
    guest.ownership.leave_mark().expect("the root bears it or never can");
    let file = statx(0o100_644, 5);
    recall(&mut guest, Place::path(PATH), &file).unwrap();
    assert_eq!(guest.ownership.remembered(Identity::of(&file)), owned(7, 8));
}

#[test]
fn where_the_inode_cannot_bear_it_nothing_stale_is_left_on_it() {
    let inode = Attributed::default();
    inode.borrow_mut().insert(xattr::OWNER.to_bytes().to_vec(), b"\x08\x07\x10\x08".to_vec());
    let mut guest = guest(&inode, |name| (name == "setxattr").then_some(Errno::EOPNOTSUPP));
    guest.memory.map(PATH, b"/f\0");
    guest.ownership.leave_mark().expect("the root bears it or never can");
    let file = statx(0o100_644, 5);
    recall(&mut guest, Place::path(PATH), &file).unwrap();
    assert_eq!(give(&mut guest, &file, owned(20, 8)), Ok(()), "there is no other home: it ends with the run");
    assert!(inode.borrow().is_empty());
    recall(&mut guest, Place::path(PATH), &statx(0o100_644, 6)).unwrap();
    assert_eq!(guest.ownership.remembered(Identity::of(&file)), owned(20, 8), "which it does not before");
}

#[test]
fn where_there_is_no_room_what_stood_there_stays() {
    for (errno, name) in [(Errno::ENOSPC, "setxattr"), (Errno::EDQUOT, "setxattr")] {
        let inode = Attributed::default();
        let owner = b"\x08\x07\x10\x08".to_vec();
        inode.borrow_mut().insert(xattr::OWNER.to_bytes().to_vec(), owner.clone());
        let full = move |call: &str| (call == name).then_some(errno);
        let mut guest = guest(&inode, WILLING);
        guest.memory.map(PATH, b"/f\0");
        guest.ownership.leave_mark().expect("the root bears it or never can");
        let file = statx(0o100_644, 5);
        recall(&mut guest, Place::path(PATH), &file).unwrap();
        let marked = Rc::clone(&inode);
        guest.kernel = Some(Box::new(move |memory, call, args| match full(call.name) {
            Some(errno) => Err(errno),
            None => answer(&marked, memory, call.name.trim_start_matches(['l', 'f']), args),
        }));
        assert_eq!(give(&mut guest, &file, owned(20, 8)), Err(errno));
        assert_eq!(inode.borrow().get(xattr::OWNER.to_bytes()), Some(&owner));
    }
}

#[test]
fn what_stands_on_an_inode_and_cannot_be_taken_off_is_not_contradicted() {
    let inode = Attributed::default();
    inode.borrow_mut().insert(xattr::OWNER.to_bytes().to_vec(), b"\x08\x07\x10\x08".to_vec());
    let refuses = |name: &str| matches!(name, "setxattr" | "removexattr").then_some(Errno::EPERM);
    let mut guest = guest(&inode, refuses);
    guest.memory.map(PATH, b"/f\0");
    guest.ownership.leave_mark().expect("the root bears it or never can");
    let file = statx(0o100_644, 5);
    recall(&mut guest, Place::path(PATH), &file).expect("nothing keeps it from being read");
    assert_eq!(give(&mut guest, &file, owned(20, 8)), Err(Errno::EPERM));
    inode.borrow_mut().clear();
    assert_eq!(
        give(&mut guest, &file, owned(21, 8)),
        Ok(()),
        "what does not stand there need not be taken off"
    );
}

#[test]
fn a_fact_that_nothing_can_keep_is_not_taken_where_the_person_named_the_home() {
    let mut guest = guest(&Attributed::default(), WILLING);
    let directory = std::env::temp_dir().join(format!("remainroot-nowhere-{}", std::process::id()));
    let home = Home::prepare(Choice::File(directory.join("store"))).expect("it could be made");
    std::fs::write(&directory, "but is not").expect("a file is in the way");
    let said = std::sync::Arc::new(std::sync::Mutex::new(vec![]));
    let heard = std::sync::Arc::clone(&said);
    guest.ownership =
        Ownership::at(home, Voice::new(move |sentence| heard.lock().unwrap().push(sentence.to_owned())));
    let file = statx(0o100_644, 5);
    guest.memory.map(PATH, b"/f\0");
    let outcome =
        inode::remember(&mut guest, Place::path(PATH), &file, |seen| Attributes { uid: Uid(5), ..seen });
    assert_eq!(outcome, Err(Errno::EIO));
    assert_eq!(guest.ownership.remembered(Identity::of(&file)), Fact::default());
    assert_eq!(
        guest.ownership.ask(Inode { dev: file.dev, ino: 9 }, None),
        crate::ownership::Answer::Unread(None)
    );
    let outcome =
        inode::remember(&mut guest, Place::path(PATH), &file, |seen| Attributes { uid: Uid(6), ..seen });
    assert_eq!(outcome, Err(Errno::EIO));
    let said = said.lock().unwrap();
    assert!(matches!(&said[..], [once] if once.contains("nowhere")), "{said:?}");
    let _ = std::fs::remove_file(directory);
}
