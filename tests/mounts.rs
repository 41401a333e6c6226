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
    mount = call(432, context, 0, 0)
    call(429, mount, b'', -100, at.encode(), 4)
    os.close(mount); os.close(context)
def owner(path):
    found = os.stat(path); print(found.st_uid, found.st_gid, oct(found.st_mode & 0o7777))
new = sys.argv[1] == 'new'
";

/// What a program says as real root and under remainroot, which must be the same.
fn same(script: &str, expected: &str) {
    same_after("", script, expected);
}

/// The same after another program in the same directory, which has ended.
fn same_after(first: &str, script: &str, expected: &str) {
    if !common::has(&["python3"]) {
        return;
    }
    for interface in ["old", "new"] {
        for how in [How::Native, How::Remainroot, How::Attached] {
            if how == How::Native && !common::needs_root() {
                continue;
            }
            let scratch = Scratch::new("mounts");
            let said = |script: &str| {
                let program = format!("{PYTHON}{script}");
                let words = ["python3", "-c", &program, interface];
                let unshared = ["unshare", "-m", "--"].into_iter().filter(|_| how == How::Native);
                let run = Run::new(how, unshared.chain(words)).variable("HOME", scratch.path());
                let run = if how == How::Native { run } else { run.option("--store=auto") };
                run.namespaces("-Urm").directory(scratch.path()).output().success()
            };
            said(first);
            assert_eq!(said(script), expected, "{how:?} {interface}");
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

/// A layer with what bears no attributes, given away.
const LAYER: &str = "
import socket
for name in ['l', 'u', 'w', 'm']: os.mkdir(name)
def give(path, uid, gid): os.lchown(path, uid, gid)
os.symlink('x', 'l/s'); os.mkfifo('l/p'); open('l/f', 'w').close(); os.mknod('l/c', 0o20644, os.makedev(1, 5))
socket.socket(socket.AF_UNIX).bind('l/k'); os.symlink('x', 'l/root')
for name in 'spfck': give('l/' + name, 12, 34)
";

/// What an overlay at `m` shows.
const SHOWN: &str = "
def shown(at='m'):
    for name in sorted(os.listdir(at)):
        found = os.lstat(at + '/' + name); print(name, found.st_uid, found.st_gid, end=' ')
    print()
";

#[test]
fn an_overlay_shows_whose_the_links_and_fifos_of_its_layers_are() {
    let script = format!(
        "{LAYER}{SHOWN}
def give(path, uid, gid): os.lchown(path, uid, gid)
os.rmdir('m')
mounted('overlay', 'lowerdir=l,upperdir=u,workdir=w', 'm', new); shown()
give('m/s', 56, -1); give('m/p', -1, 57); shown(); shown('l'); call(166, b'm', 0)
os.rmdir('m'); os.mkdir('t')
call(165, b'none', b't', b'tmpfs', 0, None)
for name in ['t/l', 't/u', 't/w']: os.mkdir(name)
os.symlink('x', 't/l/q'); give('t/l/q', 9, 8)
mounted('overlay', 'lowerdir=t/l:l,upperdir=t/u,workdir=t/w', 'm', new); shown()
give('m/q', 58, -1); give('m/p', 59, -1); shown()
"
    );
    let layer = "c 12 34 f 12 34 k 12 34 p 12 34 root 0 0 s 12 34 ";
    let given = "c 12 34 f 12 34 k 12 34 p 12 57 root 0 0 s 56 34 ";
    let on_two = "c 12 34 f 12 34 k 12 34 p 12 34 q 9 8 root 0 0 s 12 34 ";
    let given_on_two = "c 12 34 f 12 34 k 12 34 p 59 34 q 58 8 root 0 0 s 12 34 ";
    same(&script, &format!("{layer}\n{given}\n{layer}\n{on_two}\n{given_on_two}\n"));
}

#[test]
fn an_overlay_shows_what_an_earlier_run_has_given_away_also_where_it_covers_its_layer() {
    let script = format!(
        "{SHOWN}
os.rmdir('m')
mounted('overlay', 'lowerdir=l,upperdir=u,workdir=w', 'm', new); shown(); call(166, b'm', 0)
for name in ['v', 'x']: os.mkdir(name)
if call(165, b'none', b'l', b'overlay', 0, b'lowerdir=l,upperdir=v,workdir=x') == 0: shown('l')
"
    );
    let layer = "c 12 34 f 12 34 k 12 34 p 12 34 root 0 0 s 12 34 ";
    same_after(LAYER, &script, &format!("{layer}\n{layer}\n"));
}

#[test]
fn a_tree_that_is_detached_moved_and_changed_keeps_its_owners() {
    let script = r#"
import struct
def attributes(at, flags, set, clear=0, namespace=0, directory=-100):
    values = struct.pack('QQQQ', set, clear, 0, namespace)
    result = libc.syscall(442, directory, at, flags, values, len(values))
    return 0 if result == 0 else ctypes.get_errno()
for name in ['a', 'b']: os.mkdir(name)
open('a/f', 'w').close(); os.chown('a/f', 1000, 1001); os.symlink('x', 'a/s'); os.lchown('a/s', 7, 8)
tree = call(428, -100, b'a', 0x80001)
print([os.stat(name, dir_fd=tree, follow_symlinks=False)[4:6] for name in ['f', 's']])
print(attributes(b'', 0x1000, 9, 0, 0, tree), call(429, tree, b'', -100, b'b', 4)); os.close(tree)
print(open('/proc/self/mountinfo').read().splitlines()[-1].split(' ')[5].split(',')[:2])
for change in [lambda: open('b/x', 'w'), lambda: os.chown('b/f', 5, 5), lambda: os.lchown('b/s', 5, 5)]:
    try: change()
    except OSError as error: print(error.errno, end=' ')
print(attributes(b'b', 0, 0, 1)); open('b/x', 'w').close(); os.chown('b/x', 9, 10)
print([os.lstat(name)[4:6] for name in ['a/x', 'b/f', 'b/s']])
# What nothing can be made of: an unknown flag, a directory that is no mount, a descriptor that is none.
print(attributes(b'b', 0, 1 << 40), attributes(b'a', 0, 1), attributes(b'b', 0, 1 << 20, 0, 999))
"#;
    let expected = "[(1000, 1001), (7, 8)]\n0 0\n['ro', 'noexec']\n30 30 30 0\n\
                    [(9, 10), (1000, 1001), (7, 8)]\n22 22 9\n";
    same(script, expected);
}
