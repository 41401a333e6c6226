//! Thousands of files that have owners, and walks over many that have none.

use crate::session::{Session, Step, step};

const GROUP: &str = "files";

/// Makes an archive of 20,000 files of 50 owners, in the material's directory; once, by the bare namespace.
pub const ARCHIVE: &str = "
    mkdir tree && cd tree &&
    perl -e 'for $o (1 .. 50) { mkdir \"d$o\"; for (1 .. 400) { open F, \">\", \"d$o/f$_\"; print F \"$o $_\\n\" } }' &&
    for owner in $(seq 1 50); do
        tar -rf ../archive --owner=$((1000 + owner)) --group=$((2000 + owner)) d$owner || exit
    done
    cd .. && rm -r tree";

/// Makes 20,000 files and commits them. The second status finds nothing that it need read again.
const COMMIT: &str = "
    git init -q && git config user.name bench && git config user.email bench@localhost &&
    git config gc.auto 0 &&
    perl -e 'for $o (1 .. 50) { mkdir \"d$o\"; for (1 .. 400) { open F, \">\", \"d$o/f$_\"; print F \"$o $_\\n\" } }' &&
    git add . && git commit -q -m all && sleep 1.1 && git status";

/// The first fact of the session.
const GIVE: &str = "touch given && chown $to given";

/// All of them.
pub fn sessions() -> Vec<Session> {
    let owned = Session::new(GROUP, "owners", owners()).slow(300);
    let walk = |title, before: &str| {
        step(title, 1, format!("{before} find /usr -xdev -printf '%p %m %U:%G %s %l\\n'"))
    };
    let usr = vec![
        walk("`find -printf` over /usr", ""),
        walk("`find -printf` over /usr, once a file was given away", &format!("{GIVE} &&")),
    ];
    let status =
        |title, before: &str| step(title, 3, format!("{before} git status && git status && git status"));
    let git = vec![
        status("`git status`, 20,000 files", ""),
        status("`git status`, once a file was given away", &format!("{GIVE} && rm given &&")),
    ];
    vec![
        owned,
        // The first walk brings the names into the kernel's cache.
        Session {
            prepare: "find /usr -xdev -printf %m >/dev/null".into(),
            ..Session::new(GROUP, "usr", usr)
        },
        Session { prepare: COMMIT.into(), ..Session::new(GROUP, "git", git).slow(300) },
    ]
}

/// One after the other in one session.
fn owners() -> Vec<Step> {
    let given = "[ $to = 0:0 ] || [ \"$(stat -c %u:%g d7/f3)\" = 1007:2007 ]";
    let changed = "[ \"$(stat -c %u:%g d7/f3)\" = $to ]";
    let checked = |check, step| Step { check, ..step };
    vec![
        checked(given, step("`tar x`, 20,000 files of 50 owners", 1, "tar x $same -f \"$material\"/archive")),
        step("`find -printf` of them", 1, "find . -printf '%p %m %U:%G %s\\n'"),
        step("`ls -lR` of them", 1, "ls -lR ."),
        step("`tar c` of them", 1, "tar c . | cat"),
        checked(changed, step("`chown -R` of them to another", 1, "chown -R $to .")),
        step("`rm -r` of them", 1, "rm -r d*"),
    ]
}
