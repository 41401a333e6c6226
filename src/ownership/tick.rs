//! Keeps an inode from having the birth time of an earlier one that a fact is about, or the change time at
//! which something was found out about that.
//!
//! A new inode gets the time of the last tick of the kernel's clock, unless a finer time was given out
//! since (`ktime_get_coarse_real_ts64_mg`, Linux 6.13). Who closes a file that has no name any more frees its
//! number without asking for a time, and the next inode may take over the number and all the times. So a
//! finer time is asked for whenever something young was looked at: by changes of a file that nobody else
//! sees (`inode_set_ctime_current`).

use std::fs::{File, Metadata, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use nix::sys::memfd::{MFdFlags, memfd_create};

/// Longer than there is between two ticks, even on a machine that is asleep half of the time.
const TICK: Duration = Duration::from_millis(100);

/// Asks for times.
#[derive(Debug, Default)]
pub(super) struct Tick {
    /// The file; none where it cannot be had.
    file: OnceLock<Option<File>>,
    /// A time that was asked for: those before it have passed.
    latest: AtomicU64,
}

impl Tick {
    /// Whether that is so without asking for a time, which takes four calls.
    pub(super) fn has_passed(&self, moment: i128) -> bool {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let latest = Duration::from_nanos(self.latest.load(Ordering::Acquire));
        let passed = if latest < now { latest } else { Duration::ZERO }; // the clock may have been put back
        moment < passed.max(now.saturating_sub(TICK)).as_nanos() as i128
    }

    /// From now on no inode is born or changed at `moment`, in nanoseconds since the epoch; `false` where that
    /// cannot be had, as before Linux 6.13 until the clock's next tick.
    pub(super) fn pass(&self, moment: i128) -> bool {
        if self.has_passed(moment) {
            return true;
        }
        let make = || memfd_create(c"remainroot", MFdFlags::MFD_CLOEXEC).ok().map(File::from);
        let Some(file) = self.file.get_or_init(make) else { return false };
        let change = || file.set_permissions(Permissions::from_mode(0o600));
        // The first takes the time of the last tick, which the second, since it was looked at, may not take
        // again. Where they fail the clock goes on by itself, milliseconds later.
        let changed = change().and_then(|()| file.metadata()).and_then(|_| change());
        let Ok(found) = changed.and_then(|()| file.metadata()) else { return false };
        self.latest.fetch_max(ctime(&found).try_into().unwrap_or(0), Ordering::AcqRel);
        ctime(&found) > moment
    }
}

/// When a file was last changed, in nanoseconds since the epoch.
fn ctime(file: &Metadata) -> i128 {
    i128::from(file.ctime()) * 1_000_000_000 + i128::from(file.ctime_nsec())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_inode_is_born_at_a_moment_that_has_passed() {
        let release = std::fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let mut numbers = release.split(|c: char| !c.is_ascii_digit()).map(|part| part.parse().unwrap_or(0));
        if (numbers.next(), numbers.next()) < (Some(6), Some(13)) {
            return; // there the clock goes on by itself
        }
        let tick = Tick::default();
        let born = || {
            let file =
                memfd_create(c"test", MFdFlags::MFD_CLOEXEC).map(File::from).expect("a file of memory");
            ctime(&file.metadata().expect("it can be looked at"))
        };
        for _ in 0..1000 {
            let before = born();
            assert!(tick.pass(before));
            assert!(before < born());
        }
    }

    #[test]
    fn a_moment_that_is_not_over_is_not_taken_for_over() {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("it is after 1970").as_nanos() as i128;
        assert!(!Tick::default().pass(now + 1_000_000_000));
        assert!(Tick::default().pass(now - 1_000_000_000));
    }
}
