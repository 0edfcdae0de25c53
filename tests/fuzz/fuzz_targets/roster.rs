//! See `targets::roster`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::roster(bytes));
