//! Completion for bash, with or without the package bash-completion.

use clap::Command;

use super::{Switch, switches};

/// What does not depend on the options. The words of `--option=value` are three where `=` breaks words, and one
/// elsewhere.
const REST: &str = r#"
_remainroot() {
    local cur=${COMP_WORDS[COMP_CWORD]} option='' prefix='' index=1 word
    COMPREPLY=()
    # Past the options stands the command.
    while ((index < COMP_CWORD)); do
        word=${COMP_WORDS[index]}
        option=''
        if [[ $word == -- ]]; then
            ((index++))
            break
        elif [[ $word != -?* ]]; then
            break
        elif [[ ${COMP_WORDS[index + 1]} == = ]]; then
            option=$word
            ((index += 3))
        elif [[ " $_remainroot_valued " == *" $word "* ]]; then
            option=$word
            ((index += 2))
        else
            ((index++))
        fi
    done
    if ((index > COMP_CWORD)); then
        [[ $cur != = ]] || cur=''
        _remainroot_value "$option"
    elif ((index == COMP_CWORD)) && [[ $cur == --*=* ]]; then
        option=${cur%%=*} prefix=$option=
        cur=${cur#*=}
        _remainroot_value "$option"
    elif ((index == COMP_CWORD)) && [[ $cur == -* && ${COMP_WORDS[index - 1]} != -- ]]; then
        mapfile -t COMPREPLY < <(compgen -W "$_remainroot_options" -- "$cur")
        [[ ${COMPREPLY-} != *= ]] || compopt -o nospace
    elif declare -F _comp_command_offset >/dev/null; then
        _comp_command_offset "$index"
    elif declare -F _command_offset >/dev/null; then
        _command_offset "$index"
    elif ((index == COMP_CWORD)); then
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -c -- "$cur" | sort -u)
    else
        compopt -o filenames
        mapfile -t COMPREPLY < <(compgen -f -- "$cur")
    fi
}

complete -F _remainroot remainroot
"#;

pub(super) fn script(command: &Command) -> String {
    let all = switches(command);
    let valued = all.iter().filter(|switch| switch.takes_next_word()).flat_map(Switch::spellings);
    let cases: String = all.iter().filter_map(case).collect();
    format!(
        "# Completion of remainroot for bash, made by remainroot --generate=bash.\n\
         _remainroot_options='{}'\n_remainroot_valued='{}'\n\n\
         # The values of option $1 that begin with $cur.\n\
         _remainroot_value() {{\n    case $1 in\n{cases}    esac\n}}\n{REST}",
        all.iter().flat_map(offered).collect::<Vec<_>>().join(" "),
        valued.collect::<Vec<_>>().join(" "),
    )
}

/// What is offered for an option. A value that may be left out is for the person to begin.
fn offered(switch: &Switch) -> Vec<String> {
    let mut spellings = switch.spellings();
    if let (Some(last), true) = (spellings.last_mut(), switch.takes_next_word()) {
        last.push('=');
    }
    spellings
}

fn case(switch: &Switch) -> Option<String> {
    let value = switch.value.as_ref()?;
    let mut lines = String::new();
    if value.files {
        lines += "            compopt -o filenames\n            \
                  mapfile -t COMPREPLY < <(compgen -f -P \"$prefix\" -- \"$cur\")\n";
    }
    if !value.words.is_empty() {
        let words = value.words.join(" ");
        lines += &format!(
            "            mapfile -t -O ${{#COMPREPLY[@]}} COMPREPLY < <(compgen -P \"$prefix\" -W '{words}' -- \"$cur\")\n"
        );
    }
    Some(format!("        {})\n{lines}            ;;\n", switch.spellings().join(" | ")))
}
