//! The log as JSON: one object a line.

use super::event::{Answered, Event, What};
use super::text;
use super::words::{json, shown};
use crate::cred::Credentials;

/// One line.
pub fn line(event: &Event) -> String {
    let mut fields = vec![
        format!("\"time\":{}.{:06}", event.at.as_secs(), event.at.subsec_micros()),
        format!("\"pid\":{}", event.tgid),
        format!("\"tid\":{}", event.tid),
        format!("\"program\":{}", json(&event.program)),
    ];
    match &event.what {
        What::Call(call) => {
            fields.push("\"event\":\"call\"".to_owned());
            fields.extend(of_call(call));
        }
        What::Exec { path, words, credentials: [from, to], .. } => {
            let words: Vec<String> = words.iter().map(|word| json(&shown(word))).collect();
            fields.push("\"event\":\"exec\"".to_owned());
            fields.push(format!("\"path\":{},\"argv\":[{}]", json(&shown(path)), words.join(",")));
            if from != to {
                fields.push(format!("\"from\":{},\"to\":{}", ids(from), ids(to)));
            }
        }
        What::Born { parent } => {
            fields.push("\"event\":\"born\"".to_owned());
            fields.extend(parent.map(|parent| format!("\"parent\":{parent}")));
        }
        What::Ended(status) => {
            fields.push("\"event\":\"ended\"".to_owned());
            fields.push(match libc::WIFSIGNALED(*status) {
                true => format!("\"signal\":{}", libc::WTERMSIG(*status)),
                false => format!("\"status\":{}", libc::WEXITSTATUS(*status)),
            });
        }
        What::Mode(sentence) => {
            fields.push(format!("\"event\":\"mode\",\"text\":{}", json(&shown(sentence.as_bytes()))));
        }
    }
    format!("{{{}}}\n", fields.join(","))
}

fn of_call(call: &Answered) -> Vec<String> {
    let mut fields = vec![
        format!("\"call\":{},\"args\":{}", json(call.name), json(&call.args)),
        match call.result {
            None => "\"result\":null".to_owned(),
            Some(Ok(value)) => format!("\"result\":{}", value.cast_signed()),
            Some(Err(errno)) => format!("\"result\":-1,\"errno\":{}", json(&errno.to_string())),
        },
        format!("\"by\":\"{}\"", if call.by_kernel { "kernel" } else { call.way.name() }),
        format!("\"microseconds\":{}", call.took.as_micros()),
    ];
    fields.extend(call.object.as_ref().map(|path| format!("\"path\":{}", json(&text::path(path)))));
    let [from, to] = &call.credentials;
    fields.push(format!("\"who\":{}", ids(from)));
    if from != to {
        fields.push(format!("\"becomes\":{}", ids(to)));
    }
    fields
}

/// Who somebody is: his ids, and whether he has all capabilities.
fn ids(who: &Credentials) -> String {
    let groups: Vec<String> = who.groups.iter().map(|group| group.0.to_string()).collect();
    format!(
        "{{\"uid\":{},\"euid\":{},\"suid\":{},\"gid\":{},\"egid\":{},\"sgid\":{},\"groups\":[{}],\"capabilities\":\"{:x}\"}}",
        who.uid.0,
        who.euid.0,
        who.suid.0,
        who.gid.0,
        who.egid.0,
        who.sgid.0,
        groups.join(","),
        who.effective.0,
    )
}
