//! The state file where it cannot be written: a full filesystem, one that is read-only, a file that is damaged. The run
//! starts, what stands in the file is seen, and only calls that would write it fail or end with the run.

mod common;

use common::{How, Lack, Run, Scratch, skip};

/// What a script says in a namespace of one id that may mount; `$R` is remainroot, `t` a small filesystem in memory
/// with `t/home` for state, and `w` the working directory.
fn says(script: &str) -> Option<String> {
    let place = Scratch::new("room");
    let script = format!(
        "mkdir -p t w; mount -t tmpfs -o size=512k none t || {{ echo cannot; exit; }}; mkdir t/home; \
         export HOME=$PWD/t/home; S=$HOME/.local/state/remainroot; cd w; ln -s f l; touch f; mkfifo p; exec 2>&1; {script}"
    );
    let run = Run::shell(How::Namespace, &script).namespaces("-Urm").directory(place.path()).seconds(60);
    let said = run.variable("R", common::remainroot()).output().success();
    if said == "cannot\n" {
        skip(Lack::Kernel, "no filesystem in memory can be mounted");
        return None;
    }
    Some(said.replace(['\u{2018}', '\u{2019}'], "'"))
}

#[test]
fn on_a_full_filesystem_a_run_starts_and_sees_owners_and_only_what_needs_room_fails() {
    let script = "$R chown -h 5:6 l; while [ -e $S/facts-wal ]; do sleep 0.02; done; cat /dev/zero > ../t/fill; \
        $R stat -c %u:%g l; $R chown -h 7 l; $R chown 8 p; $R chown 9 f; $R stat -c '%n %u' f l p; \
        $R sh -c 'rm ../t/fill; chown -h 7 l; chown 8 p'; $R stat -c '%n %u' f l p";
    let Some(said) = says(script) else { return };
    let full = "No space left on device";
    let (sentences, said): (Vec<&str>, Vec<&str>) =
        said.lines().partition(|line| line.starts_with("remainroot: "));
    for sentence in &sentences {
        assert!(
            sentence.contains("/facts has no room") && sentence.contains("XDG_STATE_HOME=DIR"),
            "{sentence}"
        );
    }
    assert_eq!(sentences.len(), 2, "once in each run that needs room: {sentences:?}");
    let expected = format!(
        "cat: write error: {full}\n5:6\nchown: changing ownership of 'l': {full}\n\
         chown: changing ownership of 'p': {full}\nf 9\nl 5\np 0\nf 9\nl 7\np 8\n"
    );
    assert_eq!(said.join("\n") + "\n", expected);
}

#[test]
fn on_a_full_filesystem_a_run_reads_what_a_killed_one_has_left() {
    // What a tracer leaves that is killed: a journal that is not yet in the file.
    let script = "mkdir copy; $R sh -c 'chown -h 5:6 l; chown 5:6 p; cp $1/facts $1/facts-wal copy' x $S; \
        while [ -e $S/facts-wal ]; do sleep 0.02; done; rm -f $S/*; cp copy/* $S/; [ -s $S/facts-wal ] || echo no journal; cat /dev/zero > ../t/fill 2>&-; \
        $R stat -c '%n %u:%g' l p; rm ../t/fill; $R stat -c '%n %u:%g' l p";
    let Some(said) = says(script) else { return };
    assert_eq!(said, "l 5:6\np 5:6\nl 5:6\np 5:6\n");
}

#[test]
fn where_the_state_is_read_only_owners_are_seen_and_new_ones_end_with_the_run() {
    let script = "$R chown -h 5:6 l; until mount -o remount,bind,ro ../t 2>/dev/null; do sleep 0.02; done; \
        $R sh -c 'stat -c %u:%g l; chown -h 7 l; chown 8 p; stat -c %u:%g l p; rm p'; $R stat -c %u:%g l; \
        $R -v true 2>&1 | grep -c 'end with this run'";
    let Some(said) = says(script) else { return };
    assert_eq!(said, "5:6\n7:6\n8:0\n5:6\n1\n");
}

#[test]
fn a_state_file_that_is_damaged_is_said_and_left_as_it_is() {
    let script = "$R chown -h 5:6 l; while [ -e $S/facts-wal ]; do sleep 0.02; done; head -c 20000 /dev/urandom > $S/facts; cp $S/facts copy; \
        $R sh -c 'stat -c %u:%g l; chown -h 7 l; stat -c %u:%g l'; cmp copy $S/facts; $R rm l; ls $S";
    let Some(said) = says(script) else { return };
    let lines: Vec<&str> = said.lines().collect();
    let (told, said): (Vec<&str>, Vec<&str>) =
        lines.iter().partition(|line| line.starts_with("remainroot: "));
    assert!(
        told.iter().all(|line| line.contains("/facts") && line.contains("ends with this run")),
        "{lines:?}"
    );
    assert!((1..=2).contains(&told.len()), "{lines:?}");
    assert_eq!(said, ["0:0", "7:0", "facts", "facts.owners"]);
}

#[test]
fn a_limit_on_the_length_of_files_keeps_no_run_from_starting() {
    let script = "$R chown -h 5:6 l; ulimit -f 0; $R stat -c %u:%g l; $R rm p; ls";
    let Some(said) = says(script) else { return };
    assert_eq!(said, "5:6\nf\nl\n");
}
