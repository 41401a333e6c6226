//! `remainroot --check` says of every place what a run there finds, by really trying it, and changes nothing. Where much is
//! missing a run says so itself, once.
#![allow(clippy::expect_used, clippy::indexing_slicing, clippy::panic)] // a helper of a test is a test

mod common;

use common::{How, Lack, NOBODY, Output, Place, Run, Scratch, compile, remainroot, skip};
use serde_json::Value;

/// Makes a root directory that is not the mount namespace's.
const CHROOT: &str =
    "here=$PWD && mount --rbind / /mnt && exec chroot /mnt sh -c 'cd \"$0\" && exec \"$@\"' \"$here\" \"$@\"";
/// What leaves root of a namespace no capability.
const NO_CAPABILITY: &str = "unshare -Ur setpriv --inh-caps=-all --ambient-caps=-all --bounding-set=-all --";
/// bubblewrap as people use it.
const BWRAP: &str = "bwrap --unshare-user --uid 0 --gid 0 --bind / / --dev /dev --proc /proc --tmpfs /run --";
/// A namespace whose user may make no other.
const NO_NAMESPACES: [&str; 9] = [
    "unshare",
    "-U",
    "--map-user=1000",
    "--map-group=1000",
    "--keep-caps",
    "sh",
    "-c",
    "echo 0 >/proc/sys/user/max_user_namespaces && exec \"$@\"",
    "sh",
];

fn words(line: &str) -> Vec<String> {
    line.split_whitespace().map(str::to_owned).collect()
}

/// The words by which real root becomes the unprivileged user.
fn user() -> Vec<String> {
    words(&format!("setpriv --reuid {NOBODY} --regid {NOBODY} --clear-groups"))
}

/// What remainroot says in a place that the words `before` make, with a home of its own for its working directory.
fn says(before: &[String], arguments: &[&str]) -> Output {
    let home = Scratch::new("check");
    let program = remainroot().display().to_string();
    let all = before.iter().cloned().chain([program]).chain(arguments.iter().map(|&it| it.to_owned()));
    let run = Run::new(How::Native, all).place(Place::Whole).directory(home.path()).seconds(120);
    run.variable("HOME", home.path()).variable("TERM", "xterm").variable("REMAINROOT_QUIET", "").output()
}

/// What a program is told of a place, and the exit status.
fn report(before: &[String], options: &[&str]) -> (i32, Value) {
    let said = says(before, &[&["--check=json"], options].concat());
    assert_eq!(said.stderr, "", "{said:?}");
    let report: Value = serde_json::from_str(&said.stdout).expect("it is JSON");
    let verdict = ["usable", "degraded", "unusable"].iter().position(|word| report["verdict"] == *word);
    assert_eq!(verdict, usize::try_from(said.code()).ok(), "{report:#}");
    (said.code(), report)
}

fn need<'a>(report: &'a Value, name: &str) -> &'a Value {
    let needs = report["needs"].as_array().expect("a list");
    needs.iter().find(|need| need["name"] == name).unwrap_or_else(|| panic!("{name}: {report:#}"))
}

/// In a place: the need `name` is in this state, what is said of it contains these words, and a run finds the same.
fn is(before: &[String], name: &str, state: &str, said: &[&str]) {
    let (code, report) = report(before, &[]);
    let found = need(&report, name);
    assert_eq!(found["state"], state, "{report:#}");
    let text = found.to_string();
    assert!(said.iter().all(|word| text.contains(word)), "{said:?}: {found:#}");
    let has_cure = found["cures"].as_array().is_some_and(|cures| !cures.is_empty());
    assert!(
        state == "ok" || has_cure && found["cause"].is_string() && found["effect"].is_string(),
        "{found:#}"
    );
    let run = says(before, &["--store=memory", "--", "sh", "-c", "id -u"]);
    let lines: Vec<&str> = run.stderr.lines().collect();
    let is_helpless =
        ["user namespace", "capabilities"].iter().any(|name| need(&report, name)["state"] == "degraded");
    match (code, lines.as_slice()) {
        (2, [sentence]) => assert!(run.code() == 125 && sentence.starts_with("remainroot: "), "{run:?}"),
        (1, [sentence]) if is_helpless => {
            assert!(run.stdout == "0\n" && sentence.contains("remainroot --check"), "{run:?}");
        }
        (0 | 1, []) if !is_helpless => assert_eq!(run.stdout, "0\n", "{run:?}"),
        _ => panic!("{report:#} {run:?}"),
    }
}

