//! What is seen from outside of the inodes that a task's call names, as long as its handler runs.
//!
//! It is the same whether the task is stopped or waits for a listener: nothing here makes it do anything.

use std::cell::RefCell;
use std::ffi::{CStr, CString};
use std::io::Read;
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};

use super::Shared;
use super::mounts::Kind;
use super::sight::{self, Found};
use crate::abi::stat::{S_IFMT, S_IFREG, Statx};
use crate::abi::{DeviceNumber, Errno};
use crate::ownership::{Identity, Kernel};
use crate::sys::{self, Tid, files};
use crate::syscalls::inode::Place;
use crate::syscalls::{Look, Share};

/// `AT_SYMLINK_NOFOLLOW` and `AT_NO_AUTOMOUNT`.
const NO_FOLLOW: i32 = 0x900;
/// The longest path with its NUL.
const PATH_MAX: u64 = 4096;

/// What was looked at for one call.
#[derive(Debug)]
pub struct Eyes {
    tid: Tid,
    /// Whether it may wait for a filesystem that a tracee serves.
    may_wait: bool,
    /// What was looked at, until something happens that may make the place mean another inode.
    seen: RefCell<Vec<(Place, Sighted)>>,
    /// What was open in the task.
    fetched: RefCell<Vec<OwnedFd>>,
    /// What was observed last.
    held: RefCell<Option<(u64, OwnedFd)>>,
    /// Where a device is open, and the placeholder was seen by which it was opened.
    stand_ins: Vec<Place>,
}

/// An inode that was looked at.
#[derive(Debug)]
enum Sighted {
    /// And is open.
    Open(OwnedFd),
    /// And can be opened.
    Found(Box<[u8; Statx::SIZE]>, Found),
}

impl Eyes {
    /// Nothing was looked at for `tid` yet, by who may wait for a filesystem that a tracee serves, or may not.
    pub fn of(tid: Tid, may_wait: bool) -> Eyes {
        Eyes {
            tid,
            may_wait,
            seen: RefCell::default(),
            fetched: RefCell::default(),
            held: RefCell::default(),
            stand_ins: Vec::new(),
        }
    }

    /// See [`Guest::sight`](crate::syscalls::Guest::sight).
    pub fn sight(&mut self, shared: &Shared, look: &Look<'_>) -> Option<Result<[u8; Statx::SIZE], Errno>> {
        if let Some(told) = self.opened(look) {
            return Some(Ok(told));
        }
        let outcome = shared.sights.look(self.tid, look, self.may_wait)?;
        Some(outcome.map(|(bytes, inode)| {
            let by_placeholder = shared.labels.read(self.tid, look, &bytes);
            self.stand_ins.extend(by_placeholder.as_ref().map(|_| look.place));
            let seen = self.seen.get_mut();
            seen.retain(|(place, _)| *place != look.place);
            match by_placeholder {
                None => {
                    seen.push((look.place, Sighted::Found(Box::new(bytes), inode)));
                    bytes
                }
                Some((bytes, inode)) => {
                    seen.extend(inode.map(|inode| (look.place, Sighted::Open(inode))));
                    bytes
                }
            }
        }))
    }

    /// The same of what was opened for this call: that is asked itself.
    fn opened(&mut self, look: &Look<'_>) -> Option<[u8; Statx::SIZE]> {
        let is_it = |(place, _): &&(Place, Sighted)| *place == look.place;
        match self.seen.get_mut().iter().find(is_it)? {
            (place, Sighted::Open(open)) if !self.stand_ins.contains(place) => sight::of(open.as_fd(), look),
            _ => None,
        }
    }

    /// See [`Guest::seen`](crate::syscalls::Guest::seen).
    pub fn seen(&self, place: Place) -> Option<CString> {
        let mut all = self.seen.borrow_mut();
        let index = all.iter().position(|(seen, _)| *seen == place)?;
        let open = match all.swap_remove(index).1 {
            Sighted::Open(open) => open,
            Sighted::Found(told, found) => found.open(&told)?,
        };
        let path = CString::new(format!("/proc/self/fd/{}", open.as_raw_fd())).ok();
        all.push((place, Sighted::Open(open)));
        path
    }

