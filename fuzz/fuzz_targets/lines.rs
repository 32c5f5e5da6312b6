//! A stream of bytes, cut into lines.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drawbridge_fuzz::lines(bytes));
