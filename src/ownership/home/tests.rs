use super::*;

const INODE: Inode = Inode { dev: 1, ino: 2 };

fn lasting() -> Lasting {
    let home = Home { mark: Some(Mark::Nowhere), evidence: Evidence::Facts, ..Home::default() };
    Lasting::new(home, Voice::default()).expect("it lasts")
}

/// Whether what was read at this ctime counts.
fn counts(lasting: &Lasting, ctime: Ctime) -> bool {
    let mut counts = false;
    lasting.end_reading(INODE, (ctime, true), (0, false), || counts = true);
    counts
}

#[test]
fn an_inode_is_read_once_for_each_change_time() {
    let lasting = lasting();
    assert!(lasting.is_unread(INODE, Some(Ctime(1))));
    lasting.begin_reading(INODE);
    lasting.give_up_reading(INODE);
    assert!(lasting.is_unread(INODE, Some(Ctime(1))), "it could not be read");
    lasting.begin_reading(INODE);
    assert!(!lasting.is_unsettled(INODE, Ctime(1)));
    lasting.end_reading(INODE, (Ctime(1), false), (0, false), || {});
    assert!(lasting.is_unread(INODE, Some(Ctime(1))), "it may change and have this ctime still");
    assert!(lasting.is_unsettled(INODE, Ctime(1)) && !lasting.is_unsettled(INODE, Ctime(2)));
    lasting.begin_reading(INODE);
    assert!(counts(&lasting, Ctime(1)));
    assert!(!lasting.is_unread(INODE, Some(Ctime(1))));
    assert!(lasting.is_unread(INODE, Some(Ctime(2))) && lasting.is_unread(INODE, None));
}

#[test]
fn what_was_read_while_another_wrote_does_not_count() {
    let lasting = lasting();
    lasting.begin_reading(INODE);
    lasting.begin_writing(INODE, |_| ());
    lasting.end_writing(INODE, |_| ());
    assert!(!counts(&lasting, Ctime(1)), "it may have read before the write");
    lasting.begin_writing(INODE, |_| ());
    lasting.begin_reading(INODE);
    assert!(!counts(&lasting, Ctime(1)), "memory is ahead of the home");
    lasting.end_writing(INODE, |_| ());
    lasting.begin_reading(INODE);
    assert!(counts(&lasting, Ctime(1)));
    assert!(lasting.traffic.lock().is_empty());
}

#[test]
fn without_evidence_nothing_is_read() {
    let home = Home { mark: Some(Mark::Nowhere), ..Home::default() };
    let lasting = Lasting::new(home, Voice::default()).expect("it lasts");
    assert!(!lasting.is_unread(INODE, None));
    assert!(Lasting::new(Home::default(), Voice::default()).is_none());
}

#[test]
fn without_a_file_what_no_attribute_holds_ends_with_the_run() {
    let identity = Identity { dev: 1, ino: 2, birth: 3 };
    let fact = Fact { mode: Some(0o600), ..Fact::default() };
    let lasting = lasting();
    assert_eq!(lasting.keep(identity, &fact), Ok(()));
    assert_eq!(lasting.kept.fact(identity), Ok(None));
    assert!(lasting.is_homeless(identity));
    assert_eq!(lasting.keep(identity, &Fact::default()), Ok(()));
    assert!(!lasting.is_homeless(identity));
    let nowhere = Some(PathBuf::from("/proc/nowhere/store"));
    let named = Home { file: nowhere, named: true, ..Home::default() };
    let lasting = Lasting::new(named, Voice::default()).expect("it lasts");
    assert_eq!(lasting.keep(identity, &fact), Err(Errno::EIO));
}
