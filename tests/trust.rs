//! Whose attributes count: nobody's for real root, and else those of files whose owner is of the namespace.
#![allow(clippy::unwrap_used)] // a helper of a test is a test

mod common;

use std::os::unix::fs::chown;
use std::process::Command;

use common::{How, Run, Scratch};

/// What a script says as the machine's own root; `$R` is remainroot for such.
fn as_real_root(place: &Scratch, script: &str) -> String {
    let script = format!("R=\"{} --allow-real-root\"; exec 2>&1; {script}", common::remainroot().display());
    Run::shell(How::Native, &script).directory(place.path()).variable("HOME", place.path()).output().success()
}

/// Another user's program that says of itself that it is root's and set-user-id.
fn poison(place: &Scratch, name: &str) {
    let file = place.file(name);
    std::fs::copy("/bin/true", &file).unwrap();
    chown(&file, Some(1), Some(1)).unwrap();
    for (attribute, value) in
        [("user.containers.override_stat", "0:0:4755:file"), ("user.rootlesscontainers", "0x08071008")]
    {
        let set = Command::new("setfattr").args(["-n", attribute, "-v", value, &file]).status();
        assert!(set.unwrap().success());
    }
}

#[test]
fn real_root_believes_no_attribute_and_keeps_none_and_leaves_the_root_directory_alone() {
    if !common::needs_root() || !common::has(&["setfattr", "getfattr", "setpriv"]) {
        return;
    }
    let place = Scratch::new("trust");
    poison(&place, "f");
    let script = "mark() { getfattr -n user.remainroot --only-values / 2>/dev/null; }; before=$(mark); umask 022; chmod 755 .
        for how in '' --adopt; do $R $how -- cp -a f copy$how; done
        $R sh -c 'mknod b b 254 0; mknod c c 254 1; touch mine; chown 33:44 mine; chmod 4711 mine; ln -s x l; chown -h 5:6 l
            mkdir -m 777 d; cd d; setpriv --reuid 1000 --regid 1000 --clear-groups sh -c \"umask 022; touch g; mkdir h; ln -s x i; mkfifo j; mknod k c 1 3\"'
        find . -mindepth 1 ! -name '.local*' -printf '%P %y %m %U:%G\\n' | sort; getfattr -d -m- mine; [ \"$before\" = \"$(mark)\" ] || echo marked";
    let said = as_real_root(&place, script);
    let denied = "Operation not permitted";
    let expected = format!(
        "remainroot: --adopt is not for real root: others can write such owners\nmknod: k: {denied}\n\
         b b 644 0:0\nc c 644 0:0\ncopy f 755 1:1\ncopy--adopt f 755 1:1\nd d 777 0:0\nd/g f 644 1000:1000\n\
         d/h d 755 1000:1000\nd/i l 777 1000:1000\nd/j p 644 1000:1000\nf f 755 1:1\nl l 777 5:6\nmine f 4711 33:44\n"
    );
    assert_eq!(said, expected);
}

#[test]
fn what_another_users_file_bears_says_nothing_of_it_and_what_is_known_of_it_stands_elsewhere() {
    if !common::needs_root() || !common::has(&["setfattr", "getfattr", "python3"]) {
        return;
    }
    let place = Scratch::new("trust");
    poison(&place, "f");
    std::fs::set_permissions(place.file("f"), std::os::unix::fs::PermissionsExt::from_mode(0o777)).unwrap();
    std::fs::create_dir(place.file("home")).unwrap();
    chown(place.file("home"), Some(common::NOBODY), Some(common::NOBODY)).unwrap();
    let says = |script: &str| {
        let run = Run::shell(How::Remainroot, script).directory(place.path());
        run.variable("HOME", place.file("home")).option("--store=auto").output().success()
    };
    // Looked at often, too, by who then answers himself.
    let look = "touch own; chown 3 own; stat -c %u own; stat -c '%a %u:%g' f
        python3 -c 'import os; print({(s.st_mode & 0o7777, s.st_uid, s.st_gid) for s in (os.stat(\"f\") for i in range(400))})'
        getfattr -m- -d f; cp -a f copy; stat -c '%a %u:%g' copy; rm copy";
    let plain = "3\n777 0:0\n{(511, 0, 0)}\n777 0:0\n";
    assert_eq!(says(look), plain);
    assert_eq!(says("chown 7:8 f; stat -c '%a %u:%g' f"), "777 7:8\n");
    assert_eq!(says("stat -c '%a %u:%g' f"), "777 7:8\n");
    let borne =
        Command::new("getfattr").args(["--absolute-names", "-d", "-m-", &place.file("f")]).output().unwrap();
    let borne = String::from_utf8(borne.stdout).unwrap();
    assert!(borne.contains("0:0:4755:file") && borne.matches("user.").count() == 2, "{borne}");
}
