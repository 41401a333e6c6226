//! Random scripts: what users do to a few names.

use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::select;
use proptest::strategy::BoxedStrategy;

use crate::cast::Cast;
use crate::ground::Ground;

/// The names that are looked at after every step.
pub const NAMES: [&str; 15] =
    [".", "a", "b", "c", "l", "h", "g", "d", "d/a", "d/b", "d/s", "e", "e/a", "e/b", "e/s"];
/// Those that calls are about: what is not a directory mostly, and directories mostly.
const FILES: &[&str] = &["a", "b", "c", "l", "h", "g", "d/a", "d/b", "e/a", "e/b"];
const DIRECTORIES: &[&str] = &["d", "e", "d/s", "e/s"];

/// Owners and groups.
const IDS: &[&str] = &["1000", "0", "1001", "-1", "65534", "50", "4294967294", "70000"];
const MODES: &[&str] =
    &["0x1b6", "0x1ff", "0x9ff", "0x5ff", "0xdb6", "0x1a4", "0x9ed", "0x5ed", "0x1c0", "0xfff"];
/// Modes that leave a directory open to all.
const OPEN: &[&str] = &["0x1ff", "0x5ff", "0x3ff", "0xdff"];
/// Descriptors that files are opened as.
const DESCRIPTORS: &[&str] = &["20", "21", "22"];
/// Capabilities that setting ids again needs, and those that matter to files: `CAP_CHOWN`, `DAC_OVERRIDE`,
/// `FOWNER`, `FSETID`, `MKNOD`, `SYS_ADMIN`, `SETFCAP`.
const SETTING_IDS: u64 = 0xc0;
const CAPS: &[u64] = &[1, 1 << 1, 1 << 3, 1 << 4, 1 << 27, 1 << 21, 1 << 31];

/// A step before it is known which tasks there are: a number that chooses the task, and its lines.
pub type Step = (u8, Act);

/// What a task does.
#[derive(Debug, Clone)]
pub enum Act {
    /// Calls, one after the other.
    Calls(Vec<String>),
    /// Makes another task.
    Spawn(&'static str),
    /// Ends.
    Exit,
}

fn id() -> impl Strategy<Value = &'static str> {
    select(IDS)
}

fn user() -> impl Strategy<Value = &'static str> {
    select(&["1000", "1001", "0", "65534", "50"][..])
}

/// Mostly a file's name; sometimes the working directory.
fn path() -> BoxedStrategy<&'static str> {
    prop_oneof![6 => select(FILES), 2 => select(DIRECTORIES)].boxed()
}

fn descriptor() -> impl Strategy<Value = &'static str> {
    select(DESCRIPTORS)
}

fn mode() -> impl Strategy<Value = &'static str> {
    select(MODES)
}

/// Becoming another user, or root with fewer capabilities, or root again.
fn become_another() -> BoxedStrategy<Vec<String>> {
    let groups = vec(user(), 0..3).prop_map(|ids| format!("setgroups {} u32[{}]", ids.len(), ids.join(",")));
    let again =
        || ["setresuid -1 0 -1".to_owned(), "setresgid -1 0 -1".to_owned(), "setgroups 0 null".to_owned()];
    let some =
        || vec(select(CAPS), 0..4).prop_map(|caps| caps.into_iter().fold(SETTING_IDS, |all, cap| all | cap));
    let all = CAPS.iter().fold(SETTING_IDS, |all, cap| all | cap);
    let drop = (groups, user(), user()).prop_map(move |(groups, gid, uid)| {
        let ids = [groups, format!("setresgid -1 {gid} -1"), format!("setresuid -1 {uid} -1")];
        again().into_iter().chain(ids).collect::<Vec<_>>()
    });
    let filesystem =
        (user(), user()).prop_map(|(gid, uid)| vec![format!("setfsgid {gid}"), format!("setfsuid {uid}")]);
    let fewer = some().prop_map(move |some| vec![format!("capset hdr(V3,0) cap3({some:#x},{all:#x},0)")]);
    let keeping = (user(), some()).prop_map(move |(uid, some)| {
        let lines = [
            "setresuid -1 0 -1".to_owned(),
            "prctl SET_KEEPCAPS 1".to_owned(),
            format!("setresuid {uid} {uid} {uid}"),
            format!("capset hdr(V3,0) cap3({some:#x},{some:#x},0)"),
        ];
        lines.into()
    });
    let root = Just(again().to_vec());
    prop_oneof![6 => drop, 2 => filesystem, 2 => fewer, 1 => keeping, 3 => root].boxed()
}

