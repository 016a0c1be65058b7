//! Trains a recorded run of TextBrewer's `GeneralDistiller` again with brew, and compares every number.
//!
//! `replay DIR` reads a folder with `teacher`, `student_init` and `student_final` (Hugging Face
//! folders), `batches.safetensors`, `distill.json`, `train.json`, `projections_init.safetensors`,
//! `projections_final.safetensors` and `expected.json`. It trains for one epoch in TextBrewer's
//! semantics, over the batches in the file's order, on the CPU, and prints how far each loss and each
//! tensor of the final student is from the recording. It fails if any difference exceeds the tolerance. Without recorded
//! losses it prints its own, one JSON object per batch.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

mod compare;
mod free;
mod recording;
mod run;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use brew_core::model::bert::{FloatLabelClassifierAdaptor, SpanOutputAdaptor, TokenClassifierOutputAdaptor};
use brew_core::model::{BertForQuestionAnswering, BertForTokenClassification, ClassifierOutputAdaptor};
use brew_core::prelude::*;
use clap::Parser;

/// Trains a recorded run again and compares it with the recording.
#[derive(Debug, Parser)]
#[command(name = "replay")]
struct Arguments {
    /// The folder of the recorded run.
    #[arg(value_name = "DIR")]
    folder: PathBuf,
    /// How far a loss or a tensor may be from the recorded one.
    #[arg(long, value_name = "X", default_value_t = 1e-4)]
    tolerance: f64,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match replay(&arguments.folder, arguments.tolerance) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether everything is within the tolerance; one arm per head.
fn replay(folder: &Path, tolerance: f64) -> Result<bool> {
    let head = head(&folder.join("student_init"))?;
    let recording = recording::Recording::read(folder)?;
    let float_labels = recording.columns.get("labels").is_some_and(|labels| labels.kind() == Kind::Float);
    match head.as_str() {
        "ForSequenceClassification" if float_labels => run::run(&recording, tolerance, |folder| {
            Ok(sequences(folder)?.seen_by(FloatLabelClassifierAdaptor))
        }),
        "ForSequenceClassification" => {
            run::run(&recording, tolerance, |folder| Ok(sequences(folder)?.seen_by(ClassifierOutputAdaptor)))
        }
        "ForTokenClassification" => run::run(&recording, tolerance, |folder| {
            let model = BertForTokenClassification::from_pretrained(folder, Device::Cpu)?;
            Ok(model.seen_by(TokenClassifierOutputAdaptor))
        }),
        "ForQuestionAnswering" => run::run(&recording, tolerance, |folder| {
            let model = BertForQuestionAnswering::from_pretrained(folder, Device::Cpu)?;
            Ok(model.seen_by(SpanOutputAdaptor))
        }),
        other => Err(Error::file(
            folder.join("student_init"),
            format!(
                "models `…{other}` cannot be replayed: there are `…ForSequenceClassification`, `…ForTokenClassification` and `…ForQuestionAnswering`"
            ),
        )),
    }
}

fn sequences(folder: &Path) -> Result<BertForSequenceClassification> {
    BertForSequenceClassification::from_pretrained(folder, Device::Cpu)
}

/// The part of the model's architecture that names its head: `ForSequenceClassification`.
fn head(folder: &Path) -> Result<String> {
    let path = folder.join("config.json");
    let config: serde_json::Value = recording::read_json(&path)?;
    let architecture = config["architectures"][0].as_str();
    let head = architecture.and_then(|name| name.find("For").map(|start| name[start..].to_owned()));
    head.ok_or_else(|| Error::file(path, "`architectures` does not name a model with a head"))
}
