//! What lists of mounts (`/proc/PID/mounts` and `mountinfo`) say of filesystems that were mounted with ids which the
//! namespace lacks: the ids that were given, where the kernel was told root's.
//!
//! fusermount3(1) lets a user unmount what such a list says is mounted by the user (`user_id=`). So the first FUSE filesystem or
//! tmpfs with such ids raises [`Stage::Reading`] everywhere. A task that opens a list to read gets a file of memory in its
//! place, if the list names such a filesystem. As long as there is none nothing stops. A terminal's group alone (`gid=` of
//! a devpts, in every container) raises nothing.
//!
//! What differs from real Linux: such a file does not tell by poll(2) that mounts have changed. epoll(7) is given the list
//! of the kernel's instead ([`watched`]).

use parking_lot::Mutex;

use super::inode::{self, AT_FDCWD};
use super::mount::TMPFS;
use super::{Guest, Stage, Test, Verdict, device, kernel};
use crate::abi::{DeviceNumber, Errno};
use crate::cred::{Gid, Uid};

/// `EPOLL_CTL_ADD`.
const ADD: u32 = 1;
const O_CLOEXEC: u64 = 0o2_000_000;
const O_NONBLOCK: u64 = 0o4000;
const O_NOCTTY: u64 = 0o400;

/// Stops of epoll_ctl(epoll, operation, descriptor, event).
pub const WATCH_STOPS: &[(Stage, Test)] = &[(Stage::Reading, Test::AnyOf { arg: 1, values: &[ADD] })];

/// How the name of a list's copy begins in `/proc/PID/fd`; the path of the list follows.
pub const COPY: &str = "mounts of ";

/// The filesystems that were mounted with ids which the namespace lacks.
#[derive(Debug, Default)]
pub struct Mounted(Mutex<Vec<Given>>);

/// Whose a filesystem is, as its options said.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Given {
    /// Its device number as in `mountinfo`.
    device: String,
    is_tmpfs: bool,
    uid: Option<Uid>,
    gid: Option<Gid>,
    /// Its type, where a process serves it that is not told of owners.
    deaf: Option<String>,
}

/// A list of mounts that a task has opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Listed {
    /// What stands there.
    pub text: String,
    /// The same mounts as `mountinfo` has them, where that is another list.
    pub info: Option<String>,
}

impl Mounted {
    /// So many at once.
    const MOST: usize = 1024;

    /// Whether there are any.
    pub fn any(&self) -> bool {
        self.0.lock().iter().any(|given| given.uid.is_some() || given.gid.is_some())
    }

    /// The list with the ids that were given; `None` where that is no other.
    fn rewrite(&self, listed: &Listed) -> Option<String> {
        let given = self.0.lock();
        let mut infos = listed.info.as_deref().map(str::lines);
        let lines = listed.text.split_inclusive('\n').map(|line| match infos.as_mut() {
            None => row(line).and_then(|row| of(&given, &row)?.in_info(line)),
            // The same mounts in the same order, unless one came or went meanwhile.
            Some(infos) => {
                let same = infos.clone().position(|info| row(info).is_some_and(|row| row.is(line)));
                let info = same.and_then(|index| infos.nth(index));
                info.and_then(row).and_then(|row| of(&given, &row)?.in_mounts(line))
            }
        });
        let lines: Vec<Option<String>> = lines.collect();
        if lines.iter().all(Option::is_none) {
            return None;
        }
        let olds = listed.text.split_inclusive('\n');
        Some(olds.zip(lines).map(|(old, new)| new.unwrap_or_else(|| old.to_owned())).collect())
    }
}

/// A line of `mountinfo`.
struct Row<'a> {
    device: &'a str,
    at: &'a str,
    kind: &'a str,
    source: &'a str,
}

fn row(line: &str) -> Option<Row<'_>> {
    let (mount, filesystem) = line.split_once(" - ")?;
    let (mut words, mut rest) = (mount.split(' ').skip(2), filesystem.split(' '));
    let (device, at) = (words.next()?, words.nth(1)?);
    Some(Row { device, at, kind: rest.next()?, source: rest.next()? })
}

impl Row<'_> {
    /// Whether a line of `mounts` is about this mount.
    fn is(&self, line: &str) -> bool {
        let mut words = line.split(' ');
        [self.source, self.at, self.kind].into_iter().all(|word| words.next() == Some(word))
    }
}

fn of<'a>(all: &'a [Given], row: &Row<'_>) -> Option<&'a Given> {
    let is_kind = |given: &&Given| given.device == row.device && given.is_tmpfs == (row.kind == "tmpfs");
    all.iter().find(is_kind)
}

impl Given {
    /// A line of `mountinfo` that is about it: its options are the last word.
    fn in_info(&self, line: &str) -> Option<String> {
        let (head, options) = line.trim_end_matches('\n').rsplit_once(' ')?;
        Some(format!("{head} {}\n", self.among(options)))
    }

