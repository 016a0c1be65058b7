//! The header of a GGUF file, and its blocks of values.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::drive_gguf::gguf(input));
