//! Where root has no privilege of the kernel's, everything works that needs none: in a user namespace that has left it no
//! capability, and where no namespace can be made. What cannot be is one sentence before the command starts.
#![allow(clippy::expect_used)] // a helper of a test is a test

mod common;

use std::path::Path;

use common::{How, NOBODY, Output, Run, Scratch, compare, compile, remainroot};

/// Makes a root directory that is not the mount namespace's: a process there may make no user namespace.
const CHROOT: &str =
    "here=$PWD && mount --rbind / /mnt && exec chroot /mnt sh -c 'cd \"$0\" && exec \"$@\"' \"$here\" \"$@\"";

/// What leaves root of a namespace no capability.
const NO_CAPABILITY: [&str; 6] =
    ["unshare", "-Ur", "setpriv", "--inh-caps=-all", "--ambient-caps=-all", "--bounding-set=-all"];

/// The words by which real root puts a command into a place, as an unprivileged user.
fn places() -> Vec<Vec<String>> {
    let id = NOBODY.to_string();
    let user = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
    let [unshare, map, setpriv, inheritable, ambient, bounding] = NO_CAPABILITY;
    let those_of_an_engine = format!("{bounding},+kill,+audit_write,+net_bind_service");
    let places: [&[&[&str]]; 4] = [
        &[&user, &NO_CAPABILITY],
        &[&user, &NO_CAPABILITY, &["--no-new-privs"]],
        &[&user, &[unshare, map, setpriv, inheritable, ambient, &those_of_an_engine]],
        &[&["unshare", "-m", "sh", "-c", CHROOT, "sh"], &user],
    ];
    places.iter().map(|words| words.concat().into_iter().map(str::to_owned).collect()).collect()
}

/// What a script of `tests/lacking` says in a new directory where `before` puts it.
fn said(before: &[String], options: &[&str], script: &str) -> Output {
    let place = Scratch::new("lacking");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/lacking").join(script);
    let script = std::fs::read_to_string(script).expect("the script is there");
    let mut words = before.to_vec();
    if !options.is_empty() {
        words.push(remainroot().display().to_string());
        words.extend(options.iter().map(|&option| option.to_owned()));
    }
    words.extend(["sh", "-c", &script].map(str::to_owned));
    let run = Run::new(How::Native, words).directory(place.path());
    run.variable("XDG_STATE_HOME", place.path()).variable("HOME", place.path()).seconds(120).output()
}

fn same_as_real_root(script: &str) {
    let native = said(&[], &[], script);
    assert!(native.status.success(), "{native:?}");
    for place in places() {
        for store in ["--store=memory", "--store=auto"] {
            let ours = said(&place, &[store, "--"], script);
            let lines = native.stdout.lines().zip(ours.stdout.lines());
            let differ: Vec<_> = lines.filter(|(native, ours)| native != ours).collect();
            assert!(
                differ.is_empty() && native == ours,
                "{place:?} {store}: {differ:#?}\n{native:#?}\n{ours:#?}"
            );
        }
    }
}

#[test]
fn what_needs_no_privilege_of_the_kernels_is_done_as_by_real_root() {
    if common::needs_root() && common::has(&["setpriv", "perl", "setfacl", "setfattr"]) {
        same_as_real_root("work");
    }
}

#[test]
fn packages_and_images_are_those_that_real_root_makes() {
    let needs = ["dpkg-deb", "cpio", "mksquashfs", "unsquashfs", "make", "rpmbuild"];
    if common::needs_root() && common::has(&needs) {
        same_as_real_root("images");
    }
}

#[test]
fn proc_says_of_a_task_what_it_is_told_itself() {
    if common::needs_root() && common::has(&["setpriv", "python3", "pgrep"]) {
        same_as_real_root("status");
    }
}

/// What a person has left of root is what root has, as in a container of an engine's.
#[test]
fn capabilities_that_were_taken_away_deliberately_are_gone() {
    if !common::needs_root() {
        return;
    }
    let kept =
        "chown,+dac_override,+fsetid,+fowner,+setgid,+setuid,+setfcap,+kill,+setpcap,+net_bind_service";
    let set = format!("--bounding-set=-all,+{kept}");
    let script = "grep CapEff /proc/self/status; touch f; chown 5:6 f; stat -c %u:%g f; \
                  capsh --has-p=cap_sys_admin 2>/dev/null; echo $?; setpriv --reuid 7 --clear-groups id -u";
    let run = |how, ours: &str| {
        let place = Scratch::new("engine");
        let line = format!("setpriv --inh-caps=-all {set} -- {ours} sh -c '{script}'");
        Run::shell(how, &line).directory(place.path()).output()
    };
    let ours = format!("{} --store=memory --", remainroot().display());
    compare(&run(How::Native, ""), &run(How::Namespace, &ours));
}

