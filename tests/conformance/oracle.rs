//! Running sequences both ways, and telling where they differ.

use std::fmt::Write;
use std::fs;
use std::panic::catch_unwind;

pub use crate::common::Entry;
use crate::common::{How, Run, Scratch, needs_privilege, needs_root, probes};

/// Which root the kernel is asked about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Root {
    /// Real root, as the tests were started. Both sides begin by giving up what it lacks.
    Real,
    /// Root of a namespace that maps every id: all capabilities, and nothing to give up, so that
    /// under remainroot each sequence begins before its first change.
    Namespace,
}

impl Root {
    pub const ALL: [Root; 2] = [Root::Real, Root::Namespace];
}

/// Steps that one fresh process, and what it begets, performs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// How its calls enter the kernel.
    pub entry: Entry,
    /// Whether only a few capabilities are asked for after each step.
    pub brief: bool,
    /// The steps, one a line; the grammar is in `tests/probe`.
    pub steps: String,
}

/// The probe's two builds in a directory that an unprivileged user may write.
pub struct Bench {
    scratch: Scratch,
    /// A program that the probe is run by, and its arguments.
    wrapper: &'static [&'static str],
}

impl Bench {
    /// Compiles the probe, once for all.
    pub fn new() -> Bench {
        let bench = Bench { scratch: Scratch::new("conformance"), wrapper: &[] };
        probes(&bench.scratch);
        bench
    }

    /// The same, with the probe run by this program.
    pub fn within(wrapper: &'static [&'static str]) -> Bench {
        Bench { wrapper, ..Bench::new() }
    }

    /// Performs sequences of one program and gives the transcript of each.
    ///
    /// # Errors
    /// What the program left behind, when it did not end in time or ended badly.
    pub fn perform(&self, how: How, root: Root, sequences: &[Sequence]) -> Result<Vec<String>, String> {
        let Some(first) = sequences.first() else { return Ok(vec![]) };
        let mut script = prologue(root) + &set_id_files(sequences);
        for (number, sequence) in sequences.iter().enumerate() {
            assert_eq!(sequence.entry.program(), first.entry.program());
            let (entry, observe) = (sequence.entry.line(), if sequence.brief { "brief" } else { "full" });
            writeln!(script, "{entry}\nobserve {observe}\nsequence {number}\n{}", sequence.steps).unwrap();
        }
        let mut words = self.wrapper.to_vec();
        words.push(first.entry.program());
        if (how, root) == (How::Native, Root::Namespace) {
            words.push("--namespace");
        }
        let seconds = if sequences.len() == 1 { 20 } else { 120 };
        let run = Run::new(how, words).directory(self.scratch.path()).input(script).seconds(seconds);
        let output = catch_unwind(|| run.output()).map_err(|panic| {
            panic.downcast::<String>().map_or_else(|_| "panicked".to_owned(), |text| *text)
        })?;
        let transcripts: Vec<String> = output.stdout.split("sequence ").skip(1).map(str::to_owned).collect();
        if output.status.success() && output.stderr.is_empty() && transcripts.len() == sequences.len() {
            return Ok(transcripts);
        }
        Err(format!("{}\n{:?}\nstderr: {}", output.stdout, output.status, output.stderr))
    }

    /// The first sequence that differs natively and under remainroot, run as `how`, and in what.
    pub fn difference(&self, how: How, root: Root, sequences: &[Sequence]) -> Option<(usize, String)> {
        let native = self.perform(How::Native, root, sequences).expect("the kernel does not fail");
        let (at, what) = match self.perform(how, root, sequences) {
            Ok(ours) => {
                let at = (0..native.len()).find(|&at| native[at] != ours[at] || !is_sound(&native[at]))?;
                (at, explain(&native[at], &ours[at]))
            }
            Err(what) => {
                let at = what.matches("\nsequence ").count().saturating_sub(1).min(sequences.len() - 1);
                let tail = what.rfind("\nsequence ").unwrap_or_default();
                (at, format!("not to its end:\n{}", &what[tail..]))
            }
        };
        Some((at, format!("{root:?} {how:?} {:?}\n{what}", sequences[at].entry)))
    }
}

/// Whether the probe understood every step and every task answered.
fn is_sound(transcript: &str) -> bool {
    !transcript.contains(" bad ") && !transcript.contains("does not answer")
}

/// Where two transcripts part: the steps before, and the lines on both sides.
fn explain(native: &str, ours: &str) -> String {
    let mut text = String::new();
    for (theirs, mine) in native.lines().zip(ours.lines()) {
        if theirs != mine {
            write!(text, "native: {theirs}\nours:   {mine}\n").unwrap();
            return text;
        }
        if !theirs.starts_with(' ') || theirs.contains(" bad ") {
            text.push_str(theirs);
            text.push('\n');
        }
    }
    write!(text, "one transcript is longer, or a step makes no sense:\n{native}\n{ours}").unwrap();
    text
}

