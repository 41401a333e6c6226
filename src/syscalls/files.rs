//! A little filesystem for handler tests: it answers the calls that handlers inject, as the kernel of a
//! namespace that maps only root would.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use super::fake::{FakeGuest, Memory};
use super::inode::AT_EMPTY_PATH;
use super::{Guest, Verdict, kernel};
use crate::abi::stat::{LARGEST, Statx, X86_64};
use crate::abi::{Abi, Errno, SysResult};
use crate::cred::{CapSet, Credentials, Gid, Uid};

/// An inode as the kernel has it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Node {
    pub(crate) ino: u64,
    pub(crate) birth: u64,
    pub(crate) ctime: u64,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) mode: u16,
    pub(crate) attributes: u64,
    pub(crate) length: u64,
}

/// Device number of the filesystem.
pub(crate) const DEV: u64 = 0xFE00;
/// Where [`Files::at`] writes paths.
const PATHS: u64 = 0x1_0000;
/// Where stats are written.
pub(crate) const BUFFER: u64 = 0x2_0000;

/// Shared by the test and the guest's kernel. Descriptor *n* is a path too.
#[derive(Debug, Clone, Default)]
pub(crate) struct Files(Rc<RefCell<State>>);

#[derive(Debug, Default)]
struct State {
    /// The extended attributes, by path and name.
    xattrs: BTreeMap<(Vec<u8>, Vec<u8>), Vec<u8>>,
    nodes: BTreeMap<Vec<u8>, Node>,
    descriptors: BTreeMap<u64, Vec<u8>>,
    clock: u64,
    read_only: bool,
    copies_up: bool,
}

impl Files {
    /// A guest whose injected calls these files answer.
    pub(crate) fn guest(&self, credentials: Credentials) -> FakeGuest {
        let mut guest = FakeGuest::with(credentials);
        let files = self.clone();
        guest.memory.map(PATHS, &[0; 4096]);
        guest.memory.map(BUFFER, &[0; LARGEST]);
        guest.kernel = Some(Box::new(move |memory, call, args| files.answer(memory, call.name, args)));
        guest
    }

    /// Makes an inode at `path` as root of the namespace; gives its number.
    pub(crate) fn make(&self, path: &str, mode: u16) -> u64 {
        let mut state = self.0.borrow_mut();
        state.clock += 1;
        let (ino, birth) = (state.clock + 100, state.clock);
        let node = Node { ino, birth, ctime: birth, uid: 0, gid: 0, mode, attributes: 0, length: 0 };
        state.nodes.insert(path.into(), node);
        ino
    }

    /// Changes an inode.
    pub(crate) fn edit(&self, path: &str, edit: impl FnOnce(&mut Node)) {
        self.0.borrow_mut().nodes.get_mut(path.as_bytes()).map(edit).expect("no such file");
    }

    /// Makes descriptor `number` one of `path`.
    pub(crate) fn open(&self, number: u64, path: &str) {
        self.0.borrow_mut().descriptors.insert(number, path.into());
    }

    /// From now on the filesystem is read-only.
    pub(crate) fn set_read_only(&self) {
        self.0.borrow_mut().read_only = true;
    }

    /// From now on the first change gives an inode another birth time, as overlayfs does.
    pub(crate) fn set_copies_up(&self) {
        self.0.borrow_mut().copies_up = true;
    }

    /// The inode as the kernel has it.
    pub(crate) fn node(&self, path: &str) -> Node {
        self.0.borrow().nodes[path.as_bytes()]
    }

    /// An extended attribute as the kernel has it.
    pub(crate) fn xattr(&self, path: &str, name: &str) -> Option<Vec<u8>> {
        self.0.borrow().xattrs.get(&(path.into(), name.into())).cloned()
    }

    /// Which inode a path names.
    pub(crate) fn identity(&self, path: &str) -> crate::ownership::Identity {
        crate::ownership::Identity::of(&Statx::parse(&statx(&self.node(path))))
    }

    /// Puts a path into the guest's memory; gives its address.
    pub(crate) fn at(guest: &mut FakeGuest, path: &str) -> u64 {
        let address = PATHS + 64 * (path.len() as u64 % 4);
        guest.memory.map(address, path.as_bytes());
        guest.memory.map(address + path.len() as u64, &[0]);
        address
    }

