//! exec: other threads vanish, the address space is new, credentials follow the file.

use std::ffi::{CStr, CString};
use std::sync::Arc;

use super::tracee::Tracee;
use super::{Shared, Worker};
use crate::abi::stat::Statx;
use crate::cred::{Credentials, ExecFile, Execed};
use crate::ownership::{Attributes, Identity, Inode, Kernel};
use crate::ptrace::{self, EventStop, Traced, memory};
use crate::sys::{self, Tid, files};

/// Entries of the auxiliary vector that speak of credentials (getauxval(3)).
const AT_NULL: u64 = 0;
const AT_UID: u64 = 11;
const AT_EUID: u64 = 12;
const AT_GID: u64 = 13;
const AT_EGID: u64 = 14;
const AT_SECURE: u64 = 23;

/// The most that is read of a new stack in search of its auxiliary vector: the kernel allows
/// arguments and environment of a quarter of the stack limit; pointers to them are a fraction.
const STACK_LIMIT: usize = 4 << 20;

impl Worker {
    /// A task has a new image; its id is now that of its thread group.
    pub(super) fn exec(&mut self, stop: EventStop) -> Traced<()> {
        let tgid = stop.tid();
        let is_alone = self.groups.get(&tgid).is_some_and(|group| group.threads == 1);
        let former = if is_alone && self.tracees.contains_key(&tgid) { tgid } else { stop.message()? as Tid };
        self.outlive_threads(tgid, former);
        let Some(old) = self.tracees.get(&tgid).map(|tracee| Arc::clone(&tracee.credentials)) else {
            return stop.resume(false);
        };
        let image = self.look_at_image(tgid, &old);
        let program = image.as_ref().map(|(inode, _)| *inode);
        if let Some(group) = self.groups.get_mut(&tgid) {
            group.image = program;
        }
        self.tell_listeners(tgid);
        let unchanged = || Execed { credentials: Credentials::clone(&old), secure: false };
        let execed = image.and_then(|(_, file)| old.exec(&file).ok());
        let Execed { credentials, secure } = execed.unwrap_or_else(unchanged);
        if self.shared.needs_identity(&credentials)
            && let Some(tracee) = self.tracees.get_mut(&tgid)
        {
            tracee.want_identity();
        }
        if credentials != *old {
            self.publish(tgid, Arc::new(credentials.clone()));
        }
        self.tell_exec(tgid, &old);
        if secure || self.shared.needs_identity(&credentials) {
            self.tell_auxv(&stop, &credentials, secure)?;
        }
        self.arrive(&stop, program)?;
        let to_syscall = self.settle(tgid)?;
        stop.resume(to_syscall)
    }

    /// The thread `former` takes over its group; the others are gone without a word.
    fn outlive_threads(&mut self, tgid: Tid, former: Tid) {
        if former != tgid
            && let Some(tracee) = self.tracees.remove(&former)
        {
            self.forget(former);
            self.shared.sights.forget(tgid);
            self.shared.registry.publish(tgid, Arc::clone(&tracee.credentials));
            self.insert(tgid, tracee);
        }
        let gone: Vec<(Tid, Tracee)> =
            self.tracees.extract_if(|&tid, tracee| tracee.tgid == tgid && tid != tgid).collect();
        for (tid, tracee) in gone {
            self.tell_vanished(tid, tgid);
            self.forget(tid);
            self.last_dead = Some(tracee);
        }
        self.adopt_orphans(tgid);
        if let Some(tracee) = self.tracees.get_mut(&tgid) {
            (tracee.pending, tracee.noted) = (None, None);
        }
        if let Some(group) = self.groups.get_mut(&tgid) {
            group.threads = 1;
            group.leave_image();
        }
    }

    /// The file whose image runs, as the guest sees it. While nothing ever changed nobody needs to know.
    fn look_at_image(&mut self, tgid: Tid, old: &Arc<Credentials>) -> Option<(Inode, ExecFile)> {
        if **old == self.shared.view.initial && self.shared.ownership.is_empty() {
            return None;
        }
        let path = CString::new(format!("/proc/{tgid}/exe")).ok()?;
        if self.shared.sights.is_answered_at(tgid, &path) {
            return image(&self.shared, &path, old);
        }
        let old = Arc::clone(old);
        self.aside(tgid, move |shared| image(shared, &path, &old))?
    }

