use super::*;
use crate::abi::Abi;
use crate::cred::Credentials;
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{Files, shown, user};

fn setting(credentials: Credentials) -> (Files, FakeGuest, u64) {
    let files = Files::default();
    files.make("/d", 0o040_755);
    let mut guest = files.guest(credentials);
    let path = Files::at(&mut guest, "/d/null");
    (files, guest, path)
}

#[test]
fn a_device_is_a_regular_file_that_is_shown_as_a_device() {
    let (files, mut guest, path) = setting(Credentials::root());
    let verdict = guest.verdict(Abi::X86_64, "mknod", &[path, 0o020_666, 0x103]);
    let Verdict::Replace(call, args, finish) = verdict else { panic!("{verdict:?}") };
    assert_eq!((call.name, args[1], args[2], args[3]), ("mknodat", path, 0o100_666, 0));
    files.make("/d/null", 0o100_644); // less the umask
    assert_eq!(finish(&mut guest, Ok(0)), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/d/null"), (0, 0, 0o020_644));
    assert_eq!(guest.raised, [Stage::Ownership, Stage::Devices]);
}

#[test]
fn what_the_kernel_makes_is_the_kernels() {
    let (_, mut guest, path) = setting(Credentials::root());
    for (mode, device) in [(0o010_644, 0), (0o140_644, 0), (0o100_644, 0), (0o644, 5), (0o020_000, 0)] {
        let verdict = guest.verdict(Abi::I386, "mknodat", &[0, path, mode, device]);
        assert!(matches!(verdict, Verdict::Run), "{mode:o} {device}: {verdict:?}");
    }
}

#[test]
fn without_the_capability_the_kernel_says_what_is_wrong() {
    let (_, mut guest, path) = setting(user(7));
    let verdict = guest.verdict(Abi::X86_64, "mknod", &[path, 0o060_644, 0x801]);
    assert!(matches!(verdict, Verdict::Run), "{verdict:?}");
}

#[test]
fn a_placeholder_that_could_not_be_made_is_no_device() {
    let (_, mut guest, path) = setting(Credentials::root());
    let failed =
        guest.finish(Abi::X86_64, "mknod", &[path, 0o020_666, 0x103], Err(crate::abi::Errno::EEXIST));
    assert_eq!(failed, Err(crate::abi::Errno::EEXIST));
    assert!(guest.ownership.is_empty());
}

#[test]
fn a_device_has_the_number_that_the_argument_encodes() {
    let (_, mut guest, path) = setting(Credentials::root());
    let _ = guest.verdict(Abi::I386, "mknod", &[path, 0o060_644, 0x10_0301]);
    assert_eq!(device::<0>(&guest), Some(Device { block: true, major: 3, minor: 0x101 }));
}
