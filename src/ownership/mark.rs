//! The mark on the container's root directory, or a note in the state directory in its place: it tells a run what earlier
//! ones have left.

use std::ffi::CStr;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{AccessFlags, access, geteuid};

use super::traces;
use crate::abi::Errno;
use crate::sys;

/// The directory that bears it.
const ROOT: &CStr = c"/";
/// Where it is noted in a container, whose root directory may be rebuilt from layers: these carry no root directory.
const IN_LAYERS: &str = "/var/lib/remainroot/facts";
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
    /// On the root directory. Where it is the namespace's, and may not be written for now, it is read only.
    OnRoot,
    /// In notes of the state directory, for all roots that can bear no mark.
    Noted(Notes),
    /// Nowhere: there may always be facts.
    Nowhere,
}

impl Mark {
    /// Finds out where it is said; `file` stands in a state directory that can be written.
    pub(super) fn find(file: Option<&Path>) -> Mark {
        let is_own = fs::metadata("/").is_ok_and(|root| root.uid() == geteuid().as_raw());
        match sys::xattr::length(ROOT, MARK) {
            Ok(_) if is_own => return Mark::OnRoot,
            Ok(_) | Err(sys::Errno::ENODATA) if access(ROOT, AccessFlags::W_OK).is_ok() => {
                return Mark::OnRoot;
            }
            _ => {}
        }
        file.map_or(Mark::Nowhere, |file| Mark::Noted(Notes::beside(file)))
    }

    /// What may be expected of earlier runs.
    pub(super) fn at_start(&self) -> Evidence {
        let said = match self {
            Mark::Noted(notes) if notes.file.exists() => self.read().max(Evidence::Facts),
            Mark::Noted(_) => self.read(),
            // What an earlier layer was made with bears the mark no more.
            Mark::OnRoot => self.read().max(Notes::beside(Path::new(IN_LAYERS)).read()),
            Mark::Nowhere => Evidence::Facts,
        };
        match said {
            // Nobody has said whether there are devices.
            Evidence::Nothing if traces::are_any() => Evidence::Devices,
            said => said,
        }
    }

    /// What is said by now.
    pub(super) fn read(&self) -> Evidence {
        match self {
            Mark::OnRoot => match sys::xattr::get(ROOT, MARK, &mut [0; 16]) {
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
        if matches!(self, Mark::OnRoot) && is_container() {
            // Where that fails the next layer does not know, but this container does.
            let _ = Notes::beside(Path::new(IN_LAYERS)).write(evidence);
        }
        let outcome = match (self, evidence) {
            (_, Evidence::Nothing) | (Mark::Nowhere, _) => Ok(()),
            (Mark::OnRoot, Evidence::Devices) => sys::xattr::set(ROOT, MARK, DEVICES),
            // Another run may have said more.
            (Mark::OnRoot, Evidence::Facts) => sys::xattr::create(ROOT, MARK, NO_DEVICES),
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

    fn write(&self, evidence: Evidence) -> sys::Result<()> {
        let note = if evidence == Evidence::Devices { &self.devices } else { &self.facts };
        if note.exists() {
            return Ok(());
        }
        let made = note.parent().map_or(Ok(()), fs::create_dir_all);
        let errno = |error: io::Error| sys::Errno::from_raw(error.raw_os_error().unwrap_or(0));
        made.and_then(|()| fs::File::create(note)).map(drop).map_err(errno)
    }
}
