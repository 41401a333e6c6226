//! A file that lines are written to, without ever waiting for who reads it.

use std::collections::VecDeque;
use std::fs::File;
use std::io::{self, ErrorKind, Write};
use std::os::fd::{AsFd, AsRawFd, OwnedFd, RawFd};
use std::os::unix::fs::{FileTypeExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

/// So many bytes wait for who reads at most.
const MOST: usize = 1 << 20;
/// The most bytes of one write to a pipe (`PIPE_BUF`): all of them or none.
const ATOMIC: usize = 4096;
/// The most bytes of one write to a regular file.
const MANY: usize = 64 << 10;

/// A file that was opened to be written to.
#[derive(Debug)]
pub struct Target {
    file: File,
    path: PathBuf,
    /// Whether it is the command's stderr.
    is_stderr: bool,
    /// Whether it takes all that it is given at once.
    is_regular: bool,
}

impl Target {
    /// Opens a file, new or emptied, to which others may append too.
    ///
    /// # Errors
    /// What open(2) gave.
    pub fn create(path: &Path) -> io::Result<Target> {
        let mut options = File::options();
        // A FIFO that nobody reads is not waited for, nor is it an error: somebody may come.
        options.append(true).create(true).truncate(false).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY);
        let file = match options.open(path) {
            Err(error) if error.raw_os_error() == Some(libc::ENXIO) => options.read(true).open(path)?,
            outcome => outcome?,
        };
        let kind = file.metadata()?.file_type();
        if kind.is_file() {
            file.set_len(0)?;
        }
        let is_regular = !(kind.is_fifo() || kind.is_socket() || kind.is_char_device());
        Ok(Target { file, path: path.to_owned(), is_stderr: false, is_regular })
    }

    /// The command's stderr, opened already.
    ///
    /// # Errors
    /// What fstat(2) gave.
    pub fn stderr(file: OwnedFd) -> io::Result<Target> {
        let file = File::from(file);
        let is_regular = file.metadata()?.is_file();
        Ok(Target { file, path: PathBuf::from("stderr"), is_stderr: true, is_regular })
    }

    /// Its descriptor.
    pub fn descriptor(&self) -> RawFd {
        self.file.as_raw_fd()
    }
}

/// A target, and what waits to be written to it.
#[derive(Debug)]
pub struct Outlet {
    target: Target,
    waiting: VecDeque<Vec<u8>>,
    bytes: usize,
    left_out: u64,
}

impl Outlet {
    /// Nothing waits.
    pub fn new(target: Target) -> Outlet {
        Outlet { target, waiting: VecDeque::new(), bytes: 0, left_out: 0 }
    }

    /// Its name for people.
    pub fn name(&self) -> String {
        super::words::shown(self.target.path.as_os_str().as_encoded_bytes())
    }

    /// Whether it is the command's stderr.
    pub fn is_stderr(&self) -> bool {
        self.target.is_stderr
    }

    /// Takes a line to be written, or leaves it out; whether it was taken.
    pub fn push(&mut self, line: String) -> bool {
        if self.bytes + line.len() > MOST {
            self.left_out += 1;
            return false;
        }
        self.bytes += line.len();
        self.waiting.push_back(line.into_bytes());
        true
    }

    /// Whether something waits.
    pub fn is_behind(&self) -> bool {
        !self.waiting.is_empty()
    }

    /// How many bytes wait.
    pub fn waiting(&self) -> usize {
        self.bytes
    }

    /// Whether there is room again for at least half of what may wait.
    pub fn has_room(&self) -> bool {
        self.bytes < MOST / 2
    }

    /// How many lines were left out, once.
    pub fn take_left_out(&mut self) -> u64 {
        std::mem::take(&mut self.left_out)
    }

    /// Writes what can be written now.
    ///
    /// # Errors
    /// What write(2) gave; what waited is lost.
    pub fn flush(&mut self) -> io::Result<()> {
        while self.is_behind() && self.is_writable() {
            match self.write_some() {
                Err(error) if error.kind() == ErrorKind::WouldBlock => break,
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => {
                    self.waiting.clear();
                    self.bytes = 0;
                    return Err(error);
                }
                Ok(()) => {}
            }
        }
        Ok(())
    }

    /// Writes whole lines, as many as are taken at once; a longer one in pieces.
    fn write_some(&mut self) -> io::Result<()> {
        let most = if self.target.is_regular { MANY } else { ATOMIC };
        let mut piece: Vec<u8> = Vec::new();
        while let Some(line) = self.waiting.front()
            && (piece.is_empty() || piece.len() + line.len() <= most)
        {
            piece.extend(line);
            self.waiting.pop_front();
        }
        let rest = piece.split_off(piece.len().min(most));
        let put_back = |waiting: &mut VecDeque<Vec<u8>>, bytes: Vec<u8>| {
            if !bytes.is_empty() {
                waiting.push_front(bytes);
            }
        };
        put_back(&mut self.waiting, rest);
        match self.target.file.write(&piece) {
            Ok(count) => {
                self.bytes = self.bytes.saturating_sub(count);
                put_back(&mut self.waiting, piece.split_off(count.min(piece.len())));
                Ok(())
            }
            Err(error) => {
                put_back(&mut self.waiting, piece);
                Err(error)
            }
        }
    }

    fn is_writable(&self) -> bool {
        if self.target.is_regular {
            return true;
        }
        let mut asked = [PollFd::new(self.target.file.as_fd(), PollFlags::POLLOUT)];
        matches!(poll(&mut asked, PollTimeout::ZERO), Ok(1..))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    fn fifo(name: &str) -> PathBuf {
        let path = std::env::temp_dir().join(format!("remainroot-outlet-{name}-{}", std::process::id()));
        let _ = std::fs::remove_file(&path); // of a test that was killed
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).expect("the name is free");
        path
    }

    #[test]
    fn nobody_waits_for_a_fifo_that_nobody_reads_and_what_is_left_out_is_counted() {
        let path = fifo("alone");
        let mut outlet = Outlet::new(Target::create(&path).expect("a FIFO can be opened"));
        std::fs::remove_file(&path).expect("it is there");
        let line = || format!("{}\n", "x".repeat(1023));
        let taken = (0..4096).filter(|_| outlet.push(line()) && outlet.flush().is_ok()).count();
        assert!(outlet.is_behind() && !outlet.has_room());
        assert!(taken > MOST / 1024 && taken < 4096);
        assert_eq!(outlet.take_left_out(), 4096 - taken as u64);
    }

    #[test]
    fn a_line_is_written_whole_and_in_order_whoever_reads_slowly() {
        let path = fifo("slow");
        let mut outlet = Outlet::new(Target::create(&path).expect("a FIFO can be opened"));
        let mut reader = File::open(&path).expect("it has a writer");
        std::fs::remove_file(&path).expect("it is there");
        let lines: Vec<String> = (0..500).map(|n| format!("{n} {}\n", "y".repeat(n * 7 % 9000))).collect();
        let pushed = lines.iter().filter(|line| line.len() <= MOST && outlet.push((*line).clone()));
        let expected: String = pushed.cloned().collect();
        let mut read = Vec::new();
        while read.len() < expected.len() {
            outlet.flush().expect("it is read");
            let mut piece = [0; 8192];
            let count = reader.read(&mut piece).expect("something was written");
            read.extend(&piece[..count]);
        }
        assert_eq!(String::from_utf8(read).expect("it is text"), expected);
    }
}
