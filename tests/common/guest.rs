//! Small C programs that print what they find.

use super::{How, Output, Run, Scratch, compile};

/// A compiled guest program and the directory it lives in.
pub struct Guest {
    /// The directory.
    pub scratch: Scratch,
    /// The program.
    pub program: String,
}

impl Guest {
    /// Compiles `tests/lifecycle/NAME.c`; `None`, said on stderr, where that cannot be.
    pub fn new(name: &str) -> Option<Guest> {
        Guest::of(&format!("lifecycle/{name}.c"))
    }

    /// The same of another source below `tests`.
    pub fn of(source: &str) -> Option<Guest> {
        let scratch = Scratch::new("guest");
        let program = compile(&scratch, source, &[])?;
        Some(Guest { scratch, program })
    }

    /// The program with arguments.
    pub fn run(&self, how: How, arguments: &[&str]) -> Run {
        Run::new(how, std::iter::once(self.program.as_str()).chain(arguments.iter().copied())).seconds(60)
    }
}

/// Fails with both outputs when they differ.
pub fn compare(expected: &Output, found: &Output) {
    let same = expected == found;
    assert!(same, "without remainroot:\n{expected:#?}\nunder remainroot:\n{found:#?}");
}
