//! `lm distil`: cuts layers out of a language model and lets the whole model teach what is left.
//!
//! The student keeps the layers of the largest block influence. It learns the teacher's distributions of the next token
//! and, beside them, the tokens themselves, on rows packed with whole texts.

mod arguments;
mod report;
mod text;

use std::path::Path;

use brew_core::cache::Payload;
use brew_core::loss::{Kl, TopK, next_token};
use brew_core::model::{
    BlockInfluence, CausalLmBatch, CausalLmOutputAdaptor, DecoderConfig, DecoderForCausalLm,
};
use brew_core::observe::Perplexity;
use brew_core::prelude::*;
use brew_data::prelude::*;
use examples::{LanguageModel, distilled_from};

pub(crate) use arguments::Arguments;
use arguments::LearnsFrom;
use report::Report;
use text::Text;

/// Rows that the influence of layers is measured on.
const SAMPLE: usize = 16;

/// Distils and reports.
pub(crate) fn run(arguments: &Arguments) -> Result<()> {
    arguments.check()?;
    let device = Device::cuda_if_available();
    println!("device: {device:?}, {} threads", brew_core::tch::get_num_threads());
    let teacher = DecoderForCausalLm::frozen(&arguments.teacher, arguments.teacher_dtype.kind(), device)?;
    check(arguments, teacher.config())?;
    let text = Text::open(arguments)?;
    println!("{}", text.told());
    let influence = teacher.block_influence(&text.sample(SAMPLE)?)?;
    let keep = Keep::by_influence(arguments.layers, &influence);
    println!("{}", told(&influence, &keep)?);

    let mut report = Report::new(&influence, &keep, arguments.report.as_deref())?;
    let student = DecoderForCausalLm::from_layers_of(&teacher, keep)?.seen();
    let teacher = teacher.seen();
    report.measure("teacher", &teacher, &text)?;
    report.measure("student before", &student, &text)?;
    let trainer = Trainer::new(pipeline(arguments, teacher, student)?)
        .optimizer(AdamW::with_lr(arguments.lr).betas(0.9, 0.95).weight_decay(0.01))
        .schedule(Decay::cosine().with_warmup(0.05))
        .clip(1.0)
        .steps(arguments.steps as u64)
        .checkpoint_every_steps(arguments.every as u64)
        .seed(arguments.seed.into())
        .evaluate(text.dev.batches::<CausalLmBatch>(2), next_token(Perplexity))
        .run_dir(&arguments.run_dir);
    let trainer = if arguments.fresh { trainer.fresh() } else { trainer };
    let trainer = match arguments.top_k {
        Some(k) => {
            let store = TeacherStore::at(arguments.store(k));
            trainer.teacher_cache(store.keeping(Payload::whole().top_logits(k)))
        }
        None => trainer,
    };
    let train = text.train.batches::<CausalLmBatch>(arguments.batch).shuffled(arguments.seed.into());
    let trained = trainer.run(train)?;
    report.measure("student after", trained.student(), &text)?;
    report.finish(trained.summary())?;
    let student = arguments.run_dir.join("student");
    opens(&student)?;
    println!("the student is in {}", student.display());
    Ok(())
}

/// What does not fit the teacher.
fn check(arguments: &Arguments, teacher: &DecoderConfig) -> Result<()> {
    let limits = [
        ("--layers", arguments.layers, "layers", teacher.num_hidden_layers),
        ("--length", arguments.length, "positions", teacher.max_position_embeddings as usize),
        ("--top-k", arguments.top_k.unwrap_or(0), "tokens in its vocabulary", teacher.vocab_size as usize),
    ];
    let too_large = limits.into_iter().filter(|(_, asked, _, most)| asked > most);
    let problems: Vec<String> = too_large
        .map(|(name, asked, what, most)| format!("{name} is {asked}, and the teacher has {most} {what}"))
        .collect();
    if problems.is_empty() { Ok(()) } else { Err(Error::invalid(problems.join("; "))) }
}

/// A run survives a student that cannot be written, with a warning: its checkpoints may be whole.
fn opens(student: &Path) -> Result<()> {
    let opened = DecoderForCausalLm::from_pretrained(student, Device::Cpu).map(drop);
    let opened = opened.and_then(|()| Ok(Tokenizer::from_folder(student).map(drop)?));
    opened.map_err(|error| {
        Error::other(format!(
            "the student was trained, and its folder cannot be used: {error}; run the same command again once what the warnings say is mended"
        ))
    })
}

/// What the student learns.
fn pipeline(
    arguments: &Arguments,
    teacher: Seen<CausalLmOutputAdaptor>,
    student: Seen<CausalLmOutputAdaptor>,
) -> Result<LanguageModel> {
    let (temperature, labels) = (arguments.temperature(), arguments.labels());
    match (arguments.from, arguments.top_k) {
        (LearnsFrom::Tokens, _) => Supervised::new(student).plan(),
        (LearnsFrom::Teacher, None) => distilled_from(teacher, student, (temperature, labels)),
        (LearnsFrom::Teacher, Some(k)) => {
            let loss = TopK::of(k as i64, Kl::at(temperature));
            let pipeline = Distill::new(teacher, student).soft_targets(next_token(loss));
            if labels > 0.0 { pipeline.hard_labels(labels).plan() } else { pipeline.plan() }
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
