//! The command line.

use std::path::PathBuf;

use clap::{ArgGroup, Parser};
use examples::Training;
use examples::classify::{Columns, Precision};

/// Distils a classifier of your own texts: a teacher, a student trained on the labels alone, and the same student
/// trained with the teacher.
#[derive(Debug, Parser)]
#[command(name = "classify", group(ArgGroup::new("from").required(true)))]
pub(crate) struct Arguments {
    /// The texts: CSV, TSV, JSON lines, Parquet or Arrow; or a folder, with splits or without, such as
    /// `save_to_disk` of Python's `datasets` writes.
    #[arg(long, value_name = "PATH")]
    pub(crate) data: PathBuf,
    #[command(flatten)]
    pub(crate) columns: Columns,
    /// The texts to judge by: a file, a folder, or the name of a split of the data [default: the split
    /// `validation`, or else `test`, or else every tenth row, which is not trained on].
    #[arg(long, value_name = "PATH or SPLIT")]
    pub(crate) dev: Option<String>,
    /// The folder of a trained classifier, which teaches as it is; students start from its layers.
    #[arg(long, value_name = "DIR", group = "from")]
    pub(crate) teacher: Option<PathBuf>,
    /// The folder of a pretrained encoder: the teacher is fine-tuned from it first, and students start from
    /// its first layers.
    #[arg(long, value_name = "DIR", group = "from")]
    pub(crate) encoder: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) training: Training,
    /// Learning rate [default: 5e-5 for the teacher, 1e-4 for a student].
    #[arg(long, value_name = "X")]
    pub(crate) lr: Option<f64>,
    /// Dropout of the students [default: that of their config].
    #[arg(long, value_name = "P")]
    pub(crate) student_dropout: Option<f64>,
    /// Precision of the models.
    #[arg(long, value_enum, default_value = "f32")]
    pub(crate) precision: Precision,
    /// Only N rows to train on, drawn the same in every run.
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<usize>,
    /// Where models, metrics and tokens are kept.
    #[arg(long, value_name = "DIR", default_value = "runs/classify")]
    pub(crate) run_dir: PathBuf,
    /// Starts each model from scratch; without this, an interrupted one resumes.
    #[arg(long)]
    pub(crate) fresh: bool,
    /// Writes quality, agreement with the teacher, and speed of each model to this JSON file.
    #[arg(long, value_name = "FILE")]
    pub(crate) report: Option<PathBuf>,
}
