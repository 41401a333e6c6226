//! Facts in an SQLite file, for what no extended attribute can hold.
//!
//! Several remainroot processes share a file: its changes are transactions, its journal is written ahead of
//! it, and a process that is killed leaves what it had reported. A file that is not one of these is never
//! written to. Every row bears a proof of its values, so that damage within a row is not taken for an owner.

mod rows;

use std::fmt;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use parking_lot::Mutex;
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::abi::Errno;

/// `application_id` of our files: "rmrt".
const APPLICATION: i32 = 0x726d_7274;
/// `user_version` of our files.
const VERSION: i32 = 2;
/// Size of a page.
const PAGE: u64 = 4096;
/// How long another process may hold the file.
const PATIENCE: Duration = Duration::from_secs(5);

/// An attribute's row has a birth time in its key: an inode number's next owner has attributes of its own.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS facts (
    dev INTEGER NOT NULL, ino INTEGER NOT NULL, birth INTEGER NOT NULL,
    uid INTEGER, gid INTEGER, mode INTEGER, block INTEGER, major INTEGER, minor INTEGER,
    proof INTEGER NOT NULL,
    PRIMARY KEY (dev, ino)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS attributes (
    dev INTEGER NOT NULL, ino INTEGER NOT NULL, birth INTEGER NOT NULL,
    name BLOB NOT NULL, value BLOB NOT NULL,
    proof INTEGER NOT NULL,
    PRIMARY KEY (dev, ino, birth, name)) WITHOUT ROWID";

/// Why a file cannot be used: a sentence for the person.
#[derive(Debug)]
pub struct Unusable {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: String,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store {} cannot be used and is left as it is: {}", self.path.display(), self.cause)
    }
}

impl Unusable {
    fn new(path: &Path, cause: &impl ToString) -> Unusable {
        Unusable { path: path.to_owned(), cause: cause.to_string() }
    }
}

/// An open file.
#[derive(Debug)]
pub struct Table {
    connection: Mutex<Connection>,
}

impl Table {
    /// Opens the file, and makes it and its directory where there is none.
    ///
    /// # Errors
    /// Where it cannot be made, or is no store of ours.
    pub fn open(path: &Path) -> Result<Table, Unusable> {
        let io = |error: io::Error| Unusable::new(path, &error);
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(io)?;
        }
        whole_pages(path)?;
        let table = Table::connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        table.create().map_err(|error| Unusable::new(path, &error))?;
        table.check(path)?;
        Ok(table)
    }

    /// Whether there is such a file with facts in it; nothing is made or written.
    ///
    /// # Errors
    /// Where it is no store of ours or cannot be written.
    pub fn has_facts(path: &Path) -> Result<bool, Unusable> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Unusable::new(path, &error)),
            Ok(file) if file.len() == 0 => return Ok(false),
            Ok(_) => {}
        }
        whole_pages(path)?;
        fs::OpenOptions::new().write(true).open(path).map_err(|error| Unusable::new(path, &error))?;
        let table = Table::connect(path, OpenFlags::empty())?;
        // Another process is about to make it.
        if is_blank(&table.connection.lock()).map_err(|error| Unusable::new(path, &error))? {
            return Ok(false);
        }
        table.check(path)
    }

    fn connect(path: &Path, more: OpenFlags) -> Result<Table, Unusable> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let connection = Connection::open_with_flags(path, flags)
            .and_then(|connection| connection.busy_timeout(PATIENCE).map(|()| connection))
            .map_err(|error| Unusable::new(path, &error))?;
        Ok(Table { connection: Mutex::new(connection) })
    }

    /// Makes a store of a file that holds nothing. Several processes may do this at once.
    fn create(&self) -> rusqlite::Result<()> {
        let connection = self.connection.lock();
        if !is_blank(&connection)? {
            return Ok(());
        }
        // Not every filesystem can: then it stays a rollback journal, which is as safe.
        let _ = connection.pragma_update(None, "journal_mode", "WAL");
        connection.execute_batch(&format!(
            "BEGIN IMMEDIATE; {CREATE}; PRAGMA application_id = {APPLICATION}; \
             PRAGMA user_version = {VERSION}; COMMIT"
        ))
    }

    /// Whether it holds facts.
    fn check(&self, path: &Path) -> Result<bool, Unusable> {
        let connection = self.connection.lock();
        let number = |name: &str| connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
        let error = |error: rusqlite::Error| Unusable::new(path, &error);
        if number("application_id").map_err(error)? != APPLICATION {
            return Err(Unusable::new(path, &"it is a database, but not one of remainroot's"));
        }
        let version = number("user_version").map_err(error)?;
        if version != VERSION {
            return Err(Unusable::new(
                path,
                &format!("it has format {version}, and this is {VERSION}: move it away, or name another"),
            ));
        }
        let found = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get::<_, String>(0));
        let found = found.map_err(error)?;
        if found != "ok" {
            let first = found.lines().find(|line| !line.starts_with("***")).unwrap_or_default();
            return Err(Unusable::new(path, &format!("it is damaged ({first})")));
        }
        // A process that is killed loses nothing; a machine that is may lose what was last.
        connection.pragma_update(None, "synchronous", "NORMAL").map_err(error)?;
        connection
            .query_row(
                "SELECT EXISTS (SELECT 1 FROM facts) OR EXISTS (SELECT 1 FROM attributes)",
                [],
                |row| row.get(0),
            )
            .map_err(error)
    }
}

/// Refuses a file that ends within its first page, which SQLite takes for an empty one.
fn whole_pages(path: &Path) -> Result<(), Unusable> {
    match fs::metadata(path).map_or(0, |file| file.len()) {
        1..PAGE => Err(Unusable::new(path, &"it is cut short")),
        _ => Ok(()),
    }
}

/// Whether a database is nobody's yet.
fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema) AND application_id = 0 FROM pragma_application_id",
        [],
        |row| row.get(0),
    )
}

/// What can be wrong with the file while it is in use.
#[derive(Debug)]
enum Trouble {
    /// What SQLite says.
    Sqlite(rusqlite::Error),
    /// A row whose values are not those that were written.
    Damaged,
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Trouble {
        Trouble::Sqlite(error)
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Trouble::Sqlite(error) => error.fmt(f),
            Trouble::Damaged => f.write_str("a row in it is damaged"),
        }
    }
}

/// What a failure is to the guest whose call needed the file.
fn errno(trouble: Trouble) -> Errno {
    tracing::error!(error = %trouble, "the store failed");
    let Trouble::Sqlite(error) = trouble else { return Errno::EIO };
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Errno::ENOSPC,
        Some(ErrorCode::ReadOnly) => Errno::EROFS,
        Some(ErrorCode::OutOfMemory) => Errno::ENOMEM,
        _ => Errno::EIO,
    }
}

#[cfg(test)]
mod tests;
