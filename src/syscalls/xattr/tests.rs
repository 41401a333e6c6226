use crate::abi::{Abi, Errno, SysResult};
use crate::cred::{Cap, CapSet, Credentials};
use crate::ownership::{Choice, Extra, Home, Ownership, Voice};
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{Files, user};
use crate::syscalls::{Stage, Verdict};

mod hidden;
mod lists;

const NAME: u64 = 0x3_0000;
const VALUE: u64 = 0x4_0000;
const CREATE: u64 = 1;
const REPLACE: u64 = 2;

/// One capability, of the namespace of user 1000.
const OF_ANOTHER: &[u8] = &[0, 0, 0, 3, 0, 32, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 232, 3, 0, 0];

fn with_file(credentials: Credentials) -> (Files, FakeGuest) {
    let files = Files::default();
    files.make("/file", 0o100_644);
    files.open(5, "/file");
    let mut guest = files.guest(credentials);
    guest.memory.map(NAME, &[0; 4096]);
    guest.memory.map(VALUE, &[0; 256]);
    (files, guest)
}

fn set(guest: &mut FakeGuest, name: &str, value: &[u8], flags: u64) -> SysResult {
    guest.memory.map(NAME, &[name.as_bytes(), b"\0"].concat());
    guest.memory.map(VALUE, value);
    guest.sys("fsetxattr", &[5, NAME, VALUE, value.len() as u64, flags])
}

/// The answer, and the value, where the kernel says `result`.
fn get(guest: &mut FakeGuest, name: &str, size: u64, result: SysResult) -> (SysResult, Vec<u8>) {
    guest.memory.map(NAME, &[name.as_bytes(), b"\0"].concat());
    guest.memory.map(VALUE, &[0; 256]);
    let result = guest.finish(Abi::X86_64, "fgetxattr", &[5, NAME, VALUE, size], result);
    let mut value = vec![0; result.unwrap_or(0).min(size) as usize];
    guest.memory.read(VALUE, &mut value).expect("it is mapped");
    (result, value)
}

fn remove(guest: &mut FakeGuest, name: &str) -> SysResult {
    guest.memory.map(NAME, &[name.as_bytes(), b"\0"].concat());
    guest.sys("fremovexattr", &[5, NAME])
}

fn with_only(cap: Cap) -> Credentials {
    Credentials { effective: CapSet::of(&[cap]), ..Credentials::root() }
}

#[test]
fn what_the_kernel_refuses_is_kept_for_it() {
    for name in ["trusted.x", "security.x"] {
        let (_, mut guest) = with_file(Credentials::root());
        assert_eq!(get(&mut guest, name, 9, Err(Errno::ENODATA)).0, Err(Errno::ENODATA));
        assert!(guest.injected.is_empty(), "nothing is known yet");
        assert_eq!(set(&mut guest, name, b"one", REPLACE), Err(Errno::ENODATA));
        assert_eq!(set(&mut guest, name, b"one", CREATE), Ok(0));
        assert!(guest.raised.contains(&Stage::Ownership));
        assert_eq!(set(&mut guest, name, b"two", CREATE), Err(Errno::EEXIST));
        assert_eq!(get(&mut guest, name, 9, Err(Errno::ENODATA)), (Ok(3), b"one".to_vec()));
        assert_eq!(get(&mut guest, name, 0, Err(Errno::ENODATA)).0, Ok(3), "the size alone");
        assert_eq!(get(&mut guest, name, 2, Err(Errno::ENODATA)).0, Err(Errno::ERANGE));
        assert_eq!(get(&mut guest, name, 9, Err(Errno::EBADF)).0, Err(Errno::EBADF));
        assert_eq!(remove(&mut guest, name), Ok(0));
        assert_eq!(remove(&mut guest, name), Err(Errno::ENODATA));
        assert_eq!(get(&mut guest, name, 9, Err(Errno::ENODATA)).0, Err(Errno::ENODATA));
    }
}