/// A filter, compiled from a file of the tests, and its words, as the user.
fn filtered(source: &str, arguments: &str) -> Option<(Scratch, Vec<String>)> {
    let built = Scratch::new("filter");
    let program = compile(&built, source, &[])?;
    Some((built, [user(), vec![program], words(arguments)].concat()))
}

fn beneath(source: &str, arguments: &str, name: &str, state: &str, said: &[&str]) {
    if !common::needs_root() {
        return;
    }
    let Some((_built, before)) = filtered(source, arguments) else { return };
    is(&before, name, state, said);
}

#[test]
fn a_whole_place_is_usable_and_a_run_in_it_says_nothing() {
    if !common::needs_root() {
        return;
    }
    for before in [user(), [user(), words("unshare -Ur")].concat()] {
        let (code, report) = report(&before, &["--store=memory"]);
        assert_eq!(code, 0, "{report:#}");
        assert_eq!(report["version"], 1);
        for need in report["needs"].as_array().expect("a list") {
            let keys: Vec<&String> = need.as_object().expect("an object").keys().collect();
            assert_eq!(keys, ["cause", "cures", "detail", "effect", "name", "state"], "{need:#}");
        }
        assert!(need(&report, "a run")["detail"].as_str().is_some_and(|text| text.starts_with("tried: ")));
        is(&before, "user namespace", "ok", &["one id"]);
    }
}

#[test]
fn what_a_profile_refuses_is_named_with_the_cures_of_every_tool() {
    let tools = ["docker", "podman", "buildah", "Kubernetes: securityContext", "systemd", "runc", "bwrap"];
    let refuse = "lacking/refuse.c";
    beneath(
        refuse,
        "1 ptrace 0",
        "ptrace",
        "no",
        &[&["a seccomp profile refuses ptrace(2)"], &tools[..]].concat(),
    );
    for errno in [1, 38] {
        let said = [&["a seccomp profile refuses statx(2)"], &tools[..]].concat();
        beneath(refuse, &format!("{errno} statx 0"), "statx", "no", &said);
    }
    beneath(refuse, "1 seccomp 0", "seccomp filters", "no", &["a seccomp profile refuses seccomp(2)"]);
    beneath(refuse, "5 ptrace 0x420e", "PTRACE_GET_SYSCALL_INFO", "no", &["lacks it", "Linux 5.3"]);
    for call in ["pidfd_getfd", "pidfd_open"] {
        beneath(refuse, &format!("1 {call} 0"), "pidfd_getfd", "degraded", &["a seccomp profile refuses"]);
    }
}

#[test]
fn where_a_filter_above_has_a_listener_processes_are_traced() {
    beneath("check/sieve.c", "mute getcpu", "seccomp listener", "degraded", &["has a listener already"]);
}

