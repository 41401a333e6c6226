//! Images and lists that need no remainroot to be seen right. Real root makes the same tree, and packs it with tar; what
//! unpacks or reads ours are the tools that people use.
#![allow(clippy::expect_used, clippy::unwrap_used, clippy::panic)] // a helper of a test is a test

mod common;

use std::fs;
use std::os::unix::fs::chown;
use std::path::Path;

use sha2::{Digest, Sha256};

use common::{How, NOBODY, Output, Run, Scratch};

const TOOLS: [&str; 7] = ["tar", "getfattr", "setfattr", "setfacl", "setcap", "gzip", "setpriv"];

/// A directory of the unprivileged user's with a home in it, and one that only real root uses.
struct Place {
    scratch: Scratch,
}

impl Place {
    /// `None`, said as a skip, where something is lacking.
    fn new(programs: &[&str]) -> Option<Place> {
        if !common::needs_root() || !common::has(&TOOLS) || !common::has(programs) {
            return None;
        }
        let scratch = Scratch::new("export");
        let sources = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/export");
        for name in ["tree", "look", "lay", "image"] {
            fs::copy(sources.join(name), scratch.path().join(name)).unwrap();
        }
        for name in ["home", "w"] {
            fs::create_dir(scratch.path().join(name)).unwrap();
            chown(scratch.path().join(name), Some(NOBODY), Some(NOBODY)).unwrap();
        }
        fs::create_dir(scratch.path().join("root")).unwrap();
        chown(scratch.path().join("root"), Some(0), Some(0)).unwrap();
        Some(Place { scratch })
    }

    /// A line for the shell of the unprivileged user, who has no namespace: `$R` is remainroot, `$T` the top.
    fn user(&self, line: &str) -> Run {
        let id = NOBODY.to_string();
        let run = Run::new(How::Native, ["bash", "-ec", line]).directory(&self.scratch.path().join("w"));
        let run = run.before(["setpriv", "--reuid", &id, "--regid", &id, "--clear-groups"]);
        self.with_variables(run)
    }

    /// The same for real root's.
    fn root(&self, line: &str) -> String {
        let run = Run::new(How::Native, ["bash", "-ec", line]).directory(&self.scratch.path().join("root"));
        self.with_variables(run).output().success()
    }

    fn with_variables(&self, run: Run) -> Run {
        run.variable("R", common::remainroot())
            .variable("T", self.scratch.path())
            .variable("HOME", self.scratch.file("home"))
            .seconds(120)
    }

    /// What a line of the user's says, which must succeed and complain of nothing.
    fn says(&self, line: &str) -> String {
        let output = self.user(line).output();
        assert_eq!(output.stderr, "", "{line}");
        output.success()
    }

    /// What real root finds in an archive of the tree that it has made itself.
    fn expected(&self) -> String {
        self.root("sh $T/tree; cd d; tar --numeric-owner --format=pax --xattrs --xattrs-include='*' -cf $T/root/native .; sh $T/look $T/root/native")
    }

    /// What it finds in an archive of the user's.
    fn found(&self, name: &str) -> String {
        self.root(&format!("cp $T/w/{name} . && sh $T/look $T/root/{name}"))
    }

    /// The user's tree with what is recorded of links and FIFOs by path, as in a container.
    fn lay(&self) {
        self.says(
            r#"$R sh $T/tree; printf '+120000 3 4 - - /link\0given\0+10000 5 6 - - /fifo\0\0' >names; sh $T/lay d $PWD/names >layer"#,
        );
    }
}

const WARNING: &str = "remainroot: warning: own/suid: is set-uid root (4755), which others could use: own belongs to uid 1000\n";

