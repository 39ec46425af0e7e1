//! The `millrace` program; everything it does is in the library.

use std::process::ExitCode;

fn main() -> ExitCode {
    // Not a `Result`: with RUST_BACKTRACE set, an expected error such as a port in use would print thirty frames.
    millrace_daemon::cli::main(std::env::args_os()).into()
}
