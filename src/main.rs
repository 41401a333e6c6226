//! The `remainroot` command: everything is in the library.
//!
//! The C entry point instead of Rust's, because the command must find its descriptors and signal
//! dispositions as the caller left them, and Rust's start-up ignores SIGPIPE and reopens closed
//! standard descriptors.
#![no_main]

/// The entry point that libc calls.
#[expect(unsafe_code, reason = "the C entry point")]
// SAFETY: this is the program's only `main`, with a signature that C allows; what it returns is the
// exit status.
#[unsafe(no_mangle)]
pub extern "C" fn main() -> std::ffi::c_int {
    std::ffi::c_int::from(remainroot::cli::main())
}
