//! Images in which everybody finds the owners that only remainroot would see: a directory tree, a layer or a whole image is
//! read, and written anew with what is recorded of each inode in its place and without the records.
//!
//! What is recorded stands on regular files and directories in extended attributes, of everything else by path in a file of
//! the tree itself ([`names`](crate::ownership::names)), and of a tree on this machine in the state file. `shown` puts it over what an
//! inode is without. `entry`, `pax` and `tape` are the archives, `layer`, `stack` and `image` what containers make of them,
//! `walk` and `tree` directories, and `list` says it in the form that other tools read.
//!
//! *Invariant:* what is read is never written to, what is written is there whole or not at all, and memory holds names but no
//! file's content.

mod blob;
mod entry;
mod image;
mod layer;
pub mod list;
mod output;
mod pax;
mod report;
mod shelf;
mod shown;
mod stack;
mod tape;
mod tree;
mod walk;

pub use output::is_whole;
pub use report::Report;

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use blob::{Span, Squeeze};
use image::Image;
use layer::Layer;
use output::Sink;
use shelf::{Rack, Shelf};
use stack::{Stack, Surface, normal};
use tape::Tape;
use tree::Packer;
use walk::Tree;

use crate::cred::View;
use crate::ownership::Ownership;

/// Bytes that are written at once.
const CHUNK: usize = 256 << 10;

/// What is to be made into an image.
#[derive(Debug)]
pub enum Input {
    /// A directory that is a root.
    Tree(PathBuf),
    /// A directory with an image in OCI's layout.
    Layout(PathBuf),
    /// A layer, or anything that is packed like one.
    Layer(Part),
    /// An archive with an image of docker's or OCI's kind.
    Image(Part),
}

/// A part of a file.
#[derive(Debug)]
pub struct Part {
    span: Span,
    /// The file that was named, of which it may be what was kept.
    inode: (u64, u64),
}

impl Input {
    /// Looks what is at a path; `-` is stdin. `out` is where the image will be, in whose directory temporary files are made.
    ///
    /// # Errors
    /// Where it cannot be read; where it is none of all.
    pub fn open(path: &Path, out: &Path) -> io::Result<Input> {
        let named = |error: io::Error| io::Error::new(error.kind(), format!("{}: {error}", called(path)));
        if path.is_dir() {
            let has = |name: &str| path.join(name).is_file();
            let is_layout = has(image::LAYOUT) && has(image::INDEX);
            return Ok(if is_layout { Input::Layout(path.to_owned()) } else { Input::Tree(path.to_owned()) });
        }
        let mut file = match path == Path::new("-") {
            true => File::from(io::stdin().as_fd().try_clone_to_owned()?),
            false => File::open(path).map_err(named)?,
        };
        let inode = file.metadata().map(|file| (file.dev(), file.ino())).map_err(named)?;
        let is_whole = file.metadata().is_ok_and(|file| file.is_file()) && file.stream_position()? == 0;
        let mut span = match is_whole {
            true => Span::of(file).map_err(named)?,
            false => spool(&mut file, out)?,
        };
        if span.squeeze().map_err(named)? != Squeeze::None {
            span = spool(&mut span.open()?, out)?;
        }
        if span.length() == 0 {
            return Err(named(io::Error::new(io::ErrorKind::InvalidData, "it is empty")));
        }
        let is_image = is_image(&span).map_err(named)?;
        let part = Part { span, inode };
        Ok(if is_image { Input::Image(part) } else { Input::Layer(part) })
    }
}

/// What an input is called in sentences.
fn called(path: &Path) -> std::path::Display<'_> {
    if path == Path::new("-") { Path::new("stdin").display() } else { path.display() }
}

/// Keeps what can be read but once in a file without a name.
fn spool(from: &mut dyn io::Read, out: &Path) -> io::Result<Span> {
    let mut file = output::unnamed(out)?;
    io::copy(from, &mut file)?;
    Span::of(file)
}

/// Whether an archive has what makes an image of it at its top.
fn is_image(span: &Span) -> io::Result<bool> {
    let mut tape = Tape::new(span.open()?);
    let (mut layout, mut index) = (false, false);
    while let Some(entry) = tape.next()? {
        let path = normal(&entry.path);
        layout |= path == image::LAYOUT.as_bytes();
        index |= path == image::INDEX.as_bytes();
        // A root may have a file of that name.
        let is_list = path == image::MANIFEST.as_bytes() && {
            let mut text = vec![];
            tape.data().take(shelf::MOST).read_to_end(&mut text)?;
            image::is_list(&text)
        };
        if (layout && index) || is_list {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Writes to `out` what a layer or an image is to be, or `-` for stdout.
///
/// # Errors
/// What keeps it from being read or written; then there is nothing at `out` that was not there.
pub fn convert(input: &Input, out: &Path) -> io::Result<Report> {
    let mut report = Report::default();
    match input {
        Input::Tree(path) => {
            return Err(io::Error::other(format!("{} is a directory without an image", path.display())));
        }
        Input::Layout(path) => {
            let tree = output::Tree::begin(out)?;
            let shelf = Shelf::Directory(path.clone());
            let rack = Rack::Directory(tree.meanwhile().to_owned());
            Image::new(&shelf, rack, &mut report, out).rewrite()?;
            tree.finish()?;
        }
        Input::Image(Part { span, inode }) => {
            let mut sink = begin(out, Some(*inode))?;
            let shelf = Shelf::of_archive(span)?;
            Image::new(&shelf, Rack::archive(&mut sink), &mut report, out).rewrite()?;
            sink.finish()?;
        }
        Input::Layer(Part { span, inode }) => {
            let mut sink = begin(out, Some(*inode))?;
            let stack = Stack(vec![Surface::of(span.open()?)?]);
            let mut writer = BufWriter::with_capacity(CHUNK, &mut sink);
            Layer { stack: &stack, number: 0, report: &mut report }.rewrite(span.open()?, &mut writer)?;
            writer.flush()?;
            drop(writer);
            sink.finish()?;
        }
    }
    Ok(report)
}

/// Writes to `out` an archive of the tree below a directory, or to stdout where that is `-`. Whoever `believes` it takes owners
/// from the file in the tree that names them by path.
///
/// # Errors
/// As [`convert`].
pub fn pack(
    top: &Path,
    out: &Path,
    (ownership, view, believes): (&Ownership, &View, bool),
) -> io::Result<Report> {
    let mut report = Report::default();
    let mut sink = begin(out, None)?;
    let own = sink.inode()?;
    let (tree, root) = Tree::open(top, (ownership, view, believes))?;
    let mut writer = BufWriter::with_capacity(CHUNK, &mut sink);
    let mut packer = Packer { out: &mut writer, own, report: &mut report, met: HashMap::new() };
    tree.walk(root, &mut |met| packer.add(met))?;
    tape::end(&mut writer)?;
    writer.flush()?;
    drop(writer);
    sink.finish()?;
    Ok(report)
}

/// Begins what will stand at `out`, which is not what is read.
fn begin(out: &Path, from: Option<(u64, u64)>) -> io::Result<Sink> {
    let refused = |name: &str| Err(io::Error::other(format!("{name} is what is read: name another file")));
    let there = std::fs::metadata(out).ok().map(|file| (file.dev(), file.ino()));
    if from.is_some() && there == from {
        return refused(&out.display().to_string());
    }
    let sink = Sink::begin(out)?;
    // What stdin and stdout are may be one socket.
    if sink.is_file()? && from == Some(sink.inode()?) {
        return refused("stdout");
    }
    Ok(sink)
}
