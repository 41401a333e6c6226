//! Facts and attributes in an SQLite file, for what no extended attribute can hold.
//!
//! Several remainroot processes share a file: its changes are transactions, its journal is written ahead of
//! it, and a process that is killed leaves what it had reported. A file that is not one of these is never
//! written to. Every row bears a proof of its values, so that damage within a row is not taken for an owner.
//!
//! To look at everything takes time that grows with the file (for 100,000 rows 14 ms). So the last run to end
//! looks, when nobody waits for it, and the file itself says, in an attribute, at which length and time of its
//! last change it was found good. What changed it since is found before the command starts, and what changes
//! it later by the call that needs it.
//!
//! A row goes when its inode loses its last name to a call that is answered anyway, when an inode with its
//! number is met that was born at another time, and when its filesystem was in the memory of an earlier boot.
//! One that is removed behind our backs stays until then: nothing tells an unprivileged process that it is
//! gone.

mod copy;
mod index;
mod rows;

use index::Index;
pub(super) use rows::{Key, Record};

use std::ffi::CString;
use std::fmt;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nix::unistd::{AccessFlags, eaccess};
use parking_lot::{MappedMutexGuard, Mutex, MutexGuard};
use rusqlite::{Connection, ErrorCode, OpenFlags};

use crate::abi::Errno;
use crate::sys;

/// `application_id` of our files: "rmrt".
const APPLICATION: i32 = 0x726d_7274;
/// `user_version` of our files.
const VERSION: i32 = 3;
/// Size of a page.
const PAGE: u64 = 4096;
/// So many pages are held in memory.
const CACHE: i32 = 16;
/// How long another process may hold the file.
const PATIENCE: Duration = Duration::from_secs(5);
/// The attribute that says when the file was found good.
const CHECKED: &std::ffi::CStr = c"user.remainroot.checked";

/// An attribute's row has a birth time in its key: an inode number's next owner has attributes of its own.
/// `copied` are inodes that an overlay shows under their lower layer's number until it is mounted again.
/// `fleeting` has the filesystems that do not outlive the boot they were met in.
const CREATE: &str = "CREATE TABLE IF NOT EXISTS facts (
    filesystem INTEGER NOT NULL, ino INTEGER NOT NULL, birth INTEGER NOT NULL,
    uid INTEGER, gid INTEGER, mode INTEGER, block INTEGER, major INTEGER, minor INTEGER,
    times BLOB, flags INTEGER, copied INTEGER NOT NULL, proof INTEGER NOT NULL,
    PRIMARY KEY (filesystem, ino)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS copies ON facts (filesystem, birth) WHERE copied;
CREATE TABLE IF NOT EXISTS attributes (
    filesystem INTEGER NOT NULL, ino INTEGER NOT NULL, birth INTEGER NOT NULL,
    name BLOB NOT NULL, value BLOB NOT NULL,
    proof INTEGER NOT NULL,
    PRIMARY KEY (filesystem, ino, birth, name)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS fleeting (filesystem INTEGER PRIMARY KEY, boot TEXT NOT NULL)";

/// Why a file cannot be used: a sentence for the person.
#[derive(Debug)]
pub struct Unusable {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub cause: String,
    /// What that is to a guest whose call needs it.
    pub errno: Errno,
}

impl fmt::Display for Unusable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the store {} cannot be used and is left as it is: {}", self.path.display(), self.cause)
    }
}

impl Unusable {
    fn new(path: &Path, cause: &str) -> Unusable {
        Unusable { path: path.to_owned(), cause: cause.to_owned(), errno: Errno::EIO }
    }

    /// What the person can do about it.
    pub fn cure(&self) -> &'static str {
        match self.errno {
            Errno::ENOSPC | Errno::EDQUOT => "make room there, or name a file elsewhere (--store=./FILE)",
            Errno::EROFS | Errno::EACCES | Errno::EPERM | Errno::ENOTDIR => {
                "name a file in a directory that you may write to (--store=./FILE, or XDG_STATE_HOME)"
            }
            Errno::EISDIR => "name a file in it",
            _ => "move it away, or name another file (--store=./FILE)",
        }
    }

    /// What only keeps it from being written, if that is all.
    pub(super) fn obstacle(&self) -> Option<Obstacle> {
        match self.errno {
            Errno::ENOSPC | Errno::EDQUOT | Errno::EFBIG => Some(Obstacle::NoRoom),
            Errno::EROFS | Errno::EACCES => Some(Obstacle::ReadOnly),
            _ => None,
        }
    }

    fn io(path: &Path) -> impl Fn(io::Error) -> Unusable {
        |error| {
            let errno = Errno(error.raw_os_error().unwrap_or(Errno::EIO.0));
            let cause = error.raw_os_error().map(|raw| sys::Errno::from_raw(raw).desc().to_owned());
            let cause = cause.unwrap_or_else(|| error.to_string());
            Unusable { errno, ..Unusable::new(path, &cause) }
        }
    }

    fn trouble(path: &Path) -> impl Fn(Trouble) -> Unusable {
        |trouble| Unusable { errno: trouble.errno(), ..Unusable::new(path, &trouble.to_string()) }
    }
}

