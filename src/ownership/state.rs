//! Where the state file is that nobody has named.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

use super::mark;

/// Whether the file is the caller's own, or there is none yet. In a home that is another's, or cannot be
/// entered, there is no state of his.
pub(super) fn is_own(file: &Path) -> bool {
    match std::fs::metadata(file) {
        Ok(found) => found.uid() == geteuid().as_raw(),
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}

/// Where a file is to be in a container, of which inode numbers would go into an image with the rest of its root: in memory that
/// is the container's own, unless the file is there already.
pub(super) fn outside_layers(file: PathBuf) -> PathBuf {
    const MEMORY: &str = "/dev/shm";
    if !mark::is_container() || file.exists() {
        return file;
    }
    let on = |path: &Path| std::fs::metadata(path).map(|found| (found.dev(), found.uid()));
    let there = file.ancestors().find_map(|path| on(path).ok());
    match (on(Path::new("/")), there, on(Path::new(MEMORY))) {
        (Ok((root, _)), Some((dev, _)), Ok((memory, owner)))
            if root == dev && memory != root && owner == geteuid().as_raw() =>
        {
            Path::new(MEMORY).join("remainroot/facts")
        }
        _ => file,
    }
}
