//! The container's own devices, as the tracer sees them.

use std::ffi::{CStr, CString};
use std::fs::File;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use crate::abi::stat::{S_IFCHR, S_IFMT, Statx};
use crate::abi::{DeviceNumber, Errno};
use crate::ownership::Device;
use crate::sys::{self, Tid, files};

/// Where the container keeps its devices.
const DIRECTORY: &str = "/dev";
/// The system console, of which a container has its own under another number.
const CONSOLE: &CStr = c"console";
/// The character devices that are safe and useful in a container, and whose opening never waits.
const KNOWN: [(u32, u32, &CStr); 10] = [
    (1, 3, c"null"),
    (1, 5, c"zero"),
    (1, 7, c"full"),
    (1, 8, c"random"),
    (1, 9, c"urandom"),
    (5, 0, c"tty"),
    (5, 1, CONSOLE),
    (5, 2, c"ptmx"),
    (10, 200, c"net/tun"),
    (10, 229, c"fuse"),
];

/// The name of a device in the container's `/dev`.
///
/// # Errors
/// `EPERM` where the kernel has such a device but the container does not, as its device cgroup would say
/// (`devcgroup_inode_permission`); what the kernel says where there is none.
pub fn name(device: Device) -> Result<&'static CStr, Errno> {
    let Device { block, major, minor } = device;
    let known = KNOWN.iter().find(|known| !block && (known.0, known.1) == (major, minor));
    if let Some(&(_, _, name)) = known
        && is_here(name, device.number())
    {
        return Ok(name);
    }
    let kind = if block { "block" } else { "char" };
    Err(match major {
        _ if Path::new(&format!("/sys/dev/{kind}/{major}:{minor}")).exists() => Errno::EPERM,
        // `misc_open`, `ptmx_open` and `devpts`, and everyone else (`chrdev_open`, `blkdev_open`).
        10 if !block => Errno::ENODEV,
        136..=143 if !block => Errno::EIO,
        _ => Errno::ENXIO,
    })
}

fn is_here(name: &CStr, number: DeviceNumber) -> bool {
    let path = CString::new([DIRECTORY.as_bytes(), b"/", name.to_bytes()].concat());
    let found = path.ok().and_then(|path| files::describe(&path, true).ok());
    found.map(|bytes| Statx::parse(&bytes)).is_some_and(|found| {
        found.mode & S_IFMT == S_IFCHR && (found.rdev == number.encode() || name == CONSOLE)
    })
}

/// Sends a descriptor of the directory, which is good for nothing but paths below it, through a tracee's
/// socket.
pub fn send(tid: Tid, socket: i32) -> sys::Result<()> {
    let open = File::options().read(true).custom_flags(libc::O_PATH | libc::O_DIRECTORY).open(DIRECTORY);
    let directory = open.map_err(|error| sys::Errno::from_raw(error.raw_os_error().unwrap_or(libc::EIO)))?;
    lend(tid, socket, directory.as_fd())
}

/// Sends a descriptor through a tracee's socket.
pub fn lend(tid: Tid, socket: i32, descriptor: BorrowedFd<'_>) -> sys::Result<()> {
    let task = sys::descriptor::open_task(tid)?;
    let socket = sys::descriptor::take(&task, socket)?;
    sys::descriptor::send(&socket, &[descriptor])
}
