//! The credential options of prctl: `cap_task_prctl`, and `no_new_privs` in kernel/sys.c.

use crate::oracle::assert_same;

#[test]
fn keepcaps_takes_0_and_1_unless_it_is_locked() {
    assert_same(
        "t0 prctl GET_KEEPCAPS 1 2 3 4
         t0 prctl SET_KEEPCAPS 1 5 6 7
         t0 prctl SET_KEEPCAPS 2
         t0 prctl SET_KEEPCAPS -1
         t0 prctl SET_KEEPCAPS 0x100000001
         t0 prctl SET_KEEPCAPS 0
         t0 prctl SET_SECUREBITS 0x20
         t0 prctl SET_KEEPCAPS 1
         t0 prctl SET_KEEPCAPS 0
         t0 prctl SET_KEEPCAPS 2

         t0 setuid 5
         t0 prctl SET_KEEPCAPS 1
         t0 prctl SET_KEEPCAPS 0

         t0 prctl 0x100000008 1",
    );
}

#[test]
fn the_bounding_set_only_shrinks() {
    assert_same(
        "t0 prctl CAPBSET_READ 0
         t0 prctl CAPBSET_READ 40 9 9 9
         t0 prctl CAPBSET_READ 41
         t0 prctl CAPBSET_READ 63
         t0 prctl CAPBSET_READ 64
         t0 prctl CAPBSET_READ -1
         t0 prctl CAPBSET_READ 0x100000000
         t0 prctl CAPBSET_DROP 0 9 9 9
         t0 prctl CAPBSET_DROP 0
         t0 prctl CAPBSET_READ 0
         t0 prctl CAPBSET_DROP 41
         t0 prctl CAPBSET_DROP -1
         t0 prctl CAPBSET_DROP 0x100000001
         t0 capset hdr(V3,0) cap3(0x2ff,0x3ff,0)
         t0 prctl CAPBSET_DROP 1
         t0 prctl CAPBSET_DROP 41
         t0 capset hdr(V3,0) cap3(0x100,0x3ff,0)
         t0 prctl CAPBSET_DROP 1
         t0 fork t1
         t1 prctl CAPBSET_DROP 7
         t1 exec ./probe64
         t0 exec ./probe32",
    );
}

#[test]
fn securebits_obey_their_locks() {
    assert_same(
        "t0 prctl GET_SECUREBITS 1 2 3 4
         t0 prctl SET_SECUREBITS 0x1
         t0 prctl SET_SECUREBITS 0x3
         t0 prctl SET_SECUREBITS 0x2
         t0 prctl SET_SECUREBITS 0x1
         t0 prctl SET_SECUREBITS 0x0
         t0 prctl SET_SECUREBITS 0x7
         t0 prctl SET_SECUREBITS 0xff
         t0 prctl SET_SECUREBITS 0xef
         t0 prctl SET_SECUREBITS 0xff

         t0 prctl SET_SECUREBITS 0x100
         t0 prctl SET_SECUREBITS 0x555
         t0 prctl SET_SECUREBITS 0xfff
         t0 prctl SET_SECUREBITS 0x1000
         t0 prctl SET_SECUREBITS 0x1fff
         t0 prctl SET_SECUREBITS -1

         t0 prctl SET_SECUREBITS 0x1000
         t0 prctl SET_SECUREBITS 0x80000000
         t0 prctl SET_SECUREBITS 0x100000000
         t0 prctl SET_SECUREBITS 0x10

         t0 setuid 5
         t0 prctl SET_SECUREBITS 0
         t0 prctl SET_SECUREBITS 1
         t0 prctl SET_SECUREBITS 0x100
         t0 prctl SET_SECUREBITS 0x100
         t0 prctl SET_SECUREBITS 0x500
         t0 prctl SET_SECUREBITS 0x700
         t0 prctl SET_SECUREBITS 0x600
         t0 prctl SET_SECUREBITS 0xf00
         t0 prctl SET_SECUREBITS 0xf10
         t0 prctl SET_SECUREBITS 0

         t0 prctl SET_SECUREBITS 0x20
         t0 setuid 5
         t0 prctl SET_SECUREBITS 0x120
         t0 prctl SET_SECUREBITS 0x130",
    );
}

