//! Times that the kernel would not set on an inode that is not ours.
//!
//! Such a time is remembered with the kernel's own of that moment and holds until that is another: whoever
//! reads or writes the file later moves the kernel's, which is then right again.

use crate::abi::stat::Time;

/// A time that was set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Moment {
    /// What was asked for.
    pub shown: Time,
    /// The kernel's own.
    pub real: Time,
}

impl Moment {
    /// What is seen where the kernel says `real`.
    fn seen(moment: Option<Moment>, real: Time) -> Time {
        moment.filter(|moment| moment.real == real).map_or(real, |moment| moment.shown)
    }
}

/// Of last access and last modification.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Times {
    /// Last access.
    pub atime: Option<Moment>,
    /// Last modification.
    pub mtime: Option<Moment>,
}

/// Bytes of a time.
const TIME: usize = 12;
/// Bytes of a moment: whether there is one, and both of its times.
const MOMENT: usize = 1 + 2 * TIME;

impl Times {
    /// Whether the kernel's own are right.
    pub fn is_empty(&self) -> bool {
        *self == Times::default()
    }

    /// Those that the kernel's own, now `atime` and `mtime`, have not outrun.
    pub fn holding(&self, atime: Time, mtime: Time) -> Times {
        let holding = |moment: Option<Moment>, real| moment.filter(|moment| moment.real == real);
        Times { atime: holding(self.atime, atime), mtime: holding(self.mtime, mtime) }
    }

    /// The access and modification times that are seen where the kernel says `atime` and `mtime`.
    pub fn seen(&self, atime: Time, mtime: Time) -> [Time; 2] {
        [Moment::seen(self.atime, atime), Moment::seen(self.mtime, mtime)]
    }

    /// What must be remembered for these to be seen where the kernel says `atime` and `mtime`.
    pub fn between([atime, mtime]: [Time; 2], [shown_atime, shown_mtime]: [Time; 2]) -> Times {
        let moment = |real, shown| (real != shown).then_some(Moment { shown, real });
        Times { atime: moment(atime, shown_atime), mtime: moment(mtime, shown_mtime) }
    }

    /// As bytes for a file, [`Times::from_bytes`] the other way; `None` where there is nothing to keep.
    pub fn bytes(&self) -> Option<Vec<u8>> {
        if self.is_empty() {
            return None;
        }
        let time = |time: Time| [&time.seconds.to_le_bytes()[..], &time.nanoseconds.to_le_bytes()].concat();
        let moment = |moment: Option<Moment>| match moment {
            Some(Moment { shown, real }) => [vec![1], time(shown), time(real)].concat(),
            None => vec![0; MOMENT],
        };
        Some([moment(self.atime), moment(self.mtime)].concat())
    }

    /// From bytes; of others than ours nothing.
    pub fn from_bytes(bytes: &[u8]) -> Times {
        let (atime, mtime) = bytes.split_at(MOMENT.min(bytes.len()));
        Times { atime: moment(atime), mtime: moment(mtime) }
    }
}

fn moment(bytes: &[u8]) -> Option<Moment> {
    let (&[1], times) = bytes.split_first_chunk()? else { return None };
    let (shown, real) = times.split_first_chunk::<TIME>()?;
    Some(Moment { shown: time(*shown), real: time(*real.first_chunk()?) })
}

fn time(bytes: [u8; TIME]) -> Time {
    let [a, b, c, d, e, f, g, h, nanoseconds @ ..] = bytes;
    let seconds = i64::from_le_bytes([a, b, c, d, e, f, g, h]);
    Time { seconds, nanoseconds: u32::from_le_bytes(nanoseconds) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const fn at(seconds: i64) -> Time {
        Time { seconds, nanoseconds: 5 }
    }

    #[test]
    fn a_time_holds_until_the_kernels_own_moves() {
        let times = Times::between([at(1), at(2)], [at(1), at(9)]);
        assert_eq!(times.atime, None);
        assert_eq!(times.seen(at(1), at(2)), [at(1), at(9)]);
        assert_eq!(times.seen(at(7), at(3)), [at(7), at(3)]);
        assert!(Times::between([at(1), at(2)], [at(1), at(2)]).is_empty());
    }

    proptest! {
        #[test]
        fn times_survive_their_bytes(
            a in any::<i64>(), b in any::<i64>(), nanoseconds in 0..1_000_000_000_u32, both in any::<bool>(),
        ) {
            let moment = Moment { shown: Time { seconds: a, nanoseconds }, real: at(b) };
            let times = Times { atime: both.then_some(moment), mtime: Some(moment) };
            prop_assert_eq!(times.bytes().map(|bytes| Times::from_bytes(&bytes)), Some(times));
        }

        #[test]
        fn hostile_bytes_are_read_without_harm(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            Times::from_bytes(&bytes);
        }
    }
}
