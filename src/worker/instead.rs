//! Calls that a task's own filters keep it from making, made by the tracer in its place.
//!
//! The tracer finds the inode as the task would (`sight`) and does there what the call would do: both have the same ids
//! to the kernel. What it cannot find, or what only the task itself can do, is `EPERM`.

use std::ffi::CString;

use super::guest::Live;
use super::peers::ids_of;
use crate::abi::acl::LARGEST;
use crate::abi::stat::Statx;
use crate::abi::{Errno, KernelCall, SysResult};
use crate::ownership::reach;
use crate::sys::{self, files};
use crate::syscalls::inode::{self, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, Place};
use crate::syscalls::{Guest, Share, kernel};

/// How a call names its inode.
#[derive(Debug, Clone, Copy)]
enum Names {
    Path,
    Link,
    Open,
    /// By a directory and a path, and by flags in this argument, if it has any.
    At(Option<usize>),
    /// By a directory and a path whose last component is a name to make or to take away.
    Name,
}

/// What a call does to it; the arguments follow those that name it.
#[derive(Debug, Clone, Copy)]
enum Act {
    SetValue,
    GetValue,
    List,
    Remove,
    Owner,
    Mode,
    Make,
    Unlink,
}

/// The calls that can be made from outside.
const CALLS: &[(&KernelCall, Names, Act)] = &[
    (&kernel::SETXATTR, Names::Path, Act::SetValue),
    (&kernel::LSETXATTR, Names::Link, Act::SetValue),
    (&kernel::FSETXATTR, Names::Open, Act::SetValue),
    (&kernel::SETXATTRAT, Names::At(Some(2)), Act::SetValue),
    (&kernel::GETXATTR, Names::Path, Act::GetValue),
    (&kernel::LGETXATTR, Names::Link, Act::GetValue),
    (&kernel::FGETXATTR, Names::Open, Act::GetValue),
    (&kernel::GETXATTRAT, Names::At(Some(2)), Act::GetValue),
    (&kernel::LISTXATTR, Names::Path, Act::List),
    (&kernel::LLISTXATTR, Names::Link, Act::List),
    (&kernel::FLISTXATTR, Names::Open, Act::List),
    (&kernel::LISTXATTRAT, Names::At(Some(2)), Act::List),
    (&kernel::REMOVEXATTR, Names::Path, Act::Remove),
    (&kernel::LREMOVEXATTR, Names::Link, Act::Remove),
    (&kernel::FREMOVEXATTR, Names::Open, Act::Remove),
    (&kernel::REMOVEXATTRAT, Names::At(Some(2)), Act::Remove),
    (&kernel::FCHOWN, Names::Open, Act::Owner),
    (&kernel::FCHOWNAT, Names::At(Some(4)), Act::Owner),
    (&kernel::FCHMOD, Names::Open, Act::Mode),
    (&kernel::FCHMODAT, Names::At(None), Act::Mode),
    (&kernel::FCHMODAT2, Names::At(Some(3)), Act::Mode),
    (&kernel::MKNODAT, Names::Name, Act::Make),
    (&kernel::UNLINKAT, Names::Name, Act::Unlink),
];

impl Names {
    /// The inode that a call with these arguments names, and what follows.
    fn split(self, args: [u64; 6]) -> (Place, Vec<u64>) {
        let [first, second, ..] = args;
        let flags = |at: Option<usize>| at.and_then(|at| args.get(at)).map_or(0, |&flags| flags as u32);
        let (place, count) = match self {
            Names::Path => (Place::path(first), 1),
            Names::Link => (Place::link(first), 1),
            Names::Open => (Place::Descriptor(first), 1),
            Names::At(at) => {
                let flags = flags(at) & (AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH);
                // Where flags stand right behind the path, all else follows them.
                (Place::at(first, second, flags), if at == Some(2) { 3 } else { 2 })
            }
            Names::Name => (Place::Parent { directory: first, path: second }, 2),
        };
        (place, args.into_iter().skip(count).collect())
    }
}

