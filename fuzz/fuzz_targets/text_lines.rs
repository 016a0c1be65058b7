//! Lines of text.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::drive::text_lines(input));
