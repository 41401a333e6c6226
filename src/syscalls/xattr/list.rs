//! listxattr(2), llistxattr(2), flistxattr(2), listxattrat(2).

use super::class::Class;
use super::hidden;
use super::request::Request;
use crate::abi::acl::LARGEST;
use crate::abi::{Errno, SysResult};
use crate::cred::Cap;
use crate::ownership::{Extra, Identity};
use crate::syscalls::{Guest, Verdict, inode};

/// The whole call.
pub fn list<const FORM: u8>(guest: &mut dyn Guest) -> Verdict {
    if guest.ownership().in_attributes() || guest.ownership().may_have_extras() {
        Verdict::Amend(listed::<FORM>)
    } else {
        Verdict::Run
    }
}

/// Takes the hidden names out of what the kernel has listed, or would have, and adds what is remembered.
fn listed<const FORM: u8>(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    let Some(request) = Request::of_list(guest, FORM) else { return result };
    let opened = !guest.ownership().is_empty()
        && inode::inspect(guest, request.place).is_ok()
        && request.has_placeholder(guest);
    let names = match result {
        Ok(_) | Err(Errno::ERANGE) if opened => request.list(guest)?,
        Ok(0) => Vec::new(),
        Ok(length) if request.size > 0 => {
            let mut names = vec![0; usize::try_from(length).unwrap_or(0).min(LARGEST)];
            guest.read(request.value, &mut names)?;
            names
        }
        // It may be only the hidden names that did not fit, or faulted.
        Ok(_) | Err(Errno::ERANGE | Errno::EFAULT) => match request.list(guest) {
            Ok(names) => names,
            Err(_) => return result,
        },
        result => return result,
    };
    let shown = shown(guest, &request, &names);
    if shown == names && result.is_ok() && !opened {
        return result;
    }
    match result {
        // Asked for a size, overlayfs counts names of its own that it does not list.
        Ok(length) if request.size == 0 && !opened => {
            Ok((length + shown.len() as u64).saturating_sub(names.len() as u64))
        }
        _ => request.give(guest, &shown),
    }
}

/// The list that the guest sees where the kernel has this one.
fn shown(guest: &mut dyn Guest, request: &Request, names: &[u8]) -> Vec<u8> {
    let kernels: Vec<&[u8]> = names.split_inclusive(|&byte| byte == 0).collect();
    let bare = |name: &[u8]| name.strip_suffix(b"\0").unwrap_or(name).to_vec();
    let mut shown: Vec<Vec<u8>> = kernels.into_iter().map(bare).collect();
    shown.retain(|name| !hidden::is_hidden(guest, name));
    if guest.ownership().may_have_extras()
        && let Ok(statx) = inode::inspect(guest, request.place)
    {
        let admin = guest.credentials().has(Cap::SYS_ADMIN);
        for (name, extra) in guest.ownership().extras(Identity::of(&statx)).iter() {
            match extra {
                Extra::Whole(_) if shown.iter().any(|known| known == name) => {}
                Extra::Whole(_) if admin || Class::of(name) != Class::Trusted => shown.push(name.to_vec()),
                Extra::Gone => shown.retain(|known| known != name),
                Extra::Whole(_) | Extra::Beside(_) => {}
            }
        }
    }
    shown.into_iter().flat_map(|name| [name, b"\0".to_vec()].concat()).collect()
}
