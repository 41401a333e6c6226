//! The layers of an image, as far as it matters whose a link, FIFO or socket is: that stands in a file of its own, by path, and
//! goes for what the path names in the layers below, too.

use std::collections::HashMap;
use std::ffi::OsStr;
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read};
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path};

use super::entry::DIRECTORY;
use super::report::ancestors;
use super::shown::{self, is_ours};
use super::tape::{Source, Tape};
use crate::ownership::Fact;
use crate::ownership::names::{self, Names};

/// What the name of a file that hides one of a lower layer begins with.
const HIDES: &[u8] = b".wh.";
/// The rest of the name of a file that hides all that lower layers have in its directory.
const OPAQUE: &[u8] = b".wh..opq";
/// Most bytes that are read of a file of owners by path.
pub(super) const MOST: u64 = 256 << 20;

/// What a layer has at a path.
const PRESENT: u8 = 1;
/// No directory.
const SOLID: u8 = 2;
/// Nothing, and hides what lower layers have.
const HIDDEN: u8 = 4;
/// A directory that hides what lower layers have in it.
const CLOSED: u8 = 8;

/// What is remembered of one layer.
#[derive(Debug, Default)]
pub(super) struct Surface {
    /// The file of owners by path as it is from this layer on, if the layer changes it.
    names: Option<Names>,
    /// By the hash of a path.
    paths: HashMap<u64, u8>,
    /// Whether an entry records something, or is of what records owners.
    records: bool,
}

/// All layers, the lowest first.
#[derive(Debug, Default)]
pub(super) struct Stack(pub(super) Vec<Surface>);

/// What the name of an entry says of the layers below.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Whiteout<'a> {
    /// The file with this path is gone.
    Of(Vec<u8>),
    /// All that is in this directory is gone.
    In(&'a [u8]),
}

/// What an entry hides, if it is there to hide something.
pub(super) fn whiteout(path: &[u8]) -> Option<Whiteout<'_>> {
    let at = path.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
    let (directory, name) = path.split_at_checked(at)?;
    let hidden = name.strip_prefix(HIDES)?;
    if hidden == OPAQUE {
        return Some(Whiteout::In(directory.strip_suffix(b"/").unwrap_or_default()));
    }
    Some(Whiteout::Of([directory, hidden].concat()))
}

/// A path from the root, without what leads nowhere.
pub(super) fn normal(path: &[u8]) -> Vec<u8> {
    let mut normal = vec![];
    for part in Path::new(OsStr::from_bytes(path)).components() {
        if matches!(part, Component::CurDir | Component::RootDir) {
            continue;
        }
        if !normal.is_empty() {
            normal.push(b'/');
        }
        normal.extend(part.as_os_str().as_bytes());
    }
    normal
}

fn hash(path: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    path.hash(&mut hasher);
    hasher.finish()
}

impl Surface {
    /// Looks through a layer.
    pub(super) fn of(source: impl Source) -> io::Result<Surface> {
        let mut surface = Surface::default();
        let mut tape = Tape::new(source);
        let file = normal(names::FILE.as_bytes());
        while let Some(entry) = tape.next()? {
            let path = normal(&entry.path);
            surface.records |=
                is_state(&path) || entry.records.attributes().iter().any(|(name, _)| is_ours(name));
            match whiteout(&path) {
                Some(Whiteout::Of(path)) => surface.note(&path, HIDDEN),
                Some(Whiteout::In(path)) => surface.note(path, CLOSED),
                None if entry.kind == DIRECTORY => surface.note(&path, PRESENT),
                None => surface.note(&path, PRESENT | SOLID),
            }
            if path == file {
                let mut records = vec![];
                tape.data().take(MOST).read_to_end(&mut records)?;
                surface.names = Some(Names::parse(&records));
            }
        }
        if surface.names.is_none() && surface.covers(&file) {
            surface.names = Some(Names::default());
        }
        Ok(surface)
    }

    fn note(&mut self, path: &[u8], what: u8) {
        *self.paths.entry(hash(path)).or_default() |= what;
    }

    /// Whether what lower layers have at this path is not to be seen any more.
    fn covers(&self, path: &[u8]) -> bool {
        let has = |path: &[u8], what| self.paths.get(&hash(path)).is_some_and(|known| known & what != 0);
        has(path, PRESENT | HIDDEN) || ancestors(path).any(|above| has(above, HIDDEN | CLOSED | SOLID))
    }
}

