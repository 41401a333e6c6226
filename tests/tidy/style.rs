//! What DESIGN asks of every file. Each check gives the violations it finds.

use super::rust::{Source, closing, functions, split, words};

/// Files may be this long.
const FILE_LINES: usize = 500;
/// Functions may be this long.
const FUNCTION_LINES: usize = 60;
/// Handlers, the functions of the syscall table, may be this long.
const HANDLER_LINES: usize = 40;
/// The files that may write to stdout and stderr: what was asked for, and why a command cannot start.
const PRINTERS: &[&str] =
    &["src/cli.rs", "src/cli/list_owners.rs", "src/export/output.rs", "src/launch/failure.rs"];

/// `unsafe` outside `src/sys`, and there without a `// SAFETY:` above its statement. A declaration of
/// foreign functions does nothing yet.
pub fn unsafe_code(source: &Source) -> Vec<String> {
    let lines: Vec<&str> = source.text.lines().collect();
    let mut wrong = vec![];
    for at in words(&source.code, "unsafe") {
        let line = source.line(at);
        let above = lines[..line - 1].iter().rev().map(|text| text.trim());
        let begun =
            |text: &&str| text.ends_with([';', '{', '}']) || text.is_empty() || text.starts_with("//");
        let declared = source.code[at..].starts_with("unsafe extern");
        let explained = declared
            || above
                .skip_while(|text| !begun(text))
                .take_while(|text| text.starts_with("//") || text.starts_with("#["))
                .any(|text| text.starts_with("// SAFETY:"));
        // The one attribute that C's entry point needs.
        let entry = source.path == "src/main.rs" && source.code[at..].starts_with("unsafe(no_mangle)");
        if !source.path.starts_with("src/sys") && !entry {
            wrong.push(format!("{}:{line}: unsafe outside src/sys", source.path));
        } else if !explained {
            wrong.push(format!("{}:{line}: unsafe without // SAFETY:", source.path));
        }
    }
    wrong
}

/// A `mod.rs` whose opening comment has no `*Invariant:*`.
pub fn invariant(source: &Source) -> Vec<String> {
    let opening = source.text.lines().take_while(|line| line.starts_with("//!"));
    let stated = opening.into_iter().any(|line| line.contains("*Invariant:*"));
    let module = source.path.starts_with("src/") && source.path.ends_with("/mod.rs");
    if module && !stated { vec![format!("{}: no *Invariant:* line", source.path)] } else { vec![] }
}

/// Files and functions that are too long.
pub fn lengths(source: &Source) -> Vec<String> {
    let mut wrong = vec![];
    let lines = source.text.lines().count();
    if lines > FILE_LINES {
        wrong.push(format!("{}: {lines} lines", source.path));
    }
    for function in functions(&source.code).iter().filter(|function| function.lines > FUNCTION_LINES) {
        wrong.push(format!(
            "{}:{}: {} has {} lines",
            source.path, function.line, function.name, function.lines
        ));
    }
    wrong
}

/// Handlers that are too long, or that a row names and no file below `src/syscalls` defines.
pub fn handlers(sources: &[Source]) -> Vec<String> {
    let mut wrong = vec![];
    let table = sources.iter().filter(|source| source.path == "src/syscalls/table.rs");
    let rows: Vec<&str> = table.flat_map(|table| handlers_of(&table.product)).collect();
    if rows.is_empty() {
        wrong.push("src/syscalls/table.rs: no row was understood".to_owned());
    }
    for path in rows {
        let plain = path.split_once("::<").map_or(path, |(plain, _)| plain); // whatever it is generic over
        let mut names = plain.split("::");
        let (module, name) = (names.next().unwrap_or(path), names.last().unwrap_or(path));
        let home = format!("src/syscalls/{module}");
        let files = sources.iter().filter(|source| {
            source.path == format!("{home}.rs") || source.path.starts_with(&format!("{home}/"))
        });
        let found: Vec<_> = files
            .flat_map(|source| functions(&source.product))
            .filter(|function| function.name == name)
            .collect();
        if found.is_empty() {
            wrong.push(format!("{path}: the handler is not in {home}"));
        }
        for function in found.iter().filter(|function| function.lines > HANDLER_LINES) {
            wrong.push(format!("{path}: the handler has {} lines", function.lines));
        }
    }
    wrong
}

