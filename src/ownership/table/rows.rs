//! The rows of the file: facts, and attributes by name.

use rusqlite::{Connection, OptionalExtension, Row, TransactionBehavior, params};

use super::{Table, Trouble, errno};
use crate::abi::Errno;
use crate::cred::{Gid, Uid};
use crate::ownership::{Device, Fact, Identity, Inode, Record};

const GET: &str =
    "SELECT birth, uid, gid, mode, block, major, minor, proof FROM facts WHERE dev = ? AND ino = ?";
const PUT: &str = "INSERT OR REPLACE INTO facts VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)";
const REMOVE: &str = "DELETE FROM facts WHERE dev = ? AND ino = ? AND birth = ?";
const GET_NAMED: &str =
    "SELECT value, proof FROM attributes WHERE dev = ? AND ino = ? AND birth = ? AND name = ?";
const PUT_NAMED: &str = "INSERT OR REPLACE INTO attributes VALUES (?, ?, ?, ?, ?, ?)";
const REMOVE_NAMED: &str = "DELETE FROM attributes WHERE dev = ? AND ino = ? AND birth = ? AND name = ?";
const LIST_NAMED: &str = "SELECT name FROM attributes WHERE dev = ? AND ino = ? AND birth = ?";
/// Attributes of inodes that had the number before.
const FORGET_NAMED: &str = "DELETE FROM attributes WHERE dev = ? AND ino = ? AND birth <> ?";

/// What an attribute's value becomes; `None` is no attribute.
type Change<'a> = &'a mut dyn FnMut(Option<Vec<u8>>) -> Result<Option<Vec<u8>>, Errno>;

/// An inode as the file names it.
type Key = (i64, i64, i64);

impl Table {
    /// The record under this inode number, whatever its birth time.
    ///
    /// # Errors
    /// `EIO` and its like, from the file.
    pub fn get(&self, inode: Inode) -> Result<Option<Record>, Errno> {
        get(&self.connection.lock(), inode).map_err(errno)
    }

    /// Replaces what is known of an inode; an empty fact is forgotten.
    ///
    /// # Errors
    /// `ENOSPC` where the filesystem is full; `EIO` and its like, from the file.
    pub fn put(&self, identity: Identity, fact: &Fact) -> Result<(), Errno> {
        put(&self.connection.lock(), identity, fact).map_err(errno)
    }

    /// The fact of this very inode; one of an earlier inode with its number is forgotten.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn fact(&self, identity: Identity) -> Result<Option<Fact>, Errno> {
        match self.get(identity.inode())? {
            Some(record) if record.birth == birth(identity).into() => Ok(Some(record.fact)),
            Some(record) => {
                let gone = Identity { birth: record.birth, ..identity };
                self.put(gone, &Fact::default()).map(|()| None)
            }
            None => Ok(None),
        }
    }

    /// The value of an inode's attribute, if it has it.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn attribute(&self, identity: Identity, name: &[u8]) -> Result<Option<Vec<u8>>, Errno> {
        attribute(&self.connection.lock(), key(identity), name).map_err(errno)
    }

    /// The names of an inode's attributes, in order.
    ///
    /// # Errors
    /// As [`Table::get`].
    pub fn attribute_names(&self, identity: Identity) -> Result<Vec<Vec<u8>>, Errno> {
        attribute_names(&self.connection.lock(), key(identity)).map_err(|error| errno(error.into()))
    }

    /// Replaces the value of an attribute by what `change` makes of it, in one step.
    ///
    /// # Errors
    /// As [`Table::put`], and that of `change`: then nothing is changed.
    pub fn change_attribute(&self, identity: Identity, name: &[u8], change: Change) -> Result<(), Errno> {
        let mut connection = self.connection.lock();
        let outcome = change_attribute(&mut connection, key(identity), name, change);
        outcome.unwrap_or_else(|trouble| Err(errno(trouble)))
    }
}

fn get(connection: &Connection, inode: Inode) -> Result<Option<Record>, Trouble> {
    let mut query = connection.prepare_cached(GET)?;
    let (dev, ino) = (inode.dev.cast_signed(), inode.ino.cast_signed());
    let found = query.query_row(params![dev, ino], |row| Ok((record(row)?, row.get(7)?))).optional()?;
    match found {
        Some((record, proof)) if fact_proof((dev, ino, record.birth as i64), &record.fact) != proof => {
            Err(Trouble::Damaged)
        }
        found => Ok(found.map(|(record, _)| record)),
    }
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
    };
    Ok(Record { birth: row.get::<_, i64>(0)?.into(), fact })
}

