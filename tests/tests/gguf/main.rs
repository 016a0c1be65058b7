//! Language models in GGUF files: against transformers, against their own Hugging Face folders, and damaged.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

mod refused;
mod small;
mod smollm2;
mod support;
