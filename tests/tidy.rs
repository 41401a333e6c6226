//! The repository keeps the rules of its own architecture: layers, sizes, places for unsafe code.
//! Every check is shown to fail on a bad sample beside its definition.
#![allow(clippy::expect_used, clippy::indexing_slicing)] // a helper of a test is a test

#[path = "tidy/layers.rs"]
mod layers;
#[path = "tidy/rust.rs"]
mod rust;
#[path = "tidy/style.rs"]
mod style;

use std::fs;
use std::path::Path;

use rust::{Source, test_modules};

/// What may stand at the top of the repository beside dot-files.
const TOP: [&str; 8] =
    ["Cargo.toml", "Cargo.lock", "COPYING", "README.md", "CHANGELOG.md", "src", "tests", "scripts"];

/// Every text file below `directory`, by its path from the top of the repository.
fn files(directory: &str) -> Vec<(String, String)> {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = vec![];
    let mut directories = vec![top.join(directory)];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            let path = entry.path();
            if path.is_dir() {
                directories.push(path);
            } else if let Ok(text) = fs::read_to_string(&path) {
                let name =
                    path.strip_prefix(top).expect("it is below the top").to_str().expect("names are text");
                found.push((name.to_owned(), text));
            }
        }
    }
    found.sort();
    found
}

/// Every Rust file of the library and of the tests.
fn sources() -> Vec<Source> {
    let all = ["src", "tests"].iter().flat_map(|directory| files(directory));
    all.filter(|(path, _)| path.ends_with(".rs")).map(|(path, text)| Source::new(&path, &text)).collect()
}

/// The same without files that are modules of tests only.
fn product() -> Vec<Source> {
    let all = sources();
    let directory = |path: &str| path.trim_end_matches("/mod.rs").trim_end_matches(".rs").to_owned();
    let only_tests: Vec<String> = all
        .iter()
        .flat_map(|source| {
            let home = directory(&source.path);
            test_modules(&source.code).into_iter().map(move |name| format!("{home}/{name}"))
        })
        .collect();
    let kept = |source: &Source| !only_tests.iter().any(|module| directory(&source.path).starts_with(module));
    all.into_iter().filter(|source| source.path.starts_with("src/") && kept(source)).collect()
}

fn assert_none(violations: Vec<String>) {
    assert!(violations.is_empty(), "\n{}\n", violations.join("\n"));
}

#[test]
fn arrows_between_layers_point_down() {
    assert_none(layers::violations(&product()));
}

#[test]
fn unsafe_code_stands_in_sys_and_says_why_it_is_sound() {
    assert_none(sources().iter().flat_map(style::unsafe_code).collect());
}

#[test]
fn every_module_states_its_invariant() {
    assert_none(product().iter().flat_map(style::invariant).collect());
}

#[test]
fn files_functions_and_handlers_are_short() {
    let mut wrong: Vec<String> = sources().iter().flat_map(style::lengths).collect();
    wrong.extend(style::handlers(&product()));
    assert_none(wrong);
}

#[test]
fn only_one_place_prints() {
    assert_none(product().iter().flat_map(style::printing).collect());
}

#[test]
fn nothing_is_left_for_later_and_no_registry_is_named() {
    let mut all: Vec<(String, String)> =
        ["src", "tests", "scripts", ".ci", ".cargo"].iter().flat_map(|directory| files(directory)).collect();
    for name in ["Cargo.toml", "README.md", "CHANGELOG.md"] {
        let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join(name));
        all.extend(text.ok().map(|text| (name.to_owned(), text)));
    }
    assert!(all.len() > 20, "the files were found");
    assert_none(all.iter().flat_map(|(path, text)| style::leftovers(path, text)).collect());
    assert_none(all.iter().flat_map(|(path, text)| style::registries(path, text)).collect());
}

#[test]
fn ignored_tests_carry_a_reason() {
    assert_none(sources().iter().flat_map(style::ignored).collect());
}

#[test]
fn the_top_of_the_repository_holds_what_it_may() {
    let entries = fs::read_dir(env!("CARGO_MANIFEST_DIR")).expect("the top can be read").flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let strange: Vec<String> = names
        .filter(|name| !name.starts_with('.') && name != "target" && !TOP.contains(&name.as_str()))
        .collect();
    assert_none(strange);
}