/// Calls about owners and modes.
fn metadata() -> BoxedStrategy<String> {
    let give = (select(&["chown", "lchown"][..]), path(), id(), id())
        .prop_map(|(name, path, uid, gid)| format!("may w:{path} {name} path:{path} {uid} {gid}"));
    let give_at = (path(), id(), id(), select(&["0", "0x100"][..])).prop_map(|(path, uid, gid, flags)| {
        format!("may w:{path} fchownat -100 path:{path} {uid} {gid} {flags}")
    });
    let give_open = (descriptor(), id(), id(), any::<bool>()).prop_map(|(fd, uid, gid, empty)| {
        if empty {
            format!("fchownat {fd} path: {uid} {gid} 0x1000")
        } else {
            format!("fchown {fd} {uid} {gid}")
        }
    });
    let narrow = (path(), select(&["1000", "0", "65535", "50"][..]))
        .prop_map(|(path, id)| format!("may w:{path} chown16 path:{path} {id} {id}"));
    let chmod = (select(FILES), mode(), select(&["chmod path:", "fchmodat -100 path:"][..]))
        .prop_map(|(path, mode, call)| format!("may w:{path} {call}{path} {mode}"));
    let chmod_directory = (select(DIRECTORIES), select(OPEN))
        .prop_map(|(path, mode)| format!("may w:{path} chmod path:{path} {mode}"));
    let chmod_link = (path(), mode())
        .prop_map(|(path, mode)| format!("may w:{path} fchmodat2 -100 path:{path} {mode} 0x100"));
    let chmod_open = (descriptor(), select(OPEN), any::<bool>()).prop_map(|(fd, mode, empty)| {
        if empty { format!("fchmodat2 {fd} path: {mode} 0x1000") } else { format!("fchmod {fd} {mode}") }
    });
    prop_oneof![
        4 => give, 3 => give_at, 2 => give_open, 1 => narrow,
        4 => chmod, 2 => chmod_directory, 1 => chmod_link, 2 => chmod_open,
    ]
    .boxed()
}

/// Calls about times and lengths.
fn contents() -> BoxedStrategy<String> {
    let times = || {
        select(
            &[
                "times(1000,5,2000,6)",
                "times(0,OMIT,77,8)",
                "times(0,NOW,0,NOW)",
                "null",
                "times(0,NOW,0,OMIT)",
            ][..],
        )
    };
    let touch = (path(), times(), select(&["0", "0x100"][..]))
        .prop_map(|(path, times, flags)| format!("may f:{path} utimensat -100 path:{path} {times} {flags}"));
    let touch_open = (descriptor(), times()).prop_map(|(fd, times)| format!("utimensat {fd} null {times} 0"));
    let old = (path(), select(&["utime", "utimes"][..]), select(&["null", "times(5,7,9,11)"][..]))
        .prop_map(|(path, call, times)| format!("may f:{path} {call} path:{path} {times}"));
    let cut = (path(), select(&["0", "7", "100"][..]))
        .prop_map(|(path, size)| format!("may k:{path} truncate path:{path} {size}"));
    let cut_open = (descriptor(), select(&["0", "7", "100"][..]))
        .prop_map(|(fd, size)| format!("may K:{fd} ftruncate {fd} {size}"));
    let write = descriptor().prop_map(|fd| format!("may K:{fd} write {fd} path:text 4"));
    prop_oneof![3 => touch, 1 => touch_open, 2 => old, 2 => cut, 1 => cut_open, 3 => write].boxed()
}

/// A value of an attribute, and its length.
fn value(name: &str) -> BoxedStrategy<(String, usize)> {
    match name {
        "system.posix_acl_access" | "system.posix_acl_default" => lists().boxed(),
        // Version 2, permitted, inheritable, effective; version 3 with a root; and one that is too short.
        "security.capability" => select(
            &[
                ("u32[0x2000001,0x400,0,0,0]", 20),
                ("u32[0x2000000,0,0x400,0,0]", 20),
                ("u32[0x3000000,0x400,0,0,0,0]", 24),
                ("u32[0x3000001,0x400,0,0,0,1000]", 24),
                ("u32[0x2000001,0x400]", 8),
            ][..],
        )
        .prop_map(|(value, length)| (value.to_owned(), length))
        .boxed(),
        _ => select(&[("path:value", 5), ("path:another", 7), ("null", 0)][..])
            .prop_map(|(value, length)| (value.to_owned(), length))
            .boxed(),
    }
}

