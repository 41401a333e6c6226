//! The words of an explanation.

use std::collections::BTreeMap;

use super::super::guest;
use super::super::words::shown;
use super::files::Known;
use super::names::Names;
use super::{Cause, Change, Example, Explanation, Gain, Refusal, rules};
use crate::abi::Errno;

/// So many files of one directory and owner are named.
const NAMED: usize = 4;
/// So many lines a section has at most.
const LINES: usize = 60;

impl Explanation {
    /// All of it; `missed` events were not seen.
    pub fn text(&self, missed: u64) -> String {
        let names = Names::default();
        let (files, gone) = self.files.settled();
        let (files, root) = seen_from(files);
        let sections = [
            section("Who became whom", self.became(&names)),
            section("Programs that gave more than their caller had", self.gained(&names)),
            section("Owners that files were given", owners(&files, &names, gone)),
            section("Devices that were made", each(&files, device)),
            section(
                "Capabilities that files were given",
                each(&files, |path, known| {
                    known.capabilities.as_ref().map(|caps| format!("{}  {caps}", shown(path)))
                }),
            ),
            section("Other attributes that only root may set", each(&files, attributes)),
            section(
                "Modes that were set in the kernel's place",
                each(&files, |path, known| known.mode.map(|mode| format!("{}  {mode:04o}", shown(path)))),
            ),
            section(
                "Refused, as to anybody on a real system",
                self.refused(|cause| cause == Cause::Task, &names),
            ),
            section(
                "Refused, since this container may not",
                self.refused(|cause| cause != Cause::Task, &names),
            ),
            section("What the kernel alone could not have done", self.emulated()),
            section("Left out", self.left_out(missed)),
        ];
        let told: String = sections.concat();
        let told = if told.is_empty() {
            "\n  Nothing had to be answered: the kernel did it all.\n".to_owned()
        } else {
            told
        };
        let below = root.map(|root| {
            format!("\nPaths are those below {}, the root directory of whom they are about.\n", shown(&root))
        });
        format!("remainroot: {}\n{}{told}", self.command, below.unwrap_or_default())
    }

    fn became(&self, names: &Names) -> Vec<String> {
        let show = |change: &Change| {
            let who = |who: &_| names.who(change.root.as_deref(), who);
            let (from, to) = (who(&change.from), who(&change.to));
            let mut between: Vec<String> = change.between.iter().map(|it| who(it)).collect();
            between.retain(|it| *it != from && *it != to);
            between.dedup();
            let way = match between.as_slice() {
                [] if from == to => "other groups or capabilities".to_owned(),
                [.., last] if from == to => {
                    let other = change.between.iter().rfind(|it| it.euid != change.from.euid);
                    format!("{}, and back", other.map_or_else(|| last.clone(), |other| who(other)))
                }
                _ => to.clone(),
            };
            let calls: Vec<&str> = change.calls.iter().map(|name| rules::plain(name)).collect();
            format!("{from} → {way}\n      by {}", calls.join(", "))
        };
        let alike = self.changes(show);
        let line = |((program, way), tids): (&(String, String), &std::collections::BTreeSet<i32>)| {
            let ids: Vec<String> = tids.iter().take(NAMED).map(i32::to_string).collect();
            let more = if tids.len() > NAMED { ", …" } else { "" };
            format!(
                "{program} ({}: {}{more}): {way}",
                count(tids.len() as u64, "process", "processes"),
                ids.join(", ")
            )
        };
        alike.iter().map(line).collect()
    }

    fn gained(&self, names: &Names) -> Vec<String> {
        let line = |((program, path), gain): (&(String, String), &Gain)| {
            let who = |who: &_| names.who(gain.root.as_deref(), who);
            let given = gain.to.permitted.minus(gain.from.permitted);
            let what = match gain.from.euid == gain.to.euid && gain.from.egid == gain.to.egid {
                true if given.is_empty() => "fewer capabilities".to_owned(),
                true => guest::names(given.0).join(", "),
                false => format!("{} → {}", who(&gain.from), who(&gain.to)),
            };
            format!("{program} ({path}, {}): {what}", times(gain.times))
        };
        self.gained.iter().map(line).collect()
    }

    fn refused(&self, wanted: impl Fn(Cause) -> bool, names: &Names) -> Vec<String> {
        let line = |(refusal, example): (&Refusal, &Example)| {
            let errno = Errno(refusal.errno);
            let Refusal { name, program, .. } = refusal;
            let who = names.who(example.root.as_deref(), &example.who);
            let mut text = format!("{name}({}) by {program} as {who}: {errno}", example.args);
            if example.times > 1 {
                text += &format!(", {}", times(example.times));
            }
            if let Some(rule) = rules::of(name, errno).filter(|_| refusal.cause != Cause::Stranger) {
                text += &wrapped(&format!("since {} [{}; {}]", rule.sentence, rule.page, rule.function));
            }
            let cure = match refusal.cause {
                Cause::Task => None,
                Cause::Container => rules::cure(name),
                Cause::Stranger => Some(rules::STRANGER),
            };
            text + &cure.map(wrapped).unwrap_or_default()
        };
        self.refused.iter().filter(|(refusal, _)| wanted(refusal.cause)).map(line).collect()
    }

