//! The file of facts, when it goes ill with it: no room, damage, strangers, many at once.
#![allow(
    clippy::expect_used,
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::print_stderr
)] // a helper of a test is a test

mod common;

use std::fs;
use std::os::unix::fs::PermissionsExt;

use common::{How, NOBODY, Output, Run, Scratch};

/// What came of a run, when its tracer has ended too: it closes the file after its command.
fn to_the_end(run: Run) -> Output {
    let run = run.start();
    let mark = run.mark().to_owned();
    let output = run.finish();
    common::wait_until(|| common::living(&mark).is_empty(), || "it does not end".to_owned());
    output
}

/// A directory with a store file beside it.
struct Place(Scratch);

impl Place {
    fn new() -> Place {
        Place(Scratch::new("storefile"))
    }

    fn file(&self) -> String {
        self.0.file("facts")
    }

    fn run(&self, store: &str, script: &str) -> Run {
        let script = format!("umask 022; mkdir -p w; cd w; {script}");
        let run = Run::shell(How::Remainroot, &script).directory(self.0.path()).seconds(60);
        // The tracer closes the file after its command has ended, and must not be killed before.
        run.variable("HOME", self.0.path()).option(&format!("--store={store}")).leaves_daemons()
    }

    /// What a script says with the store file.
    fn says(&self, script: &str) -> String {
        to_the_end(self.run(&self.file(), script)).success()
    }

    /// Writes the store file as its owner would.
    fn plant(&self, bytes: &[u8]) {
        for name in ["facts", "facts-wal", "facts-shm"] {
            let _ = fs::remove_file(self.0.file(name));
        }
        fs::write(self.file(), bytes).unwrap();
        let _ = std::os::unix::fs::chown(self.file(), Some(NOBODY), Some(NOBODY));
    }

    /// A store with facts about some links, and what the next run must say of them.
    fn filled(&self) -> (Vec<u8>, String) {
        let made = self.says(
            "for i in $(seq 300); do ln -s x l$i; done; \
             for i in $(seq 300); do chown -h $i:$((i+1)) l$i; done; stat -c '%n %u:%g' *",
        );
        (fs::read(self.file()).unwrap(), made)
    }

    /// What the next run says of them, or why it did not come to that.
    fn shows(&self) -> Result<String, String> {
        let Output { status, stdout, stderr } = self.run(&self.file(), "stat -c '%n %u:%g' *").output();
        match status.code() {
            Some(125) if stdout.is_empty() => Err(stderr),
            _ => Ok(stdout + &stderr),
        }
    }

    fn assert_refused(&self, what: &str, bytes: &[u8]) {
        let said = self.shows().expect_err(what);
        assert!(said.starts_with("remainroot: ") && said.lines().count() == 1, "{what}: {said}");
        assert!(said.contains(&self.file()), "{what}: {said}");
        assert!(fs::read(self.file()).unwrap() == bytes, "{what}: it was written to");
    }
}

#[test]
fn a_file_cut_off_anywhere_is_reported_and_left_as_it_is() {
    let place = Place::new();
    let (whole, _) = place.filled();
    assert!(whole.len() > 3 * 4096, "{}", whole.len());
    let page = whole.len() / 4096 / 2 * 4096;
    for length in
        [1, 15, 16, 99, 100, 4095, 4096, 4097, page - 1, page, page + 1, whole.len() - 4096, whole.len() - 1]
    {
        place.plant(&whole[..length]);
        place.assert_refused(&format!("{length} of {} bytes", whole.len()), &whole[..length]);
    }
}

#[test]
fn flipped_bytes_are_reported_or_make_no_difference() {
    let place = Place::new();
    let (whole, made) = place.filled();
    let (mut refused, mut seed) = (0, 7_usize);
    for round in 0..60 {
        seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let mut bytes = whole.clone();
        // The first hundred bytes have their own turn: they decide whether it is a store at all.
        let at = if round < 20 { (seed >> 33) % 100 } else { (seed >> 33) % bytes.len() };
        bytes[at] ^= 1 << (seed % 8);
        place.plant(&bytes);
        match place.shows() {
            Ok(shown) => assert_eq!(shown, made, "byte {at}"),
            Err(_) => {
                place.assert_refused(&format!("byte {at}"), &bytes);
                refused += 1;
            }
        }
    }
    // The others fell into room that is not used, or numbers that only count.
    assert!(refused > 12, "{refused} of 60");
}