#[test]
fn a_value_that_outlasts_the_run_stands_on_its_inode() {
    let (files, mut guest) = with_file(Credentials::root());
    guest.ownership =
        Ownership::at(Home::prepare(Choice::Attributes).expect("no file is needed"), Voice::default());
    assert_eq!(set(&mut guest, "trusted.x", b"one", 0), Ok(0));
    let packed = files.xattr("/file", "user.remainroot.xattrs").expect("it is there");
    assert!(packed.ends_with(b"trusted.x\x03\0\0\0one"));
    let long = [7; 200];
    guest.memory.map(0x9_0000, &[0; 512]);
    let files_again = files.clone();
    guest.kernel = Some(Box::new(move |memory, call, args| match call.name {
        "mmap" => Ok(0x9_0000),
        "munmap" => Ok(0),
        _ => files_again.answer(memory, call.name, args),
    }));
    assert_eq!(set(&mut guest, "trusted.y", &long, 0), Ok(0));
    let packed = files.xattr("/file", "user.remainroot.xattrs").expect("it is there");
    assert!(packed.ends_with(&long) && packed.len() > 200);
    assert_eq!(remove(&mut guest, "trusted.y").and(remove(&mut guest, "trusted.x")), Ok(0));
    assert_eq!(files.xattr("/file", "user.remainroot.xattrs"), None, "nothing is left behind");
}

#[test]
fn who_lacks_the_capability_is_refused_and_sees_no_trusted_attribute() {
    let (_, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, "trusted.x", b"one", 0), Ok(0));
    assert_eq!(set(&mut guest, "security.x", b"two", 0), Ok(0));
    guest.credentials = with_only(Cap::SETFCAP).into();
    for name in ["trusted.x", "security.x", "trusted.new"] {
        assert_eq!(set(&mut guest, name, b"three", 0), Err(Errno::EPERM));
        assert_eq!(remove(&mut guest, name), Err(Errno::EPERM));
    }
    assert_eq!(get(&mut guest, "trusted.x", 9, Err(Errno::ENODATA)).0, Err(Errno::ENODATA));
    assert_eq!(get(&mut guest, "security.x", 9, Err(Errno::ENODATA)).1, b"two");
    guest.credentials = with_only(Cap::SYS_ADMIN).into();
    assert_eq!(set(&mut guest, "security.capability", OF_ANOTHER, 0), Err(Errno::EPERM));
    assert_eq!(remove(&mut guest, "security.capability"), Err(Errno::EPERM));
}

#[test]
fn the_root_of_a_namespace_without_an_id_here_is_kept_beside_what_the_kernel_keeps() {
    const NAMED: &str = "security.capability";
    let (files, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, NAMED, OF_ANOTHER, 0), Ok(0));
    let stand_in = files.xattr("/file", NAMED).expect("the kernel has one");
    assert_eq!((stand_in.len(), stand_in[3]), (20, 2));
    assert_eq!(get(&mut guest, NAMED, 99, Ok(20)), (Ok(24), OF_ANOTHER.to_vec()));
    assert_eq!(get(&mut guest, NAMED, 20, Ok(20)).0, Err(Errno::ERANGE));
    assert_eq!(get(&mut guest, NAMED, 99, Err(Errno::ENODATA)).0, Err(Errno::ENODATA), "a write took it");
    assert_eq!(set(&mut guest, NAMED, &stand_in, 0), Ok(0));
    assert_eq!(get(&mut guest, NAMED, 99, Ok(20)).0, Ok(20), "another took its place");
    let nobodys = [&OF_ANOTHER[..20], &[255; 4]].concat();
    assert_eq!(set(&mut guest, NAMED, &nobodys, 0), Err(Errno::EINVAL));
}

