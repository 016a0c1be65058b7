//! Extractive question answering (XQuAD, English): start and end logits, distilled as a list.
//!
//! XQuAD is a development set of 48 articles. The articles whose number is divisible by five are the evaluation data and
//! the others the training data, so no paragraph is in both. The scores are SQuAD's.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

use std::path::PathBuf;
use std::process::ExitCode;

use brew_core::loss::KdCe;
use brew_core::model::{BertForQuestionAnswering, SpanBatch, SpanOutputAdaptor};
use brew_core::observe::{SquadAnswers, SquadExactMatch, SquadF1};
use brew_core::prelude::*;
use brew_data::prelude::*;
use brew_data::{Answers, Format, Questions};
use clap::Parser;
use examples::{Comparison, Settings, every, matches, score, train};

/// What a row is.
const WINDOW: &str = "Tokens a window of question and text; longer texts are read in several windows";

/// Distils a question-answering model and compares it with one trained only on the answers.
#[derive(Debug, Parser)]
#[command(name = "spans")]
#[command(mut_arg("teacher_epochs", |arg| arg.default_value("3")))]
#[command(mut_arg("max_length", |arg| arg.default_value("128").help(WINDOW)))]
struct Arguments {
    /// Questions in SQuAD's JSON format.
    #[arg(long, value_name = "FILE", default_value = "data/xquad_en.json")]
    data: PathBuf,
    /// Only the first N of the 48 articles.
    #[arg(long, value_name = "N", default_value_t = 20)]
    articles: usize,
    /// Tokens that a window shares with the one before.
    #[arg(long, value_name = "N", default_value_t = 32)]
    stride: usize,
    #[command(flatten)]
    settings: Settings,
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    examples::run(|| run(&arguments))
}

/// The windows of both splits, and the right answers of the second.
struct Data {
    train: Dataset,
    dev: Dataset,
    answers: SquadAnswers,
}

fn run(arguments: &Arguments) -> Result<()> {
    let (settings, training) = (&arguments.settings, &arguments.settings.training);
    let device = settings.device();
    let Data { train: windows, dev, answers } = questions(arguments)?;
    println!("{} training and {} development windows", windows.rows(), dev.rows());
    let loader = || windows.batches::<SpanBatch>(training.batch).shuffled(training.seed.into()).bucketed();
    let dev = || dev.batches::<SpanBatch>(64);
    let new = || BertForQuestionAnswering::from_encoder(&settings.encoder, settings.weights(), device);
    // Report mistakes before anything is trained.
    let stride = every(new()?.config().num_hidden_layers, training.layers)?;
    let student = || BertForQuestionAnswering::from_layers_of(&new()?, Keep::first(training.layers));
    let supervised =
        |model: BertForQuestionAnswering| Supervised::new(model.seen_by(SpanOutputAdaptor)).plan();
    let f1 = SquadF1::new(&answers);
    let of_students = (settings, training.epochs, settings.lr);

    let of_teacher = (settings, training.teacher_epochs, settings.teacher_lr);
    let teacher = train("teacher", supervised(new()?)?, of_teacher, loader(), (dev(), f1.clone()))?;
    let plain = train("plain student", supervised(student()?)?, of_students, loader(), (dev(), f1.clone()))?;

    let path = settings.place("spans", "teacher");
    teacher.save(&path)?;
    let frozen = BertForQuestionAnswering::from_pretrained(&path, device)?;
    let pipeline = Distill::new(frozen.seen_by(SpanOutputAdaptor), student()?.seen_by(SpanOutputAdaptor))
        .soft_targets(KdCe::at(training.temperature))
        .matching(matches(training.layers, stride))
        .hard_labels(1.0)
        .plan()?;
    println!("\n{}", pipeline.explain());
    let distilled = train("distilled student", pipeline, of_students, loader(), (dev(), f1.clone()))?;
    distilled.save(&settings.place("spans", "student"))?;

    let mut table = Comparison::of(&["exact match", "F1"]);
    for (name, model) in [("teacher", &teacher), ("plain student", &plain), ("distilled student", &distilled)]
    {
        table.add(name, &score(model, &dev(), &[&SquadExactMatch::new(&answers), &f1])?.0, model);
    }
    table.print();
    Ok(())
}

/// Splits the articles and cuts their questions into windows.
fn questions(arguments: &Arguments) -> Result<Data> {
    let all = Dataset::open_as(&arguments.data, Format::Squad)?;
    let mut titles = all.texts("title")?;
    titles.dedup();
    titles.truncate(arguments.articles);
    let of_dev =
        |title: &String| titles.iter().position(|known| known == title).map(|number| number % 5 == 0);
    let split = all.texts("title")?.iter().map(of_dev).collect::<Vec<_>>();
    let rows = |dev: bool| (0..all.rows()).filter(|&row| split[row] == Some(dev)).collect::<Vec<_>>();
    let (train, dev) = (all.select(&rows(false))?, all.select(&rows(true))?);

    let tokenizer = Tokenizer::from_folder(&arguments.settings.encoder)?;
    let cache = arguments.settings.place("spans", "tokens");
    let columns = Questions::of("question", "context")
        .stride(arguments.stride)
        .answers("answers.text", "answers.answer_start");
    let settings = Tokenize::questions(columns, arguments.settings.training.max_length);
    let (train, windows) =
        (train.tokenize(&tokenizer, &settings, &cache)?, dev.tokenize(&tokenizer, &settings, &cache)?);
    let (right, of_answers) = (dev.text_lists("answers.text")?, windows.clone());
    let answers = SquadAnswers::new(right, move |predictions| {
        let mut answers = Answers::of(&of_answers, &dev, "context")?;
        answers.add(&predictions.logits()[0], &predictions.logits()[1])?;
        Ok(answers.finish()?.into_iter().map(|answer| answer.text).collect())
    });
    Ok(Data { train, dev: windows, answers })
}
