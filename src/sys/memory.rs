//! Another process's memory.

use libc::{c_void, iovec};

use super::{Errno, Result, Tid};

/// process_vm_readv(2) of one range; gives how many bytes were read.
pub fn read(tid: Tid, address: u64, into: &mut [u8]) -> Result<usize> {
    let local = iovec { iov_base: into.as_mut_ptr().cast::<c_void>(), iov_len: into.len() };
    let remote = iovec { iov_base: address as *mut c_void, iov_len: into.len() };
    // SAFETY: `local` describes exactly `into`; the remote range is checked by the kernel.
    let count = unsafe { libc::process_vm_readv(tid, &raw const local, 1, &raw const remote, 1, 0) };
    Errno::result(count).map(|count| count as usize)
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
