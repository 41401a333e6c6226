//! Who runs the work: real root, the bare namespace, remainroot and its peers; each with what it needs to do it its best.

use std::path::{Path, PathBuf};

use crate::common::{How, NOBODY, Run, remainroot};

/// Names another build of remainroot to compare with.
pub const BEFORE: &str = "REMAINROOT_BEFORE";

/// One side of the comparison.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// Real root, in a mount namespace of its own.
    Root,
    /// An unprivileged user in a user namespace that maps only that user, to 0. All sides below are there, but PRoot.
    Bare,
    /// remainroot.
    Remainroot,
    /// Another build of it, which the variable [`BEFORE`] names.
    Before,
    /// fakeroot, which does not try the kernel's chown first.
    Fakeroot,
    /// `proot -0`, by the unprivileged user without a namespace: in one the kernel refuses in words that it does not
    /// expect.
    Proot,
    /// pseudo, as Debian's wrapper for it starts it.
    Pseudo,
    /// strace looking for two calls that nobody makes: what a single tracer costs that answers nothing.
    Strace,
}

/// What a side may write to beside its work.
#[derive(Debug, Clone, Copy)]
pub struct Options<'a> {
    /// A directory for its state.
    pub state: &'a Path,
    /// Where remainroot counts.
    pub summary: Option<&'a str>,
}

impl Side {
    /// All of them, in the order of the columns.
    pub const ALL: [Side; 8] = [
        Side::Root,
        Side::Bare,
        Side::Remainroot,
        Side::Before,
        Side::Fakeroot,
        Side::Proot,
        Side::Pseudo,
        Side::Strace,
    ];

    /// What tables and files call it.
    pub fn name(self) -> &'static str {
        match self {
            Side::Root => "real root",
            Side::Bare => "bare namespace",
            Side::Remainroot => "remainroot",
            Side::Before => "before",
            Side::Fakeroot => "fakeroot",
            Side::Proot => "proot",
            Side::Pseudo => "pseudo",
            Side::Strace => "strace",
        }
    }

    /// Why it cannot be had here, if so.
    pub fn absent(self) -> Option<String> {
        match self {
            Side::Root if !nix::unistd::geteuid().is_root() => Some("this is not real root".into()),
            Side::Bare | Side::Remainroot | Side::Root => None,
            Side::Before if before().is_none() => Some(format!("{BEFORE} names no other build")),
            Side::Before => None,
            Side::Pseudo if preloaded().is_none() => Some("pseudo is not installed".into()),
            _ if !installed(self.name()) => Some(format!("{} is not installed", self.name())),
            _ => None,
        }
    }

    /// Whether an id that the namespace lacks can be given away, so that it is seen later or at least no failure.
    pub fn gives_away(self) -> bool {
        !matches!(self, Side::Bare | Side::Strace)
    }

    /// The words that come before a command.
    pub fn prefix(self, options: Options) -> Vec<String> {
        let words = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect::<Vec<_>>();
        match self {
            Side::Root | Side::Bare => Vec::new(),
            Side::Remainroot | Side::Before => {
                let program = if self == Side::Before { before() } else { None };
                let program = program.unwrap_or_else(|| remainroot().to_owned());
                let mut prefix = vec![program.display().to_string(), "--store=auto".into()];
                prefix.extend(options.summary.map(|file| format!("--summary={file}")));
                prefix.push("--".into());
                prefix
            }
            Side::Fakeroot => words(&["env", "FAKEROOTDONTTRYCHOWN=1", "fakeroot", "--"]),
            Side::Proot => words(&["proot", "-0"]),
            Side::Pseudo => {
                let library = preloaded().unwrap_or_default();
                let state = options.state.display();
                vec![
                    "env".into(),
                    "PSEUDO_PREFIX=/usr".into(),
                    format!("PSEUDO_LOCALSTATEDIR={state}"),
                    format!("LD_PRELOAD={}", library.display()),
                ]
            }
            Side::Strace => {
                words(&["strace", "-f", "--seccomp-bpf", "-e", "trace=acct,swapon", "-o", "/dev/null", "--"])
            }
        }
    }

    /// These words where this side works; the root directory is the user's own, as a container's is, and bears no mark of
    /// earlier facts.
    pub fn run(self, root: &Path, words: &[String]) -> Run {
        match self {
            Side::Root => Run::new(How::Native, words).own_root(root),
            Side::Proot => Side::plain(words),
            _ => Run::new(How::Namespace, words).own_root(root),
        }
    }

    /// These words by the unprivileged user without a namespace.
    pub fn plain(words: &[String]) -> Run {
        let user = NOBODY.to_string();
        let drop = ["setpriv", "--reuid", &user, "--regid", &user, "--clear-groups", "--"].map(String::from);
        let root = nix::unistd::geteuid().is_root();
        let before = drop.into_iter().filter(|_| root);
        Run::new(How::Native, before.chain(words.iter().cloned()))
    }
}

/// Whether a program is in `PATH`.
pub fn installed(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    std::env::split_paths(&path).any(|directory| directory.join(program).exists())
}

/// The other build, which an unprivileged user must be able to reach.
fn before() -> Option<PathBuf> {
    std::env::var_os(BEFORE).map(PathBuf::from).filter(|program| program.is_file())
}

/// pseudo's library.
fn preloaded() -> Option<PathBuf> {
    let directories = std::fs::read_dir("/usr/lib").into_iter().flatten().flatten();
    let places = directories.map(|directory| directory.path().join("pseudo/libpseudo.so"));
    places.chain([PathBuf::from("/usr/lib/pseudo/libpseudo.so")]).find(|place| place.exists())
}
