//! Several teachers of one task: TextBrewer's MultiTeacherDistiller on movie reviews.
//!
//! The teachers differ in the seed of their heads, their dropout and the order of their data. The
//! student learns from the mean of their logits.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

use std::path::PathBuf;
use std::process::ExitCode;

use brew_core::prelude::*;
use brew_data::prelude::*;
use clap::Parser;
use examples::{Comparison, Settings, open_reviews, score, train};

/// Distils several teachers into one student.
#[derive(Debug, Parser)]
#[command(name = "ensemble")]
struct Arguments {
    /// The reviews: a Parquet file, or a TSV file of id, rating and text without a header.
    #[arg(long, value_name = "FILE", default_value = "data/movie_reviews.parquet")]
    data: PathBuf,
    /// Only N training reviews, spread evenly over the file, and half as many to evaluate on; 0 for
    /// all.
    #[arg(long, value_name = "N", default_value_t = 1024)]
    sample: usize,
    /// How many teachers.
    #[arg(long, value_name = "N", default_value_t = 3)]
    teachers: u32,
    /// Passes over the data for each teacher.
    #[arg(long, value_name = "N", default_value_t = 2)]
    teacher_epochs: u64,
    /// Passes over the data for a student.
    #[arg(long, value_name = "N", default_value_t = 3)]
    epochs: u64,
    /// Tokens a review, special ones included; longer ones are cut.
    #[arg(long, value_name = "N", default_value_t = 64)]
    max_length: usize,
    /// Layers of a student, the first of the encoder's.
    #[arg(long, value_name = "N", default_value_t = 3)]
    layers: usize,
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    examples::run(|| run(&arguments))
}

fn run(arguments: &Arguments) -> Result<()> {
    let settings = &arguments.settings;
    let device = settings.device();
    let tokenizer = Tokenizer::from_folder(&settings.encoder)?;
    let sample = Some(arguments.sample).filter(|sample| *sample > 0);
    let cache = settings.place("ensemble", "tokens");
    let reviews = open_reviews(&arguments.data, (&tokenizer, arguments.max_length), sample, &cache)?;
    println!("{} training and {} development reviews", reviews.train.rows(), reviews.dev.rows());
    let loader =
        |seed: u32| reviews.train.batches::<TextBatch>(settings.batch).shuffled(seed.into()).bucketed();
    let dev = || reviews.dev.batches::<TextBatch>(64).bucketed();
    let new =
        |seed: u32| BertForSequenceClassification::from_encoder(&settings.encoder, 2, seed.into(), device);
    let student =
        || BertForSequenceClassification::from_layers_of(&new(settings.seed)?, Keep::first(arguments.layers));
    let supervised = |model: BertForSequenceClassification| {
        Supervised::new(model.seen_by(ClassifierOutputAdaptor)).semantics(Semantics::TextBrewer).plan()
    };
    // What cannot be is said before anything is trained.
    drop(student()?);
    let mut table = Comparison::of(&["accuracy"]);
    let mut teachers = Vec::new();
    for number in 1..=arguments.teachers {
        let seeded = Settings { seed: settings.seed + number - 1, ..settings.clone() };
        let of_teacher = (&seeded, arguments.teacher_epochs, settings.teacher_lr);
        let title = format!("teacher {number}");
        let pipeline = supervised(new(seeded.seed)?)?;
        let teacher = train(&title, pipeline, of_teacher, loader(seeded.seed), (dev(), Accuracy))?;
        table.add(&title, &score(&teacher, &dev(), &[&Accuracy])?.0, &teacher);
        teachers.push(teacher);
    }

    let of_students = (settings, arguments.epochs, settings.lr);
    let plain = train(
        "plain student",
        supervised(student()?)?,
        of_students,
        loader(settings.seed),
        (dev(), Accuracy),
    )?;
    table.add("plain student", &score(&plain, &dev(), &[&Accuracy])?.0, &plain);

    let distill = DistillationConfig {
        temperature: settings.temperature,
        hard_label_weight: 1.0,
        ..DistillationConfig::default()
    };
    let student = student()?.seen_by(ClassifierOutputAdaptor);
    let pipeline =
        MultiTeacherDistiller::new(&TrainingConfig::default(), &distill, teachers, student).plan()?;
    println!("\n{}", pipeline.explain());
    let distilled =
        train("distilled student", pipeline, of_students, loader(settings.seed), (dev(), Accuracy))?;
    distilled.save(&settings.place("ensemble", "student"))?;
    table.add("distilled student", &score(&distilled, &dev(), &[&Accuracy])?.0, &distilled);
    table.print();
    Ok(())
}
