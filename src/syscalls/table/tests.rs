//! The table is consistent, and its numbers are the kernel's.

use std::collections::BTreeMap;

use super::{Operation, TABLE, Tried, listing, lookup, marked};
use crate::abi::{self, Abi, MARK, Numbers};
use crate::syscalls::{Guest, Stage, Test, Verdict, kernel};

/// Pairs of rows that claim one number.
fn clashes(table: &[Operation]) -> Vec<String> {
    let mut clashes = vec![];
    for abi in Abi::ALL {
        let mut owners = BTreeMap::new();
        for Operation { name, numbers, .. } in table {
            let number = numbers.of(abi);
            if let Some(other) = number.and_then(|number| owners.insert(number, name)) {
                clashes.push(format!("{abi:?}: {other} and {name} are both {number:?}"));
            }
        }
    }
    clashes
}

fn nothing(_: &mut dyn Guest) -> Verdict {
    Verdict::Run
}

fn sample(name: &'static str, x86_64: u32) -> Operation {
    let numbers = Numbers { x86_64: Some(x86_64), i386: None, aarch64: None };
    Operation { name, numbers, handler: nothing, stops: &[], room: None, tried: Tried::Never }
}

#[test]
fn no_two_rows_share_a_number() {
    assert_eq!(clashes(TABLE), Vec::<String>::new());
    assert_eq!(clashes(&[sample("one", 5), sample("two", 5)]).len(), 1);
}

#[test]
fn no_two_rows_share_a_name() {
    let mut names: Vec<&str> = TABLE.iter().map(|operation| operation.name).collect();
    names.sort_unstable();
    let all = names.len();
    names.dedup();
    assert_eq!(names.len(), all);
}

#[test]
fn lookup_finds_every_row_by_each_of_its_numbers_and_nothing_else() {
    for abi in Abi::ALL {
        for number in (0..2000).chain([u32::MAX]) {
            let found = lookup(abi, number).map(|operation| operation.name);
            let row = TABLE.iter().find(|operation| operation.numbers.of(abi) == Some(number));
            assert_eq!(found, row.map(|operation| operation.name), "{abi:?} {number}");
        }
    }
}

#[test]
fn every_row_has_a_number_and_stops_somewhere() {
    for operation in TABLE {
        assert!(Abi::ALL.iter().any(|&abi| operation.numbers.of(abi).is_some()), "{}", operation.name);
        assert!(!operation.stops.is_empty(), "{} never stops", operation.name);
    }
}

#[test]
fn the_listing_has_a_line_for_every_row() {
    let listing = listing();
    assert_eq!(listing.lines().count(), TABLE.len() + 1);
    assert!(TABLE.iter().all(|operation| listing.contains(&format!("\n{} ", operation.name))));
}

/// Where Debian keeps the numbers of each ABI.
const HEADERS: [(Abi, &[&str]); 3] = [
    (Abi::X86_64, &["/usr/include/x86_64-linux-gnu/asm/unistd_64.h", "/usr/include/asm/unistd_64.h"]),
    (Abi::I386, &["/usr/include/x86_64-linux-gnu/asm/unistd_32.h", "/usr/include/asm/unistd_32.h"]),
    (Abi::Aarch64, &["/usr/include/asm-generic/unistd.h"]),
];

/// Calls newer than the oldest headers anybody builds with, so a header may lack them.
const NEW: [&str; 7] =
    ["fchmodat2", "setxattrat", "getxattrat", "listxattrat", "removexattrat", "file_getattr", "file_setattr"];

/// The names that a header's text gives to numbers.
fn names(header: &str) -> BTreeMap<String, u32> {
    let define = |line: &str| {
        let mut words = line.strip_prefix("#define __NR")?.split_whitespace();
        let (name, value) = (words.next()?, words.next()?);
        Some((name.trim_start_matches("3264").trim_start_matches('_').to_owned(), value.to_owned()))
    };
    let defined: Vec<(String, String)> = header.lines().filter_map(define).collect();
    let mut names: BTreeMap<String, u32> =
        defined.iter().filter_map(|(name, value)| Some((name.clone(), value.parse().ok()?))).collect();
    // asm-generic: `#define __NR_newfstatat __NR3264_fstatat` under 64 bits, before the others.
    for (name, value) in &defined {
        let number = value.strip_prefix("__NR3264_").and_then(|other| names.get(other).copied());
        if let Some(number) = number {
            names.entry(name.clone()).or_insert(number);
        }
    }
    names
}