    /// Writes the ids into the auxiliary vector on the new stack, where ld.so looks for them.
    fn tell_auxv(&self, stop: &EventStop, credentials: &Credentials, secure: bool) -> Traced<()> {
        let (top, word) = ptrace::stack_pointer(&stop.registers()?);
        let Some((address, vector)) = find_auxv(stop.tid(), top, word) else { return Ok(()) };
        for (index, (kind, old)) in vector.into_iter().enumerate() {
            let new = match kind {
                AT_UID => u64::from(credentials.uid.0),
                AT_EUID => u64::from(credentials.euid.0),
                AT_GID => u64::from(credentials.gid.0),
                AT_EGID => u64::from(credentials.egid.0),
                AT_SECURE => u64::from(secure),
                _ => old,
            };
            if new != old {
                let at = address + ((2 * index + 1) * word) as u64;
                let bytes = new.to_le_bytes();
                memory::write(stop.tid(), at, bytes.get(..word).unwrap_or(&bytes));
            }
        }
        Ok(())
    }
}

/// The file at a path of the tracer's, as exec sees it.
fn image(shared: &Shared, path: &CStr, old: &Credentials) -> Option<(Inode, ExecFile)> {
    let file = Statx::parse(&files::describe(path, true).ok()?);
    let kernel = Kernel { uid: file.uid, gid: file.gid, mode: file.mode };
    let (ownership, identity) = (&shared.ownership, Identity::of(&file));
    ownership.meet(&file, &shared.view);
    ownership.recall(path, identity, file.ctime, (kernel, &shared.view));
    let fact = ownership.confirm(identity, file.ctime);
    let seen = Attributes::seen(kernel, &shared.view, fact);
    let heeds_caps = old.heeds_file_caps(seen.mode & 0o7777);
    let caps = if heeds_caps { ownership.file_caps_at(path, identity) } else { None };
    let privileged = seen.mode & 0o6000 != 0 || caps.is_some();
    let nosuid = privileged && sys::process::is_nosuid(path).unwrap_or(false);
    let file = ExecFile { uid: seen.uid, gid: seen.gid, mode: seen.mode & 0o7777, nosuid, caps };
    Some((identity.inode(), file))
}

/// Address and entries of the auxiliary vector: it follows argc, argv and envp on a new stack.
fn find_auxv(tid: Tid, top: u64, word: usize) -> Option<(u64, Vec<(u64, u64)>)> {
    let mut words = Words { tid, next: top, word, buffer: Vec::new(), limit: STACK_LIMIT };
    let argc = words.next()?;
    for _ in 0..=argc {
        words.next()?;
    }
    while words.next()? != 0 {}
    let address = words.position();
    let mut vector = Vec::new();
    loop {
        let (kind, value) = (words.next()?, words.next()?);
        if kind == AT_NULL {
            return Some((address, vector));
        }
        vector.push((kind, value));
    }
}

/// The words of a tracee's stack, read in pieces.
struct Words {
    tid: Tid,
    /// Where the next piece starts.
    next: u64,
    word: usize,
    /// What is left of the piece that was read, backwards.
    buffer: Vec<u64>,
    limit: usize,
}

impl Words {
    /// The address of the word that comes next.
    fn position(&self) -> u64 {
        self.next - (self.buffer.len() * self.word) as u64
    }
}

impl Iterator for Words {
    type Item = u64;

    fn next(&mut self) -> Option<u64> {
        if self.buffer.is_empty() {
            // Up to the end of the page: the stack may end there.
            let length = 4096 - (self.next & 4095) as usize;
            self.limit = self.limit.checked_sub(length)?;
            let mut piece = vec![0; length];
            if !memory::read(self.tid, self.next, &mut piece) {
                return None;
            }
            self.next += length as u64;
            let value = |bytes: &[u8]| {
                let mut wide = [0; 8];
                for (to, from) in wide.iter_mut().zip(bytes) {
                    *to = *from;
                }
                u64::from_le_bytes(wide)
            };
            self.buffer = piece.chunks_exact(self.word).map(value).rev().collect();
        }
        self.buffer.pop()
    }
}
