//! Calls that would escape remainroot, and how they are kept in.

use super::{Guest, Stage, Test, Verdict, kernel};
use crate::abi::Errno;

/// `CLONE_UNTRACED`: the parent's tracer is not to have the child.
const CLONE_UNTRACED: u32 = 0x0080_0000;

/// The clones that stop.
pub const CLONE_STOPS: &[(Stage, Test)] = &[(Stage::Base, Test::AnyBits { arg: 0, mask: CLONE_UNTRACED })];

/// io_uring_setup(2): a ring's operations pass no filter, so the kernel is one without io_uring.
pub fn io_uring_setup(_: &mut dyn Guest) -> Verdict {
    Verdict::Reply(Err(Errno::ENOSYS))
}

/// clone(2) with `CLONE_UNTRACED`: the child would have the filter and nobody to answer it.
pub fn clone(guest: &mut dyn Guest) -> Verdict {
    let [flags, rest @ ..] = guest.call().args;
    let [stack, parent, child, tls, last] = rest;
    let flags = flags & !u64::from(CLONE_UNTRACED);
    Verdict::Replace(&kernel::CLONE, [flags, stack, parent, child, tls, last], |_, result| result)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;
    use crate::syscalls::fake::FakeGuest;

    #[test]
    fn io_uring_is_not_there() {
        assert_eq!(FakeGuest::new().sys("io_uring_setup", &[8, 0x1000]), Err(Errno::ENOSYS));
    }

    #[test]
    fn an_untraced_clone_is_an_ordinary_one() {
        let mut guest = FakeGuest::new();
        let asked = [u64::from(CLONE_UNTRACED) | 17, 1, 2, 3, 4, 5];
        for abi in Abi::ALL {
            let Verdict::Replace(call, args, finish) = guest.verdict(abi, "clone", &asked) else {
                panic!("not replaced")
            };
            assert_eq!((call.numbers.of(abi), args), (Some(guest.call.number), [17, 1, 2, 3, 4, 5]));
            assert_eq!(finish(&mut guest, Ok(77)), Ok(77));
        }
    }
}
