//! What was answered, for the summary: how often, how long, for which program.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;

use crate::journal::Way;

/// Answers by program, syscall and the way they came. Only kept where a summary was asked for.
#[derive(Debug, Default)]
pub struct Tally(Mutex<BTreeMap<Key, Answers>>);

/// A program, a syscall and how it was answered.
type Key = (Arc<str>, &'static str, Way);

/// Whose call was answered, which, and how.
pub type Told<'a> = (&'a Arc<str>, &'static str, Way);

/// What is known of one syscall's answers to one program.
#[derive(Debug, Clone, Copy, Default)]
struct Answers {
    calls: u64,
    errors: u64,
    /// From the wake-up of the worker to the resumption of the tracee, all stops of a call together.
    time: Duration,
}

impl Tally {
    /// Counts a call that stopped.
    pub fn add_call(&self, (program, syscall, way): Told<'_>, time: Duration, failed: bool) {
        let mut answers = self.0.lock();
        let answers = answers.entry((Arc::clone(program), syscall, way)).or_default();
        answers.calls += 1;
        answers.errors += u64::from(failed);
        answers.time += time;
    }

    /// Adds the second stop of a call counted before.
    pub fn add_exit(&self, (program, syscall, way): Told<'_>, time: Duration, failed: bool) {
        let mut answers = self.0.lock();
        let answers = answers.entry((Arc::clone(program), syscall, way)).or_default();
        answers.errors += u64::from(failed);
        answers.time += time;
    }

    /// A table like that of `strace -c`, the longest time first.
    pub fn table(&self) -> String {
        let answers = self.0.lock();
        let total: Duration = answers.values().map(|answers| answers.time).sum();
        let mut rows: Vec<_> = answers.iter().collect();
        rows.sort_by_key(|(_, answers)| std::cmp::Reverse(answers.time));
        let mut text = format!(
            "{:>6} {:>11} {:>10} {:>9} {:>9} {:12} {:16} {}\n",
            "% time", "seconds", "usecs/call", "calls", "errors", "answered by", "syscall", "program"
        );
        for ((program, syscall, way), Answers { calls, errors, time }) in rows {
            let seconds = time.as_secs_f64();
            let share = 100.0 * seconds / total.as_secs_f64().max(f64::MIN_POSITIVE);
            let each = 1e6 * seconds / (*calls).max(1) as f64;
            let way = way.name();
            let _ = writeln!(
                text,
                "{share:>6.2} {seconds:>11.6} {each:>10.1} {calls:>9} {errors:>9} {way:12} {syscall:16} {program}"
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_second_stop_of_a_call_adds_time_and_error_but_no_call() {
        let tally = Tally::default();
        let program = Arc::from("tar");
        tally.add_call((&program, "chown", Way::Notification), Duration::from_micros(30), true);
        tally.add_call((&program, "stat", Way::Stop), Duration::from_micros(6), false);
        tally.add_exit((&program, "stat", Way::Stop), Duration::from_micros(4), true);
        let table = tally.table();
        let rows: Vec<Vec<&str>> = table.lines().map(|line| line.split_whitespace().collect()).collect();
        assert_eq!(rows[1], ["75.00", "0.000030", "30.0", "1", "1", "notification", "chown", "tar"]);
        assert_eq!(rows[2], ["25.00", "0.000010", "10.0", "1", "1", "ptrace", "stat", "tar"]);
        assert_eq!(rows.len(), 3);
    }

    #[test]
    fn nothing_answered_is_an_empty_table() {
        assert_eq!(Tally::default().table().lines().count(), 1);
    }
}
