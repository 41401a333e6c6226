//! Credentials belong to a task: threads, children, and what becomes of them.

use crate::execution::made;
use crate::oracle::assert_same;

#[test]
fn threads_have_credentials_of_their_own() {
    assert_same(
        "t0 setgroups 2 u32[10,20]
         t0 thread t1
         t1 setuid 5
         t0 setgid 7
         t0 thread3 t2
         t1 thread t3
         t1 look
         t2 setresuid 1 2 3
         t3 setuid 0
         t0 look
         t2 look
         t3 exit
         t1 exit
         t0 look",
    );
}

#[test]
fn a_child_has_the_credentials_of_the_thread_that_made_it() {
    assert_same(
        "t0 thread t1
         t1 setresuid 1 2 3
         t1 fork t2
         t0 fork3 t3
         t2 setuid 3
         t1 look
         t3 setuid 9
         t0 look
         t1 vfork t4
         t4 setuid 1
         t4 exec ./probe64
         t1 look
         t1 vfork3 t5
         t5 setresuid 3 3 3
         t5 exit
         t1 look
         t1 sibling t6
         t6 look",
    );
}

#[test]
fn children_of_children_inherit() {
    assert_same(
        "t0 setgid 5
         t0 fork t1
         t1 setuid 6
         t1 fork t2
         t2 fork t3
         t1 exit
         t2 exit
         t3 look
         t3 setuid 0
         t0 setuid 0",
    );
}

#[test]
fn what_answers_inside_is_not_shared_with_a_vfork_child() {
    assert_same(
        "t0 vfork t1
         t1 setuid 0
         t1 setreuid 1 0
         t1 setuid 1
         t1 fork t2",
    );
}

#[test]
fn a_vfork_child_that_changes_ids_leaves_its_parents_alone() {
    assert_same(
        "t0 vfork t1
         t1 setgroups 1 u32[77]
         t1 setresgid 1 2 3
         t1 setresuid 1 2 3
         t1 exit
         t0 look
         t0 vfork t2
         t2 setuid 5
         t2 vfork t3
         t3 setuid 0
         t3 exec ./probe32
         t2 exec ./probe64
         t0 look
         t3 look",
    );
}

#[test]
fn a_vfork_child_of_a_thread_shares_its_memory_though_the_first_thread_has_ended() {
    assert_same(&format!(
        "{}
         t0 fork t1
         t1 thread3 t2
         t2 vfork3 t3
         t1 exit
         t3 setreuid 2 65536
         t3 look
         t3 setgroups 1 u32[65535]
         t3 look
         t3 exec ./large
         t2 look
         t2 look",
        made("large", "4294967294 65536", "0xded"),
    ));
}

#[test]
fn a_thread_that_execs_takes_the_group_with_its_own_credentials() {
    assert_same(
        "t0 thread t1
         t0 thread t2
         t1 setuid 5
         t2 setgid 7
         t1 exec ./probe64
         t1 setuid 0
         t1 thread t3
         t3 exec ./probe32
         t3 look",
    );
}

#[test]
fn a_leader_may_leave_before_its_threads() {
    assert_same(
        "t0 thread t1
         t1 setuid 5
         t0 exit
         t1 look
         t1 thread t2
         t2 setuid 0
         t1 fork t3
         t3 look
         t2 exec ./probe64
         t2 look",
    );
}
