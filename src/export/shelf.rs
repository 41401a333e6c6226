//! Where the files of an image are: in an archive, or in a directory; and where those of a new one go.

use std::collections::HashMap;
use std::ffi::CString;
use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};

use super::blob::{Span, Tally};
use super::entry::{Entry, HARD_LINK, LINK, REGULAR};
use super::output::Sink;
use super::stack::normal;
use super::tape::{self, Source, Tape};
use crate::sys::{Errno, files};

/// Most bytes of a file that is read whole.
pub(super) const MOST: u64 = 64 << 20;
/// Most links that lead to a file.
const LINKS: usize = 8;
/// What names of files begin with that say the digest.
const BLOBS: &str = "blobs/sha256/";
const SHA256: &str = "sha256:";

/// The files of an image.
#[derive(Debug)]
pub(super) enum Shelf {
    /// In an archive that is not compressed.
    Archive(HashMap<Vec<u8>, Item>),
    /// Below a directory.
    Directory(PathBuf),
}

/// A file of an archive.
#[derive(Debug)]
pub(super) enum Item {
    File(Span),
    Link(Vec<u8>),
}

impl Shelf {
    /// The files of an archive, which is read through.
    pub(super) fn of_archive(span: &Span) -> io::Result<Shelf> {
        let mut items = HashMap::new();
        let mut tape = Tape::new(Place { source: span.open()?, at: 0 });
        while let Some(entry) = tape.next()? {
            let at = tape.source().at;
            let path = normal(&entry.path);
            let item = match entry.kind {
                REGULAR => Item::File(span.part(at, entry.size)?),
                HARD_LINK => Item::Link(normal(&entry.link)),
                LINK => {
                    let directory = Path::new(std::ffi::OsStr::from_bytes(&path)).parent();
                    let target = Path::new(std::ffi::OsStr::from_bytes(&entry.link));
                    Item::Link(resolved(&directory.unwrap_or(Path::new("")).join(target)))
                }
                _ => continue,
            };
            items.insert(path, item);
        }
        Ok(Shelf::Archive(items))
    }

    /// One of them.
    pub(super) fn open(&self, name: &str) -> io::Result<Span> {
        let missing = || io::Error::new(io::ErrorKind::NotFound, format!("the image lacks its file {name}"));
        match self {
            Shelf::Archive(items) => {
                let mut name = normal(name.as_bytes());
                for _ in 0..LINKS {
                    match items.get(&name) {
                        Some(Item::File(span)) => return Ok(span.clone()),
                        Some(Item::Link(target)) => name.clone_from(target),
                        None => break,
                    }
                }
                Err(missing())
            }
            Shelf::Directory(top) => {
                let path = Path::new(name);
                if path.components().any(|part| !matches!(part, Component::Normal(_))) {
                    return Err(missing());
                }
                match beneath(top, path) {
                    Ok(file) => Span::of(file),
                    Err(error) if error.kind() == io::ErrorKind::NotFound => Err(missing()),
                    Err(error) => {
                        Err(io::Error::new(error.kind(), format!("the image's file {name}: {error}")))
                    }
                }
            }
        }
    }

    /// Whether it is there, be it something that is not read.
    pub(super) fn has(&self, name: &str) -> bool {
        !matches!(self.open(name), Err(error) if error.kind() == io::ErrorKind::NotFound)
    }

    /// Whether one is what its name says; where that says nothing, whether it stands for what has this digest.
    pub(super) fn check(&self, name: &str, content: Option<&str>) -> io::Result<()> {
        let span = self.open(name)?;
        let (mut source, wanted): (Box<dyn Read>, _) = match (name.strip_prefix(BLOBS), content) {
            (Some(hex), _) => (Box::new(span.bytes()), hex),
            (None, Some(digest)) => match digest.strip_prefix(SHA256) {
                Some(hex) => (Box::new(span.open()?), hex),
                None => return Ok(()),
            },
            (None, None) => return Ok(()),
        };
        let mut tally = Tally::new(io::sink());
        io::copy(&mut source, &mut tally)?;
        let (_, digest, _) = tally.finish();
        if digest.strip_prefix(SHA256) == Some(wanted) { Ok(()) } else { Err(damaged(name)) }
    }