    /// See [`Guest::make`](crate::syscalls::Guest::make).
    pub fn make(&self, place: Place, share: Share) -> Option<Result<(), Errno>> {
        if self.stands_in(place) {
            return None; // the descriptor is the device's
        }
        self.seen(place)?;
        let all = self.seen.borrow();
        let (_, Sighted::Open(open)) = all.iter().find(|(seen, _)| *seen == place)? else { return None };
        let may_be_path = !matches!(place, Place::Descriptor(_));
        let outcome = match share {
            Share::Owner(ids) => files::set_owner(open.as_fd(), ids, may_be_path),
            Share::Mode(mode) => files::set_mode(open.as_fd(), mode, may_be_path),
        };
        Some(outcome.map_err(|errno| Errno(errno as i32)))
    }

    /// See [`Guest::stands_in`](crate::syscalls::Guest::stands_in).
    pub fn stands_in(&self, place: Place) -> bool {
        self.stand_ins.contains(&place)
    }

    /// The places may mean other inodes from now on.
    pub fn close(&mut self) {
        self.seen.get_mut().clear();
    }

    /// So many bytes of the task's memory are written: a path may have stood there.
    pub fn overwritten(&mut self, address: u64, length: usize) {
        self.seen.get_mut().retain(|(place, _)| match *place {
            Place::Descriptor(_) => true,
            Place::Path { path, .. } | Place::Parent { path, .. } => {
                path >= address.saturating_add(length as u64) || address >= path.saturating_add(PATH_MAX)
            }
        });
    }

    /// See [`Guest::open_file`](crate::syscalls::Guest::open_file).
    pub fn open_file(&self, shared: &Shared, descriptor: u64) -> Option<CString> {
        if !self.may_wait && !shared.sights.is_answered(self.tid, descriptor) {
            return None;
        }
        let path = match shared.has_proc {
            true => format!("/proc/{}/fd/{}", self.tid, descriptor as i32),
            false => format!("/proc/self/fd/{}", self.fetch(descriptor)?),
        };
        CString::new(path).ok()
    }

    /// Gets what is open at a descriptor for the tracer too, as long as the handler runs.
    fn fetch(&self, descriptor: u64) -> Option<RawFd> {
        let task = sys::descriptor::open_task(self.tid).ok()?;
        let open = sys::descriptor::take(&task, descriptor as RawFd).ok()?;
        let number = open.as_raw_fd();
        self.fetched.borrow_mut().push(open);
        Some(number)
    }

