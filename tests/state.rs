//! The default: owners outlast the run, and what no file can bear is kept where the person keeps state, if there is such
//! a place.
#![allow(clippy::unwrap_used)] // a helper of a test is a test

mod common;

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use common::{How, Lack, NOBODY, Run, Scratch, skip};

/// What a script says in a one-id namespace with these variables; `$R` is remainroot, and nothing else is said to it.
fn says(place: &Scratch, variables: &[(&str, &str)], script: &str) -> String {
    let mut run = Run::shell(How::Namespace, script).directory(place.path());
    run = run.variable("R", common::remainroot());
    for (name, value) in variables {
        run = run.variable(name, value);
    }
    let output = run.output();
    assert_eq!(output.stderr, "", "{script}");
    output.success()
}

/// Gives a file and a symbolic link away, and looks in another run.
const GIVE: &str = "touch f; ln -s f l; $R chown -h 7:8 f l";
const LOOK: &str = "$R stat -c '%n %u:%g' f l";

/// Every file below a directory.
fn files(directory: &Path) -> Vec<String> {
    let mut found = Vec::new();
    for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
        let name = entry.file_name().into_string().unwrap();
        match entry.file_type().unwrap().is_dir() {
            true => found.extend(files(&entry.path()).into_iter().map(|inner| format!("{name}/{inner}"))),
            false => found.push(name),
        }
    }
    found.sort();
    found
}

#[test]
fn a_run_leaves_a_file_of_its_own_only_for_what_no_file_can_bear() {
    let (place, home) = (Scratch::new("state"), Scratch::new("state-home"));
    let variables = [("HOME", home.path().to_str().unwrap())];
    says(&place, &variables, "touch f; $R stat f; $R sh -c 'ln -s f l; stat f l; cat f; mkdir d'");
    assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    says(&place, &variables, "$R chown 7:8 f; $R stat f l");
    assert_eq!(
        files(home.path()),
        [".local/state/remainroot/facts.owners"],
        "the root directory is another's"
    );
    says(&place, &variables, "$R chown -h 7:8 l");
    assert!(files(home.path()).iter().all(|file| file.starts_with(".local/state/remainroot/facts")));
    assert_eq!(says(&place, &variables, LOOK), "f 7:8\nl 7:8\n");
    assert_eq!(files(place.path()), ["f", "l"]);
}

#[test]
fn the_state_directory_is_the_one_that_is_said() {
    let (place, state) = (Scratch::new("state"), Scratch::new("state-said"));
    let said = [("XDG_STATE_HOME", state.path().to_str().unwrap()), ("HOME", "/nonexistent")];
    says(&place, &said, GIVE);
    assert!(files(state.path()).iter().any(|file| file == "remainroot/facts"));
    assert_eq!(says(&place, &said, LOOK), "f 7:8\nl 7:8\n");
}

#[test]
fn where_no_state_can_be_kept_what_no_file_can_bear_ends_with_the_run() {
    let locked = Scratch::new("state-locked");
    let mut homes = vec!["", "relative", "/nonexistent/home", "/proc/1", "/proc", "/dev/null"];
    // What is his own a user can always write, as root in his namespace.
    if nix::unistd::geteuid().is_root() {
        chown(locked.path(), Some(0), Some(0)).unwrap();
        homes.push(locked.path().to_str().unwrap());
    }
    for home in homes {
        let place = Scratch::new("state");
        let variables = [("HOME", home)];
        let script = "touch f; ln -s f l; $R sh -c 'chown -h 7:8 f l; stat -c %u f l'";
        assert_eq!(says(&place, &variables, script), "7\n7\n", "{home}");
        assert_eq!(says(&place, &variables, LOOK), "f 7:8\nl 0:0\n", "{home}");
        let unset = format!("unset HOME; {LOOK}");
        assert_eq!(says(&place, &[], &unset), "f 7:8\nl 0:0\n");
        assert_eq!(files(place.path()), ["f", "l"]);
    }
}

#[test]
fn the_state_of_another_user_is_left_alone() {
    if !common::needs_root() {
        return;
    }
    let (place, home) = (Scratch::new("state"), Scratch::new("state-other"));
    let variables = [("HOME", home.path().to_str().unwrap())];
    says(&place, &variables, GIVE);
    let state = home.path().join(".local/state/remainroot");
    for file in fs::read_dir(&state).unwrap() {
        chown(file.unwrap().path(), Some(NOBODY - 1), Some(NOBODY - 1)).unwrap();
    }
    assert_eq!(says(&place, &variables, LOOK), "f 7:8\nl 0:0\n");
}

#[test]
fn in_a_container_without_a_home_the_state_is_where_a_systems_is() {
    let (place, root) = (Scratch::new("state"), Scratch::new("state-root"));
    let script = format!("umount -l /var; mkdir -p /var/lib; {GIVE}; {LOOK}; ls -A / /var/lib");
    let run = Run::shell(How::Namespace, &script).own_root(root.path()).directory(place.path());
    let said = run.variable("HOME", "/").variable("R", common::remainroot()).output().success();
    assert!(said.starts_with("f 7:8\nl 7:8\n") && said.ends_with("/var/lib:\nremainroot\n"), "{said}");
    assert!(!said.contains(".local"), "{said}");
}

