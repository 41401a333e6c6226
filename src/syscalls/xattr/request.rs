//! A call about an attribute, taken apart; and the same call with other operands, for the kernel.

use std::ffi::CString;

use super::{AT, DESCRIPTOR, LINK};
use crate::abi::acl::LARGEST;
use crate::abi::{Errno, KernelCall, SysResult};
use crate::ownership::reach;
use crate::syscalls::inode::{self, AT_EMPTY_PATH, AT_SYMLINK_NOFOLLOW, Place};
use crate::syscalls::{Guest, kernel};

/// Longest name (`XATTR_NAME_MAX`).
const NAME_MAX: usize = 255;
/// Where in the scratch memory names of ours stand, behind what a look at an inode needs.
const NAME: u64 = 512;
/// Where a `struct xattr_args` stands.
const ARGUMENTS: u64 = 1024;
/// Where values stand, or lists of names.
const VALUE: u64 = 1088;
/// How long these may be there.
const ROOM: u64 = 3500;
/// `XATTR_CREATE` and `XATTR_REPLACE`.
const CREATE: u64 = 1;
const REPLACE: u64 = 2;

/// The calls of one kind in the order of [`PATH`](super::PATH), [`LINK`], [`DESCRIPTOR`] and [`AT`].
type Calls = [&'static KernelCall; 4];
const SET: Calls = [&kernel::SETXATTR, &kernel::LSETXATTR, &kernel::FSETXATTR, &kernel::SETXATTRAT];
const GET: Calls = [&kernel::GETXATTR, &kernel::LGETXATTR, &kernel::FGETXATTR, &kernel::GETXATTRAT];
const LIST: Calls = [&kernel::LISTXATTR, &kernel::LLISTXATTR, &kernel::FLISTXATTR, &kernel::LISTXATTRAT];
const REMOVE: Calls =
    [&kernel::REMOVEXATTR, &kernel::LREMOVEXATTR, &kernel::FREMOVEXATTR, &kernel::REMOVEXATTRAT];

/// What is asked of an attribute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Set,
    Get,
    Remove,
}

impl Kind {
    const fn calls(self) -> Calls {
        match self {
            Kind::Set => SET,
            Kind::Get => GET,
            Kind::Remove => REMOVE,
        }
    }
}

/// A name or value for the kernel.
#[derive(Debug, Clone, Copy)]
pub(super) enum Operand<'a> {
    /// What stands in the guest's memory at this address.
    At(u64),
    /// These bytes.
    Bytes(&'a [u8]),
}

/// What a call asks. Its value is where and how long the guest has said.
#[derive(Debug, Clone)]
pub(super) struct Request {
    form: u8,
    /// The inode.
    pub(super) place: Place,
    /// The attribute.
    pub(super) name: Vec<u8>,
    /// Where its name stands.
    pub(super) name_at: u64,
    /// Where its value stands, or is to stand, or a list of names.
    pub(super) value: u64,
    /// How long that is.
    pub(super) size: u64,
    /// `XATTR_CREATE`, `XATTR_REPLACE`.
    flags: u64,
}

impl Request {
    /// The call at hand. `None` where the kernel will not even look for the inode.
    pub(super) fn read(guest: &mut dyn Guest, form: u8, kind: Kind) -> Option<Request> {
        let call = *guest.call();
        let name_at = call.arg(if form == AT { 3 } else { 1 });
        let (value, size, flags) = match (kind, form) {
            (Kind::Remove, _) => (0, 0, 0),
            (_, AT) => arguments(guest)?,
            (Kind::Get, _) => (call.arg(2), call.arg(3), 0),
            (Kind::Set, _) => (call.arg(2), call.arg(3), call.arg(4) & u64::from(u32::MAX)),
        };
        let known = if kind == Kind::Set { CREATE | REPLACE } else { 0 };
        let place = place(guest, form)?;
        let name = inode::string(guest, name_at).ok()?;
        let fits = (1..=NAME_MAX).contains(&name.len()) && flags & !known == 0;
        fits.then_some(Request { form, place, name, name_at, value, size, flags })
    }

    /// A call that lists names.
    pub(super) fn of_list(guest: &mut dyn Guest, form: u8) -> Option<Request> {
        let place = place(guest, form)?;
        let first = if form == AT { 3 } else { 1 };
        let (value, size) = (guest.call().arg(first), guest.call().arg(first + 1));
        Some(Request { form, place, name: Vec::new(), name_at: 0, value, size, flags: 0 })
    }

    /// The value that the guest sets; `None` where the kernel will say why it cannot be.
    pub(super) fn value(&self, guest: &mut dyn Guest) -> Option<Vec<u8>> {
        let size = usize::try_from(self.size).ok().filter(|&size| size <= LARGEST)?;
        let mut value = vec![0; size];
        guest.read(self.value, &mut value).ok()?;
        Some(value)
    }

    /// Hands a value out as the kernel does (`do_getxattr`).
    pub(super) fn give(&self, guest: &mut dyn Guest, value: &[u8]) -> SysResult {
        let length = value.len() as u64;
        if self.size > 0 {
            if length > self.size {
                return Err(Errno::ERANGE);
            }
            guest.write(self.value, value)?;
        }
        Ok(length)
    }

    /// Whether an attribute may be set that is there already, or is not there yet.
    ///
    /// # Errors
    /// `EEXIST`, `ENODATA`.
    pub(super) fn may_set(&self, exists: bool) -> Result<(), Errno> {
        match exists {
            true if self.flags & CREATE != 0 => Err(Errno::EEXIST),
            false if self.flags & REPLACE != 0 => Err(Errno::ENODATA),
            _ => Ok(()),
        }
    }

