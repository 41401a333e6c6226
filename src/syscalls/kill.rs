//! kill(2) of everything. The tracer is one of the processes that −1 names, and no guest may stop it; and to the kernel all
//! users are one.

use super::{Guest, Peer, Peers, Stage, Test, Verdict, kernel};
use crate::abi::{Errno, SysResult};
use crate::cred::Cap;

/// The calls that stop: those to every process.
pub const STOPS: &[(Stage, Test)] = &[(Stage::Base, Test::AnyOf { arg: 0, values: &[u32::MAX] })];

/// How often processes are looked for that were born meanwhile. The kernel holds births off.
const ROUNDS: usize = 10;

const SIGCONT: u32 = 18;
const LAST_SIGNAL: u32 = 64;

/// kill(2) with −1 (`kill_something_info` in kernel/signal.c): the guest signals one after the other those that it may. Where
/// the tracer is not among them, who may signal everybody leaves it to the kernel.
pub fn kill(guest: &mut dyn Guest) -> Verdict {
    let (sender, signal) = (guest.credentials(), guest.call().arg(1));
    let mut met = Vec::new();
    let mut result = Ok(0);
    for _ in 0..ROUNDS {
        let Peers { with_tracer, processes } = guest.peers();
        if !with_tracer && sender.has(Cap::KILL) {
            return Verdict::Run;
        }
        let before = met.len();
        for Peer { id, credentials, in_session } in processes {
            if met.contains(&id) {
                continue;
            }
            met.push(id);
            // Whether the signal exists the kernel asks first.
            let continues = signal as u32 == SIGCONT && in_session;
            if sender.may_signal(&credentials) || continues || signal as u32 > LAST_SIGNAL {
                result = outcome(result, guest.inject(&kernel::KILL, [id as u64, signal, 0, 0, 0, 0]));
            }
        }
        if met.len() == before {
            break;
        }
    }
    Verdict::Reply(if met.is_empty() { Err(Errno::ESRCH) } else { result })
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
    use crate::abi::Abi;
    use crate::syscalls::fake::FakeGuest;
    use crate::syscalls::files::user;

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

    /// What a user sends, to one of his own, to root and to another.
    fn sent_by_a_user(signal: u64, session: &[i32]) -> (SysResult, Vec<u64>) {
        let mut guest = FakeGuest::with(user(33));
        guest.others = [(7, user(33)), (8, user(0)), (9, user(34))]
            .map(|(pid, credentials)| (pid, Arc::new(credentials)))
            .into();
        guest.session = session.to_vec();
        guest.kernel = Some(Box::new(move |_, _, _| if signal > 64 { Err(Errno::EINVAL) } else { Ok(0) }));
        let result = guest.sys("kill", &[u64::MAX, signal]);
        (result, guest.injected.iter().map(|call| call.1[0]).collect())
    }

    #[test]
    fn a_user_reaches_his_own() {
        assert_eq!(sent_by_a_user(9, &[8]), (Ok(0), vec![7]));
        assert_eq!(sent_by_a_user(18, &[8]), (Ok(0), vec![7, 8]));
        assert_eq!(sent_by_a_user(65, &[]), (Err(Errno::EINVAL), vec![7, 8, 9]));
    }

    #[test]
    fn who_may_signal_nobody_is_told_of_success() {
        let mut guest = FakeGuest::with(user(33));
        guest.others = [(7, Arc::new(user(34)))].into();
        assert_eq!(guest.sys("kill", &[u64::MAX, 9]), Ok(0));
        assert!(guest.injected.is_empty());
    }

    #[test]
    fn a_user_in_a_pid_namespace_of_his_own_is_answered_and_root_is_left_to_the_kernel() {
        let mut root = FakeGuest { with_tracer: false, ..FakeGuest::new() };
        assert!(matches!(root.verdict(Abi::X86_64, "kill", &[u64::MAX, 9]), Verdict::Run));
        let mut guest = FakeGuest { with_tracer: false, ..FakeGuest::with(user(33)) };
        assert_eq!(guest.sys("kill", &[u64::MAX, 9]), Err(Errno::ESRCH));
    }

    #[test]
    fn nobody_else_is_there() {
        assert_eq!(beside(&[], &[]).sys("kill", &[u64::MAX, 9]), Err(Errno::ESRCH));
    }
}
