//! What runs inside tracees, and the memory they read it and what they may know from.

use std::fs::File;
use std::ops::Range;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::sync::atomic::AtomicU64;

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::{Errno, Result, Tid};
use crate::abi::window;

/// Where in the first page a word stands that is not zero where it is closed, and one that is not where somebody is not
/// root.
pub const CLOSED: u64 = 0;
/// See [`CLOSED`].
pub const OTHERS: u64 = 8;
/// Where in it a word stands that is not zero where ids follow: real and effective ones, each user and group.
pub const IDS: u64 = 24;
/// Where in it a word stands by which it is known.
pub const MAGIC_AT: u64 = 16;
/// That.
pub const MAGIC: u64 = 0xB1F0_5EED_900D_C0DE;
/// Where in it a half word counts how often no area was left.
pub const LACKED: u64 = 52;
/// How many calls are answered: a bit for each says in it which sites of libraries are wanted.
const CALLS: usize = 38;
/// Where that word stands in the first page.
const WANTED_AT: usize = 56;
/// The bits of those that only look: stat(2) and its like.
pub const LOOKS: u64 = 0b11111;
/// Where in it there is room for thunks, up to its end.
pub const THUNKS: usize = 64;
/// Bytes of a page.
pub const PAGE: usize = 4096;
/// Bytes that are executed: that page, and three of code.
pub const CODE: usize = 4 * PAGE;
/// Before them there are two to the power of so many areas, in each of which a task works that makes a call.
const AREA_BITS: u32 = 6;
/// Bytes of one, as a power of two.
const AREA_SHIFT: u32 = 10;
/// How many areas there are.
pub const AREAS: usize = 1 << AREA_BITS;
/// Bytes of one, which begins with the stack pointer of who has it, or 0.
pub const AREA: usize = 1 << AREA_SHIFT;
/// Bytes of the file before that page.
pub const BEGIN: usize = 1 << (AREA_BITS + AREA_SHIFT);
/// Bytes of the file that are written to: the areas and that page.
pub const WRITTEN: usize = BEGIN + PAGE;
const PAGE_WORDS: usize = PAGE / 8;
/// Words of the slate where bits stand of inode numbers that may stand for devices: the second half of its first page.
pub const DEVICE_WORDS: Range<usize> = PAGE_WORDS / 2..PAGE_WORDS;
/// There are two to the power of so many.
pub const DEVICE_BITS: u32 = bits_of(DEVICE_WORDS);
/// Words where it stands where in libraries there are sites: two pages.
pub const LIBRARY_WORDS: Range<usize> = DEVICE_WORDS.end..DEVICE_WORDS.end + 2 * PAGE_WORDS;
/// A library has so many words, its inode number and then one for each site: half of it says where in the file, half what
/// stands before it.
pub const LIBRARY_SIZE: usize = 32;
/// There are two to the power of so many.
pub const LIBRARY_BITS: u32 = ((LIBRARY_WORDS.end - LIBRARY_WORDS.start) / LIBRARY_SIZE).ilog2();
/// So many sites of a library.
pub const LIBRARY_SITES: usize = LIBRARY_SIZE - 1;
/// Words where bits stand of inode numbers that may have an entry.
pub const HINT_WORDS: Range<usize> = LIBRARY_WORDS.end..LIBRARY_WORDS.end + 4 * PAGE_WORDS;
/// There are two to the power of so many.
pub const HINT_BITS: u32 = bits_of(HINT_WORDS);
/// Words for inodes of which there is nothing to say: four pages. With all that stands before them they are mapped by one page
/// fault (`fault_around_bytes`), while a look at the entries takes one of its own nearly each time.
pub const PLAIN_WORDS: Range<usize> = HINT_WORDS.end..HINT_WORDS.end + 4 * PAGE_WORDS;
/// Two of them are for the inodes whose number, multiplied, begins with the same bits, so many.
pub const PLAIN_BITS: u32 = ((PLAIN_WORDS.end - PLAIN_WORDS.start) / PLAIN_WAYS).ilog2();
/// See [`PLAIN_BITS`].
pub const PLAIN_WAYS: usize = 2;
/// Words before the entries of the slate.
pub const HEAD_WORDS: usize = PLAIN_WORDS.end;
/// The slate has two to the power of so many places for entries.
pub const BITS: u32 = 16;
/// An inode's entry is in one of so many places that follow each other.
pub const WAYS: usize = 4;
/// Words of an entry.
pub const ENTRY_WORDS: usize = 4;
/// By what an inode number is multiplied; the first [`BITS`] bits are its first place.
pub const FACTOR: u64 = 0x9E37_79B9_7F4A_7C15;
/// Words of the slate.
pub const WORDS: usize = HEAD_WORDS + ((1 << BITS) + WAYS) * ENTRY_WORDS;