    /// The content of one.
    pub(super) fn read(&self, name: &str) -> io::Result<Vec<u8>> {
        let span = self.open(name)?;
        if span.length() > MOST {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                format!("the image's file {name} is too large"),
            ));
        }
        let mut bytes = vec![];
        span.bytes().read_to_end(&mut bytes)?;
        self.check(name, None)?;
        Ok(bytes)
    }
}

fn damaged(name: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::InvalidData,
        format!("the image's file {name} is damaged: its content has another digest"),
    )
}

/// Opens a regular file below a directory.
fn beneath(top: &Path, path: &Path) -> io::Result<File> {
    let [top, path] = [top, path].map(|path| CString::new(path.as_os_str().as_bytes()));
    let top = files::name(files::CWD, &top?, true, 0)?;
    let fd = files::name(top.as_raw_fd(), &path?, true, files::BENEATH)
        .map_err(|errno| if errno == Errno::EXDEV { leads_out() } else { errno.into() })?;
    let by = format!("/proc/self/fd/{}", fd.as_raw_fd());
    if !fs::metadata(&by)?.is_file() {
        return Err(io::Error::other("it is no regular file"));
    }
    File::open(by)
}

fn leads_out() -> io::Error {
    io::Error::other("it leads out of the image's directory")
}

/// A path without steps back.
fn resolved(path: &Path) -> Vec<u8> {
    let mut parts = PathBuf::new();
    for part in path.components() {
        match part {
            Component::Normal(part) => parts.push(part),
            Component::ParentDir => {
                parts.pop();
            }
            _ => {}
        }
    }
    parts.as_os_str().as_bytes().to_vec()
}

/// A source of which it is known how far it was read.
struct Place<S> {
    source: S,
    at: u64,
}

impl<S: Source> Read for Place<S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(into)?;
        self.at += count as u64;
        Ok(count)
    }
}

impl<S: Source> Source for Place<S> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        self.at += count;
        self.source.skip(count)
    }
}

/// Where the files of a new image go.
pub(super) enum Rack<'a> {
    Archive { out: BufWriter<&'a mut Sink>, there: Vec<String> },
    Directory(PathBuf),
}

impl<'a> Rack<'a> {
    pub(super) fn archive(out: &'a mut Sink) -> Rack<'a> {
        Rack::Archive { out: BufWriter::new(out), there: vec![] }
    }

    /// Adds a file, unless it is there.
    pub(super) fn add(&mut self, name: &str, length: u64, content: &mut dyn Read) -> io::Result<()> {
        match self {
            Rack::Archive { out, there } => {
                if there.iter().any(|known| known == name) {
                    return Ok(());
                }
                there.push(name.to_owned());
                let mut entry = Entry::new(name.as_bytes(), REGULAR);
                (entry.mode, entry.size) = (0o644, length);
                entry.set_modified(0, 0);
                entry.seal();
                tape::write(out, &entry, content)
            }
            Rack::Directory(top) => {
                let path = top.join(name);
                let in_it =
                    |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", path.display()));
                path.parent().map_or(Ok(()), fs::create_dir_all).map_err(in_it)?;
                let mut file = File::create(&path).map_err(in_it)?;
                io::copy(content, &mut file).and_then(|_| file.sync_all()).map_err(in_it)
            }
        }
    }

    /// Adds a file of these bytes.
    pub(super) fn add_bytes(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.add(name, bytes.len() as u64, &mut &*bytes)
    }

    /// All are there.
    pub(super) fn finish(self) -> io::Result<()> {
        match self {
            Rack::Archive { mut out, .. } => {
                tape::end(&mut out)?;
                out.flush()
            }
            Rack::Directory(_) => Ok(()),
        }
    }
}