#[test]
fn why_there_is_no_user_namespace_is_found_out() {
    if !common::needs_root() {
        return;
    }
    let chroot = [&["unshare", "-m", "sh", "-c", CHROOT, "sh"].map(str::to_owned)[..], &user()].concat();
    is(&chroot, "user namespace", "degraded", &["chroot", "unshare -r chroot TREE"]);
    let none = [user(), NO_NAMESPACES.map(str::to_owned).to_vec()].concat();
    is(&none, "user namespace", "degraded", &["user.max_user_namespaces is 0", "sysctl -w"]);
    let filter: Vec<String> = Place::NoNamespace
        .outside(How::Alone)
        .into_iter()
        .map(|word| word.into_string().expect("text"))
        .collect();
    is(
        &filter,
        "user namespace",
        "degraded",
        &["a seccomp profile refuses unshare(2)", "RestrictNamespaces=no"],
    );
    beneath(
        "check/sieve.c",
        "kill unshare",
        "user namespace",
        "degraded",
        &["a seccomp profile refuses unshare(2)"],
    );
    let no_proc = ["unshare", "-m", "sh", "-c", "umount -l /proc && exec \"$@\"", "sh"].map(str::to_owned);
    let no_proc = [&no_proc[..], &user()].concat();
    is(&no_proc, "user namespace", "degraded", &["no /proc is mounted"]);
    is(&no_proc, "/proc", "degraded", &["bwrap --proc /proc"]);
}

#[test]
fn a_root_without_capabilities_is_told_what_it_cannot_and_how_it_could() {
    if !common::needs_root() {
        return;
    }
    let none = [user(), words(NO_CAPABILITY)].concat();
    is(
        &none,
        "capabilities",
        "degraded",
        &["chroot, mount", "--cap-add", "process.capabilities", "CapabilityBoundingSet="],
    );
    // The cure for the place that is recognized stands first.
    let pod = [words("env KUBERNETES_SERVICE_HOST=10.0.0.1"), none.clone()].concat();
    let (_, found) = report(&pod, &[]);
    assert!(need(&found, "place")["detail"].as_str().is_some_and(|place| place.contains("Kubernetes")));
    let first = &need(&found, "capabilities")["cures"][0];
    assert!(first.as_str().is_some_and(|cure| cure.contains("securityContext.capabilities.add")), "{first}");
    // Some are left out by every engine.
    let some = [user(), words("unshare -Ur setpriv --bounding-set=-sys_chroot,-sys_admin --")].concat();
    is_partly(&some);
    if common::has(&["bwrap"]) {
        let bwrap = [user(), words(BWRAP)].concat();
        is(
            &bwrap,
            "capabilities",
            "degraded",
            &["\"cures\":[\"bwrap --unshare-user --uid 0 --gid 0 --cap-add ALL\""],
        );
        is(&bwrap, "place", "ok", &["bwrap", "no_new_privs"]);
    }
}

/// Without chroot: what is missing is missing for real root as well, so that a run has nothing to say.
fn is_partly(before: &[String]) {
    let (code, report) = report(before, &["--store=memory"]);
    assert_eq!((code, &need(&report, "capabilities")["state"]), (1, &Value::from("degraded")), "{report:#}");
    assert!(
        need(&report, "capabilities")["effect"].to_string().contains("CAP_SYS_CHROOT (chroot)"),
        "{report:#}"
    );
    assert_eq!(says(before, &["--store=memory", "true"]).stderr, "");
}

#[test]
fn who_traces_already_is_named() {
    if !common::needs_root() || !common::has(&["strace"]) {
        return;
    }
    for strace in ["strace -o /dev/null", "strace -f -o /dev/null"] {
        is(
            &[user(), words(strace)].concat(),
            "no other tracer",
            "no",
            &["strace (process ", "only one tracer"],
        );
    }
    let inner = [user(), vec![remainroot().display().to_string(), "--".to_owned()]].concat();
    is_inner(&inner);
}

fn is_inner(before: &[String]) {
    let (code, report) = report(before, &[]);
    assert_eq!(code, 0, "{report:#}");
    assert!(need(&report, "a run")["detail"].to_string().contains("inside another remainroot"), "{report:#}");
}

#[test]
fn real_root_is_told_that_a_run_would_be_refused() {
    if !common::needs_root() {
        return;
    }
    is(&[], "user namespace", "no", &["real root", "--allow-real-root"]);
    let (code, report) = report(&[], &["--allow-real-root"]);
    assert_eq!((code, &need(&report, "user namespace")["state"]), (0, &Value::from("ok")), "{report:#}");
}

