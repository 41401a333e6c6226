use super::*;
use crate::abi::Abi;
use crate::cred::Credentials;
use crate::syscalls::fake::{FakeGuest, SCRATCH};
use crate::syscalls::files::{Files, statx};

/// The placeholder, once open.
const OPEN: u64 = 3;
/// What the guest is given of `/dev`.
const DIRECTORY: u64 = 6;

/// A guest that has made `/d/null`, and has it open; the container has one.
fn setting() -> (Files, FakeGuest, u64) {
    let files = Files::default();
    files.make("/d", 0o040_755);
    let mut guest = files.guest(Credentials::root());
    let path = Files::at(&mut guest, "/d/null");
    let verdict = guest.verdict(Abi::X86_64, "mknod", &[path, 0o020_666, 0x103]);
    let Verdict::Replace(_, _, finish) = verdict else { panic!("{verdict:?}") };
    files.make("/d/null", 0o100_666);
    assert_eq!(finish(&mut guest, Ok(0)), Ok(0));
    let placeholder = Statx::parse(&statx(&files.node("/d/null")));
    guest.observed.insert((OPEN, vec![]), placeholder);
    guest.devices.insert(NULL, c"null");
    guest.injected.clear();
    (files, guest, path)
}

/// Answers the calls that borrow `/dev`, and gives `opened` to the last open.
fn lend(guest: &mut FakeGuest, opened: SysResult) {
    guest.kernel = Some(Box::new(move |memory, call, args| match call.name {
        "socketpair" => memory.write(args[3], &[4, 0, 0, 0, 5, 0, 0, 0]).map(|()| 0),
        "recvmsg" => {
            let mut word = [0; 8];
            memory.read(args[1] + 32, &mut word)?;
            let control = u64::from_le_bytes(word);
            memory.write(control, &20_u64.to_le_bytes())?;
            memory.write(control + 16, &(DIRECTORY as u32).to_le_bytes()).map(|()| 1)
        }
        "openat" if args[0] == DIRECTORY => opened,
        "close" => Ok(0),
        other => panic!("nobody expected {other}"),
    }));
}

fn calls(guest: &FakeGuest) -> Vec<(&'static str, u64)> {
    guest.injected.iter().map(|(name, args)| (*name, args[0])).collect()
}

#[test]
fn a_placeholder_is_exchanged_for_the_containers_device_with_the_guests_flags() {
    let (_, mut guest, path) = setting();
    lend(&mut guest, Ok(OPEN));
    let flags = 0o2_006_001; // O_CLOEXEC | O_NONBLOCK | O_APPEND | O_WRONLY
    assert_eq!(guest.finish(Abi::X86_64, "open", &[path, flags, 0], Ok(OPEN)), Ok(OPEN));
    assert_eq!(
        calls(&guest),
        [
            ("close", OPEN),
            ("socketpair", 1),
            ("close", 5),
            ("recvmsg", 4),
            ("close", 4),
            ("openat", DIRECTORY),
            ("close", DIRECTORY)
        ]
    );
    assert_eq!(guest.injected[5].1[..3], [DIRECTORY, SCRATCH, flags]);
    assert_eq!(guest.memory.string(SCRATCH), Ok(b"null".to_vec()));
    assert_eq!(guest.lent, [5]);
    assert_eq!(guest.labels[&OPEN], OPEN as u8, "fstat shows the placeholder");
}

#[test]
fn what_makes_a_file_or_truncates_it_does_neither_to_a_device() {
    let (files, mut guest, path) = setting();
    let placeholder = guest.observed[&(OPEN, vec![])];
    let node = files.node("/d/null");
    guest.kernel = Some(Box::new(move |memory, call, args| match call.name {
        "statx" => memory.write(args[4], &statx(&node)).map(|()| 0),
        "openat" if args[0] == DIRECTORY => Ok(9),
        "openat" => {
            assert_eq!(args[2], 0o2_000_001, "neither O_CREAT nor O_TRUNC");
            Ok(OPEN)
        }
        "socketpair" => Err(Errno::EMFILE),
        _ => Ok(0),
    }));
    guest.observed.insert((OPEN, vec![]), placeholder);
    let reply = guest.reply(Abi::X86_64, "open", &[path, 0o2_001_101, 0o666]);
    assert_eq!(reply, Err(Errno::EMFILE), "what opening the device gives");
    let exclusive = guest.verdict(Abi::X86_64, "open", &[path, 0o1301, 0o666]);
    assert!(matches!(exclusive, Verdict::Run), "the kernel says EEXIST");
}

