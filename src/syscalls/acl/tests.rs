use crate::abi::{Abi, Errno, SysResult};
use crate::cred::Credentials;
use crate::ownership::List;
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{Files, user};
use crate::syscalls::{Stage, Verdict};

const NAME: u64 = 0x3_0000;
const VALUE: u64 = 0x4_0000;

/// Owner, group, group 4, mask and others.
const WITH_NAME: &[u8] = &[
    2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 5, 0, 255, 255, 255, 255, 8, 0, 5, 0, 4, 0, 0, 0, 16,
    0, 5, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255,
];

/// The same without group 4.
fn without_name() -> Vec<u8> {
    [&WITH_NAME[..20], &WITH_NAME[28..]].concat()
}

fn with_file(credentials: Credentials) -> (Files, FakeGuest) {
    let files = Files::default();
    files.make("/file", 0o100_644);
    files.open(5, "/file");
    let mut guest = files.guest(credentials);
    guest.memory.map(NAME, b"system.posix_acl_access\0");
    guest.memory.map(VALUE, &[0; 128]);
    (files, guest)
}

fn set(guest: &mut FakeGuest, value: &[u8]) -> SysResult {
    guest.memory.map(VALUE, value);
    guest.sys("fsetxattr", &[5, NAME, VALUE, value.len() as u64, 0])
}

/// fgetxattr where the kernel knows the list without its name.
fn get(guest: &mut FakeGuest, size: u64) -> SysResult {
    guest.memory.map(VALUE, &without_name());
    let length = without_name().len() as u64;
    guest.finish(Abi::X86_64, "fgetxattr", &[5, NAME, VALUE, size], Ok(length))
}

#[test]
fn a_name_the_kernel_refuses_is_kept_for_it() {
    let (files, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    assert_eq!(files.xattr("/file"), without_name(), "the kernel has the rest");
    assert!(guest.raised.contains(&Stage::Ownership));
    assert_eq!(get(&mut guest, 128), Ok(WITH_NAME.len() as u64));
    let mut found = vec![0; WITH_NAME.len()];
    guest.memory.read(VALUE, &mut found).expect("it is mapped");
    assert_eq!(found, WITH_NAME);
}

#[test]
fn a_buffer_for_the_kernels_list_only_is_too_small() {
    let (_, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    assert_eq!(get(&mut guest, 0), Ok(WITH_NAME.len() as u64), "the size alone");
    assert_eq!(get(&mut guest, 36), Err(Errno::ERANGE));
}

#[test]
fn a_list_without_names_ends_the_names() {
    let (_, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    assert_eq!(set(&mut guest, &without_name()), Ok(0));
    assert!(guest.ownership.acls().is_empty());
}

#[test]
fn removing_the_list_ends_the_names() {
    let (_, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    assert_eq!(guest.finish(Abi::X86_64, "fremovexattr", &[5, NAME], Err(Errno::EPERM)), Err(Errno::EPERM));
    assert!(!guest.ownership.acls().is_empty());
    assert_eq!(guest.finish(Abi::X86_64, "fremovexattr", &[5, NAME], Ok(0)), Ok(0));
    assert!(guest.ownership.acls().is_empty());
}

#[test]
fn names_without_a_mask_are_refused_as_the_kernel_would() {
    let (_, mut guest) = with_file(Credentials::root());
    let unmasked = [&WITH_NAME[..28], &WITH_NAME[36..]].concat();
    assert_eq!(set(&mut guest, &unmasked), Err(Errno::EINVAL));
    assert!(guest.injected.is_empty());
}

#[test]
fn only_the_owner_sets_a_list() {
    let (_, mut guest) = with_file(user(7));
    assert_eq!(set(&mut guest, WITH_NAME), Err(Errno::EPERM));
    assert_eq!(set(&mut guest, &without_name()), Err(Errno::EPERM));
    assert_eq!(guest.sys("fremovexattr", &[5, NAME]), Err(Errno::EPERM));
}

#[test]
fn the_two_lists_of_a_directory_are_apart() {
    let (files, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    let identity = files.identity("/file");
    assert!(guest.ownership.acls().names(identity, List::Access).is_some());
    assert!(guest.ownership.acls().names(identity, List::Default).is_none());
}

#[test]
fn other_attributes_and_sandboxed_guests_are_the_kernels_business() {
    let (_, mut guest) = with_file(Credentials::root());
    guest.sandboxed = true;
    let args = [5, NAME, VALUE, 44, 0];
    assert!(matches!(guest.verdict(Abi::X86_64, "fsetxattr", &args), Verdict::Run));
    guest.sandboxed = false;
    guest.memory.map(NAME, b"user.something\0");
    assert!(matches!(guest.verdict(Abi::I386, "fsetxattr", &args), Verdict::Run));
    let unreadable = [5, 0x99, VALUE, 44, 0];
    assert!(matches!(guest.verdict(Abi::X86_64, "setxattr", &unreadable), Verdict::Run));
    let absurd = [5, NAME, VALUE, u64::MAX, 0];
    assert!(matches!(guest.verdict(Abi::X86_64, "fsetxattr", &absurd), Verdict::Run));
}
