//! What a process does to its mappings. Of the memory by which it answers itself it knows nothing: there that does nothing,
//! and succeeds as on a mapping of its own. What it may be about to write in its own text is put back before.

use std::ops::Range;

use super::{Guest, Stage, Test, Verdict, kernel};
use crate::abi::{Errno, KernelCall, window};

/// Those about addresses where that memory may be.
pub const STOPS: &[(Stage, Test)] = &[MEETS];
/// See [`STOPS`].
pub const MEETS: (Stage, Test) = (Stage::Base, Test::Meets { start: 0, length: 1 });
/// The same of mprotect(2), and what becomes executable: it was written just now, or may be from now on.
pub const PROTECT_STOPS: &[(Stage, Test)] =
    &[MEETS, (Stage::Base, Test::AnyBits { arg: 2, mask: PROT_EXEC })];

/// See [`STOPS`]; and what comes to stand there.
pub const REMAP_STOPS: &[(Stage, Test)] =
    &[MEETS, (Stage::Base, Test::Over { start: NEW_ADDRESS, length: 2, flags: 3, mask: MREMAP_FIXED })];
/// Mappings that are to stand there and nowhere else.
pub const MAP_STOPS: &[(Stage, Test)] =
    &[(Stage::Base, Test::Over { start: 0, length: 1, flags: 3, mask: MAP_FIXED | MAP_FIXED_NOREPLACE })];

const NEW_ADDRESS: u8 = 4;
const MREMAP_FIXED: u32 = 2;
const MAP_FIXED: u32 = 0x10;
const MAP_FIXED_NOREPLACE: u32 = 0x10_0000;
const PROT_EXEC: u32 = 4;
const PAGE: u64 = 4096;
/// `TASK_SIZE_MAX`: beyond it nothing is mapped.
const HIGHEST: u64 = 0x7FFF_FFFF_F000;

/// munmap(2).
pub fn munmap(guest: &mut dyn Guest) -> Verdict {
    apart(guest, &kernel::MUNMAP)
}

/// mprotect(2).
pub fn mprotect(guest: &mut dyn Guest) -> Verdict {
    put_back(guest);
    apart(guest, &kernel::MPROTECT)
}

/// pkey_mprotect(2).
pub fn pkey_mprotect(guest: &mut dyn Guest) -> Verdict {
    put_back(guest);
    apart(guest, &kernel::PKEY_MPROTECT)
}

fn put_back(guest: &mut dyn Guest) {
    if guest.call().arg(2) as u32 & PROT_EXEC != 0
        && let Some(range) = range(guest)
    {
        guest.put_back(&range);
    }
}

/// madvise(2).
pub fn madvise(guest: &mut dyn Guest) -> Verdict {
    apart(guest, &kernel::MADVISE)
}

/// mmap(2) at an address of the guest's choice.
pub fn mmap(guest: &mut dyn Guest) -> Verdict {
    let [start, length, ..] = guest.call().args;
    make_room(guest, start, length)
}

/// Has that memory give way to what is to stand there, if it can.
fn make_room(guest: &mut dyn Guest, start: u64, length: u64) -> Verdict {
    let meets = |own: &Range<u64>| pages(start, length).is_some_and(|it| window::around(&it, own).is_some());
    if guest.own_memory().is_some_and(|own| meets(&own)) && !guest.make_room() {
        return Verdict::Reply(Err(Errno::ENOMEM));
    }
    Verdict::Run
}

/// mremap(2): it moves one mapping, and refuses more.
pub fn mremap(guest: &mut dyn Guest) -> Verdict {
    let own = guest.own_memory();
    let [_, _, length, flags, new_address, _] = guest.call().args;
    match (range(guest), own) {
        (Some(range), Some(own)) if window::around(&range, &own).is_some() => {
            Verdict::Reply(Err(Errno::EFAULT))
        }
        _ if flags as u32 & MREMAP_FIXED != 0 => make_room(guest, new_address, length),
        _ => Verdict::Run,
    }
}

/// The pages that a call is about, if the kernel takes them for some.
fn range(guest: &dyn Guest) -> Option<Range<u64>> {
    let [start, length, ..] = guest.call().args;
    pages(start, length)
}

