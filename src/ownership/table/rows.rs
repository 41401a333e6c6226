//! The rows of the file: facts, and attributes by name.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::{Table, Trouble, boot};
use crate::abi::Errno;
use crate::cred::{Gid, Uid};
use crate::ownership::{Device, Fact, Filesystem, Times};

const GET: &str = "SELECT birth, uid, gid, mode, block, major, minor, times, flags, copied, proof FROM facts WHERE filesystem = ? AND ino = ?";
/// Named, since else the key is preferred, and every row of the filesystem read.
const GET_COPIED: &str =
    "SELECT ino FROM facts INDEXED BY copies WHERE filesystem = ? AND birth = ? AND copied";
const PUT: &str = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const REMOVE: &str = "DELETE FROM facts WHERE filesystem = ? AND ino = ? AND birth = ?";
const ALL: &str = "SELECT birth, uid, gid, mode, block, major, minor, times, flags, copied, proof, filesystem, ino FROM facts";
const GET_NAMED: &str =
    "SELECT value, proof FROM attributes WHERE filesystem = ? AND ino = ? AND birth = ? AND name = ?";
const PUT_NAMED: &str = "INSERT OR REPLACE INTO attributes VALUES (?, ?, ?, ?, ?, ?)";
const REMOVE_NAMED: &str =
    "DELETE FROM attributes WHERE filesystem = ? AND ino = ? AND birth = ? AND name = ?";
const REMOVE_ALL_NAMED: &str = "DELETE FROM attributes WHERE filesystem = ? AND ino = ? AND birth = ?";
const LIST_NAMED: &str = "SELECT name FROM attributes WHERE filesystem = ? AND ino = ? AND birth = ?";
const ANY_NAMED: &str = "SELECT 1 FROM attributes WHERE filesystem = ? AND ino = ?";
const ALL_NAMED: &str = "SELECT filesystem, ino, birth, name, value, proof FROM attributes";
/// Attributes of inodes that had the number before.
const FORGET_NAMED: &str = "DELETE FROM attributes WHERE filesystem = ? AND ino = ? AND birth <> ?";
const NOTE_FLEETING: &str = "INSERT OR REPLACE INTO fleeting VALUES (?, ?)";
/// Filesystems that are gone.
const GONE: &str = "SELECT filesystem FROM fleeting WHERE boot <> ?1";

/// An inode as the file names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ownership) struct Key {
    /// The filesystem that it is on.
    pub filesystem: Filesystem,
    /// Its number there.
    pub ino: u64,
    /// Its birth time in nanoseconds since the epoch, good until the year 2262.
    pub birth: i64,
    /// Whether it was just copied to an overlay's upper layer, and has another number when that is mounted
    /// again.
    pub copied: bool,
}

impl Key {
    pub(super) fn numbers(self) -> [i64; 3] {
        [self.filesystem.id, self.ino.cast_signed(), self.birth]
    }
}

/// What the file says of an inode number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::ownership) struct Record {
    /// Whose it is.
    pub birth: i64,
    /// What is known.
    pub fact: Fact,
    /// As in [`Key`].
    pub copied: bool,
}

