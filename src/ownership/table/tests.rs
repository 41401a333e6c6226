use super::super::Moment;
use super::*;
use crate::abi::stat::Time;
use crate::cred::{Gid, Uid};
use crate::ownership::{Device, Fact, Filesystem, Times};

/// A directory of a test's own.
struct Place(PathBuf);

impl Place {
    fn new(name: &str) -> Place {
        let path = std::env::temp_dir().join(format!("remainroot-table-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&path);
        fs::create_dir_all(&path).expect("a directory for the test");
        Place(path)
    }

    fn file(&self) -> PathBuf {
        self.0.join("below/store")
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let _ = fs::remove_dir_all(&self.0);
    }
}

const FILESYSTEM: Filesystem = Filesystem { id: -1, fleeting: false };

fn key(ino: u64, birth: i64) -> Key {
    Key { filesystem: FILESYSTEM, ino, birth, copied: false }
}

fn owned(uid: u32) -> Fact {
    Fact { uid: Some(Uid(uid)), ..Fact::default() }
}

#[test]
fn facts_are_there_when_the_file_is_opened_again() {
    let place = Place::new("again");
    let device = Some(Device { block: true, major: u32::MAX, minor: 70_000 });
    let time = |seconds| Time { seconds, nanoseconds: 999_999_999 };
    let moment = Some(Moment { shown: time(-1), real: time(i64::MAX) });
    let times = Times { atime: None, mtime: moment };
    let whole = Fact {
        uid: Some(Uid(4_294_967_294)),
        gid: Some(Gid(0)),
        mode: Some(0o7777),
        device,
        times,
        flags: 0x30,
    };
    {
        let table = Table::open(&place.file()).unwrap();
        table.put(key(1, 7), &whole).unwrap();
        table.put(key(2, 7), &owned(5)).unwrap();
        table.put(key(2, 7), &Fact::default()).unwrap();
    }
    assert!(Table::has_facts(&place.file()).unwrap());
    let table = Table::open(&place.file()).unwrap();
    assert_eq!(table.fact(key(1, 7)), Ok(Some(whole)));
    assert_eq!(table.fact(key(2, 7)), Ok(None));
}

#[test]
fn an_inode_number_used_again_has_no_fact_and_the_old_one_is_forgotten() {
    let place = Place::new("reuse");
    let table = Table::open(&place.file()).unwrap();
    table.put(key(1, 7), &owned(5)).unwrap();
    assert_eq!(table.fact(key(1, 8)), Ok(None));
    assert_eq!(table.get(FILESYSTEM, 1), Ok(None));
}

#[test]
fn two_that_are_open_at_once_see_what_the_other_writes() {
    let place = Place::new("two");
    let [one, other] = [(); 2].map(|()| Table::open(&place.file()).unwrap());
    std::thread::scope(|scope| {
        for (table, from) in [(&one, 0), (&other, 500)] {
            scope.spawn(move || (from..from + 500).for_each(|i| table.put(key(i, 1), &owned(9)).unwrap()));
        }
    });
    for table in [&one, &other] {
        assert!((0..1000).all(|ino| table.fact(key(ino, 1)) == Ok(Some(owned(9)))));
    }
}

#[test]
fn there_is_nothing_in_a_file_that_is_not_there() {
    let place = Place::new("none");
    assert!(!Table::has_facts(&place.file()).unwrap());
    assert!(!place.file().exists());
}

#[test]
fn what_is_no_store_of_ours_is_reported_and_left_as_it_is() {
    let place = Place::new("corrupt");
    let file = place.file();
    let table = Table::open(&file).unwrap();
    (0..2000).for_each(|ino| table.put(key(ino, 1), &owned(5)).unwrap());
    drop(table);
    let whole = fs::read(&file).unwrap();
    let garbage = b"a letter to somebody".repeat(300);
    let mut damaged = whole.clone();
    damaged.get_mut(5000..9000).unwrap().fill(0xAA);
    let truncated = whole.get(..whole.len() / 2 + 100).unwrap().to_vec();
    for (what, bytes) in [("garbage", &garbage), ("damaged", &damaged), ("truncated", &truncated)] {
        fs::write(&file, bytes).unwrap();
        for outcome in [Table::has_facts(&file).map(drop), Table::open(&file).map(drop)] {
            let said = outcome.expect_err(what).to_string();
            assert!(said.contains(file.to_str().unwrap()) && !said.contains('\n'), "{said}");
        }
        assert!(fs::read(&file).unwrap() == *bytes, "{what} is left as it was");
    }
}

#[test]
fn another_programs_database_is_left_alone() {
    let place = Place::new("foreign");
    let file = place.file();
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    Connection::open(&file).unwrap().execute_batch("CREATE TABLE letters (text)").unwrap();
    let before = fs::read(&file).unwrap();
    let said = Table::open(&file).expect_err("it is not ours").to_string();
    assert!(said.contains("not one of remainroot's"), "{said}");
    assert!(fs::read(&file).unwrap() == before);
}

#[test]
fn many_may_make_the_file_at_once() {
    for round in 0..20 {
        let place = Place::new(&format!("birth-{round}"));
        std::thread::scope(|scope| {
            for ino in 0..4 {
                let file = place.file();
                scope.spawn(move || {
                    Table::has_facts(&file).unwrap();
                    Table::open(&file).unwrap().put(key(ino, 1), &owned(9)).unwrap();
                });
            }
        });
        let table = Table::open(&place.file()).unwrap();
        assert!((0..4).all(|ino| table.fact(key(ino, 1)) == Ok(Some(owned(9)))));
    }
}

#[test]
fn attributes_are_there_when_the_file_is_opened_again_and_belong_to_one_birth() {
    let place = Place::new("named");
    let put = |table: &Table, birth, name: &[u8], value: &[u8]| {
        table.change_attribute(key(1, birth), name, &mut |_| Ok(Some(value.to_owned()))).unwrap();
    };
    {
        let table = Table::open(&place.file()).unwrap();
        put(&table, 7, b"trusted.b", b"\0\xFF");
        put(&table, 7, b"trusted.a", b"");
        put(&table, 7, b"trusted.c", &[3; 65536]);
    }
    assert!(Table::has_facts(&place.file()).unwrap());
    let table = Table::open(&place.file()).unwrap();
    let names = [b"trusted.a", b"trusted.b", b"trusted.c"].map(|name| name.to_vec()).to_vec();
    assert_eq!(table.attribute_names(key(1, 7)), Ok(names));
    assert_eq!(table.attribute(key(1, 7), b"trusted.a"), Ok(Some(vec![])));
    assert_eq!(table.attribute(key(1, 7), b"trusted.b"), Ok(Some(vec![0, 255])));
    assert_eq!(table.attribute(key(1, 7), b"trusted.d"), Ok(None));
    assert_eq!(table.attribute_names(key(1, 8)), Ok(vec![]), "another inode with its number");
    put(&table, 8, b"trusted.e", b"x");
    assert_eq!(table.attribute_names(key(1, 7)), Ok(vec![]), "which the first did not outlive");
    let refused = table.change_attribute(key(1, 8), b"trusted.e", &mut |old| {
        assert_eq!(old.as_deref(), Some(&b"x"[..]));
        Err(Errno::EEXIST)
    });
    assert_eq!(refused, Err(Trouble::Refused(Errno::EEXIST)));
    table.change_attribute(key(1, 8), b"trusted.e", &mut |_| Ok(None)).unwrap();
    assert_eq!(table.attribute(key(1, 8), b"trusted.e"), Ok(None));
    drop(table);
    assert!(!Table::has_facts(&place.file()).unwrap());
}

#[test]
fn a_value_that_nobody_wrote_is_no_owner() {
    let place = Place::new("flipped");
    let table = Table::open(&place.file()).unwrap();
    table.put(key(1, 7), &owned(5)).unwrap();
    table.change_attribute(key(1, 7), b"n", &mut |_| Ok(Some(b"value".to_vec()))).unwrap();
    for flip in ["facts SET uid = 6", "facts SET mode = 0", "facts SET proof = 1"] {
        table.put(key(1, 7), &owned(5)).unwrap();
        table.connection().unwrap().execute_batch(&format!("UPDATE {flip}")).unwrap();
        assert_eq!(
            table.fact(key(1, 7)),
            Err(Trouble::Damaged("a row is not what was written".to_owned())),
            "{flip}"
        );
    }
    table.connection().unwrap().execute_batch("UPDATE attributes SET value = x'76616C7565'").unwrap();
    assert_eq!(table.attribute(key(1, 7), b"n"), Ok(Some(b"value".to_vec())));
    table.connection().unwrap().execute_batch("UPDATE attributes SET value = x'76616C7566'").unwrap();
    assert_eq!(table.attribute(key(1, 7), b"n").map_err(|trouble| trouble.errno()), Err(Errno::EIO));
}

#[test]
fn an_inode_that_was_copied_up_is_found_by_its_birth_under_its_other_number() {
    let place = Place::new("copied");
    let table = Table::open(&place.file()).unwrap();
    table.put(Key { copied: true, ..key(1, 7) }, &owned(5)).unwrap();
    table.put(key(1, 7), &owned(6)).unwrap();
    table.put(key(2, 8), &owned(9)).unwrap();
    assert_eq!(table.fact(key(1, 3)), Ok(None), "what the layer below has under the number");
    assert_eq!(table.fact(key(3, 8)), Ok(None), "which was never copied");
    assert_eq!(table.fact(key(4, 7)), Ok(Some(owned(6))));
    assert_eq!(table.get(FILESYSTEM, 1), Ok(None));
    assert_eq!(table.fact(key(4, 7)), Ok(Some(owned(6))));
    assert_eq!(table.fact(key(5, 7)), Ok(None), "it has its number now");
    for number in [10, 11] {
        table.put(Key { copied: true, ..key(number, 20) }, &owned(1)).unwrap();
    }
    assert_eq!(table.fact(key(12, 20)), Ok(None), "one of the two");
}
