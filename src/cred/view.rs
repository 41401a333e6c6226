//! How ids the kernel reports are shown to the guest.

use super::{CapSet, Credentials, Gid, Uid};

/// One side of a user namespace's id map: which ids exist inside (`/proc/PID/uid_map`).
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct IdMap(Vec<(u32, u32)>);

impl IdMap {
    /// Parses the text of `/proc/PID/uid_map` or `gid_map`; lines that are no extents are skipped.
    pub fn parse(text: &str) -> IdMap {
        let extent = |line: &str| {
            let mut fields = line.split_whitespace();
            let first = fields.next()?.parse().ok()?;
            let count = fields.nth(1)?.parse().ok()?;
            Some((first, count))
        };
        IdMap(text.lines().filter_map(extent).collect())
    }

    /// Whether the id exists inside the namespace.
    pub fn contains(&self, id: u32) -> bool {
        self.0.iter().any(|&(first, count)| id >= first && id - first < count)
    }
}

/// What the kernel would report for the guest, and how that is shown to it.
#[derive(Debug, Clone)]
pub struct View {
    /// The credentials the guest starts with; while they hold, the kernel's own answers are right
    /// unless [`lacks_privilege`](View::lacks_privilege).
    pub initial: Credentials,
    /// The kernel's own id of the guest's root (0 inside a user namespace of ours).
    pub kernel_uid: u32,
    /// The kernel's own group id of the guest's root.
    pub kernel_gid: u32,
    /// The capabilities that the guest's root has to the kernel.
    pub kernel_caps: CapSet,
    /// User ids that exist in the namespace.
    pub uids: IdMap,
    /// Group ids that exist in the namespace.
    pub gids: IdMap,
    /// Whether the kernel asks who owns a file before it gives it another name (`fs.protected_hardlinks`).
    pub protects_hardlinks: bool,
    /// Whether the root directory, and so most files, are of an id that the namespace lacks: what the kernel shows of them is
    /// not to be believed.
    pub is_foreign: bool,
    /// Whom an inode of the guest's root's belongs to that nobody has touched; `None` where that is root.
    pub untouched: Option<(Uid, Gid)>,
}

#[cfg(test)]
impl View {
    /// A namespace that maps only 0.
    pub(crate) fn of_root_alone() -> View {
        let only_root = IdMap::parse("0 1000 1");
        View {
            initial: Credentials::root(),
            kernel_uid: 0,
            kernel_gid: 0,
            kernel_caps: CapSet::FULL,
            uids: only_root.clone(),
            gids: only_root,
            protects_hardlinks: true,
            is_foreign: false,
            untouched: None,
        }
    }
}

impl View {
    /// A user id the kernel reported, as the guest is to see it: its own id and every id the
    /// namespace does not map (the overflow id, `fs.overflowuid`) are root's.
    pub fn show_uid(&self, kernel: u32) -> Uid {
        if kernel == self.kernel_uid || !self.uids.contains(kernel) { Uid::ROOT } else { Uid(kernel) }
    }

    /// The same for a group id.
    pub fn show_gid(&self, kernel: u32) -> Gid {
        if kernel == self.kernel_gid || !self.gids.contains(kernel) { Gid::ROOT } else { Gid(kernel) }
    }

    /// Whether root's are all ids that there are.
    pub fn is_of_one_id(&self) -> bool {
        !self.translates() && [&self.uids, &self.gids].iter().all(|map| map.0.as_slice() == [(0, 1)])
    }

    /// Whether it is the initial user namespace's root, or one who has as many ids.
    pub fn is_of_all_ids(&self) -> bool {
        const ALL: (u32, u32) = (0, u32::MAX);
        self.kernel_uid == 0 && [&self.uids, &self.gids].iter().all(|map| map.0.as_slice() == [ALL])
    }

    /// Whether the kernel's ids are not the guest's even before anything changed: no namespace could be made.
    pub fn translates(&self) -> bool {
        self.kernel_uid != 0 || self.kernel_gid != 0
    }

    /// Whether the guest's root is a plain user to the kernel: no namespace could be made, or its root has been
    /// left no privilege. Every stage is up from the start.
    pub fn lacks_privilege(&self) -> bool {
        self.translates() || !self.initial.permitted.is_subset(self.kernel_caps)
    }
}
