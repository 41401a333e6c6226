//! Thousands of files that have owners, and walks over many that have none.

use crate::session::{Needs, Session, Step, step};

const GROUP: &str = "files";

/// Makes an archive of 20,000 files of 50 owners, in the material's directory; once, by the bare namespace.
const ARCHIVE: &str = "
    mkdir tree && cd tree &&
    perl -e 'for $o (1 .. 50) { mkdir \"d$o\"; for (1 .. 400) { open F, \">\", \"d$o/f$_\"; print F \"$o $_\\n\" } }' &&
    for owner in $(seq 1 50); do
        tar -rf ../archive --owner=$((1000 + owner)) --group=$((2000 + owner)) d$owner || exit
    done
    cd .. && rm -r tree";

/// Commits 20,000 files in the material's directory; once, by the bare namespace. The same tree is everybody's: who owns a
/// file, which each side sees otherwise, is not to make it a changed one.
const COMMIT: &str = "
    mkdir git && cd git && git init -q && git config user.name bench && git config user.email bench@localhost &&
    git config gc.auto 0 && git config core.checkStat minimal && git config core.trustctime false &&
    perl -e 'for $o (1 .. 50) { mkdir \"d$o\"; for (1 .. 400) { open F, \">\", \"d$o/f$_\"; print F \"$o\n\" } }' &&
    git add . && git commit -q -m all && sleep 1.1 && git status";

/// Brings the names into the kernel's cache.
const WALK: &str = "find /usr -xdev -printf %m >/dev/null 2>&1 || :";

/// The first fact of the session.
const GIVE: &str = "touch given && chown $to given";

/// All of them.
pub fn sessions() -> Vec<Session> {
    let owned = Session::new(GROUP, "owners", owners()).slow(300);
    // Some directories are not the unprivileged user's to read.
    let walk = |title, before: &str| {
        let find = "find /usr -xdev -printf '%p %m %U:%G %s %l\\n' 2>/dev/null; [ $? -le 1 ]";
        step(title, 1, format!("{before} {find}"))
    };
    let usr = vec![
        walk("`find -printf` over /usr", ""),
        walk("`find -printf` over /usr, once a file was given away", &format!("{GIVE} &&")),
    ];
    let status = "git -c safe.directory='*' -C \"$material\"/git status";
    let status = |title, before: &str| step(title, 3, format!("{before} {status} && {status} && {status}"));
    let git = vec![
        status("`git status`, 20,000 files", ""),
        status("`git status`, once a file was given away", &format!("{GIVE} &&")),
    ];
    let on = |script, session| Session { material: Needs::Script(script), ..session };
    let git = Session { prepare: "export GIT_OPTIONAL_LOCKS=0".into(), ..Session::new(GROUP, "git", git) };
    vec![on(ARCHIVE, owned), on(WALK, Session::new(GROUP, "usr", usr).slow(200)), on(COMMIT, git)]
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
