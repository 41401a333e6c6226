//! Bytes of a file, maybe compressed; and bytes that are counted and digested on their way.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use ruzstd::decoding::errors::{FrameDecoderError, ReadFrameHeaderError};
use ruzstd::decoding::{BlockDecodingStrategy, FrameDecoder};
use sha2::{Digest, Sha256};

use super::tape::{Source, cut_short};

/// Bytes that are read or written at once.
const CHUNK: usize = 128 << 10;

/// A part of a file that can be read anywhere, by several readers.
#[derive(Debug, Clone)]
pub(super) struct Span {
    file: Arc<File>,
    start: u64,
    end: u64,
}

/// How bytes are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Squeeze {
    None,
    Gzip,
    Zstd,
}

impl Span {
    /// All of a file.
    pub(super) fn of(file: File) -> io::Result<Span> {
        let end = file.metadata()?.len();
        Ok(Span { file: Arc::new(file), start: 0, end })
    }

    /// A part of it.
    pub(super) fn part(&self, at: u64, length: u64) -> io::Result<Span> {
        let start = self.start.checked_add(at);
        let end = start.and_then(|start| start.checked_add(length)).filter(|&end| end <= self.end);
        match (start, end) {
            (Some(start), Some(end)) => Ok(Span { file: Arc::clone(&self.file), start, end }),
            _ => Err(cut_short()),
        }
    }

    pub(super) fn length(&self) -> u64 {
        self.end - self.start
    }

    /// The bytes as they are.
    pub(super) fn bytes(&self) -> Cursor {
        Cursor { span: self.clone(), at: self.start }
    }

    /// How they are compressed, by how they begin.
    pub(super) fn squeeze(&self) -> io::Result<Squeeze> {
        let mut magic = vec![];
        self.bytes().take(4).read_to_end(&mut magic)?;
        Ok(match magic.as_slice() {
            [0x1f, 0x8b, ..] => Squeeze::Gzip,
            // A frame, or one that can be left out.
            [0x28, 0xb5, 0x2f, 0xfd] | [0x50..=0x5f, 0x2a, 0x4d, 0x18] => Squeeze::Zstd,
            _ => Squeeze::None,
        })
    }

    /// What they stand for.
    pub(super) fn open(&self) -> io::Result<Box<dyn Source>> {
        let buffered = || BufReader::with_capacity(CHUNK, self.bytes());
        Ok(match self.squeeze()? {
            Squeeze::None => Box::new(Plain(buffered())),
            Squeeze::Gzip => {
                Box::new(Unpacked(BufReader::with_capacity(CHUNK, MultiGzDecoder::new(buffered()))))
            }
            Squeeze::Zstd => Box::new(Unpacked(Frames::new(buffered()))),
        })
    }
}

/// A reader of a span.
pub(super) struct Cursor {
    span: Span,
    at: u64,
}

impl Read for Cursor {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        let most = into.len().min(usize::try_from(self.span.end - self.at).unwrap_or(usize::MAX));
        let count = self.span.file.read_at(into.get_mut(..most).unwrap_or_default(), self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// What is not compressed, so that data can be left out without reading it.
struct Plain(BufReader<Cursor>);

impl Read for Plain {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Source for Plain {
    fn skip(&mut self, count: u64) -> io::Result<()> {
        let buffered = usize::try_from(count).unwrap_or(usize::MAX).min(self.0.buffer().len());
        self.0.consume(buffered);
        let cursor = self.0.get_mut();
        cursor.at = cursor.at.saturating_add(count - buffered as u64);
        if cursor.at > cursor.span.end { Err(cut_short()) } else { Ok(()) }
    }
}

struct Unpacked<R>(R);

impl<R: Read> Read for Unpacked<R> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl<R: Read> Source for Unpacked<R> {}

/// The frames of a zstd file, one behind the other, of which some hold nothing of the content.
struct Frames {
    compressed: BufReader<Cursor>,
    decoder: FrameDecoder,
    /// Whether a frame has begun and was not read to its end.
    is_within: bool,
}

impl Frames {
    fn new(compressed: BufReader<Cursor>) -> Frames {
        Frames { compressed, decoder: FrameDecoder::new(), is_within: false }
    }

    fn begin(&mut self) -> io::Result<()> {
        match self.decoder.init(&mut self.compressed) {
            Ok(()) => self.is_within = true,
            Err(FrameDecoderError::ReadFrameHeaderError(ReadFrameHeaderError::SkipFrame {
                length, ..
            })) => {
                let length = length.into();
                if io::copy(&mut (&mut self.compressed).take(length), &mut io::sink())? != length {
                    return Err(cut_short());
                }
            }
            Err(error) => return Err(damaged(&error)),
        }
        Ok(())
    }
}

fn damaged(error: &FrameDecoderError) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("the zstd data is damaged: {error}"))
}

impl Read for Frames {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        while !into.is_empty() {
            if !self.is_within {
                if self.compressed.fill_buf()?.is_empty() {
                    return Ok(0);
                }
                self.begin()?;
                continue;
            }
            let decoder = &mut self.decoder;
            while decoder.can_collect() < into.len() && !decoder.is_finished() {
                let more = BlockDecodingStrategy::UptoBytes(into.len() - decoder.can_collect());
                decoder.decode_blocks(&mut self.compressed, more).map_err(|error| damaged(&error))?;
            }
            match decoder.read(into)? {
                0 => self.is_within = false,
                count => return Ok(count),
            }
        }
        Ok(0)
    }
}

/// Counts and digests what is written through it.
pub(super) struct Tally<W> {
    inner: W,
    hash: Sha256,
    count: u64,
}

impl<W: Write> Tally<W> {
    pub(super) fn new(inner: W) -> Tally<W> {
        Tally { inner, hash: Sha256::new(), count: 0 }
    }

    /// What was written to, the digest as images name it, and how many bytes there were.
    pub(super) fn finish(self) -> (W, String, u64) {
        (self.inner, named(self.hash), self.count)
    }
}

impl<W: Write> Write for Tally<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let count = self.inner.write(bytes)?;
        self.hash.update(bytes.get(..count).unwrap_or_default());
        self.count += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

/// The digest of bytes as images name it.
pub(super) fn digest(bytes: &[u8]) -> String {
    named(Sha256::new_with_prefix(bytes))
}

fn named(hash: Sha256) -> String {
    let hex: String = hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect();
    format!("sha256:{hex}")
}

/// Compresses what is written through it, or not. The same bytes become the same bytes.
pub(super) enum Press<W: Write> {
    Plain(W),
    Gzip(Box<GzEncoder<W>>),
}

impl<W: Write> Press<W> {
    pub(super) fn new(inner: W, gzip: bool) -> Press<W> {
        if gzip {
            Press::Gzip(Box::new(GzEncoder::new(inner, Compression::default())))
        } else {
            Press::Plain(inner)
        }
    }

    pub(super) fn finish(self) -> io::Result<W> {
        match self {
            Press::Plain(inner) => Ok(inner),
            Press::Gzip(encoder) => encoder.finish(),
        }
    }
}

impl<W: Write> Write for Press<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Press::Plain(inner) => inner.write(bytes),
            Press::Gzip(encoder) => encoder.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Press::Plain(inner) => inner.flush(),
            Press::Gzip(encoder) => encoder.flush(),
        }
    }
}
