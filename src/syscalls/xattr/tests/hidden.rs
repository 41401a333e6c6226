use super::*;

const NAME: u64 = 0x1_0000;
const LIST: u64 = 0x2_0000;
const ARGUMENTS: u64 = 0x5_0000;
/// What the kernel lists.
const NAMES: &[u8] = b"user.a\0user.rootlesscontainers\0user.containers.override_stat\0user.b\0";
/// What of it the guest sees.
const SEEN: &[u8] = b"user.a\0user.b\0";

fn guest() -> FakeGuest {
    let mut guest = FakeGuest::new();
    guest.ownership =
        Ownership::at(Home::prepare(Choice::Attributes).expect("no file is needed"), Voice::default());
    guest.memory.map(NAME, &[0; 4096]);
    guest.memory.map(LIST, &[0; 256]);
    guest.memory.map(ARGUMENTS, &[0; 16]);
    guest.kernel = Some(Box::new(|memory, call, args| match call.name {
        "listxattr" | "listxattrat" => {
            let at = args[if call.name == "listxattr" { 1 } else { 3 }];
            memory.write(at, NAMES).map(|()| NAMES.len() as u64)
        }
        _ => Err(Errno::ENODATA),
    }));
    guest
}

/// Lists into `size` bytes, where the kernel gives `result` and has written what it could.
fn list(guest: &mut FakeGuest, size: u64, result: SysResult) -> (SysResult, Vec<u8>) {
    guest.memory.map(LIST, if result.is_ok() && size > 0 { NAMES } else { &[0; 100] });
    let result = guest.finish(Abi::X86_64, "listxattr", &[0, LIST, size], result);
    let mut bytes = vec![0; size.min(SEEN.len() as u64) as usize];
    guest.memory.read(LIST, &mut bytes).expect("it is mapped");
    (result, bytes)
}

#[test]
fn a_list_has_no_hidden_name() {
    let whole = NAMES.len() as u64;
    let seen = SEEN.len() as u64;
    assert_eq!(list(&mut guest(), 200, Ok(whole)), (Ok(seen), SEEN.to_vec()));
    assert_eq!(list(&mut guest(), 0, Ok(whole)).0, Ok(seen), "the length");
    assert_eq!(
        list(&mut guest(), seen, Err(Errno::ERANGE)),
        (Ok(seen), SEEN.to_vec()),
        "it fits without ours"
    );
    assert_eq!(list(&mut guest(), seen - 1, Err(Errno::ERANGE)).0, Err(Errno::ERANGE));
    assert_eq!(list(&mut guest(), 200, Err(Errno::ENOENT)).0, Err(Errno::ENOENT));
    assert_eq!(list(&mut guest(), 200, Ok(0)).0, Ok(0));
}

#[test]
fn a_list_by_directory_and_path_has_its_operands_elsewhere() {
    let mut guest = guest();
    let args = [5, NAME, 0, LIST, 200];
    guest.memory.map(LIST, NAMES);
    let result = guest.finish(Abi::X86_64, "listxattrat", &args, Ok(NAMES.len() as u64));
    assert_eq!(result, Ok(SEEN.len() as u64));
    let result = guest.finish(Abi::X86_64, "listxattrat", &[5, NAME, 0, LIST, 0], Ok(NAMES.len() as u64));
    assert_eq!(result, Ok(SEEN.len() as u64));
}

#[test]
fn a_hidden_attribute_is_not_there() {
    for name in [
        "user.rootlesscontainers\0",
        "user.containers.override_stat\0",
        "user.remainroot\0",
        "user.remainroot.xattrs\0",
    ] {
        for (call, at) in [("getxattr", 1), ("lgetxattr", 1), ("fremovexattr", 1), ("getxattrat", 3)] {
            let mut guest = guest();
            guest.memory.map(NAME, name.as_bytes());
            let mut args = [4, 4, 0, 4, ARGUMENTS, 16];
            args[at] = NAME;
            assert_eq!(guest.sys(call, &args), Err(Errno::ENODATA));
            let (asked, given) = guest.injected[0];
            assert_eq!((asked, given[0]), (call, 4), "the inode is the guest's");
            let instead = guest.memory.string(given[at]).expect("it is in memory");
            assert_eq!(instead, b"user.remainroot.none");
        }
        for (call, at) in [("setxattr", 1), ("fsetxattr", 1), ("setxattrat", 3)] {
            let mut guest = guest();
            guest.memory.map(NAME, name.as_bytes());
            let mut args = [0, 0, 0, 0, if at == 3 { ARGUMENTS } else { 0 }, 16];
            args[at] = NAME;
            // What is wrong before anything is known of the attribute is the kernel's to say.
            guest.kernel = Some(Box::new(|_, _, _| Err(Errno::ENOENT)));
            assert_eq!(guest.sys(call, &args), Err(Errno::ENOENT));
        }
    }
}

#[test]
fn where_facts_live_elsewhere_nothing_is_hidden() {
    let mut guest = FakeGuest::new();
    guest.memory.map(NAME, b"user.rootlesscontainers\0");
    for call in ["getxattr", "setxattr", "removexattr"] {
        assert!(!matches!(guest.verdict(Abi::X86_64, call, &[0, NAME]), Verdict::Reply(_)), "{call}");
    }
    assert!(matches!(guest.verdict(Abi::X86_64, "listxattr", &[0, 0, 0]), Verdict::Run));
}
