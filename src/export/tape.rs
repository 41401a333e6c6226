//! Reading and writing tar archives as streams.

use std::io::{self, Read, Write};

use super::entry::{self, BLOCK, Entry, SPARSE, malformed, until_nul};
use super::pax::Records;

/// Most bytes of what stands before an entry: names, attributes.
const MOST: u64 = 16 << 20;
/// Most bytes of all that stands before one.
const MOST_IN_ALL: usize = 32 << 20;
/// Where a header in GNU's older form says that its map goes on, and where a block of a map does.
const MAP_GOES_ON: [usize; 2] = [482, 504];

/// What an archive is read from.
pub(super) trait Source: Read {
    /// Leaves bytes out.
    ///
    /// # Errors
    /// As reading; where there are not so many.
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let skipped = io::copy(&mut self.take(count), &mut io::sink())?;
        if skipped == count { Ok(()) } else { Err(cut_short()) }
    }
}

impl Source for Box<dyn Source + '_> {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        (**self).skip(count)
    }
}

/// The entries of an archive.
pub(super) struct Tape<S> {
    source: S,
    /// Of the last entry's data.
    left: u64,
    padding: u64,
}

impl<S: Source> Tape<S> {
    pub(super) fn new(source: S) -> Tape<S> {
        Tape { source, left: 0, padding: 0 }
    }

    /// What it is read from, at the data of the last entry.
    pub(super) fn source(&self) -> &S {
        &self.source
    }

    /// The next entry; what was not read of the last one's data is left out.
    pub(super) fn next(&mut self) -> io::Result<Option<Entry>> {
        let rest = self.left + self.padding;
        if rest > 0 {
            self.source.skip(rest)?;
        }
        (self.left, self.padding) = (0, 0);
        let (mut raw, mut records, mut long) = (vec![], Records::default(), [None, None]);
        loop {
            let Some(head) = self.head()? else {
                return if raw.is_empty() { Ok(None) } else { Err(cut_short()) };
            };
            raw.extend(head);
            if raw.len() > MOST_IN_ALL {
                return Err(malformed("what stands before an entry"));
            }
            let [name, link] = &mut long;
            match entry::kind(&head) {
                b'x' | b'X' => {
                    let data = self.data_of(&head, &mut raw)?;
                    records = Records::parse(&data).ok_or_else(|| malformed("a pax header"))?;
                }
                b'L' => *name = Some(until_nul(&self.data_of(&head, &mut raw)?)),
                b'K' => *link = Some(until_nul(&self.data_of(&head, &mut raw)?)),
                kind => {
                    let tail = if kind == SPARSE { self.map_of(&head)? } else { vec![] };
                    raw.extend(&tail);
                    let entry = Entry::read(raw, head, tail, records, long)?;
                    self.left = entry.size;
                    self.padding = entry.size.next_multiple_of(BLOCK as u64) - entry.size;
                    return Ok(Some(entry));
                }
            }
        }
    }

    /// The header that stands next, unless the archive ends.
    fn head(&mut self) -> io::Result<Option<[u8; BLOCK]>> {
        let mut head = [0; BLOCK];
        let mut filled = 0;
        while let Some(rest) = head.get_mut(filled..).filter(|rest| !rest.is_empty()) {
            match self.source.read(rest) {
                Ok(0) if filled == 0 => return Ok(None),
                Ok(0) => return Err(cut_short()),
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        if head == [0; BLOCK] {
            return Ok(None);
        }
        if entry::is_whole(&head) { Ok(Some(head)) } else { Err(malformed("the sum of a header")) }
    }

    /// The data of a header that stands before an entry.
    fn data_of(&mut self, head: &[u8; BLOCK], raw: &mut Vec<u8>) -> io::Result<Vec<u8>> {
        let size = entry::size(head).filter(|&size| size <= MOST).ok_or_else(|| malformed("a long name"))?;
        let mut data = vec![];
        let padded = size.next_multiple_of(BLOCK as u64);
        (&mut self.source).take(padded).read_to_end(&mut data)?;
        if data.len() as u64 != padded {
            return Err(cut_short());
        }
        raw.extend(&data);
        data.truncate(size as usize);
        Ok(data)
    }

    /// The rest of a sparse file's map.
    fn map_of(&mut self, head: &[u8; BLOCK]) -> io::Result<Vec<u8>> {
        let [in_header, in_block] = MAP_GOES_ON;
        let (mut map, mut goes_on) = (vec![], entry::goes_on(head, in_header));
        while goes_on {
            let mut block = [0; BLOCK];
            self.source.read_exact(&mut block)?;
            goes_on = entry::goes_on(&block, in_block);
            map.extend(block);
            if map.len() as u64 > MOST {
                return Err(malformed("the map of a sparse file"));
            }
        }
        Ok(map)
    }

    /// The data of the last entry.
    pub(super) fn data(&mut self) -> impl Read {
        Data(self)
    }
}

struct Data<'a, S>(&'a mut Tape<S>);

impl<S: Source> Read for Data<'_, S> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(usize::try_from(self.0.left).unwrap_or(usize::MAX));
        let into = into.get_mut(..most).unwrap_or_default();
        if into.is_empty() {
            return Ok(0);
        }
        match self.0.source.read(into)? {
            0 => Err(cut_short()),
            count => {
                self.0.left -= count as u64;
                Ok(count)
            }
        }
    }
}

/// Writes an entry and its data.
pub(super) fn write(out: &mut dyn Write, entry: &Entry, data: &mut dyn Read) -> io::Result<()> {
    out.write_all(&entry.raw)?;
    let copied = io::copy(&mut data.take(entry.size), out)?;
    if copied != entry.size {
        return Err(cut_short());
    }
    pad(out, entry.size)
}

/// Fills the last block of so much data.
fn pad(out: &mut dyn Write, size: u64) -> io::Result<()> {
    let padding = size.next_multiple_of(BLOCK as u64) - size;
    let zeros = [0; BLOCK];
    out.write_all(zeros.get(..padding as usize).unwrap_or_default())
}

/// Writes an archive's end.
pub(super) fn end(out: &mut dyn Write) -> io::Result<()> {
    out.write_all(&[0; 2 * BLOCK])
}

pub(super) fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, "it is no tar archive, or cut short")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same header with its data again and again.
    struct Endless(Vec<u8>, usize);

    impl Read for Endless {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            let rest = &self.0[self.1 % self.0.len()..];
            let count = rest.len().min(into.len());
            into[..count].copy_from_slice(&rest[..count]);
            self.1 += count;
            Ok(count)
        }
    }

    impl Source for Endless {}

    #[test]
    fn headers_without_an_entry_end() {
        for kind in [b'x', b'L', b'K'] {
            let mut entry = Entry::new(b"f", kind);
            entry.size = 1 << 20;
            entry.seal();
            let all = [entry.raw, vec![0; 1 << 20]].concat();
            let mut tape = Tape::new(Endless(all, 0));
            assert_eq!(tape.next().unwrap_err().kind(), io::ErrorKind::InvalidData);
            let read = tape.source().1;
            assert!((MOST_IN_ALL..MOST_IN_ALL + (2 << 20)).contains(&read), "{read}");
        }
    }
}
