//! Two tasks, one student: TextBrewer's MultiTaskDistiller on movie and product reviews.
//!
//! Each task has its own teacher. The student has one encoder and four logits per text, two for each task; one adaptor
//! per task selects them.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::{Arc, Mutex};

use brew_core::model::{ClassifierOutput, ClassifierOutputAdaptor};
use brew_core::prelude::*;
use brew_core::tch::Reduction;
use brew_core::textbrewer::MultiTaskDistiller;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use brew_core::train::MultiTask;
use brew_data::prelude::*;
use clap::Parser;
use examples::{Comparison, Reviews, Settings, configured, open_reviews, score, train};

/// Distils two teachers of two tasks into one student.
#[derive(Debug, Parser)]
#[command(name = "tasks")]
struct Arguments {
    /// Movie reviews: a Parquet file, or a TSV file of id, rating and text without a header.
    #[arg(long, value_name = "FILE", default_value = "data/movie_reviews.parquet")]
    movies: PathBuf,
    /// Product reviews, in the same form.
    #[arg(long, value_name = "FILE", default_value = "data/product_reviews.tsv")]
    products: PathBuf,
    /// Only N training reviews of either, spread evenly over the file, and half as many to evaluate on;
    /// 0 for all.
    #[arg(long, value_name = "N", default_value_t = 768)]
    sample: usize,
    /// How much the tasks' sizes count when a batch is drawn: 1 in proportion, 0 not at all.
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    tau: f64,
    #[command(flatten)]
    settings: Settings,
}

/// The student's logits for one task: two, starting at number `FIRST`, with that task's labels.
struct View<const FIRST: i64>;

#[adaptor(batch = TextBatch, output = ClassifierOutput)]
impl<const FIRST: i64> View<FIRST> {
    fn logits(output: &ClassifierOutput) -> Result<Tensor> {
        Ok(output.logits.f_narrow(1, FIRST, 2)?)
    }
    fn labels(batch: &TextBatch) -> Option<&Tensor> {
        batch.labels.as_ref()
    }
    fn losses(batch: &TextBatch, output: &ClassifierOutput) -> Result<Option<Tensor>> {
        let Some(labels) = &batch.labels else { return Ok(None) };
        let logits = output.logits.f_narrow(1, FIRST, 2)?;
        Ok(Some(logits.f_cross_entropy_loss(labels, None::<Tensor>, Reduction::None, -100, 0.0)?))
    }
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    examples::run(|| run(&arguments))
}

fn run(arguments: &Arguments) -> Result<()> {
    let (settings, training) = (&arguments.settings, &arguments.settings.training);
    let device = settings.device();
    let tokenizer = Tokenizer::from_folder(&settings.encoder)?;
    let sample = Some(arguments.sample).filter(|sample| *sample > 0);
    let cache = settings.place("tasks", "tokens");
    let open = |file: &PathBuf| open_reviews(file, (&tokenizer, training.max_length), sample, &cache);
    let (movies, products) = (open(&arguments.movies)?, open(&arguments.products)?);
    let loader = |data: &Reviews| {
        data.train.batches::<TextBatch>(training.batch).shuffled(training.seed.into()).bucketed()
    };
    let dev = |data: &Reviews| data.dev.batches::<TextBatch>(64).bucketed();
    let new = |classes| {
        BertForSequenceClassification::from_encoder(&settings.encoder, classes, settings.weights(), device)
    };
    let student = || -> Result<Arc<Mutex<BertForSequenceClassification>>> {
        let first = BertForSequenceClassification::from_layers_of(&new(4)?, Keep::first(training.layers))?;
        Ok(Arc::new(Mutex::new(first)))
    };
    // Report mistakes before anything is trained.
    drop(student()?);
    let fine_tune = |title: &str, data: &Reviews| {
        println!("{title}: {} training and {} development reviews", data.train.rows(), data.dev.rows());
        let pipeline = Supervised::new(new(2)?.seen_by(ClassifierOutputAdaptor)).plan()?;
        let of_teacher = (settings, training.teacher_epochs, settings.teacher_lr);
        train(title, pipeline, of_teacher, loader(data), (dev(data), Accuracy))
    };
    let movie_teacher = fine_tune("movie teacher", &movies)?;
    let product_teacher = fine_tune("product teacher", &products)?;
    let mut table = Comparison::of(&["movies", "products"]);
    let accuracy = |model: &Seen<ClassifierOutputAdaptor>, data| -> Result<f64> {
        Ok(score(model, &dev(data), &[&Accuracy])?.0[0])
    };
    table.add("movie teacher", &[accuracy(&movie_teacher, &movies)?, f64::NAN], &movie_teacher);
    table.add("product teacher", &[f64::NAN, accuracy(&product_teacher, &products)?], &product_teacher);

    let batches =
        loader(&movies).batches_per_epoch().unwrap_or(0) + loader(&products).batches_per_epoch().unwrap_or(0);
    let steps = batches as u64 * training.epochs;
    let mut add = |title: &str, student: &Arc<Mutex<BertForSequenceClassification>>| -> Result<()> {
        let of_movies = score(&Arc::clone(student).seen_by(View::<0>), &dev(&movies), &[&Accuracy])?.0[0];
        let of_products = score(&Arc::clone(student).seen_by(View::<2>), &dev(&products), &[&Accuracy])?.0[0];
        table.add(title, &[of_movies, of_products], student);
        Ok(())
    };

    let plain = student()?;
    let of_movies = Supervised::new(Arc::clone(&plain).seen_by(View::<0>)).plan()?;
    let of_products = Supervised::new(Arc::clone(&plain).seen_by(View::<2>)).plan()?;
    let tasks = MultiTask::new()
        .task("movies", of_movies, loader(&movies))
        .task("products", of_products, loader(&products))
        .tau(arguments.tau);
    println!("\nplain student");
    configured(Trainer::new(tasks), "plain student", (settings, settings.lr)).steps(steps).run()?;
    add("plain student", &plain)?;

    let distilled = student()?;
    let distill = DistillationConfig {
        temperature: training.temperature,
        hard_label_weight: 1.0,
        ..DistillationConfig::default()
    };
    let run = TrainingConfig {
        output_dir: settings.place("tasks", "distilled").display().to_string(),
        ..TrainingConfig::default()
    };
    let trainer = MultiTaskDistiller::new(&run, &distill)
        .task("movies", movie_teacher, Arc::clone(&distilled).seen_by(View::<0>), loader(&movies))
        .task("products", product_teacher, Arc::clone(&distilled).seen_by(View::<2>), loader(&products))
        .tau(arguments.tau)
        .trainer()?;
    println!("\ndistilled student");
    configured(trainer, "distilled student", (settings, settings.lr)).steps(steps).run()?;
    add("distilled student", &distilled)?;
    distilled.save(&settings.place("tasks", "student"))?;
    table.print();
    Ok(())
}