    pub(crate) fn answer(&self, memory: &mut Memory, name: &str, args: [u64; 6]) -> SysResult {
        let mut state = self.0.borrow_mut();
        let [first, second, third, fourth, fifth, _] = args;
        match name {
            "statx" => {
                let node = *state.find(memory, first, second, third)?;
                memory.write(fifth, &statx(&node)).map(|()| 0)
            }
            "fchownat" => state.change(memory, first, second, fifth, |node| node.chown([third, fourth])),
            "fchown" => state.change_open(first, |node| node.chown([second, third])),
            "fchmodat" => state.change(memory, first, second, 0, |node| node.chmod(third as u16)),
            "fchmodat2" => state.change(memory, first, second, fourth, |node| node.chmod(third as u16)),
            "fchmod" => state.change_open(first, |node| node.chmod(second as u16)),
            "openat" => Err(Errno::EOPNOTSUPP), // a filesystem without O_TMPFILE
            "fcntl" => state.descriptors.get(&first).map(|_| 0o2).ok_or(Errno::EBADF),
            "unlinkat" => {
                let path = memory.string(second)?;
                state.nodes.remove(&path).map(|_| 0).ok_or(Errno::ENOENT)
            }
            "renameat2" => {
                let node = state.nodes.remove(&memory.string(second)?).ok_or(Errno::ENOENT)?;
                state.nodes.insert(memory.string(fourth)?, node);
                Ok(0)
            }
            "linkat" => Err(Errno::EPERM), // of a directory
            "fsetxattr" => state.set_xattr(memory, first, second, third, fourth),
            "removexattr" | "lremovexattr" if state.read_only => Err(Errno::EROFS),
            "removexattr" | "lremovexattr" => Err(Errno::ENODATA),
            "getxattr" => Err(Errno::ENODATA), // they are only set by descriptor
            "fgetxattr" => state.get_xattr(memory, first, second, third, fourth),
            "fremovexattr" => state.remove_xattr(memory, first, second),
            "flistxattr" => state.list_xattrs(memory, first, second, third),
            other => panic!("nobody expected {other}"),
        }
    }
}

impl State {
    /// The key of an attribute, which the kernel of a namespace takes.
    fn xattr(&self, memory: &Memory, descriptor: u64, name: u64) -> Result<(Vec<u8>, Vec<u8>), Errno> {
        let path = self.descriptors.get(&descriptor).cloned().ok_or(Errno::EBADF)?;
        let name = memory.string(name)?;
        let refused = name.starts_with(b"trusted.")
            || name.starts_with(b"security.") && name != b"security.capability"
            || self.nodes.get(&path).is_some_and(|node| node.uid != 0);
        if refused { Err(Errno::EPERM) } else { Ok((path, name)) }
    }

    fn set_xattr(&mut self, memory: &Memory, descriptor: u64, name: u64, value: u64, size: u64) -> SysResult {
        let key = self.xattr(memory, descriptor, name)?;
        let mut bytes = vec![0; size as usize];
        memory.read(value, &mut bytes)?;
        self.xattrs.insert(key, bytes);
        Ok(0)
    }

    fn get_xattr(
        &mut self,
        memory: &mut Memory,
        descriptor: u64,
        name: u64,
        value: u64,
        size: u64,
    ) -> SysResult {
        let key = self.xattr(memory, descriptor, name).map_err(|_| Errno::ENODATA)?;
        let found = self.xattrs.get(&key).ok_or(Errno::ENODATA)?;
        match size {
            0 => {}
            size if size < found.len() as u64 => return Err(Errno::ERANGE),
            _ => memory.write(value, found)?,
        }
        Ok(found.len() as u64)
    }

    fn remove_xattr(&mut self, memory: &Memory, descriptor: u64, name: u64) -> SysResult {
        let key = self.xattr(memory, descriptor, name)?;
        self.xattrs.remove(&key).map(|_| 0).ok_or(Errno::ENODATA)
    }

    fn list_xattrs(&mut self, memory: &mut Memory, descriptor: u64, list: u64, size: u64) -> SysResult {
        let path = self.descriptors.get(&descriptor).ok_or(Errno::EBADF)?;
        let of_path = self.xattrs.keys().filter(|(of, _)| of == path);
        let names: Vec<u8> = of_path.flat_map(|(_, name)| [name, &b"\0"[..]].concat()).collect();
        match size {
            0 => {}
            size if size < names.len() as u64 => return Err(Errno::ERANGE),
            _ => memory.write(list, &names)?,
        }
        Ok(names.len() as u64)
    }

    fn find(&mut self, memory: &Memory, directory: u64, path: u64, flags: u64) -> Result<&mut Node, Errno> {
        let path = memory.string(path)?;
        let path = match path.as_slice() {
            b"" if flags as u32 & AT_EMPTY_PATH == 0 => return Err(Errno::ENOENT),
            b"" => self.descriptors.get(&directory).cloned().ok_or(Errno::EBADF)?,
            _ => path,
        };
        self.nodes.get_mut(&path).ok_or(Errno::ENOENT)
    }

    fn change(
        &mut self,
        memory: &Memory,
        directory: u64,
        path: u64,
        flags: u64,
        change: impl FnOnce(&mut Node) -> Result<(), Errno>,
    ) -> SysResult {
        let (read_only, clock) = (self.read_only, self.clock + 1);
        let copied = std::mem::take(&mut self.copies_up);
        self.clock = clock;
        let node = self.find(memory, directory, path, flags)?;
        if read_only {
            return Err(Errno::EROFS);
        }
        change(node)?;
        node.ctime = clock;
        if copied {
            node.birth = clock;
        }
        Ok(0)
    }

