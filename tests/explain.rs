//! What a run is said to have come to: in words, as a log, as a timeline; and that saying so costs the command nothing.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a helper of a test is a test

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use common::{How, Output, Run, Scratch, kernel_is_at_least};
use serde_json::Value;

/// Does one of everything.
const SESSION: &str = include_str!("explain/session.sh");
/// What it says itself.
const SAID: &str = "kept out\nrefused\nrefused\nno mount\nno name\nnamed\n";

/// In which ways a run may go.
const WAYS: [&str; 4] = ["on demand", "from the start", "facts", "alone"];

/// Whether looks may be answered from the start, as where every process is traced on a root directory of others'.
fn is_up(way: &str) -> bool {
    way == "from the start" || way != "facts" && !kernel_is_at_least(6, 11)
}

/// A run of a script in a new directory, in one of these ways. There owners are known that an earlier run has left.
fn run(way: &str, place: &Scratch, script: &str) -> Run {
    let how = match way {
        "from the start" => How::Attached,
        "alone" => How::Alone,
        _ => How::Remainroot,
    };
    if way == "facts" {
        let earlier = Run::shell(how, "touch early && chown 3:4 early").own_root(place.path());
        earlier.option("--store=xattr").directory(Path::new("/")).output().success();
    }
    let run = Run::shell(how, script).seconds(60);
    match way {
        "facts" => run.own_root(place.path()).option("--store=xattr").directory(Path::new("/")),
        _ => run.directory(&place.path().join("session")),
    }
}

/// Where such a run works; the files that are written stand beside that.
fn place(name: &str) -> Scratch {
    let place = Scratch::new(name);
    let work = place.path().join("session");
    fs::create_dir(&work).expect("the place is new");
    if nix::unistd::geteuid().is_root() {
        std::os::unix::fs::chown(&work, Some(common::NOBODY), Some(common::NOBODY)).expect("root may");
    }
    place
}

/// An option that names a file of a place, as a run there finds it.
fn option(way: &str, place: &Scratch, option: &str, name: &str) -> String {
    match way {
        "facts" => format!("--{option}=/{name}"),
        _ => format!("--{option}={}", place.file(name)),
    }
}

/// A FIFO there that everybody may use.
fn fifo(place: &Scratch) -> PathBuf {
    let fifo = place.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("the name is free");
    fs::set_permissions(&fifo, std::os::unix::fs::PermissionsExt::from_mode(0o666)).expect("it is ours");
    fifo
}

/// Waits until a file of a place holds these words.
fn wait_for(place: &Scratch, name: &str, words: &str) {
    let until = std::time::Instant::now() + std::time::Duration::from_secs(20);
    let text = || fs::read(place.path().join(name)).unwrap_or_default();
    while !String::from_utf8_lossy(&text()).contains(words) {
        assert!(std::time::Instant::now() < until, "{words}: {}", String::from_utf8_lossy(&text()));
        std::thread::sleep(std::time::Duration::from_millis(5));
    }
}

fn read(place: &Scratch, name: &str) -> String {
    fs::read_to_string(place.path().join(name)).expect("it was written")
}

/// The lines of one section of an explanation, up to the next.
fn section<'a>(text: &'a str, title: &str) -> &'a str {
    let (_, rest) = text.split_once(&format!("\n{title}\n")).unwrap_or_else(|| panic!("{title}: {text}"));
    rest.split("\n\n").next().unwrap_or(rest)
}

#[test]
fn a_session_is_explained_in_words_whichever_way_it_goes() {
    if !common::needs_privilege("needs namespaces") || !common::has(&["perl", "mknod"]) {
        return;
    }
    for way in WAYS {
        let place = place("explain");
        let run = run(way, &place, SESSION).option(&option(way, &place, "explain", "told"));
        assert_eq!(run.output().success(), SAID, "{way}");
        let told = read(&place, "told");
        let holds = |title: &str, words: &[&str]| {
            let section = section(&told, title);
            words.iter().for_each(|word| {
                assert!(format!("{section}\n").contains(word), "{way}: {word} in {title}:\n{told}")
            });
        };
        assert!(told.starts_with("remainroot: sh -c '"), "{told}");
        holds(
            "Who became whom",
            &["perl (1 process: ", "root (0) → ", "42", ", group ", "by setgid, setuid"],
        );
        holds(
            "Programs that gave more than their caller had",
            &["suid (", "/suid, once): root (0) → 77, really root (0)"],
        );
        let files = [
            "many1 many2 many3 many4 … (5 files)",
            "/f\n",
            "/settled\n",
            "/a\\nb\\033[2J",
            "1 file that has gone",
        ];
        holds("Owners that files were given", &files);
        assert!(!told.contains("/new\n") && !told.contains('\u{1b}'), "{way}: {told}");
        holds("Devices that were made", &["/null  character device 1:3, mode 0666"]);
        holds("Modes that were set in the kernel's place", &["/f  4755"]);
        let refused = [
            "setuid(0) by perl as ",
            "EPERM",
            "since a process without CAP_SETUID may only",
            "setuid(2)",
            "chown(\"f\", 0, 0) by perl",
            "CAP_CHOWN",
            "CAP_FOWNER",
        ];
        holds("Refused, as to anybody on a real system", &refused);
        let lacking = [
            "mount(\"/dev/sda1\", \"d\", \"ext4\", 0x0, NULL) by perl as root (0): EPERM",
            "what would allow it: a mount",
            "sethostname(\"x\", 1) by perl as root (0): EPERM",
            "--hostname NAME",
        ];
        holds("Refused, since this container may not", &lacking);
        holds("What the kernel alone could not have done", &["chown: ", " changes", "perl: "]);
        assert!(!told.contains("Left out"), "{told}");
    }
}