/// The third argument of every `row(…)`.
fn handlers_of(code: &str) -> Vec<&str> {
    let rows = words(code, "row").into_iter().filter(|&at| code[at..].starts_with("row("));
    let calls = rows.filter(|&at| !code[..at].ends_with("fn "));
    calls
        .filter_map(|at| {
            let list = &code[at + 4..closing(code, at + 3) - 1];
            split(list).get(2).copied()
        })
        .collect()
}

/// Printing outside the places for it.
pub fn printing(source: &Source) -> Vec<String> {
    if !source.path.starts_with("src/") || PRINTERS.contains(&source.path.as_str()) {
        return vec![];
    }
    let names = ["println", "eprintln", "print", "eprint", "dbg", "stdout", "stderr"];
    let called = |at: usize, name: &str| {
        let after = &source.product[at + name.len()..];
        after.starts_with('!') || (name.starts_with("std") && after.starts_with("()"))
    };
    let all =
        names.iter().flat_map(|name| words(&source.product, name).into_iter().map(move |at| (at, name)));
    all.filter(|(at, name)| called(*at, name))
        .map(|(at, name)| format!("{}:{}: {name} outside {PRINTERS:?}", source.path, source.line(at)))
        .collect()
}

/// Work left for later. The words are put together here so that this file passes.
pub fn leftovers(path: &str, text: &str) -> Vec<String> {
    let marks = [["TO", "DO"], ["FIX", "ME"], ["XX", "X"], ["todo", "!("], ["unimplemented", "!("]];
    mentions(path, text, &marks.map(|mark| mark.concat()), "is left for later")
}

/// Hosts of package registries: where packages come from is each machine's own business.
pub fn registries(path: &str, text: &str) -> Vec<String> {
    let hosts =
        [["crates", ".io"], ["docs", ".rs"], ["pypi", ".org"], ["npmjs", ".org"], ["proxy.golang", ".org"]];
    mentions(path, text, &hosts.map(|host| host.concat()), "names a package registry")
}

fn mentions(path: &str, text: &str, needles: &[String], what: &str) -> Vec<String> {
    let numbered = text.lines().enumerate().map(|(index, line)| (index + 1, line));
    numbered
        .filter(|(_, line)| needles.iter().any(|needle| line.contains(needle.as_str())))
        .map(|(number, line)| format!("{path}:{number}: {what}: {}", line.trim()))
        .collect()
}

/// Ignored tests that give no reason.
pub fn ignored(source: &Source) -> Vec<String> {
    let attributes = source.code.match_indices("#[ignore");
    let bare = attributes.filter(|&(at, _)| {
        let attribute = &source.text[at..closing(&source.code, at + 1)];
        let reason = attribute.split_once('"').and_then(|(_, rest)| rest.split_once('"'));
        reason.is_none_or(|(reason, _)| reason.trim().len() < 10)
    });
    bare.map(|(at, _)| format!("{}:{}: an ignored test without a reason", source.path, source.line(at)))
        .collect()
}

#[test]
fn unsafe_code_is_found_where_it_must_not_be_and_where_it_is_unexplained() {
    let check = |path, text: &str| unsafe_code(&Source::new(path, text)).len();
    assert_eq!(check("src/worker/mod.rs", "// SAFETY: fine\nunsafe { f() }"), 1);
    assert_eq!(check("src/sys/mod.rs", "let x = 1;\nunsafe { f() }"), 1);
    assert_eq!(check("src/sys/mod.rs", "// SAFETY: f takes no pointer\nunsafe { f() }"), 0);
    assert_eq!(
        check("src/sys/mod.rs", "// SAFETY: f takes no pointer\nlet outcome =\n    unsafe { f() };"),
        0
    );
    assert_eq!(
        check("src/sys/mod.rs", "// SAFETY: for g\nunsafe { g() };\nlet outcome =\n    unsafe { f() };"),
        1
    );
    assert_eq!(check("src/sys/mod.rs", "unsafe extern \"C\" { fn f(); }"), 0);
    assert_eq!(check("src/main.rs", "// SAFETY: the only one\n#[unsafe(no_mangle)]\nfn main() {}"), 0);
    assert_eq!(check("src/main.rs", "// SAFETY: not an attribute\nunsafe { f() }"), 1);
    assert_eq!(check("src/worker/mod.rs", "// unsafe\n\"unsafe\"; unsafe_code;"), 0);
}