/// What makes both sides begin alike: no groups, and no capability that this root lacks.
fn prologue(root: Root) -> String {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let field = |name: &str| status.lines().find_map(|line| line.strip_prefix(name)).unwrap_or("").trim();
    let mut text = String::new();
    if root == Root::Real || !field("Groups:").is_empty() {
        text.push_str("main setgroups 0 null\n");
    }
    if root == Root::Namespace {
        return text;
    }
    let permitted = u64::from_str_radix(field("CapPrm:"), 16).unwrap();
    let bounding = u64::from_str_radix(field("CapBnd:"), 16).unwrap();
    for cap in (0..=40).filter(|cap| bounding >> cap & 1 == 0) {
        writeln!(text, "main prctl 24 {cap}").unwrap();
    }
    writeln!(text, "main capset hdr(V3,0) cap3({permitted:#x},{permitted:#x},0)").unwrap();
    text
}

/// Copies of the probe that a step can execute: owner, group and mode.
const FILES: [(&str, &str, &str); 5] = [
    ("root", "0 0", "0x9ed"),
    ("user", "100 0", "0x9ed"),
    ("group", "0 2", "0x5ed"),
    ("both", "1 65534", "0xded"),
    ("large", "4294967294 65536", "0xded"),
];

/// Makes those of them that the sequences name: where there are none, no file has an emulated owner.
fn set_id_files(sequences: &[Sequence]) -> String {
    let words: Vec<&str> = sequences.iter().flat_map(|sequence| sequence.steps.split_whitespace()).collect();
    let named = |name: &str| words.iter().any(|word| word.strip_prefix("./") == Some(name));
    FILES
        .iter()
        .filter(|(name, ..)| named(name))
        .map(|(name, owner, mode)| {
            format!(
                "main unlink path:./{name}\nmain copy ./probe64 ./{name}\n\
                 main chown path:./{name} {owner}\nmain chmod path:./{name} {mode}\n"
            )
        })
        .collect()
}

/// Holds for every way into the kernel and for both roots: the script's sequences, which empty lines
/// part, print the same natively and under remainroot. Where real root cannot be had, remainroot alone
/// must bring them to their ends.
pub fn assert_same(script: &str) {
    let bench = Bench::new();
    let comparable = needs_root();
    let steps = |part: &str| part.lines().map(|line| line.trim().to_owned() + "\n").collect::<String>();
    let parts: Vec<String> = script.trim().split("\n\n").map(|part| steps(part.trim())).collect();
    for entries in Entry::ALL.chunk_by(|one, next| one.program() == next.program()) {
        let sequence = |entry, steps: &String| Sequence { entry, brief: false, steps: steps.clone() };
        let sequences: Vec<Sequence> =
            entries.iter().flat_map(|&entry| parts.iter().map(move |steps| sequence(entry, steps))).collect();
        if !comparable {
            let transcripts = bench.perform(How::Remainroot, Root::Namespace, &sequences);
            assert!(transcripts.is_ok_and(|all| all.iter().all(|one| is_sound(one))));
            continue;
        }
        for (how, root) in
            [(How::Remainroot, Root::Real), (How::Attached, Root::Namespace), (How::Alone, Root::Namespace)]
        {
            if let Some((at, what)) = bench.difference(how, root, &sequences) {
                panic!("{what}\nthe sequence was:\n{}", sequences[at].steps);
            }
        }
    }
}

#[test]
fn without_remainroot_a_namespace_with_one_id_is_told_from_real_root() {
    if !needs_root() || !needs_privilege("an id that the namespace lacks") {
        return;
    }
    let sequence = Sequence { entry: Entry::Syscall, brief: true, steps: "t0 setuid 5\n".to_owned() };
    let told = Bench::new().difference(How::Namespace, Root::Namespace, &[sequence]);
    assert!(told.is_some_and(|(_, what)| what.contains("ours:   t0 setuid 5 = -22 EINVAL")));
}

#[test]
fn a_step_that_makes_no_sense_is_no_agreement() {
    if !needs_root() {
        return;
    }
    for steps in ["t0 setuid five\n", "t0 frobnicate\n", "t3 look\n", "look\n"] {
        let sequence = Sequence { entry: Entry::Syscall, brief: true, steps: steps.to_owned() };
        assert!(Bench::new().difference(How::Native, Root::Real, &[sequence]).is_some(), "{steps}");
    }
}
