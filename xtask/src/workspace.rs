//! Where things are in this repository, and how to call its cargo.

use std::env;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The repository's root.
pub(crate) fn root() -> &'static Path {
    let here = Path::new(env!("CARGO_MANIFEST_DIR"));
    here.parent().unwrap_or(here)
}

/// What set-up creates; ignored by git.
pub(crate) fn brew() -> PathBuf {
    root().join(".brew")
}

/// Where `.cargo/config.toml` points `LIBTORCH`.
pub(crate) fn libtorch() -> PathBuf {
    brew().join("libtorch")
}

/// The pretrained encoder: a Hugging Face folder.
pub(crate) fn minilm() -> PathBuf {
    brew().join("models/all-MiniLM-L6-v2")
}

/// The folder of the pretrained language model, which is the file `Q4_1.gguf` in it.
pub(crate) fn smollm2() -> PathBuf {
    brew().join("models/SmolLM2-135M-Instruct")
}

/// The labelled movie reviews that ship with the repository.
pub(crate) fn movie_reviews() -> PathBuf {
    root().join("data/movie_reviews.parquet")
}

/// The folder of one kind of run.
pub(crate) fn runs(name: &str) -> PathBuf {
    root().join("runs").join(name)
}

/// The value of `LIBTORCH`, if the user set it.
///
/// Cargo also sets the variable, from `.cargo/config.toml`, for the programs it runs; that value does not count.
pub(crate) fn libtorch_of_the_person() -> Option<PathBuf> {
    let value = PathBuf::from(env::var_os("LIBTORCH")?);
    (value != libtorch()).then_some(value)
}

/// Cargo in the repository's root, with the variables of the user's shell.
///
/// A `LIBTORCH` that came from cargo itself is removed: if cargo sees the variable change, it rebuilds torch-sys, which
/// takes minutes.
pub(crate) fn cargo() -> Command {
    let mut cargo = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    cargo.current_dir(root());
    if libtorch_of_the_person().is_none() {
        cargo.env_remove("LIBTORCH");
    }
    cargo
}
