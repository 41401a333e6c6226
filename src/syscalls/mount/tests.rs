use super::*;
use crate::abi::Abi;
use crate::cred::Credentials;
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{Files, shown};

#[test]
fn ids_that_the_namespace_lacks_become_roots_and_nothing_else_changes() {
    let view = FakeGuest::new().view;
    let translated = |text: &str| translated(text.as_bytes(), &view);
    for kept in ["", "mode=620", "uid=0,gid=0", "uid=x", "uid=-1", "gid=4294967295", "xuid=5", "uid=5x", ",,"]
    {
        assert_eq!(translated(kept), None, "{kept}");
    }
    let both = translated("mode=755,uid=5,,gid=1000,size=10%").expect("it has ids");
    let (uid, gid) = (Some(Uid(5)), Some(Gid(1000)));
    assert_eq!(both, Options { text: b"mode=755,uid=0,,gid=0,size=10%".to_vec(), uid, gid });
}

/// Mounts with the options, whose outcome is `result`; gives the options the kernel was told, if it was told
/// others, and whom the root directory belongs to.
fn mounted(kind: &str, options: &str, flags: u64, result: Result<u64, Errno>) -> (Option<String>, u32, u32) {
    let files = Files::default();
    files.make("/m", 0o040_755);
    let mut guest = files.guest(Credentials::root());
    guest.results.push_back(result);
    let target = Files::at(&mut guest, "/m");
    for (address, text) in [(0x9000, kind), (0x9100, options)] {
        guest.memory.map(address, text.as_bytes());
        guest.memory.map(address + text.len() as u64, &[0; 256]);
    }
    let told = match guest.verdict(Abi::X86_64, "mount", &[target, target, 0x9000, flags, 0x9100]) {
        Verdict::Reply(outcome) => {
            assert_eq!(outcome, result);
            let (_, args) = guest.injected[0];
            Some(String::from_utf8(guest.memory.string(args[4]).unwrap()).unwrap())
        }
        Verdict::Run => None,
        other => panic!("{other:?}"),
    };
    guest.results.clear();
    let (uid, gid, _) = shown(&mut guest, &files, "/m");
    (told, uid, gid)
}

#[test]
fn the_root_of_a_tmpfs_belongs_to_whom_the_options_say() {
    let told = |text: &str| Some(text.to_owned());
    assert_eq!(mounted("tmpfs", "uid=5,gid=6,mode=700", 0, Ok(0)), (told("uid=0,gid=0,mode=700"), 5, 6));
    assert_eq!(mounted("tmpfs", "gid=6", 0, Ok(0)), (told("gid=0"), 0, 6));
    assert_eq!(mounted("tmpfs", "mode=700", 0, Ok(0)), (None, 0, 0), "the kernel's own business");
    assert_eq!(mounted("devpts", "gid=5,mode=620", 0, Ok(0)), (told("gid=0,mode=620"), 0, 0));
    assert_eq!(mounted("tmpfs", "uid=5", MS_REMOUNT, Ok(0)), (told("uid=0"), 0, 0));
    assert_eq!(mounted("tmpfs", "uid=5", 0, Err(Errno::EPERM)), (told("uid=0"), 0, 0));
}

#[test]
fn nothing_is_held_open_from_the_entry_of_an_umount_to_its_exit() {
    let mut guest = crate::syscalls::fake::FakeGuest::new();
    let result = guest.finish(Abi::X86_64, "umount2", &[0x1000, 0], Err(Errno::EBUSY));
    assert_eq!((result, guest.unmounts), (Err(Errno::EBUSY), vec![true, false]));
}
