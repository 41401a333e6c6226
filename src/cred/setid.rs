//! Changing user ids, group ids and supplementary groups: kernel/sys.c, kernel/groups.c, and what
//! security/commoncap.c makes of it.
//!
//! `None` is −1, "leave unchanged". Every id is valid: the guest's namespace maps them all.

use std::sync::Arc;

use super::{Cap, CapSet, Credentials, Gid, Securebits, Uid};
use crate::abi::Errno;

/// A rule's outcome.
type Change = Result<Credentials, Errno>;

impl Credentials {
    /// setuid(2), `__sys_setuid`.
    ///
    /// # Errors
    /// `EINVAL` for −1; `EPERM` without `CAP_SETUID` when it is neither the real nor the saved id.
    pub fn setuid(&self, uid: Option<Uid>) -> Change {
        let uid = uid.ok_or(Errno::EINVAL)?;
        let mut new = self.clone();
        if self.has(Cap::SETUID) {
            new.uid = uid;
            new.suid = uid;
        } else if uid != self.uid && uid != self.suid {
            return Err(Errno::EPERM);
        }
        new.euid = uid;
        new.fsuid = uid;
        Ok(new.fix_setuid(self))
    }

    /// setgid(2), `__sys_setgid`.
    ///
    /// # Errors
    /// `EINVAL` for −1; `EPERM` without `CAP_SETGID` when it is neither the real nor the saved id.
    pub fn setgid(&self, gid: Option<Gid>) -> Change {
        let gid = gid.ok_or(Errno::EINVAL)?;
        let mut new = self.clone();
        if self.has(Cap::SETGID) {
            new.gid = gid;
            new.sgid = gid;
        } else if gid != self.gid && gid != self.sgid {
            return Err(Errno::EPERM);
        }
        new.egid = gid;
        new.fsgid = gid;
        Ok(new)
    }

    /// setreuid(2), `__sys_setreuid`.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETUID` when `ruid` is neither the real nor the effective id, or `euid`
    /// none of the three.
    pub fn setreuid(&self, ruid: Option<Uid>, euid: Option<Uid>) -> Change {
        let privileged = self.has(Cap::SETUID);
        let real_allowed = ruid.is_none_or(|id| [self.uid, self.euid].contains(&id));
        let effective_allowed = euid.is_none_or(|id| self.has_uid(id));
        if !(privileged || real_allowed && effective_allowed) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.uid = ruid.unwrap_or(self.uid);
        new.euid = euid.unwrap_or(self.euid);
        if ruid.is_some() || euid.is_some_and(|id| id != self.uid) {
            new.suid = new.euid;
        }
        new.fsuid = new.euid;
        Ok(new.fix_setuid(self))
    }

    /// setregid(2), `__sys_setregid`.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETGID` when `rgid` is neither the real nor the effective id, or `egid`
    /// none of the three.
    pub fn setregid(&self, rgid: Option<Gid>, egid: Option<Gid>) -> Change {
        let privileged = self.has(Cap::SETGID);
        let real_allowed = rgid.is_none_or(|id| [self.gid, self.egid].contains(&id));
        let effective_allowed = egid.is_none_or(|id| self.has_gid(id));
        if !(privileged || real_allowed && effective_allowed) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.gid = rgid.unwrap_or(self.gid);
        new.egid = egid.unwrap_or(self.egid);
        if rgid.is_some() || egid.is_some_and(|id| id != self.gid) {
            new.sgid = new.egid;
        }
        new.fsgid = new.egid;
        Ok(new)
    }

    /// setresuid(2), `__sys_setresuid`.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETUID` when any is none of the three ids.
    pub fn setresuid(&self, ruid: Option<Uid>, euid: Option<Uid>, suid: Option<Uid>) -> Change {
        // "check for no-op": the fsuid then stays as it is, even where it is not the euid.
        if ruid.is_none_or(|id| id == self.uid)
            && euid.is_none_or(|id| id == self.euid && id == self.fsuid)
            && suid.is_none_or(|id| id == self.suid)
        {
            return Ok(self.clone());
        }
        let foreign = [ruid, euid, suid].into_iter().flatten().any(|id| !self.has_uid(id));
        if foreign && !self.has(Cap::SETUID) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.uid = ruid.unwrap_or(self.uid);
        new.euid = euid.unwrap_or(self.euid);
        new.suid = suid.unwrap_or(self.suid);
        new.fsuid = new.euid;
        Ok(new.fix_setuid(self))
    }

