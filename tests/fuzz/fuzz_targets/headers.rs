//! See `targets::headers`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::headers(bytes));
