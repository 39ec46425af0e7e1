//! The benchmarks as a program: lists them, or runs the named ones and prints one JSON object a line.

use std::process::ExitCode;

/// Events are made on one thread and dropped on another, all the time; this allocator does not lock for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    // A benchmark in which parts fail and start again measures something else.
    tracing_subscriber::fmt().with_max_level(tracing::Level::WARN).with_writer(std::io::stderr).init();
    millrace_tests::bench::main(std::env::args().skip(1))
}