    fn emulated(&self) -> Vec<String> {
        let (changing, looking): (Vec<_>, Vec<_>) =
            self.emulated.iter().partition(|(_, [changes, _])| *changes > 0);
        let mut rows: Vec<_> =
            changing.into_iter().map(|(program, [changes, looks])| (*changes, *looks, program)).collect();
        rows.sort_by(|a, b| b.cmp(a));
        let looked = |looks| count(looks, "look", "looks");
        let line = |(changes, looks, program): (u64, u64, &String)| {
            let changes = count(changes, "change", "changes");
            if looks == 0 {
                format!("{program}: {changes}")
            } else {
                format!("{program}: {changes}, and {} answered", looked(looks))
            }
        };
        let mut lines: Vec<String> = rows.into_iter().map(line).collect();
        let looks: u64 = looking.iter().map(|(_, [_, looks])| looks).sum();
        if looks > 0 {
            let others = count(looking.len() as u64, "program that only looked", "programs that only looked");
            lines.push(format!("{others}: {} answered", looked(looks)));
        }
        for ((name, program), times) in &self.absent {
            lines.push(format!(
                "{name} by {program}: {} told that there is none, as its calls pass no filter",
                self::times(*times)
            ));
        }
        if self.by_kernel > 0 && !lines.is_empty() {
            lines.push(format!(
                "({} more the kernel did by itself.)",
                count(self.by_kernel, "change", "changes")
            ));
        }
        lines
    }

    fn left_out(&self, missed: u64) -> Vec<String> {
        let mut lines = Vec::new();
        if missed > 0 {
            lines.push(format!("{} came faster than they could be told.", count(missed, "event", "events")));
        }
        if self.forgotten > 0 {
            lines.push(format!("{} found no room here.", count(self.forgotten, "event", "events")));
        }
        lines
    }
}

fn section(title: &str, mut lines: Vec<String>) -> String {
    if lines.is_empty() {
        return String::new();
    }
    if lines.len() > LINES {
        let more = lines.len() - LINES;
        lines.truncate(LINES);
        lines.push(format!("and {more} more (--log=FILE has them all)"));
    }
    format!("\n{title}\n{}", lines.iter().map(|line| format!("  {line}\n")).collect::<String>())
}

/// A sentence of its own, indented below what it is about, in lines that fit on a screen.
fn wrapped(sentence: &str) -> String {
    const WIDTH: usize = 92;
    const INDENT: &str = "\n        ";
    let (mut text, mut column) = (String::from(INDENT), 0);
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length > WIDTH {
            text += INDENT;
            column = 0;
        } else if column > 0 {
            text.push(' ');
            column += 1;
        }
        text += word;
        column += length;
    }
    text
}

fn count(number: u64, one: &str, many: &str) -> String {
    format!("{number} {}", if number == 1 { one } else { many })
}

fn times(number: u64) -> String {
    match number {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        number => format!("{number} times"),
    }
}

fn each(files: &BTreeMap<Vec<u8>, Known>, line: impl Fn(&[u8], &Known) -> Option<String>) -> Vec<String> {
    files.iter().filter_map(|(path, known)| line(path, known)).collect()
}

fn device(path: &[u8], known: &Known) -> Option<String> {
    let (mode, device) = known.device?;
    let kind = if mode & 0o170_000 == 0o020_000 { "character" } else { "block" };
    Some(format!(
        "{}  {kind} device {}:{}, mode {:04o}",
        shown(path),
        device.major,
        device.minor,
        mode & 0o7777
    ))
}

fn attributes(path: &[u8], known: &Known) -> Option<String> {
    let names: Vec<String> = known.attributes.iter().map(|name| shown(name)).collect();
    (!names.is_empty()).then(|| format!("{}  {}", shown(path), names.join(", ")))
}

/// Files by the names that they have below the one root directory which all have who changed them, where that is not the
/// tracer's; and that.
fn seen_from(files: BTreeMap<Vec<u8>, Known>) -> (BTreeMap<Vec<u8>, Known>, Option<Vec<u8>>) {
    let root = files.values().next().and_then(|known| known.root.clone());
    let below = |path: &[u8], root: &[u8]| {
        path.strip_prefix(root).filter(|path| path.starts_with(b"/")).map(<[u8]>::to_vec)
    };
    let Some(root) = root else { return (files, None) };
    let is_all =
        files.iter().all(|(path, known)| known.root.as_ref() == Some(&root) && below(path, &root).is_some());
    if !is_all {
        return (files, None);
    }
    let inner = files.into_iter().filter_map(|(path, known)| Some((below(&path, &root)?, known))).collect();
    (inner, Some(root))
}

/// Files by directory and owner: a few by name, many by number.
fn owners(files: &BTreeMap<Vec<u8>, Known>, names: &Names, gone: usize) -> Vec<String> {
    let mut groups: BTreeMap<(Vec<u8>, String), Vec<&[u8]>> = BTreeMap::new();
    for (path, known) in files.iter().filter(|(_, known)| known.uid.is_some() || known.gid.is_some()) {
        let owner = names.owner(known.root.as_deref(), known.uid, known.gid);
        let cut = path.iter().rposition(|&byte| byte == b'/').unwrap_or(0);
        let (directory, name) = path.split_at_checked(cut).unwrap_or((&[], path));
        groups.entry((directory.to_vec(), owner)).or_default().push(name.strip_prefix(b"/").unwrap_or(name));
    }
    let line = |((directory, owner), files): (&(Vec<u8>, String), &Vec<&[u8]>)| {
        let directory = shown(directory);
        let named: Vec<String> = files.iter().take(NAMED).map(|name| shown(name)).collect();
        match files.as_slice() {
            [_] => format!("{owner}  {directory}/{}", named.concat()),
            files if files.len() <= NAMED => format!("{owner}  {directory}/ {}", named.join(" ")),
            files => format!("{owner}  {directory}/ {} … ({} files)", named.join(" "), files.len()),
        }
    };
    let mut lines: Vec<String> = groups.iter().map(line).collect();
    if gone > 0 {
        let gone = count(gone as u64, "file that has", "files that have");
        lines.push(format!("({gone} gone again, or moved elsewhere.)"));
    }
    lines
}
