use super::*;
use crate::abi::Abi;
use crate::abi::stat::Statx;
use crate::cred::Credentials;
use crate::ownership::{Device, Fact};
use crate::syscalls::fake::FakeGuest;
use crate::syscalls::files::{Files, statx};

const BUFFER: u64 = 0x9000;
const DIRECTORY: u64 = 3;

/// A `struct linux_dirent64`.
fn record(ino: u64, kind: u8, name: &str) -> Vec<u8> {
    let length = (20 + name.len()).next_multiple_of(8);
    let mut bytes = vec![0; length];
    bytes[..8].copy_from_slice(&ino.to_le_bytes());
    bytes[16..18].copy_from_slice(&(length as u16).to_le_bytes());
    bytes[18] = kind;
    bytes[19..19 + name.len()].copy_from_slice(name.as_bytes());
    bytes
}

/// A guest with a block device `sda` and a file `f`, both of which the tracer can see.
fn setting() -> (Files, FakeGuest) {
    let files = Files::default();
    let mut guest = files.guest(Credentials::root());
    for name in ["sda", "f"] {
        files.make(name, 0o100_644);
        let found = Statx::parse(&statx(&files.node(name)));
        guest.observed.insert((DIRECTORY, name.into()), found);
    }
    let device = Some(Device { block: true, major: 8, minor: 0 });
    guest.ownership.change(files.identity("sda"), |_| Fact { device, ..Fact::default() });
    (files, guest)
}

/// The types in a listing after the call.
fn kinds(guest: &mut FakeGuest, records: &[Vec<u8>]) -> Vec<u8> {
    let listing = records.concat();
    guest.memory.map(BUFFER, &listing);
    let length = listing.len() as u64;
    let args = [DIRECTORY, BUFFER, length];
    assert_eq!(guest.finish(Abi::X86_64, "getdents64", &args, Ok(length)), Ok(length));
    let mut listing = vec![0; listing.len()];
    guest.memory.read(BUFFER, &mut listing).unwrap();
    let mut at = 0;
    records
        .iter()
        .map(|record| {
            let kind = listing[at + 18];
            at += record.len();
            kind
        })
        .collect()
}

#[test]
fn a_device_is_listed_as_one_and_the_rest_as_it_is() {
    let (files, mut guest) = setting();
    let [sda, f] = ["sda", "f"].map(|name| files.node(name).ino);
    let records =
        [record(f, DT_REG, "f"), record(sda, DT_REG, "sda"), record(9, 4, "d"), record(sda, 10, "l")];
    assert_eq!(kinds(&mut guest, &records), [DT_REG, DT_BLK, 4, 10]);
}

#[test]
fn a_long_listing_is_corrected_to_its_end() {
    let (files, mut guest) = setting();
    let mut records: Vec<_> =
        (0..3000).map(|index| record(index, 4, &format!("directory-{index}"))).collect();
    records.push(record(files.node("sda").ino, DT_REG, "sda"));
    assert!(records.concat().len() > 2 * PIECE);
    assert_eq!(kinds(&mut guest, &records).last(), Some(&DT_BLK));
}

#[test]
fn a_number_that_another_file_has_got_is_no_device() {
    let (files, mut guest) = setting();
    let mut other = files.node("sda");
    other.birth += 1;
    guest.observed.insert((DIRECTORY, b"new".to_vec()), Statx::parse(&statx(&other)));
    assert_eq!(kinds(&mut guest, &[record(other.ino, DT_REG, "new")]), [DT_REG]);
    assert_eq!(kinds(&mut guest, &[record(other.ino, DT_REG, "gone")]), [DT_REG]);
}

#[test]
fn errors_and_the_end_are_the_kernels() {
    let (_, mut guest) = setting();
    for result in [Err(Errno::ENOTDIR), Ok(0)] {
        assert_eq!(guest.finish(Abi::I386, "getdents", &[DIRECTORY, BUFFER, 0], result), result);
    }
}
