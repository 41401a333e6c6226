//! capget and capset: kernel/capability.c and `cap_capset`.

use crate::common::{How, needs_privilege, needs_root};
use crate::oracle::{Bench, Entry, Root, Sequence, assert_same};

#[test]
fn capget_writes_as_many_structs_as_the_version_has() {
    assert_same(
        "t0 capget hdr(V1,0) out
         t0 capget hdr(V2,0) out
         t0 capget hdr(V3,0) out
         t0 capset hdr(V3,0) cap3(0x100000003,0x100000007,0x2)
         t0 capget hdr(V1,0) out
         t0 capget hdr(V3,0) out",
    );
}

#[test]
fn an_unknown_version_is_answered_with_the_one_the_kernel_prefers() {
    assert_same(
        "t0 capget hdr(0,0) out
         t0 capget hdr(0,0) null
         t0 capget hdr(0,-1) null
         t0 capget hdr(V3,0) null
         t0 capget hdr(V3,-1) null
         t0 capget hdr(0xffffffff,0) void
         t0 capget hdr(0,0)! out
         t0 capget hdr(0,0)! null
         t0 capset hdr(0,0) null
         t0 capset hdr(1,0) cap3(0,0,0)
         t0 capset hdr(0,0)! void",
    );
}

#[test]
fn capget_faults_in_the_order_of_the_kernel() {
    assert_same(
        "t0 capget null null
         t0 capget null out
         t0 capget void out
         t0 capget high out
         t0 capget hdr(V3,0)^4 out
         t0 capget hdr(V3,0)^4 null
         t0 capget hdr(V3,0)^ out
         t0 capget hdr(0,0)^4 out
         t0 capget hdr(V3,0) void
         t0 capget hdr(V3,0) ro
         t0 capget hdr(V3,0)! out
         t0 capget hdr(V3,0) out^40
         t0 capget hdr(V1,0) out^52
         t0 capget hdr(V1,0) out^56",
    );
}

#[test]
fn capget_asks_about_other_tasks() {
    assert_same(
        "t0 fork t1
         t0 thread t2
         t1 setuid 5
         t2 capset hdr(V3,0) cap3(0x180,0x180,0x180)
         t0 capget hdr(V3,@t0) out
         t0 capget hdr(V3,@t1) out
         t0 capget hdr(V3,@t2) out
         t1 capget hdr(V3,@t0) out
         t1 capget hdr(V2,@t2) out
         t2 capget hdr(V1,@t0) out
         t2 capget hdr(V3,0) out
         t0 capget hdr(V3,1073741824) out
         t0 capget hdr(V3,-5) out
         t0 capget hdr(V3,@t1) null
         t0 capget hdr(V3,@t1) void
         t0 capget hdr(V3,1073741824) null",
    );
}

#[test]
fn capget_knows_tasks_by_the_ids_of_their_pid_namespace() {
    if !needs_root() || !needs_privilege("a pid namespace") {
        return;
    }
    let steps = "t0 fork t1\nt1 setuid 5\nt0 capget hdr(V3,@t1) out\nt0 capget hdr(V3,@t0) out\n\
                 t1 capget hdr(V3,@t0) out\nt1 capget hdr(V3,1) out\nt0 thread t2\n\
                 t2 capset hdr(V3,@t2) cap3(1,1,0)\nt0 capget hdr(V3,@t2) out\nt0 capset hdr(V3,1) cap3(1,1,0)\n\
                 t0 capget hdr(V3,30000) out\n";
    let sequence = Sequence { entry: Entry::Syscall, brief: true, steps: steps.to_owned() };
    let bench = Bench::within(&["unshare", "--pid", "--fork", "--mount-proc"]);
    let difference = bench.difference(How::Remainroot, Root::Namespace, &[sequence]);
    assert!(difference.is_none(), "{}", difference.unwrap_or_default().1);
}

#[test]
fn capset_is_for_oneself_only() {
    assert_same(
        "t0 fork t1
         t0 thread t2
         t0 capset hdr(V3,@t1) cap3(0,0,0)
         t0 capset hdr(V3,@t2) cap3(0,0,0)
         t0 capset hdr(V3,-1) cap3(0,0,0)
         t0 capset hdr(V3,1073741824) cap3(0,0,0)
         t0 capset hdr(V3,@t1) void
         t2 capset hdr(V3,@t0) cap3(0,0,0)
         t2 capset hdr(V3,@t2) cap3(0x1ff,0x1ff,0)
         t0 capset hdr(V3,@t0) cap3(0x1fe,0x1ff,0)
         t1 look",
    );
}

#[test]
fn capset_faults_and_refuses_in_the_order_of_the_kernel() {
    assert_same(
        "t0 capset null null
         t0 capset void cap3(0,0,0)
         t0 capset hdr(V3,0)^4 cap3(0,0,0)
         t0 capset hdr(V3,0) null
         t0 capset hdr(V3,0) void
         t0 capset hdr(V3,0) cap3(0,0,0)^1
         t0 capset hdr(V3,0) cap3(1,1,0)^12
         t0 capset hdr(V1,0) cap3(1,1,0)^12
         t0 capset hdr(V3,0) cap3(0x1c0,0x1c0,0)!",
    );
}

#[test]
fn capset_lets_no_set_grow_past_its_bound() {
    assert_same(
        "t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x1)
         t0 capset hdr(V3,0) cap3(0x3ff,0x1ff,0)
         t0 capset hdr(V3,0) cap3(0x1ff,0x3ff,0)
         t0 capset hdr(V3,0) cap3(0x200,0x1ff,0)
         t0 capset hdr(V3,0) cap3(0,0x1ff,0x600)
         t0 capset hdr(V3,0) cap3(0x100,0x1ff,0x600)
         t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x600)
         t0 capset hdr(V3,0) cap3(0x100,0x100,0x600)
         t0 capset hdr(V3,0) cap3(0,0x100,0x600)
         t0 capset hdr(V3,0) cap3(0,0x100,0x700)
         t0 capset hdr(V3,0) cap3(0,0x100,0xf00)
         t0 capset hdr(V3,0) cap3(0,0,0)
         t0 capset hdr(V3,0) cap3(0,0,0x1)
         t0 capset hdr(V3,0) cap3(0x1,0x1,0)

         t0 prctl CAPBSET_DROP 9
         t0 capset hdr(V3,0) cap3(0x3ff,0x3ff,0x200)
         t0 capset hdr(V3,0) cap3(0x3ff,0x3ff,0x100)

         t0 capset hdr(V3,0) cap3(0xfffffe00000001c0,0xfffffe00000001c0,0xfffffe0000000000)
         t0 capset hdr(V3,0) cap3(0x1c0,0x1c0,0)

         t0 capset hdr(V1,0) cap1(0xc0,0x1c0,0x40)
         t0 capset hdr(V1,0) cap1(0x1c0,0x1c0,0x40)
         t0 capset hdr(V2,0) cap3(0x1c0,0x1c0,0x40)",
    );
}

#[test]
fn ambient_capabilities_follow_permitted_and_inheritable_down() {
    assert_same(
        "t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x1ff)
         t0 prctl CAP_AMBIENT RAISE 6
         t0 prctl CAP_AMBIENT RAISE 7
         t0 prctl CAP_AMBIENT RAISE 8
         t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x17f)
         t0 capset hdr(V3,0) cap3(0xff,0xff,0x17f)
         t0 capset hdr(V3,0) cap3(0,0,0)",
    );
}
