//! See `targets::settings`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::settings(bytes));
