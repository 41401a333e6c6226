use super::*;
use crate::abi::Abi;
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{Files, shown, user};

const ADDRESS: u64 = 0x9000;

fn setting(sun_path: &[u8]) -> (Files, FakeGuest, u64) {
    let files = Files::default();
    files.make("/d", 0o040_755);
    let mut guest = files.guest(user(7));
    let address = [&AF_UNIX.to_le_bytes(), sun_path].concat();
    guest.memory.map(ADDRESS, &address);
    (files, guest, address.len() as u64)
}

#[test]
fn a_socket_bound_to_a_path_belongs_to_who_bound_it() {
    for path in [b"/d/s".as_slice(), b"/d/s\0", b"/d/s\0rest"] {
        let (files, mut guest, length) = setting(path);
        let verdict = guest.verdict(Abi::X86_64, "bind", &[3, ADDRESS, length]);
        let Verdict::Amend(finish) = verdict else { panic!("{verdict:?}") };
        files.make("/d/s", 0o140_755);
        assert_eq!(finish(&mut guest, Ok(0)), Ok(0));
        assert_eq!(shown(&mut guest, &files, "/d/s"), (7, 7, 0o140_755));
    }
}

#[test]
fn socketcall_is_bind_with_arguments_in_memory() {
    let (files, mut guest, length) = setting(b"/d/s");
    let words = [3, ADDRESS as u32, length as u32].map(u32::to_le_bytes).concat();
    guest.memory.map(0x8000, &words);
    let verdict = guest.verdict(Abi::I386, "socketcall", &[2, 0x8000]);
    let Verdict::Amend(finish) = verdict else { panic!("{verdict:?}") };
    files.make("/d/s", 0o140_755);
    assert_eq!(finish(&mut guest, Ok(0)), Ok(0));
    assert_eq!(shown(&mut guest, &files, "/d/s"), (7, 7, 0o140_755));
    for args in [[1, 0x8000], [2, 0x10]] {
        assert!(matches!(guest.verdict(Abi::I386, "socketcall", &args), Verdict::Run));
    }
}

#[test]
fn other_addresses_and_bad_ones_are_the_kernels() {
    let (_, mut guest, _) = setting(b"\0abstract");
    for args in [[3, ADDRESS, 11], [3, ADDRESS, 2], [3, ADDRESS, 1], [3, 0x10, 16], [3, ADDRESS, u64::MAX]] {
        let verdict = guest.verdict(Abi::X86_64, "bind", &args);
        assert!(matches!(verdict, Verdict::Run), "{args:x?}: {verdict:?}");
    }
    guest.memory.map(ADDRESS, &2_u16.to_le_bytes());
    assert!(matches!(guest.verdict(Abi::X86_64, "bind", &[3, ADDRESS, 11]), Verdict::Run), "AF_INET");
}
