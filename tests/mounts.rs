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

/// Every name of a list of mounts, by which a tmpfs is found, and ways to hold one.
const LISTS: &str = r#"
import fcntl, re, select
mounted('tmpfs', 'uid=33,gid=34,size=1m', 't', new)
mounted('tmpfs', 'gid=5,size=1m', 'g', new)
os.symlink('/proc/self/mounts', 'link')
def shown(text): return sorted(re.findall(r'/([tg]) .*?((?:[ug]id=\d+,?)+)', text))
task = '/proc/%d/' % os.getpid()
expected = [('g', 'gid=5'), ('t', 'uid=33,gid=34')]
for name in ['/proc/mounts', '/proc/self/mounts', '/proc/self/mountinfo', '/etc/mtab', '/proc/thread-self/mountinfo',
             task + 'mounts', task + 'task/%d/mountinfo' % os.getpid(), 'link']:
    if os.path.exists(name) and shown(open(name).read()) != expected: print(name, shown(open(name).read()))
file = open('/proc/self/mounts')
print(shown(file.read()) == expected, file.seek(0), shown(file.read()) == expected)
print(fcntl.fcntl(file, fcntl.F_GETFD), oct(fcntl.fcntl(file, fcntl.F_GETFL)))
low = os.open('/proc/self/mountinfo', os.O_RDONLY)
os.set_inheritable(low, True)
print(fcntl.fcntl(low, fcntl.F_GETFD), shown(os.read(low, 1 << 16).decode()) == expected)
watch = select.epoll(); watch.register(low, select.EPOLLPRI); watch.poll(0)
os.mkdir('n'); call(165, b'none', b'n', b'tmpfs', 0, None)
print(len(watch.poll(20)), os.readlink('/proc/self/fd/%d' % low) == task + 'mountinfo')
"#;

#[test]
fn lists_of_mounts_say_the_ids_that_were_given() {
    same(LISTS, "True 0 True\n1 0o100000\n0 True\n1 True\n");
}

#[test]
fn a_number_that_another_filesystem_had_says_nothing_of_the_next() {
    let script = r#"
import re
for round in range(4):
    os.makedirs('x', exist_ok=True)
    options = b'uid=33,size=1m' if round % 2 == 0 else b'size=1m'
    call(165, b'none', b'x', b'tmpfs', 0, options)
    print(re.findall(r'/x .*?uid=33', open('/proc/mounts').read()) != [], end=' ')
    call(166, b'x', 0)
"#;
    same(script, "True False True False ");
}
