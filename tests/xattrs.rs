//! Extended attributes by the programs that people use: real root and remainroot in a one-id namespace say the
//! same, in the run that set them and in the next.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::print_stderr)] // a helper of a test is a test

mod common;

use common::{How, Run, Scratch};

/// Lists what every file in `w` bears.
const LIST: &str = "cd w; find . | sort > ../list; \
     xargs -a ../list stat -c '%n %F %a %u:%g'; xargs -a ../list getfattr -h -d -m - --; \
     find . ! -type l | sort | xargs getfacl -n -p --; xargs -a ../list getcap -n";

/// What Debian packages the programs of these tests are in.
const PROGRAMS: [(&str, &str); 6] = [
    ("setfacl", "acl"),
    ("setfattr", "attr"),
    ("setcap", "libcap2-bin"),
    ("rsync", "rsync"),
    ("tar", "tar"),
    ("setpriv", "util-linux"),
];

/// Whether both sides can run; says why not.
fn possible() -> bool {
    let there =
        |program: &str| Run::shell(How::Native, &format!("command -v {program}")).output().status.success();
    let lacking = PROGRAMS.iter().find(|(program, _)| !there(program));
    if let Some((program, package)) = lacking {
        common::skip(common::Lack::Program, &format!("needs {program} ({package})"));
    }
    lacking.is_none() && common::needs_root()
}

/// Runs a script as real root and under remainroot, each in a directory of its own without a capability that
/// real root may lack, then goes on and lists in another run what it has left, and compares.
fn same(store: &str, script: &str, next: &str) {
    if !possible() {
        return;
    }
    let [native, ours] = [How::Native, How::Remainroot].map(|how| {
        let place = Scratch::new("xattrs");
        let store = match store {
            "a file" => place.file("facts"),
            store => store.to_owned(),
        };
        let run = |script: &str| {
            let words = ["capsh", "--drop=cap_sys_resource", "--", "-c", script];
            let run = Run::new(how, words).directory(place.path()).variable("HOME", place.path());
            run.option(&format!("--store={store}")).seconds(60).output()
        };
        let now = run(&format!("umask 022; chmod 755 .; mkdir w; (cd w; {script}); {LIST}"));
        let later =
            run(&if store == "memory" { "true".to_owned() } else { format!("(cd w; {next}); {LIST}") });
        (now, later)
    });
    assert_eq!(native.0, ours.0, "{store}: {script}");
    assert_eq!(native.1, ours.1, "{store}: in the next run, after {script}");
    assert!(native.0.stdout.lines().count() > 20, "{native:?}");
}

/// The same wherever facts can be kept.
fn same_everywhere(script: &str, next: &str) {
    for store in ["auto", "memory", "a file"] {
        same(store, script, next);
    }
}

#[test]
fn lists_with_any_name_are_set_shown_and_changed() {
    same_everywhere(
        "show() { for f in \"$@\"; do stat -c '%n %a %U:%G' $f; getfacl -n -p $f; done; }; \
         touch f; setfacl -m u:1000:rx,g:4:rwx f; show f; setfacl -m m::r f; show f; chmod 664 f; show f; \
         chmod g+s f; setfacl -x u:1000 f; show f; mv f g; ln g h; show g h; rm g; show h; rm h; touch h; show h; \
         mkdir d; setfacl -m g:adm:rx d; chown 1000 h; \
         setpriv --reuid 1000 --regid 1001 --clear-groups sh -c 'setfacl -m u:7:r h; setfacl -m u:7:r d; echo $?'; \
         show d h; setfacl -m u:0:rwx,g:0:rwx,u:65534:- d; show d; touch e; setfacl -m u:7:r e",
        "setfacl -b d; setfacl -m u:8:w e; chmod 751 h; mv h i",
    );
}