/// What an attribute's value becomes; `None` is no attribute.
type Change<'a> = &'a mut dyn FnMut(Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Errno>;

impl Table {
    /// The record under this inode number, whatever its birth time.
    pub(in crate::ownership) fn get(
        &self,
        filesystem: Filesystem,
        ino: u64,
    ) -> Result<Option<Record>, Trouble> {
        self.judge(self.connection().and_then(|connection| get(&connection, filesystem, ino)))
    }

    /// Replaces what is known of an inode; an empty fact is forgotten.
    pub(in crate::ownership) fn put(&self, key: Key, fact: &Fact) -> Result<(), Trouble> {
        self.judge(self.connection().and_then(|mut connection| put(&mut connection, key, fact)))?;
        self.index().add(key);
        Ok(())
    }

    /// Forgets an inode.
    pub(in crate::ownership) fn forget(&self, key: Key) -> Result<(), Trouble> {
        self.judge(self.connection().and_then(|mut connection| forget(&mut connection, key)))
    }

    /// The fact of this very inode; one of an earlier inode with its number is forgotten.
    pub(in crate::ownership) fn fact(&self, key: Key) -> Result<Option<Fact>, Trouble> {
        if !self.judge(self.may_have(key))? {
            return Ok(None);
        }
        match self.get(key.filesystem, key.ino)? {
            Some(record) if record.birth == key.birth => return Ok(Some(record.fact)),
            Some(record) if !record.copied => {
                self.put(Key { birth: record.birth, ..key }, &Fact::default())?;
            }
            _ => {}
        }
        self.judge(self.connection().and_then(|mut connection| renumber(&mut connection, key)))
    }

    /// Whether there are attributes under this inode number.
    pub(in crate::ownership) fn has_attributes(
        &self,
        filesystem: Filesystem,
        ino: u64,
    ) -> Result<bool, Trouble> {
        self.judge(self.connection().and_then(|connection| has_attributes(&connection, filesystem, ino)))
    }

    /// The value of an inode's attribute, if it has it.
    pub(in crate::ownership) fn attribute(&self, key: Key, name: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
        if !self.judge(self.may_have(key))? {
            return Ok(None);
        }
        self.judge(self.connection().and_then(|connection| attribute(&connection, key, name)))
    }

    /// The names of an inode's attributes, in order.
    pub(in crate::ownership) fn attribute_names(&self, key: Key) -> Result<Vec<Vec<u8>>, Trouble> {
        if !self.judge(self.may_have(key))? {
            return Ok(vec![]);
        }
        self.judge(self.connection().and_then(|connection| attribute_names(&connection, key)))
    }

    /// Replaces the value of an attribute by what `change` makes of it, in one step; where that refuses,
    /// nothing is changed.
    pub(in crate::ownership) fn change_attribute(
        &self,
        key: Key,
        name: &[u8],
        change: Change,
    ) -> Result<(), Trouble> {
        let mut connection = self.connection()?;
        self.judge(change_attribute(&mut connection, key, name, change))?;
        drop(connection);
        self.index().add(key);
        Ok(())
    }
}

/// Looks at everything.
pub(super) fn verify(connection: &Connection) -> Result<(), Trouble> {
    let found: String = connection.query_row("PRAGMA quick_check(1)", [], |row| row.get(0))?;
    if found != "ok" {
        let first = found.lines().find(|line| !line.starts_with("***")).unwrap_or_default();
        return Err(Trouble::Damaged(first.to_owned()));
    }
    let mut all = connection.prepare(ALL)?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        proven(row, [row.get(11)?, row.get(12)?])?;
    }
    let mut all = connection.prepare(ALL_NAMED)?;
    let mut rows = all.query([])?;
    while let Some(row) = rows.next()? {
        let (name, value): (Vec<u8>, Vec<u8>) = (row.get(3)?, row.get(4)?);
        if attribute_proof([row.get(0)?, row.get(1)?, row.get(2)?], &name, &value) != row.get::<_, i64>(5)? {
            return Err(damaged());
        }
    }
    Ok(())
}

/// Whether there is anything.
pub(super) fn is_any(connection: &Connection) -> Result<bool, Trouble> {
    const ANY: &str = "SELECT EXISTS (SELECT 1 FROM facts) OR EXISTS (SELECT 1 FROM attributes)";
    Ok(connection.query_row(ANY, [], |row| row.get(0))?)
}

/// Forgets what was on filesystems that ended with another boot than this.
pub(super) fn forget_fleeting(connection: &Connection, boot: &str) -> rusqlite::Result<()> {
    if connection.prepare(GONE)?.exists([boot])? {
        let transaction = connection.unchecked_transaction()?;
        for table in ["facts", "attributes"] {
            transaction.execute(&format!("DELETE FROM {table} WHERE filesystem IN ({GONE})"), [boot])?;
        }
        transaction.execute("DELETE FROM fleeting WHERE boot <> ?1", [boot])?;
        transaction.commit()?;
    }
    Ok(())
}

