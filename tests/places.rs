//! Facts on inodes are read and written by whatever way a program names a file, also where its root directory has no
//! `/proc`, on kernels that have calls for every way and on those that have not.
#![allow(clippy::unwrap_used, clippy::print_stderr)] // a helper of a test is a test

mod common;

use common::{How, Run, Scratch, compile};

/// What the probe says, in a directory of its own.
fn said(how: How, probe: &str, store: &str, wrapper: &[&str], letters: &'static str) -> String {
    let place = Scratch::new("places");
    let run = Run::new(how, [probe, place.path().to_str().unwrap()]).before(wrapper).namespaces(letters);
    let run = run.option(&format!("--store={store}")).variable("XDG_STATE_HOME", place.path());
    run.output().success()
}

fn agrees(flags: &[&str], wrapper: &[&str], letters: &'static str) {
    if !common::needs_root() {
        return;
    }
    let built = Scratch::new("places-probe");
    let Some(probe) = compile(&built, "ownership/places.c", flags) else { return };
    let wrapper: Vec<&str> =
        wrapper.iter().map(|&word| if word == "probe" { &probe } else { word }).collect();
    let native = said(How::Native, &probe, "", &[], letters);
    assert!(native.lines().count() > 100 && native.ends_with("is left: 1\n"), "{native}");
    for store in ["memory", "xattr", "auto"] {
        let ours = said(How::Remainroot, &probe, store, &wrapper, letters);
        let differ = native.lines().zip(ours.lines()).filter(|(native, ours)| native != ours);
        let differ: Vec<_> = differ.collect();
        assert!(differ.is_empty() && native == ours, "{store}: {differ:#?}");
    }
}

#[test]
fn a_file_has_its_owner_by_every_way_to_name_it_in_a_root_without_proc() {
    agrees(&[], &[], "-Ur");
    agrees(&["-m32"], &[], "-Ur");
}

#[test]
fn so_it_has_on_a_kernel_without_calls_for_attributes_below_an_open_directory() {
    agrees(&[], &["probe", "without"], "-Ur");
}

#[test]
fn so_it_has_where_the_tracer_cannot_look_for_it() {
    // The tracer's /proc numbers tasks as another pid namespace does.
    agrees(&[], &[], "-Urpf");
    agrees(&[], &["probe", "without"], "-Urpf");
}