    /// Has the kernel execute the call as the guest made it.
    pub(super) fn run(&self, guest: &mut dyn Guest, kind: Kind) -> SysResult {
        self.run_with(guest, kind, Operand::At(self.name_at), Operand::At(self.value), self.size)
    }

    /// Has the kernel execute a call about the same inode with other operands.
    pub(super) fn run_with(
        &self,
        guest: &mut dyn Guest,
        kind: Kind,
        name: Operand<'_>,
        value: Operand<'_>,
        size: u64,
    ) -> SysResult {
        let name = operand(guest, name, NAME)?;
        let value = operand(guest, value, VALUE)?;
        let call = pick(kind.calls(), self.form);
        let flags = if kind == Kind::Set { self.flags } else { 0 };
        if self.form != AT {
            let first = guest.call().arg(0);
            return guest.inject(call, [first, name, value, size, flags, 0]);
        }
        let [directory, path, how, ..] = guest.call().args;
        let at = guest.scratch()? + ARGUMENTS;
        let arguments =
            [&value.to_le_bytes()[..], &(size as u32).to_le_bytes(), &(flags as u32).to_le_bytes()];
        guest.write(at, &arguments.concat())?;
        guest.inject(call, [directory, path, how, name, at, 16])
    }

    /// A path to the placeholder by which the container's device was opened that the call is about, if it was
    /// just looked at: the kernel would answer for the device.
    fn placeholder(&self, guest: &dyn Guest) -> Option<CString> {
        let stands_in = self.form == DESCRIPTOR && guest.stands_in(self.place);
        stands_in.then(|| guest.seen(self.place)).flatten()
    }

    /// Whether there is one.
    pub(super) fn has_placeholder(&self, guest: &dyn Guest) -> bool {
        self.placeholder(guest).is_some()
    }

    /// The names that the kernel lists.
    pub(super) fn list(&self, guest: &mut dyn Guest) -> Result<Vec<u8>, Errno> {
        if let Some(path) = self.placeholder(guest) {
            return reach::list(&path, LARGEST);
        }
        let at = guest.scratch()? + VALUE;
        let mut args = guest.call().args;
        let first = if self.form == AT { 3 } else { 1 };
        for (arg, value) in args.iter_mut().skip(first).zip([at, ROOM]) {
            *arg = value;
        }
        let length = guest.inject(pick(LIST, self.form), args)?;
        let mut names = vec![0; length.min(ROOM) as usize];
        guest.read(at, &mut names)?;
        Ok(names)
    }

    /// The value that the kernel has; where it is no longer than ours can be.
    pub(super) fn kernels_value(&self, guest: &mut dyn Guest) -> Result<Vec<u8>, Errno> {
        if let Some(path) = self.placeholder(guest) {
            let name = CString::new(self.name.as_slice()).map_err(|_| Errno::EINVAL)?;
            return reach::get_long(&path, &name);
        }
        let at = guest.scratch()? + VALUE;
        let length = self.run_with(guest, Kind::Get, Operand::At(self.name_at), Operand::At(at), ROOM)?;
        let mut value = vec![0; length.min(ROOM) as usize];
        guest.read(at, &mut value)?;
        Ok(value)
    }

    /// Whether the kernel has an attribute of this name on the inode, as far as the namespace's root is
    /// shown it.
    pub(super) fn kernel_has(&self, guest: &mut dyn Guest, name: &[u8]) -> Result<(), Errno> {
        if let Some(path) = self.placeholder(guest) {
            let name = CString::new(name).map_err(|_| Errno::EINVAL)?;
            return reach::get_long(&path, &name).map(drop);
        }
        let name = [name, b"\0"].concat();
        self.run_with(guest, Kind::Get, Operand::Bytes(&name), Operand::At(0), 0).map(drop)
    }
}

const fn pick(calls: Calls, form: u8) -> &'static KernelCall {
    let [path, link, descriptor, at] = calls;
    match form {
        AT => at,
        DESCRIPTOR => descriptor,
        LINK => link,
        _ => path,
    }
}

fn operand(guest: &mut dyn Guest, operand: Operand<'_>, offset: u64) -> Result<u64, Errno> {
    match operand {
        Operand::At(address) => Ok(address),
        Operand::Bytes(bytes) => {
            let address = guest.scratch()? + offset;
            guest.write(address, bytes).map(|()| address)
        }
    }
}

/// Value, size and flags of a call that has them in memory (`struct xattr_args`).
fn arguments(guest: &mut dyn Guest) -> Option<(u64, u64, u64)> {
    const PAGE: u64 = 4096;
    let length = guest.call().arg(5);
    if length > PAGE {
        return None;
    }
    let mut fields = vec![0; length as usize];
    guest.read(guest.call().arg(4), &mut fields).ok()?;
    let (value, rest) = fields.split_first_chunk::<8>()?;
    let (size, rest) = rest.split_first_chunk::<4>()?;
    let (flags, rest) = rest.split_first_chunk::<4>()?;
    let known = rest.iter().all(|&byte| byte == 0);
    let flags = u32::from_le_bytes(*flags).into();
    known.then_some((u64::from_le_bytes(*value), u32::from_le_bytes(*size).into(), flags))
}

/// The inode that the call names; `None` where its flags are none that the kernel takes.
fn place(guest: &dyn Guest, form: u8) -> Option<Place> {
    let call = guest.call();
    Some(match form {
        LINK => Place::link(call.arg(0)),
        DESCRIPTOR => Place::Descriptor(call.arg(0)),
        AT => {
            let flags = call.arg(2) as u32;
            if flags & !(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH) != 0 {
                return None;
            }
            match call.arg(1) {
                0 if flags & AT_EMPTY_PATH != 0 => Place::Descriptor(call.arg(0)),
                path => Place::at(call.arg(0), path, flags),
            }
        }
        _ => Place::path(call.arg(0)),
    })
}
