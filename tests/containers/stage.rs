//! What tests of containers stand on: a small Debian with a package archive in it, and a plain user's machine.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::common::{self, How, Lack, Output, Run, Scratch, skip};

/// What is installed where nothing is said.
const PACKAGES: &str = "cron libcap2-bin";
/// Of the main job's packages those that bring users, programs with another's id, and capabilities: where
/// `REMAINROOT_CONTAINERS=main`.
const MAIN_PACKAGES: &str =
    "openssh-server man-db dbus cron exim4-base sudo postgresql-common iputils-ping systemd libcap2-bin";
/// All of them, and what they ask for: where `REMAINROOT_CONTAINERS=full`.
const ALL_PACKAGES: &str =
    "openssh-server man-db dbus cron exim4-base sudo nginx-light postgresql iputils-ping systemd libcap2-bin";

fn packages() -> &'static str {
    match std::env::var("REMAINROOT_CONTAINERS").as_deref() {
        Ok("main") => MAIN_PACKAGES,
        Ok("full") => ALL_PACKAGES,
        _ => PACKAGES,
    }
}

/// The directory with the base, made once and kept below `target`; `None`, said as a skip, where it cannot be had.
pub fn base() -> Option<&'static Path> {
    static MADE: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    let made = MADE.get_or_init(|| {
        let top = Path::new(env!("CARGO_MANIFEST_DIR"));
        let (sources, kept) = (top.join("tests/containers"), top.join("target/containers"));
        let texts = ["base", "tools-inside", "tools-look"].map(|name| fs::read_to_string(sources.join(name)));
        let texts = texts.map(|text| text.expect("it is there"));
        let (text, recipe) = (texts.concat() + packages(), kept.join("recipe"));
        if fs::read_to_string(&recipe).is_ok_and(|made_by| made_by == text) {
            return Ok(kept);
        }
        let _ = fs::remove_file(&recipe); // there may be none
        let script = sources.join("base");
        let words = ["sh".as_ref(), script.as_os_str(), kept.as_os_str()];
        let words = words.into_iter().chain(packages().split(' ').map(AsRef::as_ref));
        let output = Run::new(How::Native, words).seconds(600).start().outcome()?;
        if !output.status.success() {
            return Err(output.stderr);
        }
        fs::write(recipe, text).expect("the directory was made");
        Ok(kept)
    });
    let why = made.as_ref().err();
    if let Some(why) = why {
        skip(Lack::Kernel, &format!("no base could be made: {why}"));
    }
    made.as_ref().ok().map(PathBuf::as_path)
}

/// What a script of `tests` leaves that a user with one id plays in a directory of its own, where remainroot is `tools/rr` and
/// each of `files` has its name; `None` where that cannot be. `tests/containers/enter` is how it is entered.
pub fn play(
    script: &str,
    words: &[&str],
    programs: &[&str],
    files: &[(&Path, &str)],
) -> Option<Result<Output, String>> {
    if !common::needs_root()
        || !common::has(&["mmdebstrap", "umoci", "dpkg-scanpackages"])
        || !common::has(programs)
    {
        return None;
    }
    let base = base()?;
    let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests");
    let scratch = Scratch::new("containers");
    let copied = |from: &Path, to: &str, mode| {
        let to = scratch.path().join(to);
        let directory = to.parent().expect("it is below");
        fs::create_dir_all(directory).expect("the directory is ours");
        fs::set_permissions(directory, fs::Permissions::from_mode(0o777)).expect("it is ours");
        fs::copy(from, &to).expect("it can be read");
        fs::set_permissions(&to, fs::Permissions::from_mode(mode)).expect("it is ours");
    };
    copied(common::remainroot(), "tools/rr", 0o755);
    copied(&sources.join("containers/enter"), "enter", 0o755);
    copied(&sources.join(script), "script", 0o755);
    for (from, to) in files {
        copied(from, to, 0o644);
    }
    let (enter, script) = (scratch.file("enter"), scratch.file("script"));
    let work = scratch.path().to_str().expect("the path is text");
    let base = base.to_str().expect("the path is text");
    let all = ["sh", &enter, work, base, &script].into_iter().chain(words.iter().copied());
    Some(Run::new(How::Native, all).seconds(200).start().outcome())
}
