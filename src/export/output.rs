//! Where what is made goes: a file or a directory that is there whole or not at all, or stdout.

use std::fs::{self, File, OpenOptions};
use std::io::{self, IsTerminal, Write};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::fcntl::{AT_FDCWD, AtFlags};

/// Most links that lead to a file, as in the kernel.
const LINKS: usize = 40;
/// Most names that are tried for what is made.
const LEFT: usize = 1000;

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
    /// Begins a file that will stand at `path`, or what stdout is where that is `-`. What is there and is no regular file,
    /// as a FIFO or `/dev/null`, is written to.
    ///
    /// # Errors
    /// Where nothing can be written there; where it is a terminal.
    pub(super) fn begin(path: &Path) -> io::Result<Sink> {
        let name = path.display().to_string();
        let path = match target(path)? {
            Target::Stdout => {
                let file = File::from(io::stdout().as_fd().try_clone_to_owned()?);
                return Sink::open(file, "stdout".to_owned());
            }
            Target::Node => {
                let file = OpenOptions::new().write(true).open(path).map_err(|error| named(path, error))?;
                return Sink::open(file, name);
            }
            Target::File(path) => path,
        };
        if path.is_dir() {
            return Err(named(&path, io::Error::other("it is a directory, and a file is to be written")));
        }
        let directory = directory(&path);
        let failed = |error: io::Error| named(&path, error);
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
                let create = |at: &Path| OpenOptions::new().read(true).write(true).create_new(true).open(at);
                let (meanwhile, file) = beside(&path, create).map_err(failed)?;
                (file, Some(meanwhile))
            }
            Err(error) => return Err(failed(error)),
        };
        Ok(Sink { file, place: Some(Place { path, meanwhile }), name })
    }

    /// Writes to what is there.
    fn open(file: File, name: String) -> io::Result<Sink> {
        if file.is_terminal() {
            return Err(io::Error::other(
                "an archive is not written to a terminal: name a file, or redirect stdout",
            ));
        }
        Ok(Sink { file, place: None, name })
    }

    /// Whether it is a regular file.
    pub(super) fn is_file(&self) -> io::Result<bool> {
        self.file.metadata().map(|file| file.is_file())
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
        self.file.sync_all().map_err(failed)?;
        let meanwhile = match &place.meanwhile {
            Some(meanwhile) => meanwhile.clone(),
            None => {
                let unnamed = format!("/proc/self/fd/{}", self.file.as_raw_fd());
                let follow = AtFlags::AT_SYMLINK_FOLLOW;
                let link =
                    |at: &Path| Ok(nix::unistd::linkat(AT_FDCWD, unnamed.as_str(), AT_FDCWD, at, follow)?);
                beside(&path, link).map_err(failed)?.0
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
        let path = &followed(path)?;
        let is_free = match fs::read_dir(path) {
            Ok(mut entries) => entries.next().is_none(),
            Err(error) => error.kind() == io::ErrorKind::NotFound,
        };
        if !is_free {
            return Err(named(path, io::Error::other("it is there already: name a new directory")));
        }
        let (meanwhile, ()) = beside(path, |at| fs::create_dir(at)).map_err(|error| named(path, error))?;
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

/// Whether what is made is there whole or not at all, as it is not where it is written to what is there already.
pub fn is_whole(out: &Path) -> bool {
    !matches!(target(out), Ok(Target::Stdout | Target::Node))
}

/// A file without a name, in the directory where what is made will be, or where temporary files are.
///
/// # Errors
/// Where none can be made.
pub(super) fn unnamed(out: &Path) -> io::Result<File> {
    let there = match target(out)? {
        Target::File(path) => directory(&path).to_owned(),
        Target::Stdout | Target::Node => std::env::temp_dir(),
    };
    let open = |at: &Path| {
        OpenOptions::new().read(true).write(true).custom_flags(libc::O_TMPFILE).mode(0o600).open(at)
    };
    open(&there).or_else(|_| {
        let create =
            |at: &Path| OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(at);
        let (path, file) = beside(&there.join("spool"), create).map_err(|error| named(&there, error))?;
        fs::remove_file(&path)?;
        Ok(file)
    })
}

/// What a path of what is to be made leads to.
enum Target {
    Stdout,
    /// Something else that is there and no regular file.
    Node,
    /// A file or directory that is replaced, if it is there.
    File(PathBuf),
}

fn target(path: &Path) -> io::Result<Target> {
    if path == Path::new("-") {
        return Ok(Target::Stdout);
    }
    match fs::metadata(path) {
        Ok(found) if !found.is_dir() => {
            // `/dev/stdout` may lead to a file whose name is no more, or another's.
            let stdout = nix::sys::stat::fstat(io::stdout()).map(|open| (open.st_dev, open.st_ino));
            match found.is_file() {
                _ if stdout == Ok((found.dev(), found.ino())) => Ok(Target::Stdout),
                false => Ok(Target::Node),
                true => followed(path).map(Target::File),
            }
        }
        _ => followed(path).map(Target::File),
    }
}

/// Where the links at a path lead, even to nothing.
fn followed(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(link) => path = directory(&path).join(link),
            Err(_) => return Ok(path), // it is no link, or what is done there tells why
        }
    }
    Err(named(&path, io::Error::from_raw_os_error(libc::ELOOP)))
}

fn directory(path: &Path) -> &Path {
    path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."))
}

/// Makes something in the directory of what will stand at `path`, under a name that is free: an interrupted run may have left
/// one with this process' number.
fn beside<T>(path: &Path, make: impl Fn(&Path) -> io::Result<T>) -> io::Result<(PathBuf, T)> {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let first = format!(".{name}.remainroot-{}", std::process::id());
    let mut at = directory(path).join(&first);
    for number in 1.. {
        match make(&at) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists && number <= LEFT => {}
            made => return made.map(|made| (at, made)),
        }
        at.set_file_name(format!("{first}-{number}"));
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn named(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_an_interrupted_run_has_left_is_in_nobodys_way() {
        let top = std::env::temp_dir().join(format!("remainroot-output-{}", std::process::id()));
        let (file, tree) = (top.join("file"), top.join("tree"));
        for left in [".file", ".tree"] {
            fs::create_dir_all(top.join(format!("{left}.remainroot-{}", std::process::id()))).unwrap();
        }
        let mut sink = Sink::begin(&file).unwrap();
        sink.write_all(b"all").unwrap();
        sink.finish().unwrap();
        Tree::begin(&tree).unwrap().finish().unwrap();
        assert_eq!((fs::read(&file).unwrap(), tree.is_dir()), (b"all".to_vec(), true));
        assert_eq!(fs::read_dir(&top).unwrap().count(), 4, "what was left is another's");
        fs::remove_dir_all(&top).unwrap();
    }
}