    /// The same of `mounts`: two numbers follow.
    fn in_mounts(&self, line: &str) -> Option<String> {
        let mut words: Vec<String> = line.split(' ').map(str::to_owned).collect();
        let options = words.get_mut(3)?;
        *options = self.among(options);
        Some(words.join(" "))
    }

    /// Options as the kernel shows them, with the ids that were given.
    fn among(&self, options: &str) -> String {
        let mut words: Vec<String> = options.split(',').map(str::to_owned).collect();
        let ids = [
            (["uid", "user_id"], self.uid.map(|Uid(id)| id)),
            (["gid", "group_id"], self.gid.map(|Gid(id)| id)),
        ];
        for (names, id) in ids {
            let key = |word: &str| word.split_once('=').map(|(key, _)| key.to_owned());
            let at = words.iter().position(|word| key(word).is_some_and(|key| names.contains(&&*key)));
            match (at, id) {
                (Some(at), Some(id)) => {
                    let shown = words.get(at).and_then(|word| key(word)).map(|key| format!("{key}={id}"));
                    words.splice(at..=at, shown);
                }
                // Of a tmpfs the kernel shows only who is not the machine's root.
                (Some(at), None) if self.is_tmpfs => drop(words.remove(at)),
                (None, Some(id)) if self.is_tmpfs => {
                    let before = ["size", "nr_inodes", "mode", "uid"];
                    let last =
                        words.iter().rposition(|word| key(word).is_some_and(|key| before.contains(&&*key)));
                    let [name, _] = names;
                    words.insert(last.map_or(words.len(), |last| last + 1), format!("{name}={id}"));
                }
                _ => {}
            }
        }
        words.join(",")
    }
}

/// Whether mounts of this type are to be [noted](note).
pub fn matters(guest: &dyn Guest, kind: &[u8]) -> bool {
    is_fuse(kind) || !guest.mounted().0.lock().is_empty()
}

fn is_fuse(kind: &[u8]) -> bool {
    kind == b"fuse" || kind == b"fuseblk" || kind.starts_with(b"fuse.")
}

/// The task has mounted a filesystem of this type, of which this is open if it was not mounted anywhere yet: it
/// belongs to these, or to whom the kernel says.
pub fn note(guest: &mut dyn Guest, open: Option<u64>, kind: &[u8], uid: Option<Uid>, gid: Option<Gid>) {
    let is_given = uid.is_some() || gid.is_some();
    if !is_given && !matters(guest, kind) {
        return;
    }
    let Some(device) = guest.filesystem(open) else { return };
    let is_deaf = is_fuse(kind);
    let deaf = is_deaf.then(|| String::from_utf8_lossy(kind).into_owned());
    let mut all = guest.mounted().0.lock();
    // Another had the number earlier.
    all.retain(|given| given.device != device);
    if !is_given && !is_deaf || all.len() >= Mounted::MOST {
        return;
    }
    let is_tmpfs = kind == TMPFS;
    all.push(Given { device, is_tmpfs, uid, gid, deaf });
    drop(all);
    if is_deaf {
        guest.ownership().await_unheard();
    }
    if is_given && (is_tmpfs || is_fuse(kind)) {
        guest.raise_for_all(Stage::Reading);
    }
}

/// An owner, or a device, is remembered of an inode on this filesystem. The first that should pass a FUSE server and cannot is
/// said.
pub fn given(guest: &dyn Guest, device: u64) {
    if !guest.ownership().awaits_unheard() {
        return;
    }
    let DeviceNumber { major, minor } = DeviceNumber::decode(device as u32);
    let number = format!("{major}:{minor}");
    let deaf = |given: &Given| given.deaf.clone().filter(|_| given.device == number);
    // Nobody waits for this lock while a sentence is written.
    let kind = guest.mounted().0.lock().iter().find_map(deaf);
    let Some(kind) = kind else { return };
    guest.ownership().say_unheard(&format!(
        "owners do not pass the FUSE server inside ({kind}): what is given away there is stored as root's, \
         and what others own is shown as root's and cannot be written"
    ));
}

/// The task has opened something: if that is a list which should say something else, a file that says it takes its place.
pub fn opened(guest: &mut dyn Guest, descriptor: u64) -> Result<(), Errno> {
    if !guest.mounted().any() {
        return Ok(());
    }
    let Some(listed) = guest.listed(descriptor) else { return Ok(()) };
    let Some(text) = guest.mounted().rewrite(&listed) else { return Ok(()) };
    let copy = device::borrow(guest, |guest, socket| guest.send_list(socket, descriptor, &text))?;
    put(guest, copy, descriptor)
}