#[test]
fn what_is_made_in_a_directory_gets_its_default_list() {
    same_everywhere(
        "mkdir d; setfacl -d -m u:33:rwx,g:50:r-x,o::- d; umask 077; echo x > d/new; mkdir d/sub; \
         mkdir -p d/sub/deep/er; ln -s new d/link; mkfifo d/fifo; mknod d/null c 1 3; cp /etc/hostname d/copied; \
         install -m 640 /etc/hostname d/installed; \
         chmod 777 d; setpriv --reuid 1000 --regid 1001 --clear-groups sh -c 'umask 0; touch d/theirs; mkdir d/yours'; \
         mkdir k; setfacl -d -m u:3:r k; setfacl -k k; touch k/plain; mv d/sub e; mkdir e/more",
        "mkdir e/later; touch d/later e/later/file; mv d f; touch f/last; setfacl -k f; touch f/plain",
    );
}

#[test]
fn copies_archives_and_backups_keep_lists_and_attributes() {
    same_everywhere(
        "mkdir -p d/s; ln -s s d/l; mkfifo d/p; mknod d/b b 8 1; echo x > d/f; chown 1000:1001 d/f; \
         setfacl -m u:7:rwx,g:8:r d/f d/s d/p; setfacl -d -m u:9:rw d/s; setfattr -n user.mine -v 1 d/f; \
         setfattr -h -n trusted.md5 -v abc d d/f d/l d/p d/b; setfattr -n security.foo -v bar d/f; cp /bin/true d/t; \
         setcap -n 1000 cap_net_raw+ep d/t; \
         cp -a d copy; all=\"--acls --xattrs --xattrs-include=*\"; tar $all -cf ../t.tar d; mkdir x; \
         tar $all -xpf ../t.tar -C x; rsync -aAX d/ r/; getfacl -R -n d > ../lists; setfacl -R -b d/s d/f; \
         setfacl --restore=../lists; \
         setpriv --reuid 1000 --regid 1001 --clear-groups getfattr -h -d -m - d/f d",
        "setfattr -x user.mine d/f; setfattr -h -x trusted.md5 d/l; setfattr -h -n trusted.md5 -v changed copy/p; \
         setcap -r x/d/t; cp -a r again",
    );
}

#[test]
fn capabilities_of_files_are_given_to_who_executes_them() {
    if !common::needs_privilege("the bounding set in /proc, and a write that takes capabilities") {
        return;
    }
    same_everywhere(
        "chmod 777 .; cp $(command -v capsh) sh; user='setpriv --reuid 1000 --regid 1000 --clear-groups'; \
         look() { \"$@\" ./sh --print 2>&1 | grep -E '^(Current|Ambient)|not permitted'; }; \
         for caps in cap_net_raw+ep cap_net_raw+p cap_net_raw+i cap_net_raw,cap_chown+eip; do \
           setcap $caps sh; setcap -v $caps sh; getcap -r .; look $user; look $user --inh-caps=-all; \
           look $user --inh-caps=+net_raw,+kill; look $user --no-new-privs; look setpriv --securebits=+noroot; \
           look $user --bounding-set=-net_raw; look $user --keep-groups --inh-caps=+net_raw --ambient-caps=+net_raw; \
           look; cp -a sh copy; getcap copy; ln sh hard; mv hard moved; getcap moved; rm moved copy; \
         done; \
         setcap -n 1000 cap_net_raw+ep sh; getcap -n sh; look $user; setcap cap_kill+ep sh; look $user; \
         $user setcap cap_kill+ep sh 2>/dev/null; echo $?; chown 1000 sh; look $user; \
         cp sh kept; setcap -n 1000 cap_net_raw+ep kept; cp sh lost; setcap -n 1000 cap_net_raw+ep lost; echo >> lost; \
         setcap -r kept; setcap -r kept 2>&1; setcap -n 7 cap_chown+p kept; setcap cap_net_raw+ep sh",
        "setpriv --reuid 1000 --clear-groups --regid 1000 ./sh --print | grep Current; setcap -r sh; getcap -n kept",
    );
}