fn put(connection: &Connection, identity: Identity, fact: &Fact) -> Result<(), Trouble> {
    let (dev, ino, birth) = key(identity);
    if fact.is_empty() {
        connection.prepare_cached(REMOVE)?.execute(params![dev, ino, birth])?;
        return Ok(());
    }
    let device = fact.device;
    let values = params![
        dev,
        ino,
        birth,
        fact.uid.map(|uid| uid.0),
        fact.gid.map(|gid| gid.0),
        fact.mode,
        device.map(|device| device.block),
        device.map(|device| device.major),
        device.map(|device| device.minor),
        fact_proof((dev, ino, birth), fact),
    ];
    connection.prepare_cached(PUT)?.execute(values)?;
    Ok(())
}

fn attribute(
    connection: &Connection,
    (dev, ino, birth): Key,
    name: &[u8],
) -> Result<Option<Vec<u8>>, Trouble> {
    let mut query = connection.prepare_cached(GET_NAMED)?;
    let row = |row: &Row| Ok((row.get::<_, Vec<u8>>(0)?, row.get::<_, i64>(1)?));
    match query.query_row(params![dev, ino, birth, name], row).optional()? {
        Some((value, proof)) if attribute_proof((dev, ino, birth), name, &value) != proof => {
            Err(Trouble::Damaged)
        }
        found => Ok(found.map(|(value, _)| value)),
    }
}

fn attribute_names(connection: &Connection, (dev, ino, birth): Key) -> rusqlite::Result<Vec<Vec<u8>>> {
    connection.prepare_cached(LIST_NAMED)?.query_map(params![dev, ino, birth], |row| row.get(0))?.collect()
}

/// The outer failure is the file's, the inner what `change` says.
fn change_attribute(
    connection: &mut Connection,
    (dev, ino, birth): Key,
    name: &[u8],
    change: Change,
) -> Result<Result<(), Errno>, Trouble> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    let old = attribute(&transaction, (dev, ino, birth), name)?;
    match change(old) {
        Err(errno) => return Ok(Err(errno)),
        Ok(None) => {
            transaction.prepare_cached(REMOVE_NAMED)?.execute(params![dev, ino, birth, name])?;
        }
        Ok(Some(value)) => {
            let proof = attribute_proof((dev, ino, birth), name, &value);
            transaction.prepare_cached(FORGET_NAMED)?.execute(params![dev, ino, birth])?;
            let values = params![dev, ino, birth, name, value, proof];
            transaction.prepare_cached(PUT_NAMED)?.execute(values)?;
        }
    }
    Ok(Ok(transaction.commit()?))
}

fn key(identity: Identity) -> Key {
    (identity.dev.cast_signed(), identity.ino.cast_signed(), birth(identity))
}

/// The birth time as the file holds it, good until the year 2262.
fn birth(identity: Identity) -> i64 {
    i64::try_from(identity.birth).unwrap_or(0)
}

/// What a row of facts with these values bears.
fn fact_proof((dev, ino, birth): Key, fact: &Fact) -> i64 {
    let id = |id: Option<u32>| id.map_or(-1, i64::from);
    let device = fact.device.map(|device| [device.block.into(), device.major.into(), device.minor.into()]);
    let [block, major, minor] = device.unwrap_or([-1; 3]);
    let (uid, gid) = (id(fact.uid.map(|uid| uid.0)), id(fact.gid.map(|gid| gid.0)));
    let values = [dev, ino, birth, uid, gid, id(fact.mode.map(u32::from)), block, major, minor];
    digest(values.into_iter().flat_map(i64::to_le_bytes))
}

/// What a row of an attribute bears.
fn attribute_proof((dev, ino, birth): Key, name: &[u8], value: &[u8]) -> i64 {
    let numbers = [dev, ino, birth, name.len() as i64].into_iter().flat_map(i64::to_le_bytes);
    digest(numbers.chain(name.iter().copied()).chain(value.iter().copied()))
}

/// The 64-bit hash of Fowler, Noll and Vo (FNV-1a): every change of a single byte gives another.
fn digest(bytes: impl Iterator<Item = u8>) -> i64 {
    const BASIS: u64 = 0xCBF2_9CE4_8422_2325;
    const PRIME: u64 = 0x0100_0000_01B3;
    bytes.fold(BASIS, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(PRIME)).cast_signed()
}
