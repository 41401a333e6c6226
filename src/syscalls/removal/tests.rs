use super::*;
use crate::abi::{Abi, Errno};
use crate::cred::Credentials;
use crate::ownership::{Home, Listing, Ownership, Voice};
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{Files, chown};

/// Files `/a` and `/bb`, each touched once, in a run whose listing is saved.
fn recorded() -> (Files, FakeGuest) {
    let files = Files::default();
    let mut guest = files.guest(Credentials::root());
    guest.ownership = Ownership::at(Home::default().with_listings(vec![], Listing::Saved), Voice::default());
    for (path, owner) in [("/a", 5), ("/bb", 0)] {
        files.make(path, 0o100_644);
        assert_eq!(chown(&mut guest, path, owner, 0), Ok(0));
    }
    (files, guest)
}

/// The owners that the listing tells.
fn listed(guest: &FakeGuest) -> Vec<String> {
    let text = guest.ownership.listing(&guest.view);
    let uids = text.lines().filter_map(|line| line.split(",uid=").nth(1)?.split(',').next());
    uids.map(str::to_owned).collect()
}

fn call(guest: &mut FakeGuest, name: &str, args: &[u64]) -> Result<u64, Errno> {
    match guest.verdict(Abi::X86_64, name, args) {
        Verdict::Reply(result) => result,
        other => panic!("{name} gave {other:?}"),
    }
}

#[test]
fn what_lost_its_last_name_is_listed_no_more() {
    for name in ["unlink", "rmdir", "unlinkat"] {
        let (_, mut guest) = recorded();
        assert_eq!(listed(&guest), ["5", "0"], "what is root's was touched too");
        let path = Files::at(&mut guest, "/a");
        let args: &[u64] = if name == "unlinkat" { &[AT_FDCWD, path, 0] } else { &[path] };
        assert_eq!(call(&mut guest, name, args), Ok(0), "{name}");
        assert_eq!(listed(&guest), ["0"], "{name}");
        assert_eq!(call(&mut guest, name, args), Err(Errno::ENOENT), "{name}");
    }
}

#[test]
fn a_rename_ends_what_it_puts_itself_upon_and_nothing_else() {
    for name in ["rename", "renameat", "renameat2"] {
        let (_, mut guest) = recorded();
        let (old, new) = (Files::at(&mut guest, "/a"), Files::at(&mut guest, "/bb"));
        let args = |old, new| match name {
            "rename" => vec![old, new],
            _ => vec![AT_FDCWD, old, AT_FDCWD, new, 0],
        };
        assert_eq!(call(&mut guest, name, &args(old, old)), Ok(0), "{name}");
        assert_eq!(listed(&guest), ["5", "0"], "{name} to its own name");
        assert_eq!(call(&mut guest, name, &args(old, new)), Ok(0), "{name}");
        assert_eq!(listed(&guest), ["5"], "{name}");
    }
    let (_, mut guest) = recorded();
    let exchange = guest.verdict(Abi::X86_64, "renameat2", &[AT_FDCWD, 0, AT_FDCWD, 0, RENAME_EXCHANGE]);
    assert!(matches!(exchange, Verdict::Run), "{exchange:?}");
}

#[test]
fn where_nothing_is_listed_the_kernel_takes_names_away_itself() {
    let files = Files::default();
    let mut guest = files.guest(Credentials::root());
    let verdict = guest.verdict(Abi::X86_64, "unlink", &[0]);
    assert!(matches!(verdict, Verdict::Run), "{verdict:?}");
}