/// What a command says where a filter refuses a call, or a request of ptrace(2).
fn refused(errno: u32, call: &str, request: Option<u32>, options: &[&str], script: &str) -> Option<Output> {
    let built = Scratch::new("refuse");
    let refuse = compile(&built, "lacking/refuse.c", &[])?;
    let place = Scratch::new("refused");
    let request = request.unwrap_or(0).to_string();
    let errno = errno.to_string();
    let mut run = Run::new(How::Remainroot, ["sh", "-c", script]);
    for option in options {
        run = run.option(option);
    }
    Some(run.before([refuse.as_str(), &errno, call, &request]).directory(place.path()).output())
}

#[test]
fn what_nothing_replaces_is_one_sentence_before_the_command_starts() {
    const SEIZE: u32 = 0x4206;
    const GET_SYSCALL_INFO: u32 = 0x420E;
    if !common::needs_root() {
        return;
    }
    let cases = [
        (1, "ptrace", None, "tracing is refused"),
        (38, "ptrace", None, "tracing is refused"),
        (5, "ptrace", Some(SEIZE), "lacks a request of ptrace"),
        (5, "ptrace", Some(GET_SYSCALL_INFO), "lacks a request of ptrace"),
        (1, "seccomp", None, "the seccomp filter is refused"),
        (38, "statx", None, "statx(2) is refused"),
        (1, "statx", None, "statx(2) is refused"),
    ];
    for options in [&[][..], &["--attach=start"]] {
        for (errno, call, request, sentence) in cases {
            let Some(said) = refused(errno, call, request, options, "echo started") else { return };
            let case = (errno, call, request, options);
            assert_eq!((said.code(), said.stdout.as_str()), (125, ""), "{case:?}: {said:?}");
            assert!(said.stderr.lines().count() == 1 && said.stderr.contains(sentence), "{case:?}: {said:?}");
        }
    }
}

/// As AppArmor denies root of a namespace that it lets anybody make all that it says it may.
#[test]
fn where_capabilities_are_denied_though_they_are_there_root_is_as_one_without() {
    const PR_CAPBSET_DROP: &str = "24";
    if !common::needs_root() {
        return;
    }
    let built = Scratch::new("refuse");
    let Some(refuse) = compile(&built, "lacking/refuse.c", &[]) else { return };
    let refuse = [refuse.as_str(), "1", "prctl", PR_CAPBSET_DROP];
    let script = "echo > f; chown 5:6 f; stat -c %u:%g f; chmod 0 f; cat f; mkdir -m 0 d; ls d; id -u";
    for (how, sentence) in [(How::Remainroot, "no privilege"), (How::Alone, "no user namespace")] {
        let place = Scratch::new("denied");
        let run = Run::new(how, ["sh", "-c", script]).before(refuse).option("-v").directory(place.path());
        let said = run.output();
        assert_eq!(said.stdout, "5:6\n\n0\n", "{how:?}: {said:?}");
        assert!(said.stderr.lines().count() == 1 && said.stderr.contains(sentence), "{how:?}: {said:?}");
    }
}

#[test]
fn what_something_replaces_is_done_without() {
    if !common::needs_root() {
        return;
    }
    let script = "echo > f; chown 5:6 f; stat -c %u:%g f; exec 3<f; stat -Lc %u /dev/fd/3; mknod n c 1 3; echo gone > n; \
                  wc -c < n; setpriv --reuid 7 --clear-groups id -u";
    for options in [&[][..], &["--attach=start"]] {
        for (errno, call) in [(1, "pidfd_getfd"), (38, "pidfd_getfd"), (1, "pidfd_open"), (38, "pidfd_open")]
        {
            let Some(said) = refused(errno, call, None, options, script) else { return };
            assert_eq!(
                (said.stdout.as_str(), said.stderr.as_str()),
                ("5:6\n5\n0\n7\n", ""),
                "{call} {errno}"
            );
        }
    }
}

#[test]
fn who_has_no_id_is_told_so_before_the_command_starts() {
    if !common::needs_root() {
        return;
    }
    let ours = format!("{} --store=memory -- echo started", remainroot().display());
    let id = NOBODY.to_string();
    let says = |namespace: &[&str]| {
        let user = ["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"];
        let place = Scratch::new("unmapped");
        let words = [&user[..], namespace, &["sh", "-c", &ours]].concat();
        Run::new(How::Native, words).directory(place.path()).output()
    };
    for (namespace, map) in [(&["unshare", "-U"][..], "uid"), (&["unshare", "-U", "--map-user=0"], "gid")] {
        let said = says(namespace);
        assert_eq!((said.code(), said.stdout.as_str()), (125, ""), "{namespace:?}: {said:?}");
        let is_one = said.stderr.lines().count() == 1;
        let names = said.stderr.contains("not mapped") && said.stderr.contains(&format!("{map}_map"));
        assert!(is_one && names && said.stderr.contains("unshare -Ur"), "{namespace:?}: {said:?}");
    }
    assert_eq!(says(&["unshare", "-Ur"]).success(), "started\n");
}
