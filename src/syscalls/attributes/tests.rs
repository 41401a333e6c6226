use super::*;
use crate::abi::SysResult;
use crate::syscalls::fake::{FakeGuest, Memory};

const PATH: u64 = 0x1_0000;
const NAME_OF_ONE: &CStr = c"user.one";

/// A guest whose kernel answers a call about attributes with what `answer` says to its name, and with a list
/// of one name or the value `v` where that is nothing; the paths that it was given, or `#` and a descriptor.
fn guest(answer: fn(&str, &str) -> Option<Errno>) -> FakeGuest {
    let mut guest = FakeGuest::new();
    guest.memory.map(PATH, &[0; 5000]);
    guest.kernel = Some(Box::new(move |memory, call, args| {
        if matches!(call.name, "openat" | "close") {
            return Ok(9);
        }
        match answer(call.name, &subject(memory, call.name, args)) {
            Some(errno) => Err(errno),
            None => fill(memory, call.name, args),
        }
    }));
    guest
}

fn subject(memory: &Memory, call: &str, args: [u64; 6]) -> String {
    if call.starts_with('f') {
        return format!("#{}", args[0]);
    }
    let path = if call.ends_with("at") { args[1] } else { args[0] };
    String::from_utf8(memory.string(path).expect("it has a path")).expect("it is text")
}

fn fill(memory: &mut Memory, call: &str, args: [u64; 6]) -> SysResult {
    let of_at = usize::from(call.ends_with("at")) * 2;
    if call.contains("listxattr") {
        return memory.write(args[1 + of_at], b"user.one\0").map(|()| 9);
    }
    assert_eq!(memory.string(args[1 + of_at]).as_deref(), Ok(NAME_OF_ONE.to_bytes()));
    let mut value = args[2 + of_at];
    if of_at > 0 {
        assert_eq!(args[5], 16);
        let mut packed = [0; 8];
        memory.read(value, &mut packed)?;
        value = u64::from_le_bytes(packed);
    }
    memory.write(value, b"v").map(|()| 1)
}

/// What was asked, in order.
fn asked(guest: &FakeGuest) -> Vec<(&'static str, String)> {
    let subject = |(name, args): &(&'static str, [u64; 6])| (*name, subject(&guest.memory, name, *args));
    let about = |(name, _): &&(&str, _)| name.contains("xattr");
    guest.injected.iter().filter(about).map(subject).collect()
}

#[test]
fn every_place_is_named_as_the_guest_named_it() {
    for (path, place, call, name) in [
        ("/a", Place::path(PATH), "listxattr", "/a"),
        ("a", Place::path(PATH), "listxattr", "a"),
        ("a", Place::link(PATH), "llistxattr", "a"),
        ("/a", Place::at(5, PATH, 0), "listxattr", "/a"),
        ("a/b", Place::at(5, PATH, 0), "listxattrat", "a/b"),
        ("", Place::at(AT_FDCWD, PATH, 0x1000), "listxattr", "."),
        ("", Place::at(5, PATH, 0x1000), "flistxattr", "#5"),
        ("", Place::Descriptor(6), "flistxattr", "#6"),
    ] {
        let mut guest = guest(|_, _| None);
        guest.memory.map(PATH, &[path.as_bytes(), b"\0"].concat());
        assert_eq!(list(&mut guest, place).as_deref(), Ok(&b"user.one\0"[..]));
        assert_eq!(asked(&guest), [(call, name.to_owned())], "{path} {place:?}");
        assert_eq!(get(&mut guest, place, NAME_OF_ONE).as_deref(), Ok(&b"v"[..]));
    }
    let mut guest = guest(|_, _| None);
    guest.memory.map(PATH, b"a\0");
    list(&mut guest, Place::at(5, PATH, AT_SYMLINK_NOFOLLOW)).expect("the kernel is willing");
    assert_eq!(guest.injected[0].1[2], u64::from(AT_SYMLINK_NOFOLLOW));
}

#[test]
fn a_kernel_without_a_call_for_it_is_led_through_proc() {
    for errno in [Errno::ENOSYS, Errno::EPERM] {
        let refuses: fn(&str, &str) -> Option<Errno> = match errno {
            Errno::ENOSYS => |name, _| name.ends_with("at").then_some(Errno::ENOSYS),
            _ => |name, _| name.ends_with("at").then_some(Errno::EPERM),
        };
        let mut guest = guest(refuses);
        guest.memory.map(PATH, b"a/b\0");
        assert!(list(&mut guest, Place::at(5, PATH, AT_SYMLINK_NOFOLLOW)).is_ok());
        assert_eq!(asked(&guest)[1], ("llistxattr", "/proc/thread-self/fd/5/a/b".to_owned()));
        assert_eq!(guest.injected.len(), 2);
    }
}

/// Neither the calls of Linux 6.13 nor a `/proc`, and descriptor 9 is only a path.
const OLD_AND_BARE: fn(&str, &str) -> Option<Errno> = |name, subject| match subject {
    _ if name.ends_with("at") => Some(Errno::ENOSYS),
    "#9" => Some(Errno::EBADF),
    path => path.starts_with("/proc").then_some(Errno::ENOENT),
};

#[test]
fn without_a_proc_of_its_own_the_guest_opens_the_path_and_the_tracer_looks() {
    let mut guest = guest(OLD_AND_BARE);
    guest.memory.map(PATH, b"a\0");
    guest.open_files.insert(9, "/proc/self/nowhere".into());
    let place = Place::at(5, PATH, AT_SYMLINK_NOFOLLOW);
    assert_eq!(list(&mut guest, place), Err(Errno::ENOENT), "the tracer's path leads nowhere");
    guest.open_files.insert(9, "/".into());
    guest.injected.clear();
    let found = list(&mut guest, place).expect("the tracer can look");
    assert!(!found.starts_with(b"user.one"), "it was not the guest that looked");
    let names: Vec<_> = guest.injected.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["listxattrat", "llistxattr", "openat", "close"]);
    assert_eq!(guest.injected[2].1[2], 0o12_400_000, "O_PATH, O_CLOEXEC and O_NOFOLLOW");
    assert_eq!(guest.injected[3].1[0], 9);
}

#[test]
fn a_descriptor_that_is_only_a_path_is_reached_by_the_tracer_or_else_through_proc() {
    let only_a_path: fn(&str, &str) -> Option<Errno> =
        |name, _| (name == "flistxattr").then_some(Errno::EBADF);
    let mut one = guest(only_a_path);
    assert!(list(&mut one, Place::Descriptor(7)).is_ok());
    assert_eq!(asked(&one)[1], ("listxattr", "/proc/thread-self/fd/7".to_owned()));
    let mut other = guest(only_a_path);
    other.open_files.insert(7, "/".into());
    assert!(list(&mut other, Place::Descriptor(7)).is_ok());
    assert_eq!(other.injected.len(), 1);
}

#[test]
fn a_path_that_is_too_long_for_the_detour_is_opened() {
    let mut guest = guest(OLD_AND_BARE);
    guest.memory.map(PATH, &[b'a'; 4000]);
    guest.open_files.insert(9, "/".into());
    assert!(list(&mut guest, Place::at(5, PATH, 0)).is_ok());
    let names: Vec<_> = guest.injected.iter().map(|(name, _)| *name).collect();
    assert_eq!(names, ["listxattrat", "openat", "close"]);
}
