//! A trial in a process of its own, which may be killed for it, or hang.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::time::{Duration, Instant};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::Signal;
use nix::sys::socket::{self, MsgFlags};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

use super::{Need, State};
use crate::launch::sockets;
use crate::sys::process::{self, Forked};
use crate::sys::{self, Errno, Tid};

/// How long a trial may take on a machine that is busy with something else.
pub(super) const PATIENCE: Duration = Duration::from_secs(10);
/// How long the next may once one came to no end: the place is to blame, not the load.
const IMPATIENCE: Duration = Duration::from_secs(2);
/// The longest answer.
const LONGEST: usize = 16 << 10;
/// Between two parts of an answer.
const SEPARATOR: char = '\u{1f}';

/// What `probe` finds in a process of its own, or that it came to no end by the end of `patience`.
pub(super) fn attempt(name: &'static str, patience: &mut Duration, probe: impl FnOnce() -> Need) -> Need {
    let until = Instant::now() + *patience;
    let told = match start(probe) {
        Ok((child, socket)) => {
            let told = hear(&socket, until);
            // It has nothing more to do. A killed process that still waits for something is not waited for.
            let _ = process::kill(child, libc::SIGKILL);
            match told {
                Told::Nothing => ended(child, until),
                Told::Answer(need) => need,
                Told::Late => {
                    *patience = IMPATIENCE;
                    Need::no("the trial did not end, and was killed")
                }
            }
        }
        Err(errno) => Need::no(format!("no process can be made to try it ({})", errno.desc())),
    };
    Need { name, ..told }
}

fn start(probe: impl FnOnce() -> Need) -> sys::Result<(Tid, OwnedFd)> {
    let (ours, theirs) = sockets()?;
    match process::fork_unseen()? {
        Forked::Parent(child) => Ok((child, ours)),
        Forked::Child => {
            drop(ours);
            let _ = process::set_parent_death_signal(libc::SIGKILL);
            let text = encode(&probe());
            let _ = socket::send(theirs.as_raw_fd(), text.as_bytes(), MsgFlags::MSG_NOSIGNAL);
            process::exit_now(0)
        }
    }
}

/// What came of a trial.
enum Told {
    Answer(Need),
    Nothing,
    Late,
}

fn hear(socket: &OwnedFd, until: Instant) -> Told {
    loop {
        let left = until.saturating_duration_since(Instant::now()).as_millis();
        let timeout = PollTimeout::try_from(left).unwrap_or(PollTimeout::MAX);
        match poll(&mut [PollFd::new(socket.as_fd(), PollFlags::POLLIN)], timeout) {
            Ok(0) => return Told::Late,
            Err(Errno::EINTR) => {}
            _ => break,
        }
    }
    let mut bytes = vec![0; LONGEST];
    let length = socket::recv(socket.as_raw_fd(), &mut bytes, MsgFlags::MSG_DONTWAIT).unwrap_or(0);
    let text = String::from_utf8_lossy(bytes.get(..length).unwrap_or_default()).into_owned();
    decode(&text).map_or(Told::Nothing, Told::Answer)
}

/// What is said of a trial that ended without an answer.
fn ended(child: Tid, until: Instant) -> Need {
    const SOON: Duration = Duration::from_millis(2);
    let flags = WaitPidFlag::WNOHANG | WaitPidFlag::__WALL;
    loop {
        match waitpid(Pid::from_raw(child), Some(flags)) {
            Ok(WaitStatus::StillAlive) if Instant::now() < until => std::thread::sleep(SOON),
            Ok(WaitStatus::Signaled(_, Signal::SIGSYS, _)) => {
                return Need::no("a seccomp profile kills who tries it");
            }
            Ok(WaitStatus::Signaled(_, signal, _)) => {
                return Need::no(format!("the trial died of {}", signal.as_str()));
            }
            _ => return Need::no("the trial ended without an answer"),
        }
    }
}

/// A text of somebody else's without what a terminal would obey.
pub(super) fn plain(text: &str) -> String {
    text.chars().map(|it| if it.is_control() { '?' } else { it }).collect()
}

fn encode(need: &Need) -> String {
    let Need { state, detail, cause, effect, cures, fitting, .. } = need;
    let state = match state {
        State::Ok => "ok",
        State::Degraded => "degraded",
        State::No => "no",
    };
    let maybe = |text: &Option<String>| text.as_deref().map(plain).unwrap_or_default();
    let mut parts = vec![state.to_owned(), plain(detail), maybe(cause), maybe(effect), fitting.to_string()];
    parts.extend(cures.iter().map(|cure| plain(cure)));
    parts.join(&SEPARATOR.to_string())
}

fn decode(text: &str) -> Option<Need> {
    let mut parts = text.split(SEPARATOR).map(str::to_owned);
    let state = match parts.next()?.as_str() {
        "ok" => State::Ok,
        "degraded" => State::Degraded,
        "no" => State::No,
        _ => return None,
    };
    let detail = parts.next()?;
    let mut maybe = || parts.next().map(|text| (!text.is_empty()).then_some(text));
    let (cause, effect) = (maybe()?, maybe()?);
    let fitting = parts.next()?.parse().ok()?;
    Some(Need { name: "", state, detail, cause, effect, cures: parts.collect(), fitting })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_read_as_it_was_told_and_obeyed_by_no_terminal() {
        let cures = vec!["a".to_owned(), "b".to_owned()];
        let need = Need { cures, fitting: 1, ..Need::degraded("d\u{1b}[2J", "effect") };
        let expected = Need { detail: "d?[2J".to_owned(), ..need.clone() };
        assert_eq!(decode(&encode(&need)), Some(expected));
        let bare = Need::no("x");
        assert_eq!(decode(&encode(&bare)), Some(bare));
        for nonsense in ["", "ok", "fine\u{1f}\u{1f}\u{1f}", "ok\u{1f}a\u{1f}b"] {
            assert_eq!(decode(nonsense), None, "{nonsense:?}");
        }
    }
}
