//! Calls that would escape remainroot, and how they are kept in.

use super::{Guest, Stage, Test, Verdict, kernel, limits};
use crate::abi::Errno;

/// `CLONE_UNTRACED`: the parent's tracer is not to have the child.
const CLONE_UNTRACED: u32 = 0x0080_0000;
const UNTRACED: u64 = CLONE_UNTRACED as u64;

/// The clones that stop.
pub const CLONE_STOPS: &[(Stage, Test)] =
    &[(Stage::Base, Test::AnyBits { arg: 0, mask: CLONE_UNTRACED }), (Stage::Limits, Test::Always)];

/// Every clone3: its flags stand in memory.
pub const CLONE3_STOPS: &[(Stage, Test)] = &[
    (Stage::Base, Test::Always),
    (Stage::Identity, Test::Always),
    (Stage::Ownership, Test::Always),
    (Stage::Limits, Test::Always),
];

/// Sizes of clone3's structure that the kernel takes: from the first version's to a page.
const CLONE3_SIZES: std::ops::RangeInclusive<u64> = 64..=4096;

/// io_uring_setup(2): a ring's operations pass no filter, so the kernel is one without io_uring.
pub fn io_uring_setup(_: &mut dyn Guest) -> Verdict {
    Verdict::Reply(Err(Errno::ENOSYS))
}

/// clone(2) with `CLONE_UNTRACED`: the child would have the filter and nobody to answer it.
pub fn clone(guest: &mut dyn Guest) -> Verdict {
    if limits::refuses_birth(guest) {
        return Verdict::Reply(Err(Errno::EAGAIN));
    }
    let [flags, rest @ ..] = guest.call().args;
    if flags & UNTRACED == 0 {
        return Verdict::Run;
    }
    let [stack, parent, child, tls, last] = rest;
    let flags = flags & !UNTRACED;
    Verdict::Replace(&kernel::CLONE, [flags, stack, parent, child, tls, last], |_, result| result)
}

/// clone3(2): the same. The flag is put back when the kernel has read it, if it stands as it was left.
pub fn clone3(guest: &mut dyn Guest) -> Verdict {
    if limits::refuses_birth(guest) {
        return Verdict::Reply(Err(Errno::EAGAIN));
    }
    let [at, size, ..] = guest.call().args;
    let Some(flags) = clone3_flags(guest).filter(|flags| flags & UNTRACED != 0) else { return Verdict::Run };
    if !CLONE3_SIZES.contains(&size) {
        return Verdict::Run;
    }
    let traced = (flags & !UNTRACED).to_le_bytes();
    if guest.write(at, &traced).is_ok() {
        return Verdict::Amend(|guest, result| {
            let at = guest.call().arg(0);
            if let Some(flags) = clone3_flags(guest).filter(|flags| flags & UNTRACED == 0) {
                let _ = guest.write(at, &(flags | UNTRACED).to_le_bytes()); // it may be gone
            }
            result
        });
    }
    // It cannot be written.
    match copy_with(guest, at, size, traced) {
        Some(copy) => Verdict::Replace(&kernel::CLONE3, [copy, size, 0, 0, 0, 0], |_, result| result),
        None => Verdict::Run,
    }
}

fn clone3_flags(guest: &mut dyn Guest) -> Option<u64> {
    let mut flags = [0; 8];
    guest.read(guest.call().arg(0), &mut flags).ok()?;
    Some(u64::from_le_bytes(flags))
}

/// The address of a copy of a structure in the scratch memory, which begins with something else.
fn copy_with(guest: &mut dyn Guest, at: u64, size: u64, start: [u8; 8]) -> Option<u64> {
    if guest.filtered() {
        return None; // its filters may let it have no memory for that
    }
    let mut copy = vec![0; size as usize];
    guest.read(at, &mut copy).ok()?;
    copy.iter_mut().zip(start).for_each(|(to, from)| *to = from);
    let scratch = guest.scratch().ok()?;
    guest.write(scratch, &copy).ok().map(|()| scratch)
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

    /// What clone3 with these flags comes to where its structure can be written or not: what the kernel reads, and what
    /// stands there afterwards.
    fn clone3_of(flags: u64, read_only: bool) -> (u64, u64) {
        const AT: u64 = 0x4000;
        let mut guest = FakeGuest::new();
        let bytes = [flags.to_le_bytes().to_vec(), vec![7; 80]].concat();
        if read_only {
            guest.memory.map_read_only(AT, &bytes)
        } else {
            guest.memory.map(AT, &bytes)
        }
        let word = |guest: &FakeGuest, at| {
            let mut word = [0; 8];
            guest.memory.read(at, &mut word).expect("it is mapped");
            u64::from_le_bytes(word)
        };
        let verdict = guest.verdict(Abi::X86_64, "clone3", &[AT, 88]);
        let from = if let Verdict::Replace(_, args, _) = verdict { args[0] } else { AT };
        let read = word(&guest, from);
        if let Verdict::Amend(finish) = verdict {
            assert_eq!(finish(&mut guest, Ok(77)), Ok(77));
        }
        (read, word(&guest, AT))
    }

    #[test]
    fn the_kernel_never_reads_that_a_child_is_to_be_untraced() {
        for read_only in [false, true] {
            assert_eq!(clone3_of(UNTRACED | 0x100, read_only), (0x100, UNTRACED | 0x100));
            assert_eq!(clone3_of(0x100, read_only), (0x100, 0x100));
        }
    }
}
