//! Language models: a training step and generation, next to PyTorch with transformers and to TRL on the same machine in
//! the same session.

mod generation;
mod step;

use std::path::{Path, PathBuf};
use std::process::Command;

use crate::bench::measured::parsed;
use crate::failure::{AtPath, Result};
use crate::{setup, workspace};

/// What is measured, and how.
#[derive(Debug)]
pub(crate) struct Asked {
    /// Rows per batch.
    pub(crate) rows: u64,
    /// Tokens per row of a training step.
    pub(crate) length: u64,
    /// Measured steps, and warm-up steps before them.
    pub(crate) steps: u64,
    pub(crate) warm_up: u64,
    /// New tokens per prompt when generating, for as many prompts as a batch has rows.
    pub(crate) new_tokens: u64,
    pub(crate) threads: u64,
}

/// `cargo xtask bench lm`.
pub(crate) fn command(asked: &Asked) -> Result<()> {
    setup::run()?;
    let place = workspace::runs("lm");
    let folder = converted(&place)?;
    let step = step::table(asked, &folder, &place)?;
    println!("\n{step}\n");
    println!("{}\n", generation::table(asked, &folder, &place)?);
    Ok(())
}

/// SmolLM2 as a Hugging Face folder, which both sides read.
fn converted(place: &Path) -> Result<PathBuf> {
    let folder = place.join("SmolLM2-135M-Instruct");
    if !folder.join("model.safetensors").is_file() {
        std::fs::create_dir_all(place).at("create", place)?;
        println!("converting SmolLM2-135M-Instruct");
        let mut program = bench_lm();
        program.arg("convert").arg("--model").arg(workspace::smollm2().join("Q4_1.gguf"));
        parsed(program.arg("--to").arg(&folder))?;
    }
    Ok(folder)
}

fn bench_lm() -> Command {
    let mut cargo = workspace::cargo();
    cargo.args(["run", "-q", "-p", "examples", "--bin", "bench_lm", "--"]);
    cargo
}
