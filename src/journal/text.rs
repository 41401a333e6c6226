//! The log in strace's notation: `PID TIME PROGRAM CALL(ARGUMENTS) = RESULT`.

use super::event::{Event, What};
use super::words::{quoted, shown, word};
use crate::abi::{Errno, SysResult};

/// One line; none of what only a timeline shows.
pub fn line(event: &Event) -> Option<String> {
    let what = match &event.what {
        What::Call(call) => {
            let result =
                call.result.map_or_else(|| "? (left to the kernel)".to_owned(), |it| result(call.name, it));
            format!("{}({}) = {result}", call.name, call.args)
        }
        What::Exec { path, words, .. } => {
            let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
            format!("execve({}, [{}]) = 0", quoted(path), words.join(", "))
        }
        What::Born { .. } => return None,
        What::Ended(status) => format!("+++ {} +++", ended(*status)),
        What::Mode(sentence) => format!("+++ {} +++", shown(sentence.as_bytes())),
    };
    let program = if event.program.is_empty() { "-".to_owned() } else { event.program.replace(' ', "\\040") };
    let seconds = format!("{}.{:06}", event.at.as_secs(), event.at.subsec_micros());
    Some(format!("{} {seconds} {program} {what}\n", event.tid))
}

/// A result as strace writes it.
pub fn result(name: &str, result: SysResult) -> String {
    match result {
        Ok(value) if value > 0xFFFF_FFFF => format!("{value:#x}"),
        Ok(value) => value.to_string(),
        Err(errno) => format!("-1 {errno} ({})", meaning(name, errno)),
    }
}

/// What an errno means.
pub fn meaning(_name: &str, errno: Errno) -> &'static str {
    crate::sys::Errno::from_raw(errno.0).desc()
}

/// How a task has ended.
pub fn ended(status: i32) -> String {
    if libc::WIFSIGNALED(status) {
        return format!("killed by signal {}", libc::WTERMSIG(status));
    }
    format!("exited with {}", libc::WEXITSTATUS(status))
}

/// A path as one word.
pub fn path(bytes: &[u8]) -> String {
    word(bytes)
}
