//! The command line.

use std::path::PathBuf;

use clap::{Parser, ValueEnum};
use examples::Training;
use examples::classify::{Init, Precision};

/// Fine-tunes a teacher on movie reviews and distils a student from it.
#[derive(Debug, Parser)]
#[command(name = "sentiment")]
pub(crate) struct Arguments {
    /// The folder of all-MiniLM-L6-v2, or another BERT encoder with a tokenizer.
    #[arg(long, value_name = "DIR")]
    pub(crate) minilm: PathBuf,
    /// The reviews: a Parquet file, or a TSV file of id, rating and text without a header.
    #[arg(long, value_name = "FILE")]
    pub(crate) data: PathBuf,
    /// What to train; distilling needs the teacher of an earlier run of the teacher stage.
    #[arg(long, value_enum, default_value = "all")]
    pub(crate) stage: StageName,
    #[command(flatten)]
    pub(crate) training: Training,
    /// Where a student starts from.
    #[arg(long, value_enum, default_value = "first")]
    pub(crate) init: Init,
    /// Learning rate [default: 5e-5 for the teacher, 1e-4 for a student].
    #[arg(long, value_name = "X")]
    pub(crate) lr: Option<f64>,
    /// Precision of the models.
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) precision: Precision,
    /// Only the first N training reviews.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Only N training reviews, spread evenly over the file: it is sorted by sentiment, so that its
    /// first reviews are all positive.
    #[arg(long, value_name = "N")]
    pub(crate) sample: Option<usize>,
    /// Where models, metrics and tokens are kept.
    #[arg(long, value_name = "DIR", default_value = "runs/sentiment")]
    pub(crate) run_dir: PathBuf,
    /// Starts each stage from scratch; without this, an interrupted stage resumes.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Writes accuracy, speed and size of each stage to this JSON file.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
    /// Sentences for the distilled student to judge; give it twice for two.
    #[arg(long, value_name = "TEXT", default_values_t = [
        "A warm, funny and surprisingly moving film.".to_owned(),
        "Two hours of my life that I will never get back.".to_owned(),
    ])]
    pub(crate) sentence: Vec<String>,
}

/// A stage of the program.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum StageName {
    /// Fine-tunes the whole encoder.
    Teacher,
    /// Trains the student on the labels only.
    Plain,
    /// Trains the same student with the teacher.
    Distill,
    /// All three, and a table that compares them.
    All,
}