/// The events of a log of JSON lines.
fn events(text: &str) -> Vec<Value> {
    assert!(text.ends_with('\n'), "the last line is whole");
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}")))
        .collect()
}

fn calls<'a>(events: &'a [Value], name: &str) -> Vec<&'a Value> {
    events.iter().filter(|event| event["call"].as_str().is_some_and(|call| call.contains(name))).collect()
}

#[test]
fn every_change_is_an_event_of_the_log_whichever_way_it_goes() {
    if !common::needs_privilege("needs namespaces") || !common::has(&["perl"]) {
        return;
    }
    // So many that a process would make some of them itself, and some by descriptor.
    let script = "perl -e 'for (1..60) { open my $f, q(>), qq(f$_); chown $_, 5, $f; chown 8, $_, qq(f$_); \
                  chmod 04711, qq(f$_); my @s = stat qq(f$_); print qq($s[4]:$s[5] ) }'";
    let expected: String = (1..=60).map(|n| format!("8:{n} ")).collect();
    for way in WAYS {
        let place = place("explain-log");
        let run = run(way, &place, script).option(&option(way, &place, "log", "log.jsonl"));
        assert_eq!(run.output().success(), expected, "{way}");
        let events = events(&read(&place, "log.jsonl"));
        let count = |name| calls(&events, name).iter().filter(|event| event["program"] == "perl").count();
        assert_eq!([count("chown"), count("chmod")], [120, 60], "{way}");
        for event in calls(&events, "chown") {
            assert_eq!(
                (event["result"].as_i64(), event["event"].as_str()),
                (Some(0), Some("call")),
                "{event}"
            );
            assert!(["ptrace", "notification"].iter().any(|way| event["by"] == *way), "{event}");
            assert!(event["path"].as_str().is_some_and(|path| path.contains("/f")), "{event}");
            assert!(event["who"]["uid"] == 0 && event["tid"].is_u64() && event["time"].is_f64(), "{event}");
        }
    }
}

#[test]
fn a_log_of_text_is_in_straces_notation() {
    if !common::needs_privilege("needs namespaces") || !common::has(&["perl"]) {
        return;
    }
    for way in WAYS {
        let place = place("explain-text");
        let run = run(way, &place, SESSION).option(&option(way, &place, "log", "log"));
        assert_eq!(run.output().success(), SAID);
        let log = read(&place, "log");
        for line in log.lines() {
            let words: Vec<&str> = line.splitn(4, ' ').collect();
            let is_time = words[1].split_once('.').is_some_and(|(_, micros)| micros.len() == 6);
            let is_event = words[3].starts_with("+++ ") && words[3].ends_with(" +++")
                || words[3].contains('(') && words[3].contains(") = ");
            assert!(words[0].parse::<u32>().is_ok() && is_time && is_event, "{line}");
        }
        for call in [
            " perl setuid(42) = 0\n",
            " perl setuid(0) = -1 EPERM (Operation not permitted)\n",
            " chown fchownat(AT_FDCWD, \"f\", 33, 42, 0x0) = 0\n",
            " mknod mknodat(AT_FDCWD, \"null\", S_IFCHR|0666, makedev(1, 3)) = 0\n",
            " perl chown(\"a\\nb\\033[2J\", 9, 9) = 0\n",
            " perl sethostname(\"x\", 1) = -1 EPERM (Operation not permitted)\n",
        ] {
            assert!(log.contains(call), "{way}: {call}{log}");
        }
        let is_said = log.contains("+++ the first file has an owner of its own");
        assert!(is_up(way) || is_said == (way != "facts"), "{way}: {log}");
    }
}

