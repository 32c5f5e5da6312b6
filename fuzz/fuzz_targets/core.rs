//! A script of events, played to the core.

#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| drawbridge_fuzz::core(bytes));
