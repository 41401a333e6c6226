//! statx(2): as stat, but often it tells the birth time itself.

use super::inode::{self, Place};
use super::{Guest, Verdict, stat};
use crate::abi::SysResult;
use crate::abi::stat::{STATX, Statx};
use crate::ownership::{Fact, Identity};

/// Lets the kernel answer and corrects it.
pub fn statx(_: &mut dyn Guest) -> Verdict {
    Verdict::Amend(correct)
}

fn correct(guest: &mut dyn Guest, result: SysResult) -> SysResult {
    let value = result?;
    let call = *guest.call();
    let buffer = call.arg(4);
    let mut bytes = [0; Statx::SIZE];
    guest.read(buffer, &mut bytes)?;
    let place = Place::at(call.arg(0), call.arg(1), call.int(2) as u32);
    let fact = fact_of(guest, &Statx::parse(&bytes), place);
    stat::overwrite(guest, &STATX, &mut bytes, fact, buffer)?;
    Ok(value)
}

/// The fact about the inode. A guest may have asked for too little to tell which it is: then a second
/// statx is asked for everything.
fn fact_of(guest: &mut dyn Guest, statx: &Statx, place: Place) -> Option<Fact> {
    if guest.ownership().is_empty() {
        return None;
    }
    let told = Statx::INO | Statx::CTIME | Statx::BTIME;
    let identity = Identity::of(statx);
    if statx.mask & told == told && !guest.ownership().is_unread(identity.inode(), Some(statx.ctime)) {
        return inode::attributes(guest, statx).0;
    }
    stat::fact_of(guest, &statx.reported(), place)
}

#[cfg(test)]
mod tests;