/// Puts what is open at one descriptor in the place of another.
fn put(guest: &mut dyn Guest, new: u64, descriptor: u64) -> Result<(), Errno> {
    const F_GETFD: u64 = 1;
    const FD_CLOEXEC: u64 = 1;
    let flags = guest.inject(&kernel::FCNTL, [descriptor, F_GETFD, 0, 0, 0, 0]);
    let how = |flags| if flags & FD_CLOEXEC != 0 { O_CLOEXEC } else { 0 };
    let placed = flags.and_then(|flags| guest.inject(&kernel::DUP3, [new, descriptor, how(flags), 0, 0, 0]));
    guest.inject(&kernel::CLOSE, [new, 0, 0, 0, 0, 0])?;
    placed.map(drop)
}

/// epoll_ctl(2) that adds a descriptor: a file of memory cannot be waited for, the list itself can.
pub fn watched(guest: &mut dyn Guest) -> Verdict {
    let descriptor = guest.call().arg(2);
    // Anybody may name a file of memory as a copy is named, so that the path may be of a FIFO or a terminal.
    const CAREFULLY: u64 = O_CLOEXEC | O_NONBLOCK | O_NOCTTY;
    if guest.mounted().any()
        && let Some(path) = guest.copied_list(descriptor)
        && let Some(inode::Place::Path { directory, path, .. }) =
            inode::place_in_scratch(guest, AT_FDCWD, &path, 0)
        && let Ok(opened) = guest.inject(&kernel::OPENAT, [directory, path, CAREFULLY, 0, 0, 0])
    {
        // What cannot be had stays as it is.
        let _ = match guest.listed(opened) {
            Some(_) => put(guest, opened, descriptor),
            None => guest.inject(&kernel::CLOSE, [opened, 0, 0, 0, 0, 0]).map(drop),
        };
    }
    Verdict::Run
}

#[cfg(test)]
mod tests {
    use super::*;

    fn given(device: &str, is_tmpfs: bool, uid: Option<u32>, gid: Option<u32>) -> Given {
        Given { device: device.to_owned(), is_tmpfs, uid: uid.map(Uid), gid: gid.map(Gid), deaf: None }
    }

    fn mounted(all: Vec<Given>) -> Mounted {
        Mounted(Mutex::new(all))
    }

    const INFO: &str = "36 35 0:50 / /m rw,nosuid shared:2 - fuse.x i rw,user_id=0,group_id=0\n\
                        37 35 0:51 / /t rw - tmpfs none rw,size=4k,mode=750,uid=1003,gid=1003,inode64\n\
                        38 35 0:52 / /t rw - tmpfs none rw,uid=1003,gid=1003\n";
    const MOUNTS: &str = "i /m fuse.x rw,nosuid,user_id=0,group_id=0 0 0\n\
                          none /t tmpfs rw,size=4k,mode=750,uid=1003,gid=1003,inode64 0 0\n\
                          none /t tmpfs rw,uid=1003,gid=1003 0 0\n";

    #[test]
    fn both_lists_say_the_ids_that_were_given_and_nothing_else_changes() {
        let mounted =
            mounted(vec![given("0:50", false, Some(1), Some(2)), given("0:52", true, Some(33), None)]);
        let info = Listed { text: INFO.to_owned(), info: None };
        let rewritten = INFO
            .replace("user_id=0,group_id=0", "user_id=1,group_id=2")
            .replace("none rw,uid=1003,gid=1003\n", "none rw,uid=33\n");
        assert_eq!(mounted.rewrite(&info).as_deref(), Some(&*rewritten));
        let mounts = Listed { text: MOUNTS.to_owned(), info: Some(INFO.to_owned()) };
        let rewritten = MOUNTS
            .replace("user_id=0,group_id=0", "user_id=1,group_id=2")
            .replace("rw,uid=1003,gid=1003 ", "rw,uid=33 ");
        assert_eq!(mounted.rewrite(&mounts).as_deref(), Some(&*rewritten));
    }

    #[test]
    fn a_list_of_other_filesystems_stays_the_kernels() {
        let mounted = mounted(vec![given("0:77", false, Some(1), None), given("0:50", true, Some(1), None)]);
        assert_eq!(mounted.rewrite(&Listed { text: INFO.to_owned(), info: None }), None);
        assert_eq!(
            mounted.rewrite(&Listed { text: MOUNTS.to_owned(), info: Some(String::new()) }),
            None,
            "nothing is known of them"
        );
    }

    #[test]
    fn an_id_that_the_kernel_does_not_show_stands_where_it_would() {
        let options = given("0:1", true, Some(3), Some(4)).among("rw,size=4k,mode=750,inode64");
        assert_eq!(options, "rw,size=4k,mode=750,uid=3,gid=4,inode64");
        assert_eq!(given("0:1", false, None, Some(5)).among("rw,gid=1003,mode=620"), "rw,gid=5,mode=620");
    }
}
