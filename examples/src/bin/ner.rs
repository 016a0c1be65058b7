//! Named-entity recognition: a tagger for emerging entities (WNUT-17), distilled by TextBrewer's GeneralDistiller.
//!
//! The loss on logits is over tokens, so the adaptor has a `logits_mask`. The score is entity F1, as in seqeval.

#![expect(clippy::print_stdout, reason = "a program's results go to standard output")]

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;

use brew_core::model::{BertForTokenClassification, TokenBatch, TokenClassifierOutputAdaptor};
use brew_core::observe::EntityF1;
use brew_core::prelude::*;
use brew_core::semantics::Semantics;
use brew_core::textbrewer::GeneralDistiller;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use brew_data::prelude::*;
use brew_data::{Conll, Pieces, Words};
use clap::Parser;
use examples::{Comparison, Settings, every, score, train};
use serde_json::json;

/// Distils a named-entity tagger and compares it with one trained only on the labels.
#[derive(Debug, Parser)]
#[command(name = "ner")]
#[command(mut_arg("teacher_epochs", |arg| arg.default_value("3")))]
struct Arguments {
    /// Sentences to train on: one token and its tag per line, a blank line after each sentence.
    #[arg(long, value_name = "FILE", default_value = "data/wnut17_train.conll")]
    train: PathBuf,
    /// Sentences to evaluate on.
    #[arg(long, value_name = "FILE", default_value = "data/wnut17_dev.conll")]
    dev: PathBuf,
    /// Only the first N sentences of either file.
    #[arg(long, value_name = "N")]
    limit: Option<usize>,
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
    let (tags, data, dev) = sentences(arguments)?;
    println!("{} training and {} development sentences, {} tags", data.rows(), dev.rows(), tags.len());
    let metric = EntityF1::new(&tags)?;
    let loader = || data.batches::<TokenBatch>(training.batch).shuffled(training.seed.into()).bucketed();
    let dev = || dev.batches::<TokenBatch>(64).bucketed();
    let new = || {
        BertForTokenClassification::from_encoder(&settings.encoder, tags.len(), settings.weights(), device)?
            .classes(tags.clone())
    };
    // Report mistakes before anything is trained.
    let stride = every(new()?.config().num_hidden_layers, training.layers)?;
    let student = || BertForTokenClassification::from_layers_of(&new()?, Keep::first(training.layers));
    let supervised = |model: BertForTokenClassification| {
        Supervised::new(model.seen_by(TokenClassifierOutputAdaptor)).semantics(Semantics::TextBrewer).plan()
    };
    let of_students = (settings, training.epochs, settings.lr);

    let of_teacher = (settings, training.teacher_epochs, settings.teacher_lr);
    let teacher = train("teacher", supervised(new()?)?, of_teacher, loader(), (dev(), metric.clone()))?;
    let plain =
        train("plain student", supervised(student()?)?, of_students, loader(), (dev(), metric.clone()))?;

    let matches: Vec<_> = (0..=training.layers)
        .map(|layer| json!({ "layer_T": stride * layer, "layer_S": layer, "feature": "hidden", "loss": "hidden_mse", "weight": 1 }))
        .collect();
    let distill = json!({
        "temperature": training.temperature, "hard_label_weight": 1, "intermediate_matches": matches,
    });
    let distill = DistillationConfig::from_json(&distill.to_string())?;
    let path = settings.place("ner", "teacher");
    teacher.save(&path)?;
    let frozen = BertForTokenClassification::from_pretrained(&path, device)?;
    let (frozen, seen) =
        (frozen.seen_by(TokenClassifierOutputAdaptor), student()?.seen_by(TokenClassifierOutputAdaptor));
    let pipeline = GeneralDistiller::new(&TrainingConfig::default(), &distill, frozen, seen).plan()?;
    println!("\n{}", pipeline.explain());
    let distilled = train("distilled student", pipeline, of_students, loader(), (dev(), metric.clone()))?;
    distilled.save(&settings.place("ner", "student"))?;

    let mut table = Comparison::of(&["entity F1", "token accuracy"]);
    for (name, model) in [("teacher", &teacher), ("plain student", &plain), ("distilled student", &distilled)]
    {
        table.add(name, &score(model, &dev(), &[&metric, &Accuracy])?.0, model);
    }
    table.print();
    Ok(())
}

/// The tags, `O` first, and the tokenised sentences of both files, with the number of a word's tag at its first token.
fn sentences(arguments: &Arguments) -> Result<(Vec<String>, Dataset, Dataset)> {
    let open = |path: &PathBuf| {
        let all = Dataset::open_as(path, Conll::new())?;
        let rows: Vec<usize> = (0..all.rows().min(arguments.limit.unwrap_or(usize::MAX))).collect();
        all.select(&rows)
    };
    let (train, dev) = (open(&arguments.train)?, open(&arguments.dev)?);
    let mut tags: BTreeSet<String> = BTreeSet::new();
    for sentences in [&train, &dev] {
        tags.extend(sentences.text_lists("tags")?.into_iter().flatten());
    }
    tags.remove("O");
    let tags: Vec<String> = ["O".to_owned()].into_iter().chain(tags).collect();
    let number = |tag: &String| tags.iter().position(|known| known == tag).unwrap_or_default() as i64;
    let tokenizer = Tokenizer::from_folder(&arguments.settings.encoder)?;
    let words = Words::of("tokens").labels("numbers", Pieces::First);
    let tokenize = Tokenize::words(words, arguments.settings.training.max_length);
    let cache = arguments.settings.place("ner", "tokens");
    let tokenised = |sentences: &Dataset| {
        let numbers = sentences.text_lists("tags")?;
        let numbers = numbers.iter().map(|tags| tags.iter().map(number).collect());
        sentences.with_integer_lists("numbers", numbers)?.tokenize(&tokenizer, &tokenize, &cache)
    };
    let (train, dev) = (tokenised(&train)?, tokenised(&dev)?);
    Ok((tags, train, dev))
}
