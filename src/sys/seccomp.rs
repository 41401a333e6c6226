//! seccomp(2).

use super::{Errno, Result};

/// SECCOMP_SET_MODE_FILTER of a program of eight-byte instructions, for the calling thread.
///
/// # Errors
/// `EACCES` without CAP_SYS_ADMIN and without no_new_privs; `EINVAL` for a bad program or a kernel
/// without seccomp filters.
pub fn load(program: &[u8]) -> Result<()> {
    let count = u16::try_from(program.len() / 8).map_err(|_| Errno::E2BIG)?;
    let fprog = libc::sock_fprog { len: count, filter: program.as_ptr().cast_mut().cast() };
    // SAFETY: the kernel copies `count` instructions of eight bytes from `program`, which holds them.
    let outcome =
        unsafe { libc::syscall(libc::SYS_seccomp, libc::SECCOMP_SET_MODE_FILTER, 0, &raw const fprog) };
    Errno::result(outcome).map(drop)
}
