//! The settings that examples have in common, and how an example ends.
//!
//! A program with other defaults sets them with clap's `mut_arg`.

use std::path::PathBuf;
use std::process::ExitCode;

use brew_core::prelude::*;

/// How every example trains, `sentiment` included.
#[derive(Debug, Clone, clap::Args)]
pub struct Training {
    /// Passes over the data for a student.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub epochs: u64,
    /// Passes over the data for a teacher.
    #[arg(long, value_name = "N", default_value_t = 2)]
    pub teacher_epochs: u64,
    /// Rows per batch.
    #[arg(long, value_name = "N", default_value_t = 32)]
    pub batch: usize,
    /// Tokens per row, including special tokens; longer texts are truncated.
    #[arg(long, value_name = "N", default_value_t = 64)]
    pub max_length: usize,
    /// Layers of a student; the teacher's number of layers must be a multiple.
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub layers: usize,
    /// Temperature of the soft targets.
    #[arg(long, value_name = "X", default_value_t = 8.0)]
    pub temperature: f64,
    /// Order of the data, dropout, and new weights.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub seed: u32,
}

/// Settings of an example, apart from its data and its task.
#[derive(Debug, Clone, clap::Args)]
pub struct Settings {
    /// The folder of all-MiniLM-L6-v2, or of another BERT encoder with a tokenizer.
    #[arg(long, value_name = "DIR", default_value = ".brew/models/all-MiniLM-L6-v2")]
    pub encoder: PathBuf,
    /// How it trains.
    #[command(flatten)]
    pub training: Training,
    /// Learning rate of the teachers.
    #[arg(long, value_name = "X", default_value_t = 2e-4)]
    pub teacher_lr: f64,
    /// Learning rate of the students.
    #[arg(long, value_name = "X", default_value_t = 2e-4)]
    pub lr: f64,
    /// Where models, metrics and tokens are kept [default: runs/NAME of the program].
    #[arg(long, value_name = "DIR")]
    pub run_dir: Option<PathBuf>,
}

impl Settings {
    /// A folder or file in the run folder of this program.
    pub fn place(&self, program: &str, name: &str) -> PathBuf {
        self.run_dir.clone().unwrap_or_else(|| PathBuf::from("runs").join(program)).join(name)
    }

    /// The device; prints which.
    pub fn device(&self) -> Device {
        let device = Device::cuda_if_available();
        println!("device: {device:?}, {} threads", brew_core::tch::get_num_threads());
        device
    }

    /// The seed in the type that new weights take.
    pub fn weights(&self) -> u64 {
        self.training.seed.into()
    }
}

/// Runs a program; an error prints one message to standard error and exits with status 1.
pub fn run(program: impl FnOnce() -> Result<()>) -> ExitCode {
    match program() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}
