//! A short run with a teacher cache: texts of different lengths, some of them repeated, in a different order and in
//! different batches in every epoch. The tests of resuming kill this program and start it again.
//!
//! `cached_to_kill FOLDER STEPS CACHE [TEACHER]`, with `memory`, `float32`, `bfloat16` or `top-k`, and a model of
//! `fixtures/heads`; a checkpoint after every second optimizer step, two epochs in all.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test's program fails where a helper does")]

use std::path::Path;

use brew_core::batch::Walk;
use brew_core::cache::{MemoryCache, Payload};
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{AttentionMse, HiddenMse, KdCe, Kl, TopK};
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::prelude::*;
use brew_data::TeacherStore;
use tests::Tells;

/// Rows of a batch.
const ROWS: usize = 5;

/// Texts in a different order in every epoch.
struct Texts(Vec<Vec<i64>>);

impl Texts {
    /// This many texts of 4 to 9 tokens; every seventh repeats the one three rows before. Texts of 3 tokens would be
    /// stored for that length only: logits of 3 classes look like values per position.
    fn of(rows: usize) -> Self {
        let token = |row: usize, place: usize| 3 + (row * 7 + row * row / 5 + place * place * 3) as i64 % 37;
        let text = |row: usize| (0..4 + (row * 5) % 6).map(|place| token(row, place)).collect();
        Texts((0..rows).map(|row| text(if row % 7 == 6 { row - 3 } else { row })).collect())
    }

    fn batch(&self, rows: &[usize]) -> TextBatch {
        let texts: Vec<&Vec<i64>> = rows.iter().map(|row| &self.0[*row]).collect();
        let longest = texts.iter().map(|text| text.len()).max().unwrap();
        let padded = |value: &dyn Fn(i64) -> i64, pad: i64| {
            let at = |text: &Vec<i64>, place: usize| text.get(place).map_or(pad, |token| value(*token));
            let values = texts.iter().flat_map(|text| (0..longest).map(|place| at(text, place)));
            Tensor::from_slice(&values.collect::<Vec<_>>()).view([rows.len() as i64, longest as i64])
        };
        let labels: Vec<i64> = rows.iter().map(|row| (row % 3) as i64).collect();
        TextBatch {
            input_ids: padded(&|token| token, 0),
            attention_mask: padded(&|_| 1, 0),
            token_type_ids: None,
            labels: Some(Tensor::from_slice(&labels)),
        }
    }
}

impl Batches for Texts {
    type Batch = TextBatch;

    fn batches_per_epoch(&self) -> Option<usize> {
        Some(self.0.len().div_ceil(ROWS))
    }

    fn rows(&self) -> Option<usize> {
        Some(self.0.len())
    }

    fn epoch(&self, epoch: u64) -> Result<Walk<'_, TextBatch>> {
        let mut order: Vec<usize> = (0..self.0.len()).collect();
        order.sort_by_key(|row| (row + 1).wrapping_mul(0x9E37_79B9 + 2 * epoch as usize) % 1_000_003);
        let batches: Vec<Vec<usize>> = order.chunks(ROWS).map(<[usize]>::to_vec).collect();
        Ok(Box::new(batches.into_iter().map(|rows| Ok(self.batch(&rows)))))
    }
}

fn load(case: &str) -> BertForSequenceClassification {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/heads").join(case);
    BertForSequenceClassification::from_pretrained(folder, Device::Cpu).expect("the model loads")
}

fn main() -> Result<()> {
    let arguments: Vec<String> = std::env::args().collect();
    let (folder, steps, cache) = (&arguments[1], arguments[2].parse::<usize>().unwrap(), &*arguments[3]);
    let teacher = arguments.get(4).map_or("roberta/sequence", String::as_str);
    let teacher = load(teacher).seen_by(ClassifierOutputAdaptor);
    let student = load("distilbert/sequence").seen_by(ClassifierOutputAdaptor);
    let pipeline = Distill::new(teacher, student).hard_labels(1.0);
    let pipeline = match cache {
        "top-k" => pipeline.soft_targets(TopK::of(2, Kl::at(1.0))),
        _ => pipeline.soft_targets(KdCe::at(2.0)),
    };
    let pipeline = pipeline
        .matching(hidden(teacher_layer(1), student_layer(1)).by(HiddenMse))
        .matching(attention(teacher_layer(1), student_layer(0)).by(AttentionMse::probabilities()))
        .plan()?;
    let trainer = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-3))
        .epochs(2)
        .checkpoints_per_epoch(steps as u64 / 4)
        .keep_checkpoints(2)
        .log_every(1)
        .observe(Tells)
        .run_dir(folder);
    // In the folder of the run, as users would have it.
    let store =
        |payload| TeacherStore::at(Path::new(folder).join("teacher")).keeping(payload).block_bytes(50_000);
    let trainer = match cache {
        "memory" => trainer.teacher_cache(MemoryCache::new()),
        "bfloat16" => trainer.teacher_cache(store(Payload::whole().floats_as(Kind::BFloat16))),
        "top-k" => trainer.teacher_cache(store(Payload::whole().top_logits(2))),
        _ => trainer.teacher_cache(store(Payload::whole())),
    };
    trainer.run(Texts::of(steps / 2 * ROWS))?;
    Ok(())
}
