//! The program that is tested: the release build, as people run it.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use super::scratch;

/// Names another build to test.
const VARIABLE: &str = "REMAINROOT";

/// The release build, where an unprivileged user can execute it.
///
/// # Panics
/// Where there is none, or one that is older than its sources.
pub fn remainroot() -> &'static Path {
    static FOUND: OnceLock<&'static Path> = OnceLock::new();
    FOUND.get_or_init(|| {
        let chosen = std::env::var_os(VARIABLE).filter(|name| !name.is_empty()).map(PathBuf::from);
        let file = chosen.unwrap_or_else(|| {
            let debug = Path::new(env!("CARGO_BIN_EXE_remainroot"));
            let profiles = debug.ancestors().nth(2).expect("a build stands two directories down");
            let release = profiles.join("release/remainroot");
            if let Err(why) = is_current(&release) {
                panic!("{why}: run `cargo build --release`, or name another build by {VARIABLE}=FILE");
            }
            release
        });
        assert!(file.is_file(), "{VARIABLE}={}: there is no such file", file.display());
        scratch::reachable(&file)
    })
}

/// Whether a build is newer than everything it was made from, of which Cargo leaves a list beside it.
///
/// # Errors
/// What is wrong with it, in a sentence.
pub fn is_current(program: &Path) -> Result<(), String> {
    let built = |path: &Path| std::fs::metadata(path).and_then(|found| found.modified());
    let time = built(program).map_err(|_| format!("there is no {}", program.display()))?;
    let list = program.with_extension("d");
    let list = std::fs::read_to_string(&list).map_err(|_| format!("there is no {}", list.display()))?;
    // One line a program: "PROGRAM: SOURCE SOURCE", where a blank within a name is escaped.
    let sources = list.lines().find_map(|line| line.split_once(": ")).map_or("", |(_, sources)| sources);
    for name in sources.replace("\\ ", "\0").split_whitespace() {
        let source = name.replace('\0', " ");
        if built(Path::new(&source)).is_ok_and(|changed| changed <= time) {
            continue;
        }
        return Err(format!("{} is older than {source}", program.display()));
    }
    if sources.is_empty() {
        Err(format!("nothing is known of how {} was built", program.display()))
    } else {
        Ok(())
    }
}
