//! setuid and its relatives: kernel/sys.c, kernel/uid16.c, `cap_task_fix_setuid`.

use crate::oracle::assert_same;

#[test]
fn setuid_sets_all_four_ids_with_the_capability_and_two_without() {
    assert_same(
        "t0 setuid 0
         t0 setuid -1
         t0 setuid 100
         t0 setuid 0
         t0 setuid 101
         t0 setuid 100
         t0 setuid -1

         t0 setresuid 1 2 3
         t0 setuid 2
         t0 setuid 3
         t0 setuid 1
         t0 setuid 2

         t0 setresuid 5 0 7
         t0 setuid 9

         t0 setuid 4294967294
         t0 setuid 65535

         t0 setuid 65535

         t0 setuid 65536

         t0 setuid 4294967295
         t0 setuid 0x5a00000064",
    );
}

#[test]
fn setgid_sets_all_four_ids_with_the_capability_and_two_without() {
    assert_same(
        "t0 setgid 0
         t0 setgid -1
         t0 setgid 100
         t0 setgid 0
         t0 setresgid 1 2 3
         t0 setuid 5
         t0 setgid 2
         t0 setgid 3
         t0 setgid 1
         t0 setgid 2
         t0 setgid 0
         t0 setgid -1

         t0 setgid 4294967294
         t0 setgid 65536
         t0 setgid 65535
         t0 setgid 0x5a00000064",
    );
}

#[test]
fn setreuid_moves_the_saved_id_when_the_real_one_is_set_or_the_effective_one_leaves_it() {
    assert_same(
        "t0 setreuid -1 -1
         t0 setreuid -1 0
         t0 setreuid 0 -1
         t0 setreuid -1 5
         t0 setreuid 5 0
         t0 setreuid 0 -1
         t0 setreuid 7 8
         t0 setreuid -1 7
         t0 setreuid -1 8
         t0 setreuid 8 -1
         t0 setreuid 9 -1
         t0 setreuid -1 9
         t0 setreuid -1 -1

         t0 setresuid 1 2 3
         t0 setreuid 3 -1
         t0 setreuid -1 3
         t0 setreuid 3 1
         t0 setreuid 1 2

         t0 setresuid 1 2 3
         t0 setreuid 2 1
         t0 setreuid 2 2
         t0 setreuid 3 3

         t0 setresuid 0 5 0
         t0 setreuid -1 0
         t0 setreuid 5 5
         t0 setreuid 0 0",
    );
}

#[test]
fn setregid_moves_the_saved_id_when_the_real_one_is_set_or_the_effective_one_leaves_it() {
    assert_same(
        "t0 setregid -1 -1
         t0 setregid -1 5
         t0 setregid 0 -1
         t0 setregid 7 8
         t0 setuid 1
         t0 setregid -1 7
         t0 setregid -1 8
         t0 setregid 9 -1
         t0 setregid -1 9

         t0 setresgid 1 2 3
         t0 setuid 1
         t0 setregid 3 -1
         t0 setregid -1 3
         t0 setregid 1 -1
         t0 setregid 2 1",
    );
}

#[test]
fn setresuid_lets_the_unprivileged_move_among_their_three_ids() {
    assert_same(
        "t0 setresuid -1 -1 -1
         t0 setresuid 0 0 0
         t0 setresuid 1 2 3
         t0 setresuid 3 1 2
         t0 setresuid 0 -1 -1
         t0 setresuid -1 0 -1
         t0 setresuid -1 -1 0
         t0 setresuid -1 -1 -1
         t0 setresuid 2 2 2
         t0 setresuid 1 -1 -1

         t0 setresuid 4294967294 65535 65536
         t0 setresuid -1 65536 -1
         t0 setresuid 65534 -1 -1

         t0 setresuid -1 100 -1
         t0 setresuid -1 0 -1
         t0 setresuid 100 100 -1
         t0 setresuid -1 0 -1
         t0 setresuid -1 100 100
         t0 setresuid -1 0 -1",
    );
}

#[test]
fn setresgid_lets_the_unprivileged_move_among_their_three_ids() {
    assert_same(
        "t0 setresgid -1 -1 -1
         t0 setresgid 1 2 3
         t0 setresgid 4294967294 65535 65536
         t0 setresgid 1 2 3
         t0 setresuid 7 7 7
         t0 setresgid 3 1 2
         t0 setresgid 0 -1 -1
         t0 setresgid -1 0 -1
         t0 setresgid -1 -1 0
         t0 setresgid 2 2 2
         t0 setresgid 1 -1 -1",
    );
}

#[test]
fn a_call_that_changes_no_id_leaves_the_filesystem_id_alone() {
    assert_same(
        "t0 setfsuid 5
         t0 setresuid -1 -1 -1
         t0 setresuid 0 -1 0
         t0 setresuid -1 0 -1
         t0 setfsuid 5
         t0 setreuid -1 -1
         t0 setfsuid 5
         t0 setuid 0
         t0 setfsgid 6
         t0 setresgid -1 -1 -1
         t0 setresgid -1 0 -1
         t0 setfsgid 6
         t0 setregid -1 -1
         t0 setfsgid 6
         t0 setgid 0",
    );
}

