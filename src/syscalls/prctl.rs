//! The options of prctl(2) that read or change credentials: `cap_task_prctl` in
//! security/commoncap.c, and `no_new_privs` in kernel/sys.c.

use super::ids::adopt;
use super::{Guest, Stage, Test, Verdict, inner, sandbox};
use crate::abi::Errno;
use crate::cred::{Cap, Credentials, Securebits};

pub(super) const SET_PDEATHSIG: u32 = 1;
const GET_KEEPCAPS: u32 = 7;
const SET_KEEPCAPS: u32 = 8;
const CAPBSET_READ: u32 = 23;
const CAPBSET_DROP: u32 = 24;
const GET_SECUREBITS: u32 = 27;
const SET_SECUREBITS: u32 = 28;
const SET_NO_NEW_PRIVS: u32 = 38;
const GET_NO_NEW_PRIVS: u32 = 39;
const CAP_AMBIENT: u32 = 47;
const SET_SYSCALL_USER_DISPATCH: u32 = 59;

const AMBIENT_IS_SET: u64 = 1;
const AMBIENT_RAISE: u64 = 2;
const AMBIENT_LOWER: u64 = 3;
const AMBIENT_CLEAR_ALL: u64 = 4;

/// The options that stop. What is read stops once it may differ from the kernel's; `no_new_privs`
/// from the start, since the kernel's may be remainroot's own.
pub const STOPS: &[(Stage, Test)] = &[
    (
        Stage::Base,
        Test::AnyOf {
            arg: 0,
            values: &[
                SET_PDEATHSIG,
                SET_KEEPCAPS,
                CAPBSET_DROP,
                SET_SECUREBITS,
                SET_NO_NEW_PRIVS,
                GET_NO_NEW_PRIVS,
                CAP_AMBIENT,
                SET_SYSCALL_USER_DISPATCH,
                inner::OPTION,
                sandbox::PRCTL_OPTIONS[0],
                sandbox::PRCTL_OPTIONS[1],
            ],
        },
    ),
    (Stage::Identity, Test::AnyOf { arg: 0, values: &[GET_KEEPCAPS, CAPBSET_READ, GET_SECUREBITS] }),
];

/// What an option comes to: a value, or new credentials, whose value is 0.
enum Outcome {
    Value(u64),
    Change(Credentials),
}

/// prctl(2).
pub fn prctl(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let [option, rest @ ..] = guest.call().args;
    if option as u32 == SET_PDEATHSIG && guest.call().arg(1) != 0 && !old.heeds_parent {
        guest.commit(Credentials { heeds_parent: true, ..(*old).clone() });
    }
    if option as u32 == SET_SYSCALL_USER_DISPATCH {
        // The kernel sends it a signal for each call that it makes elsewhere than where it says.
        guest.answer_from_outside();
        return Verdict::Run;
    }
    if option as u32 == inner::OPTION {
        return inner::prctl(guest);
    }
    if sandbox::PRCTL_OPTIONS.contains(&(option as u32)) {
        return sandbox::prctl_seccomp(guest);
    }
    match answer(&old, option as u32, rest) {
        None => Verdict::Run,
        Some(Ok(Outcome::Value(value))) => Verdict::Reply(Ok(value)),
        Some(Ok(Outcome::Change(new))) => adopt(guest, &old, Ok(new)),
        Some(Err(errno)) => Verdict::Reply(Err(errno)),
    }
}

/// What the kernel would make of an option under these credentials; `None` for one that has
/// nothing to do with them.
fn answer(old: &Credentials, option: u32, args: [u64; 5]) -> Option<Result<Outcome, Errno>> {
    let [arg2, arg3, arg4, arg5, _] = args;
    let flag = |flag: bool| Ok(Outcome::Value(flag.into()));
    Some(match option {
        GET_KEEPCAPS => flag(old.securebits.has(Securebits::KEEP_CAPS)),
        SET_KEEPCAPS => old.set_keepcaps(arg2).map(Outcome::Change),
        CAPBSET_READ => Cap::from_arg(arg2).ok_or(Errno::EINVAL).and_then(|cap| flag(old.bounding.has(cap))),
        CAPBSET_DROP => old.drop_bounding(Cap::from_arg(arg2)).map(Outcome::Change),
        GET_SECUREBITS => Ok(Outcome::Value(old.securebits.0.into())),
        SET_SECUREBITS => old.set_securebits(arg2).map(Outcome::Change),
        SET_NO_NEW_PRIVS if [arg2, arg3, arg4, arg5] == [1, 0, 0, 0] => {
            Ok(Outcome::Change(Credentials { no_new_privs: true, ..old.clone() }))
        }
        GET_NO_NEW_PRIVS if [arg2, arg3, arg4, arg5] == [0; 4] => flag(old.no_new_privs),
        SET_NO_NEW_PRIVS | GET_NO_NEW_PRIVS => Err(Errno::EINVAL),
        CAP_AMBIENT => ambient(old, [arg2, arg3, arg4, arg5]),
        _ => return None,
    })
}

/// `PR_CAP_AMBIENT`.
fn ambient(old: &Credentials, [what, cap, arg4, arg5]: [u64; 4]) -> Result<Outcome, Errno> {
    if what == AMBIENT_CLEAR_ALL && [cap, arg4, arg5] == [0; 3] {
        return Ok(Outcome::Change(old.clear_ambient()));
    }
    if what == AMBIENT_CLEAR_ALL || arg4 | arg5 != 0 {
        return Err(Errno::EINVAL);
    }
    let cap = Cap::from_arg(cap).ok_or(Errno::EINVAL)?;
    match what {
        AMBIENT_IS_SET => Ok(Outcome::Value(old.ambient.has(cap).into())),
        AMBIENT_RAISE => old.raise_ambient(cap).map(Outcome::Change),
        AMBIENT_LOWER => Ok(Outcome::Change(old.lower_ambient(cap))),
        _ => Err(Errno::EINVAL),
    }
}

#[cfg(test)]
mod tests;
