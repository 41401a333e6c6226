//! Figures for people and for programs: a Markdown table as it goes, `results.json` and a plot for each group of work.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::{Map, Value, json};

use crate::common::remainroot;
use crate::plot;
use crate::rows::{Figure, Taken};
use crate::session::{Place, Session, Unit};
use crate::sides::Side;
use crate::statistics::{duration, times};

/// What has been told and is to be written.
pub struct Report {
    place: PathBuf,
    turns: usize,
    group: &'static str,
    /// Lines that come below the table.
    notes: Vec<String>,
    bars: Vec<plot::Row>,
    sessions: Vec<Value>,
}

/// A figure as a person reads it.
pub fn shown(figure: f64, unit: Unit) -> String {
    match unit {
        Unit::Time => duration(figure),
        Unit::Memory if figure.is_nan() => "–".into(),
        Unit::Memory => format!("{figure:.1} KiB"),
        Unit::Throughput => times(figure),
    }
}

impl Report {
    /// Prints what holds for all tables.
    pub fn new(place: &Path, turns: usize) -> Report {
        println!("Turns: {turns} (no more than 3 of long work). {}", kernel());
        let sizes: Vec<String> =
            filters().iter().map(|(stage, length)| format!("{stage} {length}")).collect();
        println!("Length of each stage's filter, in instructions: {}.", sizes.join(", "));
        println!(
            "The bare namespace and strace give nothing away: what is given is 0:0 there, and nothing drops."
        );
        for side in Side::ALL {
            if let Some(why) = side.absent() {
                println!("\n{}: –, {why}.", side.name());
            }
        }
        let (notes, bars, sessions) = (Vec::new(), Vec::new(), Vec::new());
        Report { place: place.to_owned(), turns, group: "", notes, bars, sessions }
    }

    /// Begins the table of a group of work, unless it is already begun.
    pub fn group(&mut self, group: &'static str) {
        if self.group == group {
            return;
        }
        self.close();
        self.group = group;
        println!("\n### {group}\n");
        println!(
            "| work | real root | bare namespace | remainroot | ratio | its quartiles | stops a round | before | \
             to that | fakeroot | proot | pseudo | strace |"
        );
        println!("|---|---:|---:|---:|---:|---|---:|---:|---:|---:|---:|---:|---:|");
    }

    /// Says why a session has no figures.
    pub fn skip(&mut self, session: &Session, why: &str) {
        for step in &session.steps {
            println!("| {} |{}", step.title, " – |".repeat(12));
        }
        self.notes.push(format!("{}: skipped: {why}", session.name));
        self.sessions.push(json!({ "group": session.group, "name": session.name, "skipped": why }));
        self.write();
    }

    /// Prints the rows of a session.
    pub fn add(&mut self, taken: Taken) {
        for (index, step) in taken.session.steps.iter().enumerate() {
            let cell = |side| cell(taken.figure(side, index).as_ref(), step.unit, side != taken.base());
            let ours = taken.figure(Side::Remainroot, index);
            let ratio = ours.as_ref().map_or(f64::NAN, |figure| figure.ratio);
            let between =
                ours.as_ref().filter(|figure| figure.ratio.is_finite()).map(|figure| figure.quartiles);
            let between =
                between.map_or("–".into(), |(low, high)| format!("{}–{}", times(low), times(high)));
            println!(
                "| {} | {} | {} | {} | **{}** | {between} | {} | {} | {} | {} | {} | {} | {} |",
                step.title,
                cell(Side::Root),
                cell(Side::Bare),
                self::cell(ours.as_ref(), step.unit, false),
                times(ratio),
                taken.stops_a_round().map_or("–".into(), |stops| format!("{stops:.2}")),
                cell(Side::Before),
                times(taken.between(Side::Before, Side::Remainroot, index)),
                cell(Side::Fakeroot),
                cell(Side::Proot),
                cell(Side::Pseudo),
                cell(Side::Strace),
            );
            self.bars.push(plot::Row::new(&taken, index));
        }
        self.remark(&taken);
        self.sessions.push(session(&taken));
        self.write();
    }

    /// What a table cannot tell.
    fn remark(&mut self, taken: &Taken) {
        let name = taken.session.name;
        if let (Some(stops), None) = (taken.stops(), taken.stops_a_round()) {
            let whole = match taken.session.place {
                Place::Outside => "the last start of remainroot",
                _ => "the whole session under remainroot",
            };
            self.notes.push(format!("{name}: {stops} stops in {whole}"));
        }
        for side in Side::ALL {
            let told = |wanted: fn(&Figure) -> bool| {
                let steps = taken.session.steps.iter().enumerate();
                let found =
                    steps.filter(|(index, _)| taken.figure(side, *index).as_ref().is_some_and(wanted));
                found.map(|(_, step)| step.title).collect::<Vec<_>>().join("; ")
            };
            let (failed, wrong) = (told(|figure| figure.failed), told(|figure| figure.wrong));
            if !failed.is_empty() {
                let why = taken.complaint(side);
                self.notes.push(format!("{name}: {} fails at {failed}: {why}", side.name()));
            }
            if !wrong.is_empty() {
                let what = "ends well without leaving what real root leaves";
                self.notes.push(format!("{name}: {} {what} at {wrong}", side.name()));
            }
        }
    }

