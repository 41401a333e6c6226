//! Mounts by who thinks he is root, with mount(2) and with the calls that take its options one by one.
#![allow(clippy::expect_used, clippy::panic)] // a helper of a test is a test

mod common;

use common::{How, Run, Scratch};

/// `mounted TYPE OPTIONS DIRECTORY` in Python, by mount(2) or by fsopen(2), fsconfig(2), fsmount(2) and move_mount(2).
const PYTHON: &str = "
import ctypes, os, sys
libc = ctypes.CDLL(None, use_errno=True)
def call(*args):
    result = libc.syscall(*args)
    if result < 0: print('errno', ctypes.get_errno()); sys.exit()
    return result
def mounted(kind, options, at, new):
    os.mkdir(at)
    if not new: return call(165, b'none', at.encode(), kind.encode(), 0, options.encode())
    context = call(430, kind.encode(), 0)
    for word in options.split(','):
        key, _, value = word.partition('=')
        call(431, context, 1 if value else 0, key.encode(), value.encode() if value else None, 0)
    call(431, context, 6, None, None, 0)
    call(429, call(432, context, 0, 0), b'', -100, at.encode(), 4)
def owner(path):
    found = os.stat(path); print(found.st_uid, found.st_gid, oct(found.st_mode & 0o7777))
new = sys.argv[1] == 'new'
";

/// What a program says as real root and under remainroot, which must be the same.
fn same(script: &str, expected: &str) {
    if !common::has(&["python3"]) {
        return;
    }
    for interface in ["old", "new"] {
        for how in [How::Native, How::Remainroot, How::Attached] {
            if how == How::Native && !common::needs_root() {
                continue;
            }
            let scratch = Scratch::new("mounts");
            let program = format!("{PYTHON}{script}");
            let words = ["python3", "-c", &program, interface];
            let unshared = ["unshare", "-m", "--"].into_iter().filter(|_| how == How::Native);
            let run = Run::new(how, unshared.chain(words)).namespaces("-Urm").directory(scratch.path());
            assert_eq!(run.output().success(), expected, "{how:?} {interface}");
        }
    }
}

#[test]
fn the_root_of_a_tmpfs_belongs_to_whom_the_options_say() {
    same("mounted('tmpfs', 'uid=33,gid=34,mode=0750', 't', new); owner('t')", "33 34 0o750\n");
    same("mounted('tmpfs', 'gid=5', 't', new); owner('t')", "0 5 0o1777\n");
    same("mounted('tmpfs', 'uid=33,uid=0', 't', new); owner('t')", "0 0 0o1777\n");
}

#[test]
fn terminals_are_mounted_with_the_group_that_every_system_gives_them() {
    same(
        "mounted('devpts', 'newinstance,gid=5,mode=0620', 't', new); print(os.path.exists('t/ptmx'))",
        "True\n",
    );
}

#[test]
fn options_that_are_wrong_are_refused_as_ever() {
    same("mounted('tmpfs', 'uid=x', 't', new)", "errno 22\n");
    same("mounted('nothing', 'uid=33', 't', new)", "errno 19\n");
}

#[test]
fn what_was_removed_from_an_overlay_can_be_made_again() {
    let script = "
for name in ['l', 'l/d', 'u', 'w']: os.mkdir(name)
open('l/d/f', 'w').close()
mounted('overlay', 'lowerdir=l,upperdir=u,workdir=w', 'm', new)
os.unlink('m/d/f'); os.rmdir('m/d'); os.mkdir('m/d'); open('m/d/x', 'w').close()
print(os.listdir('m/d'), os.path.exists('l/d/f'))
";
    same(script, "['x'] True\n");
}

#[test]
fn an_overlay_has_the_options_that_were_asked_for() {
    for option in ["userxattr", "redirect_dir=off", "redirect_dir=on,metacopy=on"] {
        let script = format!(
            "
for name in ['l', 'u', 'w']: os.mkdir(name)
open('l/f', 'w').close()
mounted('overlay', 'lowerdir=l,upperdir=u,workdir=w,{option}', 'm', new)
print(os.listdir('m'))
"
        );
        same(&script, "['f']\n");
    }
}
