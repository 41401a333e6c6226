//! The command line as people meet it: help, manual page, completion, and what is said of mistakes.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // a helper of a test is a test

mod common;

use common::{How, Run, Scratch, has, remainroot};

fn ours(words: &[&str]) -> common::Output {
    let program = remainroot().to_str().expect("the path is text");
    Run::new(How::Native, [program].iter().chain(words)).output()
}

fn generated(what: &str) -> String {
    ours(&[&format!("--generate={what}")]).success()
}

/// Every long option that `--help` shows.
fn options() -> Vec<String> {
    let help = ours(&["--help"]).success();
    let shown = help.split_once("Options:").expect("there are options").1.split("Examples:").next();
    let lines = shown.expect("examples follow").lines().map(str::trim).filter(|line| line.starts_with('-'));
    let long = lines.filter_map(|line| line.find("--").map(|at| &line[at..]));
    long.map(|text| {
        let end = text.find(|letter: char| letter != '-' && !letter.is_ascii_alphanumeric());
        text[..end.unwrap_or(text.len())].to_owned()
    })
    .collect()
}

/// A file with the text that is generated, below a directory of its own.
fn file(scratch: &Scratch, what: &str) -> String {
    let path = scratch.file(what);
    std::fs::write(&path, generated(what)).expect("the directory is writable");
    path
}

#[test]
fn the_help_shows_examples_by_task() {
    let help = ours(&["--help"]).success();
    let examples = help.split_once("Examples:\n").expect("there are examples").1;
    let examples = examples.split_once("\n\n").expect("something follows").0;
    let (tasks, lines): (Vec<&str>, Vec<&str>) = examples.lines().partition(|line| !line.starts_with("    "));
    assert!(tasks.len() >= 5 && tasks.iter().all(|task| task.ends_with(':')), "{tasks:?}");
    assert!(lines.len() >= tasks.len(), "{lines:?}");
    assert!(help.lines().all(|line| line.len() <= 100), "{help}");
    assert_eq!(ours(&["-h"]).success(), help, "there is one help");
}

#[test]
fn examples_of_the_help_work() {
    if !has(&["sh", "tar", "unshare"]) {
        return;
    }
    let scratch = Scratch::new("examples");
    let help = ours(&["--help"]).success();
    let bin = remainroot().parent().and_then(|parent| parent.to_str()).expect("it lies in a directory");
    let told = [
        ("ls -ln f'", "33 33"),
        ("unshare -Ur remainroot id", "uid=0(root) gid=0(root)"),
        ("--save=owners", ""),
        ("--load=owners", ""),
        ("remainroot --generate=man |", "remainroot"),
        ("eval \"$(remainroot --generate=bash)\"", ""),
    ];
    let makefile = "install:\n\tmkdir -p $(DESTDIR)\n\ttouch $(DESTDIR)/f\n\tchown 7:8 $(DESTDIR)/f\n";
    std::fs::write(scratch.path().join("Makefile"), makefile).expect("the directory is writable");
    for (mark, expected) in told {
        let line = help.lines().find(|line| line.contains(mark)).expect("the help has it").trim();
        let shell = if line.starts_with("eval") { "bash" } else { "sh" };
        let script = format!("PATH={bin}:$PATH; {line}");
        let mut run = Run::new(How::Native, [shell, "-c", &script]).directory(scratch.path());
        if nix::unistd::geteuid().is_root() {
            run = run.before(["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"]);
        }
        let said = run.variable("HOME", scratch.path()).output().success();
        let words = said.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(words.contains(expected), "{line}: {said}");
    }
    let list = Run::new(How::Native, ["tar", "tvf", "root.tar", "--numeric-owner"]).directory(scratch.path());
    let list = list.output().success();
    assert!(list.lines().any(|line| line.contains("7/8") && line.ends_with("./f")), "{list}");
}

#[test]
fn the_manual_page_has_every_option_and_section() {
    let page = generated("man");
    let sections: Vec<&str> = page.lines().filter_map(|line| line.strip_prefix(".SH ")).collect();
    let expected = [
        "NAME",
        "SYNOPSIS",
        "DESCRIPTION",
        "OPTIONS",
        "EXAMPLES",
        "FILES",
        "ENVIRONMENT",
        "EXIT STATUS",
        "NOTES",
        "SEE ALSO",
    ];
    assert_eq!(sections, expected);
    let options = options();
    assert!(options.len() > 10, "{options:?}");
    for option in options {
        let bold = format!("\\fB{}\\fR", option.replace('-', "\\-"));
        assert!(page.contains(&bold), "{option} is missing");
    }
    assert!(!page.contains('{'), "everything is filled in");
}