#[test]
fn what_is_no_store_is_reported_and_left_as_it_is() {
    let place = Place::new();
    let text = b"dear diary, ".repeat(800);
    place.plant(&text);
    place.assert_refused("a text", &text);
    place.plant(b"a short letter");
    place.assert_refused("a short text", b"a short letter");
    place.plant(b"");
    rusqlite::Connection::open(place.file()).unwrap().execute_batch("CREATE TABLE letters (text)").unwrap();
    let foreign = fs::read(place.file()).unwrap();
    place.assert_refused("another program's", &foreign);
    let older = "PRAGMA application_id = 1919775348; PRAGMA user_version = 1";
    rusqlite::Connection::open(place.file()).unwrap().execute_batch(older).unwrap();
    let old = fs::read(place.file()).unwrap();
    place.assert_refused("an older format", &old);
    assert!(place.shows().expect_err("it is refused").contains("format 1, and this is 3"));
    fs::remove_file(place.file()).unwrap();
    fs::create_dir(place.file()).unwrap();
    let said = place.shows().expect_err("a directory");
    assert!(said.contains(&place.file()) && said.contains("directory"), "{said}");
    fs::remove_dir(place.file()).unwrap();
    let nowhere = place.run("/proc/nowhere/facts", "echo ran").output();
    assert_eq!((nowhere.code(), nowhere.stdout.as_str()), (125, ""), "{nowhere:?}");
    assert!(nowhere.stderr.contains("/proc/nowhere/facts"), "{nowhere:?}");
}

#[test]
fn a_file_that_may_not_be_read_or_written_is_reported_and_left_as_it_is() {
    if !common::needs_root() {
        return;
    }
    let place = Place::new();
    let (whole, _) = place.filled();
    for (mode, owner) in [(0o600, 1), (0o444, 1)] {
        place.plant(&whole);
        fs::set_permissions(place.file(), fs::Permissions::from_mode(mode)).unwrap();
        std::os::unix::fs::chown(place.file(), Some(owner), Some(owner)).unwrap();
        place.assert_refused("another's file", &whole);
        assert!(place.shows().expect_err("it is refused").contains("Permission denied"));
    }
    place.plant(&whole);
    let script = format!(
        "mount --bind . . && mount -o remount,bind,ro . && cd . && cd {} && {} --store={} -- echo ran; echo $?",
        place.0.path().display(),
        common::remainroot().display(),
        place.file()
    );
    let output = Run::shell(How::Namespace, &script).namespaces("-Urm").directory(place.0.path()).output();
    assert!(output.stdout == "125\n" && output.stderr.contains("Read-only file system"), "{output:?}");
    assert!(fs::read(place.file()).unwrap() == whole);
}

/// Has everything but the first page of a running run's store filled with garbage, and sees what is said.
fn damaged_meanwhile(place: &Place, store: &str, file: &str) -> Output {
    let links = "$(seq 3000)";
    let made =
        place.run(store, &format!("for i in {links}; do ln -s x l$i; done; chown -h 5:6 l*; stat -c %u l9"));
    assert_eq!(to_the_end(made).success(), "5\n");
    let script = "echo ready; read line; for i in 9 1299 2599; do chown -h 7 l$i; stat -c %u:%g l$i; done; ln -s x new; \
                  chown -h 8 new && stat -c %u new; echo alive";
    let wait = "mkfifo go; exec 9<>go; (while [ ! -e damaged ]; do sleep 0.02; done; echo >&9) & exec 0<&9; exec \"$@\"";
    let run = place.run(store, script).before(["sh", "-c", wait, "sh"]).start();
    run.until("ready\n");
    let length = fs::metadata(file).unwrap().len() as usize;
    assert!(length > 30 * 4096);
    // In place: it is open.
    let open = fs::OpenOptions::new().write(true).open(file).unwrap();
    std::os::unix::fs::FileExt::write_all_at(&open, &vec![0xA5; length - 4096], 4096).unwrap();
    fs::write(place.0.file("damaged"), "").unwrap();
    run.finish()
}

#[test]
fn damage_in_the_middle_of_a_run_is_said_once_and_is_an_error_where_the_store_was_named() {
    let place = Place::new();
    let Output { stdout, stderr, .. } = damaged_meanwhile(&place, &place.file(), &place.file());
    // What was read before may stand in memory.
    assert!(stdout.starts_with("ready\n") && stdout.ends_with("\nalive\n"), "{stdout} {stderr}");
    let said: Vec<&str> = stderr.lines().filter(|line| line.starts_with("remainroot: ")).collect();
    assert!(matches!(said[..], [once] if once.contains(&place.file())), "{stderr}");
    assert!(stderr.matches("Input/output error").count() >= 4, "{stderr}");
    let next = place.run(&place.file(), "echo ran").output();
    assert!(next.code() == 125 && next.stderr.contains(&place.file()), "{next:?}");
}

