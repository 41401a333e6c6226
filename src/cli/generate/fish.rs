//! Completion for fish.

use clap::Command;

use super::{Switch, switches};

/// What completes the command that stands past the options.
const REST: &str = "
function __remainroot_in_options
    not __remainroot_command >/dev/null
end

function __remainroot_subcommand
    set -l words (__remainroot_command | string split0)
    __fish_complete_subcommand --commandline $words
end

complete -c remainroot -x -n 'not __remainroot_in_options' -a '(__remainroot_subcommand)'
complete -c remainroot -x -n __remainroot_in_options -a '(__fish_complete_command)'
";

pub(super) fn script(command: &Command) -> String {
    let all = switches(command);
    let parsed: Vec<String> = all.iter().map(parsed).collect();
    let options: String = all.iter().map(option).collect();
    format!(
        "# Completion of remainroot for fish, made by remainroot --generate=fish.\n\n\
         # The command and its arguments as far as they are typed; fails as long as there are only options.\n\
         function __remainroot_command\n    \
         set -l words (commandline -opc) (commandline -ct)\n    \
         set -e words[1]\n    \
         argparse -s {} -- $words 2>/dev/null\n    \
         test -n \"$argv[1]\"; and not string match -qr '^-' -- $argv[1]; or return 1\n    \
         string join0 -- $argv\nend\n{REST}{options}",
        parsed.join(" ")
    )
}

/// The option as fish's argparse takes it.
fn parsed(switch: &Switch) -> String {
    let name = match switch.short {
        Some(short) => format!("{short}/{}", switch.long),
        None => switch.long.clone(),
    };
    match &switch.value {
        Some(value) if value.optional => format!("'{name}=?'"),
        Some(_) => format!("{name}="),
        None => name,
    }
}

fn option(switch: &Switch) -> String {
    let mut line = "complete -c remainroot -n __remainroot_in_options".to_owned();
    if let Some(short) = switch.short {
        line += &format!(" -s {short}");
    }
    let help = switch.help.split([':', ';']).next().unwrap_or_default();
    line += &format!(" -l {} -d '{}'", switch.long, help.replace('\\', "\\\\").replace('\'', "\\'"));
    if let Some(value) = &switch.value {
        line += match (value.optional, value.files) {
            (true, _) => "",
            (false, true) => " -rF",
            (false, false) => " -x",
        };
        if !value.words.is_empty() {
            line += &format!(" -a '{}'", value.words.join(" "));
        }
    }
    line + "\n"
}
