//! The calls by which a filesystem is mounted in steps (fsopen(2), fsconfig(2), fsmount(2)): their options are those of
//! `mount`, one a call.

use super::inode::{self, Place};
use super::mount::{self, OVERLAY, TMPFS, Whose};
use super::{Guest, Verdict, kernel, layers, mounted};
use crate::abi::SysResult;
use crate::cred::{Gid, Uid};

/// Commands of fsconfig(2).
const SET_FLAG: u64 = 0;
const SET_STRING: u64 = 1;
const CREATE: u64 = 6;
const CREATE_EXCL: u64 = 8;

/// Where in the scratch memory a value stands.
const VALUE: u64 = 4096;

/// What was asked of a filesystem that is not mounted yet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Planned {
    /// Its type.
    kind: Vec<u8>,
    /// Whom its root directory is to belong to, where the kernel was told root.
    uid: Option<Uid>,
    gid: Option<Gid>,
    /// Whether it was asked for `userxattr`.
    with_userxattr: bool,
    /// The filesystems of an overlay's layers.
    layers: Vec<u64>,
}

/// fsopen(2).
pub fn fsopen(guest: &mut dyn Guest) -> Verdict {
    let name = kind(guest);
    guest.mounting(&name);
    Verdict::Amend(|guest, result| {
        if let Ok(descriptor) = result {
            let kind = kind(guest);
            guest.plan(descriptor, Planned { kind, ..Planned::default() });
        }
        result
    })
}

fn kind(guest: &mut dyn Guest) -> Vec<u8> {
    let name = guest.call().arg(0);
    inode::string(guest, name).unwrap_or_default()
}

/// fsconfig(2).
pub fn fsconfig(guest: &mut dyn Guest) -> Verdict {
    let [descriptor, command, key, value, ..] = guest.call().args;
    match command {
        SET_FLAG | SET_STRING => {
            let Ok(key) = inode::string(guest, key) else { return Verdict::Run };
            let value = if command == SET_FLAG { Ok(Vec::new()) } else { inode::string(guest, value) };
            let Ok(value) = value else { return Verdict::Run };
            note(guest, descriptor, &key, &value);
            if is_without_trusted(guest, descriptor) && mount::excludes_userxattr(&key, &value) {
                return Verdict::Reply(Ok(0));
            }
            let whose = Whose::of(&key, &value, guest.view());
            match whose.and_then(|whose| whose.instead(guest.view())) {
                Some(id) => Verdict::Reply(set_id(guest, id)),
                None => Verdict::Run,
            }
        }
        CREATE | CREATE_EXCL => {
            if is_without_trusted(guest, descriptor) {
                // A kernel that has no such option goes without.
                let _ = set_userxattr(guest, descriptor);
            }
            Verdict::Run
        }
        _ => Verdict::Run,
    }
}

/// Whether it is an overlay that must do without `trusted.*` attributes and does not know it.
fn is_without_trusted(guest: &dyn Guest, descriptor: u64) -> bool {
    let planned = guest.planned(descriptor);
    planned.kind == OVERLAY && !planned.with_userxattr && mount::keeps_no_trusted(guest.view())
}

/// Notes what an option says that matters later. The last one counts.
fn note(guest: &mut dyn Guest, descriptor: u64, key: &[u8], value: &[u8]) {
    let old = guest.planned(descriptor);
    let mut planned = old.clone();
    match Whose::of(key, value, guest.view()) {
        Some(Whose::User(uid)) => planned.uid = uid,
        Some(Whose::Group(gid)) => planned.gid = gid,
        None => planned.with_userxattr |= key == mount::USERXATTR,
    }
    if planned.kind == OVERLAY {
        for filesystem in layers::named(guest, key, value) {
            if !planned.layers.contains(&filesystem) {
                planned.layers.push(filesystem);
            }
        }
    }
    if planned != old {
        guest.plan(descriptor, planned);
    }
}

/// Tells the kernel another id.
fn set_id(guest: &mut dyn Guest, id: u32) -> SysResult {
    let [descriptor, command, key, _, aux, unused] = guest.call().args;
    let value = guest.scratch()? + VALUE;
    guest.write(value, format!("{id}\0").as_bytes())?;
    guest.inject(&kernel::FSCONFIG, [descriptor, command, key, value, aux, unused])
}

fn set_userxattr(guest: &mut dyn Guest, descriptor: u64) -> SysResult {
    let name = guest.scratch()? + VALUE;
    guest.write(name, &[mount::USERXATTR, b"\0"].concat())?;
    guest.inject(&kernel::FSCONFIG, [descriptor, SET_FLAG, name, 0, 0, 0])
}

/// fsmount(2): the root directory belongs to whom the options said.
pub fn fsmount(guest: &mut dyn Guest) -> Verdict {
    if guest.planned(guest.call().arg(0)) == Planned::default() {
        return Verdict::Run;
    }
    Verdict::Amend(|guest, result| {
        let open = result?;
        let descriptor = guest.call().arg(0);
        let Planned { kind, uid, gid, layers, .. } = guest.planned(descriptor);
        guest.plan(descriptor, Planned::default());
        mounted::note(guest, Some(open), &kind, uid, gid);
        if kind == OVERLAY {
            layers::note(guest, Some(open), layers);
        }
        if kind == TMPFS && (uid.is_some() || gid.is_some()) {
            mount::give(guest, Place::Descriptor(open), uid, gid)?;
        }
        Ok(open)
    })
}

#[cfg(test)]
mod tests;
