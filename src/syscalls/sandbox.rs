//! Seccomp filters that the guest loads for itself: kernel/seccomp.c. The kernel runs them; a filter
//! that refuses or kills beats remainroot's, which only asks.

use super::{Guest, Stage, Test, Verdict};
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
        PR_GET_SECCOMP if !guest.sandboxed() => Verdict::Reply(Ok(0)),
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
    guest.raise_all();
    Verdict::Amend(loaded)
}

/// Remembers that the kernel took the filter.
fn loaded(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    if result.is_ok() {
        guest.set_sandboxed();
    }
    result
}

/// Why a task without the privilege may not load a filter: `seccomp_prepare_filter` asks for the
/// privilege after it has looked at the flags and the length.
fn denial(guest: &mut dyn Guest, flags: u64, program: u64) -> Errno {
    if !flags_valid(flags) {
        return Errno::EINVAL;
    }
    match length(guest, program) {
        Err(errno) => errno,
        Ok(1..=MAX_INSTRUCTIONS) => Errno::EACCES,
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

/// The length in a `struct sock_fprog`, all of which must be readable.
fn length(guest: &mut dyn Guest, program: u64) -> Result<u16, Errno> {
    let (mut narrow, mut wide) = ([0; 8], [0; 16]);
    let into: &mut [u8] = if guest.call().abi == Abi::I386 { &mut narrow } else { &mut wide };
    guest.read(program, into)?;
    match *into {
        [low, high, ..] => Ok(u16::from_le_bytes([low, high])),
        _ => Err(Errno::EFAULT),
    }
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

    fn guest(credentials: Credentials, length: u16) -> FakeGuest {
        let mut guest = FakeGuest::with(credentials);
        guest.memory.map(PROGRAM, &length.to_le_bytes());
        guest.memory.map(PROGRAM + 2, &[0; 14]);
        guest
    }

    #[test]
    fn who_may_load_a_filter_gets_every_stage_first_and_is_sandboxed_once_the_kernel_took_it() {
        for (name, args) in [("seccomp", [1, 0, PROGRAM]), ("prctl", [22, 2, PROGRAM])] {
            for credentials in [Credentials::root(), Credentials { no_new_privs: true, ..unprivileged() }] {
                let mut guest = guest(credentials, 1);
                assert_eq!(guest.finish(Abi::X86_64, name, &args, Err(Errno::EINVAL)), Err(Errno::EINVAL));
                assert!(!guest.sandboxed, "the kernel refused");
                assert_eq!(guest.finish(Abi::X86_64, name, &args, Ok(0)), Ok(0));
                assert!(guest.sandboxed);
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
        guest.sandboxed = true;
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
