//! One run of the race: TextBrewer's recipe on the movie reviews, with brew's switches.

use std::path::PathBuf;
use std::sync::atomic::Ordering;

use brew_core::cache::Payload;
use brew_core::loss::KdCe;
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::observe::Predictions;
use brew_core::observe::{Metric, Progress};
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_data::TeacherStore;
use brew_data::prelude::*;
use clap::ValueEnum;
use examples::{Sampler, every, matches};
use serde_json::{Value, json};

use crate::clock::Clock;
use crate::recipe::{Order, Recipe, schedule};
use crate::watched::Watched;

/// What `run` needs.
#[derive(Debug, clap::Args)]
pub(crate) struct Arguments {
    #[command(flatten)]
    recipe: Recipe,
    /// The fine-tuned teacher, with its tokenizer.
    #[arg(long, value_name = "DIR")]
    teacher: PathBuf,
    /// What `start` wrote.
    #[arg(long, value_name = "DIR")]
    student: PathBuf,
    /// The teacher's cache [default: none].
    #[arg(long, value_name = "DIR")]
    cache: Option<PathBuf>,
    /// The dtype of cached features.
    #[arg(long, value_enum, default_value_t = Floats::F32)]
    cached: Floats,
    /// How rows are grouped into batches.
    #[arg(long, value_enum, default_value_t = Order::Bucketed)]
    order: Order,
    #[arg(long, value_name = "N", default_value_t = 2)]
    threads: i32,
    /// Updates only the embedding rows in use.
    #[arg(long)]
    sparse_embedding_updates: bool,
}

/// A dtype.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Floats {
    /// float32.
    F32,
    /// bfloat16.
    Bf16,
}

/// Agreement with the teacher.
#[derive(Debug)]
struct Agreement(Predictions);

impl Metric for Agreement {
    fn name(&self) -> &'static str {
        "agreement"
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        predictions.agreement(&self.0)
    }

    // The two rows that are checked before the first step are not the teacher's dev rows.
    fn check(&self, _: &Predictions) -> Result<()> {
        Ok(())
    }
}

/// Distils, and reports what it took.
pub(crate) fn run(arguments: &Arguments) -> Result<Value> {
    let sampler = Sampler::start();
    brew_core::tch::set_num_threads(arguments.threads);
    let tokenizer = Tokenizer::from_folder(&arguments.teacher)?;
    let recipe = &arguments.recipe;
    let reviews = recipe.reviews(&tokenizer)?;
    let load = |folder| BertForSequenceClassification::from_pretrained(folder, Device::Cpu);
    let (teacher, student) = (load(&arguments.teacher)?, load(&arguments.student)?);
    let layers = student.config().num_hidden_layers;
    let [of_hidden, of_attention] =
        [student.config().hidden_dropout_prob, student.config().attention_probs_dropout_prob];
    let (student, passes) = Watched::new(student);
    let stride = every(teacher.config().num_hidden_layers, layers)?;
    let teacher = teacher.seen_by(ClassifierOutputAdaptor);
    let dev = reviews.dev.batches::<TextBatch>(64).bucketed();
    let of_teacher = Predictions::of(&teacher, &dev)?;
    let teacher_accuracy = Accuracy.value(&of_teacher)?;
    let pipeline = Distill::new(teacher, student.seen_by(ClassifierOutputAdaptor))
        .semantics(Semantics::TextBrewer)
        .soft_targets(KdCe::at(8.0))
        .matching(matches(layers, stride))
        .hard_labels(1.0)
        .plan()?;
    let train = recipe.batches::<TextBatch>(&reviews.train, arguments.order);
    let clock = Clock::default();
    let mut trainer = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-4).weight_decay(0.01))
        .schedule(schedule())
        .clip(1.0)
        .epochs(recipe.epochs)
        .seed(recipe.seed.into())
        .precision(Precision::F32)
        .evaluate(dev, Accuracy)
        .evaluate(reviews.dev.batches::<TextBatch>(64).bucketed(), Agreement(of_teacher))
        .observe(clock.clone())
        .observe(Progress::new("race"));
    if arguments.sparse_embedding_updates {
        trainer = trainer.sparse_embedding_updates();
    }
    if let Some(folder) = &arguments.cache {
        let payload = match arguments.cached {
            Floats::F32 => Payload::whole(),
            Floats::Bf16 => Payload::whole().floats_as(brew_core::tch::Kind::BFloat16),
        };
        trainer = trainer.teacher_cache(TeacherStore::at(folder).keeping(payload));
    }
    let trained = trainer.run(train)?;
    let examples = trained.summary().examples;
    let times = clock.0.borrow();
    let last = times.evaluations.last();
    let (rows, bytes) = times.cached.unwrap_or_default();
    let (anonymous, _) = sampler.finish();
    Ok(json!({
        "side": "brew",
        "dropout": {
            "hidden": of_hidden,
            "attention": of_attention,
            "passes": passes.load(Ordering::Relaxed),
        },
        "batches": match arguments.order {
            Order::Random => "random",
            Order::Bucketed => "rows of like length",
        },
        "examples": examples,
        "seconds": times.seconds,
        "examples_per_second": examples as f64 / times.seconds,
        "accuracy": last.map(|last| last.accuracy),
        "agreement": last.map(|last| last.agreement),
        "teacher_accuracy": teacher_accuracy,
        "evaluations": times.evaluations,
        "anonymous_bytes": anonymous * 1e6,
        "cached_rows": rows,
        "cached_bytes": bytes,
        "computed_rows": times.computed,
    }))
}
