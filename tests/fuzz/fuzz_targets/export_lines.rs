//! Feeds `millrace_tests::fuzz` with what libFuzzer thinks of.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| millrace_tests::fuzz::replay("export_lines", input));