fn get(connection: &Connection, filesystem: Filesystem, ino: u64) -> Result<Option<Record>, Trouble> {
    let mut query = connection.prepare_cached(GET)?;
    let mut rows = query.query(params![filesystem.id, ino.cast_signed()])?;
    rows.next()?.map(|row| proven(row, [filesystem.id, ino.cast_signed()])).transpose()
}

/// The record in a row that [`GET`] or [`ALL`] has found, if its values are those that were written.
fn proven(row: &Row, [filesystem, ino]: [i64; 2]) -> Result<Record, Trouble> {
    let record = record(row)?;
    if fact_proof([filesystem, ino, record.birth], &record.fact, record.copied) != row.get::<_, i64>(10)? {
        return Err(damaged());
    }
    Ok(record)
}

fn damaged() -> Trouble {
    Trouble::Damaged("a row is not what was written".to_owned())
}

fn record(row: &Row) -> rusqlite::Result<Record> {
    let block: Option<bool> = row.get(4)?;
    let device = match block {
        None => None,
        Some(block) => Some(Device { block, major: row.get(5)?, minor: row.get(6)? }),
    };
    let fact = Fact {
        uid: row.get::<_, Option<u32>>(1)?.map(Uid),
        gid: row.get::<_, Option<u32>>(2)?.map(Gid),
        mode: row.get(3)?,
        device,
        times: row.get::<_, Option<Vec<u8>>>(7)?.map(|bytes| Times::from_bytes(&bytes)).unwrap_or_default(),
        flags: row.get::<_, Option<u32>>(8)?.unwrap_or(0),
    };
    Ok(Record { birth: row.get(0)?, fact, copied: row.get(9)? })
}

fn forget(connection: &mut Connection, key: Key) -> Result<(), Trouble> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    for statement in [REMOVE, REMOVE_ALL_NAMED] {
        transaction.prepare_cached(statement)?.execute(key.numbers())?;
    }
    Ok(transaction.commit()?)
}

fn put(connection: &mut Connection, key: Key, fact: &Fact) -> Result<(), Trouble> {
    let [filesystem, ino, birth] = key.numbers();
    if fact.is_empty() {
        connection.prepare_cached(REMOVE)?.execute(params![filesystem, ino, birth])?;
        return Ok(());
    }
    let device = fact.device;
    // Once copied it stays so until it is met under its other number.
    let known = match get(connection, key.filesystem, key.ino) {
        Err(Trouble::Damaged(_)) => None, // it will be right again
        known => known?.filter(|record| record.birth == birth),
    };
    let copied = key.copied || known.is_some_and(|record| record.copied);
    let values = params![
        filesystem,
        ino,
        birth,
        fact.uid.map(|uid| uid.0),
        fact.gid.map(|gid| gid.0),
        fact.mode,
        device.map(|device| device.block),
        device.map(|device| device.major),
        device.map(|device| device.minor),
        fact.times.bytes(),
        (fact.flags != 0).then_some(fact.flags),
        copied,
        fact_proof([filesystem, ino, birth], fact, copied),
    ];
    if key.filesystem.fleeting {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        note_fleeting(&transaction, filesystem)?;
        transaction.prepare_cached(PUT)?.execute(values)?;
        transaction.commit()?;
    } else {
        connection.prepare_cached(PUT)?.execute(values)?;
    }
    Ok(())
}

/// The fact of an inode that was copied up under another number: it has this one from now on.
fn renumber(connection: &mut Connection, key: Key) -> Result<Option<Fact>, Trouble> {
    let numbers: rusqlite::Result<Vec<i64>> = connection
        .prepare_cached(GET_COPIED)?
        .query_map(params![key.filesystem.id, key.birth], |row| row.get(0))?
        .collect();
    // Two of one birth time cannot be told apart.
    let &[number] = numbers?.as_slice() else { return Ok(None) };
    let Some(record) = get(connection, key.filesystem, number.cast_unsigned())? else { return Ok(None) };
    put(connection, Key { copied: false, ..key }, &record.fact)?;
    put(connection, Key { ino: number.cast_unsigned(), ..key }, &Fact::default())?;
    Ok(Some(record.fact))
}