/// The events of a timeline, whose end may be missing.
fn trace(text: &str) -> Vec<Value> {
    let whole = if text.trim_end().ends_with(']') { text.to_owned() } else { format!("{text}]") };
    let value: Value = serde_json::from_str(&whole).unwrap_or_else(|error| panic!("{error}: {text}"));
    value.as_array().expect("it is an array").clone()
}

#[test]
fn a_timeline_shows_each_process_from_its_birth_to_its_end() {
    if !common::needs_privilege("needs namespaces") || !common::has(&["perl"]) {
        return;
    }
    for way in WAYS {
        let place = place("explain-timeline");
        let run = run(way, &place, SESSION).option(&option(way, &place, "timeline", "trace.json"));
        assert_eq!(run.output().success(), SAID);
        let text = read(&place, "trace.json");
        assert!(text.ends_with("\n]\n"), "{way}: it is finished");
        let trace = trace(&text);
        let of = |phase: &'static str| trace.iter().filter(move |event| event["ph"] == phase);
        let tracks = |phase: &'static str| {
            of(phase).map(|event| event["tid"].as_u64().expect("a number")).collect::<BTreeSet<u64>>()
        };
        assert_eq!(tracks("B"), tracks("E"), "{way}: what has begun has ended");
        assert_eq!(of("B").count(), of("E").count(), "{way}");
        let named = |name: &str| trace.iter().filter(|event| event["name"] == name).count();
        for name in ["mknod", "perl", "suid"] {
            assert!(of("M").any(|event| event["args"]["name"] == name), "{way}: {name}");
        }
        assert!(named("exec") >= 12 && named("born") >= 12 && named("end") >= 12, "{way}: {text}");
        assert!(named("uid 0 → 42") >= 2, "{way}");
        let waits: Vec<&Value> = of("X").collect();
        assert!(waits.iter().any(|call| call["name"] == "setuid" && call["cat"] == "refused"), "{way}");
        let took = |call: &&&Value| call["dur"].as_f64().zip(call["args"]["waited_us"].as_f64());
        assert!(waits.iter().all(|call| took(&call).is_some_and(|(took, waited)| waited <= took)), "{way}");
    }
}

#[test]
fn what_was_told_before_a_run_was_killed_can_be_read() {
    if !common::needs_privilege("needs namespaces") || !common::has(&["perl"]) {
        return;
    }
    for way in WAYS {
        let place = place("explain-killed");
        let script = "touch f; chown 3:4 f; echo done; read forever </dev/tty; while :; do sleep 1; done";
        let run = run(way, &place, script)
            .option(&option(way, &place, "log", "log.json"))
            .option(&option(way, &place, "timeline", "trace"));
        let running = run.start();
        running.until("done\n");
        wait_for(&place, "log.json", "fchownat");
        wait_for(&place, "trace", "fchownat");
        drop(running); // kills all of it, the tracer too
        let events = events(&read(&place, "log.json"));
        assert_eq!(calls(&events, "chown").len(), 1, "{way}");
        assert!(trace(&read(&place, "trace")).iter().any(|event| event["name"] == "fchownat"), "{way}");
    }
}

#[test]
fn a_command_that_is_killed_is_explained() {
    if !common::needs_privilege("needs namespaces") {
        return;
    }
    for way in WAYS {
        let place = place("explain-dead");
        let script = "touch f; chown 3:4 f; kill -9 $$";
        let run = run(way, &place, script).option(&option(way, &place, "explain", "told"));
        let output = run.output();
        assert!(output.status.code().is_none_or(|code| code == 137), "{way}: {output:?}");
        // Whoever is killed has ended before the tracer can say so: it does as soon as it has seen that.
        wait_for(&place, "told", "/f\n");
    }
}

/// Makes more events than fit into a pipe and what waits for it: long paths that are not there.
const MANY: &str =
    "perl -e '$long = join q(/), (q(x) x 200) x 19; chown 1, 1, $long for 1..600; print qq(on\\n)'; exit 3";

#[test]
fn a_fifo_that_nobody_reads_stops_nobody_and_what_it_lacks_is_said() {
    if !common::needs_privilege("needs namespaces") || !common::has(&["perl"]) {
        return;
    }
    for (way, name) in [("on demand", "log"), ("from the start", "timeline"), ("on demand", "explain")] {
        let place = place("explain-fifo");
        fifo(&place);
        let output = run(way, &place, MANY).option(&option(way, &place, name, "fifo")).output();
        assert_eq!((output.code(), output.stdout.as_str()), (3, "on\n"), "{name}");
        let complaint = "remainroot: nobody reads the ";
        assert_eq!(output.stderr.contains(complaint), name != "explain", "{name}: {}", output.stderr);
    }
}

