//! kill(2) of everything. The tracer is one of the processes that −1 names, and no guest may stop it.

use super::{Guest, Stage, Test, Verdict, kernel};
use crate::abi::{Errno, SysResult};

/// The calls that stop: those to every process.
pub const STOPS: &[(Stage, Test)] = &[(Stage::Base, Test::AnyOf { arg: 0, values: &[u32::MAX] })];

/// How often processes are looked for that were born meanwhile. The kernel holds births off.
const ROUNDS: usize = 10;

/// kill(2) with −1 (`kill_something_info` in kernel/signal.c): the guest signals one after the other.
pub fn kill(guest: &mut dyn Guest) -> Verdict {
    let signal = guest.call().arg(1);
    let mut signalled = Vec::new();
    let mut result = Ok(0);
    for _ in 0..ROUNDS {
        let Some(others) = guest.peers() else { return Verdict::Run };
        let before = signalled.len();
        for pid in others {
            if !signalled.contains(&pid) {
                signalled.push(pid);
                result = outcome(result, guest.inject(&kernel::KILL, [pid as u64, signal, 0, 0, 0, 0]));
            }
        }
        if signalled.len() == before {
            break;
        }
    }
    Verdict::Reply(if signalled.is_empty() { Err(Errno::ESRCH) } else { result })
}

/// What one more process makes of the result: one that may not be signalled does not count, nor one
/// that has ended since it was listed.
fn outcome(so_far: SysResult, next: SysResult) -> SysResult {
    match next {
        Err(Errno::EPERM | Errno::ESRCH) => so_far,
        next => next,
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::syscalls::fake::FakeGuest;

    /// A guest with these processes beside it, and what signalling them gives.
    fn beside(peers: &[i32], results: &[SysResult]) -> FakeGuest {
        let mut guest = FakeGuest::new();
        let credentials = Arc::clone(&guest.credentials);
        guest.others = peers.iter().map(|&pid| (pid, Arc::clone(&credentials))).collect();
        guest.results.extend(results);
        guest
    }

    #[test]
    fn each_process_is_signalled_once() {
        let mut guest = beside(&[7, 8, 9], &[Err(Errno::EPERM), Ok(0), Err(Errno::ESRCH)]);
        assert_eq!(guest.sys("kill", &[u64::MAX, 9]), Ok(0));
        let signalled: Vec<u64> = guest.injected.iter().map(|call| call.1[0]).collect();
        assert_eq!(signalled, [7, 8, 9]);
    }

    #[test]
    fn a_signal_that_does_not_exist_is_refused() {
        let mut guest = beside(&[7], &[Err(Errno::EINVAL)]);
        assert_eq!(guest.sys("kill", &[u64::MAX, 99]), Err(Errno::EINVAL));
    }

    #[test]
    fn nobody_else_is_there() {
        assert_eq!(beside(&[], &[]).sys("kill", &[u64::MAX, 9]), Err(Errno::ESRCH));
    }
}
