//! The mark on the container's root directory, or a note in the state directory in its place: it tells a run what earlier
//! ones have left.

use std::ffi::{CStr, CString};
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};

use super::Identity;
use crate::abi::Errno;
use crate::abi::stat::Statx;
use crate::sys::{self, files};

/// The directory that bears it.
const ROOT: &CStr = c"/";
/// Where it is noted in a container, whose root directory may be rebuilt from layers: these carry no root directory.
const IN_LAYERS: &str = "/var/lib/remainroot/facts";
/// `STATX_MNT_ID`.
const MOUNT_ID: u32 = 0x1000;
/// The attribute that is the mark.
pub const MARK: &CStr = c"user.remainroot";
/// Its value where there are no devices among the facts.
const NO_DEVICES: &[u8] = b"1";
/// Its value where there may be.
const DEVICES: &[u8] = b"devices";

/// What a run that begins may expect of earlier ones, in the order of what it costs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub enum Evidence {
    /// Nothing.
    #[default]
    Nothing,
    /// Facts, but no devices among them.
    Facts,
    /// Devices too.
    Devices,
}

/// Where that is said in this run.
#[derive(Debug, Clone)]
pub(super) enum Mark {
    /// On the root directory. Where it is the namespace's, and may not be written for now, it is read only. The file, where
    /// there is one, says that it was there.
    OnRoot(Option<PathBuf>),
    /// In notes of the state directory, for all roots that can bear no mark.
    Noted(Notes),
    /// Nowhere: there may always be facts, devices among them.
    Nowhere,
}

impl Mark {
    /// Finds out where it is said; `file` stands in a state directory that can be written.
    pub(super) fn find(file: Option<&Path>) -> Mark {
        let is_own = fs::metadata("/").is_ok_and(|root| root.uid() == geteuid().as_raw());
        match sys::xattr::length(ROOT, MARK) {
            Ok(_) if is_own => return Mark::OnRoot(note_of_root(file)),
            Ok(_) | Err(sys::Errno::ENODATA) if access(ROOT, AccessFlags::W_OK).is_ok() => {
                return Mark::OnRoot(note_of_root(file));
            }
            _ => {}
        }
        file.map_or(Mark::Nowhere, |file| Mark::Noted(Notes::beside(file)))
    }

    /// What may be expected of earlier runs.
    pub(super) fn at_start(&self) -> Evidence {
        match self {
            Mark::Noted(notes) if notes.file.exists() => self.read().max(Evidence::Facts),
            Mark::Noted(_) => self.read(),
            // Whether there are devices only the mark says, which is lost.
            Mark::OnRoot(Some(note)) if note.exists() && self.read() == Evidence::Nothing => {
                Evidence::Devices
            }
            // What an earlier layer was made with bears the mark no more.
            Mark::OnRoot(_) => self.read().max(Notes::beside(Path::new(IN_LAYERS)).read_own()),
            Mark::Nowhere => Evidence::Devices,
        }
    }

    /// What is said by now.
    pub(super) fn read(&self) -> Evidence {
        match self {
            Mark::OnRoot(_) => match sys::xattr::get(ROOT, MARK, &mut [0; 16]) {
                Ok(NO_DEVICES) => Evidence::Facts,
                Ok(_) => Evidence::Devices,
                Err(_) => Evidence::Nothing,
            },
            Mark::Noted(notes) => notes.read(),
            Mark::Nowhere => Evidence::Nothing,
        }
    }

