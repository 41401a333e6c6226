//! By which placeholder a device was opened.
//!
//! On real Linux a descriptor of a device tells of the node that it was opened by; programs compare that with
//! what they had found (cp, tar). What a guest has in place of a placeholder is the container's own device, and
//! goes to any descriptor of any process. One thing stands on what is open that a tracer can write and nobody
//! misses: the signal that it sends when it is ready (`F_SETSIG`). The devices of memory (null, zero, full,
//! random, urandom) never send one; there it is the number of the placeholder. `F_GETSIG` shows it.
//!
//! The placeholder is looked at again by the path that it had. Where it is not there any more, or the path is
//! another mount namespace's, it is told as it was when it was opened.

use std::ffi::CString;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;

use parking_lot::Mutex;

use crate::abi::DeviceNumber;
use crate::abi::stat::{S_IFCHR, S_IFMT, Statx};
use crate::ownership::Identity;
use crate::sys::{self, Tid, files};
use crate::syscalls::Look;

/// The devices of memory (Documentation/admin-guide/devices.txt).
const MEMORY: u32 = 1;
/// How many signals there are. The placeholders beyond are not told apart from the device.
const MOST: usize = 64;

/// The placeholders by which something was opened.
#[derive(Debug, Default)]
pub struct Labels(Mutex<Vec<Placeholder>>);

#[derive(Debug, Clone)]
struct Placeholder {
    identity: Identity,
    /// In the tracer's view.
    path: CString,
    found: [u8; Statx::SIZE],
}

impl Labels {
    /// A label for the placeholder that is open at a descriptor.
    pub fn of(&self, open: &CString) -> Option<u8> {
        let found = sys::process::statx(open).ok()?;
        let identity = Identity::of(&Statx::parse(&found));
        let path = std::fs::read_link(open.to_str().ok()?).ok()?;
        let path = CString::new(path.into_os_string().into_vec()).ok()?;
        let placeholder = Placeholder { identity, path, found };
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
        let found = Statx::parse(&sys::process::statx(open).ok()?);
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
        let again = || {
            let inode = files::name(files::CWD, &placeholder.path, false, 0).ok()?;
            let whole = files::statx_of(inode.as_fd(), 0, Statx::MASK).ok()?;
            let same = Identity::of(&Statx::parse(&whole)) == placeholder.identity;
            let found = files::statx_of(inode.as_fd(), look.flags as i32, look.mask).ok()?;
            same.then_some((found, Some(inode)))
        };
        Some(again().unwrap_or((placeholder.found, None)))
    }
}

fn is_memory(found: &Statx) -> bool {
    found.mode & S_IFMT == S_IFCHR && DeviceNumber::decode(found.rdev).major == MEMORY
}
