//! remainroot runs an unmodified program inside a rootless container (a user namespace that maps one
//! uid and one gid) so that it sees what it would see as real root.
//!
//! It is a faithful illusion for programs that need root's view, not a security boundary: that is the
//! container around it.
//!
//! # The layers
//!
//! Top to bottom; a module uses only what stands below it (`tests/tidy.rs` holds the table of allowed
//! arrows). Each module opens with what it owns and what it must never know.
//!
//! ```text
//! main, cli                      parse, launch; nothing else knows clap
//!   launch, supervisor           fork the tracer away, filter, exec; adopt parked children
//!     worker/                    one thread group: wait → verdict → resume
//!       ptrace/  registry        typed stops, parking, memory; tid → Arc<Credentials>
//!         syscalls/  seccomp/    what each syscall means; table → filter program
//!           ownership/           who owns which inode, and where that is kept
//!             cred/  abi/        pure: no I/O, no libc, no locks
//!   sys/                         the only unsafe code: one kernel call per function
//! ```
//!
//! # One setresuid, from the stop to the reply
//!
//! A package manager that started as root drops to user 42: `setresuid(42, 42, 42)`.
//!
//! 1. The [filter](seccomp) that [`launch`] loaded before the exec answers `SECCOMP_RET_USER_NOTIF` for
//!    syscall 117: the [table](syscalls::table) says that `setresuid` is of the base stage. A number
//!    that is of none does not leave the kernel: its answer is cached there. A listener's thread is told, sees that this takes
//!    more than an answer, and has a worker attach to the whole process, which nobody has traced so far; then it sends the
//!    call back to be made again, at which the task stops. In a run where files have owners already, every process is
//!    traced from its start, and the filter's answer is `SECCOMP_RET_TRACE`, a stop at once.
//! 2. The thread group's [`worker`] wakes from its wait: same thread that seized the process, on the
//!    same CPU. The wait status is decoded in one place into a [`ptrace::Stop`], here
//!    `Stop::Seccomp`, and becomes a [`ptrace::Intercepted`]: a value that must be consumed by what
//!    resumes the task.
//! 3. ABI, number and arguments come from `PTRACE_GET_SYSCALL_INFO` as an [`abi::Call`]: the ABI is what
//!    the task used this time, so that `int 0x80` from a 64-bit program is read rightly. The number finds
//!    the [`syscalls::Operation`], and its handler is called with a [`syscalls::Guest`].
//! 4. The handler parses the three ids once (−1 is `None`; the 16-bit row does it its own way) and asks
//!    [`cred::Credentials`] for what the kernel would do: a pure rule that takes the old value and returns
//!    a new one or an [`abi::Errno`]. It needs `CAP_SETUID` in the emulated effective set, and dropping
//!    uid 0 takes the capabilities along.
//! 5. `Guest::commit` puts the new value into the worker's record of the task and publishes it in the
//!    [`registry`]. From now on the kernel's `getuid` would be wrong for this task. For its next calls it stops at
//!    each entry; if it is still somebody else after 32 of them its process gets the identity
//!    [stage](syscalls::Stage): the stopped task is made to execute `mmap` (for scratch memory) and
//!    `seccomp(2)` with `TSYNC`, each by exchanging its registers and going back to the same entry, its
//!    signals masked meanwhile. Another process is not touched.
//! 6. The verdict is `Reply(Ok(0))`: the syscall number becomes −1, so that the kernel runs nothing, the
//!    result register 0, and the task goes on. No exit stop.
//!
//! A `stat` after a `chown` goes another way: the first fact about an inode ([`ownership`]) raises the
//! ownership stage in every process before that chown returns. The worker then has the kernel look at what
//! the path names from the task's own root and directory (`worker/sight.rs`) and replies with the whole
//! structure. Where that might be another inode, in `/proc` or past another root's edge, the kernel runs the
//! stat and the exit stop writes to the guest's buffer what differs (`Verdict::Amend`). A process that goes on
//! looking is made to load a filter that tells a listener instead (seccomp_unotify(2)): the same handler answers,
//! in another thread, and nothing stops (`worker/listener.rs`). Where it looks by a call site as C libraries have them it
//! is not even told: the site is led to code that makes the call in the task itself, past the filter, and corrects what
//! the kernel says from a table that the tracer shares with it (`worker/inside.rs`, `ownership/slate.rs`).
//!
//! An open of what mknod made goes a third: once there is a device anywhere, or may be one of an earlier run,
//! opens stop that might meet one (`syscalls/nodes.rs`); the worker looks at what the path names and lets the
//! kernel go on, but where it is a placeholder the task itself is made to open the container's own device,
//! below a descriptor of `/dev` that it was handed (`syscalls/device.rs`).
//!
//! # Births, and why a worker has one thread group
//!
//! ptrace ownership is bound to a thread. A process that is attached to on demand gets a worker then, and what it forks is
//! left at large again as long as it has dropped nothing and no file an owner. Else a new process is born attached to its
//! parent's worker and stays
//! with it for its first milliseconds, in which most end. One that lives on is [parked](ptrace::park) at the
//! exit of a syscall in a `pause` of its own, detached and handed to another worker over a channel; its
//! parent does not wait for that, and nobody outside can see it (`worker/handover.rs`).
//!
//! # What was measured
//!
//! On two cores of a virtual machine with Linux 6.18; `scripts/bench` prints the figures of the machine it runs on.
//!
//! *Stops.* A stop costs 4 to 5 µs when both sides run on one CPU, and 25 to 55 µs when each wake-up crosses to the other:
//! the number of stops and where both sides run decide everything. So a worker has a home CPU and resumes its tracee
//! there (`ptrace/placement.rs`), follows a tracee that ran for more than a millisecond, and exec is reported only for
//! processes that need it.
//!
//! *Births.* Handing every child over at birth costs a storm of short processes 1.18 times the bare namespace. Leaving
//! each with its parent's worker costs 1.10, but of two storms at once the first then takes 1.15 times as long and the
//! second 1.60, since one thread serves both. Handing over what has lived for 5 ms costs 1.10, and of two storms
//! each has its worker. Three stops a process are left, birth, first stop and the parent's SIGCHLD, and the tracer's
//! reaping of the child before its parent can; a tracer that does nothing else (strace) costs 1.34.
//!
//! *At large.* Below that lies only not to trace what needs nobody. As long as there is no fact, and for who has dropped
//! nothing, the first filter tells a listener instead of stopping (`worker/demand.rs`): a storm costs 1.00 to 1.02, what the
//! filter costs alone. What it costs elsewhere: to attach when a process first asks for more than an answer 0.1 to 0.4 ms; to
//! find everybody when the first fact is told, 4 ms among 70 processes and 30 among 700, two looks at each in `/proc`; and
//! afterwards, since a chain of filters has one listener, looks from sites that are not answered inside stop again.
//! Such a chain is told of all calls of the base stage, so what they do to files is done from outside, in the listener's
//! thread, where root does it: a chown to another takes 42 µs that way, 140 where the task was fetched to a stop for it. That is
//! eighteen calls of the tracer's, of which an inode that is looked at once more in the same call makes one.
//! Who asks often is attached to, since of one that nobody follows it must be found out each time where its paths start: 15 µs
//! a question instead of 50. To be told by inotify(7) what another run leaves costs each open and close on that filesystem 7 %.
//!
//! Who asks more often still answers itself, as below where there are facts: as long as the slate says that nothing is known of any
//! inode, a change of one of ours is the kernel's own, one stat before it. `cp -a`, `tar x` and `install` of 2000 files in memory took 86,
//! 90 and 93 ms without that and take 42, 28 and 46, where real root takes 28, 18 and 30. What such a process forks is at large, and has
//! what answers inside: who attaches to it looks for that in its mappings.
//!
//! *Looks.* A stat that is corrected at its exit stop took 19.5 µs, and 40 where the inode's home had to be read by
//! injected calls; answered at the first stop from outside 15.7, of which the stop is 9. By user notification with the
//! synchronous wake-up it takes 11.4, of which 4 are the round trip (34.8 without that flag), 4 reading and writing
//! the guest's memory, and 2 the path's resolution; asking for an id takes 5.1. In a package
//! installation, where every process is new and caches are cold, a look takes 20 to 25 µs instead of 25 to 40. Two threads
//! that wait in turn cost no more than one. What each step saved there, of 840,000 stops of the main job: the listener
//! 355,000, and a trial before the identity stage (apt becomes another user for ten calls) 70,000.
//!
//! *Inside.* A stat that the process answers itself takes 1.0 µs where the kernel's own takes 0.87: 1.15 times, the same
//! for what was given away and what was not. The first look at an inode that nobody knows adds a list of its attributes
//! and a second stat, which tells that it did not change meanwhile. A signal cannot lead into such code, since a traced
//! task stops at every signal: calls are rewritten where they stand, the five bytes of `mov eax, NUMBER` before a
//! `syscall`. To move in costs half a dozen injected calls, so a process does after 12 looks, and those that it forks
//! have it. What an inode bears is read and decoded there too: `find` over 20,000 files of 50 owners in a new run took 18
//! times as long as natively as long as that was the listener's, 40 µs a first look, and takes 3.2 times now, of which a
//! second stat, a list and a value are three calls where the kernel makes one; over the 137,000 names of `/usr`, most of
//! which bear nothing, 1.87 (2.2 where there may be devices, for whose sake each regular file that is listed is looked at).
//! To spare the second stat, what is read would have to say itself which inode it is of. The code must not be told by its
//! address: the filter would look at the instruction pointer of every call; an argument that the call does not have is
//! looked at only where the call may stop, and getxattrat(2), which has six, is marked in the half of its flags that no
//! kernel looks at.
//!
//! *Giving away.* A chown to another took 33 µs from a process that answers its looks itself, the chmod and the utimensat that
//! archivers make after it 28 and 30 each, since an owner stood there already: a stop or a notification, and of two dozen calls of
//! the tracer's most to find out again what the task knows. It writes the owner itself now (`sys/inside.s`, `give_away`), as
//! long as nothing is kept elsewhere than on inodes: 6 to 9 µs, 3 by a descriptor, and the others 3; `chown -R` of 20,000 files
//! took 15 times as long as natively and takes 4.3. Half of that is to hold on to the inode by a descriptor that no watch is told of
//! (`O_PATH`), by which attributes are only had through `/proc`: by path they might be another's. The tracer learns of it
//! as of another run's, by the change time, and who reads such an inode often tells it in the end: one reading in 128 does, since
//! from an entry a look takes 1 µs instead of 3. Short programs make such calls once, from sites of their C library that were not
//! rewritten before, each of which was a stop, or a notification and a stop, and the work of rewriting: 60 to 200 µs. A program
//! that was seen to make one has its sites rewritten when the library is mapped: `touch` took 1.40 times as long as natively and takes
//! 1.15, `cp -p` 1.32 and 1.16, `chmod` 1.25 and 1.13. To rewrite all of them for everybody would copy a page for each.
//!
//! *Arriving.* Where there are facts, `true` looks twice before it begins, `sed` 28 times, an average exec of an `apt-get
//! install` 13 times, 25 to 40 µs each, cold as it is then. So a program that was seen to look twice maps the code at its exec
//! stop, which takes 45 µs there and ten calls of its own. What was dear about it is whom it wakes. To have a listener put the
//! file into the task (`SECCOMP_ADDFD_FLAG_SEND`) wakes that on another CPU, whatever is asked of it: 30 µs for each of two
//! interrupts, cold caches, and when it ends a shootdown of the other CPU's TLB, 30 more: 200 µs in all, more than everything
//! else that a fact costs it. So the task takes the file itself, by pidfd_getfd(2). The first look from a library was one more
//! stop, 65 to 80 µs, in nearly every program: the loader's mmap(2) is led to code that rewrites what is known of a library, in
//! 12. `sed` took 1.30 times as long as natively before, 1.18 with the first of these and 1.14 with both, where 1.07 is what
//! birth, exec, SIGCHLD and the end take with nothing said about looks. The looks that stop or are told in an `apt-get install`
//! went from 56,000 to 10,000 when programs began to arrive, and are less than 3,000 now. What a program that arrives loses
//! after that is its own time: `basename` had 0.69 ms of CPU from its exec to its end natively, and 0.80. Of its page faults,
//! 82 instead of 70, most were looks at entries spread over two megabytes, each of which also mapped the fifteen pages around,
//! for its exit to unmap; of most inodes there is nothing to say, and a word for that, on pages that one fault maps with the
//! code, took six of the twelve away, and of `sed`'s fourteen twelve. To map a library's text writable at once, rather than
//! twice to change it, took 7 µs away, and the code's first page as a mapping of its own what fork copied of the others. Only
//! since then it pays for one that looks but twice, too.
//!
//! *At large with facts.* With nothing said about looks the same installation took 14.4 s beside 15.1 as real root: all that
//! was missing was what facts cost. So to leave everybody at large then, too, was built and measured, before the above: a filter
//! that is told of looks and of exec, loaders' sites rewritten by the listener at their first look, without a stop, and
//! processes let go again once they were served. Of 6,660 births and first stops 320 were left, and the time stayed where it
//! was. To be told of an exec takes 45 µs, and as the listener's thread is still on the CPU when the task goes on, exec takes
//! that for busy and moves the program to the other; a first look takes 65 to 85 µs, of which the calls that read `/proc` and
//! write text are most. It is stops no more than it is these: each time that anybody has to see to a new process costs 50 to
//! 100 µs here. So it was dropped. One thread that waits for a listener instead of three, which all wake for each call, gained
//! nothing either (15 µs a look in both cases).
//!
//! *Behind whom a worker waits.* A worker that resumes its tracee on its own CPU is preempted by it there: it has run for
//! longer. Then that one's affinity stays narrowed, and what else has stopped waits for its slice to end, with the other CPU
//! idle. Slices of 100 µs for the tracer's threads (sched_setattr(2), Linux 6.12) have it run to its wait: 3 % of a pipeline.
//! Nobody is placed on his worker's CPU where two children of it run, since a pipeline's two processes run at once natively
//! (1.4 times native, 1.8 with all on one CPU).
//!
//! *Until it execs.* Where there are facts, what looked like the price of stops was in good part where they took place: the
//! kernel moves a task that execs to an idle CPU, and counts who has just fallen asleep as still there (a delayed dequeue), so
//! the exec stop of each child of a shell crossed, and its caches were cold twice. And to reap it woke its maker on the
//! other CPU, for a SIGCHLD stop that crossed as well. So a new process stays narrowed to its next stop (`ptrace/narrowed.rs`), and
//! its maker is narrowed for the moment in which its worker reaps. Each alone gains nothing, since the other then makes up
//! for it; both together took `true` from 1.37 to 1.25 times native in one run, `sed` from 1.22 to 1.20, a shell's loop from
//! 1.45 to 1.38, `$(…)` from 1.38 to 1.31, and pipelines nothing.
//!
//! *Two at once.* The price of placing all that: of two shells at once each worker began on its maker's CPU and stayed, with all
//! that it made, so that one CPU did everything and two loops of `true` took 2.26 times as long as natively. A worker that finds
//! another as busy on its CPU leaves it: 1.57. Two runs do not know of each other's.
//!
//! *Where a child is born.* The scheduler begins a child on the idle CPU, where its first stop then is, away from its worker. To
//! leave whoever makes one narrowed until it has (tried by leaving everybody narrowed) takes an exec storm of `true` from
//! 1.17 to 1.10 and `$(…)` from 1.24 to 1.14, but there is no time to do it: nothing says that a task is about to fork,
//! `/proc/PID/status` would show the narrowed set for as long as it computes, and what it computes would stay on that CPU. A
//! stop at each clone(2) would take half of that again, and code inside cannot tell the task's own set from one that a
//! worker is about to give back.
//!
//! *Where an installation's time goes.* An `apt-get install` of 128 packages took 1.22 times as long as for real root before, and
//! takes 1.08 now, as with fakeroot; the following is of when it took 1.11. On a filesystem in memory (15.5 s as real root, 17.2) the tracer takes 0.85 s of CPU for 40,000 stops, ends and
//! notifications, of which no kind stands out, and the traced 1.1 s more than natively: 0.3 in user mode, with caches that a
//! worker has used meanwhile, 0.35 in stops and births, 0.2 in dpkg's own looks, each of which asks for attributes. All
//! that is in series, as natively hardly anything is parallel there, and the other CPU is idle for as long. What is left to
//! take away are the five times that a worker runs for each short program: birth, first stop, exec, end and SIGCHLD.
//!
//! *Short of the goals.* An installation was to take 1.05 times as long as for real root, and less than with any other tool: it takes
//! 1.08, as with fakeroot. All that is answered in it takes 0.26 s of 23; what is left are 6,659 births with a first stop and an
//! end each, 4,184 execs and 6,373 SIGCHLDs: some 60 µs for each of them, of which 5 are the stop where nothing is cold. That they
//! become fewer was tried ("At large with facts"), that they become nearer as well ("Until it execs", "Where a child is born").
//! A stat and a getuid before anything was to take 1.02 times as long. The kernel looks at a bit for the number of each call of
//! who has a filter, and enters system calls by a slower way: 20 to 40 ns, in the same run 1.07 and 1.12 under a filter that lets all
//! but two calls pass (strace), 1.12 and 1.10 under this one. Less than that is only without a filter. `find` over 20,000 given
//! files takes 2.3 times as long, four calls for one, see "Inside".
//!
//! *Ids.* Who has dropped and asks goes by words in its own page, 7 ns where the kernel takes 128; by the listener it was
//! 5 µs. Before a drop nothing is known of who asks, and the mere presence of a filter costs getuid 40 ns, strace's as well.
#![cfg_attr(not(test), warn(clippy::all))]

pub mod abi;
pub mod cli;
pub mod cred;
pub mod launch;
pub mod ownership;
pub mod ptrace;
pub mod registry;
pub mod seccomp;
pub mod supervisor;
#[allow(unsafe_code)]
pub mod sys;
pub mod syscalls;
pub mod worker;
