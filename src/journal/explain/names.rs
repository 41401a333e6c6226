//! Names of users and groups, as the container's own files say them.

use std::cell::RefCell;
use std::collections::HashMap;
use std::fs::File;
use std::io::Read;
use std::os::unix::ffi::OsStringExt;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;
use std::rc::Rc;

use super::super::words::shown;
use crate::cred::{CapSet, Credentials};

/// So much of a list is read.
const MOST: u64 = 4 << 20;

/// The names of one root directory.
#[derive(Debug, Default)]
struct Lists {
    users: HashMap<u32, String>,
    groups: HashMap<u32, String>,
}

/// The names of all root directories that were seen.
#[derive(Debug, Default)]
pub struct Names(RefCell<HashMap<Vec<u8>, Rc<Lists>>>);

impl Names {
    fn lists(&self, root: Option<&[u8]>) -> Rc<Lists> {
        let root = root.unwrap_or_default().to_vec();
        let mut known = self.0.borrow_mut();
        let lists = known.entry(root.clone()).or_insert_with(|| {
            Rc::new(Lists { users: read(&root, "/etc/passwd"), groups: read(&root, "/etc/group") })
        });
        Rc::clone(lists)
    }

    /// A user, by name and number.
    pub fn user(&self, root: Option<&[u8]>, id: u32) -> String {
        labelled(self.lists(root).users.get(&id), id)
    }

    /// A group.
    pub fn group(&self, root: Option<&[u8]>, id: u32) -> String {
        labelled(self.lists(root).groups.get(&id), id)
    }

    /// An owner as ls(1) shows it; `None` is what it was.
    pub fn owner(&self, root: Option<&[u8]>, uid: Option<u32>, gid: Option<u32>) -> String {
        let lists = self.lists(root);
        let name = |names: &HashMap<u32, String>, id: Option<u32>| match id {
            Some(id) => names.get(&id).cloned().unwrap_or_else(|| id.to_string()),
            None => String::new(),
        };
        let (user, group) = (name(&lists.users, uid), name(&lists.groups, gid));
        let number = |id: Option<u32>| id.map(|id| id.to_string()).unwrap_or_default();
        let numbers = format!("{}:{}", number(uid), number(gid));
        let names = format!("{user}:{group}");
        if names == numbers { names } else { format!("{names} ({numbers})") }
    }

    /// Who somebody is.
    pub fn who(&self, root: Option<&[u8]>, who: &Credentials) -> String {
        let (user, group) = (|id| self.user(root, id), |id| self.group(root, id));
        let mut text = user(who.euid.0);
        if who.uid != who.euid {
            text += &format!(", really {}", user(who.uid.0));
        }
        if who.suid != who.euid && who.suid != who.uid {
            text += &format!(", saved {}", user(who.suid.0));
        }
        if who.egid.0 != 0 || who.euid.0 != 0 {
            text += &format!(", group {}", group(who.egid.0));
        }
        let others: Vec<String> =
            who.groups.iter().filter(|id| **id != who.egid).map(|id| group(id.0)).collect();
        if !others.is_empty() {
            text += &format!(", also in {}", others.join(", "));
        }
        let effective = who.effective.minus(CapSet::EMPTY);
        match who.euid.0 {
            0 if effective.is_empty() => text += ", without any capability",
            0 if effective != CapSet::FULL => text += ", with fewer capabilities",
            0 => {}
            _ if !effective.is_empty() => text += ", with capabilities",
            _ => {}
        }
        text
    }
}

fn labelled(name: Option<&String>, id: u32) -> String {
    name.map_or_else(|| id.to_string(), |name| format!("{name} ({id})"))
}

/// The names in a list, by id; a regular file only, since nobody waits for another.
fn read(root: &[u8], list: &str) -> HashMap<u32, String> {
    let path = PathBuf::from(std::ffi::OsString::from_vec([root, list.as_bytes()].concat()));
    let file = File::options().read(true).custom_flags(libc::O_NONBLOCK | libc::O_NOCTTY).open(path);
    let mut bytes = Vec::new();
    if let Ok(file) = file
        && file.metadata().is_ok_and(|found| found.is_file())
    {
        let _ = file.take(MOST).read_to_end(&mut bytes); // what there is counts
    }
    let mut names = HashMap::new();
    for line in bytes.split(|&byte| byte == b'\n') {
        let mut fields = line.split(|&byte| byte == b':');
        let (name, id) = (fields.next().unwrap_or_default(), fields.nth(1));
        let id = id.and_then(|id| std::str::from_utf8(id).ok()?.parse().ok());
        if let Some(id) = id {
            names.entry(id).or_insert_with(|| shown(name));
        }
    }
    names
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cred::{Gid, Uid};

    #[test]
    fn somebody_is_named_as_the_lists_of_his_root_say() {
        let root = std::env::temp_dir().join(format!("remainroot-names-{}", std::process::id()));
        std::fs::create_dir_all(root.join("etc")).expect("the name is free");
        std::fs::write(root.join("etc/passwd"), "root:x:0:0::/:\nbob\x1b:x:7:8::/:\nbroken\n")
            .expect("it is ours");
        std::fs::write(root.join("etc/group"), "root:x:0:\nteam:x:8:bob\n").expect("it is ours");
        let (names, path) = (Names::default(), Some(root.as_os_str().as_encoded_bytes()));
        assert_eq!(names.owner(path, Some(7), Some(9)), "bob\\033:9 (7:9)");
        assert_eq!(names.owner(path, None, Some(8)), ":team (:8)");
        let plain = Credentials {
            uid: Uid(7),
            euid: Uid(7),
            suid: Uid(7),
            egid: Gid(8),
            effective: CapSet::EMPTY,
            ..Credentials::root()
        };
        assert_eq!(names.who(path, &plain), "bob\\033 (7), group team (8)");
        assert_eq!(names.who(path, &Credentials::root()), "root (0)");
        std::fs::remove_dir_all(root).expect("it is there");
    }
}
