//! Seccomp filters that the guest loads for itself: kernel/seccomp.c. The kernel runs them; a filter
//! that refuses or kills beats remainroot's, which only asks. The tracer keeps their programs, since the kernel runs
//! them over what it makes the task execute, too.

use super::{Guest, Stage, Test, Verdict, kernel};
use crate::abi::{Abi, Errno, SysResult};

const PR_GET_SECCOMP: u32 = 21;
const PR_SET_SECCOMP: u32 = 22;
/// The prctl options that [`prctl_seccomp`] answers.
pub const PRCTL_OPTIONS: [u32; 2] = [PR_GET_SECCOMP, PR_SET_SECCOMP];

/// `SECCOMP_MODE_FILTER`, for prctl.
const MODE_FILTER: u64 = 2;
/// `SECCOMP_SET_MODE_FILTER`, for seccomp(2).
const SET_MODE_FILTER: u32 = 1;
/// The operations of seccomp(2) that stop.
pub const STOPS: &[(Stage, Test)] = &[(Stage::Base, Test::AnyOf { arg: 0, values: &[SET_MODE_FILTER] })];
/// `SECCOMP_FILTER_FLAG_TSYNC` and its like (linux/seccomp.h).
const TSYNC: u32 = 1;
const NEW_LISTENER: u32 = 1 << 3;
const TSYNC_ESRCH: u32 = 1 << 4;
const WAIT_KILLABLE: u32 = 1 << 5;
/// Every flag, with `LOG` and `SPEC_ALLOW`.
const FLAGS: u32 = 0x3f;
/// Bytes of a `struct sock_filter`.
const INSTRUCTION: usize = 8;
/// `BPF_MAXINSNS`.
const MAX_INSTRUCTIONS: u16 = 4096;

/// seccomp(2).
pub fn seccomp(guest: &mut dyn Guest) -> Verdict {
    let [operation, flags, program, ..] = guest.call().args;
    if operation as u32 == SET_MODE_FILTER { load(guest, flags, program) } else { Verdict::Run }
}

/// prctl(2) with `PR_GET_SECCOMP` or `PR_SET_SECCOMP`. A filter of remainroot's own is not shown.
pub fn prctl_seccomp(guest: &mut dyn Guest) -> Verdict {
    let [option, mode, program, ..] = guest.call().args;
    match option as u32 {
        PR_GET_SECCOMP if !guest.filtered() => Verdict::Reply(Ok(0)),
        PR_SET_SECCOMP if mode == MODE_FILTER => load(guest, 0, program),
        _ => Verdict::Run,
    }
}

/// `seccomp_set_mode_filter`. The guest's filter may forbid `seccomp` to itself, and so to
/// remainroot: whatever might be raised later, and be answered then, is raised before.
fn load(guest: &mut dyn Guest, flags: u64, program: u64) -> Verdict {
    let credentials = guest.credentials();
    if !credentials.may_filter() {
        return Verdict::Reply(Err(denial(guest, flags, program)));
    }
    match instructions(guest, program) {
        Ok(program) => guest.expect_filter(&program),
        Err(_) => return Verdict::Run, // the kernel says why
    }
    Verdict::Amend(loaded)
}

/// Remembers what the kernel has taken.
fn loaded(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    let [_, flags, program, ..] = guest.call().args;
    let is_prctl = kernel::PRCTL.numbers.of(guest.call().abi) == Some(guest.call().number);
    let flags = if is_prctl { 0 } else { flags as u32 };
    // Else a descriptor, or the id of a thread that has another filter: then it was not loaded.
    let is_loaded = result.is_ok_and(|value| value == 0 || flags & NEW_LISTENER != 0);
    if is_loaded {
        let program = instructions(guest, program).ok();
        guest.add_filter(program.as_deref(), flags & TSYNC != 0);
    }
    result
}

