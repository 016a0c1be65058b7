//! The loss of every step equals that of a run without the cache.

use brew_core::cache::MemoryCache;
use brew_core::cache::TeacherCache;
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{AttentionMse, HiddenMse, KdCe, KdMse};
use brew_core::model::{BertForQuestionAnswering, ClassifierOutputAdaptor, SpanBatch, SpanOutputAdaptor};
use brew_core::prelude::*;
use brew_core::textbrewer::BasicDistiller;
use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
use tests::alone;

use super::support::{Counting, Record, Texts, difference, folder, student};

type Pipe = Pipeline<TextBatch, ClassifierOutputAdaptor>;

/// Logits, hidden states and attention maps of one teacher.
pub(crate) fn everything(teacher: Counting) -> Pipe {
    Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student().seen_by(ClassifierOutputAdaptor))
        .soft_targets(KdCe::at(2.0))
        .matching([
            hidden(teacher_layer(0), student_layer(0)).by(HiddenMse),
            hidden(teacher_layer(-1), student_layer(2)).by(HiddenMse).named("last"),
        ])
        .matching(attention(teacher_layer(1), student_layer(0)).by(AttentionMse::probabilities()))
        .hard_labels(1.0)
        .plan()
        .unwrap()
}

/// Trains with small steps, so that round-off is not amplified.
fn train(pipeline: Pipe, data: Texts, accumulate: usize, cache: Option<MemoryCache>) -> Record {
    let record = Record::default();
    let mut trainer = Trainer::new(pipeline)
        .optimizer(AdamW::with_lr(1e-5))
        .accumulate(accumulate)
        .epochs(3)
        .log_every(1)
        .observe(record.clone());
    if let Some(cache) = cache {
        trainer = trainer.teacher_cache(cache);
    }
    trainer.run(data).unwrap();
    record
}

#[test]
fn a_cached_epoch_gives_the_same_losses_to_the_last_bit_where_batches_keep_their_shape() {
    let _alone = alone();
    let (teacher, _) = Counting::new("roberta/sequence");
    let without = train(everything(teacher), Texts::of(6), 1, None);
    let (teacher, runs) = Counting::new("roberta/sequence");
    let with = train(everything(teacher), Texts::of(6), 1, Some(MemoryCache::new()));
    assert_eq!(*with.losses.borrow(), *without.losses.borrow());
    // Two rows are tried, two are run with and without padding, and the first epoch has 4 batches. Of the 8
    // that are read the first, second, fourth and eighth are looked at.
    assert_eq!(runs.get(), 3 + 4 + 4);
    assert_eq!(
        with.with("found"),
        [
            "the teacher: 0 found, 24 computed, 24 rows",
            "the teacher: 24 found, 0 computed, 24 rows",
            "the teacher: 24 found, 0 computed, 24 rows"
        ]
    );
}

#[test]
fn rows_found_in_other_batches_at_another_padding_give_the_same_losses_to_round_off() {
    let _alone = alone();
    for (accumulate, bucketed, length) in [(1, false, None), (2, true, None), (3, false, Some(10))] {
        let data = Texts { shuffled: true, bucketed, length, ..Texts::of(5) };
        let (teacher, _) = Counting::new("roberta/sequence");
        let without = train(everything(teacher), data.clone(), accumulate, None);
        let cache = MemoryCache::new();
        let (teacher, _) = Counting::new("roberta/sequence");
        train(everything(teacher), Texts::of(8), 1, Some(cache.clone()));
        let (teacher, runs) = Counting::new("roberta/sequence");
        let with = train(everything(teacher), data, accumulate, Some(cache));
        assert!(runs.get() <= 3 + 4, "the teacher ran {} times although every row was there", runs.get());
        let off = difference(&with, &without);
        assert!(off < 1e-6, "accumulating {accumulate}, bucketed {bucketed}, length {length:?}: {off:e}");
    }
}

#[test]
fn several_teachers_have_rows_of_their_own() {
    let _alone = alone();
    let pipeline = || {
        let (first, runs) = Counting::new("roberta/sequence");
        let (second, _) = Counting::new("distilbert/sequence");
        let teachers = vec![first.seen_by(ClassifierOutputAdaptor), second.seen_by(ClassifierOutputAdaptor)];
        let pipeline = Distill::new(teachers, student().seen_by(ClassifierOutputAdaptor))
            .soft_targets(KdMse::at(1.0))
            .plan()
            .unwrap();
        (pipeline, runs)
    };
    let data = Texts { shuffled: true, ..Texts::of(7) };
    let without = train(pipeline().0, data.clone(), 1, None);
    let cache = MemoryCache::new();
    let with = train(pipeline().0, data.clone(), 1, Some(cache.clone()));
    assert!(difference(&with, &without) < 1e-6);
    assert_eq!(with.with("teacher 1: 24 found").len(), 2);
    // Another student, with the same cache.
    let (again, runs) = pipeline();
    let again = train(again, data, 1, Some(cache));
    assert!(difference(&again, &without) < 1e-6);
    assert!(runs.get() <= 3 + 4, "{}", runs.get());
}

