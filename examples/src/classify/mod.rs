//! One way from labelled texts to a teacher, a plain student, a distilled student, and a comparison of the three: what
//! `classify` and `sentiment` run.

mod classes;
mod columns;
mod compare;
mod empty;
mod labels;
mod pipelines;
mod rows;
mod stages;
mod teacher_classes;
mod texts;
mod words;

use std::path::{Path, PathBuf};

use brew_core::prelude::*;
use clap::ValueEnum;

pub use columns::Columns;
pub use compare::{Compared, compare};
pub use labels::Labels;
pub use rows::{Part, Rows};
pub use stages::{Trained, problems, run};
pub use teacher_classes::TeacherClasses;
pub use texts::Texts;

use crate::Training;

/// What is trained, on which texts, and how.
#[derive(Debug)]
pub struct Course {
    /// The texts with their labels.
    pub texts: Texts,
    /// Where the teacher comes from.
    pub teacher: TeacherFrom,
    /// How everything trains.
    pub training: Training,
    /// Where a student starts from.
    pub init: Init,
    /// Learning rate, if it is not that of the stage.
    pub lr: Option<f64>,
    /// The student's dropout, if it is not that of its config.
    pub student_dropout: Option<f64>,
    /// Precision of the models.
    pub precision: Precision,
    /// Where models and metrics are kept.
    pub run_dir: PathBuf,
    /// Whether stages start from scratch.
    pub fresh: bool,
    /// Where it runs.
    pub device: Device,
}

/// Where the teacher comes from.
#[derive(Debug, Clone)]
pub enum TeacherFrom {
    /// The folder of a pretrained encoder, which is fine-tuned first.
    Encoder(PathBuf),
    /// The folder of a trained classifier.
    Folder(PathBuf),
}

impl TeacherFrom {
    /// The folder that is given, which has the tokenizer.
    pub fn folder(&self) -> &Path {
        match self {
            TeacherFrom::Encoder(folder) | TeacherFrom::Folder(folder) => folder,
        }
    }
}

/// A stage: one model that is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// Fine-tunes the whole encoder.
    Teacher,
    /// Trains the student on the labels only.
    Plain,
    /// Trains the same student with the teacher.
    Distill,
}

impl Stage {
    /// The words for its model.
    pub fn title(self) -> &'static str {
        match self {
            Stage::Teacher => "teacher",
            Stage::Plain => "plain student",
            Stage::Distill => "distilled student",
        }
    }
}

/// Where a student's layers come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Init {
    /// The first layers of the pretrained encoder.
    First,
    /// Every second (third, …) layer of the pretrained encoder.
    Every,
    /// Every second (third, …) layer of the fine-tuned teacher.
    Teacher,
}

/// The precision of the models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// float32.
    F32,
    /// bfloat16.
    Bf16,
    /// float16.
    F16,
    /// bfloat16 if the device is fast at it, else float32.
    Auto,
}

impl From<Precision> for brew_core::train::Precision {
    fn from(precision: Precision) -> Self {
        match precision {
            Precision::F32 => brew_core::train::Precision::F32,
            Precision::Bf16 => brew_core::train::Precision::Bf16,
            Precision::F16 => brew_core::train::Precision::F16,
            Precision::Auto => brew_core::train::Precision::Auto,
        }
    }
}