#[test]
fn an_archive_of_a_tree_is_what_real_root_would_have_packed() {
    let Some(place) = Place::new(&[]) else { return };
    let expected = place.expected();
    let output =
        place.user("$R sh $T/tree; $R --export=out d; $R --export=- d >again; cmp out again; ls -A").output();
    assert_eq!(
        (output.stderr.as_str(), output.stdout.as_str()),
        (WARNING.repeat(2).as_str(), "again\nd\nout\n")
    );
    assert_eq!(place.found("out"), expected);
    // Within a namespace, and under remainroot, it is the same.
    place
        .user("unshare -Ur $R --export=inside d; cmp inside out; $R $R --export=within d; cmp within out")
        .output()
        .success();
    let names = place.root("tar tf $T/w/out; tar xOf $T/w/out given s/hard");
    assert!(names.starts_with("./\n") && names.ends_with("hi\n"), "{names}");
}

#[test]
fn a_layer_says_what_real_root_would_have_packed_however_it_is_compressed() {
    let Some(place) = Place::new(&["zstd"]) else { return };
    let expected = place.expected();
    place.lay();
    let output = place.user("$R --export=out layer").output();
    let lost =
        "remainroot: warning: acl: system.posix_acl_access is left out, of which the layer lacks a part\n";
    assert_eq!((output.stderr, output.status.code()), (format!("{lost}{WARNING}"), Some(0)));
    // The archive has no entry for the top, whose mode and owner are no matter.
    let sorted = |text: &str| {
        let mut lines: Vec<String> =
            text.lines().filter(|line| !line.starts_with(". ")).map(str::to_owned).collect();
        lines.retain(|line| !["./var d ", "./var/lib d "].iter().any(|made| line.starts_with(made)));
        // What builds layers leaves lists of access out.
        lines.retain(|line| {
            line != "# file: acl" && !line.starts_with("system.posix_acl") && !line.is_empty()
        });
        lines
    };
    assert_eq!(sorted(&place.found("out")), sorted(&expected));
    place.user(
        "gzip -nk layer; zstd -q layer; $R --export=a layer.gz; $R --export=b layer.zst; $R --export=- - <layer >c; \
         cat layer.gz | $R --export=d.tar -; for made in a b c d.tar; do cmp $made out; done",
    ).output().success();
    let bytes = fs::read(place.scratch.path().join("w/out")).unwrap();
    for ours in ["remainroot", "rootlesscontainers", "override_stat"] {
        assert!(!bytes.windows(ours.len()).any(|window| window == ours.as_bytes()), "{ours}");
    }
    place.says("$R --export=twice out 2>/dev/null; cmp twice out");
}

/// Two layers above one without anything recorded: in the upper of them a link of the lower one has another owner, another
/// link is another, and files are hidden.
const IMAGE: &str = r#"
    mkdir base middle top
    echo base >base/base
    (cd base && tar --numeric-owner --owner=3 --group=3 -cf ../0 base)
    cd middle
    echo x >given; setfattr -n user.rootlesscontainers -v 0x08071008 given
    ln -s a kept; ln -s a other; ln -s a gone; mkfifo fifo
    cd ..
    printf '+120000 1 1 - - /kept\0a\0+120000 2 2 - - /other\0a\0+120000 3 3 - - /gone\0a\0+10000 4 4 - - /fifo\0\0' >names
    sh $T/lay middle $PWD/names >1
    cd top
    ln -s b other; echo y >.wh.gone; touch node
    setfattr -n user.containers.override_stat -v 0:6:0640:char-1-3 node
    cd ..
    printf '+120000 9 9 - - /kept\0a\0-/other\0+120000 8 8 - - /other\0b\0-/gone\0' >>names
    sh $T/lay top $PWD/names >2
    tar -C top --numeric-owner --owner=0 --group=0 -rf 2 .wh.gone
    bash $T/image 0 1 2
"#;
const IN_IMAGE: &str = "base 3:3 regular file\nfifo 4:4 fifo\ngiven 7:8 regular file\nkept 9:9 symbolic link\n\
     node 0:6 character special file\nother 8:8 symbolic link\nvar 0:0 directory\n";

