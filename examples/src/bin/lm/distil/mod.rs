//! `lm distil`: cuts layers out of a language model and lets the whole model teach what is left.
//!
//! The student keeps the layers of the largest block influence. It learns the teacher's distributions of the next token
//! and, beside them, the tokens themselves, on rows packed with whole texts.

mod report;
mod text;

use std::path::PathBuf;

use brew_core::cache::Payload;
use brew_core::loss::{Kl, TopK, next_token};
use brew_core::model::{BlockInfluence, CausalLmBatch, CausalLmOutputAdaptor, DecoderForCausalLm};
use brew_core::observe::Perplexity;
use brew_core::prelude::*;
use brew_data::prelude::*;
use clap::{Args, ValueEnum};
use examples::{LanguageModel, distilled_from};

use report::Report;
use text::{Source, Text};

#[derive(Debug, Args)]
pub(crate) struct Arguments {
    /// The teacher: a Hugging Face folder with its tokenizer, or a GGUF file.
    #[arg(long, value_name = "DIR_OR_GGUF")]
    teacher: PathBuf,
    /// Layers of the student: those that change most of what passes through them.
    #[arg(long, value_name = "N")]
    layers: usize,
    /// The text: Parquet, Arrow, CSV, TSV, JSON lines, or SQuAD's JSON. Repeat it for more files [default column: text].
    #[arg(long, value_name = "FILE[:COLUMN]", required = true)]
    data: Vec<Source>,
    /// What the student learns from.
    #[arg(long, value_enum, default_value = "teacher")]
    from: From,
    /// Tokens per row: whole texts are packed into rows, and longer texts are cut.
    #[arg(long, value_name = "N", default_value_t = 512)]
    length: usize,
    /// Rows per step.
    #[arg(long, value_name = "N", default_value_t = 8)]
    batch: usize,
    /// Steps.
    #[arg(long, value_name = "N", default_value_t = 200)]
    steps: u64,
    /// Peak learning rate.
    #[arg(long, value_name = "X", default_value_t = 5e-4)]
    lr: f64,
    /// Temperature of the teacher's and the student's distributions.
    #[arg(long, value_name = "X", default_value_t = 1.0)]
    temperature: f64,
    /// Weight of the cross entropy of the tokens beside the teacher's distributions.
    #[arg(long, value_name = "X", default_value_t = 0.5)]
    labels: f64,
    /// Keeps only the teacher's K likeliest tokens of each position, on disk: the teacher runs once over the text, however
    /// many epochs there are.
    #[arg(long, value_name = "K")]
    top_k: Option<usize>,
    /// Holds the teacher's weights in this dtype.
    #[arg(long, value_enum, default_value = "f32")]
    teacher_dtype: Dtype,
    /// The order of the rows.
    #[arg(long, value_name = "N", default_value_t = 0)]
    seed: u32,
    /// Evaluates on the held-out texts, and saves a checkpoint, every N steps.
    #[arg(long, value_name = "N", default_value_t = 100)]
    every: u64,
    /// Where the student, its metrics, tokens, and checkpoints are kept.
    #[arg(long, value_name = "DIR", default_value = "runs/lm")]
    run_dir: PathBuf,
    /// Starts from scratch; without this, an interrupted run resumes.
    #[arg(long)]
    fresh: bool,
    /// Writes what it reached to this JSON file.
    #[arg(long, value_name = "FILE")]
    report: Option<PathBuf>,
}

/// What a student learns from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum From {
    /// The teacher's distributions, and the tokens.
    Teacher,
    /// The tokens alone: what the teacher is worth is the difference.
    Tokens,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Dtype {
    /// float32.
    F32,
    /// bfloat16: half the memory.
    Bf16,
}

/// Rows that the influence of layers is measured on.
const SAMPLE: usize = 16;

/// Distils and reports.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    let device = Device::cuda_if_available();
    println!("device: {device:?}, {} threads", brew_core::tch::get_num_threads());
    let kind = if arguments.teacher_dtype == Dtype::F32 { Kind::Float } else { Kind::BFloat16 };
    let teacher = DecoderForCausalLm::frozen(&arguments.teacher, kind, device)?;
    let text = Text::open(arguments)?;
    println!("{}", text.told());
    let influence = teacher.block_influence(&text.sample(SAMPLE)?)?;
    let keep = Keep::by_influence(arguments.layers, &influence);
    println!("{}", told(&influence, &keep)?);
    let mut report = Report::new(&influence, &keep)?;

    let student = DecoderForCausalLm::from_layers_of(&teacher, keep)?.seen();
    let teacher = teacher.seen();
    report.measure("teacher", &teacher, &text)?;
    report.measure("student before", &student, &text)?;
    let pipeline = pipeline(arguments, teacher, student)?;
    println!("{}", pipeline.explain());
    let trainer = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(arguments.lr).betas(0.9, 0.95).weight_decay(0.01))
        .schedule(Decay::cosine().with_warmup(0.05))
        .clip(1.0)
        .steps(arguments.steps)
        .checkpoint_every_steps(arguments.every)
        .seed(arguments.seed.into())
        .evaluate(text.dev.batches::<CausalLmBatch>(2), next_token(Perplexity))
        .run_dir(&arguments.run_dir);
    let trainer = if arguments.fresh { trainer.fresh() } else { trainer };
    let trainer = match arguments.top_k.filter(|_| arguments.from == From::Teacher) {
        Some(k) => {
            let store = TeacherStore::at(arguments.run_dir.join("teacher"));
            trainer.teacher_cache(store.keeping(Payload::whole().top_logits(k)))
        }
        None => trainer,
    };
    let train = text.train.batches::<CausalLmBatch>(arguments.batch).shuffled(arguments.seed.into());
    let trained = trainer.run(train)?;
    report.measure("student after", trained.student(), &text)?;
    report.finish(trained.summary(), arguments.report.as_deref())?;
    println!("the student is in {}", arguments.run_dir.join("student").display());
    Ok(())
}

/// What the student learns.
fn pipeline(
    arguments: &Arguments,
    teacher: Seen<CausalLmOutputAdaptor>,
    student: Seen<CausalLmOutputAdaptor>,
) -> Result<LanguageModel> {
    match (arguments.from, arguments.top_k) {
        (From::Tokens, _) => Supervised::new(student).plan(),
        (From::Teacher, None) => distilled_from(teacher, student, (arguments.temperature, arguments.labels)),
        (From::Teacher, Some(k)) => {
            let loss = TopK::of(k as i64, Kl::at(arguments.temperature));
            let pipeline = Distill::new(teacher, student).soft_targets(next_token(loss));
            if arguments.labels > 0.0 {
                pipeline.hard_labels(arguments.labels).plan()
            } else {
                pipeline.plan()
            }
        }
    }
}

/// Each layer's influence and whether it is kept.
fn told(influence: &BlockInfluence, keep: &Keep) -> Result<String> {
    let layers = influence.of_layers();
    let kept = keep.of(layers.len())?;
    let left_out: Vec<String> =
        (0..layers.len()).filter(|layer| !kept.contains(layer)).map(|layer| layer.to_string()).collect();
    let without = if left_out.is_empty() { "none".to_owned() } else { left_out.join(", ") };
    Ok(format!("{influence}\nlayers without which the student starts: {without}"))
}