/// The value of an ACL: with and without names, and one without a mask.
fn lists() -> impl Strategy<Value = (String, usize)> {
    let bits = || select(&[7, 6, 4, 0][..]);
    let named = vec((select(&[2, 8][..]), bits(), user()), 0..3);
    (bits(), bits(), bits(), bits(), named, prop::bool::weighted(0.9)).prop_map(
        |(owner, group, mask, others, mut named, masked)| {
            named.sort_by_key(|&(tag, _, id)| (tag, id.parse::<u32>().unwrap_or(0)));
            named.dedup_by_key(|&mut (tag, _, id)| (tag, id));
            let of = |wanted| named.iter().filter(move |&&(tag, ..)| tag == wanted);
            let written = |&(tag, bits, id): &(u8, u8, &str)| format!("{tag},{bits},{id}");
            let mut entries = vec![format!("1,{owner},-1")];
            entries.extend(of(2).map(written));
            entries.push(format!("4,{group},-1"));
            entries.extend(of(8).map(written));
            if masked && !named.is_empty() {
                entries.push(format!("16,{mask},-1"));
            }
            entries.push(format!("32,{others},-1"));
            (format!("acl({})", entries.join(",")), 4 + 8 * entries.len())
        },
    )
}

/// Calls about extended attributes.
fn attributes() -> BoxedStrategy<Vec<String>> {
    let names = select(
        &[
            "user.a",
            "system.posix_acl_access",
            "system.posix_acl_default",
            "trusted.x",
            "security.capability",
            "security.x",
            "user.b",
            "nothing.x",
        ][..],
    );
    let set = names.clone().prop_flat_map(|name| {
        let link = select(&["", "l", ""][..]);
        (Just(name), value(name), select(&["0", "0", "1", "2"][..]), path(), link).prop_map(
            |(name, (value, length), flags, path, link)| {
                let set = format!("{link}setxattr path:{path} path:{name} {value} {length} {flags}");
                vec![format!("may f:{path} {set}"), format!("may f:{path} xattrs {path}")]
            },
        )
    });
    let set_open = names.clone().prop_flat_map(|name| {
        (descriptor(), value(name)).prop_map(move |(fd, (value, length))| {
            vec![format!("may F:{fd} fsetxattr {fd} path:{name} {value} {length} 0")]
        })
    });
    let get = (names.clone(), path(), select(&["out 64", "null 0", "out 3", "big 1000"][..]))
        .prop_map(|(name, path, to)| vec![format!("may f:{path} getxattr path:{path} path:{name} {to}")]);
    let get_open = (names.clone(), descriptor())
        .prop_map(|(name, fd)| vec![format!("may F:{fd} fgetxattr {fd} path:{name} out 64")]);
    let remove = (names.clone(), path(), select(&["", "l", ""][..])).prop_map(|(name, path, link)| {
        vec![format!("may f:{path} {link}removexattr path:{path} path:{name}")]
    });
    let remove_open = (names, descriptor())
        .prop_map(|(name, fd)| vec![format!("may F:{fd} fremovexattr {fd} path:{name}")]);
    let list = (path(), select(&["listxattr", "llistxattr"][..]))
        .prop_map(|(path, call)| vec![format!("may f:{path} {call} path:{path} null 0")]);
    prop_oneof![6 => set, 1 => set_open, 2 => get, 1 => get_open, 2 => remove, 1 => remove_open, 1 => list]
        .boxed()
}

/// Calls that make something.
fn making() -> BoxedStrategy<String> {
    // O_RDWR or O_WRONLY, with O_CREAT, O_EXCL, O_TRUNC; never without O_NONBLOCK.
    let flags = || select(&["0x842", "0x8c2", "0xa42", "0x841", "0x802"][..]);
    let open = (descriptor(), path(), flags(), mode()).prop_map(|(fd, path, flags, mode)| {
        format!("may k:{path} into {fd} open path:{path} {flags} {mode}")
    });
    // O_PATH, and with O_NOFOLLOW.
    let look = (descriptor(), path(), select(&["0x200000", "0x220000"][..]))
        .prop_map(|(fd, path, flags)| format!("may w:{path} into {fd} openat -100 path:{path} {flags} 0"));
    let unnamed = (descriptor(), select(DIRECTORIES), mode())
        .prop_map(|(fd, path, mode)| format!("may w:{path} into {fd} open path:{path} 0x410002 {mode}"));
    let directory =
        (path(), select(OPEN)).prop_map(|(path, mode)| format!("may w:{path} mkdir path:{path} {mode}"));
    let kinds = || select(&[0o100_000_u32, 0o010_000, 0o020_000, 0o060_000, 0o140_000, 0, 0o030_000][..]);
    let node = (path(), kinds(), mode(), select(&["0x103", "0", "0x12345678", "0x801"][..])).prop_map(
        |(path, kind, mode, device)| {
            let mode = kind | u32::from_str_radix(&mode[2..], 16).unwrap();
            format!("may w:{path} mknod path:{path} {mode:#x} {device}")
        },
    );
    let symlink = (select(&["a", "d", "nowhere", "../a", "d/a", "b"][..]), path())
        .prop_map(|(target, path)| format!("may w:{path} symlink path:{target} path:{path}"));
    let mask = select(&["0", "0x12", "0x3f", "0x17"][..]).prop_map(|mask| format!("umask {mask}"));
    prop_oneof![4 => open, 2 => look, 1 => unnamed, 2 => directory, 4 => node, 1 => symlink, 1 => mask]
        .boxed()
}