#[test]
fn an_image_keeps_its_kind_and_says_the_last_owner_in_the_layer_that_has_the_file() {
    let Some(place) = Place::new(&["skopeo", "umoci"]) else { return };
    place.says(IMAGE);
    place.says(
        "$R --export=new.tar docker.tar; $R --export=new oci; tar -C oci -cf oci.tar .; $R --export=new-oci.tar oci.tar; \
         gzip -c docker.tar | $R --export=- - >piped; cmp piped new.tar; ls -A1 | grep remainroot || true",
    );
    for (kind, image) in [("docker-archive", "new.tar"), ("oci", "new"), ("oci-archive", "new-oci.tar")] {
        // skopeo compares digests, umoci unpacks as whoever runs images does.
        let look = format!(
            "skopeo copy -q {kind}:$T/w/{image} oci:{kind}:it; umoci unpack --image {kind}:it {kind}.bundle >log 2>&1 || cat log >&2; \
             cd {kind}.bundle/rootfs; stat -c '%n %u:%g %F' *; stat -c '%t:%T %a' node; find . -path '*remainroot*'; \
             getfattr -hdR -m- .; ls -A"
        );
        let seen = place.root(&look);
        let (owners, rest) = seen.split_once("1:3 640\n").expect("the device is one");
        assert_eq!((owners, rest), (IN_IMAGE, "base\nfifo\ngiven\nkept\nnode\nother\nvar\n"), "{kind}");
        assert!(!rest.contains("gone"));
    }
    // What has nothing recorded stays what it was, in name and content.
    let base = place.says("sha256sum <0 | cut -c1-64");
    let manifest = place.says("tar xOf new.tar manifest.json");
    let kept = format!("\"{}/layer.tar\"", base.trim());
    assert!(manifest.contains(&kept) && manifest.contains("\"here:tag\""), "{manifest}");
    place.says("rm -r oci new; bash $T/image 0; $R --export=new oci; diff -r oci/blobs new/blobs");
}

/// What a listing of an archive says, by `awk`: mode, owner and name of what is no link of the hard kind.
const COLUMNS: &str = "tar --numeric-owner -tvf $A 2>/dev/null | awk '{sub(/^h/, \"-\"); print $1, $2, $6, $7, $8}' | \
     sed 's/ link to.*//; s/ *$//; s,/$,,; s,\\./,,; s/[+*] / /' | LC_ALL=C sort";

#[test]
fn bsdtar_mksquashfs_and_fakeroot_make_of_a_list_what_an_archive_says() {
    let Some(place) = Place::new(&["bsdtar", "mksquashfs", "unsquashfs", "fakeroot"]) else { return };
    place.says("$R sh $T/tree; rm d/bad*; $R --export=out d 2>/dev/null; for kind in mtree mksquashfs mksquashfs-exclude fakeroot; do \
         $R --list-owners=$kind d >$kind; done");
    place.says("bsdtar -cf of-mtree @mtree");
    let columns = |archive: &str| {
        // bsdtar writes a device twice instead of linking it.
        place.says(&format!("A={archive}; {COLUMNS} | sed 's,^-\\(.*/hardnode\\),c\\1,' | LC_ALL=C sort"))
    };
    assert_eq!(columns("of-mtree"), columns("out"));
    assert!(
        columns("out").contains("-rwsr-x--- 7/8 given")
            && columns("out").contains("brw-r----- 0/0 a b/blk dev")
    );
    // Nobody else than root is to own the rest.
    place
        .user("unshare -r mksquashfs d squash -quiet -no-progress -pf mksquashfs -ef mksquashfs-exclude")
        .output()
        .success();
    let squash = "unsquashfs -lln squash | sed 's,squashfs-root/*,,'";
    let squash = place.says(&format!(
        "{squash} | sed -E 's/ +([0-9]+, +)?[0-9]+ 20..-..-.. ..:..//; s/ -> .*//' | LC_ALL=C sort"
    ));
    for line in [
        "-rwsr-x--- 7/8 given",
        "brw-r----- 0/0 a b/blk dev",
        "crw-r--r-- 0/6 node",
        "crw-r--r-- 0/6 s/hardnode",
        "drwxr-xr-x 1000/0 own",
        "drwxrws--- 9/10 dir",
        "lrwxrwxrwx 3/4 link",
        "prw-r--r-- 5/6 fifo",
        "-rw-r--r-- 65536/4000000 tr",
        "drwxr-xr-x 0/0 s",
    ] {
        assert!(squash.lines().any(|known| known == line), "{line} is not in\n{squash}");
    }
    // The real fakeroot, and a later run of ours that keeps nothing itself.
    let look = "find . -printf '%p %y %U:%G %m\\n' | LC_ALL=C sort; stat -c '%n %t:%T' node 'a b/blk dev'";
    let theirs = place.says(&format!("cd d; fakeroot -i ../fakeroot sh -c \"{look}\""));
    assert_eq!(theirs, place.says(&format!("cd d; $R sh -c \"{look}\"")));
    assert_eq!(theirs, place.says(&format!("cd d; $R --load ../fakeroot sh -c \"{look}\"")));
}

