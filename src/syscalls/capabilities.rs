//! capget(2) and capset(2): kernel/capability.c.

use super::ids::adopt;
use super::{Guest, Verdict, kernel};
use crate::abi::Errno;
use crate::cred::{CapSet, CapSets};

/// `_LINUX_CAPABILITY_VERSION_3`, which the kernel names to who asks with an unknown one.
const PREFERRED: u32 = 0x2008_0522;

/// Bytes of `struct __user_cap_data_struct`: effective, permitted, inheritable, 32 bits each.
const DATA_BYTES: usize = 12;

/// `cap_validate_magic`: how many data structs the header's version has.
fn validate_version(guest: &mut dyn Guest, header: u64) -> Result<usize, Errno> {
    match read_u32(guest, header)? {
        0x1998_0330 => Ok(1),
        0x2007_1026 | PREFERRED => Ok(2),
        _ => {
            guest.write(header, &PREFERRED.to_le_bytes())?;
            Err(Errno::EINVAL)
        }
    }
}

fn read_u32(guest: &mut dyn Guest, address: u64) -> Result<u32, Errno> {
    let mut bytes = [0; 4];
    guest.read(address, &mut bytes)?;
    Ok(u32::from_le_bytes(bytes))
}

/// The process id in the header.
fn header_pid(guest: &mut dyn Guest, header: u64) -> Result<i32, Errno> {
    read_u32(guest, header.wrapping_add(4)).map(|pid| pid as i32)
}

/// capget(2). Of a task that is not traced the kernel's own answer is right.
pub fn capget(guest: &mut dyn Guest) -> Verdict {
    let (header, data) = (guest.call().arg(0), guest.call().arg(1));
    let structs = match validate_version(guest, header) {
        Err(Errno::EINVAL) if data == 0 => return Verdict::Reply(Ok(0)),
        Err(errno) => return Verdict::Reply(Err(errno)),
        Ok(_) if data == 0 => return Verdict::Reply(Ok(0)),
        Ok(structs) => structs,
    };
    let target = match header_pid(guest, header) {
        Err(errno) => return Verdict::Reply(Err(errno)),
        Ok(pid) if pid < 0 => return Verdict::Reply(Err(Errno::EINVAL)),
        Ok(0) => Some(guest.credentials()),
        Ok(pid) => guest.credentials_of(pid),
    };
    let Some(target) = target else { return Verdict::Run };
    let bytes = encode(target.cap_sets());
    guest.write(data, bytes.get(..structs * DATA_BYTES).unwrap_or(&bytes)).map(|()| 0).into()
}

/// capset(2).
pub fn capset(guest: &mut dyn Guest) -> Verdict {
    let old = guest.credentials();
    let change = requested(guest).and_then(|sets| old.capset(sets));
    adopt(guest, &old, change)
}

/// The sets that capset asks for; what a version 1 call cannot name is 0.
fn requested(guest: &mut dyn Guest) -> Result<CapSets, Errno> {
    let (header, data) = (guest.call().arg(0), guest.call().arg(1));
    let structs = validate_version(guest, header)?;
    let pid = header_pid(guest, header)?;
    if pid != 0 && !is_caller(guest, pid) {
        return Err(Errno::EPERM);
    }
    let mut bytes = [0; 2 * DATA_BYTES];
    guest.read(data, bytes.get_mut(..structs * DATA_BYTES).unwrap_or_default())?;
    Ok(decode(&bytes))
}

/// Whether the guest knows the calling task by this id, in whatever pid namespace it is.
fn is_caller(guest: &mut dyn Guest, pid: i32) -> bool {
    guest.inject(&kernel::GETTID, [0; 6]) == Ok(pid as u64)
}

/// Two data structs: the low halves of the three sets, then the high halves.
fn encode(sets: CapSets) -> [u8; 2 * DATA_BYTES] {
    let sets = [sets.effective, sets.permitted, sets.inheritable];
    let words = [0, 32].into_iter().flat_map(|shift| sets.map(|set| (set.0 >> shift) as u32));
    let mut bytes = [0; 2 * DATA_BYTES];
    for (slot, word) in bytes.chunks_exact_mut(4).zip(words) {
        slot.copy_from_slice(&word.to_le_bytes());
    }
    bytes
}

fn decode(bytes: &[u8; 2 * DATA_BYTES]) -> CapSets {
    let set = |index: usize| {
        let word = |at: usize| {
            let word = bytes.get(at..at + 4).and_then(|word| word.try_into().ok());
            u64::from(u32::from_le_bytes(word.unwrap_or_default()))
        };
        CapSet(word(index * 4) | word(DATA_BYTES + index * 4) << 32)
    };
    CapSets { effective: set(0), permitted: set(1), inheritable: set(2) }
}

#[cfg(test)]
mod tests;
