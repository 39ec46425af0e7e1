//! The `millrace` program; everything it does is in the library.

use std::process::ExitCode;

/// Events are made on one thread and dropped on another, all the time; this allocator does not lock for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// Whoever runs the desk must not get one that is wrong on purpose.
const _: () = assert!(!millrace_actors::canary::ARE_BUILT_IN, "the feature `canaries` is for tests/canaries alone");

fn main() -> ExitCode {
    // The allocator asks for huge pages, of which each would be resident as a whole for the little of it that is in use. A
    // kernel that does not know of this has nothing to turn off.
    let _ = rustix::thread::disable_transparent_huge_pages(true);
    // Not a `Result`: with RUST_BACKTRACE set, an expected error such as a port in use would print thirty frames.
    millrace_daemon::cli::main(std::env::args_os()).into()
}