#[test]
fn what_is_on_anothers_inode_is_remembered_whole_or_as_gone() {
    let (files, mut guest) = with_file(Credentials::root());
    files.edit("/file", |node| node.uid = 65534);
    assert_eq!(set(&mut guest, "security.capability", OF_ANOTHER, 0), Ok(0));
    let value = get(&mut guest, "security.capability", 99, Err(Errno::ENODATA));
    assert_eq!(value, (Ok(24), OF_ANOTHER.to_vec()));
    assert_eq!(remove(&mut guest, "security.capability"), Ok(0));
    assert_eq!(remove(&mut guest, "security.capability"), Err(Errno::ENODATA));
    guest.memory.map(NAME, b"user.x\0");
    guest.memory.map(VALUE, b"mine");
    let result = guest.finish(Abi::X86_64, "fsetxattr", &[5, NAME, VALUE, 4, 0], Err(Errno::EPERM));
    assert_eq!(result, Ok(0));
    assert_eq!(get(&mut guest, "user.x", 9, Err(Errno::ENODATA)).1, b"mine");
    guest.credentials = user(7).into();
    guest.memory.map(VALUE, b"more");
    let result = guest.finish(Abi::X86_64, "fsetxattr", &[5, NAME, VALUE, 4, 0], Err(Errno::EACCES));
    assert_eq!(result, Err(Errno::EACCES));
    files.edit("/file", |node| node.attributes = 0x10);
    guest.credentials = Credentials::root().into();
    assert_eq!(set(&mut guest, "trusted.x", b"x", 0), Err(Errno::EPERM), "it is immutable");
}

#[test]
fn what_cannot_be_read_or_is_absurd_the_kernel_refuses() {
    let (_, mut guest) = with_file(Credentials::root());
    guest.memory.map(NAME, &[b"trusted.".as_slice(), &[b'n'; 300], b"\0"].concat());
    guest.memory.map(NAME + 1000, b"trusted.x\0");
    for args in [
        [5, 0x99, VALUE, 4, 0],
        [5, NAME, VALUE, 4, 0],
        [5, NAME + 1000, 0x99, 4, 0],
        [5, NAME + 1000, VALUE, u64::MAX, 0],
        [5, NAME + 1000, VALUE, 4, 4],
    ] {
        assert!(matches!(guest.verdict(Abi::X86_64, "fsetxattr", &args), Verdict::Run), "{args:x?}");
    }
    let beyond = [5, NAME + 1000, 0, 0x5_0000, 5000, 0];
    guest.memory.map(0x5_0000, &[0; 5000]);
    assert!(matches!(guest.verdict(Abi::X86_64, "setxattrat", &beyond), Verdict::Run));
}

#[test]
fn a_list_has_what_is_remembered_and_not_what_is_gone() {
    let (files, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, "trusted.x", b"one", 0), Ok(0));
    assert_eq!(set(&mut guest, "security.x", b"two", 0), Ok(0));
    let identity = files.identity("/file");
    guest.ownership.change_extras(identity, |extras| extras.set(b"user.gone", Some(Extra::Gone)));
    guest.memory.map(NAME, b"user.gone\0user.left\0");
    let list = |guest: &mut FakeGuest, size, result| {
        guest.memory.map(VALUE, b"user.gone\0user.left\0");
        let result = guest.finish(Abi::X86_64, "flistxattr", &[5, VALUE, size], result);
        let mut names = vec![0; result.unwrap_or(0).min(size) as usize];
        guest.memory.read(VALUE, &mut names).expect("it is mapped");
        (result, String::from_utf8(names).expect("names"))
    };
    let all = "user.left\0security.x\0trusted.x\0";
    assert_eq!(list(&mut guest, 200, Ok(20)), (Ok(31), all.to_owned()));
    assert_eq!(list(&mut guest, 30, Ok(20)).0, Err(Errno::ERANGE));
    assert_eq!(list(&mut guest, 200, Ok(0)).1, "security.x\0trusted.x\0");
    guest.credentials = user(7).into();
    assert_eq!(list(&mut guest, 200, Ok(20)).1, "user.left\0security.x\0");
}