const _: () = assert!(Inside::LENGTH <= window::LENGTH as usize);
const _: () = assert!(window::CODE as usize == window::FIRST as usize + BEGIN);
const _: () = assert!(window::has_code(window::CODE as u64 + CODE as u64 - 1));

/// How many bits stand in these words, as a power of two.
const fn bits_of(words: Range<usize>) -> u32 {
    (words.end - words.start).ilog2() + u64::BITS.ilog2()
}

#[cfg(target_arch = "x86_64")]
mod code {
    use std::os::fd::AsRawFd;

    use super::{
        AREA, AREA_BITS, AREA_SHIFT, AREAS, Arrival, BEGIN, BITS, CALLS, CODE, DEVICE_BITS, FACTOR,
        HEAD_WORDS, HINT_BITS, HINT_WORDS, Inside, LACKED, LIBRARY_BITS, LIBRARY_SITES, LIBRARY_SIZE,
        LIBRARY_WORDS, LOOKS, MAGIC, OTHERS, PAGE, PLAIN_BITS, PLAIN_WORDS, THUNKS, WANTED_AT, WAYS,
    };

    std::arch::global_asm!(
        include_str!("inside.s"),
        bits = const BITS,
        ways = const WAYS,
        factor = const FACTOR as i64,
        device_bits = const DEVICE_BITS,
        hint_bits = const HINT_BITS,
        hints = const HINT_WORDS.start * 8,
        plain = const PLAIN_WORDS.start * 8,
        plain_bits = const PLAIN_BITS,
        libraries = const LIBRARY_WORDS.start * 8,
        library_bits = const LIBRARY_BITS,
        library_sites = const LIBRARY_SITES,
        library_size = const LIBRARY_SIZE * 8,
        looks = const LOOKS,
        lacked_at = const LACKED,
        wanted_at = const WANTED_AT,
        others_at = const OTHERS,
        calls = const CALLS,
        thunks = const THUNKS,
        entries = const HEAD_WORDS * 8,
        page = const PAGE,
        code = const CODE,
        areas = const AREAS,
        area_bits = const AREA_BITS,
        area = const AREA,
        area_shift = const AREA_SHIFT,
        begin = const BEGIN,
        magic = const MAGIC as i64,
        length = const Inside::LENGTH,
        mark = const crate::abi::MARK,
        whole_mark = const crate::abi::WHOLE_MARK as i64,
    );

    unsafe extern "C" {
        static remainroot_inside_begin: [u8; 0];
        static remainroot_inside_end: [u8; 0];
        static remainroot_inside_calls: [[u32; 2]; CALLS];
    }

    /// Number and place of the calls that are answered, those first that only look.
    pub fn calls() -> &'static [[u32; 2]] {
        // SAFETY: as many stand there, aligned, and nobody changes them.
        unsafe { &remainroot_inside_calls }
    }

    /// Where in the code calls of this number are answered; `None` where they are not.
    pub fn entry(number: u32) -> Option<usize> {
        calls().iter().find(|[known, _]| *known == number).map(|[_, entry]| *entry as usize)
    }

    /// The bit of this number in [`LOOKS`] and its like; none where it is not answered.
    pub fn bit(number: u32) -> u64 {
        calls().iter().position(|[known, _]| *known == number).map_or(0, |nth| 1 << nth)
    }

    unsafe extern "C" {
        static remainroot_arrival_begin: [u8; 0];
        static remainroot_arrival_start: [u8; 0];
        static remainroot_arrival_process: [u8; 0];
        static remainroot_arrival_descriptor: [u8; 0];
        static remainroot_arrival_says: [u8; 0];
        static remainroot_arrival_failed: [u8; 0];
        static remainroot_arrival_end: [u8; 0];
    }

    /// The code.
    pub fn bytes() -> &'static [u8] {
        let (begin, end) = (&raw const remainroot_inside_begin, &raw const remainroot_inside_end);
        // SAFETY: the assembler puts one after the other, with the code in between, which nobody changes.
        unsafe { std::slice::from_raw_parts(begin.cast(), end.addr() - begin.addr()) }
    }

    /// What a new image is to run that maps the file at `base` and goes on at `first`, and wants these sites of libraries.
    /// Whether it is not root's stands in the file's first page before it makes a call; by the call of the number `says` it
    /// says that it has failed.
    pub fn arrival(
        inside: &Inside,
        [base, first]: [u64; 2],
        wanted: u64,
        is_other: bool,
        says: u32,
    ) -> Arrival {
        let [begin, start, end] = [
            &raw const remainroot_arrival_begin,
            &raw const remainroot_arrival_start,
            &raw const remainroot_arrival_end,
        ];
        let offset = |label: *const [u8; 0]| label.addr() - begin.addr();
        // SAFETY: as above.
        let code: &[u8] = unsafe { std::slice::from_raw_parts(start.cast(), end.addr() - start.addr()) };
        let [device, inode] = inside.identity;
        let words = [base, first, device, inode, wanted, u64::from(is_other)].map(u64::to_le_bytes);
        let mut bytes = [words.as_flattened(), code].concat();
        let numbers = [
            (&raw const remainroot_arrival_process, std::process::id()),
            (&raw const remainroot_arrival_descriptor, inside.file.as_raw_fd() as u32),
            (&raw const remainroot_arrival_says, says),
        ];
        for (label, number) in numbers {
            // Behind the first byte of a `mov REGISTER, NUMBER`.
            let stands = offset(label) + 1..offset(label) + 5;
            if let Some(stands) = bytes.get_mut(stands) {
                stands.copy_from_slice(&number.to_le_bytes());
            }
        }
        let [start, failed] = [start, &raw const remainroot_arrival_failed].map(|label| offset(label) as u64);
        Arrival { bytes, start, failed }
    }
}

