//! What a remainroot that is started inside another asks of the one around it, since it can trace nothing
//! itself: to take a listing over, and to have one made. It asks by an option of prctl(2) that the kernel
//! does not know, and by which nobody but root gets anything.

use super::{Guest, Stage, Verdict};
use crate::abi::{Errno, SysResult};
use crate::cred::{Cap, Uid};
use crate::ownership::listing;

/// The option: "rmrt".
pub const OPTION: u32 = 0x726d_7274;
/// Remember all that is touched from now on.
pub const BEGIN: u64 = 1;
/// Take the listing over that stands at the address in the third argument and is as long as the fourth says.
pub const LOAD: u64 = 2;
/// Write the listing there if it fits; gives its length.
pub const LISTING: u64 = 3;
/// The listing was had.
pub const END: u64 = 4;
/// The longest listing that is taken.
const LONGEST: usize = 1 << 28;

/// prctl(2) with [`OPTION`].
pub fn prctl(guest: &mut dyn Guest) -> Verdict {
    let who = guest.credentials();
    if who.euid != Uid::ROOT || !who.has(Cap::CHOWN) {
        return Verdict::Reply(Err(Errno::EPERM));
    }
    let [_, what, address, length, ..] = guest.call().args;
    Verdict::Reply(match what {
        BEGIN => {
            guest.ownership().begin_recording();
            guest.raise(Stage::Ownership);
            guest.raise(Stage::Removal);
            Ok(0)
        }
        LOAD => load(guest, address, length),
        LISTING => tell(guest, address, length),
        END => {
            guest.ownership().end_recording();
            Ok(0)
        }
        _ => Err(Errno::EINVAL),
    })
}

fn load(guest: &mut dyn Guest, address: u64, length: u64) -> SysResult {
    let length = usize::try_from(length).ok().filter(|&length| length <= LONGEST).ok_or(Errno::EINVAL)?;
    let mut text = vec![0; length];
    guest.read(address, &mut text)?;
    let entries = listing::entries(&text).map_err(|_| Errno::EINVAL)?;
    guest.ownership().take_over(entries);
    guest.raise(Stage::Ownership);
    Ok(0)
}

fn tell(guest: &mut dyn Guest, address: u64, length: u64) -> SysResult {
    let text = guest.ownership().listing(guest.view());
    let whole = text.len() as u64;
    if whole <= length {
        guest.write(address, text.as_bytes())?;
    }
    Ok(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;
    use crate::cred::Credentials;
    use crate::syscalls::files::{Files, chown, shown, user};

    #[test]
    fn an_inner_run_has_what_is_touched_listed_and_another_takes_it_over() {
        let files = Files::default();
        files.make("/a", 0o100_644);
        let mut guest = files.guest(Credentials::root());
        guest.memory.map(0x9000, &[0; 1024]);
        let ask = |guest: &mut crate::syscalls::fake::FakeGuest, what, length| match guest.verdict(
            Abi::X86_64,
            "prctl",
            &[OPTION.into(), what, 0x9000, length],
        ) {
            Verdict::Reply(result) => result,
            other => panic!("{other:?}"),
        };
        assert_eq!(ask(&mut guest, BEGIN, 0), Ok(0));
        assert_eq!(guest.raised, [Stage::Ownership, Stage::Removal]);
        assert_eq!(chown(&mut guest, "/a", 7, 8), Ok(0));
        let length = ask(&mut guest, LISTING, 0).expect("there is one");
        assert_eq!(ask(&mut guest, LISTING, 1024), Ok(length));
        assert_eq!(ask(&mut guest, END, 0), Ok(0));
        assert_eq!(ask(&mut guest, END, 0), Ok(0), "once more");
        assert!(!guest.ownership.records_all());

        let mut other = files.guest(Credentials::root());
        let mut text = vec![0; length as usize];
        guest.memory.read(0x9000, &mut text).expect("it was written");
        other.memory.map(0x9000, &text);
        assert_eq!(ask(&mut other, LOAD, length), Ok(0));
        assert_eq!(shown(&mut other, &files, "/a"), (7, 8, 0o100_644));
        assert_eq!(ask(&mut other, LOAD, length - 3), Err(Errno::EINVAL), "cut short");
        assert_eq!(ask(&mut other, LOAD, 1 << 40), Err(Errno::EINVAL));
        assert_eq!(ask(&mut other, LOAD, 1 << 20), Err(Errno::EFAULT));
        other.credentials = user(5).into();
        for what in [BEGIN, LOAD, LISTING, END] {
            assert_eq!(ask(&mut other, what, 0), Err(Errno::EPERM), "no way for a user to become an owner");
        }
    }
}
