//! What stands in a file that cannot be written now, for want of room or on a mount that is read-only: a copy in memory.
//!
//! SQLite cannot even read such a file in the usual way, since its processes share memory that stands in a file beside it.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::OnceLock;
use std::sync::atomic::AtomicBool;

use parking_lot::Mutex;
use rusqlite::{Connection, OpenFlags};

use super::{APPLICATION, CREATE, Table, Trouble, Unusable, VERSION, rows};

impl Table {
    /// A table in memory with what stands in the file now. What is changed in it ends with the run.
    ///
    /// # Errors
    /// Where it is no store of ours, or cannot be read.
    pub(in crate::ownership) fn copy(path: &Path) -> Result<Table, Unusable> {
        let connection = read(path).map_err(Unusable::trouble(path))?;
        let connection = Mutex::new(Some(connection));
        let (good, index) = (AtomicBool::new(false), OnceLock::new());
        Ok(Table { path: path.to_owned(), connection, good, index })
    }
}

fn read(path: &Path) -> Result<Connection, Trouble> {
    let flags = OpenFlags::default() | OpenFlags::SQLITE_OPEN_URI;
    let copy = Connection::open_with_flags(":memory:", flags)?;
    copy.execute_batch(CREATE)?;
    // With nobody else the index of the journal needs no shared memory. This is said of what is attached, too.
    copy.pragma_update(None, "locking_mode", "EXCLUSIVE")?;
    copy.execute("ATTACH ? AS file", [uri(path)])?;
    let number = |name| copy.pragma_query_value(Some("file"), name, |row| row.get::<_, i32>(0));
    if (number("application_id")?, number("user_version")?) != (APPLICATION, VERSION) {
        return Err(Trouble::Damaged("it is no store of this format".to_owned()));
    }
    copy.execute_batch(
        "INSERT INTO main.facts SELECT * FROM file.facts;
         INSERT INTO main.attributes SELECT * FROM file.attributes; DETACH file",
    )?;
    rows::verify(&copy)?;
    Ok(copy)
}

/// How SQLite is told to read a file. One that has no journal is whole, and is read as what cannot change.
fn uri(path: &Path) -> String {
    let mut journal: OsString = path.into();
    journal.push("-wal");
    let is_whole = fs::metadata(journal).map_or(0, |file| file.len()) == 0;
    let name: String = path.as_os_str().as_bytes().iter().map(|byte| format!("%{byte:02x}")).collect();
    format!("file:{name}?{}", if is_whole { "immutable=1" } else { "mode=rw" })
}
