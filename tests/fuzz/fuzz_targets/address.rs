//! See `targets::address`.
#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| targets::address(bytes));
