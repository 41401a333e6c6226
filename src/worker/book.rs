//! What processes have shown of the files that they execute: where these make calls that can be answered inside, and which
//! programs look often.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use parking_lot::RwLock;

use super::site::{Site, WITH_BEFORE};
use crate::ownership::Inode;
use crate::sys::inside;
use crate::sys::memory::Mapping;
use crate::sys::{self, Tid};

/// So many files are known at most.
const MOST: usize = 1000;
/// By what a loader maps libraries.
pub(super) const MMAP: u32 = 9;
/// A loader's text is no longer than this.
const LONGEST: u64 = 1 << 20;

impl Site {
    /// Whether it is one of calls that only look, as nearly every program does, if only because its loader does.
    pub(super) fn looks(self) -> bool {
        inside::bit(self.number) & inside::LOOKS != 0
    }
}

/// See the module.
#[derive(Debug, Default)]
pub struct Book {
    /// By device and inode number: where in the file.
    sites: RwLock<HashMap<(u64, u64), Vec<u64>>>,
    /// Loaders that were searched for where they map libraries.
    loaders: RwLock<HashSet<(u64, u64)>>,
    /// Those that look often.
    programs: RwLock<HashMap<Inode, Program>>,
}

/// What is known of one of them.
#[derive(Debug)]
struct Program {
    /// Its loader, where that was looked at.
    loader: Option<Arc<Loader>>,
    /// Which calls it has made from libraries that can be answered inside: the bits of [`inside::bit`].
    wanted: u64,
}

/// A program's loader, as it was last mapped.
#[derive(Debug)]
pub(super) struct Loader {
    /// Its text.
    pub text: Mapping,
    /// Its first instruction.
    pub first: u64,
    /// How its file begins: what loads this has the same layout.
    pub head: [u8; HEAD],
}

/// Bytes of an ELF header and a dozen program headers.
pub(super) const HEAD: usize = 64 + 12 * 56;

impl Book {
    /// There is a site in this text.
    pub(super) fn learn(&self, text: &Mapping, site: Site) {
        let offset = text.offset_of(site.address);
        let knows = |sites: &Vec<u64>| sites.contains(&offset);
        if !self.sites.read().get(&text.file).is_some_and(knows) {
            let mut files = self.sites.write();
            if files.len() >= MOST {
                files.clear();
                self.loaders.write().clear();
            }
            files.entry(text.file).or_default().push(offset);
        }
    }

    /// Learns where the text of a loader maps libraries.
    pub(super) fn search(&self, tid: Tid, text: &Mapping) {
        let length = text.range.end - text.range.start;
        if length > LONGEST || self.loaders.read().contains(&text.file) {
            return;
        }
        let mut bytes = vec![0; length as usize];
        let read = sys::memory::read(tid, text.range.start, &mut bytes).unwrap_or(0);
        bytes.truncate(read);
        for (address, stands) in (text.range.start..).zip(bytes.windows(WITH_BEFORE)) {
            let site = stands.first_chunk().and_then(|stands| Site::in_bytes(address, stands));
            if let Some(site) = site.filter(|site| site.number == MMAP) {
                self.learn(text, site);
            }
        }
        let mut loaders = self.loaders.write();
        if loaders.len() >= MOST {
            loaders.clear();
        }
        loaders.insert(text.file);
    }

    /// The sites of this text that look, map, or make this call. What was learnt of another file that once had its number is no
    /// site any more, or one as good as any.
    pub(super) fn sites(&self, tid: Tid, text: &Mapping, number: u32) -> Vec<Site> {
        let known = self.sites.read().get(&text.file).cloned().unwrap_or_default();
        let address = |offset: u64| offset.checked_sub(text.offset)?.checked_add(text.range.start);
        let there = known.into_iter().filter_map(address).filter(|address| text.range.contains(address));
        let mut sites = Site::all(tid, there);
        sites.retain(|site| site.number == number || site.number == MMAP || site.looks());
        sites
    }

    /// This program looks often.
    pub(super) fn note_looker(&self, program: Inode) {
        if !self.is_looker(program) {
            let mut programs = self.programs.write();
            if programs.len() >= MOST {
                programs.clear();
            }
            programs.insert(program, Program { loader: None, wanted: inside::LOOKS });
        }
    }

    /// Its loader is this now.
    pub(super) fn note_loader(&self, program: Inode, loader: Loader) {
        if let Some(known) = self.programs.write().get_mut(&program) {
            known.loader = Some(Arc::new(loader));
        }
    }

    /// It has another one.
    pub(super) fn forget_loader(&self, program: Inode) {
        if let Some(known) = self.programs.write().get_mut(&program) {
            known.loader = None;
        }
    }

    /// Its loader, if that is known.
    pub(super) fn loader(&self, program: Inode) -> Option<Arc<Loader>> {
        self.programs.read().get(&program)?.loader.clone()
    }

    /// It makes this call, too.
    pub(super) fn note_wanted(&self, program: Inode, number: u32) {
        let bit = inside::bit(number);
        let lacks = |known: &Program| known.wanted & bit != bit;
        if self.programs.read().get(&program).is_some_and(lacks)
            && let Some(known) = self.programs.write().get_mut(&program)
        {
            known.wanted |= bit;
        }
    }

    /// The bits of calls whose sites are to be rewritten in the libraries that it loads.
    pub(super) fn wanted(&self, program: Inode) -> u64 {
        self.programs.read().get(&program).map_or(inside::LOOKS, |known| known.wanted)
    }

    /// Whether it does.
    pub(super) fn is_looker(&self, program: Inode) -> bool {
        self.programs.read().contains_key(&program)
    }
}
