//! How many stops of each kind, for the summary and the benchmarks.

use std::sync::atomic::{AtomicU64, Ordering};

macro_rules! counts {
    ($($(#[$doc:meta])* $name:ident = $text:literal,)*) => {
        /// What is counted.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Count {
            $($(#[$doc])* $name,)*
        }

        impl Count {
            /// Every count, in the order of the summary.
            pub const ALL: &[Count] = &[$(Count::$name,)*];

            /// Its name in the summary.
            pub const fn name(self) -> &'static str {
                match self {
                    $(Count::$name => $text,)*
                }
            }
        }
    };
}

counts! {
    /// Stops the filter asked for.
    Seccomp = "seccomp stops",
    /// Entry and exit stops of PTRACE_SYSCALL.
    Syscall = "syscall stops",
    /// Births reported by a parent.
    Birth = "birth stops",
    /// First stops of tasks.
    First = "first stops",
    /// Execs.
    Exec = "exec stops",
    /// Signals on their way.
    Signal = "signal stops",
    /// Group-stops and traps.
    Other = "other stops",
    /// Ends of the first process, where that is watched.
    Exit = "exit stops",
    /// Calls that a tracee was made to execute.
    Injected = "injected calls",
    /// Calls that a listener answered.
    Notified = "notifications",
    /// Calls that a listener could not answer.
    Fetched = "notifications that took a stop",
    /// Call sites that were rewritten, so that the process answers itself.
    Site = "call sites answered inside",
    /// Processes given to another worker.
    HandedOver = "hand-overs",
    /// Processes left with their parent's worker.
    Foster = "foster children",
    /// Worker threads made.
    Worker = "workers",
}

/// One counter for each [`Count`].
#[derive(Debug, Default)]
pub struct Counters([AtomicU64; Count::ALL.len()]);

impl Counters {
    /// Adds one.
    pub fn add(&self, count: Count) {
        self.add_some(count, 1);
    }

    /// Adds so many.
    pub fn add_some(&self, count: Count, many: u64) {
        if let Some(counter) = self.0.get(count as usize) {
            counter.fetch_add(many, Ordering::Relaxed);
        }
    }

    /// The value.
    pub fn get(&self, count: Count) -> u64 {
        self.0.get(count as usize).map_or(0, |counter| counter.load(Ordering::Relaxed))
    }
}