#[test]
fn whoever_reads_a_fifo_is_told_how_much_was_left_out() {
    if !common::needs_privilege("needs namespaces") || !common::has(&["perl"]) {
        return;
    }
    let place = place("explain-late");
    let fifo = fifo(&place);
    let many = MANY.strip_suffix("; exit 3").expect("it ends so");
    let script = format!(
        "{many}; touch between; chown 1:2 between; while ! [ -e go ]; do sleep 0.05; done; touch end; chown 1:2 end; exit 3"
    );
    let running = run("from the start", &place, &script)
        .option(&option("on demand", &place, "log", "fifo"))
        .option(&option("on demand", &place, "timeline", "trace"))
        .start();
    // What is in the one file by now has been told to the other.
    wait_for(&place, "trace", "\\\"between\\\", 1, 2");
    // A reader comes late: what waits is read, what did not fit is a line, and what happens then is read again.
    let mut reader = fs::File::open(fifo).expect("it can be read");
    let mut text = vec![0; 900_000];
    reader.read_exact(&mut text).expect("more than that waits");
    let reader = std::thread::spawn(move || {
        reader.read_to_end(&mut text).expect("it can be read");
        String::from_utf8(text).expect("it is text")
    });
    fs::write(place.path().join("session/go"), "").expect("the place is ours");
    let output = running.finish();
    assert_eq!(output.code(), 3, "{output:?}");
    let text = reader.join().expect("it ends");
    assert!(text.contains("\"end\", 1, 2"), "{}", text.len());
    let left_out = text.lines().filter_map(|line| line.strip_prefix("+++ ")?.split_once(" events left out"));
    let left_out: usize = left_out.filter_map(|(count, _)| count.parse::<usize>().ok()).sum();
    let told = text.lines().filter(|line| line.contains("/xxx")).count();
    assert!(left_out > 0 && told > 0, "{told} and {left_out}");
    assert!(told + left_out >= 600, "{told} and {left_out}");
}

#[test]
fn a_full_disk_is_said_once_and_the_command_goes_on() {
    if !common::needs_privilege("needs namespaces") {
        return;
    }
    for name in ["log", "timeline", "explain"] {
        let script = "touch f g; chown 1:1 f; chown 2:2 g; echo hi; exit 3";
        let place = place("explain-full");
        let output = run("on demand", &place, script).option(&format!("--{name}=/dev/full")).output();
        assert_eq!((output.code(), output.stdout.as_str()), (3, "hi\n"), "{name}: {output:?}");
        assert_eq!(output.stderr.lines().count(), 1, "{name}: {output:?}");
        assert!(output.stderr.contains("to /dev/full failed: No space left on device"), "{output:?}");
    }
}

#[test]
fn a_file_that_cannot_be_written_is_an_error_before_anything_runs() {
    for name in ["log", "timeline", "explain"] {
        let output =
            Run::shell(How::Remainroot, "echo ran").option(&format!("--{name}=/nonexistent/f")).output();
        assert_eq!((output.code(), output.stdout.as_str()), (125, ""), "{output:?}");
        let expected = "remainroot: /nonexistent/f cannot be written, which the ";
        assert!(output.stderr.starts_with(expected) && output.stderr.lines().count() == 1, "{output:?}");
    }
    let output = Run::shell(How::Remainroot, "echo ran").option("--log-format=json").output();
    assert_eq!((output.code(), output.stdout.as_str()), (125, ""), "{output:?}");
}

#[test]
fn a_command_finds_no_descriptor_of_what_is_told() {
    let place = place("explain-descriptors");
    let script = "ls -l /proc/self/fd | sed 's/.*[0-9] //'";
    let listed = |run: Run| run.output().success().lines().filter(|line| line.contains("->")).count();
    let plain = listed(run("on demand", &place, script));
    let options = ["log", "timeline", "explain"];
    let told = options.iter().fold(run("on demand", &place, script), |run, name| {
        run.option(&option("on demand", &place, name, name))
    });
    assert_eq!(listed(told), plain);
}

