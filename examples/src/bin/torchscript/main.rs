//! A teacher that only exists in Python: traced to TorchScript there, it teaches a student here.
//!
//! `trace.py` next to this file traces the model of a Hugging Face folder. To need no external model, the example first
//! fine-tunes a teacher and saves it as such a folder; Python then converts it to `teacher.pt`.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use brew_core::loss::KdCe;
use brew_core::model::{ClassifierOutputAdaptor, TorchScript};
use brew_core::model::{Part, ScriptOutputAdaptor};
use brew_core::prelude::*;
use clap::Parser;
use examples::{Comparison, ReviewsFile, Settings, every, matches, score, train};

/// The script next to this file that traces a model.
const TRACE: &str = include_str!("trace.py");

/// Traces a teacher in Python and distils it.
#[derive(Debug, Parser)]
#[command(name = "torchscript")]
struct Arguments {
    #[command(flatten)]
    reviews: ReviewsFile,
    /// A Python with torch and transformers, to trace the teacher with [default: $BREW_PYTHON, or else
    /// python3].
    #[arg(long, value_name = "PROGRAM")]
    python: Option<PathBuf>,
    /// An already traced module; Python is then not needed.
    #[arg(long, value_name = "FILE")]
    module: Option<PathBuf>,
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    examples::run(|| run(&arguments))
}

fn run(arguments: &Arguments) -> Result<()> {
    let (settings, training) = (&arguments.settings, &arguments.settings.training);
    let device = settings.device();
    let python = arguments.python.clone().unwrap_or_else(|| {
        std::env::var_os("BREW_PYTHON").map_or_else(|| PathBuf::from("python3"), PathBuf::from)
    });
    if arguments.module.is_none() {
        has_torch(&python)?;
    }
    let reviews = arguments.reviews.open("torchscript", settings)?;
    println!("{} training and {} development reviews", reviews.train.rows(), reviews.dev.rows());
    let loader =
        || reviews.train.batches::<TextBatch>(training.batch).shuffled(training.seed.into()).bucketed();
    let dev = || reviews.dev.batches::<TextBatch>(64).bucketed();
    let new =
        || BertForSequenceClassification::from_encoder(&settings.encoder, 2, settings.weights(), device);
    // Report mistakes before anything is trained.
    let stride = every(new()?.config().num_hidden_layers, training.layers)?;
    let supervised =
        |model: BertForSequenceClassification| Supervised::new(model.seen_by(ClassifierOutputAdaptor)).plan();

    let module = match &arguments.module {
        Some(module) => module.clone(),
        None => {
            let of_teacher = (settings, training.teacher_epochs, settings.teacher_lr);
            let teacher = train("teacher", supervised(new()?)?, of_teacher, loader(), (dev(), Accuracy))?;
            let folder = settings.place("torchscript", "teacher");
            teacher.save(&folder)?;
            trace(&python, &folder)?
        }
    };
    let open = || -> Result<_> {
        Ok(TorchScript::load(&module, device)?.hidden(Part::At(1)).seen_by(ScriptOutputAdaptor))
    };
    let student = || BertForSequenceClassification::from_layers_of(&new()?, Keep::first(training.layers));
    let of_students = (settings, training.epochs, settings.lr);
    let plain = train("plain student", supervised(student()?)?, of_students, loader(), (dev(), Accuracy))?;

    let pipeline = Distill::new(open()?, student()?.seen_by(ClassifierOutputAdaptor))
        .soft_targets(KdCe::at(training.temperature))
        .matching(matches(training.layers, stride))
        .hard_labels(1.0)
        .plan()?;
    println!("\n{}", pipeline.explain());
    let distilled = train("distilled student", pipeline, of_students, loader(), (dev(), Accuracy))?;
    distilled.save(&settings.place("torchscript", "student"))?;

    let mut table = Comparison::of(&["accuracy"]);
    let teacher = open()?;
    table.add("TorchScript teacher", &score(&teacher, &dev(), &[&Accuracy])?.0, &teacher);
    table.add("plain student", &score(&plain, &dev(), &[&Accuracy])?.0, &plain);
    table.add("distilled student", &score(&distilled, &dev(), &[&Accuracy])?.0, &distilled);
    table.print();
    Ok(())
}

/// Fails early if this Python cannot trace.
fn has_torch(python: &Path) -> Result<()> {
    let found = Command::new(python).args(["-c", "import torch, transformers"]).output();
    if found.is_ok_and(|output| output.status.success()) {
        return Ok(());
    }
    Err(Error::invalid(format!(
        "`{}` has no torch and transformers to trace a teacher with: name a Python that has them with --python or \
         BREW_PYTHON, or pass a traced module with --module",
        python.display()
    )))
}

/// Traces the model of a folder with Python; the module is written next to the folder.
fn trace(python: &Path, folder: &Path) -> Result<PathBuf> {
    println!("\ntracing the teacher in Python");
    let module = folder.with_extension("pt");
    let ran = Command::new(python).arg("-c").arg(TRACE).arg(folder).arg(&module).status();
    match ran {
        Ok(status) if status.success() => Ok(module),
        Ok(status) => Err(Error::file(folder, format!("trace.py did not trace it: {status}"))),
        Err(error) => Err(Error::file(python, error)),
    }
}