#[test]
fn what_a_program_gains_from_its_file_is_what_real_root_lets_it_gain() {
    if !common::needs_privilege("mount(2)") {
        return;
    }
    same(
        "memory",
        "chmod 777 .; cp $(command -v capsh) sh; cp /usr/bin/env env; user='setpriv --reuid 1000 --regid 1000 --clear-groups'; \
         setcap cap_net_raw+ep sh; setcap cap_net_raw+ep env; \
         $user env LD_PRELOAD=/none.so ./sh --print 2>&1 | head -3; $user ./env LD_PRELOAD=/none.so true 2>&1; \
         printf '#!%s/sh --print\\n' $PWD > script; chmod +x script; $user ./script | grep Current; \
         setcap cap_kill+ep script; $user ./script | grep Current; \
         printf '#!/bin/sh\\necho run\\n' > other; chmod +x other; setcap cap_kill+ep other; \
         $user --bounding-set=-kill ./other; chmod -x other; $user --bounding-set=-kill ./other 2>&1; \
         setcap cap_kill+ep env; $user --bounding-set=-kill ./env 2>&1; $user --bounding-set=-chown ./env echo runs; \
         unshare -m sh -c \"mkdir m; mount -t tmpfs -o nosuid none m; cp sh m/sh; setcap cap_net_raw+ep m/sh; \
           getcap m/sh; $user m/sh --print | grep Current; setfattr -n trusted.x -v 1 m/sh; \
           setfattr -n security.x -v 2 m/sh; getfattr -d -m - m/sh\"; \
         for i in 1 2 3 4 5 6 7 8 9 10; do touch $i; done",
        "true",
    );
}

#[test]
fn attributes_of_a_lower_layer_are_seen_and_copied_up() {
    if !common::needs_privilege("mount(2)") {
        return;
    }
    let mount = "mount -t overlay -o lowerdir=../l,upperdir=../u,workdir=../x,userxattr none m && cd m";
    same(
        "auto",
        &format!(
            "cd ..; mkdir -p l/d u x w/m; echo a > l/a; echo b > l/b; setfacl -d -m u:7:rwx l/d; setfattr -n trusted.low -v 1 l/a; \
             setfattr -n security.low -v 2 l/b; setfacl -m u:8:rw l/b; setcap -n 1000 cap_kill+p l/b; cd w; \
             unshare -m sh -c '{mount} && getfattr -d -m - a b d; echo more >> a; echo more >> b; chmod 700 b; \
               touch d/new; mkdir d/sub; setfattr -n trusted.up -v 3 a; chown 5 a; mv a aa; \
               getfattr -d -m - aa b d d/new d/sub; getfacl -n b d/new'; cp -a ../l ."
        ),
        &format!("unshare -m sh -c '{mount} && getfattr -d -m - aa b d d/new d/sub; getfacl -n b d/new'"),
    );
}

#[test]
fn what_is_immutable_or_append_only_keeps_its_attributes() {
    same(
        "auto",
        "touch f g; mkdir d; setfattr -n user.x -v 1 f; setfacl -m u:7:r f; setcap cap_kill+p f; \
         setfattr -n trusted.x -v 1 f; \
         for flag in i a; do chattr +$flag f d; \
           for name in user.y trusted.y security.y security.selinux system.nothing; do \
             setfattr -n $name -v 2 f; setfattr -n $name -v 2 d; setfattr -x $name f; \
           done; setfattr -x user.x f; setfattr -x trusted.x f; setcap cap_kill+ep f; setcap -r f; \
           setfacl -m u:8:r f; setfacl -b f; setfacl -d -m u:8:r d; getfattr -d -m - f d; chattr -$flag f d; \
         done 2>&1; setfattr -x user.x f; setfacl -b f; chattr +i d",
        "setfattr -n user.z -v 1 d 2>&1; chattr -i d; setfattr -n user.z -v 1 d",
    );
}
