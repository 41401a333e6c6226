//! What `--help` says below the options. The manual page shows the same examples.

/// Command lines by what a person wants to do.
pub(super) const EXAMPLES: &[(&str, &[&str])] = &[
    ("Install packages in a rootless container", &["remainroot apt-get install openssh-server"]),
    (
        "Be root as a plain user, in a namespace of your own",
        &["remainroot sh -c 'touch f; chown 33:33 f; ls -ln f'"],
    ),
    ("The same in a namespace that another tool has made", &["unshare -Ur remainroot id"]),
    ("Make a root file system", &["remainroot debootstrap stable ./root"]),
    (
        "Build a package as fakeroot would",
        &["ln -s \"$(command -v remainroot)\" ./fakeroot", "dpkg-buildpackage -r\"$PWD/fakeroot\" -b"],
    ),
    (
        "Hand owners on from one command to the next in a file",
        &[
            "remainroot --save=owners make install DESTDIR=\"$PWD/root\"",
            "remainroot --load=owners tar cf root.tar -C root .",
        ],
    ),
    ("Find out what this place lacks", &["remainroot --check"]),
    ("Say in words what was done, what was refused, and why", &["remainroot --explain=why.txt make install"]),
    ("Write each answered call down", &["remainroot --log=run.jsonl ./configure"]),
    ("Tell afterwards what was answered", &["remainroot -c -- tar xpf layer.tar"]),
    (
        "Give owners to an image for who has no remainroot",
        &["podman save -o built.tar built", "remainroot --export=pushed.tar built.tar"],
    ),
    (
        "Have the manual page and completion from the program alone",
        &["remainroot --generate=man | man -l -", "eval \"$(remainroot --generate=bash)\""],
    ),
];

/// All that stands below the options.
pub(super) fn after() -> String {
    let example = |(task, lines): &(&str, &[&str])| {
        let lines: String = lines.iter().map(|line| format!("    {line}\n")).collect();
        format!("  {task}:\n{lines}")
    };
    let examples: String = EXAMPLES.iter().map(example).collect();
    format!(
        "Examples:\n{examples}\n\
         Options stand before COMMAND; what stands behind it is the command's own.\n\n\
         Exit status: the command's own; 125 if remainroot fails, 126 if COMMAND cannot\n\
         be executed, 127 if it is not found.\n\n\
         remainroot is no security boundary: the container around it is."
    )
}