/// Whether what a run starts is traced from its birth, by the summary.
const TRACED: &str =
    "$R --summary=s sh -c 'for i in 1 2 3; do /bin/true; done'; awk '/birth stops/ { print ($1 > 0) }' s";

#[test]
fn on_a_hosts_root_a_run_begins_on_demand_until_something_was_given_away() {
    if !common::kernel_is_at_least(6, 11) {
        skip(Lack::Kernel, "this kernel does not say when nobody has a listener's filter any more");
        return;
    }
    let (place, home) = (Scratch::new("state"), Scratch::new("state-home"));
    let variables = [("HOME", home.path().to_str().unwrap())];
    let traced = |home: &str| says(&place, &[("HOME", home)], TRACED);
    let home_path = home.path().to_str().unwrap();
    assert_eq!(traced(home_path), "0\n");
    says(&place, &variables, "touch f; $R sh -c 'chown 7:8 f; mknod n c 1 3'");
    assert_eq!(traced(home_path), "1\n");
    assert_eq!(
        says(&place, &variables, "$R stat -c %u:%g f; $R stat -c %F n"),
        "7:8\ncharacter special file\n"
    );
    assert_eq!(traced("/nonexistent"), "1\n", "where nothing can be noted");
    let other = Scratch::new("state-home");
    assert_eq!(traced(other.path().to_str().unwrap()), "0\n", "with other state");
    assert_eq!(fs::read_dir(other.path()).unwrap().count(), 0);
}

#[test]
fn on_a_hosts_root_a_run_at_large_sees_what_another_gives_away_first() {
    let (place, home) = (Scratch::new("state"), Scratch::new("state-home"));
    let variables = [("HOME", home.path().to_str().unwrap())];
    let script = "mkfifo go told; touch f; \
        $R sh -c 'stat -c %u f; echo >told; read line <go; until [ $(stat -c %u f) = 7 ]; do sleep 0.01; done; sh -c \"stat -c %u f\"' & \
        read line <told; $R chown 7 f; echo >go; wait";
    assert_eq!(says(&place, &variables, script), "0\n7\n");
}

/// Looks that copy an owner or show it, as the first thing that a run does.
const LOOKS_AT_OTHERS: &str = "
    stat -c %u:%g /etc/passwd
    ls -lnd /etc /etc/passwd | tr -s ' ' | cut -d' ' -f3,4
    find /etc/passwd /etc/group /etc -maxdepth 0 -printf '%U:%G\\n'
    cp -a /etc/passwd copied && ls -n copied | tr -s ' ' | cut -d' ' -f3,4
    sh -c 'cp -a /etc/passwd again' && stat -c %u:%g again
    tar cf - -C / etc/passwd etc/group | tar tvf - --numeric-owner | cut -d' ' -f2
    python3 -c 'import os
look = [os.lstat(\"/etc\"), os.fstat(os.open(\"/etc\", 0)), os.stat(\"/etc/passwd\")]
print([it.st_uid for it in look * 20] == [0] * 60)
if os.fork() == 0:
    print(os.fstat(os.open(\"/etc\", 0)).st_uid)
    os._exit(0)
os.wait()'";

#[test]
fn on_a_hosts_root_a_run_at_large_sees_others_files_as_roots() {
    if !common::needs_root() || !common::has(&["python3"]) {
        return;
    }
    let (place, home) = (Scratch::new("state"), Scratch::new("state-home"));
    let variables = [("HOME", home.path().to_str().unwrap())];
    let elsewhere = Scratch::new("state");
    let native = Run::shell(How::Native, LOOKS_AT_OTHERS).directory(elsewhere.path()).output().success();
    for options in ["", "--attach=start", "--store=memory"] {
        let script = format!("$R {options} -- sh -c \"$LOOKS\"; rm copied again");
        let variables = [variables[0], ("LOOKS", LOOKS_AT_OTHERS)];
        assert_eq!(says(&place, &variables, &script), native, "{options}");
    }
    // As the first thing of a run.
    for (first, sees) in [
        ("stat -c %u:%g /etc/passwd", "0:0\n"),
        ("cp -a /etc/passwd copied", ""),
        ("find /etc/passwd -printf '%U\\n'", "0\n"),
    ] {
        assert_eq!(says(&place, &variables, &format!("$R {first}")), sees, "{first}");
    }
    assert_eq!(says(&place, &variables, "$R stat -c %u:%g copied; rm copied"), "0:0\n");
    // Nothing was given away, and nobody is traced from birth for it.
    assert_eq!(files(home.path()), Vec::<String>::new());
    if common::kernel_is_at_least(6, 11) {
        assert_eq!(says(&place, &variables, TRACED), "0\n");
    }
}
