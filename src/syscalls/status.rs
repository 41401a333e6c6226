//! `/proc/PID/status` where the kernel does not know the guest's root as one: the text says what the emulation says of that
//! task. libcap-ng takes bounding sets from there.
//!
//! The kernel opens it; then a file of memory with the text as it is to be takes its place. What is open tells of the moment
//! when it was opened.

use std::fmt::Write;

use super::{Guest, device, inode, kernel};
use crate::abi::SysResult;
use crate::cred::{CapSet, Credentials};

const O_ACCMODE: u32 = 3;
const O_CREAT: u32 = 0o100;
const O_TRUNC: u32 = 0o1000;
const O_CLOEXEC: u32 = 0o2_000_000;
/// The name of such a file.
const NAME: &[u8] = b"status";

/// Whether an open of the path at `path` with `flags` may open one that says something else than the kernel.
pub fn is_asked(guest: &mut dyn Guest, path: u64, flags: u32) -> bool {
    guest.view().lacks_privilege()
        && flags & (O_ACCMODE | O_CREAT | O_TRUNC | device::INERT) == 0
        && inode::string(guest, path).is_ok_and(|path| path.ends_with(NAME))
}

/// What the guest gets for an open with `flags` that gave `result`.
pub fn opened(guest: &mut dyn Guest, result: SysResult, flags: u32) -> SysResult {
    let descriptor = result?;
    if let Some(text) = told(guest, descriptor) {
        // Where it cannot be exchanged the kernel's own stays.
        let _ = exchange(guest, descriptor, &text, flags);
    }
    result
}

/// What is to be read at a descriptor of the status of a task of this run.
fn told(guest: &mut dyn Guest, descriptor: u64) -> Option<String> {
    let text = guest.proc_text(descriptor)?;
    let id = text.lines().find_map(|line| line.strip_prefix("Pid:"))?.trim().parse().ok()?;
    // All tasks of a run have the kernel's own id.
    let uid = text.lines().find_map(|line| line.strip_prefix("Uid:"))?.split_whitespace().next()?;
    if uid.parse() != Ok(guest.view().kernel_uid) {
        return None;
    }
    let who = guest.credentials_of(id)?;
    Some(amended(&text, &who)).filter(|new| *new != text)
}

/// Puts a file with this text where another is open.
fn exchange(guest: &mut dyn Guest, descriptor: u64, text: &str, flags: u32) -> SysResult {
    if !device::may_open_real(guest) {
        return Ok(descriptor);
    }
    let file = device::borrow(guest, |guest, socket| guest.send_text(socket, text.as_bytes()))?;
    let put = guest.inject(&kernel::DUP3, [file, descriptor, u64::from(flags & O_CLOEXEC), 0, 0, 0]);
    guest.inject(&kernel::CLOSE, [file, 0, 0, 0, 0, 0])?;
    put
}

/// The text of `/proc/PID/status` with the emulated credentials of that task.
fn amended(text: &str, who: &Credentials) -> String {
    let ids = |ids: [u32; 4]| ids.map(|id| format!("\t{id}")).concat();
    let set = |set: CapSet| format!("\t{:016x}", set.0);
    let value = |name: &str| {
        Some(match name {
            "Uid" => ids([who.uid, who.euid, who.suid, who.fsuid].map(|id| id.0)),
            "Gid" => ids([who.gid, who.egid, who.sgid, who.fsgid].map(|id| id.0)),
            "Groups" => {
                let all: Vec<String> = who.groups.iter().map(|group| group.0.to_string()).collect();
                format!("\t{} ", all.join(" "))
            }
            "CapInh" => set(who.inheritable),
            "CapPrm" => set(who.permitted),
            "CapEff" => set(who.effective),
            "CapBnd" => set(who.bounding),
            "CapAmb" => set(who.ambient),
            "NoNewPrivs" => format!("\t{}", u8::from(who.no_new_privs)),
            _ => return None,
        })
    };
    let mut new = String::with_capacity(text.len());
    for line in text.lines() {
        let known = line.split_once(':').and_then(|(name, _)| Some((name, value(name)?)));
        let _ = match known {
            Some((name, value)) => writeln!(new, "{name}:{value}"),
            None => writeln!(new, "{line}"),
        };
    }
    new
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syscalls::files::user;

    #[test]
    fn a_status_says_the_emulated_credentials_and_all_else_as_the_kernel() {
        let kernels = "Name:\tsh\nUmask:\t0022\nPid:\t7\nUid:\t5\t5\t5\t5\nGid:\t5\t5\t5\t5\nGroups:\t \nThreads:\t1\n\
                       CapInh:\t0000000000000000\nCapPrm:\t0000000000000000\nCapEff:\t0000000000000000\n\
                       CapBnd:\t0000000000000000\nCapAmb:\t0000000000000000\nNoNewPrivs:\t1\nSeccomp:\t2\n";
        let root = amended(kernels, &Credentials::root());
        let full = format!("{:016x}", CapSet::FULL.0);
        for line in ["Name:\tsh", "Uid:\t0\t0\t0\t0", "Groups:\t ", "NoNewPrivs:\t0", "Seccomp:\t2"] {
            assert!(root.lines().any(|it| it == line), "{line}: {root}");
        }
        assert_eq!(root.matches(&full).count(), 3, "{root}");
        assert_eq!(root.lines().count(), kernels.lines().count());
        let dropped = amended(kernels, &user(33));
        assert!(
            dropped.contains("Uid:\t33\t33\t33\t33\n") && dropped.contains("CapEff:\t0000000000000000\n")
        );
    }
}