#[test]
fn damage_in_the_middle_of_a_run_is_said_once_and_memory_takes_over_where_it_was_not_named() {
    let place = Place::new();
    let file = place.0.file(".local/state/remainroot/facts");
    let Output { stdout, stderr, .. } = damaged_meanwhile(&place, "auto", &file);
    let shown: Vec<&str> = stdout.lines().collect();
    // What was read before, with its page or its neighbours, has its group; the others begin anew.
    let groups = shown.get(1..4).unwrap_or_default();
    assert!(groups.len() == 3 && groups.iter().all(|ids| matches!(*ids, "7:6" | "7:0")), "{stdout} {stderr}");
    assert!(shown.get(4..) == Some(&["8", "alive"]), "{stdout} {stderr}");
    let said: Vec<&str> = stderr.lines().collect();
    assert!(
        matches!(said[..], [once] if once.contains(&file) && once.contains("ends with this run")),
        "{stderr}"
    );
}

#[test]
fn a_complaint_is_not_written_into_what_the_command_has_put_in_the_place_of_its_stderr() {
    let place = Place::new();
    let script = "exec 2>precious; ln -s f l; chown -h 5 l; exec 2>&-; exec 2>precious; chown -h 6 l; cat precious; echo alive";
    fs::create_dir(place.0.path().join(".local")).unwrap();
    fs::set_permissions(place.0.path().join(".local"), fs::Permissions::from_mode(0o777)).unwrap();
    // The directory vanishes between the start, at which it could be made, and the first need of it.
    let script = format!("rmdir ../.local; : > ../.local; {script}");
    let Output { stdout, stderr, .. } = place.run("auto", &script).output();
    assert_eq!((stdout.as_str(), stderr.as_str()), ("alive\n", ""));
}

#[test]
fn where_the_state_directory_cannot_be_written_it_is_said_to_who_asks() {
    let place = Place::new();
    let run = |options: &[&str]| {
        let run = place.run("auto", "ln -s f l 2>/dev/null; chown -h 5 l; stat -c %u l");
        let run = run.variable("XDG_STATE_HOME", "/proc/nowhere");
        options.iter().fold(run, |run, option| run.option(option)).output()
    };
    let quiet = run(&[]);
    assert_eq!((quiet.stdout.as_str(), quiet.stderr.as_str()), ("5\n", ""));
    let asked = run(&["-v"]);
    assert!(
        asked.stderr.contains("end with this run") && asked.stderr.contains("/proc/nowhere"),
        "{asked:?}"
    );
    let summary = run(&["-c"]);
    assert!(summary.stderr.contains("/proc/nowhere"), "{summary:?}");
}

#[test]
fn what_a_user_makes_and_removes_leaves_nothing_in_the_file() {
    let place = Place::new();
    let script = "chmod 777 .; setpriv --reuid 1000 --regid 1000 --clear-groups sh -c '
        for i in 1 2 3; do echo > f$i; ln -s x l$i; mkdir d$i; mkfifo p$i; done; exec 3<f1; ln f2 hard; ln -s x other
        rm f* l1 l2 p*; rmdir d*; mv -T other l3; stat -Lc %u:%g /proc/self/fd/3 hard; stat -c %u:%g l3'";
    assert_eq!(place.says(script), "1000:1000\n1000:1000\n1000:1000\n");
    let file = rusqlite::Connection::open(place.file()).unwrap();
    let left: i64 = file.query_row("SELECT count(*) FROM facts", [], |row| row.get(0)).unwrap();
    drop(file);
    assert_eq!(left, 2, "hard and l3");
    assert_eq!(place.says("stat -c %u:%g hard l3"), "1000:1000\n1000:1000\n");
}

#[test]
fn five_runs_at_once_lose_nothing_and_tear_nothing() {
    let place = Place::new();
    place.says("mkdir own; for i in $(seq 20); do ln -s x shared$i; done");
    let runs: Vec<_> = (1..=5)
        .map(|who| {
            let script = format!(
                "for i in $(seq 20); do ln -s x own/{who}.$i; chown -h {who}:$i own/{who}.$i || exit; \
                 chown -h {who}:{who} shared$i || exit; set -- $(stat -c '%u %g' shared$i); [ $1 = $2 ] || echo torn $1 $2; done"
            );
            place.run(&place.file(), &script).start()
        })
        .collect();
    for run in runs {
        assert_eq!(run.finish().success(), "");
    }
    let said = place.says("stat -c '%n %u:%g' own/* | wc -l; for i in 1 2 3 4 5; do stat -c %u:%g own/$i.* | sort -u | wc -l; done; stat -c '%u %g' shared* | sort -u");
    let lines: Vec<&str> = said.lines().collect();
    assert_eq!(lines[..6], ["100", "20", "20", "20", "20", "20"]);
    assert!(
        lines[6..].iter().all(|line| line.split_once(' ').is_some_and(|(uid, gid)| uid == gid)),
        "{said}"
    );
}