#[test]
fn daemons_that_are_left_behind_go_on_in_the_log_and_keep_nobody_waiting() {
    if !common::needs_privilege("needs namespaces") || !common::has(&["setsid"]) {
        return;
    }
    let place = place("explain-daemon");
    let script = "touch f; setsid sh -c 'while ! [ -e go ]; do sleep 0.05; done; chown 7:7 f' \
                  >/dev/null 2>&1 </dev/null & echo away";
    let run = run("on demand", &place, script)
        .option("--explain=-")
        .option(&option("on demand", &place, "log", "log"))
        .leaves_daemons();
    // stderr is closed when the command ends: else this would wait for the daemon, which waits for this.
    let output = run.output();
    assert_eq!(output.stdout, "away\n");
    assert!(output.stderr.starts_with("remainroot: sh -c "), "{output:?}");
    fs::write(place.path().join("session/go"), "").expect("the place is ours");
    wait_for(&place, "log", "\"f\", 7, 7, 0x0) = 0\n");
}

#[test]
fn a_32_bit_program_is_told_of_as_any_other() {
    if !common::needs_privilege("needs namespaces") {
        return;
    }
    for flags in [&["-m32"][..], &[]] {
        let built = Scratch::new("explain-built");
        let Some(program) = common::compile(&built, "explain/session.c", flags) else { return };
        for way in ["on demand", "from the start"] {
            let place = place("explain-session");
            let run = run(way, &place, &format!("touch f; {program} f"))
                .option(&option(way, &place, "explain", "told"))
                .option(&option(way, &place, "log", "log"));
            assert_eq!(run.output().success(), "-1 Operation not permitted\n");
            let (told, log) = (read(&place, "told"), read(&place, "log"));
            let became = section(&told, "Who became whom");
            assert!(became.contains("session (1 process") && became.contains("by setgid, setuid"), "{told}");
            assert!(section(&told, "Owners that files were given").contains("33:34"), "{told}");
            assert!(section(&told, "Refused, as to anybody on a real system").contains("setuid"), "{told}");
            assert!(log.contains("chown") && log.contains("\"f\", 33, 34"), "{flags:?}: {log}");
            assert!(log.contains("(0) = -1 EPERM"), "{flags:?}: {log}");
        }
    }
}

#[test]
fn a_summary_says_which_way_each_answer_came_and_begins_with_the_dearest() {
    if !common::needs_privilege("needs namespaces") || !common::has(&["perl"]) {
        return;
    }
    for (way, answered) in [("on demand", "notification"), ("from the start", "ptrace")] {
        let place = place("explain-summary");
        let script = "touch f; chown 7:7 f; perl -e 'getgrent; $) = q(0 0); POSIX::getgroups() if 0'; id -G";
        let run = run(way, &place, script).option(&option(way, &place, "summary", "sum"));
        run.output().success();
        let text = read(&place, "sum");
        let rows: Vec<Vec<&str>> = text
            .lines()
            .take_while(|line| !line.is_empty())
            .map(|line| line.split_whitespace().collect())
            .collect();
        assert_eq!(rows[0][6..], ["answered", "by", "syscall", "program"], "{text}");
        let shares: Vec<f64> = rows[1..].iter().map(|row| row[0].parse().expect("a share")).collect();
        assert!(shares.is_sorted_by(|a, b| a >= b), "{text}");
        assert!(rows[1..].iter().all(|row| ["ptrace", "notification"].contains(&row[5])), "{text}");
        let demanded = kernel_is_at_least(6, 11) || way != "on demand";
        assert!(
            !demanded || rows.iter().any(|row| row[5] == answered && row[6] == "getgroups"),
            "{way}: {text}"
        );
    }
}

#[test]
fn the_mode_of_a_run_and_what_changes_it_are_said_where_that_is_asked_for() {
    if !common::needs_privilege("needs namespaces") {
        return;
    }
    let said = |way: &str, script: &str| -> Output {
        let place = place("explain-mode");
        run(way, &place, script).option("-v").output()
    };
    let script = "touch f; chown 1:2 f; mknod n c 1 3";
    for way in WAYS {
        let text = said(way, script).stderr;
        let first = match way {
            "from the start" => "remainroot: every process is traced from its start, as was asked for\n",
            "facts" => "remainroot: every process is traced from its start, and its looks are answered: ",
            _ if kernel_is_at_least(6, 11) => "remainroot: on demand: ",
            _ => "remainroot: every process is traced from its start: ",
        };
        assert!(text.contains(first), "{way}: {text}");
        let is_said = text.contains("the first file has an owner of its own");
        assert!(is_up(way) || is_said == (way != "facts"), "{way}: {text}");
        assert!(text.contains("remainroot: there may be devices"), "{way}: {text}");
        assert!(said(way, "true").stderr.lines().all(|line| !line.contains("from now on")), "{way}");
    }
}
