//! The manual page: what stands in `remainroot.man`, with what the definitions say put in.

use clap::Command;

use super::super::help::EXAMPLES;
use super::{Switch, switches};

/// The page; lines in braces are replaced.
const PAGE: &str = include_str!("remainroot.man");

pub(super) fn page(command: &Command) -> String {
    let about = command.get_about().map(ToString::to_string).unwrap_or_default();
    let line = |line: &str| match line {
        "{ABOUT}" => format!("remainroot \\- {}", escaped(&about)),
        "{OPTIONS}" => switches(command).iter().map(option).collect::<Vec<_>>().join("\n"),
        "{EXAMPLES}" => {
            EXAMPLES.iter().map(|(task, lines)| example(task, lines)).collect::<Vec<_>>().join("\n.PP\n")
        }
        line => line.replace("{VERSION}", env!("CARGO_PKG_VERSION")),
    };
    PAGE.lines().map(|text| line(text) + "\n").collect()
}

fn option(switch: &Switch) -> String {
    let spelled = |spelling: &String| {
        let bold = format!("\\fB{}\\fR", code(spelling));
        match &switch.value {
            Some(value) if value.optional => format!("{bold}[=\\fI{}\\fR]", value.name),
            Some(value) if spelling.starts_with("--") => format!("{bold}=\\fI{}\\fR", value.name),
            Some(value) => format!("{bold} \\fI{}\\fR", value.name),
            None => bold,
        }
    };
    let head = switch.spellings().iter().map(spelled).collect::<Vec<_>>().join(", ");
    let mut text = format!(".TP\n{head}\n{}.", escaped(&switch.help));
    if let Some(value) = &switch.value {
        if !value.words.is_empty() {
            let words: Vec<String> =
                value.words.iter().map(|word| format!("\\fB{}\\fR", code(word))).collect();
            text += &format!("\n{} is {}.", value.name, either(words, value.files));
        }
        if let Some(default) = &value.default {
            text += &format!("\nThe default is \\fB{}\\fR.", code(default));
        }
    }
    text
}

/// The words as a sentence lists them.
fn either(mut words: Vec<String>, files: bool) -> String {
    if files {
        words.push("a path with a slash in it".to_owned());
    }
    match words.split_last() {
        Some((last, rest)) if !rest.is_empty() => format!("{} or {last}", rest.join(", ")),
        _ => words.concat(),
    }
}

fn example(task: &str, lines: &[&str]) -> String {
    let lines: Vec<String> = lines.iter().map(|line| guarded(&code(line))).collect();
    format!("{}:\n.PP\n.RS 4\n.EX\n{}\n.EE\n.RE", escaped(task), lines.join("\n"))
}

/// Text that a formatter takes as it stands; what is typed keeps its dashes.
fn escaped(text: &str) -> String {
    let word = |word: &str| if word.starts_with('-') { code(word) } else { word.replace('\\', "\\e") };
    guarded(&text.split(' ').map(word).collect::<Vec<_>>().join(" "))
}

/// What is typed at a prompt.
fn code(text: &str) -> String {
    text.replace('\\', "\\e")
        .replace('-', "\\-")
        .replace('\'', "\\(aq")
        .replace('^', "\\(ha")
        .replace('~', "\\(ti")
}

/// A line that does not begin as a request of the formatter.
fn guarded(line: &str) -> String {
    if line.starts_with(['.', '\'']) { format!("\\&{line}") } else { line.to_owned() }
}