/// The pages of a range, if the kernel takes them for some.
fn pages(start: u64, length: u64) -> Option<Range<u64>> {
    let end = length.checked_next_multiple_of(PAGE)?.checked_add(start)?;
    (start.is_multiple_of(PAGE) && end <= HIGHEST && start < end).then_some(start..end)
}

/// Makes a call about a range on what it has before that memory, and then on what it has behind it.
fn apart(guest: &mut dyn Guest, call: &'static KernelCall) -> Verdict {
    let own = guest.own_memory();
    let (Some(range), Some(own)) = (range(guest), own) else { return Verdict::Run };
    let Some([before, behind]) = window::around(&range, &own) else { return Verdict::Run };
    let [.., third, fourth, fifth, sixth] = guest.call().args;
    let about = |range: &Range<u64>| [range.start, range.end - range.start, third, fourth, fifth, sixth];
    if !before.is_empty()
        && let Err(errno) = guest.inject(call, about(&before))
    {
        return Verdict::Reply(Err(errno));
    }
    if behind.is_empty() {
        return Verdict::Reply(Ok(0));
    }
    Verdict::Reply(guest.inject(call, about(&behind)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::Abi;
    use crate::syscalls::fake::FakeGuest;

    const OWN: Range<u64> = 0x5EED_0000..0x5EEE_0000;

    fn guest() -> FakeGuest {
        FakeGuest { own_memory: Some(OWN), ..FakeGuest::new() }
    }

    #[test]
    fn what_it_knows_nothing_of_stays() {
        for name in ["munmap", "mprotect", "madvise"] {
            let mut guest = guest();
            assert_eq!(guest.sys(name, &[OWN.start + 0x1000, 0x800]), Ok(0));
            assert_eq!(guest.injected, []);
        }
        assert_eq!(guest().sys("mremap", &[OWN.start, 0x1000, 0x2000]), Err(Errno::EFAULT));
    }

    #[test]
    fn the_rest_of_a_range_is_the_kernels() {
        let mut guest = guest();
        guest.results.extend([Ok(0), Ok(0)]);
        assert_eq!(guest.sys("munmap", &[OWN.start - 0x1000, 0x3_0000]), Ok(0));
        let calls: Vec<[u64; 2]> = guest.injected.iter().map(|(_, args)| [args[0], args[1]]).collect();
        assert_eq!(calls, [[OWN.start - 0x1000, 0x1000], [OWN.end, 0x1_F000]]);
    }

    #[test]
    fn what_the_kernel_refuses_or_what_is_elsewhere_is_left_to_it() {
        for args in [[OWN.start + 1, 0x1000], [OWN.start, 0], [OWN.start, u64::MAX], [OWN.end, 0x1000]] {
            assert!(matches!(guest().verdict(Abi::X86_64, "munmap", &args), Verdict::Run), "{args:x?}");
        }
    }

    #[test]
    fn it_gives_way_to_what_is_to_stand_there() {
        const FIXED: u64 = MAP_FIXED as u64;
        for (name, args, meets) in [
            ("mmap", [OWN.start + 0x1000, 0x1000, 3, FIXED, 0], true),
            ("mmap", [OWN.start - 0x2000, 0x2001, 3, FIXED, 0], true),
            ("mmap", [OWN.end, 0x1000, 3, FIXED, 0], false),
            ("mremap", [0x1000, 0x1000, 0x1000, 3, OWN.start], true),
            ("mremap", [0x1000, 0x1000, 0x1000, 1, OWN.start], false),
            ("mremap", [0x1000, 0x1000, 0x1000, 3, OWN.end], false),
        ] {
            let mut roomy = FakeGuest { may_make_room: true, ..guest() };
            assert!(matches!(roomy.verdict(Abi::X86_64, name, &args), Verdict::Run), "{name} {args:x?}");
            assert_eq!(roomy.own_memory.is_none(), meets, "{name} {args:x?}");
            if meets {
                assert_eq!(guest().sys(name, &args), Err(Errno::ENOMEM), "{name} {args:x?}");
            }
        }
    }

    #[test]
    fn text_is_put_back_before_it_may_be_written() {
        let mut guest = guest();
        for protection in [1, 3, 5, 7] {
            let _ = guest.verdict(Abi::X86_64, "mprotect", &[0x1000, 0x1000, protection]);
        }
        assert_eq!(guest.put_back, [0x1000..0x2000, 0x1000..0x2000]);
    }
}
