//! Several teachers of one task: TextBrewer's MultiTeacherDistiller on movie reviews.
//!
//! The teachers differ in the seed of their heads, dropout, and data order. The student learns from the mean of their
//! logits.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

use std::process::ExitCode;

use brew_core::model::ClassifierOutputAdaptor;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_core::textbrewer::MultiTeacherDistiller;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use clap::Parser;
use examples::{Comparison, ReviewsFile, Settings, Training, score, train};

/// Distils several teachers into one student.
#[derive(Debug, Parser)]
#[command(name = "ensemble")]
struct Arguments {
    #[command(flatten)]
    reviews: ReviewsFile,
    /// How many teachers.
    #[arg(long, value_name = "N", default_value_t = 3)]
    teachers: u32,
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
    let reviews = arguments.reviews.open("ensemble", settings)?;
    println!("{} training and {} development reviews", reviews.train.rows(), reviews.dev.rows());
    let loader =
        |seed: u32| reviews.train.batches::<TextBatch>(training.batch).shuffled(seed.into()).bucketed();
    let dev = || reviews.dev.batches::<TextBatch>(64).bucketed();
    let new =
        |seed: u32| BertForSequenceClassification::from_encoder(&settings.encoder, 2, seed.into(), device);
    let student =
        || BertForSequenceClassification::from_layers_of(&new(training.seed)?, Keep::first(training.layers));
    let supervised = |model: BertForSequenceClassification| {
        Supervised::new(model.seen_by(ClassifierOutputAdaptor)).semantics(Semantics::TextBrewer).plan()
    };
    // Report mistakes before anything is trained.
    drop(student()?);
    let mut table = Comparison::of(&["accuracy"]);
    let mut teachers = Vec::new();
    for number in 0..arguments.teachers {
        let seed = training.seed + number;
        let seeded = Settings { training: Training { seed, ..training.clone() }, ..settings.clone() };
        let of_teacher = (&seeded, training.teacher_epochs, settings.teacher_lr);
        let title = format!("teacher {number}");
        let pipeline = supervised(new(seed)?)?;
        let teacher = train(&title, pipeline, of_teacher, loader(seed), (dev(), Accuracy))?;
        table.add(&title, &score(&teacher, &dev(), &[&Accuracy])?.0, &teacher);
        teachers.push(teacher);
    }

    let of_students = (settings, training.epochs, settings.lr);
    let plain = train(
        "plain student",
        supervised(student()?)?,
        of_students,
        loader(training.seed),
        (dev(), Accuracy),
    )?;
    table.add("plain student", &score(&plain, &dev(), &[&Accuracy])?.0, &plain);

    let distill = DistillationConfig {
        temperature: training.temperature,
        hard_label_weight: 1.0,
        ..DistillationConfig::default()
    };
    let student = student()?.seen_by(ClassifierOutputAdaptor);
    let pipeline =
        MultiTeacherDistiller::new(&TrainingConfig::default(), &distill, teachers, student).plan()?;
    println!("\n{}", pipeline.explain());
    let distilled =
        train("distilled student", pipeline, of_students, loader(training.seed), (dev(), Accuracy))?;
    distilled.save(&settings.place("ensemble", "student"))?;
    table.add("distilled student", &score(&distilled, &dev(), &[&Accuracy])?.0, &distilled);
    table.print();
    Ok(())
}
