//! Calls after which paths of a task start elsewhere, or ids have other names to it: what was known of that
//! is to be looked at again. Rare calls all of them.

use super::{Guest, Stage, Test, Verdict, nodes};
use crate::abi::SysResult;

const CLONE_NEWNS: u32 = 0x0002_0000;
const CLONE_NEWUSER: u32 = 0x1000_0000;

/// The calls of unshare(2) that stop.
pub const UNSHARE_STOPS: &[(Stage, Test)] =
    &[(Stage::Base, Test::AnyBits { arg: 0, mask: CLONE_NEWNS | CLONE_NEWUSER })];

/// setns(2): somebody else's mounts.
pub fn setns(_: &mut dyn Guest) -> Verdict {
    Verdict::Amend(|guest, result| {
        guest.sees_other_mounts();
        moved(guest, result)
    })
}

/// chroot(2), pivot_root(2), unshare(2). What a clone makes is looked at when it first matters.
pub fn moves(_: &mut dyn Guest) -> Verdict {
    Verdict::Amend(moved)
}

fn moved(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    guest.moved();
    if result.is_ok() {
        nodes::moved(guest);
    }
    result
}

#[cfg(test)]
mod tests {
    use crate::abi::{Abi, Errno};
    use crate::syscalls::fake::FakeGuest;

    #[test]
    fn a_task_that_has_moved_is_looked_at_again_before_it_goes_on() {
        let mut guest = FakeGuest::new();
        for (name, result) in [("chroot", Ok(0)), ("setns", Ok(0)), ("pivot_root", Err(Errno::EINVAL))] {
            assert_eq!(guest.finish(Abi::X86_64, name, &[0x1000, 0], result), result);
        }
        assert_eq!(guest.moves, 3);
    }
}
