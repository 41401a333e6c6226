//! The run as a trace that Perfetto and `chrome://tracing` show (Trace Event Format, as an array).
//!
//! A process is a track, a slice of it each program that it runs, and within that a slice each call that it waited for. The
//! format lets the bracket at the end be missing, so a trace that was cut off can be read.

use std::collections::{HashMap, HashSet};
use std::time::Duration;

use super::event::{Answered, Event, What};
use super::text;
use super::words::{json, shown};
use crate::sys::Tid;

/// What was written so far.
#[derive(Debug, Default)]
pub struct Timeline {
    begun: bool,
    /// Tasks that have a slice which has not ended, by what it is called.
    open: HashMap<Tid, String>,
    /// Processes that have a name.
    named: HashSet<Tid>,
}

impl Timeline {
    /// What one event adds.
    pub fn lines(&mut self, event: &Event) -> Option<String> {
        let mut objects = Vec::new();
        match &event.what {
            What::Born { parent } => {
                self.begin(event, &event.program, &mut objects);
                let parent = parent.map(|parent| format!("\"parent\":{parent}")).unwrap_or_default();
                objects.push(instant(event, "born", &parent));
            }
            What::Exec { path, words, credentials: [from, to], .. } => {
                objects.extend(self.finish(event));
                self.named.remove(&event.tgid);
                self.begin(event, &event.program, &mut objects);
                let words: Vec<String> = words.iter().map(|word| json(&shown(word))).collect();
                let args = format!("\"path\":{},\"argv\":[{}]", json(&shown(path)), words.join(","));
                objects.push(instant(event, "exec", &args));
                objects.extend((from != to).then(|| instant(event, &becomes(from.euid.0, to.euid.0), "")));
            }
            What::Ended(status) => {
                objects.push(instant(event, "end", &format!("\"how\":{}", json(&text::ended(*status)))));
                objects.extend(self.finish(event));
                if event.tid == event.tgid {
                    self.named.remove(&event.tgid);
                }
            }
            What::Call(call) => {
                if !self.open.contains_key(&event.tid) {
                    self.begin(event, &event.program, &mut objects);
                }
                objects.push(slice(event, call));
                let [from, to] = &call.credentials;
                objects.extend((from != to).then(|| instant(event, &becomes(from.euid.0, to.euid.0), "")));
            }
            What::Mode(sentence) => {
                objects.push(instant(event, &shown(sentence.as_bytes()), ""));
            }
        }
        (!objects.is_empty()).then(|| objects.iter().map(|object| self.joined(object)).collect())
    }

    /// What ends it.
    pub fn end(&mut self) -> String {
        // Nothing is said behind the end.
        if std::mem::take(&mut self.begun) { "\n]\n".to_owned() } else { "[]\n".to_owned() }
    }

    /// What says that so many events were left out.
    pub fn left_out(&self, count: u64) -> String {
        let text = format!(
            "{{\"name\":\"{count} events left out\",\"ph\":\"i\",\"s\":\"g\",\"ts\":{},\"pid\":0,\"tid\":0}}",
            micros(super::now())
        );
        if self.begun { format!(",\n{text}") } else { String::new() }
    }

    /// Commas stand before what they separate, so that what is written last never ends with one.
    fn joined(&mut self, object: &str) -> String {
        let before = if std::mem::replace(&mut self.begun, true) { ",\n" } else { "[\n" };
        format!("{before}{object}")
    }

    /// A slice begins that lasts as long as the task runs this program.
    fn begin(&mut self, event: &Event, name: &str, objects: &mut Vec<String>) {
        let name = if name.is_empty() { "?" } else { name };
        let meta = |what: &str| {
            format!(
                "{{\"name\":\"{what}\",\"ph\":\"M\",\"pid\":{},\"tid\":{},\"args\":{{\"name\":{}}}}}",
                event.tgid,
                event.tid,
                json(name)
            )
        };
        if self.named.insert(event.tgid) {
            objects.push(meta("process_name"));
        }
        objects.push(meta("thread_name"));
        objects.push(format!(
            "{{\"name\":{},\"cat\":\"program\",\"ph\":\"B\",{}}}",
            json(name),
            place(event)
        ));
        self.open.insert(event.tid, name.to_owned());
    }

    /// It ends.
    fn finish(&mut self, event: &Event) -> Option<String> {
        let name = self.open.remove(&event.tid)?;
        Some(format!("{{\"name\":{},\"cat\":\"program\",\"ph\":\"E\",{}}}", json(&name), place(event)))
    }
}

fn micros(time: Duration) -> String {
    format!("{}.{:03}", time.as_micros(), time.subsec_nanos() % 1000)
}

/// Where on which track something stands.
fn place(event: &Event) -> String {
    format!("\"ts\":{},\"pid\":{},\"tid\":{}", micros(event.at), event.tgid, event.tid)
}

fn instant(event: &Event, name: &str, args: &str) -> String {
    format!("{{\"name\":{},\"ph\":\"i\",\"s\":\"t\",{},\"args\":{{{args}}}}}", json(name), place(event))
}

fn becomes(from: u32, to: u32) -> String {
    if from == to {
        format!("uid {to}: other groups or capabilities")
    } else {
        format!("uid {from} → {to}")
    }
}

/// A call, as long as the task waited for its answer.
fn slice(event: &Event, call: &Answered) -> String {
    let result =
        call.result.map_or_else(|| "left to the kernel".to_owned(), |it| text::result(call.name, it));
    let category = if call.is_refused() { "refused" } else { "call" };
    format!(
        "{{\"name\":\"{}\",\"cat\":\"{category}\",\"ph\":\"X\",{},\"dur\":{},\"args\":{{\"call\":{},\"result\":{},\"by\":\"{}\",\
         \"waited_us\":{}}}}}",
        call.name,
        place(event),
        micros(call.took),
        json(&format!("{}({})", call.name, call.args)),
        json(&result),
        if call.by_kernel { "kernel" } else { call.way.name() },
        micros(call.waited),
    )
}
