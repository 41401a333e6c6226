//! `--check`: what this place lacks, for a person or a program; and `--quiet`, by which a run does not speak of that.
//!
//! `--check=json` writes one object:
//!
//! ```json
//! { "version": 1, "remainroot": "2.0.0", "verdict": "usable",
//!   "needs": [ { "name": "ptrace", "state": "ok", "detail": "allowed",
//!                "cause": null, "effect": null, "cures": [] } ] }
//! ```
//!
//! `verdict` is `usable`, `degraded` or `unusable`; `state` is `ok`, `degraded` or `no`. `cause` says why a need is not met
//! better, `effect` what does not work for that or takes longer, and `cures` names options and settings, those that fit this
//! place first. Names, states and keys stay as they are in version 1; needs and keys may be added.

use std::fmt::Write;

use clap::{Arg, ArgAction, ArgMatches};

use super::{print, speaks_to_terminal, store};
use crate::launch::{EXIT_OWN_FAILURE, Failure, Need, QUIET, Report, State, report};

/// The version of what `--check=json` writes.
const VERSION: u32 = 1;

/// The options.
pub(super) fn arguments() -> [Arg; 2] {
    let check = Arg::new("check")
        .long("check")
        .value_name("FORMAT")
        .num_args(0..=1)
        .require_equals(true)
        .default_missing_value("text")
        .value_parser(["text", "json"])
        .conflicts_with("command")
        .help(
            "Try what this place allows, say what it lacks and the cure, and exit: 0 where it is usable, 1 where a \
             program can notice what is missing, 2 where nothing can be run; =json for programs: needs[] with name, \
             state, detail, cause, effect, cures[]; and a verdict",
        );
    let quiet = Arg::new("quiet").short('q').long("quiet").action(ArgAction::SetTrue).help(
        "Do not say at the start that root has no privilege in this place; REMAINROOT_QUIET=1 does the same",
    );
    [check, quiet]
}

/// Whether a run says nothing of what its place lacks.
pub(super) fn is_quiet(matches: &ArgMatches) -> bool {
    matches.get_flag("quiet")
        || std::env::var_os(QUIET).is_some_and(|value| !value.is_empty() && value != "0")
}

/// Does as asked, if it is; gives the exit status.
pub(super) fn main(matches: &ArgMatches) -> Option<Result<u8, Failure>> {
    let format = matches.get_one::<String>("check")?;
    Some(store::choice(matches.get_one("store")).map(|store| {
        let attach_at_start = matches.get_one::<String>("attach").is_some_and(|when| when == "start");
        let found = report(store, attach_at_start, matches.get_flag("allow-real-root"));
        let text = match format.as_str() {
            "json" => json(&found),
            _ => text(&found, is_coloured()),
        };
        match (print(&text), found.verdict()) {
            (0, State::Ok) => 0,
            (0, State::Degraded) => 1,
            (0, State::No) => 2,
            _ => EXIT_OWN_FAILURE,
        }
    }))
}

fn is_coloured() -> bool {
    let is_set = |name| std::env::var_os(name).is_some_and(|value| !value.is_empty());
    let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
    speaks_to_terminal() && !is_set("NO_COLOR") && !is_dumb
}

fn word(state: State) -> &'static str {
    match state {
        State::Ok => "ok",
        State::Degraded => "degraded",
        State::No => "no",
    }
}

fn verdict(state: State) -> &'static str {
    match state {
        State::Ok => "usable",
        State::Degraded => "degraded",
        State::No => "unusable",
    }
}

/// A line for each need, and one for all.
fn text(report: &Report, is_coloured: bool) -> String {
    let width = report.needs.iter().map(|need| need.name.len()).max().unwrap_or(0);
    let paint = |state, text: &str, width: usize| {
        let colour = match state {
            State::Ok => 32,
            State::Degraded => 33,
            State::No => 31,
        };
        match is_coloured {
            true => format!("\u{1b}[{colour}m{text:width$}\u{1b}[0m"),
            false => format!("{text:width$}"),
        }
    };
    let mut text = String::new();
    for need in &report.needs {
        let _ = writeln!(
            text,
            "{}  {:width$}  {}",
            paint(need.state, word(need.state), 8),
            need.name,
            said(need)
        );
    }
    let state = report.verdict();
    let lacking = |state| {
        let names = report.needs.iter().filter(|need| need.state == state).map(|need| need.name);
        names.collect::<Vec<_>>().join(", ")
    };
    let why = match state {
        State::Ok => "a program sees what real root in this place would see".to_owned(),
        State::Degraded => format!("a run works, with less; see {}", lacking(State::Degraded)),
        State::No => format!("nothing can be run; see {}", lacking(State::No)),
    };
    let _ = writeln!(text, "{}: {why}", paint(state, verdict(state), 0));
    text
}