#[test]
fn a_list_for_people_and_one_for_programs_name_what_is_recorded_and_nothing_else() {
    let Some(place) = Place::new(&[]) else { return };
    place.says(
        "mkdir d; cd d; touch plain; $R sh -c 'touch \"$(printf \"a\\nb\")\" \"$(printf \"c\\377\")\" cap; chown 7:8 a* c*; chmod 4711 a*; \
         ln -s to link; chown -h 3:4 link; mknod node b 8 1; setfattr -n trusted.x -v y cap'",
    );
    assert_eq!(
        place.says("$R --list-owners d"),
        "-rws--x--x     7     8         0 a\\nb\n-rw-r--r--     7     8         0 cap\n           trusted.x\n\
         -rw-r--r--     7     8         0 c\u{fffd}\nlrwxrwxrwx     3     4         2 link -> to\n\
         brw-r--r--     0     0      8, 1 node\n"
    );
    let objects: Vec<serde_json::Value> = place
        .says("$R --list-owners=json d")
        .lines()
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect();
    assert_eq!(
        serde_json::Value::from(objects),
        serde_json::json!([
            {"path": "a\nb", "type": "file", "mode": "4711", "uid": 7, "gid": 8},
            {"path": "cap", "type": "file", "mode": "0644", "uid": 7, "gid": 8, "attributes": {"trusted.x": "79"}},
            {"path": "c\u{fffd}", "path_hex": "63ff", "type": "file", "mode": "0644", "uid": 7, "gid": 8},
            {"path": "link", "type": "link", "mode": "0777", "uid": 3, "gid": 4, "target": "to"},
            {"path": "node", "type": "block", "mode": "0644", "uid": 0, "gid": 0, "device": [8, 1]},
        ])
    );
    let output = place.user("$R --list-owners=mksquashfs d").output();
    assert_eq!(output.stdout.lines().count(), 4);
    assert_eq!(
        output.stderr,
        "remainroot: warning: a\\nb: is left out: mksquashfs reads no name with a line break\n"
    );
    assert_eq!(place.says("stat -c %s d/plain; ls -A d | wc -l"), "0\n7\n", "nothing was written there");
}

