//! Credentials across exec: `bprm_fill_uid`, `cap_bprm_creds_from_file`, the auxiliary vector.

use crate::oracle::assert_same;

#[test]
fn exec_gives_root_its_capabilities_and_others_none() {
    assert_same(
        "t0 exec ./probe64
         t0 exec ./probe32
         t0 capset hdr(V3,0) cap3(0,0x1c0,0)
         t0 exec ./probe64
         t0 prctl CAPBSET_DROP 12
         t0 exec ./probe64
         t0 setuid 5
         t0 exec ./probe64
         t0 exec ./probe32
         t0 exec ./missing
         t0 exec .",
    );
}

#[test]
fn exec_keeps_real_and_effective_and_sets_saved_and_filesystem_ids() {
    assert_same(
        "t0 setresgid 1 2 3
         t0 setresuid 1 2 3
         t0 exec ./probe64

         t0 setresuid 1 0 3
         t0 exec ./probe64
         t0 setuid 5
         t0 exec ./probe32

         t0 setresuid 0 1 3
         t0 exec ./probe64
         t0 setuid 0
         t0 setreuid 0 0

         t0 setfsuid 5
         t0 setfsgid 5
         t0 exec ./probe64

         t0 setregid 5 0
         t0 exec ./probe64",
    );
}

#[test]
fn exec_clears_keepcaps_and_obeys_noroot() {
    assert_same(
        "t0 prctl SET_KEEPCAPS 1
         t0 setuid 5
         t0 exec ./probe64

         t0 prctl SET_SECUREBITS 1
         t0 exec ./probe64
         t0 setuid 5

         t0 prctl SET_SECUREBITS 0x31
         t0 exec ./probe64
         t0 look

         t0 prctl SET_SECUREBITS 0x15
         t0 setresuid 5 0 0
         t0 exec ./probe64",
    );
}

#[test]
fn ambient_capabilities_survive_exec() {
    assert_same(
        "t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x1c0)
         t0 prctl SET_KEEPCAPS 1
         t0 setuid 5
         t0 prctl CAP_AMBIENT RAISE 7
         t0 exec ./probe64
         t0 exec ./probe32
         t0 setuid 9
         t0 exec ./probe64

         t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x1c0)
         t0 prctl CAP_AMBIENT RAISE 7
         t0 exec ./probe64
         t0 exec ./probe64

         t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x1c0)
         t0 prctl CAP_AMBIENT RAISE 7
         t0 setresuid 5 0 0
         t0 exec ./probe64

         t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x1c0)
         t0 prctl CAP_AMBIENT RAISE 7
         t0 prctl SET_SECUREBITS 1
         t0 exec ./probe64",
    );
}

#[test]
fn inheritable_capabilities_widen_what_root_gains() {
    assert_same(
        "t0 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x1)
         t0 prctl CAPBSET_DROP 0
         t0 exec ./probe64
         t0 capset hdr(V3,0) cap3(0,0,0)
         t0 exec ./probe64",
    );
}

/// Makes a copy of the probe with this owner, group and mode.
pub fn made(name: &str, owner: &str, mode: &str) -> String {
    format!(
        "t0 copy ./probe64 ./{name}
         t0 chown path:./{name} {owner}
         t0 chmod path:./{name} {mode}
         t0 stat ./{name}"
    )
}

/// The same sequence for each file, made and executed by a process that first does `before`.
fn assert_same_for(files: &[(&str, &str, &str)], before: &str) {
    let script: Vec<String> = files
        .iter()
        .map(|&(name, owner, mode)| {
            let made = made(name, owner, mode);
            format!(
                "{made}\nt0 fork t1\n{before}\nt1 exec ./{name}\nt1 exec ./probe64\nt0 unlink path:./{name}"
            )
        })
        .collect();
    assert_same(&script.join("\n\n"));
}

const FILES: [(&str, &str, &str); 8] = [
    ("root", "0 0", "0x9ed"),          // 4755
    ("user", "100 0", "0x9ed"),        // 4755
    ("group", "0 200", "0x5ed"),       // 2755
    ("both", "100 200", "0xded"),      // 6755
    ("rootboth", "0 0", "0xded"),      // 6755
    ("mandatory", "100 201", "0xde5"), // 6745: a set-gid bit without execution by the group
    ("plain", "100 200", "0x1ed"),     // 0755
    ("large", "4294967294 65536", "0xded"),
];

#[test]
fn set_id_files_give_their_owners_ids_to_root() {
    assert_same_for(&FILES, "t1 look");
}

#[test]
fn set_id_files_give_their_owners_ids_to_a_user() {
    assert_same_for(&FILES, "t1 setgroups 2 u32[10,200]\nt1 setgid 7\nt1 setuid 5");
}

#[test]
fn set_id_files_give_nothing_without_new_privileges() {
    assert_same_for(&FILES, "t1 setgid 7\nt1 setuid 5\nt1 prctl SET_NO_NEW_PRIVS 1");
    assert_same_for(&FILES, "t1 prctl SET_NO_NEW_PRIVS 1");
}

#[test]
fn set_id_files_and_the_capabilities_of_root() {
    assert_same_for(&FILES, "t1 prctl SET_SECUREBITS 1\nt1 setresuid 5 6 7");
    assert_same_for(
        &FILES,
        "t1 capset hdr(V3,0) cap3(0x1ff,0x1ff,0x1c0)
         t1 prctl SET_KEEPCAPS 1\nt1 setuid 5\nt1 prctl CAP_AMBIENT RAISE 7",
    );
}

#[test]
fn a_file_whose_owner_changes_loses_its_set_id_bits() {
    assert_same(
        "t0 copy ./probe64 ./changed
         t0 chmod path:./changed 0xded
         t0 chown path:./changed 5 6
         t0 stat ./changed
         t0 chmod path:./changed 0xded
         t0 fork t1
         t1 setuid 9
         t1 chown path:./changed 9 -1
         t1 chmod path:./changed 0x1ed
         t1 stat ./changed
         t1 exec ./changed
         t1 chown path:./changed 5 6
         t1 chown path:./changed -1 -1
         t1 stat ./changed
         t0 chown path:./changed 0 0
         t0 exec ./changed
         t0 unlink path:./changed",
    );
}

#[test]
fn a_script_runs_with_its_interpreters_set_id_bits_and_not_its_own() {
    assert_same(
        "t0 script ./script ./both
         t0 chown path:./script 5 6
         t0 chmod path:./script 0xded
         t0 fork t1
         t1 exec ./script
         t1 exec ./script
         t0 script ./plain ./probe64
         t0 chown path:./plain 5 6
         t0 chmod path:./plain 0xded
         t0 fork t2
         t2 setuid 7
         t2 exec ./plain
         t2 exec ./script
         t0 unlink path:./script
         t0 unlink path:./plain",
    );
}

#[test]
fn a_file_nobody_may_execute_leaves_everything_as_it_was() {
    assert_same(
        "t0 copy ./probe64 ./inert
         t0 chown path:./inert 5 6
         t0 chmod path:./inert 0xda4
         t0 exec ./inert
         t0 unlink path:./inert
         t0 script ./astray ./missing
         t0 exec ./astray
         t0 unlink path:./astray",
    );
}
