//! The benchmarks as a program: lists them, or runs the named ones and prints one JSON object a line.

use std::process::ExitCode;

fn main() -> ExitCode {
    millrace_tests::bench::main(std::env::args().skip(1))
}