    /// setresgid(2), `__sys_setresgid`.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETGID` when any is none of the three ids.
    pub fn setresgid(&self, rgid: Option<Gid>, egid: Option<Gid>, sgid: Option<Gid>) -> Change {
        // "check for no-op", as in `setresuid`.
        if rgid.is_none_or(|id| id == self.gid)
            && egid.is_none_or(|id| id == self.egid && id == self.fsgid)
            && sgid.is_none_or(|id| id == self.sgid)
        {
            return Ok(self.clone());
        }
        let foreign = [rgid, egid, sgid].into_iter().flatten().any(|id| !self.has_gid(id));
        if foreign && !self.has(Cap::SETGID) {
            return Err(Errno::EPERM);
        }
        let mut new = self.clone();
        new.gid = rgid.unwrap_or(self.gid);
        new.egid = egid.unwrap_or(self.egid);
        new.sgid = sgid.unwrap_or(self.sgid);
        new.fsgid = new.egid;
        Ok(new)
    }

    /// setfsuid(2), `__sys_setfsuid`: never fails; what is refused changes nothing.
    #[must_use]
    pub fn setfsuid(&self, uid: Option<Uid>) -> Credentials {
        let mut new = self.clone();
        let Some(uid) = uid else { return new };
        if !self.has_uid(uid) && uid != self.fsuid && !self.has(Cap::SETUID) {
            return new;
        }
        new.fsuid = uid;
        new.fix_setfsuid(self)
    }

    /// setfsgid(2), `__sys_setfsgid`: never fails; what is refused changes nothing.
    #[must_use]
    pub fn setfsgid(&self, gid: Option<Gid>) -> Credentials {
        let mut new = self.clone();
        if let Some(gid) = gid
            && (self.has_gid(gid) || self.has(Cap::SETGID))
        {
            new.fsgid = gid;
        }
        new
    }

    /// Whether setgroups(2) is allowed at all (`may_setgroups`), asked before its arguments are
    /// looked at.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETGID`.
    pub fn may_setgroups(&self) -> Result<(), Errno> {
        if self.has(Cap::SETGID) { Ok(()) } else { Err(Errno::EPERM) }
    }

    /// setgroups(2), `set_current_groups`, once [`Credentials::may_setgroups`] has agreed; sorts
    /// as `groups_sort` does and keeps duplicates.
    #[must_use]
    pub fn setgroups(&self, mut groups: Vec<Gid>) -> Credentials {
        groups.sort_unstable();
        Credentials { groups: Arc::from(groups), ..self.clone() }
    }

    /// Whether becoming `new` ends the signal of `PR_SET_PDEATHSIG`, if there may be one
    /// (`commit_creds`).
    pub fn outgrows_parent(&self, new: &Credentials) -> bool {
        self.heeds_parent
            && (self.euid, self.fsuid, self.egid, self.fsgid) != (new.euid, new.fsuid, new.egid, new.fsgid)
    }

    /// Whether it is the real, effective or saved user id.
    fn has_uid(&self, uid: Uid) -> bool {
        [self.uid, self.euid, self.suid].contains(&uid)
    }

    /// Whether it is the real, effective or saved group id.
    fn has_gid(&self, gid: Gid) -> bool {
        [self.gid, self.egid, self.sgid].contains(&gid)
    }

    /// `cap_task_fix_setuid` for everything but setfsuid, with `cap_emulate_setxuid`.
    fn fix_setuid(mut self, old: &Credentials) -> Credentials {
        if old.securebits.has(Securebits::NO_SETUID_FIXUP) {
            return self;
        }
        if old.has_uid(Uid::ROOT) && !self.has_uid(Uid::ROOT) {
            if !old.securebits.has(Securebits::KEEP_CAPS) {
                self.permitted = CapSet::EMPTY;
                self.effective = CapSet::EMPTY;
            }
            self.ambient = CapSet::EMPTY;
        }
        match (old.euid == Uid::ROOT, self.euid == Uid::ROOT) {
            (true, false) => self.effective = CapSet::EMPTY,
            (false, true) => self.effective = self.permitted,
            _ => {}
        }
        self
    }

    /// `cap_task_fix_setuid` for setfsuid.
    fn fix_setfsuid(mut self, old: &Credentials) -> Credentials {
        if old.securebits.has(Securebits::NO_SETUID_FIXUP) {
            return self;
        }
        match (old.fsuid == Uid::ROOT, self.fsuid == Uid::ROOT) {
            (true, false) => self.effective = self.effective.minus(CapSet::FS),
            (false, true) => self.effective = self.effective.or(self.permitted.and(CapSet::FS)),
            _ => {}
        }
        self
    }
}

#[cfg(test)]
mod tests;