#[test]
fn what_cannot_be_done_is_said_and_leaves_nothing() {
    let Some(place) = Place::new(&["script", "mount"]) else { return };
    place.says("mkdir d full; echo x >d/f; head -c 3000000 /dev/urandom >d/big; tar -cf layer d; bash $T/image layer; cp -r oci kept");
    let refused = |line: &str| {
        let Output { status, stdout, stderr } = place.user(line).output();
        assert_eq!((status.code(), stdout.as_str()), (Some(125), ""), "{line}: {stderr}");
        stderr
    };
    for (line, cause) in [
        ("$R --export=layer layer", "layer is what is read: name another file; nothing was written"),
        ("$R --export=kept oci", "kept: it is there already: name a new directory; nothing was written"),
        ("$R --export=- oci", "an image in a directory becomes a directory: name one instead of -"),
        ("$R --export=d layer", "d: it is a directory, and a file is to be written; nothing was written"),
        (
            "gzip -k layer; $R --export=layer.gz layer.gz",
            "layer.gz is what is read: name another file; nothing was written",
        ),
        ("$R --export=- layer >>layer", "stdout is what is read: name another file"),
        ("$R --export=layer - </dev/null", "stdin: it is empty; nothing was written"),
        (":>empty; $R --export=layer empty", "empty: it is empty; nothing was written"),
        ("gzip -k empty; $R --export=layer empty.gz", "empty.gz: it is empty; nothing was written"),
        ("$R --export=new none", "none: No such file or directory (os error 2); nothing was written"),
        ("$R --export=no/new layer", "no/new: No such file or directory (os error 2); nothing was written"),
        ("$R --export=new", "--export=OUT needs one IN: a root directory, a layer or an image"),
        ("$R --export=new layer more", "--export=OUT needs one IN: a root directory, a layer or an image"),
        ("$R --list-owners", "--list-owners needs one directory"),
    ] {
        assert_eq!(refused(line), format!("remainroot: {cause}\n"), "{line}");
    }
    let damaged = refused("head -c 100000 layer >cut; $R --export=new cut");
    assert!(damaged.contains("cut short") && damaged.ends_with("nothing was written\n"), "{damaged}");
    place.says("tar -df layer && gzip -t layer.gz");
    refused("head -c 3000 /dev/urandom >noise; $R --export=new noise");
    refused(
        "printf '[{\"Config\":\"../x\",\"Layers\":[]}]' >manifest.json; tar -cf bad manifest.json; $R --export=new bad",
    );
    refused(
        "mkdir evil; printf '{\"manifests\":[{\"digest\":\"sha256:../../x\"}]}' >evil/index.json; cp oci/oci-layout evil; $R --export=new evil",
    );
    assert_eq!(place.says("find . -name '*remainroot*'; ls -d new 2>/dev/null || true"), "");
    let terminal = place.user("script -qec '$R --export=- layer' /dev/null").output();
    assert!(terminal.stdout.contains("an archive is not written to a terminal"), "{terminal:?}");
    // A disk on which there is no room leaves neither a part nor a temporary file.
    let on_full = "mount -t tmpfs -o size=1m,mode=777 tmpfs $T/w/full; cd ..; for kind in d layer oci docker.tar; do \
         setpriv --reuid 65534 --regid 65534 --clear-groups $R --export=$T/w/full/new $T/w/$kind 2>&1 && echo done; done; ls -A $T/w/full";
    let run = Run::new(How::Native, ["unshare", "-m", "bash", "-c", on_full]);
    let said = place.with_variables(run).output().success();
    assert_eq!(said.matches("No space left on device").count(), 4, "{said}");
    assert_eq!(said.lines().count(), 4, "{said}");
}

#[test]
fn what_stands_at_the_place_is_written_to_where_it_is_no_file_and_followed_where_it_is_a_link() {
    let Some(place) = Place::new(&["mkfifo"]) else { return };
    place.says("mkdir d; echo x >d/f; $R --export=out d");
    place.says(
        "mkfifo fifo; cat fifo >read & $R --export=fifo d; wait $!; test -p fifo; cmp read out; \
         $R --export=/dev/stdout d >stdout; cmp stdout out; $R --export=/dev/stdout d | cmp - out",
    );
    place.says(
        "mkdir other; echo old >other/file; ln -s other/file there; ln -s other/new dangling; \
         for link in there dangling; do $R --export=$link d; test -L $link; cmp $link out; done; \
         test -f other/file; test -f other/new; ls -A other",
    );
    let loops = place.user("ln -s loop loop; $R --export=loop d").output();
    assert!(loops.stderr.contains("loop: Too many levels of symbolic links"), "{loops:?}");
    // Who reads no further knows it.
    let unread = place
        .user("trap '' PIPE; head -c 3000000 /dev/zero >d/big; $R --export=- d | head -c 1 >one")
        .output();
    assert_eq!((unread.stderr.as_str(), unread.status.code()), ("", Some(0)));
}

