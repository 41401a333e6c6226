//! What people build inside a container: a C project with its configure script, and what npm installs.

use crate::session::{Needs, Session, Step, step};

const GROUP: &str = "builds";

/// A program whose source most archives have, with a long configure script and few needs.
const PROJECT: &str = "gawk";

/// All of them. The distributions leave out the sources of the project's manual, so that is not made.
pub fn sessions() -> Vec<Session> {
    let fetched =
        |name, what, argument: &str| Needs::Fetched { name, what, arguments: vec![argument.into()] };
    let build = vec![
        step("`./configure` of gawk", 1, "./configure --disable-dependency-tracking"),
        Step { check: "[ -x gawk ]", ..step("`make -j2` of gawk", 1, "make -j2 SUBDIRS='support .'") },
    ];
    let npm = "npm ci --offline --no-audit --no-fund --no-update-notifier --cache \"$HOME\"/cache";
    let packages = vec![Step { check: "[ -d node_modules/eslint ]", ..step("`npm ci`, offline", 1, npm) }];
    vec![
        Session {
            prepare: format!("tar xf \"$material\"/{PROJECT}.tar --strip-components=1 --no-same-owner"),
            material: fetched("gawk.tar", "source", PROJECT),
            ..Session::new(GROUP, "make", build).slow(300)
        },
        Session {
            prepare: "cp -r \"$material\"/npm/. .".into(),
            material: fetched("npm", "npm", "eslint@8"),
            ..Session::new(GROUP, "npm", packages).slow(120)
        },
    ]
}
