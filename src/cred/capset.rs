//! Changing capabilities and securebits: kernel/capability.c and `cap_task_prctl` in
//! security/commoncap.c.

use super::{Cap, CapSet, Credentials, Securebits};
use crate::abi::Errno;

/// A rule's outcome.
type Change = Result<Credentials, Errno>;

/// The three sets that capget(2) and capset(2) carry.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapSets {
    /// Effective.
    pub effective: CapSet,
    /// Permitted.
    pub permitted: CapSet,
    /// Inheritable.
    pub inheritable: CapSet,
}

impl Credentials {
    /// What capget(2) reports (`cap_capget`).
    pub fn cap_sets(&self) -> CapSets {
        CapSets { effective: self.effective, permitted: self.permitted, inheritable: self.inheritable }
    }

    /// capset(2), `cap_capset`; capabilities that do not exist are dropped silently.
    ///
    /// # Errors
    /// `EPERM` when inheritable grows by what is not in the bounding set, or, without
    /// `CAP_SETPCAP`, by what is not permitted; when permitted grows; when effective exceeds it.
    pub fn capset(&self, sets: CapSets) -> Change {
        let [effective, permitted, inheritable] =
            [sets.effective, sets.permitted, sets.inheritable].map(|set| set.and(CapSet::FULL));
        let inheritable_capped = !self.has(Cap::SETPCAP);
        if inheritable_capped && !inheritable.is_subset(self.inheritable.or(self.permitted))
            || !inheritable.is_subset(self.inheritable.or(self.bounding))
            || !permitted.is_subset(self.permitted)
            || !effective.is_subset(permitted)
        {
            return Err(Errno::EPERM);
        }
        let ambient = self.ambient.and(permitted).and(inheritable);
        Ok(Credentials { effective, permitted, inheritable, ambient, ..self.clone() })
    }

    /// `PR_CAPBSET_DROP`, `cap_prctl_drop`; `None` is a capability that does not exist.
    ///
    /// # Errors
    /// `EPERM` without `CAP_SETPCAP`; `EINVAL` for `None`.
    pub fn drop_bounding(&self, cap: Option<Cap>) -> Change {
        if !self.has(Cap::SETPCAP) {
            return Err(Errno::EPERM);
        }
        let bounding = self.bounding.without(cap.ok_or(Errno::EINVAL)?);
        Ok(Credentials { bounding, ..self.clone() })
    }

    /// `PR_SET_SECUREBITS`, as Linux 6.14 and newer have it.
    ///
    /// # Errors
    /// `EPERM` for a locked bit, an opened lock or an unknown bit; without `CAP_SETPCAP` also for
    /// any change but of the bits of [`Securebits::UNPRIVILEGED`], and for no change at all.
    pub fn set_securebits(&self, bits: u64) -> Change {
        let old = u64::from(self.securebits.0);
        let changed = old ^ bits;
        let locks = u64::from(Securebits::LOCKS.0);
        let known = locks | u64::from(Securebits::ALL.0);
        let unprivileged = u64::from(Securebits::UNPRIVILEGED.0);
        if (old & locks) >> 1 & changed != 0 || old & locks & !bits != 0 || bits & !known != 0 {
            return Err(Errno::EPERM);
        }
        if !self.has(Cap::SETPCAP) && (changed == 0 || changed & !unprivileged != 0) {
            return Err(Errno::EPERM);
        }
        Ok(Credentials { securebits: Securebits(bits as u32), ..self.clone() })
    }

    /// `PR_SET_KEEPCAPS`.
    ///
    /// # Errors
    /// `EINVAL` when `keep` is not 0 or 1; `EPERM` when the bit is locked.
    pub fn set_keepcaps(&self, keep: u64) -> Change {
        if keep > 1 {
            return Err(Errno::EINVAL);
        }
        if self.securebits.has(Securebits::KEEP_CAPS_LOCKED) {
            return Err(Errno::EPERM);
        }
        let securebits = match keep {
            0 => self.securebits.without(Securebits::KEEP_CAPS),
            _ => self.securebits.with(Securebits::KEEP_CAPS),
        };
        Ok(Credentials { securebits, ..self.clone() })
    }

    /// `PR_CAP_AMBIENT_RAISE`.
    ///
    /// # Errors
    /// `EPERM` unless it is permitted and inheritable and `SECBIT_NO_CAP_AMBIENT_RAISE` is not set.
    pub fn raise_ambient(&self, cap: Cap) -> Change {
        let available = self.permitted.and(self.inheritable).has(cap);
        if !available || self.securebits.has(Securebits::NO_CAP_AMBIENT_RAISE) {
            return Err(Errno::EPERM);
        }
        Ok(Credentials { ambient: self.ambient.with(cap), ..self.clone() })
    }

    /// `PR_CAP_AMBIENT_LOWER`.
    #[must_use]
    pub fn lower_ambient(&self, cap: Cap) -> Credentials {
        Credentials { ambient: self.ambient.without(cap), ..self.clone() }
    }

    /// `PR_CAP_AMBIENT_CLEAR_ALL`.
    #[must_use]
    pub fn clear_ambient(&self) -> Credentials {
        Credentials { ambient: CapSet::EMPTY, ..self.clone() }
    }

    /// Whether the task may load a seccomp filter (`seccomp_prepare_filter`); else `EACCES`.
    pub fn may_filter(&self) -> bool {
        self.no_new_privs || self.has(Cap::SYS_ADMIN)
    }
}

#[cfg(test)]
mod tests;