#[test]
fn a_trial_that_is_killed_or_hangs_is_told_like_any_other() {
    if !common::needs_root() {
        return;
    }
    for (how, said) in [("kill statx", "kills who tries"), ("mute statx", "did not end")] {
        let Some((_built, before)) = filtered("check/sieve.c", how) else { return };
        let (code, report) = report(&before, &[]);
        assert_eq!(code, 2, "{report:#}");
        let statx = need(&report, "statx");
        assert!(statx["state"] == "no" && statx["detail"].to_string().contains(said), "{report:#}");
        assert_eq!(need(&report, "ptrace")["name"], "ptrace", "the others are tried: {report:#}");
    }
}

#[test]
fn the_state_file_is_where_it_would_be_and_has_the_room_that_there_is() {
    if !common::needs_root() {
        return;
    }
    is(&user(), "state file", "ok", &["/.local/state/remainroot/facts", "free"]);
    let homeless = [user(), words("env HOME=/nonexistent")].concat();
    is(&homeless, "state file", "degraded", &["/nonexistent/", "XDG_STATE_HOME=DIR", "end with the run"]);
    let full = "mount -t tmpfs -o size=64k none . && cd \"$PWD\" && { cat /dev/zero >fill 2>/dev/null; exec \"$@\"; }";
    let full = [user(), words("unshare -Urm sh -c"), vec![full.to_owned(), "sh".to_owned()]].concat();
    is(&full, "state file", "degraded", &["the filesystem is full", "ENOSPC", "make room"]);
    let is_bad = |store: &str, said: &[&str]| {
        let (code, found) = report(&user(), &[store]);
        let text = need(&found, "state file").to_string();
        assert!(code == 2 && said.iter().all(|word| text.contains(word)), "{said:?} {found:#}");
        let run = says(&user(), &[store, "true"]);
        let sentence = |word: &&&str| run.stderr.contains(**word);
        assert!(run.code() == 125 && run.stderr.lines().count() == 1, "{run:?}");
        assert_eq!(said.iter().filter(sentence).count(), said.len(), "{said:?}: {run:?}");
    };
    is_bad("--store=/etc", &["Is a directory", "name a file in it"]);
    is_bad("--store=/etc/no-such/file", &["Permission denied", "a directory that you may write to"]);
    is_bad("--store=/etc/passwd/file", &["Not a directory", "--store=xattr"]);
}

#[test]
fn a_check_changes_nothing_and_leaves_nobody() {
    let root = Scratch::new("untouched");
    if !common::needs_root() {
        return;
    }
    std::fs::create_dir(root.path().join("home")).expect("it is new");
    let script = format!(
        "seen() {{ stat -c '%n %a %y %z' / /own /own/*; ls -A /own; getfattr -dm- --absolute-names / /own; }}; \
         mkdir -p /own/work && cd /own/work && export HOME=/own && a=$(seen) && \
         {0} --check >/dev/null; {0} --check=json >/dev/null; echo $?; [ \"$a\" = \"$(seen)\" ] && echo same",
        remainroot().display()
    );
    let running = Run::shell(How::Namespace, &script).place(Place::Whole).own_root(root.path()).start();
    let mark = running.mark().to_owned();
    let said = running.finish();
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("0\nsame\n", ""));
    let living = || common::living(&mark);
    common::wait_until(|| living().is_empty(), || format!("{:?} live", living()));
}