#[test]
fn real_root_takes_no_owner_from_what_users_can_write() {
    let Some(place) = Place::new(&["mkfifo"]) else { return };
    place.says(
        "mkdir -p d/var/lib/remainroot; cd d; $R sh -c 'touch f; chown 7:8 f; chmod 4755 f'; mkfifo p; \
         printf '+10000 5 6 - - /p\\0\\0' >var/lib/remainroot/names",
    );
    let list = "LC_ALL=C tar --numeric-owner -tvf out | awk '/[fp]$/ {print $1, $2, $6}'";
    let users =
        place.user(&format!("$R --export=out d 2>log; {list}; $R --list-owners d")).output().success();
    assert!(users.contains("-rwsr-xr-x 7/8 f") && users.contains(" 5/6 p"), "{users}");
    assert_eq!(users.lines().count(), 4, "{users}");
    let id = NOBODY;
    assert_eq!(
        place.root(&format!("$R --export=out $T/w/d; {list}; $R --list-owners $T/w/d")),
        format!("-rwsr-xr-x {id}/{id} f\nprw-r--r-- {id}/{id} p\n")
    );
}

#[test]
fn a_tree_s_file_of_owners_is_read_from_the_tree_alone() {
    let Some(place) = Place::new(&["mkfifo"]) else { return };
    place
        .says("mkdir -p d/var/lib/remainroot else; mkfifo d/p; printf '+10000 5 6 - - /p\\0\\0' >else/names");
    let seen = |laid: &str| {
        place.says(&format!("rm -rf d/var; mkdir -p d/var/lib; {laid}; timeout 60 $R --list-owners d"))
    };
    let names = "mkdir d/var/lib/remainroot; cd d/var/lib/remainroot";
    assert_eq!(seen(&format!("({names}; cp $OLDPWD/else/names .)")).lines().count(), 1);
    for elsewhere in [
        &format!("({names}; ln -s $OLDPWD/else/names .)"),
        "ln -s $PWD/else d/var/lib/remainroot",
        &format!("({names}; mkfifo names)"),
    ] {
        assert_eq!(seen(elsewhere), "", "{elsewhere}");
    }
}

/// Puts a blob into the image `oci`, and gives its descriptor.
fn put(place: &Place, kind: &str, bytes: &[u8]) -> serde_json::Value {
    let hex: String = Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(place.scratch.path().join("w/oci/blobs/sha256").join(&hex), bytes).unwrap();
    serde_json::json!({"mediaType": kind, "digest": format!("sha256:{hex}"), "size": bytes.len()})
}

fn json(path: &Path) -> serde_json::Value {
    serde_json::from_slice(&fs::read(path).unwrap()).unwrap()
}

#[test]
fn what_is_no_layer_in_an_image_stays_and_what_names_the_image_names_the_new_one() {
    let Some(place) = Place::new(&[]) else { return };
    place.says(IMAGE);
    let at = |name: &str| place.scratch.path().join("w").join(name);
    let mut index = json(&at("oci/index.json"));
    let old = index["manifests"][0].clone();
    index["manifests"][0]["data"] = "e30=".into();
    let statement = put(&place, "application/vnd.in-toto+json", b"{\"predicate\": 1}");
    let config =
        serde_json::json!({"rootfs": {"type": "layers", "diff_ids": [statement["digest"]]}}).to_string();
    let config = put(&place, "application/vnd.oci.image.config.v1+json", config.as_bytes());
    let manifest =
        serde_json::json!({"schemaVersion": 2, "config": config, "layers": [statement], "subject": old});
    let mut attestation =
        put(&place, "application/vnd.oci.image.manifest.v1+json", manifest.to_string().as_bytes());
    attestation["annotations"] = serde_json::json!({"vnd.docker.reference.digest": old["digest"]});
    index["manifests"].as_array_mut().unwrap().push(attestation);
    fs::write(at("oci/index.json"), index.to_string()).unwrap();
    place.says("$R --export=new oci");
    let index = json(&at("new/index.json"));
    let [image, attestation] = [0, 1].map(|number| index["manifests"][number].clone());
    let blob = |descriptor: &serde_json::Value| {
        let digest = descriptor["digest"].as_str().unwrap().replace(':', "/");
        at("new/blobs").join(digest)
    };
    assert_ne!(image["digest"], old["digest"]);
    assert_eq!(image.get("data"), None);
    assert_eq!(image["size"], fs::metadata(blob(&image)).unwrap().len());
    assert_eq!(attestation["annotations"]["vnd.docker.reference.digest"], image["digest"]);
    let manifest = json(&blob(&attestation));
    assert_eq!([&manifest["layers"][0], &manifest["config"]], [&statement, &config]);
    for key in ["digest", "size"] {
        assert_eq!(manifest["subject"][key], image[key]);
    }
    assert_eq!(fs::read(blob(&statement)).unwrap(), b"{\"predicate\": 1}");
    assert!(blob(&config).is_file());
}

