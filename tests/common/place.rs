//! Where programs run: the variable `REMAINROOT_PLACE` names a place with less than a whole one-id namespace.
//!
//! Real root, with whom tests compare, is put beneath the same filters and the same no_new_privs.

use std::ffi::OsString;
use std::path::PathBuf;
use std::sync::OnceLock;

use super::skip::{Lack, skip};
use super::{How, NOBODY, scratch};

/// The variable.
pub const VARIABLE: &str = "REMAINROOT_PLACE";

/// A place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// A user namespace that maps one id, and all of its capabilities.
    Whole,
    /// The same beneath a filter that answers unknown numbers so, with no_new_privs.
    Filter { errno: i32 },
    /// The same as a container runtime loads it, without no_new_privs: set-id programs work.
    PrivilegedFilter { errno: i32 },
    /// Root of the namespace has no capability. With no_new_privs or without.
    NoCapabilities { no_new_privs: bool },
    /// A plain user, whom a filter keeps from making a namespace, with no_new_privs.
    NoNamespace,
    /// A plain user in a chroot, where the kernel makes no user namespace.
    Chroot,
}

/// Their names.
const NAMES: [(&str, Place); 8] = [
    ("filter-enosys", Place::Filter { errno: 38 }),
    ("filter-eperm", Place::Filter { errno: 1 }),
    ("profile-enosys", Place::PrivilegedFilter { errno: 38 }),
    ("profile-eperm", Place::PrivilegedFilter { errno: 1 }),
    ("no-capabilities", Place::NoCapabilities { no_new_privs: true }),
    ("capabilities-dropped", Place::NoCapabilities { no_new_privs: false }),
    ("no-namespace", Place::NoNamespace),
    ("chroot", Place::Chroot),
];

/// The place that the environment chooses.
pub fn place() -> Place {
    let Some(name) = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()) else { return Place::Whole };
    let known = NAMES.iter().find(|(known, _)| name == *known);
    known.unwrap_or_else(|| panic!("{VARIABLE}={name:?}: there are {:?}", NAMES.map(|(name, _)| name))).1
}

/// Whether root has the kernel's own privileges here.
pub fn has_privilege() -> bool {
    matches!(place(), Place::Whole | Place::Filter { .. } | Place::PrivilegedFilter { .. })
}

/// Whether root has the kernel's own privileges here, for `what` (mount, chroot, others' files); says that the test is
/// skipped where not.
pub fn needs_privilege(what: &str) -> bool {
    let whole = has_privilege();
    if !whole {
        skip(Lack::Place, &format!("root of this place has no privilege: {what}"));
    }
    whole
}

/// Whether a user namespace can be made here, for `what`; says that the test is skipped where not.
pub fn needs_namespace(what: &str) -> bool {
    let can = !matches!(place(), Place::NoNamespace | Place::Chroot);
    if !can {
        skip(Lack::Place, &format!("no user namespace can be made in this place: {what}"));
    }
    can
}

impl Place {
    /// Whether the unprivileged user, `how`, is in a user namespace here.
    pub fn has_namespace(self, how: How) -> bool {
        let asked = matches!(how, How::Namespace | How::Remainroot | How::Attached);
        asked && !matches!(self, Place::NoNamespace | Place::Chroot)
    }

    /// The words before everything else: who runs it, beneath which filter. None where the test itself becomes the user.
    pub fn outside(self, how: How) -> Vec<OsString> {
        let root = nix::unistd::geteuid().is_root();
        let user = (root && how != How::Native).then(|| format!("user={NOBODY}"));
        let (before, after): (Vec<String>, Vec<String>) = match self {
            Place::Whole => return vec![],
            Place::Filter { errno } => (vec![], vec!["no-new-privs".into(), format!("unknown={errno}")]),
            Place::PrivilegedFilter { errno } => (vec![format!("unknown={errno}")], vec![]),
            Place::NoCapabilities { .. } => (vec![], vec![]),
            // Real root makes namespaces there too: with those that map every id, tests compare.
            Place::NoNamespace if how == How::Native => (vec![], vec![]),
            Place::NoNamespace => (vec![], vec!["no-new-privs".into(), "no-new-namespaces".into()]),
            Place::Chroot if how == How::Native => (vec![], vec![]),
            Place::Chroot => (vec!["chroot".into()], vec![]),
        };
        self.command(before.into_iter().chain(user).chain(after))
    }

    /// The words that stand within the namespace and its root directory.
    pub fn inside(self, how: How) -> Vec<OsString> {
        let Place::NoCapabilities { no_new_privs } = self else { return vec![] };
        if !self.has_namespace(how) {
            return vec![];
        }
        let privs = no_new_privs.then(|| "no-new-privs".to_owned());
        self.command(std::iter::once("no-capabilities".to_owned()).chain(privs))
    }

    fn command(self, actions: impl IntoIterator<Item = String>) -> Vec<OsString> {
        let program = std::iter::once(program().into());
        program.chain(actions.into_iter().map(OsString::from)).chain([OsString::from("--")]).collect()
    }
}

/// `tests/common/place.c`, built once for a test process.
fn program() -> PathBuf {
    static BUILT: OnceLock<PathBuf> = OnceLock::new();
    let build = || scratch::build("common/place.c").expect("places are made by a program that gcc builds");
    BUILT.get_or_init(build).clone()
}
