use super::*;
use crate::cred::Credentials;
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{BUFFER, Files, user};

const REFUSED: SysResult = Err(Errno::EPERM);
/// Where the times of a call stand.
const TIMES: u64 = BUFFER;

fn with_file(uid: u32) -> Files {
    let files = Files::default();
    files.make("/file", 0o100_644);
    files.edit("/file", |node| node.uid = uid);
    files
}

/// utimensat(2) of an x86_64 guest with these fields, which the kernel answers with `result`.
fn utimensat(guest: &mut FakeGuest, fields: [i64; 4], result: SysResult) -> SysResult {
    guest.memory.map(TIMES, &fields.map(i64::to_le_bytes).concat());
    let path = Files::at(guest, "/file");
    guest.finish(Abi::X86_64, "utimensat", &[AT_FDCWD, path, TIMES, 0], result)
}

/// What is remembered.
fn moments(guest: &FakeGuest, files: &Files) -> [Option<Time>; 2] {
    let times = guest.ownership.remembered(files.identity("/file")).times;
    [times.atime, times.mtime].map(|moment| moment.map(|moment| moment.shown))
}

const fn at(seconds: i64, nanoseconds: u32) -> Option<Time> {
    Some(Time { seconds, nanoseconds })
}

#[test]
fn where_the_kernel_sets_the_times_nothing_is_remembered() {
    let files = with_file(0);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(utimensat(&mut guest, [5, 6, 7, 8], Ok(0)), Ok(0));
    assert!(guest.ownership.is_empty());
}

#[test]
fn times_the_kernel_refuses_to_set_on_an_inode_not_ours_are_remembered() {
    let files = with_file(65534);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(utimensat(&mut guest, [5, 6, -7, 8], REFUSED), Ok(0));
    assert_eq!(moments(&guest, &files), [at(5, 6), at(-7, 8)]);
    assert_eq!(utimensat(&mut guest, [0, UTIME_OMIT, 9, 10], REFUSED), Ok(0));
    assert_eq!(moments(&guest, &files), [at(5, 6), at(9, 10)]);
    assert_eq!(utimensat(&mut guest, [0, UTIME_NOW, 0, UTIME_OMIT], REFUSED), Ok(0));
    let ctime = i64::try_from(files.node("/file").ctime).unwrap();
    assert_eq!(moments(&guest, &files), [at(ctime, 0), at(9, 10)], "the present is the filesystem's");
}

#[test]
fn a_refusal_that_root_would_get_too_stands() {
    let ours = with_file(0);
    let mut guest = ours.guest(Credentials::root());
    assert_eq!(utimensat(&mut guest, [1, 2, 3, 4], REFUSED), REFUSED);
    let frozen = with_file(65534);
    frozen.edit("/file", |node| node.attributes = rules::APPEND.into());
    let mut guest = frozen.guest(Credentials::root());
    assert_eq!(utimensat(&mut guest, [1, 2, 3, 4], REFUSED), REFUSED);
}

#[test]
fn a_user_sets_the_times_of_his_own_files_and_the_present_where_he_may_write() {
    let files = with_file(0);
    let mut guest = files.guest(user(7));
    let now = [0, UTIME_NOW, 0, UTIME_NOW];
    assert_eq!(utimensat(&mut guest, [1, 2, 3, 4], Ok(0)), Err(Errno::EPERM));
    assert_eq!(utimensat(&mut guest, now, Ok(0)), Err(Errno::EACCES));
    files.edit("/file", |node| node.mode = 0o100_646);
    assert_eq!(utimensat(&mut guest, now, Ok(0)), Ok(0));
    assert_eq!(utimensat(&mut guest, [0, UTIME_NOW, 0, UTIME_OMIT], Ok(0)), Err(Errno::EPERM));
    assert_eq!(utimensat(&mut guest, [0, UTIME_OMIT, 0, UTIME_OMIT], Ok(0)), Ok(0), "nothing to do");
    files.set_read_only();
    assert_eq!(utimensat(&mut guest, [1, 2, 3, 4], Ok(0)), Err(Errno::EROFS));
}

#[test]
fn what_is_wrong_with_a_users_arguments_the_kernel_says() {
    let files = with_file(0);
    let mut guest = files.guest(user(7));
    let wrong = Err(Errno::EINVAL);
    assert_eq!(utimensat(&mut guest, [1, 1_000_000_000, 3, 4], wrong), wrong);
    assert_eq!(utimensat(&mut guest, [1, -1, 3, 4], wrong), wrong);
    let path = Files::at(&mut guest, "/file");
    let flags = guest.finish(Abi::X86_64, "utimensat", &[AT_FDCWD, path, TIMES, 2], wrong);
    let fault = guest.finish(Abi::X86_64, "utimes", &[path, 0x10], Err(Errno::EFAULT));
    assert_eq!((flags, fault), (wrong, Err(Errno::EFAULT)));
    assert!(guest.injected.is_empty());
}

#[test]
fn every_structure_is_read_as_its_abi_has_it() {
    let mut guest = FakeGuest::new();
    let words = [-1_i32, 5, 7, 9].map(i32::to_le_bytes).concat();
    let longs = [-1_i64, 5, 7, 9 | (1 << 40)].map(i64::to_le_bytes).concat();
    let at = |seconds, nanoseconds| Ok(Wanted::At(Time { seconds, nanoseconds }));
    for (abi, form, bytes, expected) in [
        (Abi::I386, SECONDS, &words, [at(-1, 0), at(5, 0)]),
        (Abi::I386, MICROSECONDS, &words, [at(-1, 5000), at(7, 9000)]),
        (Abi::I386, NANOSECONDS, &words, [at(-1, 5), at(7, 9)]),
        (Abi::I386, NANOSECONDS64, &longs, [at(-1, 5), at(7, 9)]),
        (Abi::X86_64, SECONDS, &longs, [at(-1, 0), at(5, 0)]),
        (Abi::X86_64, MICROSECONDS_AT, &longs, [at(-1, 5000), Err(Errno::EINVAL)]),
    ] {
        guest.memory.map(TIMES, bytes);
        let expected = expected[0].and_then(|atime| expected[1].map(|mtime| [atime, mtime]));
        assert_eq!(wanted(&mut guest, abi, form, TIMES), expected, "{abi:?} {form}");
    }
}