    /// Says so.
    ///
    /// # Errors
    /// `ENOSPC`, `EDQUOT`, `EIO`.
    pub(super) fn set(&self, evidence: Evidence) -> Result<(), Errno> {
        if is_of_a_real_root() {
            return Ok(());
        }
        if matches!(self, Mark::OnRoot(_)) && is_container() {
            // Where that fails the next layer does not know, but this container does.
            let _ = Notes::beside(Path::new(IN_LAYERS)).write(evidence);
        }
        if let Mark::OnRoot(Some(note)) = self {
            let _ = leave(note); // without it the mark alone says so
        }
        let outcome = match (self, evidence) {
            (_, Evidence::Nothing) | (Mark::Nowhere, _) => Ok(()),
            (Mark::OnRoot(_), Evidence::Devices) => sys::xattr::set(ROOT, MARK, DEVICES),
            // Another run may have said more.
            (Mark::OnRoot(_), Evidence::Facts) => sys::xattr::create(ROOT, MARK, NO_DEVICES),
            (Mark::Noted(notes), evidence) => notes.write(evidence),
        };
        match outcome {
            Err(errno @ (sys::Errno::ENOSPC | sys::Errno::EDQUOT | sys::Errno::EIO)) => {
                Err(Errno(errno as i32))
            }
            _ => Ok(()),
        }
    }
}

/// Whether this is a container of podman's, buildah's, docker's or their like, by what these leave in it.
pub(super) fn is_container() -> bool {
    let has = |path| Path::new(path).exists();
    has("/run/.containerenv") || has("/.dockerenv") || std::env::var_os("container").is_some()
}

/// Whether this is real root, whose root directory is the machine's and is left alone.
fn is_of_a_real_root() -> bool {
    const ALL: [&str; 3] = ["0", "0", "4294967295"];
    let map = fs::read_to_string("/proc/self/uid_map").unwrap_or_default();
    geteuid().is_root() && map.split_whitespace().eq(ALL)
}

/// Notes in a state directory: files without content.
#[derive(Debug, Clone)]
pub(super) struct Notes {
    /// What has facts of links, without which there may be others.
    file: PathBuf,
    /// There are facts.
    facts: PathBuf,
    /// There are devices.
    devices: PathBuf,
}

impl Notes {
    fn beside(file: &Path) -> Notes {
        let [facts, devices] = ["owners", "devices"].map(|extension| file.with_extension(extension));
        Notes { file: file.to_owned(), facts, devices }
    }

    fn read(&self) -> Evidence {
        if self.devices.exists() {
            Evidence::Devices
        } else if self.facts.exists() {
            Evidence::Facts
        } else {
            Evidence::Nothing
        }
    }

    /// The same where nobody else has made them.
    fn read_own(&self) -> Evidence {
        let directory = self.facts.parent().and_then(|directory| fs::metadata(directory).ok());
        let is_own = directory.is_some_and(|directory| directory.uid() == geteuid().as_raw());
        if is_own { self.read() } else { Evidence::Nothing }
    }

    fn write(&self, evidence: Evidence) -> sys::Result<()> {
        let note = if evidence == Evidence::Devices { &self.devices } else { &self.facts };
        leave(note)
    }
}

/// Makes a file without content, unless it is there.
fn leave(note: &Path) -> sys::Result<()> {
    if note.exists() {
        return Ok(());
    }
    let made = note.parent().map_or(Ok(()), fs::create_dir_all);
    let errno = |error: io::Error| sys::Errno::from_raw(error.raw_os_error().unwrap_or(0));
    made.and_then(|()| fs::File::create(note)).map(drop).map_err(errno)
}

/// Where it is noted that this very root directory bore a mark, which whoever copies attributes anew may lose: in the state
/// directory of `file`, where that is on another mount, and so in no image that is made of the root directory.
fn note_of_root(file: Option<&Path>) -> Option<PathBuf> {
    let file = file?;
    let there = file.ancestors().find(|path| path.exists())?;
    let (state, root) = (look(there)?, look(Path::new("/"))?);
    let is_apart = mount(&state)? != mount(&root)?;
    let identity = Identity::of(&Statx::parse(&root));
    is_apart.then(|| file.with_extension(format!("root-{:x}-{:x}", identity.ino, identity.birth)))
}

fn look(path: &Path) -> Option<[u8; Statx::SIZE]> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    files::statx(files::CWD, &path, 0, Statx::MASK | MOUNT_ID).ok()
}

/// The mount of what was looked at, where the kernel tells it.
fn mount(told: &[u8; Statx::SIZE]) -> Option<[u8; 8]> {
    const AT: usize = 144;
    told.get(AT..)?.first_chunk().copied()
}