/// The instructions that a `struct sock_fprog` names.
fn instructions(guest: &mut dyn Guest, program: u64) -> Result<Vec<u8>, Errno> {
    let (length, address) = header(guest, program)?;
    if !(1..=MAX_INSTRUCTIONS).contains(&length) {
        return Err(Errno::EINVAL);
    }
    let mut bytes = vec![0; usize::from(length) * INSTRUCTION];
    guest.read(address, &mut bytes)?;
    Ok(bytes)
}

/// Why a task without the privilege may not load a filter: `seccomp_prepare_filter` asks for the
/// privilege after it has looked at the flags and the length.
fn denial(guest: &mut dyn Guest, flags: u64, program: u64) -> Errno {
    if !flags_valid(flags) {
        return Errno::EINVAL;
    }
    match header(guest, program) {
        Err(errno) => errno,
        Ok((1..=MAX_INSTRUCTIONS, _)) => Errno::EACCES,
        Ok(_) => Errno::EINVAL,
    }
}

/// `SECCOMP_FILTER_FLAG_MASK` and the combinations that `seccomp_set_mode_filter` takes.
fn flags_valid(flags: u64) -> bool {
    let flags = flags as u32;
    let has = |flag: u32| flags & flag != 0;
    let listener_or_all = !(has(TSYNC) && has(NEW_LISTENER)) || has(TSYNC_ESRCH);
    flags & !FLAGS == 0 && listener_or_all && (!has(WAIT_KILLABLE) || has(NEW_LISTENER))
}

/// The number of instructions in a `struct sock_fprog`, and where they stand.
fn header(guest: &mut dyn Guest, program: u64) -> Result<(u16, u64), Errno> {
    if guest.call().abi == Abi::I386 {
        let mut bytes = [0; 8];
        guest.read(program, &mut bytes)?;
        let [low, high, _, _, address @ ..] = bytes;
        return Ok((u16::from_le_bytes([low, high]), u32::from_le_bytes(address).into()));
    }
    let mut bytes = [0; 16];
    guest.read(program, &mut bytes)?;
    let [low, high, _, _, _, _, _, _, address @ ..] = bytes;
    Ok((u16::from_le_bytes([low, high]), u64::from_le_bytes(address)))
}

#[cfg(test)]
mod tests {
    use super::super::Stages;
    use super::*;
    use crate::abi::Call;
    use crate::cred::{Cap, Credentials};
    use crate::syscalls::fake::FakeGuest;

    const PROGRAM: u64 = 0x1000;

    fn unprivileged() -> Credentials {
        let root = Credentials::root();
        Credentials { effective: root.effective.without(Cap::SYS_ADMIN), ..root }
    }

    const INSTRUCTIONS: u64 = 0x2000;

    fn guest(credentials: Credentials, length: u16) -> FakeGuest {
        let mut guest = FakeGuest::with(credentials);
        guest.memory.map(PROGRAM, &length.to_le_bytes());
        guest.memory.map(PROGRAM + 2, &[0; 6]);
        guest.memory.map(PROGRAM + 8, &INSTRUCTIONS.to_le_bytes());
        guest.memory.map(INSTRUCTIONS, &[6, 0, 0, 0, 0, 0, 0xff, 0x7f]);
        guest
    }

    #[test]
    fn who_may_load_a_filter_is_prepared_first_and_the_program_is_kept_once_the_kernel_took_it() {
        for (name, args) in [("seccomp", [1, 0, PROGRAM]), ("prctl", [22, 2, PROGRAM])] {
            for credentials in [Credentials::root(), Credentials { no_new_privs: true, ..unprivileged() }] {
                let mut guest = guest(credentials, 1);
                assert_eq!(guest.finish(Abi::X86_64, name, &args, Err(Errno::EINVAL)), Err(Errno::EINVAL));
                assert_eq!(guest.filters, [], "the kernel refused");
                assert_eq!(guest.finish(Abi::X86_64, name, &args, Ok(0)), Ok(0));
                assert_eq!(guest.filters, [Some(vec![6, 0, 0, 0, 0, 0, 0xff, 0x7f])]);
                let own = |stage: &Stage| Stages::LASTING.contains(*stage);
                assert!(Stage::ALL.iter().filter(|stage| own(stage)).all(|it| guest.raised.contains(it)));
            }
        }
    }

