//! Who may take names out of a sticky directory, and who may give a file another: `__check_sticky` and
//! `may_linkat` in fs/namei.c.

use crate::oracle::assert_same;

/// Removes what a sequence has left: the next works in the same directory.
const CLEAN: &str = "t0 setresuid -1 0 -1
                     t0 unlink path:s/f
                     t0 unlink path:s/g
                     t0 unlink path:s/l
                     t0 unlink path:s/p
                     t0 unlink path:s/mine
                     t0 rmdir path:s/d
                     t0 rmdir path:s";

/// A sticky directory with a file, a directory, a link and a FIFO of root's, and a file of user 100's,
/// before `steps` of that user.
fn in_sticky(steps: &str) {
    assert_same(&format!(
        "t0 umask 0
         t0 mkdir path:s 0x3ff
         t0 into 20 open path:s/f 0x41 0x1b6
         t0 mkdir path:s/d 0x1ff
         t0 symlink path:f path:s/l
         t0 mknod path:s/p 0x11b6 0
         t0 setresuid -1 100 -1
         t0 into 21 open path:s/mine 0x41 0x9ff
         {steps}
         {CLEAN}"
    ));
}

#[test]
fn in_a_sticky_directory_a_user_removes_only_what_is_his() {
    in_sticky(
        "t0 unlink path:s/f
         t0 rmdir path:s/f
         t0 rmdir path:s/d
         t0 unlink path:s/d
         t0 unlink path:s/d/
         t0 rmdir path:s/d/
         t0 unlink path:s/f/
         t0 unlink path:s/l
         t0 unlink path:s/p
         t0 unlinkat -100 path:s/f 0
         t0 unlinkat -100 path:s/d 0x200
         t0 unlinkat -100 path:s/f 0x100
         t0 unlinkat 21 path:f 0
         t0 unlinkat 99 path:f 0
         t0 unlink path:s/none
         t0 rmdir path:s/none
         t0 unlink path:s/f/x
         t0 unlink path:s/.
         t0 rmdir path:s/.
         t0 rmdir path:s/d/.
         t0 rmdir path:s/d/..
         t0 unlink path:s/d/..
         t0 unlink path:
         t0 unlink void
         t0 unlink path:s/mine
         t0 unlink path:s/mine",
    );
}

#[test]
fn in_a_sticky_directory_a_user_renames_only_what_is_his_and_onto_what_is_his() {
    in_sticky(
        "t0 rename path:s/f path:s/g
         t0 rename path:s/f path:g
         t0 rename path:s/d path:s/g
         t0 rename path:s/none path:s/f
         t0 rename path:s/f path:s/none/g
         t0 rename path:s/f path:s/f
         t0 rename path:s/f path:s/d
         t0 rename path:s/d path:s/f
         t0 rename path:s/mine path:s/f
         t0 rename path:s/mine path:s/d
         t0 rename path:s/. path:s/g
         t0 rename path:s/d/.. path:s/g
         t0 rename path:s/mine path:s/..
         t0 renameat -100 path:s/f -100 path:s/g
         t0 renameat2 -100 path:s/f -100 path:s/g 1
         t0 renameat2 -100 path:s/f -100 path:s/d 1
         t0 renameat2 -100 path:s/mine -100 path:s/f 1
         t0 renameat2 -100 path:s/mine -100 path:s/f 2
         t0 renameat2 -100 path:s/f -100 path:s/mine 2
         t0 renameat2 -100 path:s/f -100 path:s/none 2
         t0 renameat2 -100 path:s/f -100 path:s/g 3
         t0 renameat2 -100 path:s/f -100 path:s/g 8
         t0 rename path:s/f path:/proc/none
         t0 rename path:s/mine path:s/g
         t0 rename path:s/g path:s/mine",
    );
}

#[test]
fn who_owns_a_sticky_directory_or_overrides_owners_takes_what_he_likes() {
    in_sticky(
        "t0 setresuid -1 0 -1
         t0 capset hdr(V3,0) cap3(0xc2,0xcb,0)
         t0 unlink path:s/mine
         t0 capset hdr(V3,0) cap3(0xcb,0xcb,0)
         t0 chown path:s 100 0
         t0 setresuid -1 100 -1
         t0 rename path:s/f path:s/g
         t0 unlink path:s/g
         t0 rmdir path:s/d
         t0 setresuid -1 0 -1
         t0 chown path:s 5 0
         t0 fork t1
         t1 prctl SET_KEEPCAPS 1
         t1 setresuid 100 100 100
         t1 unlink path:s/l
         t1 capset hdr(V3,0) cap3(0xc8,0xcb,0)
         t1 unlink path:s/l",
    );
}

#[test]
fn a_user_links_what_is_his_or_what_he_could_copy_unless_it_is_set_id() {
    in_sticky(
        "t0 link path:s/f path:s/g
         t0 unlink path:s/g
         t0 link path:s/mine path:s/g
         t0 unlink path:s/g
         t0 link path:s/p path:s/g
         t0 link path:s/l path:s/g
         t0 link path:s/d path:s/g
         t0 link path:s/f path:s/mine
         t0 link path:s/p path:s/mine
         t0 link path:s/p path:s/none/g
         t0 link path:s/p path:s/f/g
         t0 link path:s/p path:/proc/g
         t0 link path:s/none path:s/g
         t0 linkat -100 path:s/l -100 path:s/g 0x400
         t0 linkat -100 path:s/l -100 path:s/g 0
         t0 linkat -100 path:s/p -100 path:s/g 1
         t0 setresuid -1 0 -1
         t0 unlink path:s/g
         t0 chmod path:s/f 0x9b6
         t0 setresuid -1 100 -1
         t0 link path:s/f path:s/g
         t0 setresuid -1 0 -1
         t0 chmod path:s/f 0x5b6
         t0 setresuid -1 100 -1
         t0 link path:s/f path:s/g
         t0 setresuid -1 0 -1
         t0 unlink path:s/g
         t0 chmod path:s/f 0x5bf
         t0 setresuid -1 100 -1
         t0 link path:s/f path:s/g
         t0 setresuid -1 0 -1
         t0 chmod path:s/f 0x1b4
         t0 setresuid -1 100 -1
         t0 link path:s/f path:s/g
         t0 setresuid -1 0 -1
         t0 chown path:s/f -1 7
         t0 setgroups 1 u32[7]
         t0 setresuid -1 100 -1
         t0 link path:s/f path:s/g",
    );
}