#[test]
fn a_module_without_an_invariant_is_found() {
    let check = |path, text: &str| invariant(&Source::new(path, text)).len();
    assert_eq!(check("src/worker/mod.rs", "//! Workers.\n// *Invariant:* no\n"), 1);
    assert_eq!(check("src/worker/mod.rs", "//! Workers.\n//!\n//! *Invariant:* none.\n"), 0);
    assert_eq!(check("src/worker/loop.rs", "//! Workers.\n"), 0);
}

#[test]
fn what_is_too_long_is_found() {
    let function = |lines: usize| format!("fn f() {{\n{}}}\n", "x();\n".repeat(lines - 2));
    let check = |text: &str| lengths(&Source::new("src/a.rs", text)).len();
    assert_eq!((check(&function(60)), check(&function(61))), (0, 1));
    assert_eq!((check(&"\n".repeat(500)), check(&"\n".repeat(501))), (0, 1));
}

#[test]
fn a_long_or_missing_handler_is_found() {
    let table =
        |row: &str| Source::new("src/syscalls/table.rs", &format!("const fn row(name: u8) {{}}\n{row}"));
    let body = |lines: usize| format!("pub fn chown<W>() {{\n{}}}\n", "x();\n".repeat(lines - 2));
    let file = |lines| Source::new("src/syscalls/owners.rs", &body(lines));
    let row = "row(\"chown\", [1, 2, 3], owners::chown::<Wide>, BASE),";
    assert!(handlers(&[table(row), file(40)]).is_empty());
    assert_eq!(handlers(&[table(row), file(41)]).len(), 1);
    assert_eq!(handlers(&[table(row)]).len(), 1);
    assert_eq!(handlers(&[table("")]).len(), 1);
}

#[test]
fn printing_in_a_wrong_place_is_found() {
    let check = |path, text: &str| printing(&Source::new(path, text)).len();
    assert_eq!(check("src/worker/mod.rs", "fn f() { println!(\"x\"); eprint!(\"y\") }"), 2);
    assert_eq!(check("src/worker/mod.rs", "std::io::stderr().write_all(b\"x\")"), 1);
    assert_eq!(check("src/worker/mod.rs", "#[cfg(test)]\nmod t { fn f() { println!() } } // println!()"), 0);
    assert_eq!(check("src/cli.rs", "println!(\"x\")"), 0);
}

#[test]
fn work_left_for_later_and_registries_are_found() {
    for mark in [["TO", "DO: x"], ["FIX", "ME"], ["todo", "!()"]] {
        assert_eq!(leftovers("a", &format!("fine\n// {}\n", mark.concat())).len(), 1);
    }
    assert_eq!(leftovers("a", "nothing to do"), Vec::<String>::new());
    assert_eq!(registries("a", &["see https://crates", ".io/x"].concat()).len(), 1);
    assert_eq!(registries("a", "see crates and io"), Vec::<String>::new());
}

#[test]
fn a_test_ignored_without_a_reason_is_found() {
    let check = |text: &str| ignored(&Source::new("tests/a.rs", text)).len();
    assert_eq!(check("#[test]\n#[ignore]\nfn a() {}"), 1);
    assert_eq!(check("#[test]\n#[ignore = \"\"]\nfn a() {}"), 1);
    assert_eq!(check("#[test]\n#[ignore = \"takes an hour: for the nightly run\"]\nfn a() {}"), 0);
}