#[test]
fn what_another_run_has_changed_in_the_file_alone_is_seen_though_no_time_has_changed() {
    let place = Place::new();
    // Of the host's own links the kernel lets nobody here touch the change time.
    let script = "stat -c %u /bin; echo ready; read line; stat -c %u /bin; read line; stat -c %u /bin";
    let wait = "mkfifo go; exec 9<>go; (for i in 1 2; do while [ ! -e step$i ]; do sleep 0.02; done; echo >&9; done) & \
                exec 0<&9; exec \"$@\"";
    place.says("chown -h 3 /bin");
    let watcher = place.run(&place.file(), script).before(["sh", "-c", wait, "sh"]).start();
    watcher.until("ready\n");
    for (step, owner) in [(1, 41), (2, 42)] {
        place.says(&format!("chown -h {owner} /bin"));
        fs::write(place.0.file(&format!("step{step}")), "").unwrap();
        watcher.until(&format!("\n{}", if step == 1 { "41\n" } else { "42\n" }));
    }
    assert_eq!(watcher.finish().success(), "3\nready\n41\n42\n");
}

/// A script in a namespace of one id that may mount, with `$R` for remainroot and `t` a small filesystem in
/// memory. `None` where that cannot be.
fn with_little_room(place: &Place, script: &str) -> Option<String> {
    let remainroot = common::remainroot().to_str().unwrap();
    let script = format!(
        "mkdir -p t; mount -t tmpfs -o size=256k none t || {{ echo cannot; exit; }}; mkdir w; cd w; R={remainroot}; {script}"
    );
    let run = Run::shell(How::Namespace, &script).namespaces("-Urm").directory(place.0.path()).seconds(120);
    let said = run.output().success();
    if said == "cannot\n" {
        common::skip(common::Lack::Kernel, "no filesystem in memory can be mounted");
        return None;
    }
    Some(said)
}

#[test]
fn without_room_a_call_fails_wholly_and_succeeds_when_there_is_room_again() {
    let place = Place::new();
    let script = "
cat > s <<'X'
exec 2>&1
umask 022
touch set plain; chmod 4711 set; chown 5 plain; cat /dev/zero > ../t/fill 2>&-
i=0; while [ $i -lt 3000 ] && chown 7 more 2>/dev/null; do i=$((i+1)); touch x$i; chown 9 x$i || break; done 2>/dev/null
i=0; while touch x$i && chown 9 x$i; do i=$((i+1)); done 2>why; sed 's/.*: //' why
stat -c '%n %a %u' set plain
chown 6:7 set; chown 8 set; chown 9 plain; mknod disk b 8 1; echo mknod $?; stat -c %n disk
chmod 1777 .
setpriv --reuid 1000 --regid 1000 --clear-groups sh -c 'echo > made; mkdir dir; ln -s x link; mkfifo fifo'; ls made dir link fifo
stat -c '%n %a %u' set plain
rm ../t/fill
chown 6:7 set && chown 9 plain && mknod disk b 8 1 && setpriv --reuid 1000 --regid 1000 --clear-groups mkdir dir
stat -c '%n %a %u %t' set plain disk dir
X
$R --store=../t/facts -- sh s; echo == ; $R --store=../t/facts -- stat -c '%n %a %u %t' set plain disk dir";
    let Some(said) = with_little_room(&place, script) else { return };
    let full = "No space left on device";
    let expected = format!(
        "{full}\nset 4711 0\nplain 644 5\n\
         chown: changing ownership of 'set': {full}\nchown: changing ownership of 'set': {full}\n\
         chown: changing ownership of 'plain': {full}\nmknod: disk: {full}\nmknod 1\n\
         stat: cannot statx 'disk': No such file or directory\n\
         sh: 1: cannot create made: {full}\nmkdir: cannot create directory 'dir': {full}\n\
         ln: failed to create symbolic link 'link': {full}\nmkfifo: cannot create fifo 'fifo': {full}\n\
         ls: cannot access 'made': No such file or directory\nls: cannot access 'dir': No such file or directory\n\
         ls: cannot access 'link': No such file or directory\nls: cannot access 'fifo': No such file or directory\n\
         set 4711 0\nplain 644 5\n\
         set 711 6 0\nplain 644 9 0\ndisk 644 0 8\ndir 755 1000 0\n==\n\
         set 711 6 0\nplain 644 9 0\ndisk 644 0 8\ndir 755 1000 0\n"
    );
    let plain = said.replace(['\u{2018}', '\u{2019}'], "'");
    assert!(plain == expected, "found:\n{plain}\nexpected:\n{expected}");
}
