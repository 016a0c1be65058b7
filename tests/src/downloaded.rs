//! Models that `cargo xtask setup` downloads.

use std::path::{Path, PathBuf};

/// SmolLM2-135M-Instruct with 4-bit weights, a GGUF file.
///
/// # Panics
/// It is missing.
pub fn smollm2() -> PathBuf {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../.brew/models/SmolLM2-135M-Instruct/Q4_1.gguf");
    assert!(path.is_file(), "{} is missing: run `cargo xtask setup` first", path.display());
    path
}