#[test]
fn setfsuid_and_setfsgid_give_the_previous_id_whatever_comes_of_it() {
    assert_same(
        "t0 setfsuid -1
         t0 setfsuid 5
         t0 setfsuid 6
         t0 setfsuid 4294967294
         t0 setfsuid 0
         t0 setfsgid -1
         t0 setfsgid 5
         t0 setfsgid 4294967294
         t0 setfsgid 0
         t0 setresgid 1 2 3
         t0 setfsgid 4
         t0 setresuid 1 2 3
         t0 setfsuid 1
         t0 setfsuid 3
         t0 setfsuid 4
         t0 setfsuid 0
         t0 setfsuid 2
         t0 setfsgid 1
         t0 setfsgid 4
         t0 setfsgid 3

         t0 setfsuid 7
         t0 setfsgid 7
         t0 capset hdr(V3,0) cap3(0,0,0)
         t0 setfsuid 7
         t0 setfsgid 7
         t0 setfsuid 8
         t0 setfsgid 8
         t0 setfsuid 0
         t0 setfsuid 7",
    );
}

#[test]
fn getters_of_three_ids_write_each_before_the_next_is_tried() {
    assert_same(
        "t0 setresuid 1 2 3
         t0 getresuid out out out
         t0 getresuid out out null
         t0 getresuid out void out
         t0 getresuid null out out
         t0 getresuid ro out out
         t0 getresuid out high out
         t0 getresuid out^60 out out
         t0 getresuid out out^62 out
         t0 getresuid out -1 out
         t0 getresuid void void void
         t0 getresuid16 out out out
         t0 getresuid16 out void out
         t0 getresuid16 out out ro
         t0 getuid
         t0 geteuid
         t0 getuid16
         t0 geteuid16

         t0 setresgid 4294967294 65536 65535
         t0 getresgid out out out
         t0 getresgid out out void
         t0 getresgid out null out
         t0 getresgid ro out out
         t0 getresgid16 out out out
         t0 getresgid16 out out high
         t0 getgid
         t0 getegid
         t0 getgid16
         t0 getegid16",
    );
}

#[test]
fn sixteen_bit_calls_narrow_ids_and_take_0xffff_for_minus_one() {
    assert_same(
        "t0 setuid16 65535
         t0 setresuid16 65535 65535 65535
         t0 setresuid16 1 65534 65535
         t0 setreuid16 65535 1
         t0 setfsuid16 65535
         t0 setfsuid16 65534
         t0 setuid16 1
         t0 setuid16 0

         t0 setresuid 70000 80000 4294967294
         t0 getuid16
         t0 geteuid16
         t0 setfsuid16 0xffff
         t0 setuid16 4464
         t0 setreuid16 65535 65534
         t0 setreuid16 0xffffffff 0xffffffff

         t0 setuid16 0x10005
         t0 setuid16 0x1ffff

         t0 setgid16 65535
         t0 setresgid16 1 65534 65535
         t0 setregid16 65535 7
         t0 setregid16 0x10003 0xffff
         t0 setfsgid16 65535
         t0 setfsgid16 9
         t0 setresgid 70000 80000 90000
         t0 getgid16
         t0 getegid16
         t0 setgid16 0",
    );
}

#[test]
fn leaving_uid_0_takes_capabilities_and_returning_gives_effective_ones_back() {
    assert_same(
        "t0 setresuid -1 100 -1
         t0 setresuid -1 0 -1
         t0 setresuid 100 100 -1
         t0 setresuid 100 0 -1
         t0 setresuid 100 100 100
         t0 setresuid -1 0 -1

         t0 prctl SET_KEEPCAPS 1
         t0 setresuid 100 100 100
         t0 setresuid 0 0 0
         t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0)
         t0 setresuid 7 8 9
         t0 setresuid 0 0 0

         t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x1ff)
         t0 prctl CAP_AMBIENT RAISE 7
         t0 setresuid 1 0 0
         t0 setresuid 1 1 0
         t0 setresuid 1 0 0
         t0 prctl SET_KEEPCAPS 1
         t0 setuid 1

         t0 prctl SET_SECUREBITS 4
         t0 setresuid 100 100 100
         t0 setresuid 0 0 0
         t0 prctl SET_SECUREBITS 0
         t0 setuid 5",
    );
}

#[test]
fn the_filesystem_id_decides_over_the_filesystem_capabilities() {
    assert_same(
        "t0 setfsuid 5
         t0 setfsuid 6
         t0 setfsuid 0
         t0 capset hdr(V3,0) cap3(0x9,0x8000001f,0)
         t0 setfsuid 5
         t0 setfsuid 0

         t0 prctl SET_SECUREBITS 4
         t0 setfsuid 5
         t0 setfsuid 0",
    );
}

#[test]
fn the_capability_decides_and_not_the_uid() {
    assert_same(
        "t0 capset hdr(V3,0) cap3(0x100,0x1c0,0)
         t0 setuid 5
         t0 setresuid 0 0 5
         t0 setreuid 0 5
         t0 setgid 5
         t0 setresgid 5 5 5
         t0 setregid 5 5
         t0 setfsuid 5
         t0 setfsgid 5
         t0 setgroups 1 u32[5]
         t0 setgroups -1 void
         t0 capset hdr(V3,0) cap3(0x40,0x1c0,0)
         t0 setuid 5
         t0 setgid 5
         t0 setgroups 1 u32[5]

         t0 prctl SET_KEEPCAPS 1
         t0 setuid 100
         t0 capset hdr(V3,0) cap3(0x80,0x1c0,0)
         t0 setresuid 5 6 7
         t0 setgid 9
         t0 setfsuid 12
         t0 setuid 0
         t0 setuid 1
         t0 setuid 0",
    );
}
