//! Processes and threads that come and go, and the start of a side itself.

use crate::session::{Clock, Needs, Place, Session, Step, Unit, step};

const GROUP: &str = "processes";

/// `system` in perl is fork, exec and wait.
const STORM: &str = "perl -e 'system(\"/usr/bin/true\") && exit 1 for 1..400'";

/// A loop of `work.c`.
pub fn looped(title: &'static str, name: &str) -> Step {
    let command = format!("\"$material\"/work {name} 0.3");
    Step { clock: Clock::Own, ..step(title, 1, command) }
}

/// All of them.
pub fn sessions() -> Vec<Session> {
    let one = |name, step| Session::new(GROUP, name, vec![step]);
    let loops = |name, step| Session { material: Needs::Loops, ..Session::new(GROUP, name, vec![step]) };
    let pair = |name, step| Session::new("throughput", name, vec![step]);
    vec![
        one("exec", step("fork, exec and exit of `true`, by perl", 400, STORM)),
        loops("spawn", looped("posix_spawn and exit of `true`", "spawn")),
        loops("fork", looped("fork and exit", "fork")),
        loops("thread", looped("start and join a thread", "thread")),
        Session::new(GROUP, "shell", shell()),
        Session { place: Place::Plain, ..one("start", start()) },
        Session {
            place: Place::Outside,
            ..pair("two", two("two exec storms at once, each with its own start", "\"$@\""))
        },
        pair("trees", two("two exec storms at once, within one start", "")),
    ]
}

/// What a shell script does all day.
fn shell() -> Vec<Step> {
    let rounds = |count: u32, command: &str| {
        format!("i=0; while [ $i -lt {count} ]; do {command}; i=$((i + 1)); done")
    };
    vec![
        step("a command in a shell loop", 300, rounds(300, "/usr/bin/true")),
        step("a pipeline of three in a shell loop", 100, rounds(100, "echo a | /usr/bin/tr a b | cat")),
        step("`$(…)` with a command in a shell loop", 300, rounds(300, "x=$(/usr/bin/echo a)")),
        step("`$(…)` with a builtin in a shell loop", 500, rounds(500, "x=$(echo a)")),
    ]
}

/// Ten starts of the side by a plain user; the bare namespace's is unshare's.
fn start() -> Step {
    let loops = "[ \"$side\" != 'bare namespace' ] || set -- unshare -r --
        for i in 1 2 3 4 5 6 7 8 9 10; do \"$@\" /usr/bin/true || exit; done";
    step("start and end, with `true` as the command", 10, loops)
}

/// How much more two storms at once achieve than one alone: 2 where none waits for the other.
fn two(title: &'static str, start: &str) -> Step {
    let command = format!(
        "storm() {{ {start} {STORM}; }}
        now() {{ date +%s%N; }}
        from=$(now); storm \"$@\" || exit; one=$(($(now) - from))
        from=$(now); storm \"$@\" & first=$!; storm \"$@\" & wait $! && wait $first || exit; two=$(($(now) - from))
        echo \"$one $two\" | awk '{{ print 2 * $1 / $2 }}'"
    );
    Step { clock: Clock::Own, unit: Unit::Throughput, ..step(title, 1, command) }
}