fn spans(length: Option<usize>) -> (Vec<SpanBatch>, Vec<SpanBatch>) {
    let cut = |size| {
        let data = Texts { length, ..Texts::of(size) };
        let span = |batch: Result<TextBatch>| {
            let TextBatch { input_ids, attention_mask, labels, .. } = batch.unwrap();
            let (start, end) = (labels.as_ref().map(Tensor::shallow_clone), labels);
            SpanBatch {
                input_ids,
                attention_mask,
                token_type_ids: None,
                start_positions: start,
                end_positions: end,
            }
        };
        data.epoch(0).unwrap().map(span).collect::<Vec<_>>()
    };
    (cut(4), cut(6))
}

// The softmax over a text's positions sees its padding: a row serves the length it was kept at.
#[test]
fn starts_and_ends_of_spans_are_found_at_their_own_length_alone() {
    let _alone = alone();
    let run = |data: Vec<SpanBatch>, cache: Option<MemoryCache>| {
        let model = |case| BertForQuestionAnswering::from_pretrained(folder(case), Device::Cpu).unwrap();
        let pipeline = Distill::new(
            model("roberta/question").seen_by(SpanOutputAdaptor),
            model("bert/question").seen_by(SpanOutputAdaptor),
        )
        .soft_targets(KdCe::at(2.0))
        .plan()
        .unwrap();
        let record = Record::default();
        let trainer =
            Trainer::new(pipeline).optimizer(AdamW::with_lr(1e-6)).log_every(1).observe(record.clone());
        match cache {
            Some(cache) => trainer.teacher_cache(cache).run(data).unwrap(),
            None => trainer.run(data).unwrap(),
        };
        record
    };
    for (length, found) in [(Some(9), true), (None, false)] {
        let without = run(spans(length).1, None);
        let cache = MemoryCache::new();
        run(spans(length).0, Some(cache.clone()));
        let with = run(spans(length).1, Some(cache.clone()));
        assert!(difference(&with, &without) < 1e-6, "length {length:?}");
        assert_eq!(!with.with("24 found").is_empty(), found, "{:?}", with.words.borrow());
        // The same batches once more are found whatever their lengths.
        let again = run(spans(length).1, Some(cache));
        assert_eq!(again.with("24 found").len(), 1, "{:?}", again.words.borrow());
        assert!(difference(&again, &without) < 1e-6, "length {length:?}");
    }
}

#[test]
fn a_run_says_before_it_starts_what_the_cache_will_cost() {
    let _alone = alone();
    let (teacher, _) = Counting::new("roberta/sequence");
    let record =
        train(everything(teacher), Texts { length: Some(10), ..Texts::of(8) }, 1, Some(MemoryCache::new()));
    // 3 classes; two layers of 10 x 16; one map of 2 heads of 10 x 10; four bytes each.
    let bytes = 4 * (3 + 2 * 10 * 16 + 2 * 10 * 10);
    assert_eq!(
        record.with("cache of"),
        [format!(
            "cache of the teacher ({}): attention[1], hidden[-1], hidden[0], logits; {},{} bytes per row of 10 tokens, at that length 0.1 MB for 24 rows",
            MemoryCache::new().place(),
            bytes / 1000,
            format_args!("{:03}", bytes % 1000)
        )]
    );
}

// Defect 26 of TextBrewer: a second `train()` doubles its cache, whose batches are frozen.
#[test]
fn is_caching_logits_runs_the_teacher_in_the_first_epoch_alone_and_changes_no_loss() {
    let _alone = alone();
    let run = |caches: bool| {
        let folder = tempfile::tempdir().unwrap();
        let output = folder.path().join("run");
        let train = TrainingConfig { output_dir: output.display().to_string(), ..TrainingConfig::default() };
        let distill = DistillationConfig { is_caching_logits: caches, ..DistillationConfig::default() };
        let (teacher, runs) = Counting::new("roberta/sequence");
        let (teacher, student) =
            (teacher.seen_by(ClassifierOutputAdaptor), student().seen_by(ClassifierOutputAdaptor));
        let record = Record::default();
        let trainer = BasicDistiller::new(&train, &distill, teacher, student).trainer().unwrap();
        let trainer = trainer.optimizer(AdamW::with_lr(1e-5)).epochs(3).log_every(1).observe(record.clone());
        trainer.run(Texts { shuffled: true, ..Texts::of(6) }).unwrap();
        (record, runs.get())
    };
    let ((without, always), (cached, first)) = (run(false), run(true));
    assert!(difference(&cached, &without) < 1e-6);
    // The two rows that are checked first, three epochs of four batches; and with the cache one epoch and the
    // two looks at what padding does.
    assert_eq!(always, 1 + 3 * 4);
    assert!(first <= 3 + 4 + 4, "the teacher ran {first} times");
    assert_eq!(cached.with("24 found, 0 computed, 24 rows").len(), 2, "{:?}", cached.words.borrow());
}
