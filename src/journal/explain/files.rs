//! What became of files: by path, as far as there is room.

use std::collections::{BTreeMap, HashMap};
use std::ffi::{CString, OsString};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::DirEntryExt;
use std::path::{Path, PathBuf};

use super::super::event::{Answered, Effect, Inode};
use super::{MOST, matters};
use crate::abi::DeviceNumber;
use crate::abi::stat::Statx;
use crate::sys::files;

/// What is known of one file.
#[derive(Debug, Clone, Default)]
pub struct Known {
    /// Its owner, as far as it was given.
    pub uid: Option<u32>,
    /// Its group.
    pub gid: Option<u32>,
    /// Its mode, where the kernel could not have set it.
    pub mode: Option<u32>,
    /// Kind and number of a device.
    pub device: Option<(u32, DeviceNumber)>,
    /// Its capabilities.
    pub capabilities: Option<String>,
    /// Attributes that only root may set.
    pub attributes: Vec<Vec<u8>>,
    /// The root directory of who did it, where that is not the tracer's.
    pub root: Option<Vec<u8>>,
    /// Which inode it is.
    pub inode: Option<Inode>,
}

/// What is known of each file, by its path.
#[derive(Debug, Default)]
pub struct Files(BTreeMap<Vec<u8>, Known>);

impl Files {
    /// Takes in what a call has changed; whether there was room.
    pub fn note(&mut self, call: &Answered) -> bool {
        let (Some(path), Some(effect)) = (&call.object, call.effect.as_ref().filter(|it| matters(it))) else {
            return true;
        };
        if self.0.len() >= MOST && !self.0.contains_key(path) {
            return false;
        }
        let known = self.0.entry(path.clone()).or_default();
        if call.inode.is_some() && known.inode.is_some() && known.inode != call.inode {
            *known = Known::default(); // another file of that name
        }
        known.root.clone_from(&call.root);
        known.inode = call.inode.or(known.inode);
        match effect {
            Effect::Owner(uid, gid) => {
                known.uid = uid.or(known.uid);
                known.gid = gid.or(known.gid);
            }
            Effect::Mode(mode) => known.mode = Some(*mode),
            Effect::Node(mode, device) => {
                let is_device = matches!(mode & 0o170_000, 0o020_000 | 0o060_000);
                known.device = is_device.then_some((*mode, *device));
            }
            Effect::Capabilities(text) => known.capabilities = Some(text.clone()),
            Effect::Attribute(name) => {
                if !known.attributes.contains(name) {
                    known.attributes.push(name.clone());
                }
            }
        }
        true
    }

    /// The kernel has done by itself what a call asked for: a file that is known is root's again.
    pub fn note_kernels(&mut self, call: &Answered) {
        if let (Some(path), Some(Effect::Owner(uid, gid))) = (&call.object, &call.effect)
            && let Some(known) = self.0.get_mut(path)
        {
            known.uid = uid.or(known.uid);
            known.gid = gid.or(known.gid);
        }
    }

    /// All files under the names that they have now, and how many of them have none any more.
    pub fn settled(&self) -> (BTreeMap<Vec<u8>, Known>, usize) {
        let mut directories = HashMap::new();
        let (mut settled, mut gone) = (BTreeMap::new(), 0);
        for (path, known) in &self.0 {
            match current(path, known.inode, &mut directories) {
                Some(path) => {
                    settled.entry(path).or_insert_with(|| known.clone());
                }
                None => gone += 1,
            }
        }
        (settled, gone)
    }
}

/// The names in a directory, by inode number.
type Listing = HashMap<u64, OsString>;

/// The name of a file that was changed under this one: package managers unpack beside what they replace.
fn current(path: &[u8], inode: Option<Inode>, known: &mut HashMap<PathBuf, Listing>) -> Option<Vec<u8>> {
    let here = PathBuf::from(OsString::from_vec(path.to_vec()));
    let Some(inode) = inode else { return at(path).map(|_| path.to_vec()) };
    if at(path) == Some(inode) {
        return Some(path.to_vec());
    }
    let directory = here.parent()?;
    let listing = known.entry(directory.to_owned()).or_insert_with(|| listing(directory));
    let name = directory.join(listing.get(&inode.1)?).into_os_string().into_vec();
    (at(&name) == Some(inode)).then_some(name)
}

/// The inode at a path.
fn at(path: &[u8]) -> Option<Inode> {
    let found = Statx::parse(&files::describe(&CString::new(path).ok()?, false).ok()?);
    Some((found.dev, found.ino, found.birth))
}

fn listing(directory: &Path) -> Listing {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    entries.take(MOST).map(|entry| (entry.ino(), entry.file_name())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_under_the_name_that_it_was_given_later() {
        let place = std::env::temp_dir().join(format!("remainroot-files-{}", std::process::id()));
        std::fs::create_dir_all(&place).expect("the name is free");
        let (new, old) = (place.join("f.new"), place.join("f"));
        std::fs::write(&new, "x").expect("it is ours");
        let inode = at(new.as_os_str().as_encoded_bytes());
        assert!(inode.is_some());
        std::fs::rename(&new, &old).expect("it is ours");
        let bytes = |path: &Path| path.as_os_str().as_encoded_bytes().to_vec();
        assert_eq!(current(&bytes(&new), inode, &mut HashMap::new()), Some(bytes(&old)));
        std::fs::remove_file(&old).expect("it is there");
        assert_eq!(current(&bytes(&new), inode, &mut HashMap::new()), None);
        std::fs::remove_dir_all(place).expect("it is there");
    }
}
