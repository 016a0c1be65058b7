//! A BiGRU learns from a fine-tuned BERT: a different architecture, without layers to match.
//!
//! Teacher and student read the same tokens; the student starts with the teacher's embeddings.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

use std::process::ExitCode;

use brew_core::loss::KdCe;
use brew_core::model::{BiGruConfig, BiGruForSequenceClassification, ClassifierOutputAdaptor};
use brew_core::prelude::*;
use clap::Parser;
use examples::{Comparison, ReviewsFile, Settings, score, train};

/// Distils a BERT movie-review classifier into a BiGRU.
#[derive(Debug, Parser)]
#[command(name = "bigru")]
#[command(mut_arg("epochs", |arg| arg.default_value("8")))]
#[command(mut_arg("sample", |arg| arg.default_value("2048")))]
#[command(mut_arg("layers", |arg| arg.default_value("1").help("Layers of the student")))]
struct Arguments {
    #[command(flatten)]
    reviews: ReviewsFile,
    /// Width of the student's states, per direction.
    #[arg(long, value_name = "N", default_value_t = 128)]
    hidden: i64,
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
    let reviews = arguments.reviews.open("bigru", settings)?;
    println!("{} training and {} development reviews", reviews.train.rows(), reviews.dev.rows());
    let loader =
        || reviews.train.batches::<TextBatch>(training.batch).shuffled(training.seed.into()).bucketed();
    let dev = || reviews.dev.batches::<TextBatch>(64).bucketed();

    let teacher =
        BertForSequenceClassification::from_encoder(&settings.encoder, 2, settings.weights(), device)?;
    let pipeline = Supervised::new(teacher.seen_by(ClassifierOutputAdaptor)).plan()?;
    let of_teacher = (settings, training.teacher_epochs, settings.teacher_lr);
    let teacher = train("teacher", pipeline, of_teacher, loader(), (dev(), Accuracy))?;
    let path = settings.place("bigru", "teacher");
    teacher.save(&path)?;
    let frozen = BertForSequenceClassification::from_pretrained(&path, device)?;

    // Ten times the learning rate of a BERT: a recurrent network starts with new weights.
    let of_students = (settings, training.epochs, 10.0 * settings.lr);
    let pipeline =
        Supervised::new(student(arguments, &frozen, device)?.seen_by(ClassifierOutputAdaptor)).plan()?;
    let plain = train("plain BiGRU", pipeline, of_students, loader(), (dev(), Accuracy))?;

    let student = student(arguments, &frozen, device)?;
    let pipeline =
        Distill::new(frozen.seen_by(ClassifierOutputAdaptor), student.seen_by(ClassifierOutputAdaptor))
            .soft_targets(KdCe::at(training.temperature).times_temperature_squared())
            .hard_labels(1.0)
            .plan()?;
    println!("\n{}", pipeline.explain());
    let distilled = train("distilled BiGRU", pipeline, of_students, loader(), (dev(), Accuracy))?;
    distilled.save(&settings.place("bigru", "student"))?;
    println!("\n{}", distilled.parameters().table(None));

    let mut table = Comparison::of(&["accuracy", "agrees with the teacher"]);
    let (_, of_teacher) = score(&teacher, &dev(), &[&Accuracy])?;
    for (name, model) in [("teacher", &teacher), ("plain BiGRU", &plain), ("distilled BiGRU", &distilled)] {
        let (mut values, predictions) = score(model, &dev(), &[&Accuracy])?;
        values.push(predictions.agreement(&of_teacher)?);
        table.add(name, &values, model);
    }
    table.print();
    Ok(())
}

/// The student before training, with the embeddings of the teacher.
fn student(
    arguments: &Arguments,
    teacher: &BertForSequenceClassification,
    device: Device,
) -> Result<BiGruForSequenceClassification> {
    let parameters = teacher.parameters();
    let name = "bert.embeddings.word_embeddings.weight";
    let (_, embeddings) = parameters
        .iter()
        .find(|(found, _)| *found == name)
        .ok_or_else(|| Error::invalid(format!("the teacher is not a BERT: it has no `{name}`")))?;
    let config = BiGruConfig {
        vocab_size: teacher.config().vocab_size,
        embedding_size: teacher.config().hidden_size,
        hidden_size: arguments.hidden,
        num_hidden_layers: arguments.settings.training.layers,
        pad_token_id: teacher.config().pad_token_id,
        ..BiGruConfig::default()
    };
    BiGruForSequenceClassification::new(config, arguments.settings.weights(), device)?
        .with_tokenizer_of(&arguments.settings.encoder)
        .with_embeddings(embeddings)
}
