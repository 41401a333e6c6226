//! `--generate`: the manual page and the shells' completions, made from the options as they are defined.

mod bash;
mod fish;
mod man;
mod zsh;

use clap::{Arg, ArgAction, Command, ValueHint};

use super::mistakes::value_name;

/// Makes a text of the definitions.
type Maker = fn(&Command) -> String;

/// What can be made, by its word.
const KINDS: [(&str, Maker); 4] =
    [("man", man::page), ("bash", bash::script), ("zsh", zsh::script), ("fish", fish::script)];

pub(super) fn argument() -> Arg {
    Arg::new("generate")
        .long("generate")
        .value_name("WHAT")
        .value_parser(KINDS.map(|(word, _)| word))
        .help("Print the manual page, or the completions for a shell, and exit")
}

/// The text that `word` asks for.
pub(super) fn text(word: &str, mut command: Command) -> String {
    command.build();
    let maker = KINDS.iter().find(|(kind, _)| *kind == word);
    maker.map(|(_, make)| make(&command)).unwrap_or_default()
}

/// An option as a manual and a shell see it.
struct Switch {
    short: Option<char>,
    long: String,
    help: String,
    value: Option<Value>,
    repeats: bool,
}

/// What follows an option.
struct Value {
    name: String,
    words: Vec<String>,
    files: bool,
    /// It may be left out, and is joined to the option otherwise.
    optional: bool,
    default: Option<String>,
}

/// The options of `command`, in the order of its help.
fn switches(command: &Command) -> Vec<Switch> {
    let shown = command.get_arguments().filter(|argument| !argument.is_hide_set());
    shown.filter_map(switch).collect()
}

fn switch(argument: &Arg) -> Option<Switch> {
    Some(Switch {
        short: argument.get_short(),
        long: argument.get_long()?.to_owned(),
        help: argument.get_help().map(ToString::to_string).unwrap_or_default(),
        value: value(argument),
        repeats: matches!(argument.get_action(), ArgAction::Count | ArgAction::Append),
    })
}

fn value(argument: &Arg) -> Option<Value> {
    let count = argument.get_num_args().filter(|count| count.takes_values())?;
    let words = argument.get_possible_values().iter().map(|word| word.get_name().to_owned()).collect();
    let hint = argument.get_value_hint();
    Some(Value {
        name: value_name(argument),
        words,
        files: matches!(hint, ValueHint::AnyPath | ValueHint::FilePath | ValueHint::DirPath),
        optional: count.min_values() == 0,
        default: argument.get_default_values().first().map(|word| word.to_string_lossy().into_owned()),
    })
}

impl Switch {
    /// Every way to write it, without its value.
    fn spellings(&self) -> Vec<String> {
        let short = self.short.map(|short| format!("-{short}"));
        short.into_iter().chain([format!("--{}", self.long)]).collect()
    }

    /// Whether its value may be a word of its own.
    fn takes_next_word(&self) -> bool {
        self.value.as_ref().is_some_and(|value| !value.optional)
    }
}
