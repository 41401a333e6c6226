//! Credentials across execve(2): `bprm_fill_uid` in fs/exec.c and `cap_bprm_creds_from_file` in
//! security/commoncap.c.

use super::{CapSet, Credentials, Gid, Securebits, Uid};
use crate::abi::Errno;

const S_ISUID: u16 = 0o4000;
const S_ISGID: u16 = 0o2000;
const S_IXGRP: u16 = 0o0010;

/// The file whose image is executed, as the guest sees it; for a script the interpreter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ExecFile {
    /// Owner.
    pub uid: Uid,
    /// Group.
    pub gid: Gid,
    /// Permission bits (07777).
    pub mode: u16,
    /// Whether it is on a mount that ignores set-id bits and file capabilities (`mnt_may_suid`).
    pub nosuid: bool,
    /// Its file capabilities.
    pub caps: Option<FileCaps>,
}

/// What `security.capability` says of a file (`struct cpu_vfs_cap_data`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct FileCaps {
    /// Capabilities the program is given, as far as the bounding set allows.
    pub permitted: CapSet,
    /// Capabilities the program keeps where the task's inheritable set has them.
    pub inheritable: CapSet,
    /// Whether they are effective at once (`VFS_CAP_FLAGS_EFFECTIVE`).
    pub effective: bool,
}

/// What an exec makes of a task's credentials.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Execed {
    /// The credentials of the new image.
    pub credentials: Credentials,
    /// `AT_SECURE`: the dynamic linker distrusts the environment.
    pub secure: bool,
}

impl Credentials {
    /// The credentials after a successful exec of `file`.
    ///
    /// # Errors
    /// `EPERM` when the file's effective capabilities exceed what the bounding set leaves of them.
    pub fn exec(&self, file: &ExecFile) -> Result<Execed, Errno> {
        let mut new = self.fill_ids(file);
        let mut effective = new.take_file_caps(file)?;
        let has_file_caps = !file.nosuid && file.caps.is_some();
        effective |= new.privilege_root(self, has_file_caps);

        let id_changed = new.euid != self.euid || !self.in_group(new.egid);
        let gained = !new.permitted.is_subset(self.permitted);
        if self.no_new_privs && (id_changed || gained) {
            new.euid = new.uid;
            new.egid = new.gid;
            new.permitted = new.permitted.and(self.permitted);
        }
        new.suid = new.euid;
        new.fsuid = new.euid;
        new.sgid = new.egid;
        new.fsgid = new.egid;
        if has_file_caps || id_changed {
            new.ambient = CapSet::EMPTY;
        }
        new.permitted = new.permitted.or(new.ambient);
        new.effective = if effective { new.permitted } else { new.ambient };
        new.securebits = new.securebits.without(Securebits::KEEP_CAPS);

        let secure = id_changed
            || new.euid != self.uid
            || new.egid != self.gid
            || new.uid != Uid::ROOT && (effective || !new.permitted.is_subset(new.ambient));
        Ok(Execed { credentials: new, secure })
    }

    /// Whether it matters what capabilities a file with these permission bits gives: root, who has all that the bounding set
    /// leaves, becomes root again.
    pub fn heeds_file_caps(&self, mode: u16) -> bool {
        let is_root = self.uid == Uid::ROOT && self.euid == Uid::ROOT;
        !is_root
            || mode & (S_ISUID | S_ISGID) != 0
            || self.securebits.has(Securebits::NOROOT)
            || self.ambient != CapSet::EMPTY
    }

    /// `bprm_fill_uid`: the ids that the set-id bits give.
    fn fill_ids(&self, file: &ExecFile) -> Credentials {
        let mut new = self.clone();
        if file.nosuid || self.no_new_privs {
            return new;
        }
        if file.mode & S_ISUID != 0 {
            new.euid = file.uid;
        }
        if file.mode & (S_ISGID | S_IXGRP) == S_ISGID | S_IXGRP {
            new.egid = file.gid;
        }
        new
    }

    /// `get_file_caps`: sets permitted to what the file gives, and returns whether that is to be
    /// effective at once.
    fn take_file_caps(&mut self, file: &ExecFile) -> Result<bool, Errno> {
        self.permitted = CapSet::EMPTY;
        let Some(caps) = file.caps.filter(|_| !file.nosuid) else { return Ok(false) };
        self.permitted = self.bounding.and(caps.permitted).or(self.inheritable.and(caps.inheritable));
        if caps.effective && !caps.permitted.is_subset(self.permitted) {
            return Err(Errno::EPERM);
        }
        Ok(caps.effective)
    }

    /// `handle_privileged_root`: gives root what the bounding set leaves it, and returns whether
    /// that is to be effective at once.
    fn privilege_root(&mut self, old: &Credentials, has_file_caps: bool) -> bool {
        let real = self.uid == Uid::ROOT;
        let effective = self.euid == Uid::ROOT;
        if old.securebits.has(Securebits::NOROOT) || has_file_caps && effective && !real {
            return false;
        }
        if effective || real {
            self.permitted = old.bounding.or(old.inheritable);
        }
        effective
    }
}

#[cfg(test)]
mod tests;