#[cfg(not(target_arch = "x86_64"))]
mod code {
    use super::{Arrival, Inside};

    pub fn bytes() -> &'static [u8] {
        &[]
    }

    pub fn entry(_number: u32) -> Option<usize> {
        None
    }

    pub fn bit(_number: u32) -> u64 {
        0
    }

    pub fn arrival(_: &Inside, _: [u64; 2], _wanted: u64, _is_other: bool, _says: u32) -> Arrival {
        Arrival { bytes: Vec::new(), start: 0, failed: 0 }
    }
}

pub use code::{arrival, bit, entry};

/// A few instructions, and where in them they begin and where the call is made by which they say that they have failed.
#[derive(Debug)]
pub struct Arrival {
    /// They, behind some words.
    pub bytes: Vec<u8>,
    /// Offset of the first.
    pub start: u64,
    /// Offset of that call's.
    pub failed: u64,
}

/// A file of memory that begins with areas and code, and goes on with the slate.
#[derive(Debug)]
pub struct Inside {
    file: File,
    /// Its device and inode number.
    identity: [u64; 2],
    words: &'static [AtomicU64],
}

impl Inside {
    /// Makes it and maps the slate for the rest of the process's life. Nobody else can write it.
    ///
    /// # Errors
    /// `ENOSYS` where there is no code for this machine; what memfd_create(2), pwrite(2) and mmap(2) gave.
    pub fn make() -> Result<Inside> {
        let code = code::bytes();
        if code.is_empty() {
            return Err(Errno::ENOSYS);
        }
        let file = memfd_create(c"remainroot", MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING)?;
        let file = File::from(file);
        let failed = |error: std::io::Error| Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO));
        file.set_len(Inside::LENGTH as u64).map_err(failed)?;
        file.write_all_at(code, BEGIN as u64).map_err(failed)?;
        let (protection, length) = (libc::PROT_READ | libc::PROT_WRITE, WORDS * 8);
        let (fd, offset) = (file.as_raw_fd(), (BEGIN + CODE) as libc::off_t);
        // SAFETY: a new mapping at an address of the kernel's choice touches nothing that exists.
        let page =
            unsafe { libc::mmap(std::ptr::null_mut(), length, protection, libc::MAP_SHARED, fd, offset) };
        if page == libc::MAP_FAILED {
            return Err(Errno::last());
        }
        let seals = SealFlag::F_SEAL_FUTURE_WRITE | SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals | SealFlag::F_SEAL_SEAL))?;
        // SAFETY: the mapping is page-aligned, as long as the slice, and never unmapped, nor does the file shrink.
        let words = unsafe { std::slice::from_raw_parts(page.cast::<AtomicU64>(), WORDS) };
        let found = file.metadata().map_err(failed)?;
        Ok(Inside { file, identity: [found.dev(), found.ino()], words })
    }

    /// Bytes of the file.
    pub const LENGTH: usize = BEGIN + CODE + (WORDS * 8).next_multiple_of(PAGE);

    /// The slate.
    pub fn words(&self) -> &'static [AtomicU64] {
        self.words
    }

    /// Where a process has its beginning mapped, if it has.
    pub fn address_in(&self, tid: Tid) -> Option<u64> {
        super::memory::address_of(tid, self.identity)
    }

    /// The file.
    pub fn file(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

#[cfg(all(test, target_arch = "x86_64"))]
mod tests {
    use super::*;

    #[test]
    fn as_many_calls_are_answered_as_the_code_has_rows() {
        assert!(code::calls().iter().all(|&[_, place]| place as usize >= PAGE), "{:?}", code::calls());
    }
}
