//! Packages that are installed in a minimal root file system, freshly unpacked each time, with apt's sandbox on.

use crate::session::{Needs, Place, Session, Step, step};

const GROUP: &str = "packages";

/// What apt installs: packages of many owners, with all that they need.
const SET: &str =
    "openssh-server man-db dbus cron exim4-base sudo nginx-light postgresql iputils-ping systemd";

/// What dpkg installs: large ones that need nothing else.
const LARGE: &str = "vim-runtime linux-libc-dev libicu72 iso-codes manpages manpages-dev";

/// Unpacks the root file system, and gives it what it needs of the machine; `inside` runs a command in it. The libraries of
/// those sides that preload one must be there; PRoot has its own way to bind directories.
const PREPARE: &str = r#"
    variables="PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/root DEBIAN_FRONTEND=noninteractive"
    mkdir root
    if [ "$side" = proot ]; then
        inside() { proot -0 -r root -b /dev -b /proc -w / env $variables "$@"; }
        proot -0 tar --numeric-owner -xpf "$material"/base.tar -C root
    else
        inside() { env $variables chroot root "$@"; }
        tar --numeric-owner -xpf "$material"/base.tar -C root $same || exit
        mount -t tmpfs -o mode=755 tmpfs root/dev &&
        for node in null zero full random urandom tty; do
            : >root/dev/$node && mount --bind /dev/$node root/dev/$node || exit
        done
        mkdir root/dev/pts root/dev/shm && ln -s /proc/self/fd root/dev/fd && mount --rbind /proc root/proc || exit
    fi
    for library in /usr/lib/*/libfakeroot/*.so /usr/lib/*/pseudo/*.so; do
        case "$side $library" in "fakeroot "*fakeroot-* | "pseudo "*pseudo.so) ;; *) continue ;; esac
        mkdir -p root/"${library%/*}" && cp "$library" root/"$library"
    done
"#;

/// All of them.
pub fn sessions() -> Vec<Session> {
    let packages = format!("{SET} {LARGE}").split(' ').map(String::from).collect::<Vec<_>>();
    let session = |name, step| Session {
        prepare: PREPARE.into(),
        place: Place::Chroot,
        material: Needs::Fetched { name: "base.tar", what: "root", arguments: packages.clone() },
        ..Session::new(GROUP, name, vec![step]).slow(300)
    };
    let apt = Step {
        check: "[ -z \"$(inside dpkg --audit)\" ] && [ \"$(inside stat -c %U /var/log/exim4)\" = Debian-exim ]",
        ..step(
            "`apt-get install` of a server's packages",
            1,
            format!("inside apt-get install -y -o Dpkg::Use-Pty=0 {SET}"),
        )
    };
    let archives = LARGE.split(' ').map(|name| format!("/var/cache/apt/archives/{name}_*.deb"));
    let archives = archives.collect::<Vec<_>>().join(" ");
    let dpkg = Step {
        check: "[ -z \"$(inside dpkg --audit)\" ]",
        ..step("`dpkg -i` of large packages", 1, format!("inside sh -c 'dpkg -i {archives}'"))
    };
    vec![session("apt", apt), session("dpkg", dpkg)]
}