    #[test]
    fn who_may_not_gets_the_kernels_reasons_in_the_kernels_order() {
        let cases = [
            (0x40, 0, 1, Errno::EINVAL),
            (TSYNC | NEW_LISTENER, 0, 1, Errno::EINVAL),
            (WAIT_KILLABLE, 0, 1, Errno::EINVAL),
            (0, 0, 1, Errno::EFAULT),
            (TSYNC | NEW_LISTENER | TSYNC_ESRCH, PROGRAM + 1, 1, Errno::EFAULT),
            (WAIT_KILLABLE | NEW_LISTENER, PROGRAM, 0, Errno::EINVAL),
            (0, PROGRAM, 4097, Errno::EINVAL),
            (FLAGS, PROGRAM, 4096, Errno::EACCES),
        ];
        for (flags, address, length, errno) in cases {
            let mut guest = guest(unprivileged(), length);
            let args = [1, u64::from(flags), address];
            assert_eq!(guest.sys("seccomp", &args), Err(errno), "{args:x?} {length}");
            assert_eq!(guest.raised, []);
        }
    }

    #[test]
    fn a_filter_that_a_sibling_has_kept_from_being_loaded_is_not_kept_and_a_listeners_is() {
        for (flags, result, kept) in [(TSYNC, 77, false), (NEW_LISTENER, 5, true), (TSYNC, 0, true)] {
            let mut guest = guest(Credentials::root(), 1);
            let args = [1, u64::from(flags), PROGRAM];
            assert_eq!(guest.finish(Abi::X86_64, "seccomp", &args, Ok(result)), Ok(result));
            assert_eq!(!guest.filters.is_empty(), kept, "{flags:x}");
        }
    }

    #[test]
    fn a_program_that_cannot_be_read_is_the_kernels_to_refuse() {
        for length in [0, 2, 4097] {
            let mut guest = guest(Credentials::root(), length);
            assert!(
                matches!(guest.verdict(Abi::X86_64, "seccomp", &[1, 0, PROGRAM]), Verdict::Run),
                "{length}"
            );
        }
    }

    #[test]
    fn the_program_of_a_32_bit_task_is_shorter() {
        let mut guest = FakeGuest::with(unprivileged());
        guest.memory.map(PROGRAM, &[1, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(guest.reply(Abi::I386, "seccomp", &[1, 0, PROGRAM]), Err(Errno::EACCES));
        assert_eq!(guest.reply(Abi::X86_64, "seccomp", &[1, 0, PROGRAM]), Err(Errno::EFAULT));
    }

    #[test]
    fn remainroots_own_filter_is_not_shown_and_the_guests_is() {
        let mut guest = FakeGuest::new();
        assert_eq!(guest.sys("prctl", &[21]), Ok(0));
        guest.filters.push(None);
        assert!(matches!(guest.verdict(Abi::X86_64, "prctl", &[21]), Verdict::Run));
    }

    #[test]
    fn other_operations_and_modes_are_the_kernels() {
        let mut guest = FakeGuest::with(unprivileged());
        for (name, args) in [("seccomp", [2, 0, 0]), ("seccomp", [9, 0, 0]), ("prctl", [22, 7, 0])] {
            assert!(matches!(guest.verdict(Abi::X86_64, name, &args), Verdict::Run), "{name} {args:?}");
        }
        guest.call = Call { abi: Abi::X86_64, number: 317, args: [0; 6] };
        assert!(matches!(seccomp(&mut guest), Verdict::Run));
    }
}