#[test]
fn the_manual_page_is_what_formatters_expect() {
    let scratch = Scratch::new("manual");
    let page = file(&scratch, "man");
    if has(&["mandoc"]) {
        let lint = Run::new(How::Native, ["mandoc", "-Tlint", "-W", "warning", &page]).output();
        assert_eq!((lint.code(), lint.stdout.as_str()), (0, ""), "{lint:?}");
    }
    if has(&["man"]) {
        let shown = Run::new(How::Native, ["man", "--warnings", "-l", &page]);
        let shown = shown.variable("MANWIDTH", "80").variable("LC_ALL", "C.UTF-8").output();
        assert_eq!((shown.code(), shown.stderr.as_str()), (0, ""), "{shown:?}");
        assert!(shown.stdout.contains("--store=WHERE") && shown.stdout.contains("EXIT STATUS"), "{shown:?}");
    }
}

/// What bash offers where the cursor is at the end of `words`; as a shell with and one without the package
/// bash-completion.
fn bash(words: &[&str], package: bool) -> Vec<String> {
    let scratch = Scratch::new("bash");
    let script = file(&scratch, "bash");
    std::fs::write(scratch.path().join("one.txt"), "").expect("the directory is writable");
    std::fs::create_dir(scratch.path().join("two")).expect("the directory is writable");
    let load = if package { ". /usr/share/bash-completion/bash_completion; " } else { "" };
    let quoted: Vec<String> = words.iter().map(|word| format!("'{word}'")).collect();
    let driver = format!(
        "{load}. {script}; complete -p remainroot >/dev/null || exit 9; compopt() {{ :; }}; \
         COMP_WORDS=(remainroot {}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1)); \
         COMP_LINE=\"${{COMP_WORDS[*]}}\"; COMP_POINT=${{#COMP_LINE}}; \
         _remainroot remainroot \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"; \
         printf '%s\\n' \"${{COMPREPLY[@]}}\"",
        quoted.join(" ")
    );
    let run =
        Run::new(How::Native, ["bash", "--norc", "--noprofile", "-c", &driver]).directory(scratch.path());
    let output = run.output();
    assert_eq!(output.stderr, "", "{words:?}");
    // bash-completion offers a program once for each directory that it is found in, and readline shows it once.
    let mut offered: Vec<String> = output.stdout.split_whitespace().map(str::to_owned).collect();
    offered.dedup();
    offered
}

#[test]
fn bash_completes_options_values_files_and_the_command() {
    if !has(&["bash"]) {
        return;
    }
    let there = std::path::Path::new("/usr/share/bash-completion/bash_completion").exists();
    for package in [false, true].into_iter().filter(|package| there || !package) {
        let cases: &[(&[&str], &[&str])] = &[
            (&["--sto"], &["--store="]),
            (&["--summ"], &["--summary"]),
            (&["--store", "=", "x"], &["xattr"]),
            (&["--store", "me"], &["memory"]),
            (&["--store=me"], &["--store=memory"]),
            (&["--store", "=", "one"], &["one.txt"]),
            (&["--attach", "="], &["demand", "start"]),
            (&["-v", "--attach=start", "-c", "--generate", "f"], &["fish"]),
            (&["--save", "o"], &["one.txt"]),
            (&["--summary", "=", "on"], &["one.txt"]),
            (&["-c", "--store", "=", "auto", "--", "chgrp", "root", "on"], &["one.txt"]),
            (&["--attach", "start", "cat", "tw"], &["two"]),
            (&["-c", "setpri"], &["setpriv"]),
            (&["--summary", "setpri"], &["setpriv"]),
            (&["--", "setpri"], &["setpriv"]),
        ];
        for (words, expected) in cases {
            assert_eq!(bash(words, package), *expected, "{words:?}, with bash-completion: {package}");
        }
        assert!(!bash(&["cat", "--sto"], package).contains(&"--store=".to_owned()), "the command's own");
    }
}

#[test]
fn fish_completes_options_values_files_and_the_command() {
    if !has(&["fish"]) {
        return;
    }
    let scratch = Scratch::new("fish");
    let script = file(&scratch, "fish");
    std::fs::write(scratch.path().join("one.txt"), "").expect("the directory is writable");
    let cases = [
        ("remainroot --sto", "--store"),
        ("remainroot --attach=", "--attach=demand --attach=start"),
        ("remainroot --attach s", "start"),
        ("remainroot --store=me", "--store=memory"),
        ("remainroot --save=o", "--save=one.txt"),
        ("remainroot -c --attach start setpri", "setpriv"),
        ("remainroot --store=auto -- setpri", "setpriv"),
        ("remainroot -c cat on", "one.txt"),
        ("remainroot cat --sto", ""),
    ];
    for (line, expected) in cases {
        let driver = format!("source {script}; complete -C '{line}'");
        let run = Run::new(How::Native, ["fish", "--no-config", "-c", &driver]).directory(scratch.path());
        let output = run.variable("HOME", scratch.path()).output();
        let offered: Vec<&str> = output.stdout.lines().filter_map(|line| line.split('\t').next()).collect();
        assert_eq!((offered.join(" "), output.stderr.as_str()), (expected.to_owned(), ""), "{line}");
    }
}

