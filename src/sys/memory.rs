//! Another process's memory.

use std::fs::File;
use std::ops::Range;
use std::os::fd::AsRawFd;
use std::os::unix::fs::FileExt;

use libc::{c_void, iovec};

use super::{Errno, Result, Tid};

/// A mapping of a process.
#[derive(Debug, Clone)]
pub struct Mapping {
    /// Its first address, and the one behind it.
    pub range: Range<u64>,
    /// Where in its file it begins.
    pub offset: u64,
    /// Device numbers and inode number of its file, 0 where it has none.
    pub file: (u64, u64),
    flags: u64,
}

impl Mapping {
    /// The same of another process, where it lies so much higher.
    pub fn shifted(&self, by: u64) -> Mapping {
        let Range { start, end } = self.range;
        Mapping { range: start.wrapping_add(by)..end.wrapping_add(by), ..self.clone() }
    }

    /// Where in its file an address of it is.
    pub fn offset_of(&self, address: u64) -> u64 {
        address.wrapping_sub(self.range.start).wrapping_add(self.offset)
    }

    /// Whether it is of a file, private, to be executed and not written.
    pub fn is_text(&self) -> bool {
        const WRITABLE: u64 = 2;
        const EXECUTABLE: u64 = 4;
        const SHARED: u64 = 8;
        self.flags & (WRITABLE | EXECUTABLE | SHARED) == EXECUTABLE && self.file.1 != 0
    }
}

/// The mapping with this address (`PROCMAP_QUERY`, Linux 6.11).
pub fn mapping(tid: Tid, address: u64) -> Result<Mapping> {
    // struct procmap_query (linux/fs.h): size, query_flags, query_addr, vma_start, vma_end, vma_flags, vma_page_size,
    // vma_offset, inode, dev_major and dev_minor; the rest is about names.
    const WORDS: usize = 13;
    const QUERY: libc::c_ulong = 0xC068_6611;
    let maps = File::open(format!("/proc/{tid}/maps")).map_err(errno)?;
    let mut query = [0_u64; WORDS];
    query[0] = (WORDS * 8) as u64;
    query[2] = address;
    // SAFETY: the kernel fills as many bytes as the structure says that it has.
    Errno::result(unsafe { libc::ioctl(maps.as_raw_fd(), QUERY, query.as_mut_ptr()) })?;
    Ok(Mapping { range: query[3]..query[4], offset: query[7], file: (query[9], query[8]), flags: query[5] })
}

/// Where a process has the beginning of the file with this device and inode number mapped, if it has.
pub fn address_of(tid: Tid, [device, inode]: [u64; 2]) -> Option<u64> {
    let maps = std::fs::read_to_string(format!("/proc/{tid}/maps")).ok()?;
    let address = |line: &str| {
        // proc_pid_maps(5): range, permissions, offset, device, inode number, path.
        let mut words = line.split_ascii_whitespace();
        let (first, _) = words.next()?.split_once('-')?;
        let (offset, (major, minor), number) = (words.nth(1)?, words.next()?.split_once(':')?, words.next()?);
        let [major, minor] = [major, minor].map(|word| u32::from_str_radix(word, 16).unwrap_or(0));
        let begins = number.parse() == Ok(inode)
            && libc::makedev(major, minor) == device
            && offset.bytes().all(|digit| digit == b'0');
        begins.then(|| u64::from_str_radix(first, 16).ok()).flatten()
    };
    maps.lines().find_map(address)
}

/// All that a process may write.
pub fn writable(tid: Tid) -> Vec<Range<u64>> {
    ranges(tid, "rw")
}

/// All that it executes and may not write.
pub fn texts(tid: Tid) -> Vec<Range<u64>> {
    ranges(tid, "r-xp")
}

/// The mappings whose rights begin so.
fn ranges(tid: Tid, with: &str) -> Vec<Range<u64>> {
    let maps = std::fs::read_to_string(format!("/proc/{tid}/maps")).unwrap_or_default();
    let range = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let (range, rights) = (words.next()?, words.next()?);
        let (start, end) = range.split_once('-')?;
        let [start, end] = [start, end].map(|word| u64::from_str_radix(word, 16).ok());
        rights.starts_with(with).then_some(start?..end?)
    };
    maps.lines().filter_map(range).collect()
}

