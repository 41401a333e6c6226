//! By which placeholder a device was opened.
//!
//! On real Linux a descriptor of a device tells of the node that it was opened by; programs compare that with
//! what they had found (cp, tar). What a guest has in place of a placeholder is the container's own device, and
//! goes to any descriptor of any process. One thing stands on what is open that a tracer can write and nobody
//! misses: the signal that it sends when it is ready (`F_SETSIG`). The devices of memory (null, zero, full,
//! random, urandom) never send one; there it is the number of the placeholder. `F_GETSIG` shows it.
//!
//! The placeholder is looked at again by the path that it had, below the task's root and in the tracer's
//! view. Where it is not there any more it is told as it was when it was opened.

use std::ffi::CString;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use parking_lot::Mutex;

use crate::abi::stat::Statx;
use crate::ownership::{Device, Identity};
use crate::sys::{self, Tid, files};
use crate::syscalls::Look;

/// How many signals there are. The placeholders beyond are not told apart from the device.
const MOST: usize = 64;

/// The placeholders by which something was opened.
#[derive(Debug, Default)]
pub struct Labels(Mutex<Vec<Placeholder>>);

#[derive(Debug, Clone)]
struct Placeholder {
    identity: Identity,
    /// Where it was in the tracer's view.
    path: CString,
    /// Where it was below the root of the task that opened it, if it was.
    inside: Option<CString>,
    found: [u8; Statx::SIZE],
}

impl Labels {
    /// A label for the placeholder that is open at a descriptor.
    pub fn of(&self, tid: Tid, open: &CString) -> Option<u8> {
        let found = files::describe(open, true).ok()?;
        let identity = Identity::of(&Statx::parse(&found));
        let spelled = |path: &Path| CString::new(path.as_os_str().as_bytes()).ok();
        let path = std::fs::read_link(open.to_str().ok()?).ok()?;
        let root = std::fs::read_link(root_of(tid)).ok()?;
        let inside = path.strip_prefix(root).ok().and_then(spelled);
        let placeholder = Placeholder { identity, path: spelled(&path)?, inside, found };
        let mut all = self.0.lock();
        let index = all.iter().position(|known| known.identity == identity).unwrap_or(all.len());
        match all.get_mut(index) {
            Some(known) => *known = placeholder,
            None if index < MOST => all.push(placeholder),
            None => return None,
        }
        u8::try_from(index + 1).ok()
    }

    /// Puts a label on what `tid` has open at a descriptor, if it is a device that can bear it.
    pub fn stick(&self, tid: Tid, open: &CString, descriptor: i32, label: u8) -> Option<()> {
        let found = Statx::parse(&files::describe(open, true).ok()?);
        let task = is_memory(&found).then(|| sys::descriptor::open_task(tid).ok())??;
        let open = sys::descriptor::take(&task, descriptor).ok()?;
        sys::descriptor::set_signal(&open, label.into()).ok()
    }

    /// The placeholder by which a device was opened that `look` has found at a descriptor: what statx(2) tells,
    /// and the inode while it can be reached.
    pub fn read(
        &self,
        tid: Tid,
        look: &Look<'_>,
        found: &[u8; Statx::SIZE],
    ) -> Option<([u8; Statx::SIZE], Option<OwnedFd>)> {
        if look.path.is_some() || self.0.lock().is_empty() || !is_memory(&Statx::parse(found)) {
            return None;
        }
        let task = sys::descriptor::open_task(tid).ok()?;
        let open = sys::descriptor::take(&task, look.directory as i32).ok()?;
        let label = usize::try_from(sys::descriptor::signal(&open).ok()?).ok()?;
        let placeholder = self.0.lock().get(label.checked_sub(1)?)?.clone();
        match placeholder.again(tid) {
            Some(inode) => {
                Some((files::statx_of(inode.as_fd(), look.flags as i32, look.mask).ok()?, Some(inode)))
            }
            None => Some((placeholder.found, None)),
        }
    }
}

impl Placeholder {
    /// Looks where it was: below the root of `tid`, and in the tracer's view.
    fn again(&self, tid: Tid) -> Option<OwnedFd> {
        let is_same = |inode: &OwnedFd| {
            let found = files::statx_of(inode.as_fd(), 0, Statx::MASK);
            found.is_ok_and(|found| Identity::of(&Statx::parse(&found)) == self.identity)
        };
        let inside = || {
            let root = files::name(files::CWD, &CString::new(root_of(tid)).ok()?, true, 0).ok()?;
            files::name(root.as_raw_fd(), self.inside.as_ref()?, false, files::NO_LINKS).ok().filter(is_same)
        };
        inside().or_else(|| files::name(files::CWD, &self.path, false, 0).ok().filter(is_same))
    }
}

/// A task's root, as a path.
fn root_of(tid: Tid) -> String {
    format!("/proc/{tid}/root")
}

fn is_memory(found: &Statx) -> bool {
    Device::of(found.mode, found.rdev).is_some_and(Device::is_memory)
}
