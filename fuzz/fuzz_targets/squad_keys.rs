//! The keys that make a JSON document SQuAD's.

#![no_main]

libfuzzer_sys::fuzz_target!(|input: &[u8]| fuzz::drive::squad_keys(input));