    fn change_open(
        &mut self,
        descriptor: u64,
        change: impl FnOnce(&mut Node) -> Result<(), Errno>,
    ) -> SysResult {
        let path = self.descriptors.get(&descriptor).cloned().ok_or(Errno::EBADF)?;
        self.clock += 1;
        let node = self.nodes.get_mut(&path).ok_or(Errno::ENOENT)?;
        change(node)?;
        node.ctime = self.clock;
        Ok(0)
    }
}

impl Node {
    fn chown(&mut self, ids: [u64; 2]) -> Result<(), Errno> {
        if self.uid != 0 && ids != [u64::from(u32::MAX); 2] {
            return Err(Errno::EPERM);
        }
        let kills = self.mode & 0o170_000 != 0o040_000 && self.mode & 0o6000 != 0;
        if kills && self.uid != 0 {
            return Err(Errno::EPERM);
        }
        if kills {
            self.mode &= if self.mode & 0o010 == 0 { !0o4000 } else { !0o6000 };
        }
        Ok(())
    }

    fn chmod(&mut self, mode: u16) -> Result<(), Errno> {
        if self.uid != 0 {
            return Err(Errno::EPERM);
        }
        let lost = if self.gid == 0 { 0 } else { 0o2000 };
        self.mode = (self.mode & 0o170_000) | (mode & !lost);
        Ok(())
    }
}

/// The bytes of a `struct statx` of this inode.
pub(crate) fn statx(node: &Node) -> [u8; Statx::SIZE] {
    let mut bytes = [0; Statx::SIZE];
    let mut put = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
    put(0, &Statx::MASK.to_le_bytes());
    put(8, &node.attributes.to_le_bytes());
    put(16, &1_u32.to_le_bytes());
    put(20, &node.uid.to_le_bytes());
    put(24, &node.gid.to_le_bytes());
    put(28, &node.mode.to_le_bytes());
    put(32, &node.ino.to_le_bytes());
    put(40, &node.length.to_le_bytes());
    put(80, &node.birth.to_le_bytes());
    put(96, &node.ctime.to_le_bytes());
    put(136, &0xFE_u32.to_le_bytes());
    bytes
}

/// The bytes of an x86_64 `struct stat` of this inode.
pub(crate) fn stat(node: &Node) -> [u8; 144] {
    let mut bytes = [0x11; 144];
    let mut put = |offset: usize, value: &[u8]| bytes[offset..offset + value.len()].copy_from_slice(value);
    put(0, &DEV.to_le_bytes());
    put(8, &node.ino.to_le_bytes());
    put(24, &u32::from(node.mode).to_le_bytes());
    put(28, &node.uid.to_le_bytes());
    put(32, &node.gid.to_le_bytes());
    put(48, &node.length.to_le_bytes());
    put(104, &node.ctime.to_le_bytes());
    put(112, &0_u64.to_le_bytes());
    bytes
}

/// Owner, group and mode that a stat of `path` shows.
pub(crate) fn shown(guest: &mut FakeGuest, files: &Files, path: &str) -> (u32, u32, u16) {
    let address = Files::at(guest, path);
    let node = files.node(path);
    guest.memory.map(BUFFER, &stat(&node));
    assert_eq!(guest.finish(Abi::X86_64, "stat", &[address, BUFFER], Ok(0)), Ok(0));
    let mut bytes = [0; 144];
    guest.memory.read(BUFFER, &mut bytes).expect("the buffer is mapped");
    let reported = X86_64.read(&bytes);
    (reported.uid, reported.gid, reported.mode)
}

/// A user without capabilities.
pub(crate) fn user(id: u32) -> Credentials {
    let (uid, gid) = (Uid(id), Gid(id));
    Credentials {
        uid,
        euid: uid,
        suid: uid,
        fsuid: uid,
        gid,
        egid: gid,
        sgid: gid,
        fsgid: gid,
        effective: CapSet::EMPTY,
        permitted: CapSet::EMPTY,
        ..Credentials::root()
    }
}

/// Gives `path` to `uid` and `gid` as root would.
pub(crate) fn chown(guest: &mut FakeGuest, path: &str, uid: u32, gid: u32) -> SysResult {
    let address = Files::at(guest, path);
    match guest.verdict(Abi::X86_64, "chown", &[address, uid.into(), gid.into()]) {
        Verdict::Reply(result) => result,
        Verdict::Run => Ok(0),
        Verdict::Amend(finish) => {
            let result = guest.inject(&kernel::FCHOWNAT, [0, address, uid.into(), gid.into(), 0, 0]);
            finish(guest, result)
        }
        other => panic!("chown gave {other:?}"),
    }
}
