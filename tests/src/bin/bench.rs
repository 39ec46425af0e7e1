//! The benchmarks as a program: lists them, or runs the named ones and prints one JSON object a line.

use std::process::ExitCode;

/// Events are made on one thread and dropped on another, all the time; this allocator does not lock for that.
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

fn main() -> ExitCode {
    millrace_tests::bench::main(std::env::args().skip(1))
}
