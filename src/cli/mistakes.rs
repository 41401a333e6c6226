//! What is said of a command line that cannot be meant: the cause, and what was probably meant.

use std::ffi::OsString;

use clap::error::{ContextKind, ContextValue, ErrorKind};
use clap::{Arg, Command, ValueHint};

/// Why `command` does not take a command line, in one sentence.
pub(super) fn sentence(command: &Command, error: &clap::Error) -> String {
    let option = context(error, ContextKind::InvalidArg);
    let value = context(error, ContextKind::InvalidValue);
    let argument = option.as_deref().and_then(|option| named(command, option));
    match (error.kind(), option, value, argument) {
        (ErrorKind::UnknownArgument, Some(option), ..) => unknown(&option, error),
        (ErrorKind::InvalidValue, _, Some(value), Some(argument)) if value.is_empty() => missing(argument),
        (ErrorKind::InvalidValue, _, Some(value), Some(argument)) => {
            unfit(argument, &value, context(error, ContextKind::SuggestedValue))
        }
        _ => {
            let text = error.render().to_string();
            let cause = text.lines().next().unwrap_or_default();
            format!("{}; see remainroot --help", cause.strip_prefix("error: ").unwrap_or(cause))
        }
    }
}

/// One value of what clap knows of an error.
fn context(error: &clap::Error, kind: ContextKind) -> Option<String> {
    match error.get(kind)? {
        ContextValue::String(text) => Some(text.clone()),
        ContextValue::Strings(all) => all.first().cloned(),
        _ => None,
    }
}

/// The option that clap's `--long <VALUE>` or `-s` means.
fn named<'a>(command: &'a Command, said: &str) -> Option<&'a Arg> {
    let word = said.split([' ', '[', '=']).next()?;
    options(command).find(|argument| spellings(argument).any(|spelling| spelling == word))
}

fn options(command: &Command) -> impl Iterator<Item = &Arg> {
    command.get_arguments().filter(|argument| !argument.is_positional())
}

fn spellings(argument: &Arg) -> impl Iterator<Item = String> {
    let long = argument.get_long().map(|long| format!("--{long}"));
    long.into_iter().chain(argument.get_short().map(|short| format!("-{short}")))
}

fn unknown(option: &str, error: &clap::Error) -> String {
    match context(error, ContextKind::SuggestedArg) {
        Some(meant) => format!("there is no option {option}; did you mean {meant}?"),
        None => format!(
            "there is no option {option}; see remainroot --help, and put -- before a command that starts with a dash"
        ),
    }
}

fn missing(argument: &Arg) -> String {
    let (option, value) = (spelling(argument), value_name(argument));
    format!("{option} needs its {value}: {option}={value}")
}

fn unfit(argument: &Arg, value: &str, meant: Option<String>) -> String {
    let option = spelling(argument);
    let words: Vec<String> =
        argument.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
    let cause = match meant {
        Some(meant) => format!("{option}={value}: did you mean {meant}?"),
        None => format!("{option}={value}: {value} is none of {}.", words.join(", ")),
    };
    match argument.get_value_hint() {
        ValueHint::FilePath => format!("{cause} A file is named with a slash: {option}=./{value}"),
        _ => cause.trim_end_matches('.').to_owned(),
    }
}

fn spelling(argument: &Arg) -> String {
    spellings(argument).next().unwrap_or_default()
}

pub(super) fn value_name(argument: &Arg) -> String {
    let first = argument.get_value_names().and_then(|names| names.first());
    first.map_or_else(|| "VALUE".to_owned(), ToString::to_string)
}

/// What may have been meant where the word before a command that cannot be executed is an option whose value
/// would have to be joined to it. `words` are the whole command line, of which the last `length` are the command.
pub(super) fn meant(command: &Command, words: &[OsString], length: usize) -> Option<String> {
    let first = words.len().checked_sub(length)?;
    let before = words.get(first.checked_sub(1)?)?.to_str()?;
    let argument = options(command)
        .filter(|argument| argument.is_require_equals_set())
        .find(|argument| spellings(argument).any(|spelling| spelling == before))?;
    let (value, said) = (value_name(argument), words.get(first)?.to_string_lossy());
    Some(format!("the {value} of {before} is joined to it: {before}={said}"))
}

#[cfg(test)]
mod tests {
    use super::super::command;
    use super::*;

    fn said(line: &str) -> String {
        let error = command().try_get_matches_from(line.split(' ')).expect_err("it is wrong");
        sentence(&command(), &error)
    }

    #[test]
    fn what_was_probably_meant_is_said() {
        let expected = [
            ("--sumary=x true", "there is no option --sumary; did you mean --summary?"),
            (
                "--store=xatr true",
                "--store=xatr: did you mean xattr? A file is named with a slash: --store=./xatr",
            ),
            (
                "--store=facts true",
                "--store=facts: facts is none of auto, xattr, memory. A file is named with a slash: --store=./facts",
            ),
            ("--attach=strat true", "--attach=strat: did you mean start?"),
            ("--attach=x true", "--attach=x: x is none of demand, start"),
            ("--attach= true", "--attach needs its WHEN: --attach=WHEN"),
            ("--load", "--load needs its FILE: --load=FILE"),
            (
                "--wat true",
                "there is no option --wat; see remainroot --help, and put -- before a command that starts with a dash",
            ),
        ];
        for (line, sentence) in expected {
            assert_eq!(said(&format!("remainroot {line}")), sentence, "{line}");
        }
    }

    #[test]
    fn a_value_that_is_not_joined_is_explained() {
        let hint = |line: &str, length| {
            let words: Vec<OsString> = line.split(' ').map(OsString::from).collect();
            meant(&command(), &words, length)
        };
        let joined = "the FILE of --summary is joined to it: --summary=out.txt";
        assert_eq!(hint("remainroot --summary out.txt true", 2).as_deref(), Some(joined));
        assert!(hint("remainroot -c out.txt", 1).is_some_and(|hint| hint.ends_with("-c=out.txt")));
        assert_eq!(hint("remainroot --summary -- out.txt", 1), None);
        assert_eq!(hint("remainroot -v out.txt", 1), None);
        assert_eq!(hint("remainroot out.txt", 1), None);
    }
}
