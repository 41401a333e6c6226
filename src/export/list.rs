//! What is recorded in a tree, in the forms that other tools read.

use std::collections::HashSet;
use std::io::{self, Write};
use std::path::Path;

use serde_json::{Map, Value, json};

use super::entry::S_IFIFO;
use super::report::{Report, printable};
use super::walk::{Met, Tree};
use crate::abi::DeviceNumber;
use crate::abi::stat::{PERMISSIONS, S_IFBLK, S_IFCHR, S_IFDIR, S_IFLNK, S_IFMT, S_IFREG};
use crate::cred::{Gid, Uid, View};
use crate::ownership::listing::{self, Entry};
use crate::ownership::{Device, Identity, Ownership};

/// For whom a list is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// A person, as `ls -ln` says it.
    Text,
    /// bsdtar, as input: everything in the tree, for the archive is made of what the list has.
    Mtree,
    /// mksquashfs, for `-pf`.
    Mksquashfs,
    /// mksquashfs, for `-ef`: the files that stand for devices, which those of `-pf` do not replace.
    MksquashfsExclude,
    /// `fakeroot -i`, and `--load`.
    Fakeroot,
    /// Programs: an object a line.
    Json,
}

impl Format {
    /// All of them, by name.
    pub const ALL: [(&str, Format); 6] = [
        ("text", Format::Text),
        ("mtree", Format::Mtree),
        ("mksquashfs", Format::Mksquashfs),
        ("mksquashfs-exclude", Format::MksquashfsExclude),
        ("fakeroot", Format::Fakeroot),
        ("json", Format::Json),
    ];
}

/// Writes the list of the tree below a directory, and gives what it cannot say. `believes`: as with [`pack`](super::pack).
///
/// # Errors
/// What keeps the tree from being read or the list from being written.
pub fn write(
    top: &Path,
    format: Format,
    (ownership, view, believes): (&Ownership, &View, bool),
    out: &mut dyn Write,
) -> io::Result<Report> {
    let mut report = Report::default();
    let (tree, root) = Tree::open(top, (ownership, view, believes))?;
    if format == Format::Fakeroot {
        // Times of birth stand behind all the rest.
        let (mut entries, mut known) = (vec![], HashSet::new());
        tree.walk(root, &mut |met| {
            if met.is_recorded && known.insert(met.inode()) {
                entries.push(entry(met));
            }
            Ok(())
        })?;
        out.write_all(listing::text(&entries).as_bytes())?;
        return Ok(report);
    }
    if format == Format::Mtree {
        out.write_all(b"#mtree\n")?;
    }
    tree.walk(root, &mut |met| {
        if !met.is_recorded && format != Format::Mtree {
            return Ok(());
        }
        match format {
            Format::Text => out.write_all(text(met).as_bytes()),
            Format::Mtree => out.write_all(mtree(top, met).as_bytes()),
            Format::Mksquashfs | Format::MksquashfsExclude if met.path.contains(&b'\n') => {
                if format == Format::Mksquashfs || met.shown.device.is_some() {
                    report.lose(&met.path, "is left out: mksquashfs reads no name with a line break");
                }
                Ok(())
            }
            Format::Mksquashfs => out.write_all(&pseudo(met)),
            Format::MksquashfsExclude if met.shown.device.is_some() => {
                out.write_all(&[&met.path[..], b"\n"].concat())
            }
            Format::Json => writeln!(out, "{}", object(met)),
            _ => Ok(()),
        }
    })?;
    Ok(report)
}

/// The device that it is or stands for.
fn device(met: &Met) -> Option<Device> {
    met.shown.device.or_else(|| Device::of(met.statx.mode, met.statx.rdev))
}

/// The line of ls, with what has no place in it below.
fn text(met: &Met) -> String {
    let shown = &met.shown;
    let numbers = match device(met) {
        Some(Device { major, minor, .. }) => format!("{major}, {minor}"),
        None => met.statx.size.to_string(),
    };
    let link = if met.link.is_empty() { String::new() } else { format!(" -> {}", printable(&met.link)) };
    let (mode, path) = (letters(shown.mode), printable(&met.path));
    let mut text = format!("{mode} {:>5} {:>5} {numbers:>9} {path}{link}\n", shown.uid, shown.gid);
    for name in shown.attributes.keys().filter(|name| !name.starts_with(b"user.")) {
        text.push_str(&format!("           {}\n", printable(name)));
    }
    text
}

/// Type and permissions as ls says them.
fn letters(mode: u16) -> String {
    let kind = match mode & S_IFMT {
        S_IFDIR => 'd',
        S_IFLNK => 'l',
        S_IFCHR => 'c',
        S_IFBLK => 'b',
        S_IFIFO => 'p',
        S_IFREG => '-',
        _ => 's',
    };
    let mut letters = String::from(kind);
    for (shift, special, [with, without]) in
        [(6, 0o4000, ['s', 'S']), (3, 0o2000, ['s', 'S']), (0, 0o1000, ['t', 'T'])]
    {
        let has = |bit: u16| mode >> shift & bit != 0;
        letters.push(if has(4) { 'r' } else { '-' });
        letters.push(if has(2) { 'w' } else { '-' });
        letters.push(match (mode & special != 0, has(1)) {
            (true, true) => with,
            (true, false) => without,
            (false, true) => 'x',
            (false, false) => '-',
        });
    }
    letters
}

