//! Finds everything that a run started: its descendants, and whatever carries its mark in the
//! environment, since daemons leave their parents.

use std::fs;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill as signal};
use nix::unistd::Pid;

/// The variable that marks the processes of a run.
pub const MARK: &str = "REMAINROOT_TEST_RUN";

/// The living processes of the run `mark` whose first process is `root`, unless that was reaped.
pub fn marked(mark: &str, root: Option<u32>) -> Vec<u32> {
    let wanted = format!("{MARK}={mark}");
    let mut found = vec![];
    let mut parents = vec![];
    for entry in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else {
            continue;
        };
        let Some((state, parent)) = state_and_parent(pid) else { continue };
        parents.push((pid, parent));
        let environment = fs::read(entry.path().join("environ")).unwrap_or_default();
        let carries = environment.split(|&byte| byte == 0).any(|variable| variable == wanted.as_bytes());
        if !matches!(state, 'Z' | 'X') && carries {
            found.push(pid);
        }
    }
    let mut family: Vec<u32> = root.into_iter().collect();
    let mut next = 0;
    while let Some(&parent) = family.get(next) {
        family.extend(parents.iter().filter(|entry| entry.1 == parent).map(|entry| entry.0));
        next += 1;
    }
    family.retain(|&pid| matches!(state_and_parent(pid), Some((state, _)) if !matches!(state, 'Z' | 'X')));
    found.extend(family);
    found.sort_unstable();
    found.dedup();
    found
}

/// The state letter and the parent of a process (proc_pid_stat(5)); `None` when it is gone.
fn state_and_parent(pid: u32) -> Option<(char, u32)> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    Some((fields.next()?.chars().next()?, fields.next()?.parse().ok()?))
}

/// Kills them until none is left.
pub fn kill(mark: &str, root: Option<u32>) {
    let until = Instant::now() + Duration::from_secs(60);
    loop {
        let processes: Vec<u32> =
            marked(mark, root).into_iter().filter(|&pid| pid != std::process::id()).collect();
        if processes.is_empty() || Instant::now() > until {
            break;
        }
        for pid in processes {
            let _ = signal(Pid::from_raw(pid as i32), Signal::SIGKILL); // it may be gone already
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What the processes are doing, for the message of a failed test.
pub fn describe(processes: &[u32]) -> String {
    let threads = |&pid: &u32| {
        let tasks = fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten();
        tasks.filter_map(|task| task.file_name().to_str()?.parse().ok()).collect::<Vec<u32>>()
    };
    let line = |pid: u32| {
        let read = |name: &str| fs::read_to_string(format!("/proc/{pid}/{name}")).unwrap_or_default();
        let field = |key: &str| {
            let status = read("status");
            status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default().trim().to_owned()
        };
        let (state, tracer) = (field("State:"), field("TracerPid:"));
        let (call, place) = (read("syscall"), read("wchan"));
        format!(
            "pid {pid} {:?} {state}, tracer {tracer}, in {place:?}, syscall {}",
            read("comm").trim(),
            call.trim()
        )
    };
    processes.iter().flat_map(threads).map(line).collect::<Vec<_>>().join("\n")
}