/// What was found, why, what comes of it, and the first cures.
fn said(need: &Need) -> String {
    const MOST: usize = 2;
    let mut line = need.detail.clone();
    if let Some(cause) = &need.cause {
        let _ = write!(line, ": {cause}");
    }
    if let Some(effect) = &need.effect {
        let _ = write!(line, "; so {effect}");
    }
    let shown = if need.fitting == 0 { MOST } else { need.fitting.min(MOST) };
    for (index, cure) in need.cures.iter().take(shown).enumerate() {
        let _ = write!(line, "{}{cure}", if index == 0 { "; cure: " } else { "; or " });
    }
    line
}

fn json(report: &Report) -> String {
    let needs: Vec<String> = report.needs.iter().map(need).collect();
    format!(
        "{{\"version\": {VERSION}, \"remainroot\": {}, \"verdict\": \"{}\", \"needs\": [\n  {}\n]}}\n",
        string(env!("CARGO_PKG_VERSION")),
        verdict(report.verdict()),
        needs.join(",\n  ")
    )
}

fn need(need: &Need) -> String {
    let maybe = |text: &Option<String>| text.as_deref().map_or_else(|| "null".to_owned(), string);
    let cures: Vec<String> = need.cures.iter().map(|cure| string(cure)).collect();
    format!(
        "{{\"name\": {}, \"state\": \"{}\", \"detail\": {}, \"cause\": {}, \"effect\": {}, \"cures\": [{}]}}",
        string(need.name),
        word(need.state),
        string(&need.detail),
        maybe(&need.cause),
        maybe(&need.effect),
        cures.join(", ")
    )
}

/// A string of JSON (RFC 8259).
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for it in text.chars() {
        match it {
            '"' | '\\' => quoted.extend(['\\', it]),
            it if it.is_control() => {
                let _ = write!(quoted, "\\u{:04x}", u32::from(it));
            }
            it => quoted.push(it),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(states: &[(&'static str, State)]) -> Report {
        let need = |&(name, state): &(&'static str, State)| Need {
            name,
            state,
            detail: "de\"tail\\".to_owned(),
            cause: (state != State::Ok).then(|| "cause\u{7}".to_owned()),
            effect: (state != State::Ok).then(|| "effect".to_owned()),
            cures: if state == State::No { ["a", "b", "c"].map(str::to_owned).into() } else { vec![] },
            fitting: usize::from(name == "fits"),
        };
        Report { needs: states.iter().map(need).collect() }
    }

    #[test]
    fn needs_stand_one_on_a_line_and_the_verdict_is_the_worst() {
        let report = found(&[("x", State::Ok), ("long", State::No), ("y", State::Degraded)]);
        assert_eq!(
            text(&report, false),
            "ok        x     de\"tail\\\n\
             no        long  de\"tail\\: cause\u{7}; so effect; cure: a; or b\n\
             degraded  y     de\"tail\\: cause\u{7}; so effect\n\
             unusable: nothing can be run; see long\n"
        );
        assert!(text(&found(&[("fits", State::No)]), false).contains("; cure: a\n"));
        let coloured = text(&found(&[("x", State::Ok)]), true);
        assert!(coloured.starts_with("\u{1b}[32mok      \u{1b}[0m  x  "), "{coloured}");
        assert!(text(&found(&[("x", State::Degraded)]), false).contains("\ndegraded: "));
    }

    #[test]
    fn what_a_program_reads_is_json() {
        let report = found(&[("x", State::Ok), ("y", State::No)]);
        let read: serde_json::Value = serde_json::from_str(&json(&report)).expect("it is JSON");
        assert_eq!(read["verdict"], "unusable");
        assert_eq!(
            read["needs"][0],
            serde_json::json!({
                "name": "x", "state": "ok", "detail": "de\"tail\\", "cause": null, "effect": null, "cures": []
            })
        );
        assert_eq!(read["needs"][1]["cause"], "cause\u{7}");
        assert_eq!(read["needs"][1]["cures"], serde_json::json!(["a", "b", "c"]));
    }
}
