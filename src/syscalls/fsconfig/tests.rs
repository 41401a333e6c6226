use super::*;
use crate::abi::Abi;
use crate::syscalls::fake::FakeGuest;

/// A guest that has begun to mount a filesystem of this type at descriptor 3.
fn opened(kind: &str) -> FakeGuest {
    let mut guest = FakeGuest::new();
    string(&mut guest, 0x9000, kind);
    assert_eq!(guest.finish(Abi::X86_64, "fsopen", &[0x9000, 0], Ok(3)), Ok(3));
    assert_eq!(guest.mounted, [kind.as_bytes()]);
    guest
}

fn string(guest: &mut FakeGuest, address: u64, text: &str) {
    guest.memory.map(address, &[0; 512]);
    guest.memory.map(address, text.as_bytes());
}

/// What the kernel is told instead of an option; `None` where it gets that as it is.
fn told(guest: &mut FakeGuest, key: &str, value: &str) -> Option<String> {
    string(guest, 0x9200, key);
    string(guest, 0x9400, value);
    guest.injected.clear();
    guest.results.push_back(Ok(0));
    let verdict = guest.verdict(Abi::X86_64, "fsconfig", &[3, SET_STRING, 0x9200, 0x9400, 0]);
    guest.results.clear();
    match verdict {
        Verdict::Run => None,
        Verdict::Reply(Ok(0)) => {
            let (call, args) = guest.injected[0];
            assert_eq!((call, args[0], args[1], args[2]), ("fsconfig", 3, SET_STRING, 0x9200));
            Some(String::from_utf8(guest.memory.string(args[3]).unwrap()).unwrap())
        }
        other => panic!("{other:?}"),
    }
}

#[test]
fn ids_that_the_namespace_lacks_become_roots_and_are_noted() {
    let mut guest = opened("tmpfs");
    assert_eq!(told(&mut guest, "uid", "33"), Some("0".to_owned()));
    assert_eq!(told(&mut guest, "gid", "34"), Some("0".to_owned()));
    let expected =
        Planned { kind: b"tmpfs".to_vec(), uid: Some(Uid(33)), gid: Some(Gid(34)), ..Planned::default() };
    assert_eq!(guest.plans[&3], expected);
    for (key, value) in [("uid", "0"), ("uid", "x"), ("uid", "4294967295"), ("mode", "33"), ("size", "1")] {
        assert_eq!(told(&mut guest, key, value), None, "{key}={value}");
    }
    assert_eq!(told(&mut opened("fuse"), "user_id", "1"), Some("0".to_owned()));
}

#[test]
fn an_overlay_gets_userxattr_unless_it_was_asked_for() {
    let created = |guest: &mut FakeGuest| {
        guest.injected.clear();
        guest.results.push_back(Ok(0));
        assert!(matches!(guest.verdict(Abi::X86_64, "fsconfig", &[3, CREATE, 0, 0, 0]), Verdict::Run));
        guest.results.clear();
        guest.injected.iter().map(|(_, args)| args[2]).collect::<Vec<u64>>()
    };
    let mut guest = opened("overlay");
    let told_by = created(&mut guest);
    assert_eq!(guest.memory.string(told_by[0]).unwrap(), b"userxattr");
    let mut guest = opened("overlay");
    assert_eq!(told(&mut guest, "userxattr", ""), None);
    assert!(created(&mut guest).is_empty());
    let mut guest = opened("overlay");
    for (option, value, is_kept) in
        [("metacopy", "on", false), ("metacopy", "off", true), ("redirect_dir", "on", false)]
    {
        string(&mut guest, 0x9200, option);
        string(&mut guest, 0x9400, value);
        let verdict = guest.verdict(Abi::X86_64, "fsconfig", &[3, SET_STRING, 0x9200, 0x9400, 0]);
        assert_eq!(matches!(verdict, Verdict::Run), is_kept, "{option}={value}");
    }
    assert!(created(&mut opened("tmpfs")).is_empty());
}
