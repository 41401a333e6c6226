//! The mark on the container's root directory: it tells a run what earlier ones have left.

use std::ffi::CStr;
use std::path::Path;

use nix::unistd::{AccessFlags, access};

use crate::abi::Errno;
use crate::sys;

/// The directory that bears it.
const ROOT: &CStr = c"/";
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

/// What the mark says. Where the root cannot bear it there may be facts, and devices where there is a `note` of
/// them: a stop of every open would be too much on suspicion.
pub(super) fn at_start(note: Option<&Path>) -> Evidence {
    match read(note) {
        Evidence::Nothing if !can_be_set() => Evidence::Facts,
        said => said,
    }
}

/// What the mark says, if there is one, or the note where there can be none: where there can, the note is of
/// another container with the same state directory.
pub(super) fn read(note: Option<&Path>) -> Evidence {
    match sys::xattr::get(ROOT, MARK, &mut [0; 16]) {
        Ok(NO_DEVICES) => Evidence::Facts,
        Ok(_) => Evidence::Devices,
        Err(errno) if !could_be_set(errno) && note.is_some_and(Path::exists) => Evidence::Devices,
        Err(_) => Evidence::Nothing,
    }
}

/// Whether the root could bear the mark, of which it has said this.
fn could_be_set(errno: sys::Errno) -> bool {
    errno == sys::Errno::ENODATA && access(ROOT, AccessFlags::W_OK).is_ok()
}

/// Whether the root could bear the mark that it has not.
fn can_be_set() -> bool {
    sys::xattr::length(ROOT, MARK).is_err_and(could_be_set)
}

/// Sets the mark. Where it can never be set every run looks for facts from its start, and for devices where
/// there is a note of them.
///
/// # Errors
/// `ENOSPC`, `EDQUOT`, `EIO`.
pub(super) fn set(evidence: Evidence, note: Option<&Path>) -> Result<(), Errno> {
    let outcome = match evidence {
        Evidence::Devices => sys::xattr::set(ROOT, MARK, DEVICES),
        // Another run may have said more.
        _ => sys::xattr::create(ROOT, MARK, NO_DEVICES),
    };
    match outcome {
        Err(errno @ (sys::Errno::ENOSPC | sys::Errno::EDQUOT | sys::Errno::EIO)) => Err(Errno(errno as i32)),
        Err(_) if evidence == Evidence::Devices => {
            // Without a state directory no later run knows before it has met one.
            if let Some(note) = note {
                let _ = note.parent().map(std::fs::create_dir_all);
                let _ = std::fs::File::create(note);
            }
            Ok(())
        }
        _ => Ok(()),
    }
}