/// What the header calls a row: on i386 a plain name is the 16-bit form where there are two.
fn number_in(header: &BTreeMap<String, u32>, abi: Abi, name: &str) -> Option<u32> {
    let get = |name: &str| header.get(name).copied();
    match (abi, name) {
        (Abi::I386, "newfstatat") => get("fstatat64"),
        (Abi::I386, "mmap") => get("mmap2"),
        (Abi::I386, "fstatfs") => get("fstatfs64"),
        // The generic header has these for 32-bit machines.
        (Abi::Aarch64, "fstat64" | "truncate64" | "utimensat_time64") => None,
        (Abi::I386, _) => match name.strip_suffix("16") {
            Some(short) => get(short),
            None => get(&format!("{name}32")).or_else(|| get(name)),
        },
        _ => get(name),
    }
}

/// What is wrong with a row's number, by the header of one ABI.
fn disagreement(header: &BTreeMap<String, u32>, abi: Abi, name: &str, numbers: Numbers) -> Option<String> {
    let (number, known) = (numbers.of(abi), number_in(header, abi, name));
    let right = number == known || (known.is_none() && NEW.contains(&name));
    (!right).then(|| format!("{abi:?} {name}: {number:?} here, {known:?} in the header"))
}

#[test]
fn numbers_are_those_of_the_system_headers() {
    for (abi, places) in HEADERS {
        let Some(text) = places.iter().find_map(|place| std::fs::read_to_string(place).ok()) else {
            eprintln!("skipped: no header with the numbers of {abi:?}");
            continue;
        };
        let header = names(&text);
        // Only where processes answer themselves do these stop.
        let is_elsewhere = |operation: &&Operation| {
            let is_about_memory =
                |stop: &(Stage, Test)| matches!(stop.1, Test::Meets { .. } | Test::Over { .. });
            abi != Abi::X86_64
                && operation.numbers.of(abi).is_none()
                && operation.stops.iter().any(is_about_memory)
        };
        let rows = TABLE.iter().filter(|it| !is_elsewhere(it)).map(|it| (it.name, it.numbers));
        let calls = kernel::ALL.iter().map(|call| (call.name, call.numbers));
        let wrong: Vec<String> = rows
            .chain(calls)
            .filter_map(|(name, numbers)| disagreement(&header, abi, name, numbers))
            .collect();
        assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    }
}

#[test]
fn a_wrong_number_is_noticed() {
    let header = names("#define __NR_setuid 23\n#define __NR_setuid32 213\n#define __NR_open 5\n");
    let i386 = |number| Numbers { x86_64: None, i386: number, aarch64: None };
    let wrong = |name, number| disagreement(&header, Abi::I386, name, i386(number)).is_some();
    assert!(!wrong("setuid", Some(213)) && !wrong("setuid16", Some(23)) && !wrong("open", Some(5)));
    assert!(
        wrong("setuid", Some(214))
            && wrong("setuid", Some(23))
            && wrong("setuid16", Some(213))
            && wrong("setuid", None)
    );
    assert!(!wrong("absent", None) && wrong("absent", Some(7)));
}

#[test]
fn the_names_of_a_header_are_read_through_its_aliases() {
    let text = "#define __NR3264_fstatat 79\n__SC_3264(x)\n#define __NR_statx 291\n\
                #define __NR_newfstatat __NR3264_fstatat\n";
    let header = names(text);
    assert_eq!((header.get("newfstatat"), header.get("statx")), (Some(&79), Some(&291)));
}

#[test]
fn a_call_that_only_inherits_a_mark_is_one_as_any() {
    let row = lookup(Abi::X86_64, 262).expect("newfstatat is answered");
    let inherited = [0, 1, 2, 3, 4, u64::from(MARK)];
    let stops = |abi, pointer| {
        let call = abi::Call::made(abi, 262, inherited, pointer);
        row.stops_in(Stage::Ownership.only(), &call.args)
    };
    assert!(stops(Abi::X86_64, 0x5555_5555_5555));
    assert!(!stops(Abi::X86_64, u64::from(abi::window::CODE) + 0x123));
    // Nothing answers inside 32-bit programs: who marks there is the tracer.
    assert!(!stops(Abi::I386, 0x804_8000));
    assert!(!row.stops_in(Stage::Ownership.only(), &marked(Abi::X86_64, 262, inherited)));
}
