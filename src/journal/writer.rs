//! The one thread that writes.

use std::io;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use crossbeam_channel::{Receiver, RecvTimeoutError, Sender};

use super::event::{Event, What};
use super::explain::Explanation;
use super::outlet::Outlet;
use super::timeline::Timeline;
use super::{Format, Wanted, json, text, typed};
use crate::cred::CapSet;

/// How often a file is tried that is behind.
const AGAIN: Duration = Duration::from_millis(20);
/// Who has read nothing for so long reads no more.
const IDLE: Duration = Duration::from_secs(1);
/// So many events are taken before anything is written.
const TOGETHER: usize = 256;

/// What the writer is told.
#[derive(Debug)]
pub enum Item {
    /// Something happened.
    Event(Event),
    /// The command is about to end; it goes on when the sender is dropped.
    FirstEnds(Sender<()>),
    /// Everybody has ended.
    Close(Sender<()>),
}

/// What makes lines of events.
#[derive(Debug)]
enum Notation {
    Log(Format),
    Timeline(Timeline),
}

impl Notation {
    fn lines(&mut self, event: &Event) -> Option<String> {
        match self {
            Notation::Log(Format::Text) => text::line(event),
            Notation::Log(Format::Json) => Some(json::line(event)),
            Notation::Timeline(timeline) => timeline.lines(event),
        }
    }

    /// What says that so many were left out.
    fn left_out(&self, count: u64) -> String {
        match self {
            Notation::Log(Format::Text) => {
                format!("+++ {count} events left out: they were not read in time +++\n")
            }
            Notation::Log(Format::Json) => format!("{{\"event\":\"left-out\",\"count\":{count}}}\n"),
            Notation::Timeline(timeline) => timeline.left_out(count),
        }
    }
}

/// A file and what it is written in.
#[derive(Debug)]
struct Sink {
    outlet: Outlet,
    notation: Notation,
    /// What of the run it has, for people.
    what: &'static str,
    /// How many events of those that did not fit into the channel it was told of.
    told: u64,
}

/// Writes until everybody has ended.
#[derive(Debug)]
struct Writer<'a> {
    sinks: Vec<Sink>,
    explanation: Option<(Explanation, Outlet)>,
    modes: bool,
    missed: &'a AtomicU64,
    say: fn(&str),
}

/// The thread's life.
pub fn live(inbox: &Receiver<Item>, (wanted, roots): (Wanted, CapSet), missed: &AtomicU64, say: fn(&str)) {
    let Wanted { log, timeline, explain, modes, command } = wanted;
    let sink = |target, notation, what| Sink { outlet: Outlet::new(target), notation, what, told: 0 };
    let log = log.map(|(target, format)| sink(target, Notation::Log(format), "log"));
    let timeline = timeline.map(|target| sink(target, Notation::Timeline(Timeline::default()), "timeline"));
    let explanation = explain.map(|target| (Explanation::of(typed(&command), roots), Outlet::new(target)));
    let sinks = log.into_iter().chain(timeline).collect();
    let mut writer = Writer { sinks, explanation, modes, missed, say };
    loop {
        let first = match writer.is_behind() {
            true => inbox.recv_timeout(AGAIN),
            false => inbox.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let first = match first {
            Ok(item) => Some(item),
            Err(RecvTimeoutError::Timeout) => None,
            Err(RecvTimeoutError::Disconnected) => return,
        };
        for item in first.into_iter().chain(inbox.try_iter().take(TOGETHER)) {
            match item {
                Item::Event(event) => {
                    writer.note(&event);
                    if writer.sinks.iter().any(|sink| !sink.outlet.has_room()) {
                        writer.flush();
                    }
                }
                Item::FirstEnds(done) => {
                    writer.first_ends();
                    drop(done);
                }
                Item::Close(done) => {
                    writer.close();
                    return drop(done);
                }
            }
        }
        writer.flush();
    }
}

impl Writer<'_> {
    fn is_behind(&self) -> bool {
        self.sinks.iter().any(|sink| sink.outlet.is_behind())
    }

    fn note(&mut self, event: &Event) {
        if let What::Mode(sentence) = &event.what
            && self.modes
        {
            (self.say)(sentence);
        }
        for sink in &mut self.sinks {
            sink.confess(self.missed);
            if let Some(lines) = sink.notation.lines(event) {
                sink.outlet.push(lines);
            }
        }
        if let Some((explanation, _)) = &mut self.explanation {
            explanation.note(event);
        }
    }

    /// Writes what can be written. What fails is said once.
    fn flush(&mut self) {
        let say = self.say;
        self.sinks.retain_mut(|sink| match sink.outlet.flush() {
            Ok(()) => true,
            Err(error) => {
                complain(say, sink.what, &sink.outlet.name(), &error);
                false
            }
        });
    }

    /// Writes what there is, as long as somebody takes it now and then.
    fn flush_all(&mut self) {
        let (mut since, mut least) = (Instant::now(), usize::MAX);
        loop {
            self.flush();
            for sink in &mut self.sinks {
                sink.confess(self.missed);
            }
            let waiting = self.sinks.iter().map(|sink| sink.outlet.waiting()).sum();
            if waiting == 0 || since.elapsed() > IDLE {
                break;
            }
            if waiting < least {
                (since, least) = (Instant::now(), waiting);
            }
            std::thread::sleep(AGAIN / 10);
        }
    }

    fn first_ends(&mut self) {
        self.flush_all();
        if let Some((explanation, outlet)) = self.explanation.take() {
            let missed = self.missed.load(Ordering::Relaxed);
            self.explain(&explanation.text(missed), outlet);
        }
        let say = self.say;
        for sink in self.sinks.iter_mut().filter(|sink| sink.outlet.is_behind()) {
            let name = sink.outlet.name();
            say(&format!("nobody reads the {} in {name}: what does not fit there is left out", sink.what));
        }
        self.sinks.retain(|sink| !sink.outlet.is_stderr());
    }

    fn explain(&mut self, text: &str, mut outlet: Outlet) {
        let since = Instant::now();
        let mut lines = text.split_inclusive('\n');
        let mut outcome = Ok(());
        while outcome.is_ok() && since.elapsed() <= IDLE {
            lines
                .by_ref()
                .take_while(|line| outlet.push((*line).to_owned()) && outlet.has_room())
                .for_each(drop);
            outcome = outlet.flush();
            if outlet.is_behind() {
                std::thread::sleep(AGAIN / 10);
            } else if lines.clone().next().is_none() {
                break;
            }
        }
        if let Err(error) = outcome {
            complain(self.say, "explanation", &outlet.name(), &error);
        } else if outlet.is_behind() {
            (self.say)(&format!("nobody reads the explanation in {}: it was left out", outlet.name()));
        }
    }

    fn close(&mut self) {
        self.flush_all();
        for sink in &mut self.sinks {
            if let Notation::Timeline(timeline) = &mut sink.notation {
                sink.outlet.push(timeline.end());
            }
        }
        self.first_ends();
    }
}

impl Sink {
    /// Says in the file how many events it lacks, once there is room.
    fn confess(&mut self, missed: &AtomicU64) {
        if !self.outlet.has_room() {
            return;
        }
        let missed = missed.load(Ordering::Relaxed);
        let left_out = self.outlet.take_left_out() + missed.saturating_sub(self.told);
        self.told = missed;
        if left_out > 0 {
            let line = self.notation.left_out(left_out);
            self.outlet.push(line);
        }
    }
}

fn complain(say: fn(&str), what: &str, name: &str, error: &io::Error) {
    say(&format!("writing the {what} to {name} failed: {error}; the command goes on without it"));
}
