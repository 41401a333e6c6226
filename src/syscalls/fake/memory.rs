//! The memory of a guest for unit tests.

use std::collections::BTreeMap;

use crate::abi::Errno;

/// Byte-wise sparse memory: what was never mapped faults.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    bytes: BTreeMap<u64, u8>,
    read_only: Vec<std::ops::Range<u64>>,
}

impl Memory {
    /// Maps `bytes` at `address`, readable and writable.
    pub(crate) fn map(&mut self, address: u64, bytes: &[u8]) {
        self.bytes.extend((address..).zip(bytes.iter().copied()));
    }

    /// Maps `bytes` at `address` so that writes fault.
    pub(crate) fn map_read_only(&mut self, address: u64, bytes: &[u8]) {
        self.map(address, bytes);
        self.read_only.push(address..address + bytes.len() as u64);
    }

    /// Fills `into` from `address`.
    pub(crate) fn read(&self, address: u64, into: &mut [u8]) -> Result<(), Errno> {
        for (address, byte) in (address..).zip(into) {
            *byte = *self.bytes.get(&address).ok_or(Errno::EFAULT)?;
        }
        Ok(())
    }

    /// Writes `bytes` at `address`, up to the first byte that faults.
    pub(crate) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), Errno> {
        for (address, &byte) in (address..).zip(bytes) {
            if self.read_only.iter().any(|area| area.contains(&address)) {
                return Err(Errno::EFAULT);
            }
            *self.bytes.get_mut(&address).ok_or(Errno::EFAULT)? = byte;
        }
        Ok(())
    }

    /// The NUL-terminated string at `address`, without its NUL.
    pub(crate) fn string(&self, address: u64) -> Result<Vec<u8>, Errno> {
        let mut text = Vec::new();
        for address in address.. {
            match self.bytes.get(&address) {
                Some(0) => break,
                Some(&byte) => text.push(byte),
                None => return Err(Errno::EFAULT),
            }
        }
        Ok(text)
    }
}