    /// Ends the table of a group and draws it.
    fn close(&mut self) {
        if !self.notes.is_empty() {
            println!();
        }
        for note in self.notes.drain(..) {
            println!("- {note}");
        }
        let bars = std::mem::take(&mut self.bars);
        if !bars.is_empty() {
            self.keep(&format!("{}.svg", self.group), &plot::chart(self.group, &bars));
        }
    }

    /// Ends the last table.
    pub fn end(mut self) {
        self.close();
        println!("\nAll figures are in {}, beside the plots.", self.place.join("results.json").display());
    }

    /// After each session, so that a run that is stopped leaves what it has.
    fn write(&self) {
        let filters: Map<String, Value> = filters().into_iter().map(|(stage, n)| (stage, json!(n))).collect();
        let sides: Map<String, Value> =
            Side::ALL.iter().map(|side| (side.name().to_owned(), json!(side.absent()))).collect();
        let all = json!({
            "machine": kernel(),
            "turns": self.turns,
            "filter instructions": filters,
            "why a side is absent": sides,
            "sessions": self.sessions,
        });
        self.keep("results.json", &format!("{all:#}\n"));
    }

    fn keep(&self, name: &str, text: &str) {
        let path = self.place.join(name);
        std::fs::write(&path, text).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
    }
}

/// The median, and how often the base's it is.
fn cell(figure: Option<&Figure>, unit: Unit, compared: bool) -> String {
    let Some(figure) = figure else { return "–".into() };
    if figure.failed && figure.median.is_nan() {
        return "fails".into();
    }
    let mut text = shown(figure.median, unit);
    if compared && figure.ratio.is_finite() && unit == Unit::Time {
        text += &format!(" ({})", times(figure.ratio));
    }
    match (figure.failed, figure.wrong) {
        (true, _) => text + ", sometimes fails",
        (_, true) => text + ", wrong",
        _ => text,
    }
}

/// A session for programs.
fn session(taken: &Taken) -> Value {
    let side = |side: Side, index| {
        let figure = taken.figure(side, index)?;
        let complaint = if figure.failed { json!(taken.complaint(side)) } else { Value::Null };
        let told = json!({
            "values": figure.values,
            "median": figure.median,
            "ratio": figure.ratio,
            "ratio quartiles": [figure.quartiles.0, figure.quartiles.1],
            "failed": figure.failed,
            "wrong": figure.wrong,
            "complaint": complaint,
        });
        Some((side.name().to_owned(), told))
    };
    let step = |(index, step): (usize, &crate::session::Step)| {
        let unit = match step.unit {
            Unit::Time => "ns",
            Unit::Memory => "KiB",
            Unit::Throughput => "times one",
        };
        let sides: Map<String, Value> = Side::ALL.iter().filter_map(|&one| side(one, index)).collect();
        json!({ "title": step.title, "unit": unit, "sides": sides })
    };
    let counts: Map<String, Value> =
        taken.counted.counts.iter().map(|(what, count)| (what.clone(), json!(count))).collect();
    json!({
        "group": taken.session.group,
        "name": taken.session.name,
        "base": taken.base().name(),
        "steps": taken.session.steps.iter().enumerate().map(step).collect::<Vec<_>>(),
        "counts": counts,
        "stops": taken.stops(),
        "stops a round": taken.stops_a_round(),
    })
}

/// What the machine is.
fn kernel() -> String {
    let said = Command::new("uname").args(["-s", "-r", "-m"]).output();
    let said = said.map(|output| String::from_utf8_lossy(&output.stdout).trim().to_owned());
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    format!("{}, {cpus} CPUs", said.unwrap_or_default())
}

/// The length of each stage's filter.
fn filters() -> Vec<(String, u64)> {
    let listed = Command::new(remainroot()).arg("--list-syscalls").output();
    let listed =
        listed.map(|output| String::from_utf8_lossy(&output.stdout).into_owned()).unwrap_or_default();
    let stage = |line: &str| {
        let (stage, length) = line.strip_suffix(" instructions")?.split_once(": ")?;
        Some((stage.to_owned(), length.parse().ok()?))
    };
    listed.lines().filter_map(stage).collect()
}