impl Live<'_> {
    /// Makes a call in the task's place.
    pub(super) fn instead(&mut self, call: &KernelCall, args: [u64; 6]) -> SysResult {
        if call.name == kernel::GETTID.name {
            return ids_of(self.tid()).last().map(|&id| id as u64).ok_or(Errno::EPERM);
        }
        if call.name == kernel::FCNTL.name {
            return self.flags_of(args);
        }
        let known = CALLS.iter().find(|(known, ..)| known.name == call.name);
        let &(_, names, act) = known.ok_or(Errno::EPERM)?;
        let (place, rest) = names.split(args);
        let rest = match rest[..] {
            // The value and what is said of it stand in memory.
            [name, at, size, ..] if matches!(names, Names::At(Some(2))) && size != 0 => {
                self.unpacked(name, at)?
            }
            _ => rest,
        };
        let mut rest = rest.into_iter();
        self.act(place, act, [(); 4].map(|()| rest.next().unwrap_or(0)))
    }

    fn act(&mut self, place: Place, act: Act, rest: [u64; 4]) -> SysResult {
        let [first, second, third, fourth] = rest;
        let path = self.reached(place)?;
        match act {
            Act::Owner => self.made(place, Share::Owner([first as u32, second as u32])),
            Act::Mode => self.made(place, Share::Mode(first as u16)),
            Act::SetValue => {
                if third > LARGEST as u64 {
                    return Err(Errno::E2BIG);
                }
                let (name, mut value) = (self.name(first)?, vec![0; third as usize]);
                self.read(second, &mut value)?;
                reach::set_as(&path, &name, &value, fourth as i32).map(|()| 0)
            }
            Act::GetValue => {
                let name = self.name(first)?;
                let value = reach::get_long(&path, &name)?;
                self.given(&value, second, third)
            }
            Act::List => {
                let names = reach::list(&path, LARGEST)?;
                self.given(&names, first, second)
            }
            Act::Remove => {
                let name = self.name(first)?;
                reach::remove(&path, &name).map(|()| 0)
            }
            Act::Make => {
                let path = self.named(&path, place)?;
                let umask = sys::process::status(self.tid(), "Umask:");
                let umask = umask.and_then(|text| u32::from_str_radix(&text, 8).ok()).ok_or(Errno::EPERM)?;
                files::make_node(&path, first as u32, second, umask).map(|()| 0).map_err(errno)
            }
            Act::Unlink => {
                let path = self.named(&path, place)?;
                files::unlink(&path, first as i32).map(|()| 0).map_err(errno)
            }
        }
    }

    /// A path of the tracer's to the inode at a place.
    fn reached(&mut self, place: Place) -> Result<CString, Errno> {
        if let Place::Descriptor(descriptor) = place
            && self.flags_of([descriptor, F_GETFL, 0, 0, 0, 0])? & O_PATH != 0
        {
            return Err(Errno::EBADF);
        }
        inode::sight(self, place, 0, Statx::MASK).ok_or(Errno::EPERM)??;
        self.seen(place).ok_or(Errno::EPERM)
    }

    /// The last component of a path in the directory that the tracer has reached.
    fn named(&mut self, directory: &std::ffi::CStr, place: Place) -> Result<CString, Errno> {
        let Place::Parent { path, .. } = place else { return Err(Errno::EPERM) };
        let path = inode::string(self, path)?;
        // With the slashes at its end, of which the kernel says what they mean.
        let end = path.iter().rposition(|&byte| byte != b'/').map_or(0, |last| last + 1);
        let head = path.get(..end).unwrap_or_default();
        let start = head.iter().rposition(|&byte| byte == b'/').map_or(0, |slash| slash + 1);
        let name = path.get(start..).unwrap_or_default();
        if name.is_empty() {
            return Err(if path.is_empty() { Errno::ENOENT } else { Errno::EEXIST });
        }
        CString::new([directory.to_bytes(), b"/", name].concat()).map_err(|_| Errno::EPERM)
    }

    fn made(&mut self, place: Place, share: Share) -> SysResult {
        self.make(place, share).ok_or(Errno::EPERM)?.map(|()| 0)
    }

    /// The name of an attribute.
    fn name(&mut self, address: u64) -> Result<CString, Errno> {
        let name = inode::string(self, address)?;
        if name.is_empty() || name.len() > 255 {
            return Err(Errno::ERANGE); // import_xattr_name
        }
        CString::new(name).map_err(|_| Errno::ERANGE)
    }

    /// Puts a value into a buffer of this size.
    fn given(&mut self, value: &[u8], address: u64, size: u64) -> SysResult {
        let length = value.len() as u64;
        match size {
            0 => {}
            size if length > size => return Err(Errno::ERANGE),
            _ => self.write(address, value)?,
        }
        Ok(length)
    }

    /// The arguments behind the name in a `struct xattr_args`: where the value stands, its size and flags.
    fn unpacked(&mut self, name: u64, at: u64) -> Result<Vec<u64>, Errno> {
        let mut bytes = [0; 16];
        self.read(at, &mut bytes)?;
        let [v0, v1, v2, v3, v4, v5, v6, v7, s0, s1, s2, s3, f0, f1, f2, f3] = bytes;
        let value = u64::from_le_bytes([v0, v1, v2, v3, v4, v5, v6, v7]);
        let [size, flags] = [[s0, s1, s2, s3], [f0, f1, f2, f3]].map(u32::from_le_bytes);
        Ok(vec![name, value, size.into(), flags.into()])
    }

    /// fcntl(2) that asks for the flags of a descriptor or of what is open there.
    fn flags_of(&mut self, [descriptor, what, ..]: [u64; 6]) -> SysResult {
        let about = format!("/proc/{}/fdinfo/{}", self.tid(), descriptor as i32);
        let text = sys::process::text(&about).ok_or(Errno::EBADF)?;
        let flags = sys::process::field(&text, "flags:").and_then(|text| u64::from_str_radix(text, 8).ok());
        let flags = flags.ok_or(Errno::EPERM)?;
        match what {
            F_GETFD => Ok(u64::from(flags & O_CLOEXEC != 0)),
            F_GETFL => Ok(flags & !O_CLOEXEC),
            _ => Err(Errno::EPERM),
        }
    }
}

const F_GETFD: u64 = 1;
const F_GETFL: u64 = 3;
const O_PATH: u64 = 0o10_000_000;
const O_CLOEXEC: u64 = 0o2_000_000;

fn errno(errno: sys::Errno) -> Errno {
    Errno(errno as i32)
}
