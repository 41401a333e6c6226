//! setgroups and getgroups: kernel/groups.c, kernel/uid16.c.

use crate::oracle::assert_same;

#[test]
fn setgroups_sorts_and_keeps_duplicates() {
    assert_same(
        "t0 setgroups 5 u32[9,3,7,3,1]
         t0 setgroups 2 u32[4294967294,65535]
         t0 setgroups 1 u32[0]
         t0 setgroups 0 null
         t0 setgroups 0 void
         t0 setgroups 3 u32[3,2,1]^
         t0 setgroups 3 u32[6,5,4]!
         t0 setgroups 0x100000002 u32[8,9,10]",
    );
}

#[test]
fn setgroups_fails_by_capability_then_count_then_fault_or_id() {
    assert_same(
        "t0 setgroups 65537 void
         t0 setgroups -1 void
         t0 setgroups 0x7fffffff void
         t0 setgroups 1 null
         t0 setgroups 3 void
         t0 setgroups 1 high
         t0 setgroups 3 u32[1,2,3]^4
         t0 setgroups 3 u32[1,-1,3]
         t0 setgroups 3 u32[1,-1,3]^4
         t0 setgroups 3 u32[1,2,3]^1
         t0 setgroups 65536 u32[1,2,3]^
         t0 setuid 5
         t0 setgroups 65537 void
         t0 setgroups 0 null
         t0 setgroups -1 null",
    );
}

#[test]
fn as_many_groups_as_the_kernel_allows() {
    assert_same(
        "t0 setgroups 65536 seq32(65536)
         t0 getgroups 0 null
         t0 getgroups 65536 big
         t0 getgroups 65535 big
         t0 getgroups 65537 big
         t0 getgroups 65536 out^
         t0 getgroups16 65536 big
         t0 setgroups 65537 seq32(65537)
         t0 setgroups 17 seq32(17)
         t0 fork t1
         t1 setgroups16 65536 seq16(65536)
         t1 setgroups16 65537 seq16(65537)
         t1 exec ./probe64
         t0 look",
    );
}

#[test]
fn getgroups_wants_room_for_all() {
    assert_same(
        "t0 getgroups 0 null
         t0 getgroups 5 null
         t0 getgroups -1 null
         t0 setgroups 3 u32[1,2,3]
         t0 getgroups 0 void
         t0 getgroups -1 out
         t0 getgroups 2 out
         t0 getgroups 3 out
         t0 getgroups 4 out
         t0 getgroups 65537 out
         t0 getgroups 0x7fffffff out
         t0 getgroups 0x80000000 out
         t0 getgroups 3 void
         t0 getgroups 3 ro
         t0 getgroups 3 out^52
         t0 getgroups 3 out^56
         t0 getgroups 3 high
         t0 getgroups 3 -1
         t0 getgroups 3 out^54
         t0 getgroups 3 out^53
         t0 getgroups 2 void",
    );
}

#[test]
fn sixteen_bit_groups_are_narrowed() {
    assert_same(
        "t0 setgroups16 4 u16[9,3,7,3]
         t0 getgroups16 0 null
         t0 getgroups16 4 out
         t0 getgroups16 3 out
         t0 getgroups16 -1 out
         t0 getgroups16 4 void
         t0 getgroups16 4 out^60
         t0 setgroups16 2 u16[65534,65535]
         t0 setgroups16 2 u16[1,2]^2
         t0 setgroups16 2 void
         t0 setgroups16 65537 void
         t0 setgroups16 -1 void
         t0 setgroups 4 u32[70000,65535,65536,5]
         t0 getgroups16 4 out
         t0 setgroups16 0 null
         t0 setuid 5
         t0 setgroups16 0 null",
    );
}
