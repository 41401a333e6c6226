//! Single system calls in loops, before and after what makes them stop.

use crate::session::{Needs, Session};
use crate::storms::looped;

const LOOPS: &[(&str, &str)] = &[
    ("getppid", "getppid"),
    ("getuid", "getuid"),
    ("getuid after a drop", "dropped-getuid"),
    ("read", "read"),
    ("read after a drop", "dropped-read"),
    ("stat", "stat"),
    ("stat after a drop", "dropped-stat"),
    ("stat once another file was given away", "given-stat"),
    ("stat of a file that was given away", "given-own-stat"),
    ("open and close", "open"),
    ("open and close after a drop", "dropped-open"),
    ("create and unlink", "create"),
    ("create and unlink after a drop", "dropped-create"),
];

/// A session each: what one raises must not be there in the next.
pub fn sessions() -> Vec<Session> {
    let session = |&(title, name): &(&'static str, &'static str)| Session {
        material: Needs::Loops,
        ..Session::new("calls", name, vec![looped(title, name)])
    };
    LOOPS.iter().map(session).collect()
}