/// Calls that move names about.
fn moving() -> BoxedStrategy<String> {
    let rename =
        (path(), path()).prop_map(|(from, to)| format!("may w:{from},w:{to} rename path:{from} path:{to}"));
    // RENAME_NOREPLACE, RENAME_EXCHANGE, RENAME_WHITEOUT.
    let flags = select(&["0", "1", "2", "4", "5", "6"][..]);
    let rename_by = (path(), path(), flags).prop_map(|(from, to, flags)| {
        format!("may w:{from},w:{to} renameat2 -100 path:{from} -100 path:{to} {flags}")
    });
    let link =
        (path(), path()).prop_map(|(from, to)| format!("may o:{from},w:{to} link path:{from} path:{to}"));
    let link_open = (descriptor(), path(), any::<bool>()).prop_map(|(fd, path, empty)| {
        if empty {
            format!("may E:,O:{fd},w:{path} linkat {fd} path: -100 path:{path} 0x1000")
        } else {
            format!("may O:{fd},w:{path} linkat -100 path:/proc/thread-self/fd/{fd} -100 path:{path} 0x400")
        }
    });
    let unlink = path().prop_map(|path| format!("may w:{path} unlink path:{path}"));
    let rmdir = select(DIRECTORIES).prop_map(|path| format!("may w:{path} rmdir path:{path}"));
    prop_oneof![3 => rename, 3 => rename_by, 3 => link, 1 => link_open, 4 => unlink, 1 => rmdir].boxed()
}

/// Looking by the task itself.
fn looking() -> BoxedStrategy<String> {
    let by_path = (path(), select(&["stat", "lstat"][..]))
        .prop_map(|(path, how)| format!("may w:{path} stat {path} {how}"));
    let by_descriptor = (descriptor(), select(&["fstat", "statat", "statx"][..]))
        .prop_map(|(fd, how)| format!("stat {fd} {how}"));
    let entries = select(&[".", "d", "e", "d/s"][..]).prop_map(|path| format!("may f:{path} entries {path}"));
    prop_oneof![1 => by_path, 2 => by_descriptor, 1 => entries].boxed()
}

/// One step.
pub fn step() -> BoxedStrategy<Step> {
    let one = |call: BoxedStrategy<String>| call.prop_map(|call| Act::Calls(vec![call]));
    let spawn = select(&["fork", "thread", "fork"][..]).prop_map(Act::Spawn);
    let act = prop_oneof![
        8 => one(metadata()), 4 => one(contents()), 8 => one(making()), 6 => one(moving()), 2 => one(looking()),
        4 => attributes().prop_map(Act::Calls),
        4 => become_another().prop_map(Act::Calls), 2 => spawn, 1 => Just(Act::Exit),
    ];
    (any::<u8>(), act).boxed()
}

/// Turns steps into a script. What they did is listed after each of them, or only where a sequence ends.
pub fn render(steps: &[Step], ground: Ground, listed: bool) -> String {
    let mut cast = Cast::new();
    let list = format!("list{} {}\n", ground.list(), NAMES.join(" "));
    let mut script = "t0 mkdir path:d 0x1ff\nt0 mkdir path:e 0x5ff\n".to_owned() + &list;
    for (selector, act) in steps {
        let Some(actor) = cast.choose(*selector) else { break };
        match act {
            // A file that was copied up has another number through a new name (see `ownership`).
            Act::Calls(calls) if ground == Ground::Layers && calls[0].contains(" link") => continue,
            Act::Calls(calls) => calls.iter().for_each(|call| script.push_str(&format!("t{actor} {call}\n"))),
            Act::Spawn(how) => match cast.spawn(actor, how) {
                Some(child) => script.push_str(&format!("t{actor} {how} t{child}\n")),
                None => continue,
            },
            Act::Exit => {
                cast.end(actor, false);
                script.push_str(&format!("t{actor} exit\n"));
            }
        }
        if listed {
            script.push_str(&list);
        }
    }
    script
}
