//! The files of a teacher store: a block's keys, and its rows.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: {
        // As in `arrow`: panics of the decoders are caught.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |input: &[u8]| fuzz::drive::store(input)
);
