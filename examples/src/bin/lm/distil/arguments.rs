//! What `lm distil` is asked for, and what is wrong with it before anything is read.

use std::path::{Path, PathBuf};

use brew_core::prelude::*;
use clap::builder::RangedU64ValueParser;
use clap::{Args, ValueEnum};

use super::text::Source;

/// A number of at least `least`.
fn at_least(least: u64) -> RangedU64ValueParser<usize> {
    RangedU64ValueParser::new().range(least..)
}

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The teacher: a Hugging Face folder with its tokenizer, or a GGUF file.
    #[arg(long, value_name = "DIR_OR_GGUF")]
    pub(super) teacher: PathBuf,
    /// Layers of the student: those that change most of what passes through them.
    #[arg(long, value_name = "N", value_parser = at_least(1))]
    pub(super) layers: usize,
    /// Plain text: Parquet, Arrow, CSV, TSV, JSON lines, or SQuAD's JSON. Repeat it for more files [default column: text].
    #[arg(long, value_name = "FILE[:COLUMN]", required = true)]
    pub(super) data: Vec<Source>,
    /// What the student learns from.
    #[arg(long, value_enum, default_value = "teacher")]
    pub(super) from: LearnsFrom,
    /// Tokens per row: whole texts are packed into rows, and longer texts are cut.
    #[arg(long, value_name = "N", default_value_t = 512, value_parser = at_least(2))]
    pub(super) length: usize,
    /// Rows per step.
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = at_least(1))]
    pub(super) batch: usize,
    /// Steps.
    #[arg(long, value_name = "N", default_value_t = 200, value_parser = at_least(1))]
    pub(super) steps: usize,
    /// Peak learning rate.
    #[arg(long, value_name = "X", default_value_t = 5e-4, allow_negative_numbers = true)]
    pub(super) lr: f64,
    /// Temperature of the teacher's and the student's distributions [default: 1].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Weight of the cross entropy of the tokens beside the teacher's distributions [default: 0.5].
    #[arg(long, value_name = "X", allow_negative_numbers = true)]
    labels: Option<f64>,
    /// Keeps only the teacher's K likeliest tokens of each position, on disk: the teacher runs once over the text, however
    /// many epochs there are.
    #[arg(long, value_name = "K", value_parser = at_least(1))]
    pub(super) top_k: Option<usize>,
    /// Holds the teacher's weights in this dtype.
    #[arg(long, value_enum, default_value = "f32")]
    pub(super) teacher_dtype: Dtype,
    /// The order of the rows.
    #[arg(long, value_name = "N", default_value_t = 0)]
    pub(super) seed: u32,
    /// Evaluates on the held-out texts, and saves a checkpoint, every N steps.
    #[arg(long, value_name = "N", default_value_t = 100, value_parser = at_least(1))]
    pub(super) every: usize,
    /// Where the student, its metrics, tokens, and checkpoints are kept.
    #[arg(long, value_name = "DIR", default_value = "runs/lm")]
    pub(super) run_dir: PathBuf,
    /// Starts from scratch; without this, an interrupted run resumes.
    #[arg(long)]
    pub(super) fresh: bool,
    /// Writes what it reached to this JSON file.
    #[arg(long, value_name = "FILE")]
    pub(super) report: Option<PathBuf>,
}

/// What a student learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum LearnsFrom {
    /// The teacher's distributions, and the tokens.
    Teacher,
    /// The tokens alone: what the teacher is worth is the difference.
    Tokens,
}

/// A dtype of weights.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(super) enum Dtype {
    /// float32.
    F32,
    /// bfloat16: half the memory.
    Bf16,
}

impl Dtype {
    pub(super) fn kind(self) -> Kind {
        match self {
            Dtype::F32 => Kind::Float,
            Dtype::Bf16 => Kind::BFloat16,
        }
    }

    pub(super) fn name(self) -> &'static str {
        match self {
            Dtype::F32 => "f32",
            Dtype::Bf16 => "bf16",
        }
    }
}

impl Arguments {
    pub(super) fn temperature(&self) -> f64 {
        self.temperature.unwrap_or(1.0)
    }

    pub(super) fn labels(&self) -> f64 {
        self.labels.unwrap_or(0.5)
    }

    /// Everything that is wrong with the arguments alone.
    pub(super) fn check(&self) -> Result<()> {
        let mut problems = Vec::new();
        let above_zero = [("--lr", self.lr), ("--temperature", self.temperature())];
        for (name, value) in above_zero.into_iter().filter(|(_, value)| !(value.is_finite() && *value > 0.0))
        {
            problems.push(format!("{name} is {value}; it must be a number above 0"));
        }
        if !(self.labels().is_finite() && self.labels() >= 0.0) {
            problems.push(format!("--labels is {}; it must be a number of at least 0", self.labels()));
        }
        if self.from == LearnsFrom::Tokens {
            let of_teacher = [
                ("--temperature", self.temperature.is_some()),
                ("--labels", self.labels.is_some()),
                ("--top-k", self.top_k.is_some()),
            ];
            for (name, _) in of_teacher.into_iter().filter(|(_, given)| *given) {
                problems
                    .push(format!("{name} says how the teacher teaches: leave it out with --from tokens"));
            }
        }
        if is_inside(&self.teacher, &self.run_dir) {
            problems.push(
                "the teacher is in the folder of --run-dir, which is moved aside when a new run starts: choose another --run-dir"
                    .to_owned(),
            );
        }
        if problems.is_empty() { Ok(()) } else { Err(Error::invalid(problems.join("; "))) }
    }

    /// The teacher's likeliest tokens, which belong to one teacher and one number.
    pub(super) fn store(&self, k: usize) -> PathBuf {
        self.run_dir.join(format!("teacher-{}-top-{k}", self.teacher_dtype.name()))
    }
}

fn is_inside(path: &Path, folder: &Path) -> bool {
    match (path.canonicalize(), folder.canonicalize()) {
        (Ok(path), Ok(folder)) => path.starts_with(folder),
        // What does not exist is in no folder.
        _ => false,
    }
}
