//! Distils one of brew's own encoders in float32 with dropout: `distils_bert_as_one_of_several FOLDER [exact] [sgd]` saves
//! the student to `FOLDER/R`, R being the rank.

#![expect(clippy::unwrap_used, reason = "a test's program fails where a helper does")]

use std::path::PathBuf;

use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{HiddenMse, KdCe};
use brew_core::model::{Architecture, BertConfig, ClassifierOutputAdaptor};
use brew_core::prelude::*;
use brew_core::train::Sgd;

/// Texts of uneven lengths with labels, the same in every process.
fn texts(batch: i64) -> TextBatch {
    let (rows, length) = (3, 7);
    let numbers = Tensor::arange(rows * length, (Kind::Int64, Device::Cpu)).view([rows, length]);
    let input_ids = ((&numbers + 17 * batch) * 31).remainder(33) + 5;
    let lengths = Tensor::from_slice(&[7_i64, 2 + batch.rem_euclid(5), 4]).view([rows, 1]);
    let attention_mask = numbers.remainder(length).lt_tensor(&lengths).to_kind(Kind::Int64);
    let labels = Some(input_ids.select(1, 0).remainder(3));
    TextBatch { input_ids, attention_mask, token_type_ids: None, labels }
}

fn main() -> Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let has = |word: &str| words.iter().any(|given| given == word);
    let config = BertConfig {
        vocab_size: 40,
        hidden_size: 16,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        intermediate_size: 32,
        max_position_embeddings: 16,
        ..BertConfig::base(Architecture::Bert)
    };
    assert_eq!(config.hidden_dropout_prob, 0.1);
    let teacher = BertForSequenceClassification::new(config, 3, 5, Device::Cpu)?;
    let student = BertForSequenceClassification::from_layers_of(&teacher, Keep::first(1))?;
    let pipeline =
        Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student.seen_by(ClassifierOutputAdaptor))
            .soft_targets(KdCe::at(2.0))
            .matching(hidden(teacher_layer(2), student_layer(1)).by(HiddenMse))
            .hard_labels(1.0)
            .plan()?;
    let trainer = Trainer::new(pipeline).accumulate(6).clip(1.0).epochs(2).seed(3);
    let trainer = if has("sgd") {
        trainer.optimizer(Sgd::with_lr(0.1))
    } else {
        trainer.optimizer(AdamW::with_lr(1e-3))
    };
    let trainer = if has("exact") { trainer.exact_sums() } else { trainer };
    let trained = trainer.run((0..24).map(texts).collect::<Vec<_>>())?;
    let rank = std::env::var("RANK").unwrap_or_else(|_| "0".to_owned());
    trained.save(PathBuf::from(words.first().unwrap()).join(rank))
}