#[test]
fn ambient_capabilities_need_permitted_and_inheritable() {
    assert_same(
        "t0 prctl CAP_AMBIENT IS_SET 7
         t0 prctl CAP_AMBIENT RAISE 7
         t0 capset hdr(V3,0) cap3(0x1c0,0x1c0,0x80)
         t0 prctl CAP_AMBIENT RAISE 6
         t0 prctl CAP_AMBIENT RAISE 7
         t0 prctl CAP_AMBIENT RAISE 7
         t0 prctl CAP_AMBIENT LOWER 6
         t0 prctl CAP_AMBIENT LOWER 7
         t0 prctl CAP_AMBIENT RAISE 7
         t0 prctl CAP_AMBIENT CLEAR_ALL 0 0 0
         t0 prctl CAP_AMBIENT RAISE 7
         t0 prctl SET_SECUREBITS 0x40
         t0 prctl CAP_AMBIENT IS_SET 7
         t0 prctl CAP_AMBIENT LOWER 7
         t0 prctl CAP_AMBIENT RAISE 7
         t0 prctl CAP_AMBIENT IS_SET 7

         t0 prctl CAP_AMBIENT CLEAR_ALL 1
         t0 prctl CAP_AMBIENT CLEAR_ALL 0 1
         t0 prctl CAP_AMBIENT CLEAR_ALL 0 0 1
         t0 prctl CAP_AMBIENT IS_SET 41
         t0 prctl CAP_AMBIENT IS_SET -1
         t0 prctl CAP_AMBIENT IS_SET 7 1
         t0 prctl CAP_AMBIENT IS_SET 7 0 1
         t0 prctl CAP_AMBIENT RAISE 41
         t0 prctl CAP_AMBIENT RAISE 7 1
         t0 prctl CAP_AMBIENT RAISE 7 0 1
         t0 prctl CAP_AMBIENT LOWER 41
         t0 prctl CAP_AMBIENT LOWER 7 0 1
         t0 prctl CAP_AMBIENT 0 7
         t0 prctl CAP_AMBIENT 5 7
         t0 prctl CAP_AMBIENT -1 7
         t0 prctl CAP_AMBIENT 0x100000001 7
         t0 prctl CAP_AMBIENT IS_SET 0x100000007

         t0 setuid 5
         t0 prctl CAP_AMBIENT RAISE 7
         t0 prctl CAP_AMBIENT LOWER 7
         t0 prctl CAP_AMBIENT CLEAR_ALL",
    );
}

#[test]
fn no_new_privs_is_set_once_and_read_without_arguments() {
    assert_same(
        "t0 prctl GET_NO_NEW_PRIVS 1
         t0 prctl GET_NO_NEW_PRIVS 0 1
         t0 prctl GET_NO_NEW_PRIVS 0 0 1
         t0 prctl GET_NO_NEW_PRIVS 0 0 0 1
         t0 prctl SET_NO_NEW_PRIVS 0
         t0 prctl SET_NO_NEW_PRIVS 2
         t0 prctl SET_NO_NEW_PRIVS 1 1
         t0 prctl SET_NO_NEW_PRIVS 1 0 1
         t0 prctl SET_NO_NEW_PRIVS 1 0 0 1
         t0 prctl SET_NO_NEW_PRIVS 0x100000001
         t0 prctl SET_NO_NEW_PRIVS 1
         t0 prctl SET_NO_NEW_PRIVS 1
         t0 prctl SET_NO_NEW_PRIVS 0

         t0 thread t1
         t1 prctl SET_NO_NEW_PRIVS 1
         t0 look
         t1 fork t2
         t2 exec ./probe64
         t1 setuid 5
         t1 exec ./probe32

         t0 setuid 5
         t0 prctl SET_NO_NEW_PRIVS 1
         t0 setuid 0",
    );
}

#[test]
fn other_options_are_the_kernels_own() {
    assert_same(
        "t0 prctl 15 path:probe
         t0 prctl 9999
         t0 prctl -1
         t0 prctl 35 0
         t0 prctl 0",
    );
}