/// Writes what stands at each of these addresses, even where the process itself may not write: it has pages of its own there
/// from then on (`FOLL_FORCE`).
///
/// # Errors
/// What open(2) and pwrite(2) gave; some of it may be written then.
pub fn patch<B: AsRef<[u8]>>(tid: Tid, writes: &[(u64, B)]) -> Result<()> {
    let memory = File::options().write(true).open(format!("/proc/{tid}/mem")).map_err(errno)?;
    writes
        .iter()
        .try_for_each(|(address, bytes)| memory.write_all_at(bytes.as_ref(), *address).map_err(errno))
}

fn errno(error: std::io::Error) -> Errno {
    error.raw_os_error().map_or(Errno::EIO, Errno::from_raw)
}

/// process_vm_readv(2) of one range; gives how many bytes were read.
pub fn read(tid: Tid, address: u64, into: &mut [u8]) -> Result<usize> {
    let local = iovec { iov_base: into.as_mut_ptr().cast::<c_void>(), iov_len: into.len() };
    let remote = iovec { iov_base: address as *mut c_void, iov_len: into.len() };
    // SAFETY: `local` describes exactly `into`; the remote range is checked by the kernel.
    let count = unsafe { libc::process_vm_readv(tid, &raw const local, 1, &raw const remote, 1, 0) };
    Errno::result(count).map(|count| count as usize)
}

/// The same of two ranges in one call; whether all of both could be read.
pub fn read_both(tid: Tid, addresses: [u64; 2], into: [&mut [u8]; 2]) -> bool {
    let length: usize = into.iter().map(|range| range.len()).sum();
    let [first, second] = into;
    let local = [&mut *first, &mut *second]
        .map(|range| iovec { iov_base: range.as_mut_ptr().cast::<c_void>(), iov_len: range.len() });
    let [mut first, mut second] = local;
    (first.iov_base, second.iov_base) = (addresses[0] as *mut c_void, addresses[1] as *mut c_void);
    let remote = [first, second];
    // SAFETY: `local` describes exactly `into`; the remote ranges are checked by the kernel.
    let count = unsafe { libc::process_vm_readv(tid, local.as_ptr(), 2, remote.as_ptr(), 2, 0) };
    usize::try_from(count).is_ok_and(|count| count == length)
}

/// The same of several ranges of one length in one call: what was read of each, up to the first that could not be.
pub fn read_each<const N: usize>(tid: Tid, addresses: &[u64]) -> Vec<[u8; N]> {
    let mut into = vec![[0; N]; addresses.len()];
    let local = iovec { iov_base: into.as_mut_ptr().cast::<c_void>(), iov_len: N * addresses.len() };
    let remote = |&address: &u64| iovec { iov_base: address as *mut c_void, iov_len: N };
    let remote: Vec<iovec> = addresses.iter().map(remote).collect();
    let (count, ranges) = (remote.len() as libc::c_ulong, remote.as_ptr());
    // SAFETY: `local` describes exactly `into`, and `ranges` as many as `count`, which the kernel checks.
    let read = unsafe { libc::process_vm_readv(tid, &raw const local, 1, ranges, count, 0) };
    into.truncate(usize::try_from(read).unwrap_or(0) / N);
    into
}

/// process_vm_writev(2) of one range; gives how many bytes were written. Pages the tracee may not
/// write fault, as they would for it.
pub fn write(tid: Tid, address: u64, bytes: &[u8]) -> Result<usize> {
    let local = iovec { iov_base: bytes.as_ptr().cast_mut().cast::<c_void>(), iov_len: bytes.len() };
    let remote = iovec { iov_base: address as *mut c_void, iov_len: bytes.len() };
    // SAFETY: `local` describes exactly `bytes`, which is only read.
    let count = unsafe { libc::process_vm_writev(tid, &raw const local, 1, &raw const remote, 1, 0) };
    Errno::result(count).map(|count| count as usize)
}