#[test]
fn zsh_completes_options_values_files_and_the_command() {
    if !has(&["zsh"]) {
        return;
    }
    let scratch = Scratch::new("zsh");
    std::fs::create_dir(scratch.path().join("functions")).expect("the directory is writable");
    std::fs::write(scratch.path().join("functions/_remainroot"), generated("zsh")).expect("it is writable");
    std::fs::create_dir(scratch.path().join("empty")).expect("the directory is writable");
    std::fs::write(scratch.path().join("empty/one.txt"), "").expect("the directory is writable");
    let cases = [
        ("remainroot --sto", "--store="),
        ("remainroot --attach=st", "--attach=start"),
        ("remainroot --store=me", "--store=memory"),
        ("remainroot --save=on", "--save=one.txt"),
        ("remainroot -c setpri", "setpriv"),
        ("remainroot --store=auto -- setpri", "setpriv"),
        ("remainroot -c cat on", "one.txt"),
    ];
    for (line, expected) in cases {
        let completed = typed_in_zsh(&scratch, line);
        let last = line.split(' ').next_back().expect("there are words");
        let whole = format!("{}{expected}", &line[..line.len() - last.len()]);
        assert_eq!(completed.trim_end(), whole, "{line}");
    }
}

/// The command line that a zsh at a terminal of its own makes of `line` and the tabulator key.
fn typed_in_zsh(scratch: &Scratch, line: &str) -> String {
    // What is on the command line is written to a file by a key of its own.
    let driver = "zmodload zsh/zpty; zpty shell 'zsh -f -i'; \
        zpty -w shell 'PS1=; fpath=(../functions $fpath); autoload -U compinit; compinit -u -d ../dump; \
        tell() { print -r -- $BUFFER >../said; mv ../said ../told }; zle -N tell; bindkey ^X tell; touch ../ready'; \
        until [[ -e ../ready ]]; do zpty -r -t shell text; sleep 0.02; done; \
        zpty -w -n shell $LINE$'\\t'$'\\x18'; \
        until [[ -e ../told ]]; do zpty -r -t shell text; sleep 0.02; done; cat ../told; rm ../told ../ready; zpty -d shell";
    let run = Run::new(How::Native, ["zsh", "-f", "-c", driver]).directory(&scratch.path().join("empty"));
    run.variable("LINE", line).variable("TERM", "dumb").seconds(60).output().success()
}

#[test]
fn a_mistake_is_explained_in_one_sentence() {
    let cases = [
        ("--sumary=x", "remainroot: there is no option --sumary; did you mean --summary?\n"),
        (
            "--store=xatr",
            "remainroot: --store=xatr: did you mean xattr? A file is named with a slash: --store=./xatr\n",
        ),
        ("--attach=strat", "remainroot: --attach=strat: did you mean start?\n"),
        ("--generate=fihs", "remainroot: --generate=fihs: did you mean fish?\n"),
    ];
    for (option, sentence) in cases {
        let said = ours(&[option, "true"]);
        let said = (said.code(), said.stdout.as_str(), said.stderr.as_str());
        assert_eq!(said, (125, "", sentence), "{option}");
    }
}

#[test]
fn a_value_that_is_not_joined_to_its_option_is_explained_where_it_cannot_be_executed() {
    let scratch = Scratch::new("joined");
    let program = remainroot().to_str().expect("the path is text");
    let script =
        format!("{program} --summary out.txt true; echo $?; {program} --summary -- out.txt; echo $?");
    let output = Run::shell(How::Namespace, &script).directory(scratch.path()).output();
    // With them comes the summary itself.
    let lines: Vec<&str> = output.stderr.lines().filter(|line| line.contains("out.txt")).collect();
    assert_eq!(output.stdout, "127\n127\n", "{output:?}");
    assert!(lines[0].ends_with("; the FILE of --summary is joined to it: --summary=out.txt"), "{lines:?}");
    assert!(lines[1].ends_with("check the spelling and PATH"), "{lines:?}");
}