/// Why a file cannot be written that may well be read.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// There is no room, for now.
    NoRoom,
    /// It, its directory or its mount is not to be written.
    ReadOnly,
}

/// An open file.
#[derive(Debug)]
pub struct Table {
    path: PathBuf,
    /// `None` once it is closed.
    connection: Mutex<Option<Connection>>,
    /// Whether nothing wrong was ever found.
    good: AtomicBool,
    /// What it has anything about, once it was read.
    index: OnceLock<Index>,
}

impl Table {
    /// Opens the file, and makes it and its directory where there is none.
    ///
    /// # Errors
    /// Where it cannot be made, or is no store of ours.
    pub fn open(path: &Path) -> Result<Table, Unusable> {
        if let Some(directory) = path.parent() {
            fs::create_dir_all(directory).map_err(Unusable::io(path))?;
        }
        Table::placeable(path)?;
        whole_pages(path)?;
        let table = Table::connect(path, OpenFlags::SQLITE_OPEN_CREATE)?;
        table.judge(table.create()).map_err(Unusable::trouble(path))?;
        table.check()?;
        table.forget_fleeting();
        Ok(table)
    }

    /// Whether there is such a file with something in it; nothing is made or written.
    ///
    /// # Errors
    /// Where it is no store of ours or cannot be written.
    pub fn has_facts(path: &Path) -> Result<bool, Unusable> {
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(Unusable::io(path)(error)),
            Ok(_) => {}
        }
        let opened = fs::OpenOptions::new().read(true).write(true).open(path);
        let file = opened.and_then(|file| file.metadata()).map_err(Unusable::io(path))?;
        if file.is_file() && file.len() == 0 {
            return Ok(false);
        }
        whole_pages(path)?;
        let table = Table::connect(path, OpenFlags::empty())?;
        // Another process is about to make it.
        let blank = table.connection().and_then(|connection| Ok(is_blank(&connection)?));
        let blank = table.judge(blank);
        if blank.map_err(Unusable::trouble(path))? {
            return Ok(false);
        }
        table.check()
    }

    /// Finds out whether the file can be written, or could be made.
    ///
    /// # Errors
    /// Where it could not.
    pub fn placeable(path: &Path) -> Result<(), Unusable> {
        let io = |errno| Unusable::io(path)(io::Error::from_raw_os_error(errno as i32));
        match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(Unusable::io(path)(error)),
            Ok(found) if found.is_dir() => return Err(io(sys::Errno::EISDIR)),
            Ok(_) => eaccess(path, AccessFlags::W_OK).map_err(io)?,
        }
        // What its processes share stands beside it.
        let there = path.ancestors().skip(1).find(|directory| directory.exists()).unwrap_or(Path::new("/"));
        eaccess(there, AccessFlags::W_OK | AccessFlags::X_OK).map_err(io)
    }

    /// Whether there are devices among the facts in a file; where it cannot be read there may be some.
    pub fn has_devices(path: &Path) -> bool {
        const QUERY: &str = "SELECT EXISTS (SELECT 1 FROM facts WHERE block IS NOT NULL)";
        let Ok(table) = Table::connect(path, OpenFlags::empty()) else { return true };
        let Ok(connection) = table.connection() else { return true };
        connection.query_row(QUERY, [], |row| row.get(0)).unwrap_or(true)
    }

    fn connect(path: &Path, more: OpenFlags) -> Result<Table, Unusable> {
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX | more;
        let connection = Connection::open_with_flags(path, flags)
            .and_then(|connection| connection.busy_timeout(PATIENCE).map(|()| connection))
            .map_err(|error| Unusable::trouble(path)(error.into()))?;
        let (connection, good) = (Mutex::new(Some(connection)), AtomicBool::new(false));
        Ok(Table { path: path.to_owned(), connection, good, index: OnceLock::new() })
    }

    fn connection(&self) -> Result<MappedMutexGuard<'_, Connection>, Trouble> {
        MutexGuard::try_map(self.connection.lock(), Option::as_mut).map_err(|_| Trouble::Closed)
    }

    /// Makes a store of a file that holds nothing. Several processes may do this at once.
    fn create(&self) -> Result<(), Trouble> {
        let connection = self.connection()?;
        if is_blank(&connection)? {
            // Not every filesystem can: then it stays a rollback journal, which is as safe.
            let _ = connection.pragma_update(None, "journal_mode", "WAL");
            connection.execute_batch(&format!(
                "BEGIN IMMEDIATE; {CREATE}; PRAGMA application_id = {APPLICATION}; \
                 PRAGMA user_version = {VERSION}; COMMIT"
            ))?;
        }
        Ok(())
    }

    /// Whether it holds anything.
    fn check(&self) -> Result<bool, Unusable> {
        let trouble = Unusable::trouble(&self.path);
        let numbers = self.connection().and_then(|connection| {
            let number = |name| Ok(connection.pragma_query_value(None, name, |row| row.get::<_, i32>(0))?);
            number("application_id").and_then(|application| Ok((application, number("user_version")?)))
        });
        let (application, version) = self.judge(numbers).map_err(&trouble)?;
        if application != APPLICATION {
            return Err(Unusable::new(&self.path, "it is a database, but not one of remainroot's"));
        }
        if version != VERSION {
            let cause =
                format!("it has format {version}, and this is {VERSION}: move it away, or name another");
            return Err(Unusable::new(&self.path, &cause));
        }
        self.judge(self.connection().and_then(|connection| self.look_through(&connection))).map_err(trouble)
    }

    /// The same of a store of ours.
    fn look_through(&self, connection: &Connection) -> Result<bool, Trouble> {
        let now = stamp(&self.path);
        if now.is_none() || now != checked(&self.path) {
            rows::verify(connection)?;
            set_checked(&self.path, now);
        }
        self.good.store(true, Ordering::Relaxed);
        // A process that is killed loses nothing; a machine that is may lose what was last.
        connection.pragma_update(None, "synchronous", "NORMAL")?;
        // What it has nothing about is never read, and the rest seldom twice.
        connection.pragma_update(None, "cache_size", CACHE)?;
        rows::is_any(connection)
    }

    /// Forgets what was on filesystems that ended with an earlier boot.
    fn forget_fleeting(&self) {
        let (Ok(connection), Some(boot)) = (self.connection(), boot()) else { return };
        // What stays is of no harm.
        let _ = rows::forget_fleeting(&connection, &boot);
    }

    /// A number that another one follows when another connection has changed the file.
    pub(super) fn version(&self) -> Result<i64, Trouble> {
        self.index().version(|| {
            let connection = self.connection()?;
            let mut query = connection.prepare_cached("PRAGMA data_version")?;
            Ok(query.query_row([], |row| row.get(0))?)
        })
    }

    fn index(&self) -> &Index {
        self.index.get_or_init(|| Index::new(&self.path))
    }

    /// Whether there may be anything about an inode.
    pub(super) fn may_have(&self, key: Key) -> Result<bool, Trouble> {
        let version = self.version()?;
        let length = || fs::metadata(&self.path).map_or(0, |file| file.len());
        self.index().may_have(key, version, length, || index::learn(&*self.connection()?))
    }

    /// Closes it, and looks at what has become of it: now nobody waits for that.
    pub(super) fn close(&self) {
        let Some(connection) = self.connection.lock().take() else { return };
        let good = connection.close().is_ok() && self.good.load(Ordering::Relaxed);
        let mut journal = self.path.clone().into_os_string();
        journal.push("-wal");
        let now = stamp(&self.path);
        // Else somebody else still writes it, or did not end well, or it is as it was.
        if !good || Path::new(&journal).exists() || now == checked(&self.path) {
            return;
        }
        // One that only reads would leave its journal behind.
        let again = Connection::open_with_flags(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE);
        if again.is_ok_and(|connection| rows::verify(&connection).is_ok()) {
            set_checked(&self.path, now);
        }
    }

    /// Notes that something is wrong with the file, and what the kernel has said where a call of SQLite's has failed.
    fn judge<T>(&self, outcome: Result<T, Trouble>) -> Result<T, Trouble> {
        let outcome = outcome.map_err(|trouble| match trouble {
            Trouble::Sqlite(error) if is_of_a_call(&error) => {
                let connection = self.connection.lock();
                let errno = connection.as_ref().and_then(sys::database::last_errno);
                match errno {
                    Some(errno) => Trouble::Call(Errno(errno as i32), error),
                    None => Trouble::Sqlite(error),
                }
            }
            trouble => trouble,
        });
        if outcome.as_ref().is_err_and(|trouble| trouble.errno() == Errno::EIO) {
            self.good.store(false, Ordering::Relaxed);
        }
        outcome
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        self.close();
    }
}

