//! The index of an Arrow IPC stream or file, and what it points to.

#![no_main]

libfuzzer_sys::fuzz_target!(
    init: {
        // Panics of the decoders are caught and are not findings; an uncaught one still aborts.
        std::panic::set_hook(Box::new(|_| {}));
    },
    |input: &[u8]| fuzz::drive::arrow(input)
);
