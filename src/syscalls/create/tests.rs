use super::*;
use crate::abi::Abi;
use crate::cred::Credentials;
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{Files, chown, shown, user};

/// A directory `/d` with this mode that belongs to group 50.
fn with_directory(mode: u16) -> (Files, FakeGuest) {
    let files = Files::default();
    files.make("/d", 0o040_000 | mode);
    let mut guest = files.guest(Credentials::root());
    assert_eq!(chown(&mut guest, "/d", 0, 50), Ok(0));
    guest.raised.clear();
    (files, guest)
}

/// Makes the call; the kernel makes `/d/f` if it gets to it.
fn create(guest: &mut FakeGuest, files: &Files, name: &str, args: &[u64], result: u64) -> bool {
    let verdict = guest.verdict(Abi::X86_64, name, args);
    files.make("/d/f", 0o100_644);
    files.open(5, "/d/f");
    match verdict {
        Verdict::Run => false,
        Verdict::Amend(finish) => finish(guest, Ok(result)) == Ok(result),
        other => panic!("{name} gave {other:?}"),
    }
}

#[test]
fn what_a_user_makes_is_his() {
    for (name, args, result) in [
        ("open", [0, 0o101, 0, 0], 5),
        ("open", [0, 0o301, 0, 0], 5),
        ("creat", [0, 0, 0, 0], 5),
        ("mkdir", [0, 0, 0, 0], 0),
        ("mknod", [0, 0o010_644, 0, 0], 0),
    ] {
        let (files, mut guest) = with_directory(0o755);
        guest.credentials = user(7).into();
        let [_, second, third, fourth] = args;
        let path = Files::at(&mut guest, "/d/f");
        assert!(create(&mut guest, &files, name, &[path, second, third, fourth], result), "{name}");
        assert_eq!(shown(&mut guest, &files, "/d/f"), (7, 7, 0o100_644), "{name}");
        assert_eq!(guest.raised, [Stage::Ownership], "{name}");
    }
}

#[test]
fn the_path_is_found_among_the_arguments_of_every_form() {
    for (name, place, result) in
        [("openat", 1, 5), ("mkdirat", 1, 0), ("symlinkat", 2, 0), ("symlink", 1, 0), ("mknodat", 1, 0)]
    {
        let (files, mut guest) = with_directory(0o2755);
        guest.credentials = user(7).into();
        let path = Files::at(&mut guest, "/d/f");
        let mut args = [AT_FDCWD, 0, 0, 0];
        args[place] = path;
        if name == "openat" {
            args[2] = 0o101;
        }
        assert!(create(&mut guest, &files, name, &args, result), "{name}");
        assert_eq!(shown(&mut guest, &files, "/d/f"), (7, 50, 0o100_644), "{name}");
    }
}

#[test]
fn what_existed_keeps_its_owner() {
    let (files, mut guest) = with_directory(0o755);
    files.make("/d/f", 0o100_644);
    guest.credentials = user(7).into();
    let path = Files::at(&mut guest, "/d/f");
    assert!(matches!(guest.verdict(Abi::X86_64, "open", &[path, 0o101]), Verdict::Run));
    assert!(matches!(guest.verdict(Abi::X86_64, "open", &[path, 0o301]), Verdict::Amend(_)), "O_EXCL");
}

#[test]
fn a_failed_creation_makes_nobody_an_owner() {
    let (_, mut guest) = with_directory(0o755);
    guest.credentials = user(7).into();
    let path = Files::at(&mut guest, "/d/f");
    let calls = guest.injected.len();
    assert_eq!(guest.finish(Abi::X86_64, "mkdir", &[path, 0o755], Err(Errno::EEXIST)), Err(Errno::EEXIST));
    assert_eq!(guest.injected.len(), calls);
}

#[test]
fn root_in_a_set_gid_directory_makes_files_of_its_group_and_elsewhere_is_left_alone() {
    let (files, mut guest) = with_directory(0o2755);
    files.make("/e", 0o040_755);
    let path = Files::at(&mut guest, "/d/f");
    assert!(create(&mut guest, &files, "open", &[path, 0o101], 5));
    assert_eq!(shown(&mut guest, &files, "/d/f"), (0, 50, 0o100_644));
    let path = Files::at(&mut guest, "/e/long");
    assert!(matches!(guest.verdict(Abi::X86_64, "open", &[path, 0o101]), Verdict::Run));
}

#[test]
fn without_a_set_gid_directory_root_costs_no_look() {
    let (_, mut guest) = with_directory(0o755);
    let calls = guest.injected.len();
    let path = Files::at(&mut guest, "/d/f");
    assert!(matches!(guest.verdict(Abi::X86_64, "open", &[path, 0o101]), Verdict::Run));
    assert!(matches!(guest.verdict(Abi::X86_64, "mkdir", &[path, 0o755]), Verdict::Run));
    assert_eq!(guest.injected.len(), calls);
}

#[test]
fn what_root_redirects_to_the_null_device_costs_no_look() {
    let (files, mut guest) = with_directory(0o2755);
    let path = Files::at(&mut guest, "/dev/null");
    guest.injected.clear();
    assert!(matches!(guest.verdict(Abi::X86_64, "openat", &[AT_FDCWD, path, 0o1101]), Verdict::Run));
    assert_eq!(guest.injected, []);
    let path = Files::at(&mut guest, "/d/f");
    assert!(create(&mut guest, &files, "openat", &[AT_FDCWD, path, 0o1101], 5), "other paths do");
}

#[test]
fn an_unnamed_file_gets_its_group_from_the_directory_it_was_opened_with() {
    let (files, mut guest) = with_directory(0o2755);
    guest.credentials = user(7).into();
    let path = Files::at(&mut guest, "/d");
    assert!(create(&mut guest, &files, "open", &[path, 0o20_200_002], 5));
    assert_eq!(shown(&mut guest, &files, "/d/f"), (7, 50, 0o100_644));
}

#[test]
fn openat2_is_read_from_memory_and_a_bad_pointer_is_the_kernels() {
    let (files, mut guest) = with_directory(0o755);
    guest.credentials = user(7).into();
    let how = |flags: u64, resolve: u64| [flags, 0o644, resolve].map(u64::to_le_bytes).concat();
    let path = Files::at(&mut guest, "/d/f");
    guest.memory.map(0x9000, &how(0o101, 0));
    assert!(create(&mut guest, &files, "openat2", &[AT_FDCWD, path, 0x9000, 24], 5));
    assert_eq!(shown(&mut guest, &files, "/d/f"), (7, 7, 0o100_644));
    assert!(matches!(guest.verdict(Abi::X86_64, "openat2", &[AT_FDCWD, path, 0x10, 24]), Verdict::Run));
    guest.memory.map(0x9000, &how(0o1, IN_ROOT));
    assert!(matches!(guest.verdict(Abi::X86_64, "openat2", &[AT_FDCWD, path, 0x9000, 24]), Verdict::Run));
}

#[test]
fn a_filesystem_that_gives_everything_one_owner_is_believed() {
    let (files, mut guest) = with_directory(0o755);
    guest.credentials = user(7).into();
    let path = Files::at(&mut guest, "/d/f");
    let Verdict::Amend(finish) = guest.verdict(Abi::X86_64, "mkdir", &[path, 0o755]) else { panic!() };
    files.make("/d/f", 0o040_755);
    files.edit("/d/f", |node| node.uid = 65534);
    assert_eq!(finish(&mut guest, Ok(0)), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/d/f"), (0, 0, 0o040_755));
}
