//! Lines of one peer, read one after the other.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drawbridge_fuzz::frames(bytes));
