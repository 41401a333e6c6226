use super::*;
use crate::cred::Credentials;
use crate::syscalls::fake::{FakeGuest, SCRATCH};
use crate::syscalls::files::{Files, chown, shown};

#[test]
fn dirname_is_what_the_manual_says() {
    for (path, expected) in [
        ("/usr/lib", "/usr"),
        ("/usr/lib//", "/usr"),
        ("/usr//lib", "/usr"),
        ("/usr/", "/"),
        ("//usr", "/"),
        ("usr", "."),
        ("usr/", "."),
        ("/", "."),
        ("", "."),
        ("a/../b", "a/.."),
    ] {
        let found = dirname(path.as_bytes());
        // Of "/" nothing is ever made, so only that it does not fail matters.
        assert_eq!(std::str::from_utf8(found), Ok(expected), "{path}");
    }
}

#[test]
fn a_string_may_end_just_before_an_unmapped_page() {
    let mut guest = FakeGuest::new();
    guest.memory.map(0x4FFA, b"/etc/\0");
    assert_eq!(string(&mut guest, 0x4FFA), Ok(b"/etc/".to_vec()));
    guest.memory.map(0x4FFF, b"x");
    assert_eq!(string(&mut guest, 0x4FFA), Err(Errno::EFAULT));
}

#[test]
fn a_string_without_an_end_is_too_long_and_nothing_is_allocated_for_it() {
    let mut guest = FakeGuest::new();
    guest.memory.map(0x1_0000, &[b'a'; 0x3000]);
    assert_eq!(string(&mut guest, 0x1_0000), Err(Errno::ENAMETOOLONG));
    assert_eq!(string(&mut guest, u64::MAX - 3), Err(Errno::EFAULT));
}

#[test]
fn an_inode_is_looked_at_with_the_guests_own_arguments() {
    let files = Files::default();
    files.make("/file", 0o100_644);
    let mut guest = files.guest(Credentials::root());
    let path = Files::at(&mut guest, "/file");
    let found = inspect(&mut guest, Place::at(7, path, AT_SYMLINK_NOFOLLOW | 0x6000));
    assert_eq!(found.map(|statx| statx.ino), Ok(files.node("/file").ino));
    let (_, args) = guest.injected[0];
    assert_eq!((args[0], args[1], args[2]), (7, path, u64::from(AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)));
}

#[test]
fn a_descriptor_is_looked_at_through_an_empty_path() {
    let files = Files::default();
    files.make("/file", 0o100_644);
    files.open(5, "/file");
    let mut guest = files.guest(Credentials::root());
    guest.memory.map(SCRATCH + EMPTY, b"rest of an earlier path");
    assert!(inspect(&mut guest, Place::Descriptor(5)).is_ok());
    assert_eq!(inspect(&mut guest, Place::Descriptor(6)), Err(Errno::EBADF));
}

#[test]
fn without_scratch_memory_nothing_can_be_looked_at() {
    let mut guest = Files::default().guest(Credentials::root());
    guest.scratch = None;
    assert_eq!(inspect(&mut guest, Place::Descriptor(5)), Err(Errno::ENOMEM));
}

#[test]
fn a_path_of_ours_never_grows_beyond_the_scratch_memory() {
    let mut guest = FakeGuest::new();
    let longest = [b'a'; PATH_MAX - 1];
    assert!(place_in_scratch(&mut guest, AT_FDCWD, &longest, 0).is_some());
    assert!(place_in_scratch(&mut guest, AT_FDCWD, &[b'a'; PATH_MAX], 0).is_none());
    assert!(PATH as usize + PATH_MAX <= crate::syscalls::SCRATCH_BYTES);
}

#[test]
fn a_fact_raises_the_ownership_stage_and_its_end_does_not() {
    let files = Files::default();
    files.make("/file", 0o100_644);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/file", 7, 8), Ok(0));
    assert_eq!(guest.raised, [Stage::Ownership]);
    assert_eq!(chown(&mut guest, "/file", 0, 0), Ok(0));
    assert_eq!(guest.raised, [Stage::Ownership]);
    assert!(guest.ownership.is_empty());
    assert_eq!(shown(&mut guest, &files, "/file"), (0, 0, 0o100_644));
}