/// Refuses a file that ends within its first page, which SQLite takes for an empty one.
fn whole_pages(path: &Path) -> Result<(), Unusable> {
    match fs::metadata(path).map_or(0, |file| file.len()) {
        1..PAGE => Err(Unusable::new(path, "it is cut short, or no store")),
        _ => Ok(()),
    }
}

/// Whether it is a kernel call that SQLite blames.
fn is_of_a_call(error: &rusqlite::Error) -> bool {
    const CODES: [ErrorCode; 3] = [ErrorCode::SystemIoFailure, ErrorCode::CannotOpen, ErrorCode::ReadOnly];
    error.sqlite_error_code().is_some_and(|code| CODES.contains(&code))
}

/// Whether a database is nobody's yet.
fn is_blank(connection: &Connection) -> rusqlite::Result<bool> {
    connection.query_row(
        "SELECT NOT EXISTS (SELECT 1 FROM sqlite_schema) AND application_id = 0 FROM pragma_application_id",
        [],
        |row| row.get(0),
    )
}

/// Length and time of the last change of a file.
fn stamp(path: &Path) -> Option<Vec<u8>> {
    let file = fs::metadata(path).ok()?;
    Some(format!("{}:{}.{:09}", file.len(), file.mtime(), file.mtime_nsec()).into_bytes())
}