/// A filesystem will end with this boot.
fn note_fleeting(connection: &Connection, filesystem: i64) -> rusqlite::Result<()> {
    if let Some(boot) = boot() {
        connection.prepare_cached(NOTE_FLEETING)?.execute(params![filesystem, boot])?;
    }
    Ok(())
}

fn has_attributes(connection: &Connection, filesystem: Filesystem, ino: u64) -> Result<bool, Trouble> {
    let mut query = connection.prepare_cached(ANY_NAMED)?;
    Ok(query.exists(params![filesystem.id, ino.cast_signed()])?)
}

fn attribute(connection: &Connection, key: Key, name: &[u8]) -> Result<Option<Vec<u8>>, Trouble> {
    let [filesystem, ino, birth] = key.numbers();
    let mut query = connection.prepare_cached(GET_NAMED)?;
    let row = |row: &Row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?));
    match query.query_row(params![filesystem, ino, birth, name], row).optional()? {
        Some((value, proof)) if attribute_proof(key.numbers(), name, &value) != proof => Err(damaged()),
        found => Ok(found.map(|(value, _)| value)),
    }
}

fn attribute_names(connection: &Connection, key: Key) -> Result<Vec<Vec<u8>>, Trouble> {
    let mut query = connection.prepare_cached(LIST_NAMED)?;
    let names: rusqlite::Result<_> = query.query_map(key.numbers(), |row| row.get(0))?.collect();
    Ok(names?)
}

fn change_attribute(
    connection: &mut Connection,
    key: Key,
    name: &[u8],
    change: Change,
) -> Result<(), Trouble> {
    let [filesystem, ino, birth] = key.numbers();
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let old = attribute(&transaction, key, name)?;
    match change(old).map_err(Trouble::Refused)? {
        None => {
            transaction.prepare_cached(REMOVE_NAMED)?.execute(params![filesystem, ino, birth, name])?;
        }
        Some(value) => {
            if key.filesystem.fleeting {
                note_fleeting(&transaction, filesystem)?;
            }
            let proof = attribute_proof(key.numbers(), name, &value);
            transaction.prepare_cached(FORGET_NAMED)?.execute(key.numbers())?;
            let values = params![filesystem, ino, birth, name, value, proof];
            transaction.prepare_cached(PUT_NAMED)?.execute(values)?;
        }
    }
    Ok(transaction.commit()?)
}

/// What a row of facts with these values bears.
fn fact_proof([filesystem, ino, birth]: [i64; 3], fact: &Fact, copied: bool) -> i64 {
    let id = |id: Option<u32>| id.map_or(-1, i64::from);
    let device = fact.device.map(|device| [device.block.into(), device.major.into(), device.minor.into()]);
    let [block, major, minor] = device.unwrap_or([-1; 3]);
    let (uid, gid) = (id(fact.uid.map(|uid| uid.0)), id(fact.gid.map(|gid| gid.0)));
    let values = [filesystem, ino, birth, uid, gid, id(fact.mode.map(u32::from)), block, major, minor];
    let values = values.into_iter().chain([i64::from(fact.flags), copied.into()]).flat_map(i64::to_le_bytes);
    digest(values.chain(fact.times.bytes().unwrap_or_default()))
}

/// What a row of an attribute bears.
fn attribute_proof([filesystem, ino, birth]: [i64; 3], name: &[u8], value: &[u8]) -> i64 {
    let numbers = [filesystem, ino, birth, name.len() as i64].into_iter().flat_map(i64::to_le_bytes);
    digest(numbers.chain(name.iter().copied()).chain(value.iter().copied()))
}

/// The 64-bit hash of Fowler, Noll and Vo (FNV-1a): every change of a single byte gives another.
fn digest(bytes: impl Iterator<Item = u8>) -> i64 {
    const BASIS: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01B3;
    bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)).cast_signed()
}
