//! How long tests wait. A deadline ends what hangs and measures nothing: a machine that is slow and has other work must
//! never come near it.

use std::time::{Duration, Instant};

/// What a program is said to need is multiplied by this.
pub const PATIENCE: u32 = 4;

/// How long is waited for what is a matter of moments.
const MOMENTS: Duration = Duration::from_secs(120);

/// Waits until something holds. Fails the test with `complaint` where it does not come to that.
#[track_caller]
pub fn wait_until(mut holds: impl FnMut() -> bool, complaint: impl FnOnce() -> String) {
    let until = Instant::now() + MOMENTS;
    while !holds() {
        if Instant::now() > until {
            panic!("it never came to that: {}", complaint());
        }
        std::thread::sleep(Duration::from_millis(1));
    }
}