    /// See [`Guest::observe`](crate::syscalls::Guest::observe). Of a name in a directory that can stand for nothing, since
    /// it is not empty, no home is read: there are thousands in some.
    pub fn observe(&self, shared: &Shared, descriptor: u64, name: &[u8]) -> Result<Statx, Errno> {
        if !self.may_wait && !shared.sights.is_answered(self.tid, descriptor) {
            return Err(Errno::ENOSYS);
        }
        let mut held = self.held.borrow_mut();
        let open = match held.take().filter(|(known, _)| *known == descriptor && !name.is_empty()) {
            Some((_, open)) => open,
            None => sys::descriptor::take_from(self.tid, descriptor as RawFd).map_err(|_| Errno::ENOSYS)?,
        };
        let (_, open) = held.insert((descriptor, open));
        let is_hasty = !self.may_wait && shared.sights.mounts().any_served();
        let told = match name {
            // Something may be mounted there.
            name if is_hasty && !name.is_empty() => {
                let name = CString::new(name).map_err(|_| Errno::ENOSYS)?;
                files::name(open.as_raw_fd(), &name, false, files::ONE_MOUNT)
                    .and_then(|open| files::statx_of(open.as_fd(), 0, Statx::MASK))
            }
            [] => files::statx_of(open.as_fd(), 0, Statx::MASK),
            name => {
                let name = CString::new(name).map_err(|_| Errno::ENOSYS)?;
                files::statx(open.as_raw_fd(), &name, NO_FOLLOW, Statx::MASK)
            }
        };
        let found = Statx::parse(&told.map_err(|errno| Errno(errno as i32))?);
        let kernel = Kernel { uid: found.uid, gid: found.gid, mode: found.mode };
        shared.ownership.meet(&found, &shared.view);
        if found.mode & S_IFMT == S_IFREG && (found.size == 0 || name.is_empty()) {
            let open = CString::new(format!("/proc/self/fd/{}", open.as_raw_fd())).unwrap_or_default();
            // Without any /proc there are no paths of the tracer's own.
            let path = if name.is_empty() { Some(open) } else { below(&open, name) };
            let path =
                path.filter(|path| files::describe(path, name.is_empty()).is_ok()).ok_or(Errno::ENOSYS)?;
            shared.ownership.recall(&path, Identity::of(&found), found.ctime, (kernel, &shared.view));
        }
        Ok(found)
    }

    /// See [`Guest::is_nodev`](crate::syscalls::Guest::is_nodev).
    pub fn is_nodev(&self, shared: &Shared, descriptor: u64) -> bool {
        let path = self.open_file(shared, descriptor);
        path.is_some_and(|path| sys::process::is_nodev(&path).unwrap_or(false))
    }

    /// See [`Guest::proc_text`](crate::syscalls::Guest::proc_text).
    pub fn proc_text(&self, shared: &Shared, descriptor: u64) -> Option<String> {
        const MOST: u64 = 64 << 10;
        let path = self.open_file(shared, descriptor)?;
        let open = files::name(files::CWD, &path, true, 0).ok()?;
        // What is looked at is what is read: at the task's descriptor another file may be open by then.
        let link = format!("/proc/self/fd/{}", open.as_raw_fd());
        let is_status = std::fs::read_link(&link).ok()?.file_name().is_some_and(|name| name == "status");
        if !is_status || shared.sights.mounts().kind(self.tid, open.as_fd()) != Kind::Proc {
            return None;
        }
        let mut text = String::new();
        std::fs::File::open(link).ok()?.take(MOST).read_to_string(&mut text).ok()?;
        Some(text)
    }

    /// See [`Guest::has_devices`](crate::syscalls::Guest::has_devices).
    pub fn has_devices(&self, place: Place) -> Option<bool> {
        Some(!sys::process::is_nodev(&self.seen(place)?).ok()?)
    }

    /// See [`Guest::is_proc`](crate::syscalls::Guest::is_proc).
    pub fn is_proc(&self, dev: u64) -> bool {
        self.has_mount(dev, |kind| kind == Some("proc"))
    }

    /// See [`Guest::is_mounted`](crate::syscalls::Guest::is_mounted).
    pub fn is_mounted(&self, dev: u64) -> bool {
        self.has_mount(dev, |_| true)
    }

    /// Whether there is a mount of the filesystem with this number, of such a type.
    fn has_mount(&self, dev: u64, is_type: impl Fn(Option<&str>) -> bool) -> bool {
        let mounts = sys::process::text(&format!("/proc/{}/mountinfo", self.tid));
        let number = DeviceNumber::decode(dev as u32);
        let number = format!("{}:{}", number.major, number.minor);
        mounts.unwrap_or_default().lines().any(|line| {
            let kind = line.split_once(" - ").and_then(|(_, rest)| rest.split(' ').next());
            line.split(' ').nth(2) == Some(&number) && is_type(kind)
        })
    }
}

/// A name in a directory.
fn below(directory: &CStr, name: &[u8]) -> Option<CString> {
    CString::new([directory.to_bytes(), b"/", name].concat()).ok()
}
