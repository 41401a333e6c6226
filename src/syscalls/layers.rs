//! Owners of what an overlay that was mounted inside shows of its layers.
//!
//! An inode that bears its owner shows it through the overlay too. A link, a FIFO or a socket bears none: what is known of it is
//! kept by its number on the layer's filesystem. The overlay shows the number and the birth time of the layer's inode until it
//! copies that up; the device number is the overlay's own, or where layers are on several filesystems one that no mount has.

use parking_lot::Mutex;

use super::inode::{self, AT_FDCWD};
use super::{Guest, filesystem};
use crate::abi::DeviceNumber;
use crate::abi::stat::{S_IFDIR, S_IFMT, S_IFREG, Statx};
use crate::ownership::{Found, Identity};

/// The layers of overlays that were mounted inside.
#[derive(Debug, Default)]
pub struct Layers(Mutex<Vec<Overlay>>);

/// An overlay, by device numbers.
#[derive(Debug)]
struct Overlay {
    dev: u64,
    /// Of its layers' filesystems.
    layers: Vec<u64>,
}

impl Layers {
    /// So many overlays are known.
    const MOST: usize = 1024;

    /// The filesystems of which an inode on this one may be shown. A number may have been an overlay's that is unmounted, and
    /// be that of another's layer: so an overlay's own layers come first, then all others'.
    fn of(&self, guest: &dyn Guest, dev: u64) -> Vec<u64> {
        let (is_own, found): (bool, Vec<u64>) = {
            let all = self.0.lock();
            let (own, others): (Vec<_>, Vec<_>) = all.iter().partition(|overlay| overlay.dev == dev);
            let layers = own.iter().chain(&others).flat_map(|overlay| overlay.layers.iter().copied());
            (!own.is_empty(), layers.collect())
        };
        // The list of mounts is read without the lock.
        if found.is_empty() || !is_own && guest.is_mounted(dev) { Vec::new() } else { found }
    }
}

/// The filesystems of the directories that an overlay's option names.
pub fn named(guest: &mut dyn Guest, key: &[u8], value: &[u8]) -> Vec<u64> {
    let names: Vec<Vec<u8>> = match key {
        b"lowerdir" => split(value),
        b"lowerdir+" | b"upperdir" => vec![value.to_vec()],
        _ => Vec::new(),
    };
    let filesystem_of = |name: &Vec<u8>| {
        let place = inode::place_in_scratch(guest, AT_FDCWD, name, 0)?;
        let found = inode::inspect(guest, place).ok()?;
        let place = inode::place_in_scratch(guest, AT_FDCWD, name, 0)?;
        filesystem::find(guest, place, &found);
        Some(found.dev)
    };
    names.iter().filter_map(filesystem_of).collect()
}

/// Directories with colons between them; a backslash makes a colon part of a name.
fn split(value: &[u8]) -> Vec<Vec<u8>> {
    let (mut names, mut bytes) = (vec![Vec::new()], value.iter());
    while let Some(&byte) = bytes.next() {
        match (byte, names.last_mut()) {
            (b':', _) => names.push(Vec::new()),
            (b'\\', Some(name)) => name.extend(bytes.next()),
            (_, Some(name)) => name.push(byte),
            (_, None) => {}
        }
    }
    names.retain(|name| !name.is_empty());
    names
}

/// An overlay was mounted, of which this is open if it was not mounted anywhere yet, with layers on these filesystems.
pub fn note(guest: &mut dyn Guest, open: Option<u64>, mut layers: Vec<u64>) {
    let number = guest.filesystem(open);
    let number = number.as_deref().and_then(|number| number.split_once(':'));
    let Some((Ok(major), Ok(minor))) = number.map(|(major, minor)| (major.parse(), minor.parse())) else {
        return;
    };
    let dev = u64::from(DeviceNumber { major, minor }.encode());
    layers.sort_unstable();
    layers.dedup();
    let mut all = guest.layers().0.lock();
    // Another had the number earlier.
    all.retain(|overlay| overlay.dev != dev);
    if all.len() < Layers::MOST {
        all.push(Overlay { dev, layers });
    }
}

/// What was found of an inode, or else of the layer's inode which it shows.
pub fn below(guest: &dyn Guest, statx: &Statx, found: Found) -> Found {
    let bears_its_own = matches!(statx.mode & S_IFMT, S_IFREG | S_IFDIR);
    if !found.is_nothing() || bears_its_own || statx.birth == 0 {
        return found;
    }
    let identity = Identity::of(statx);
    let layers = guest.layers().of(guest, statx.dev).into_iter();
    let fact = layers.filter_map(|dev| guest.ownership().kept_of(Identity { dev, ..identity })).next();
    match fact {
        Some(fact) => found.beside(fact),
        None => found,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lower_directories_are_told_apart_by_colons_that_are_not_part_of_a_name() {
        let names = |value: &str| {
            split(value.as_bytes())
                .iter()
                .map(|it| String::from_utf8_lossy(it).into_owned())
                .collect::<Vec<_>>()
        };
        assert_eq!(names("a:b/c::d"), ["a", "b/c", "d"]);
        assert_eq!(names("a\\:b:c\\\\"), ["a:b", "c\\"]);
        assert!(names("").is_empty());
    }
}
