//! Arrows between the layers of the library point down.

use super::rust::{Source, closing, identifier, split, words};

/// What each top-level module may use, top to bottom. `abi` and `cred` stand on nothing but each
/// other; a handler cannot reach a kernel call, since `syscalls` may not use `sys`.
pub const ARROWS: &[(&str, &[&str])] = &[
    ("main", &["cli"]),
    ("cli", &["launch", "export", "journal", "syscalls", "seccomp", "ownership", "cred"]),
    ("export", &["ownership", "cred", "abi", "sys"]),
    (
        "launch",
        &[
            "supervisor",
            "worker",
            "journal",
            "ptrace",
            "registry",
            "syscalls",
            "seccomp",
            "ownership",
            "cred",
            "abi",
            "sys",
        ],
    ),
    (
        "supervisor",
        &[
            "worker",
            "journal",
            "ptrace",
            "registry",
            "syscalls",
            "seccomp",
            "ownership",
            "cred",
            "abi",
            "sys",
        ],
    ),
    ("worker", &["journal", "ptrace", "registry", "syscalls", "seccomp", "ownership", "cred", "abi", "sys"]),
    ("journal", &["syscalls", "cred", "abi", "sys"]),
    ("ptrace", &["seccomp", "abi", "sys"]),
    ("registry", &["cred", "sys"]),
    ("seccomp", &["syscalls", "abi"]),
    ("syscalls", &["ownership", "cred", "abi"]),
    ("ownership", &["cred", "abi", "sys"]),
    ("sys", &["abi"]),
    ("cred", &["abi"]),
    ("abi", &[]),
    ("docs", &[]),
    ("lib", &[]),
];

/// The top-level module of a file below `src`.
pub fn module(path: &str) -> &str {
    let inner = path.strip_prefix("src/").unwrap_or(path);
    inner.split('/').next().unwrap_or(inner).trim_end_matches(".rs")
}

/// Every top-level module that a file's product uses, with the line of the use.
fn uses(source: &Source) -> Vec<(usize, String)> {
    let code = &source.product;
    let mut found = vec![];
    for root in ["crate", "remainroot"] {
        for at in words(code, root) {
            found.extend(heads(code, at + root.len()).into_iter().map(|head| (source.line(at), head)));
        }
    }
    // As many `super::` as the file is deep name the crate too.
    let inner = source.path.strip_prefix("src/").unwrap_or(&source.path);
    let depth = inner.trim_end_matches("/mod.rs").split('/').count();
    let climb = "super::".repeat(depth);
    for (at, _) in code.match_indices(&climb) {
        let climbs_on = at >= 7 && code[..at].ends_with("super::");
        if !climbs_on && !matches!(module(&source.path), "main" | "lib") {
            found.extend(heads(code, at + climb.len() - 2).into_iter().map(|head| (source.line(at), head)));
        }
    }
    found
}

/// The first names after the `::` at `at`: one, or those of a group.
fn heads(code: &str, at: usize) -> Vec<String> {
    let Some(rest) = code[at..].strip_prefix("::") else { return vec![] };
    if rest.starts_with('{') {
        let group = &rest[1..closing(rest, 0) - 1];
        return split(group).into_iter().map(|part| identifier(part, 0).to_owned()).collect();
    }
    vec![identifier(rest, 0).to_owned()]
}

/// Uses that no arrow allows. Macros of the crate count as the module that defines them would.
pub fn violations(sources: &[Source]) -> Vec<String> {
    let mut wrong = vec![];
    for source in sources.iter().filter(|source| source.path.starts_with("src/")) {
        let from = module(&source.path);
        let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == from) else {
            wrong.push(format!("{}: the layer {from} is not in the table", source.path));
            continue;
        };
        for (line, to) in uses(source) {
            if to != from && to != "super" && !allowed.contains(&to.as_str()) {
                wrong.push(format!("{}:{line}: {from} may not use {to}", source.path));
            }
        }
    }
    wrong
}

#[test]
fn an_arrow_that_points_up_is_found_however_it_is_written() {
    let bad = [
        ("src/cred/mod.rs", "use crate::sys::getuid;"),
        ("src/cred/mod.rs", "use super::worker::Worker;"),
        ("src/syscalls/ids.rs", "use super::super::sys;"),
        ("src/syscalls/ids.rs", "use crate::{abi::Abi, sys, cred::{Uid, Gid}};"),
        ("src/abi/mod.rs", "fn a() -> crate::cred::Uid { todo() }"),
        ("src/newcomer/mod.rs", "use crate::abi;"),
        ("src/main.rs", "fn main() { remainroot::sys::fork() }"),
    ];
    for (path, text) in bad {
        assert_eq!(violations(&[Source::new(path, text)]).len(), 1, "{path}: {text}");
    }
    let good = [
        ("src/syscalls/ids.rs", "use super::{Guest, kernel}; use crate::{abi::Abi, cred::{Uid, Gid}};"),
        ("src/syscalls/ids.rs", "/// See [`crate::worker`].\nuse super::super::abi;"),
        ("src/cred/mod.rs", "#[cfg(test)]\nmod tests { use crate::worker; }"),
    ];
    for (path, text) in good {
        assert_eq!(violations(&[Source::new(path, text)]), Vec::<String>::new());
    }
}

#[test]
fn the_table_has_no_circle() {
    let position = |name: &str| ARROWS.iter().position(|(layer, _)| *layer == name);
    for (from, (name, allowed)) in ARROWS.iter().enumerate() {
        for to in *allowed {
            let to = position(to).expect("every arrow ends at a layer of the table");
            assert!(to > from, "{name} may use {}, which stands above it", ARROWS[to].0);
        }
    }
}
