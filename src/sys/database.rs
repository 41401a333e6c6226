//! What SQLite keeps to itself of a kernel call that has failed.

use super::Errno;

/// The errno of the last kernel call that failed for this connection, if one did.
pub fn last_errno(connection: &rusqlite::Connection) -> Option<Errno> {
    // SAFETY: the handle is open as long as the connection is borrowed.
    let errno = unsafe { rusqlite::ffi::sqlite3_system_errno(connection.handle()) };
    (errno != 0).then(|| Errno::from_raw(errno))
}
