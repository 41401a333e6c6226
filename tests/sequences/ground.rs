//! Where sequences are performed, and how two performances are compared.

use std::fmt::Write;
use std::fs;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::panic::catch_unwind;
use std::path::{Path, PathBuf};

use crate::common::{Entry, How, Lack, Run, Scratch, kernel_is_at_least, probes, skip};
use crate::script::NAMES;

/// A kind of filesystem.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ground {
    /// That of the temporary directory.
    Disk,
    /// A tmpfs.
    Memory,
    /// An overlayfs mounted by the guest, with files in its lower layer.
    Layers,
}

impl Ground {
    /// Whether this machine has it; says so if not.
    pub fn is_there(self) -> bool {
        let there = self.base().exists();
        if !there {
            skip(Lack::Kernel, &format!("there is no {}", self.base().display()));
        }
        there
    }

    fn base(self) -> PathBuf {
        if self == Ground::Memory { PathBuf::from("/dev/shm") } else { std::env::temp_dir() }
    }

    /// The digit of the list that shows what can be compared there. On an overlayfs inode numbers come and
    /// go, and a tmpfs gives a directory the time of what was taken out of it, which may be that of the last
    /// tick of the clock.
    pub fn list(self) -> char {
        match self {
            Ground::Layers => '0',
            Ground::Disk if kernel_is_at_least(6, 13) => '2',
            Ground::Disk | Ground::Memory => '1',
        }
    }

    /// Whether there can be files of the host's: a layer below is nothing without copying them up.
    const fn has_hosts(self) -> bool {
        !matches!(self, Ground::Layers)
    }
}

/// Where remainroot keeps what the sequences do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Store {
    Memory,
    /// What lasts is looked at in another run.
    Auto,
}

impl Store {
    const fn option(self) -> &'static str {
        match self {
            Store::Memory => "--store=memory",
            Store::Auto => "--store=auto",
        }
    }
}

/// What one fresh process, and what it begets, performs in a directory of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sequence {
    /// How its calls enter the kernel.
    pub entry: Entry,
    /// Whether it begins before there is any fact. What is the host's is then not yet shown as root's, so
    /// there is nothing of the host's.
    pub fresh: bool,
    /// A script; its grammar is in `tests/probe`.
    pub steps: String,
}

/// A directory for each sequence, with a file that is the host's and, below an overlayfs, files of the
/// lower layer.
fn prepare(ground: Ground, store: Store, sequences: &[Sequence]) -> Scratch {
    let place = Scratch::below(&ground.base(), "sequences");
    probes(&place);
    let layer = if ground == Ground::Layers { "lower" } else { "work" };
    for directory in [layer, "work", "upper", "internal", "home"] {
        make(&place, directory, 0o777, 65534);
    }
    for (number, sequence) in sequences.iter().enumerate() {
        let directory = format!("{layer}/{number}");
        make(&place, &directory, 0o777, 65534);
        for (name, mode) in
            [("h", 0o666), ("g", 0o6777)].into_iter().filter(|_| ground.has_hosts() && !sequence.fresh)
        {
            file(&place.file(&format!("{directory}/{name}")), mode, 0);
        }
        if ground == Ground::Layers {
            make(&place, &format!("{directory}/e"), 0o2777, 65534);
            for (name, mode) in [("a", 0o666), ("b", 0o4755), ("e/a", 0o666)] {
                file(&place.file(&format!("{directory}/{name}")), mode, 65534);
            }
        }
        // A link that is copied up has another number once the layers are mounted again.
        if ground == Ground::Layers && store == Store::Memory {
            let link = place.file(&format!("{directory}/e/b"));
            symlink("a", &link).unwrap();
            lchown(&link, Some(65534), Some(65534)).unwrap();
        }
    }
    place
}

fn make(place: &Scratch, directory: &str, mode: u32, owner: u32) {
    let path = place.file(directory);
    let _ = fs::create_dir(&path); // the layer may be the work directory
    own(&path, mode, owner);
}

fn file(path: &str, mode: u32, owner: u32) {
    fs::write(path, "contents").unwrap();
    own(path, mode, owner);
}

