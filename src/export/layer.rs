//! One layer: a tar archive in which every entry gets what is recorded of it.

use std::collections::HashMap;
use std::io::{self, Write};

use super::entry::{Entry, HARD_LINK};
use super::report::{Report, printable};
use super::shown::{self, Named, Shown};
use super::stack::{self, Stack, normal};
use super::tape::{self, Source, Tape};
use crate::abi::stat::{PERMISSIONS, S_IFDIR, S_IFREG};
use crate::ownership::{Extra, Extras, Fact};

/// A layer of a stack.
pub(super) struct Layer<'a> {
    pub(super) stack: &'a Stack,
    /// Which, the lowest is 0.
    pub(super) number: usize,
    pub(super) report: &'a mut Report,
}

/// What is to become of an entry.
enum Fate {
    Stays,
    Changes,
    Goes,
}

impl Layer<'_> {
    /// Writes the archive as it is to be; whether it is another than the one that was read.
    pub(super) fn rewrite(&mut self, source: impl Source, out: &mut dyn Write) -> io::Result<bool> {
        let mut tape = Tape::new(source);
        // Of inodes that may have further names.
        let mut met = HashMap::new();
        let mut is_changed = false;
        while let Some(mut entry) = tape.next()? {
            match self.judge(&mut entry, &mut met) {
                Fate::Stays => {}
                Fate::Changes => {
                    entry.seal();
                    is_changed = true;
                }
                Fate::Goes => {
                    is_changed = true;
                    continue;
                }
            }
            tape::write(out, &entry, &mut tape.data())?;
        }
        tape::end(out)?;
        Ok(is_changed)
    }

    fn judge(&mut self, entry: &mut Entry, met: &mut HashMap<Vec<u8>, Shown>) -> Fate {
        let path = normal(&entry.path);
        if stack::is_state(&path) {
            return Fate::Goes;
        }
        if stack::whiteout(&path).is_some() {
            return Fate::Stays;
        }
        let before: Named = entry.records.attributes().into_iter().collect();
        let mut attributes = before.clone();
        let (fact, extras) = shown::take_recorded(&mut attributes);
        let shown = match entry.file_type() {
            Some(file_type) => {
                let mode = file_type | entry.mode;
                let mut shown = Shown { uid: entry.uid, gid: entry.gid, mode, device: None, attributes };
                self.put(&mut shown, &path, entry, fact, &extras);
                shown
            }
            None if entry.kind == HARD_LINK => match met.get(&normal(&entry.link)) {
                Some(shown) => Shown { attributes, ..shown.clone() },
                None => Shown { uid: entry.uid, gid: entry.gid, mode: entry.mode, device: None, attributes },
            },
            None => return Fate::Stays,
        };
        self.report.see(&path, &shown);
        let is_other = apply(entry, &shown, before);
        if !shown.is(S_IFDIR) && (is_other || shown.has_capabilities() || shown.mode & 0o6000 != 0) {
            met.insert(path, shown);
        }
        if is_other { Fate::Changes } else { Fate::Stays }
    }

    /// Puts what is recorded of an inode over what the archive says of it.
    fn put(&mut self, shown: &mut Shown, path: &[u8], entry: &Entry, fact: Fact, extras: &Extras) {
        let file_type = shown.mode & !PERMISSIONS;
        // What is said on anything else nobody has recorded.
        let borne = if shown.is(S_IFREG) || shown.is(S_IFDIR) { fact } else { Fact::default() };
        let by_path = self.stack.fact(self.number, path, file_type, &entry.link);
        for (name, extra) in extras.iter() {
            if matches!(extra, Extra::Beside(_)) && !shown.attributes.contains_key(name) {
                let name = printable(name);
                self.report.lose(path, &format!("{name} is left out, of which the layer lacks a part"));
            }
        }
        shown.put(&borne.beside(by_path), extras);
        if shown.device.is_some() && entry.size > 0 {
            let bytes = entry.size;
            self.report
                .lose(path, &format!("stands for a device, and its content of {bytes} bytes is left out"));
        }
        shown.attributes.retain(|name, _| {
            let can_be_said = !name.contains(&b'=');
            if !can_be_said {
                self.report
                    .lose(path, "an attribute with = in its name is left out, which an archive cannot hold");
            }
            can_be_said
        });
    }
}

/// Has an entry say what is shown; whether that is something else than it said, with attributes as they were `before`.
fn apply(entry: &mut Entry, shown: &Shown, before: Named) -> bool {
    let mode = shown.mode & PERMISSIONS;
    let is_same = (entry.uid, entry.gid, entry.mode) == (shown.uid, shown.gid, mode);
    let is_device = entry.kind != HARD_LINK && shown.device.is_some();
    if is_same && !is_device && before == shown.attributes {
        return false;
    }
    (entry.uid, entry.gid, entry.mode) = (shown.uid, shown.gid, mode);
    if let Some(device) = shown.device.filter(|_| is_device) {
        entry.make_device(device);
    }
    let all = shown.attributes.iter().map(|(name, value)| (name.as_slice(), value.as_slice()));
    entry.records.set_attributes(all);
    true
}
