//! A run inside another remainroot, which traces its command already. What is to be loaded and saved the other
//! does on demand ([`inner`]); the saving run waits for its command, as fakeroot does.

use std::ffi::CString;
use std::path::Path;

use nix::sys::signal::{SigSet, Signal};

use super::{Failure, exec, say};
use crate::ownership::listing::{self, Entry};
use crate::supervisor;
use crate::sys::process::{self, Forked};
use crate::sys::{self, Errno};
use crate::syscalls::inner;

/// Runs the command, with what a listing says and with one written at its end.
pub(super) fn run(command: &[CString], load: &[Entry], save: Option<&Path>) -> Failure {
    if !load.is_empty()
        && let Err(errno) = ask(inner::LOAD, &mut listing::text(load).into_bytes())
    {
        return Failure::Inner(errno);
    }
    let Some(path) = save else { return exec(command) };
    if let Err(errno) = ask(inner::BEGIN, &mut []) {
        return Failure::Inner(errno);
    }
    match process::fork() {
        Err(errno) => Failure::errno("forking the command")(errno),
        Ok(Forked::Child) => exec(command),
        Ok(Forked::Parent(child)) => {
            // What a terminal sends is the command's business.
            let signals = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTERM, Signal::SIGHUP];
            let _ = signals.into_iter().collect::<SigSet>().thread_block();
            let status = sys::wait::one(child);
            if let Err(cause) = write(path) {
                say(&format!("saving to {} failed: {cause}", path.display()));
            }
            match status {
                Ok(status) if libc::WIFEXITED(status) => process::exit_now(libc::WEXITSTATUS(status)),
                Ok(status) => process::exit_now(128 + libc::WTERMSIG(status)),
                Err(errno) => Failure::errno("waiting for the command")(errno),
            }
        }
    }
}

/// Writes what the other knows.
fn write(path: &Path) -> std::io::Result<()> {
    let mut text = vec![];
    loop {
        let length = ask(inner::LISTING, &mut text)?;
        let fits = length <= text.len();
        text.resize(length, 0);
        if fits {
            break;
        }
    }
    let _ = ask(inner::END, &mut []);
    supervisor::replace(path, &text)
}

fn ask(what: u64, text: &mut [u8]) -> Result<usize, Errno> {
    let args = [what, text.as_mut_ptr() as u64, text.len() as u64, 0];
    process::prctl(inner::OPTION.cast_signed(), args).map(|length| length as usize)
}
