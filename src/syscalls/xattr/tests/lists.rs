use super::*;

const ACCESS: &str = "system.posix_acl_access";
const DEFAULT: &str = "system.posix_acl_default";

/// Owner, group, group 4, mask and others.
const WITH_NAME: &[u8] = &[
    2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 4, 0, 5, 0, 255, 255, 255, 255, 8, 0, 5, 0, 4, 0, 0, 0, 16,
    0, 5, 0, 255, 255, 255, 255, 32, 0, 5, 0, 255, 255, 255, 255,
];

/// The same without group 4.
fn without_name() -> Vec<u8> {
    [&WITH_NAME[..20], &WITH_NAME[28..]].concat()
}

fn set(guest: &mut FakeGuest, value: &[u8]) -> SysResult {
    super::set(guest, ACCESS, value, 0)
}

/// The answer and value where the kernel knows the list without its name.
fn get(guest: &mut FakeGuest, size: u64) -> (SysResult, Vec<u8>) {
    super::get(guest, ACCESS, size, Ok(without_name().len() as u64))
}

/// Whether names are remembered.
fn has_names(files: &Files, guest: &FakeGuest, list: &str) -> bool {
    guest.ownership.extras(files.identity("/file")).get(list.as_bytes()).is_some()
}

#[test]
fn a_name_the_kernel_refuses_is_kept_for_it() {
    let (files, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    assert_eq!(files.xattr("/file", ACCESS), Some(without_name()), "the kernel has the rest");
    assert!(guest.raised.contains(&Stage::Ownership));
    assert_eq!(get(&mut guest, 128), (Ok(WITH_NAME.len() as u64), WITH_NAME.to_vec()));
}

#[test]
fn a_buffer_for_the_kernels_list_only_is_too_small() {
    let (_, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    assert_eq!(get(&mut guest, 0).0, Ok(WITH_NAME.len() as u64), "the size alone");
    assert_eq!(get(&mut guest, 36).0, Err(Errno::ERANGE));
}

#[test]
fn names_are_void_where_the_kernel_has_no_list() {
    let (_, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    assert_eq!(super::get(&mut guest, ACCESS, 99, Err(Errno::ENODATA)).0, Err(Errno::ENODATA));
}

#[test]
fn a_list_without_names_ends_the_names() {
    let (files, mut guest) = with_file(Credentials::root());
    for ends in [without_name(), vec![], vec![2, 0, 0, 0]] {
        assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
        assert!(has_names(&files, &guest, ACCESS));
        guest.memory.map(NAME, &[ACCESS.as_bytes(), b"\0"].concat());
        guest.memory.map(VALUE, &ends);
        let args = [5, NAME, VALUE, ends.len() as u64, 0];
        assert_eq!(guest.finish(Abi::X86_64, "fsetxattr", &args, Err(Errno::EROFS)), Err(Errno::EROFS));
        assert!(has_names(&files, &guest, ACCESS));
        assert_eq!(guest.finish(Abi::X86_64, "fsetxattr", &args, Ok(0)), Ok(0));
        assert!(!has_names(&files, &guest, ACCESS));
    }
}

#[test]
fn removing_the_list_ends_the_names() {
    let (files, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    assert_eq!(remove(&mut guest, ACCESS), Ok(0));
    assert!(!has_names(&files, &guest, ACCESS));
}

#[test]
fn what_is_no_list_gets_no_further_than_the_kernels_last_check() {
    let (files, mut guest) = with_file(Credentials::root());
    let unmasked = [&WITH_NAME[..28], &WITH_NAME[36..]].concat();
    for (kernels, expected) in [(Err(Errno::EINVAL), Errno::EINVAL), (Err(Errno::EROFS), Errno::EROFS)] {
        guest.results.push_back(kernels);
        assert_eq!(set(&mut guest, &unmasked), Err(expected));
    }
    guest.results.push_back(Err(Errno::EINVAL));
    guest.credentials = user(7).into();
    files.edit("/file", |node| node.uid = 0);
    guest.results.clear();
    assert!(!has_names(&files, &guest, ACCESS));
}

#[test]
fn only_the_owner_sets_a_list() {
    let (_, mut guest) = with_file(user(7));
    let files = guest.kernel.take().expect("there are files");
    let mut files = files;
    guest.kernel = Some(Box::new(move |memory, call, args| match call.name {
        "fsetxattr" => Err(Errno::EINVAL), // the probe
        _ => files(memory, call, args),
    }));
    assert_eq!(set(&mut guest, WITH_NAME), Err(Errno::EPERM));
    assert_eq!(set(&mut guest, &without_name()), Err(Errno::EPERM));
    assert_eq!(remove(&mut guest, ACCESS), Err(Errno::EPERM));
    assert_eq!(remove(&mut guest, DEFAULT), Ok(0), "a file has none");
}

#[test]
fn the_two_lists_of_a_directory_are_apart() {
    let (files, mut guest) = with_file(Credentials::root());
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    assert!(has_names(&files, &guest, ACCESS) && !has_names(&files, &guest, DEFAULT));
    assert_eq!(super::set(&mut guest, DEFAULT, WITH_NAME, 0), Ok(0));
    assert!(guest.ownership.inherits(), "what is made in it gets names");
}

#[test]
fn a_list_on_anothers_inode_is_remembered_with_the_mode_it_makes() {
    let (files, mut guest) = with_file(Credentials::root());
    files.edit("/file", |node| node.uid = 65534);
    assert_eq!(set(&mut guest, WITH_NAME), Ok(0));
    assert_eq!(super::get(&mut guest, ACCESS, 99, Err(Errno::ENODATA)).1, WITH_NAME);
    assert_eq!(crate::syscalls::files::shown(&mut guest, &files, "/file").2, 0o100_755);
    assert_eq!(super::set(&mut guest, DEFAULT, WITH_NAME, 0), Err(Errno::EACCES), "it is no directory");
    assert_eq!(remove(&mut guest, ACCESS), Ok(0));
    assert!(!has_names(&files, &guest, ACCESS));
}
