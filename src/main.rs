//! The `remainroot` command: everything is in the library.
fn main() -> std::process::ExitCode {
    remainroot::cli::main()
}
