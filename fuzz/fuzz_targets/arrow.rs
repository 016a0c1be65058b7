//! The index of an Arrow IPC stream or file, and what it points to.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: {
        // The decoders' own panics are caught and are no finding; one that is not caught still aborts.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |input: &[u8]| fuzz::drive::arrow(input)
);
