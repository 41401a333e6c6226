use super::*;
use crate::abi::{Abi, SysResult};
use crate::cred::Credentials;
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{Files, user};

/// `/` and a file `/a` of root's with this mode, for a user.
fn guest(mode: u16) -> (Files, FakeGuest) {
    let files = Files::default();
    files.make("/", 0o040_777);
    files.make("/a", mode);
    let guest = files.guest(user(7));
    (files, guest)
}

/// `None`: the kernel is asked.
fn answer(guest: &mut FakeGuest) -> Option<SysResult> {
    let (old, new) = (Files::at(guest, "/a"), Files::at(guest, "/bb"));
    match guest.verdict(Abi::X86_64, "link", &[old, new]) {
        Verdict::Reply(result) => Some(result),
        Verdict::Run => None,
        other => panic!("link gave {other:?}"),
    }
}

#[test]
fn what_a_user_could_not_copy_he_may_not_link() {
    for (mode, allowed) in [
        (0o100_666, true),
        (0o100_664, false),
        (0o104_666, false),
        (0o102_666, true),
        (0o102_676, false),
        (0o010_666, false),
    ] {
        let (_, mut guest) = guest(mode);
        let expected = if allowed { None } else { Some(Err(Errno::EPERM)) };
        assert_eq!(answer(&mut guest), expected, "{mode:o}");
    }
}

#[test]
fn root_and_the_owner_are_not_asked_and_nobody_is_where_links_are_not_protected() {
    let (_, mut strict) = guest(0o100_600);
    assert_eq!(answer(&mut strict), Some(Err(Errno::EPERM)));
    strict.view.protects_hardlinks = false;
    assert_eq!(answer(&mut strict), None);
    let files = Files::default();
    files.make("/a", 0o104_755);
    assert_eq!(answer(&mut files.guest(Credentials::root())), None);
}

#[test]
fn what_is_not_there_is_the_kernels_to_say() {
    let files = Files::default();
    assert_eq!(answer(&mut files.guest(user(7))), None);
}