#[test]
fn a_person_reads_one_line_for_each_need_in_colours_on_a_terminal() {
    if !common::needs_root() || !common::has(&["script"]) {
        return;
    }
    let place = [user(), words(NO_CAPABILITY)].concat();
    let (code, report) = report(&place, &[]);
    let said = says(&place, &["--check"]);
    assert_eq!((said.code(), said.stderr.as_str()), (code, ""));
    let mut lines: Vec<&str> = said.stdout.lines().collect();
    let verdict = lines.pop().unwrap_or_default();
    assert_eq!(verdict, "degraded: a run works, with less; see capabilities");
    let needs = report["needs"].as_array().expect("a list");
    let width = needs.iter().map(|need| need["name"].as_str().map_or(0, str::len)).max().unwrap_or(0);
    assert_eq!(lines.len(), needs.len(), "{lines:#?}");
    for (line, need) in lines.iter().zip(needs) {
        let text = |key| need[key].as_str().expect("text");
        let begin = format!("{:8}  {:width$}  {}", text("state"), text("name"), text("detail"));
        let cause = need["cause"].as_str().map(|cause| format!(": {cause}")).unwrap_or_default();
        // Rooms and process ids change.
        assert!(line.starts_with(&begin[..12 + width]) && line.contains(&cause), "{line}\n{begin}");
    }
    let on_terminal = |variables: &str| {
        let line =
            [words(variables), place.clone(), vec![remainroot().display().to_string(), "--check".to_owned()]]
                .concat();
        let words = ["script", "-qec", &line.join(" "), "/dev/null"];
        let run = Run::new(How::Native, words).place(Place::Whole).variable("TERM", "xterm");
        run.variable("XDG_STATE_HOME", "/tmp").output().stdout
    };
    assert!(
        on_terminal("env").contains("\u{1b}[33mdegraded\u{1b}[0m  capabilities"),
        "{:?}",
        on_terminal("env")
    );
    assert!(!said.stdout.contains('\u{1b}'));
    for plain in ["env NO_COLOR=1", "env TERM=dumb"] {
        assert!(!on_terminal(plain).contains('\u{1b}'), "{plain}");
    }
}

#[test]
fn what_a_place_lacks_is_said_once_and_can_be_silenced() {
    if !common::needs_root() {
        return;
    }
    let place = [user(), words(NO_CAPABILITY)].concat();
    let run = |before: &str, options: &[&str]| {
        let all = [words(before), place.clone()].concat();
        says(&all, &[options, &["--store=memory", "--", "sh", "-c", "echo out"]].concat())
    };
    let loud = run("env", &[]);
    assert_eq!((loud.code(), loud.stdout.as_str(), loud.stderr.lines().count()), (0, "out\n", 1), "{loud:?}");
    for word in ["root has no privilege", "chroot, mount", "remainroot --check", "REMAINROOT_QUIET"] {
        assert!(loud.stderr.contains(word), "{word}: {loud:?}");
    }
    for (before, options) in [("env", &["-q"][..]), ("env", &["--quiet"]), ("env REMAINROOT_QUIET=1", &[])] {
        let quiet = run(before, options);
        assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("out\n", ""), "{before} {options:?}");
    }
    // Whoever calls it as fakeroot expects no more.
    let scratch = Scratch::new("name");
    let name = scratch.file("fakeroot");
    std::os::unix::fs::symlink(remainroot(), &name).expect("the name is free");
    let words = [place, vec![name, "id".to_owned(), "-u".to_owned()]].concat();
    let said = Run::new(How::Native, words).place(Place::Whole).variable("REMAINROOT_QUIET", "").output();
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("0\n", ""));
}

#[test]
fn a_wrong_format_and_a_command_are_refused() {
    for (format, command) in [("--check=xml", &[][..]), ("--check", &["json"]), ("--check=json", &["true"])] {
        let said = Run::new(How::Remainroot, command).option(format).output();
        assert_eq!(
            (said.code(), said.stdout.as_str(), said.stderr.lines().count()),
            (125, "", 1),
            "{said:?}"
        );
    }
}

#[test]
fn yama_forbids_only_where_it_is_asked_to() {
    const SCOPE: &str = "/proc/sys/kernel/yama/ptrace_scope";
    if !common::needs_root() {
        return;
    }
    let Ok(before) = std::fs::read_to_string(SCOPE) else {
        return skip(Lack::Kernel, "this kernel has no Yama");
    };
    if before.trim() == "3" {
        return is(&user(), "ptrace", "no", &["kernel.yama.ptrace_scope=3", "reboot"]);
    }
    is(&user(), "ptrace", "ok", &[&format!("ptrace_scope={}", before.trim())]);
}