/// The line of mtree(5).
fn mtree(top: &Path, met: &Met) -> String {
    use std::os::unix::ffi::OsStrExt;
    let shown = &met.shown;
    let vis = |bytes: &[u8]| -> String {
        let plain = |byte: u8| byte.is_ascii_graphic() && !b"\\#=".contains(&byte);
        let vis =
            |&byte: &u8| if plain(byte) { char::from(byte).to_string() } else { format!("\\{byte:03o}") };
        bytes.iter().map(vis).collect()
    };
    let path = if met.path.is_empty() { ".".to_owned() } else { format!("./{}", vis(&met.path)) };
    let [_, modified] = met.fact.times.seen(met.statx.atime, met.statx.mtime);
    let kind = match shown.mode & S_IFMT {
        S_IFDIR => "type=dir".to_owned(),
        S_IFLNK => format!("type=link link={}", vis(&met.link)),
        S_IFIFO => "type=fifo".to_owned(),
        S_IFCHR | S_IFBLK => {
            let kind = if shown.mode & S_IFMT == S_IFBLK { "block" } else { "char" };
            let Device { major, minor, .. } =
                device(met).unwrap_or(Device { block: false, major: 0, minor: 0 });
            format!("type={kind} device=linux,{major},{minor}")
        }
        S_IFREG => {
            let content = top.join(std::ffi::OsStr::from_bytes(&met.path));
            format!("type=file size={} contents={}", met.statx.size, vis(content.as_os_str().as_bytes()))
        }
        _ => "type=socket".to_owned(),
    };
    let (uid, gid, mode) = (shown.uid, shown.gid, shown.mode & PERMISSIONS);
    // What stands behind the point is taken away where the seconds are negative.
    let nanoseconds = if modified.seconds < 0 { 0 } else { modified.nanoseconds };
    let time = format!("{}.{nanoseconds:09}", modified.seconds);
    let links = if met.statx.links > 1 && !shown.is(S_IFDIR) {
        let (dev, ino) = met.inode();
        format!(" nlink={} resdevice={} inode={ino}", met.statx.links, dev)
    } else {
        String::new()
    };
    format!("{path} uid={uid} gid={gid} mode={mode:04o} time={time}{links} {kind}\n")
}

/// The pseudo file definition.
fn pseudo(met: &Met) -> Vec<u8> {
    let shown = &met.shown;
    let path = if met.path.is_empty() { b"/".to_vec() } else { escaped(&met.path, b" \t\"\\") };
    let ids = format!("{:o} {} {}", shown.mode & PERMISSIONS, shown.uid, shown.gid);
    let rest = match shown.device {
        Some(Device { block, major, minor }) => {
            format!(" {} {ids} {major} {minor}\n", if block { 'b' } else { 'c' })
        }
        None => format!(" m {ids}\n"),
    };
    [path, rest.into_bytes()].concat()
}

/// Bytes with a backslash before those that need one.
fn escaped(bytes: &[u8], which: &[u8]) -> Vec<u8> {
    let escape = |&byte: &u8| if which.contains(&byte) { vec![b'\\', byte] } else { vec![byte] };
    bytes.iter().flat_map(escape).collect()
}

/// The line of fakeroot's.
fn entry(met: &Met) -> Entry {
    let identity = Identity::of(&met.statx);
    Entry {
        inode: identity.inode(),
        birth: Some(identity.birth),
        mode: met.shown.mode,
        uid: Uid(met.shown.uid),
        gid: Gid(met.shown.gid),
        links: met.statx.links,
        rdev: device(met)
            .map_or(0, |device| DeviceNumber { major: device.major, minor: device.minor }.encode()),
    }
}

/// The object of JSON. Text that is none has its bytes in hexadecimal digits beside it.
fn object(met: &Met) -> Value {
    let shown = &met.shown;
    let mut object = Map::new();
    put_text(&mut object, "path", &met.path);
    let kind = match shown.mode & S_IFMT {
        S_IFDIR => "directory",
        S_IFLNK => "link",
        S_IFCHR => "char",
        S_IFBLK => "block",
        S_IFIFO => "fifo",
        S_IFREG => "file",
        _ => "socket",
    };
    object.insert("type".to_owned(), kind.into());
    object.insert("mode".to_owned(), format!("{:04o}", shown.mode & PERMISSIONS).into());
    object.insert("uid".to_owned(), shown.uid.into());
    object.insert("gid".to_owned(), shown.gid.into());
    if let Some(Device { major, minor, .. }) = device(met) {
        object.insert("device".to_owned(), json!([major, minor]));
    }
    if !met.link.is_empty() {
        put_text(&mut object, "target", &met.link);
    }
    let mut attributes = Map::new();
    for (name, value) in &shown.attributes {
        attributes.insert(String::from_utf8_lossy(name).into_owned(), hex(value).into());
    }
    if !attributes.is_empty() {
        object.insert("attributes".to_owned(), attributes.into());
    }
    object.into()
}

fn put_text(object: &mut Map<String, Value>, key: &str, text: &[u8]) {
    object.insert(key.to_owned(), String::from_utf8_lossy(text).into());
    if std::str::from_utf8(text).is_err() {
        object.insert(format!("{key}_hex"), hex(text).into());
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