#[test]
fn a_device_that_is_not_there_has_the_kernels_errno_and_leaves_nothing_open() {
    let (files, mut guest, path) = setting();
    guest.devices.clear();
    let identity = files.identity("/d/null");
    let zero = Some(Device { minor: 5, ..NULL });
    guest.ownership.change(identity, |_| crate::ownership::Fact { device: zero, ..Default::default() });
    lend(&mut guest, Ok(OPEN));
    assert_eq!(guest.finish(Abi::X86_64, "open", &[path, 0, 0], Ok(OPEN)), Err(Errno::ENXIO));
    assert_eq!(calls(&guest), [("close", OPEN)]);
    for (kernels, guests) in
        [(Errno::EACCES, Errno::EPERM), (Errno::ENOENT, Errno::EPERM), (Errno::ENXIO, Errno::ENXIO)]
    {
        let (_, mut guest, path) = setting();
        lend(&mut guest, Err(kernels));
        assert_eq!(guest.finish(Abi::X86_64, "openat", &[9, path, 0, 0], Ok(OPEN)), Err(guests));
        assert_eq!(calls(&guest).last(), Some(&("close", DIRECTORY)));
    }
}

#[test]
fn where_the_container_has_no_null_device_an_empty_file_stands_for_it() {
    let (_, mut guest, path) = setting();
    guest.devices.clear();
    guest.results.push_back(Ok(0));
    assert_eq!(guest.finish(Abi::X86_64, "open", &[path, 1, 0], Ok(OPEN)), Ok(OPEN));
    assert_eq!(calls(&guest), [("ftruncate", OPEN)]);
}

#[test]
fn on_a_nodev_mount_there_are_no_devices() {
    let (_, mut guest, path) = setting();
    guest.nodev = true;
    guest.devices.insert(NULL, c"null");
    lend(&mut guest, Ok(OPEN));
    assert_eq!(guest.finish(Abi::X86_64, "open", &[path, 0, 0], Ok(OPEN)), Err(Errno::EACCES));
}

#[test]
fn every_other_open_is_left_as_it_is() {
    let (files, mut guest, path) = setting();
    files.make("/d/f", 0o100_644);
    guest.observed.insert((7, vec![]), Statx::parse(&statx(&files.node("/d/f"))));
    assert_eq!(guest.finish(Abi::X86_64, "open", &[path, 0, 0], Ok(7)), Ok(7));
    assert_eq!(guest.finish(Abi::X86_64, "open", &[path, 0, 0], Err(Errno::ENOENT)), Err(Errno::ENOENT));
    for inert in [O_PATH, O_DIRECTORY] {
        let verdict = guest.verdict(Abi::X86_64, "open", &[path, inert.into(), 0]);
        assert!(matches!(verdict, Verdict::Run));
    }
    assert_eq!(guest.injected, []);
    guest.filters.push(None);
    guest.refuses = true;
    assert!(matches!(guest.verdict(Abi::X86_64, "open", &[path, 0, 0]), Verdict::Run));
    let mut other = FakeGuest::new();
    assert!(matches!(other.verdict(Abi::X86_64, "open", &[path, 0, 0]), Verdict::Run), "no device anywhere");
}

#[test]
fn a_device_cannot_be_cut_short() {
    let (files, mut guest, path) = setting();
    assert_eq!(guest.sys("truncate", &[path, 0]), Err(Errno::EINVAL));
    files.make("/d/f", 0o100_644);
    let file = Files::at(&mut guest, "/d/f");
    assert!(matches!(guest.verdict(Abi::X86_64, "truncate", &[file, 0]), Verdict::Run));
}