/// What the file says of when it was good.
fn checked(path: &Path) -> Option<Vec<u8>> {
    let path = CString::new(path.as_os_str().as_bytes()).ok()?;
    sys::xattr::get(&path, CHECKED, &mut [0; 64]).ok().map(<[u8]>::to_vec)
}

/// Has the file say that it was good. Where it cannot, it is looked at each time.
fn set_checked(path: &Path, stamp: Option<Vec<u8>>) {
    if let (Ok(path), Some(stamp)) = (CString::new(path.as_os_str().as_bytes()), stamp) {
        let _ = sys::xattr::set(&path, CHECKED, &stamp);
    }
}

/// Which boot of the machine this is.
fn boot() -> Option<String> {
    let id = fs::read_to_string("/proc/sys/kernel/random/boot_id").ok()?;
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// What the kernel says of a file that is as good as ever.
const SAY_IT_ALL: [Errno; 6] =
    [Errno::ENOSPC, Errno::EDQUOT, Errno::EFBIG, Errno::EROFS, Errno::EACCES, Errno::ENOMEM];

/// What can be wrong with the file while it is in use.
#[derive(Debug, PartialEq)]
pub(super) enum Trouble {
    /// What SQLite says.
    Sqlite(rusqlite::Error),
    /// The same where a kernel call has failed so.
    Call(Errno, rusqlite::Error),
    /// Something in it is not what was written.
    Damaged(String),
    /// The run is over.
    Closed,
    /// Nothing: who wanted a change has thought better of it.
    Refused(Errno),
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
            Trouble::Call(errno, error) => write!(f, "{error}: {errno:?}"),
            Trouble::Damaged(what) => write!(f, "it is damaged ({what})"),
            Trouble::Closed => f.write_str("it is closed"),
            Trouble::Refused(errno) => write!(f, "{errno:?}"),
        }
    }
}

impl Trouble {
    /// What it is to the guest whose call needed the file.
    pub(super) fn errno(&self) -> Errno {
        let error = match self {
            Trouble::Sqlite(error) => error,
            Trouble::Call(errno, _) if SAY_IT_ALL.contains(errno) => return *errno,
            Trouble::Call(_, error) => error,
            Trouble::Damaged(_) | Trouble::Closed => return Errno::EIO,
            Trouble::Refused(errno) => return *errno,
        };
        // The memory that the processes share stands in a file too.
        const SHARED: i32 = rusqlite::ffi::SQLITE_IOERR_SHMSIZE;
        match error.sqlite_error_code() {
            _ if error.sqlite_error().is_some_and(|error| error.extended_code == SHARED) => Errno::ENOSPC,
            Some(ErrorCode::DiskFull) => Errno::ENOSPC,
            Some(ErrorCode::ReadOnly) => Errno::EROFS,
            Some(ErrorCode::OutOfMemory) => Errno::ENOMEM,
            _ => Errno::EIO,
        }
    }
}

#[cfg(test)]
mod tests;