impl Stack {
    /// Whether anything is recorded that concerns what a layer has.
    pub(super) fn concerns(&self, layer: usize) -> bool {
        let Some(surface) = self.0.get(layer) else { return false };
        let has = |path: &Path| surface.paths.contains_key(&hash(&normal(path.as_os_str().as_bytes())));
        surface.records
            || self.0.iter().filter_map(|other| other.names.as_ref()).any(|names| names.paths().any(has))
    }

    /// What is recorded by path of what a layer has there: the last layer counts, up to the first one that
    /// replaces the file.
    pub(super) fn fact(&self, layer: usize, path: &[u8], file_type: u16, target: &[u8]) -> Option<Fact> {
        let (to, above) = self.0.split_at_checked(layer + 1)?;
        let seen = above.iter().take_while(|upper| !upper.covers(path));
        let names = to.iter().chain(seen).filter_map(|surface| surface.names.as_ref()).last()?;
        let from_root = [b"/", path].concat();
        names.fact(Path::new(OsStr::from_bytes(&from_root)), file_type, target)
    }
}

/// Whether an entry is part of what records owners, or hides such a part of a lower layer.
pub(super) fn is_state(path: &[u8]) -> bool {
    let is_state = |path: &[u8]| shown::is_state(Path::new(OsStr::from_bytes(path)));
    match whiteout(path) {
        Some(Whiteout::Of(path)) => is_state(&path),
        Some(Whiteout::In(path)) => is_state(path),
        None => is_state(path),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::abi::stat::S_IFLNK;

    /// A layer with these paths, and with this file of owners by path.
    fn layer(paths: &[&str], names: Option<&[u8]>) -> Surface {
        let mut surface = Surface::default();
        for path in paths {
            match whiteout(path.as_bytes()) {
                Some(Whiteout::Of(path)) => surface.note(&path, HIDDEN),
                Some(Whiteout::In(path)) => surface.note(path, CLOSED),
                None => surface.note(path.as_bytes(), PRESENT | SOLID),
            }
        }
        surface.names = names.map(Names::parse);
        surface
    }

    fn owner(stack: &Stack, number: usize) -> Option<u32> {
        stack.fact(number, b"d/l", S_IFLNK, b"t")?.uid.map(|uid| uid.0)
    }

    const SEVEN: &[u8] = b"+120000 7 - - - /d/l\0t\0";
    const EIGHT: &[u8] = b"+120000 7 - - - /d/l\0t\0+120000 8 - - - /d/l\0t\0";

    #[test]
    fn an_upper_layer_says_whose_a_link_of_a_lower_one_is_until_it_is_another() {
        let lower = || layer(&["d/l"], Some(SEVEN));
        let stack = |upper: Surface| Stack(vec![lower(), upper]);
        assert_eq!(owner(&stack(layer(&[], None)), 0), Some(7));
        assert_eq!(owner(&stack(layer(&[], Some(EIGHT))), 0), Some(8));
        assert_eq!(owner(&stack(layer(&[], Some(b""))), 0), None, "it was given back");
        for other in ["d/l", "d/.wh.l", "d/.wh..wh..opq", ".wh.d", "d"] {
            let stack = stack(layer(&[other], Some(EIGHT)));
            assert_eq!(owner(&stack, 0), Some(7), "{other}");
            assert_eq!(owner(&stack, 1), Some(8), "{other}");
        }
        assert_eq!(owner(&Stack(vec![layer(&[], Some(SEVEN)), layer(&["d/l"], None)]), 1), Some(7));
    }

    #[test]
    fn paths_are_compared_without_what_leads_nowhere() {
        for path in ["./a//b/", "/a/b", "a/./b"] {
            assert_eq!(normal(path.as_bytes()), b"a/b", "{path}");
        }
        assert_eq!(normal(b"./"), b"");
        assert_eq!(whiteout(b"a/.wh.b"), Some(Whiteout::Of(b"a/b".to_vec())));
        assert_eq!(whiteout(b".wh..wh..opq"), Some(Whiteout::In(b"")));
        assert_eq!(whiteout(b"a/b"), None);
        assert!(is_state(b"var/lib/.wh.remainroot") && is_state(b"var/lib/remainroot/.wh..wh..opq"));
    }
}