#[test]
fn a_damaged_image_and_one_that_leads_elsewhere_are_refused() {
    let Some(place) = Place::new(&["mkfifo"]) else { return };
    place.says("mkdir d; echo x >d/f; tar -cf layer d; bash $T/image layer; mv oci whole; cp -r whole/blobs out; gzip -nk layer");
    let layer = "sha256/$(sha256sum <layer.gz | cut -c1-64)";
    let refused = |line: &str, cause: &str| {
        let line = format!("rm -rf oci; cp -r whole oci; blob=oci/blobs/{layer}; {line}");
        let output = place.user(&line).output();
        assert_eq!(output.status.code(), Some(125), "{line}: {}", output.stderr);
        let said = output.stderr.trim_end();
        assert!(said.ends_with(&format!("{cause}; nothing was written")), "{line}: {said}");
    };
    let damaged = "is damaged: its content has another digest";
    refused("echo >>$blob; $R --export=new oci", damaged);
    refused("for blob in oci/blobs/sha256/*; do echo >>$blob; done; $R --export=new oci", damaged);
    refused("echo >>$blob; tar -C oci -cf tar .; $R --export=new tar", damaged);
    refused(
        "mkdir docker; tar -C docker -xf docker.tar; echo y >>d/f; tar -cf $(echo docker/*/layer.tar) d; \
         tar -C docker -cf tar .; $R --export=new tar",
        damaged,
    );
    let out = "it leads out of the image's directory";
    refused(&format!("ln -sf $PWD/out/{layer} $blob; $R --export=new oci"), out);
    refused("rm -r oci/blobs; ln -s ../out oci/blobs; $R --export=new oci", out);
    refused("rm $blob; mkfifo $blob; timeout 60 $R --export=new oci", "it is no regular file");
    place.says("rm -rf oci; cp -r whole oci; mv oci/blobs/sha256 oci/there; ln -s ../there oci/blobs/sha256; $R --export=new oci");
}

#[test]
fn a_layer_with_a_file_that_is_called_like_the_list_of_an_image_is_a_layer() {
    let Some(place) = Place::new(&[]) else { return };
    for text in ["{}", "[]", "[{\"name\": \"an app\"}]", "no list", ""] {
        let made = place.says(&format!(
            "printf '%s' '{text}' >manifest.json; tar -cf layer manifest.json; $R --export=out layer; tar -tf out; tar -xOf out"
        ));
        assert_eq!(made, format!("manifest.json\n{text}"));
    }
}

#[test]
fn twenty_warnings_are_said_and_the_rest_is_counted() {
    let Some(place) = Place::new(&[]) else { return };
    place.says("mkdir d; $R sh -c 'umask 022; cd d; for i in $(seq 10 33); do echo x >$i; chmod 4777 $i; done; echo y >fine; chmod 4755 fine'");
    let said = place.user("$R --export=out d").output();
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert_eq!(lines.len(), 21);
    assert_eq!(
        [lines.first(), lines.last()].map(Option::unwrap),
        [
            &"remainroot: warning: 10: is set-uid root (4777), which others could use: it can be written by everybody",
            &"remainroot: warning: and 4 more like these"
        ]
    );
}
