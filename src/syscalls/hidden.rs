//! The attributes that hold facts are no business of the guest's: it sees none, sets none, removes none,
//! and copies none along with a file's data. Where facts do not live in attributes nothing is hidden.
//!
//! Every other attribute goes on to [`acl`], or to the kernel.

use super::inode;
use super::{Guest, Verdict, acl, kernel};
use crate::abi::{Errno, KernelCall, SysResult};
use crate::ownership::{MARK, xattr};

/// By a descriptor of a directory and a path.
pub const AT: u8 = 3;

/// A name that no inode bears, to be asked for in place of a hidden one.
const NOBODYS: &[u8] = b"user.remainroot.none\0";
/// Where in the scratch memory names stand.
const NAMES: u64 = 512;
/// The longest list that is looked at in place of one that did not fit.
const LONGEST: u64 = 4096;

/// The calls of one kind in the order of [`acl::PATH`], [`acl::LINK`], [`acl::DESCRIPTOR`] and [`AT`].
type Calls = [&'static KernelCall; 4];
const GET: Calls = [&kernel::GETXATTR, &kernel::LGETXATTR, &kernel::FGETXATTR, &kernel::GETXATTRAT];
const LIST: Calls = [&kernel::LISTXATTR, &kernel::LLISTXATTR, &kernel::FLISTXATTR, &kernel::LISTXATTRAT];
const REMOVE: Calls =
    [&kernel::REMOVEXATTR, &kernel::LREMOVEXATTR, &kernel::FREMOVEXATTR, &kernel::REMOVEXATTRAT];

/// The index of the name's argument, and of a list's.
const fn operand(form: u8) -> usize {
    if form == AT { 3 } else { 1 }
}

const fn pick(calls: Calls, form: u8) -> &'static KernelCall {
    match form {
        AT => calls[3],
        acl::DESCRIPTOR => calls[2],
        acl::LINK => calls[1],
        _ => calls[0],
    }
}

fn is_hidden(name: &[u8]) -> bool {
    [xattr::OWNER, xattr::STAT, MARK].iter().any(|hidden| hidden.to_bytes() == name)
}

/// Whether the call names a hidden attribute.
fn names_hidden(guest: &mut dyn Guest, form: u8) -> bool {
    let name = guest.call().arg(operand(form));
    guest.ownership().in_attributes() && inode::string(guest, name).is_ok_and(|name| is_hidden(&name))
}

/// What the kernel says of an attribute that is not there: first that it cannot find the inode.
fn absent(guest: &mut dyn Guest, call: &'static KernelCall, form: u8) -> SysResult {
    if guest.sandboxed() {
        return Err(Errno::ENODATA);
    }
    let mut args = guest.call().args;
    let name = guest.scratch()? + NAMES;
    guest.write(name, NOBODYS)?;
    if let Some(arg) = args.get_mut(operand(form)) {
        *arg = name;
    }
    guest.inject(call, args)
}

/// setxattr(2) and its relatives: a filesystem that knows no such attribute, so that what copies
/// attributes goes on without it.
pub fn set<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    if names_hidden(guest, FORM) {
        Verdict::Reply(Err(Errno::EOPNOTSUPP))
    } else if FORM == AT {
        Verdict::Run
    } else {
        acl::set::<FORM>(guest)
    }
}

/// getxattr(2) and its relatives.
pub fn get<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    if names_hidden(guest, FORM) {
        Verdict::Reply(absent(guest, pick(GET, FORM), FORM))
    } else if FORM == AT {
        Verdict::Run
    } else {
        acl::get::<FORM>(guest)
    }
}

/// removexattr(2) and its relatives.
pub fn remove<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    if names_hidden(guest, FORM) {
        Verdict::Reply(absent(guest, pick(REMOVE, FORM), FORM))
    } else if FORM == AT {
        Verdict::Run
    } else {
        acl::remove::<FORM>(guest)
    }
}

/// listxattr(2) and its relatives.
pub fn list<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    if guest.ownership().in_attributes() { Verdict::Amend(listed::<FORM>) } else { Verdict::Run }
}

/// Takes the hidden names out of what the kernel has listed, or would have.
fn listed<const FORM: u8>(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    let call = *guest.call();
    let (list, size) = (call.arg(operand(FORM)), call.arg(operand(FORM) + 1));
    let asks = match result {
        Ok(0) => return result,
        Ok(length) if size > 0 => {
            let (visible, hidden) = visible(guest, list, length)?;
            if hidden {
                guest.write(list, &visible)?;
            }
            return Ok(visible.len() as u64);
        }
        // It may be only the hidden names that did not fit, or faulted.
        Ok(_) | Err(Errno::ERANGE | Errno::EFAULT) => !guest.sandboxed(),
        Err(_) => false,
    };
    if !asks {
        return result;
    }
    let mut args = call.args;
    let own = guest.scratch()? + NAMES;
    for (arg, value) in args.iter_mut().skip(operand(FORM)).zip([own, LONGEST]) {
        *arg = value;
    }
    let Ok(length) = guest.inject(pick(LIST, FORM), args) else { return result };
    let (visible, _) = visible(guest, own, length)?;
    let length = visible.len() as u64;
    if size > 0 && length > size {
        return Err(Errno::ERANGE);
    }
    if size > 0 {
        guest.write(list, &visible)?;
    }
    Ok(length)
}

/// The names in a list that are not hidden, and whether any is.
fn visible(guest: &mut dyn Guest, list: u64, length: u64) -> Result<(Vec<u8>, bool), Errno> {
    let mut names = vec![0; usize::try_from(length).unwrap_or(0).min(crate::abi::acl::LARGEST)];
    guest.read(list, &mut names)?;
    let shown = names.split_inclusive(|&byte| byte == 0);
    let shown: Vec<&[u8]> =
        shown.filter(|name| !is_hidden(name.strip_suffix(b"\0").unwrap_or(name))).collect();
    let shown = shown.concat();
    let hidden = shown.len() < names.len();
    Ok((shown, hidden))
}

#[cfg(test)]
mod tests;