fn own(path: &str, mode: u32, owner: u32) {
    lchown(path, Some(owner), Some(owner)).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

/// What natively is root's own must be root's there too.
fn give_to_root(place: &Path) {
    for entry in fs::read_dir(place).into_iter().flatten().flatten() {
        let found = fs::symlink_metadata(entry.path()).unwrap();
        lchown(entry.path(), Some(0), Some(0)).unwrap();
        if !found.is_symlink() {
            fs::set_permissions(entry.path(), found.permissions()).unwrap();
        }
        if found.is_dir() {
            give_to_root(&entry.path());
        }
    }
}

/// Runs a script in a prepared place and gives its transcripts.
fn perform(
    how: How,
    ground: Ground,
    store: Store,
    place: &Scratch,
    script: String,
) -> Result<Vec<String>, String> {
    let program = script.lines().next().map_or("./probe64", |line| &line[2..]).to_owned();
    let go = match ground {
        Ground::Layers => format!(
            "mount -t overlay -o lowerdir=lower,upperdir=upper,workdir=internal,userxattr none work && cd work && exec .{program}"
        ),
        _ => format!("cd work && exec .{program}"),
    };
    let run = Run::new(how, ["unshare", "-m", "sh", "-c", &go]).option(store.option());
    let run = run.variable("HOME", place.file("home")).directory(place.path()).input(script).seconds(120);
    let output = catch_unwind(|| run.output())
        .map_err(|panic| panic.downcast::<String>().map_or_else(|_| "panicked".to_owned(), |text| *text))?;
    let transcripts: Vec<String> = output.stdout.split("sequence ").skip(1).map(str::to_owned).collect();
    if output.status.success() && output.stderr.is_empty() {
        return Ok(transcripts);
    }
    Err(format!("{}\n{:?}\nstderr: {}", output.stdout, output.status, output.stderr))
}

/// The script of all sequences, or the one that looks at what they left.
fn scripts(sequences: &[Sequence]) -> [String; 2] {
    let entry = sequences.first().map_or(Entry::Syscall, |first| first.entry);
    let mut all = [(); 2].map(|()| format!("# {}\nobserve not\n{}\n", entry.program(), entry.line()));
    if sequences.iter().any(|sequence| !sequence.fresh) {
        let fact = "main mkdir path:fact 0x1ff\nmain chown path:fact 5 5\nmain rmdir path:fact\n";
        all.iter_mut().for_each(|script| script.push_str(fact));
    }
    for (number, sequence) in sequences.iter().enumerate() {
        let enter = format!("main chdir path:{number}\nmain umask 0\nlist0\nhosts h g\nsequence {number}\n");
        let look = format!("list0\nlist0 {}\n", NAMES.join(" "))
            + &NAMES.map(|name| format!("main xattrs {name}\n")).concat()
            + "main chdir path:..\n";
        write!(all[0], "{enter}{}{look}", sequence.steps).unwrap();
        write!(all[1], "{enter}{look}").unwrap();
    }
    all
}

/// The first sequence that differs natively and under remainroot, and in what.
pub fn difference(ground: Ground, store: Store, sequences: &[Sequence]) -> Option<(usize, String)> {
    let [script, again] = scripts(sequences);
    let [native, ours] = [How::Native, How::Remainroot].map(|how| {
        let place = prepare(ground, store, sequences);
        if how == How::Native {
            give_to_root(place.path());
        }
        let first = perform(how, ground, store, &place, script.clone());
        let second = match store {
            Store::Auto => perform(how, ground, store, &place, again.clone()),
            Store::Memory => Ok(vec![]),
        };
        [first, second]
    });
    for (native, ours) in native.into_iter().zip(ours) {
        let native = native.expect("the kernel does not fail");
        let ours = match ours {
            Ok(ours) => ours,
            Err(what) => {
                let at = what.matches("\nsequence ").count().saturating_sub(1).min(sequences.len() - 1);
                return Some((at, format!("not to its end:\n{what}")));
            }
        };
        assert!(!native.iter().any(|one| one.contains(" bad ")), "the probe does not understand: {native:?}");
        if let Some(at) = (0..native.len()).find(|&at| ours.get(at) != Some(&native[at])) {
            let ours = ours.get(at).map_or("", String::as_str);
            return Some((
                at,
                format!("{ground:?} {store:?} {:?}\n{}", sequences[at].entry, explain(&native[at], ours)),
            ));
        }
    }
    None
}

/// Where two transcripts part.
fn explain(native: &str, ours: &str) -> String {
    let agreed = native.lines().zip(ours.lines()).take_while(|(native, ours)| native == ours).count();
    let shown = |text: &str, count| text.lines().skip(agreed).take(count).collect::<Vec<_>>().join("\n  ");
    let before: Vec<&str> = native.lines().take(agreed).collect();
    format!(
        "{}\nroot:\n  {}\nours:\n  {}",
        before[before.len().saturating_sub(12)..].join("\n"),
        shown(native, 6),
        shown(ours, 6)
    )
}
