//! Where what is made goes: a file or a directory that is there whole or not at all, or stdout.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};

/// What is written to.
#[derive(Debug)]
pub(super) struct Sink {
    file: File,
    place: Option<Place>,
    /// What it is called in sentences.
    name: String,
}

/// Where a file is to be in the end.
#[derive(Debug)]
struct Place {
    path: PathBuf,
    /// Where it is meanwhile, if it has a name already.
    meanwhile: Option<PathBuf>,
}

impl Sink {
    /// Begins a file that will stand at `path`, or what stdout is where that is `-`.
    ///
    /// # Errors
    /// Where nothing can be written there; where stdout is a terminal.
    pub(super) fn begin(path: &Path) -> io::Result<Sink> {
        if path == Path::new("-") {
            let stdout = io::stdout();
            if stdout.is_terminal() {
                return Err(io::Error::other(
                    "an archive is not written to a terminal: name a file, or redirect stdout",
                ));
            }
            let file = File::from(stdout.as_fd().try_clone_to_owned()?);
            return Ok(Sink { file, place: None, name: "stdout".to_owned() });
        }
        if path.is_dir() {
            return Err(named(path, io::Error::other("it is a directory, and a file is to be written")));
        }
        let directory = directory(path);
        let unnamed = OpenOptions::new()
            .read(true)
            .write(true)
            .custom_flags(libc::O_TMPFILE)
            .mode(0o666)
            .open(directory);
        let (file, meanwhile) = match unnamed {
            Ok(file) => (file, None),
            Err(error)
                if matches!(error.raw_os_error(), Some(libc::EOPNOTSUPP | libc::EISDIR | libc::ENOENT))
                    && directory.is_dir() =>
            {
                let meanwhile = beside(path);
                let file = OpenOptions::new().read(true).write(true).create_new(true).open(&meanwhile);
                (file.map_err(|error| named(path, error))?, Some(meanwhile))
            }
            Err(error) => return Err(named(path, error)),
        };
        let place = Some(Place { path: path.to_owned(), meanwhile });
        Ok(Sink { file, place, name: path.display().to_string() })
    }

    /// Which inode it is.
    pub(super) fn inode(&self) -> io::Result<(u64, u64)> {
        self.file.metadata().map(|file| (file.dev(), file.ino()))
    }

    /// Puts it where it is to be, whole.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let Some(place) = &mut self.place else { return Ok(()) };
        let path = place.path.clone();
        let failed = |error: io::Error| named(&path, error);
        let meanwhile = match &place.meanwhile {
            Some(meanwhile) => meanwhile.clone(),
            None => {
                let meanwhile = beside(&path);
                let unnamed = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                let follow = AtFlags::AT_SYMLINK_FOLLOW;
                nix::unistd::linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, &meanwhile, follow)
                    .map_err(|errno| failed(errno.into()))?;
                meanwhile
            }
        };
        place.meanwhile = Some(meanwhile.clone());
        fs::rename(&meanwhile, &path).map_err(failed)?;
        self.place = None;
        Ok(())
    }
}

impl Drop for Sink {
    fn drop(&mut self) {
        if let Some(Place { meanwhile: Some(meanwhile), .. }) = &self.place {
            let _ = fs::remove_file(meanwhile); // there is nothing more to be done about it
        }
    }
}

impl Write for Sink {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.file.write(bytes).map_err(|error| match error.kind() {
            io::ErrorKind::Interrupted => error,
            _ => io::Error::new(error.kind(), format!("{}: {error}", self.name)),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A directory that is to stand at a path in the end.
#[derive(Debug)]
pub(super) struct Tree {
    path: PathBuf,
    meanwhile: Option<PathBuf>,
}

impl Tree {
    /// Begins one; where it is to be there must be nothing, or an empty directory.
    ///
    /// # Errors
    /// Where there is something; where nothing can be made.
    pub(super) fn begin(path: &Path) -> io::Result<Tree> {
        if path == Path::new("-") {
            return Err(io::Error::other(
                "an image in a directory becomes a directory: name one instead of -",
            ));
        }
        let is_free = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_free {
            return Err(named(path, io::Error::other("it is there already: name a new directory")));
        }
        let meanwhile = beside(path);
        fs::create_dir(&meanwhile).map_err(|error| named(path, error))?;
        Ok(Tree { path: path.to_owned(), meanwhile: Some(meanwhile) })
    }

    /// Where it is meanwhile.
    pub(super) fn meanwhile(&self) -> &Path {
        self.meanwhile.as_deref().unwrap_or(&self.path)
    }

    /// Puts it where it is to be, whole.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let meanwhile = self.meanwhile().to_owned();
        fs::rename(&meanwhile, &self.path).map_err(|error| named(&self.path, error))?;
        self.meanwhile = None;
        Ok(())
    }
}

impl Drop for Tree {
    fn drop(&mut self) {
        if let Some(meanwhile) = &self.meanwhile {
            let _ = fs::remove_dir_all(meanwhile); // there is nothing more to be done about it
        }
    }
}

/// A file without a name, in the directory where `beside` will be, or where temporary files are.
///
/// # Errors
/// Where none can be made.
pub(super) fn unnamed(beside: &Path) -> io::Result<File> {
    let temporary = std::env::temp_dir();
    let there = if beside == Path::new("-") { &temporary } else { directory(beside) };
    let open = |at: &Path| {
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(at)
    };
    open(there).or_else(|_| {
        let path = there.join(format!(".remainroot-{}", std::process::id()));
        let file = OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(&path);
        let file = file.map_err(|error| named(there, error))?;
        fs::remove_file(&path)?;
        Ok(file)
    })
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// A path for what will stand at `path`.
fn beside(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    directory(path).join(format!(".{name}.remainroot-{}", std::process::id()))
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}
