//! Completion for zsh, as a function for its search path.

use clap::Command;

use super::{Switch, Value, switches};

pub(super) fn script(command: &Command) -> String {
    let options: String =
        switches(command).iter().map(|switch| format!("  {}\n", specification(switch))).collect();
    format!(
        "#compdef remainroot\n# Completion of remainroot for zsh, made by remainroot --generate=zsh.\n\n\
         local -a arguments=(\n{options}  \
         '(-)1:command: _command_names -e'\n  '*::argument: _normal'\n)\n_arguments -s -S $arguments\n"
    )
}

/// What `_arguments` is told of an option: what it excludes, its spellings, help and value.
fn specification(switch: &Switch) -> String {
    let joint = |spelling: &String| match &switch.value {
        Some(value) if value.optional => format!("{spelling}=-"),
        Some(_) if spelling.starts_with("--") => format!("{spelling}="),
        Some(_) => format!("{spelling}+"),
        None => spelling.clone(),
    };
    let spellings = switch.spellings();
    let head = if switch.repeats { "*".to_owned() } else { format!("({})", spellings.join(" ")) };
    let forms: Vec<String> = spellings.iter().map(joint).collect();
    let forms = match forms.as_slice() {
        [one] => format!("{head}{one}"),
        several => return format!("'{head}'{{{}}}'{}'", several.join(","), description(switch)),
    };
    format!("'{forms}{}'", description(switch))
}

fn description(switch: &Switch) -> String {
    let first = switch.help.split([':', ';']).next().unwrap_or_default();
    let help = first.replace('\'', "'\\''").replace('[', "(").replace(']', ")");
    format!("[{help}]{}", switch.value.as_ref().map(action).unwrap_or_default())
}

fn action(value: &Value) -> String {
    let colons = if value.optional { "::" } else { ":" };
    let words = value.words.join(" ");
    let action = match (value.words.is_empty(), value.files) {
        (true, true) => "_files".to_owned(),
        (true, false) => " ".to_owned(),
        (false, false) => format!("({words})"),
        (false, true) => format!("{{_alternative \"words\\:word\\:({words})\" \"files\\:file\\:_files\"}}"),
    };
    format!("{colons}{}:{action}", value.name)
}
