//! What a cache rejects, by name and with both sides' values.

use brew_core::cache::{MemoryCache, Payload};
use brew_core::distill::{student_layer, teacher_layer};
use brew_core::loss::{AttentionMse, HiddenMse, KdCe, SampledKl};
use brew_core::model::ClassifierOutputAdaptor;
use brew_core::prelude::*;
use tests::{Toy, ToyOutputAdaptor, alone, sentences};

use super::support::{Counting, Record, Texts, student};

fn run(case: &str, layer: i64, data: Texts, cache: MemoryCache) -> Result<Record> {
    let (teacher, _) = Counting::new(case);
    let pipeline =
        Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student().seen_by(ClassifierOutputAdaptor))
            .matching(hidden(teacher_layer(layer), student_layer(0)).by(HiddenMse))
            .plan()?;
    let record = Record::default();
    Trainer::new(pipeline).epochs(2).observe(record.clone()).teacher_cache(cache).run(data)?;
    Ok(record)
}

#[test]
fn another_teacher_and_other_layers_are_refused_with_both_sides() {
    let _alone = alone();
    let cache = MemoryCache::new();
    run("roberta/sequence", 0, Texts::of(6), cache.clone()).unwrap();
    let message = run("distilbert/sequence", 1, Texts::of(6), cache.clone()).unwrap_err().to_string();
    assert!(message.contains("the teacher's weights (hash): `"), "{message}");
    assert!(
        message.contains("`hidden[0]` in the cache, but this pipeline also reads `hidden[1]`"),
        "{message}"
    );
    run("roberta/sequence", 0, Texts::of(6), cache).unwrap();
}

#[test]
fn augmented_data_cannot_use_a_cache() {
    let _alone = alone();
    let data = Texts { varies: true, ..Texts::of(6) };
    let message = run("roberta/sequence", 0, data, MemoryCache::new()).unwrap_err().to_string();
    assert!(
        message.contains("the rows differ from epoch to epoch (they are augmented or masked)"),
        "{message}"
    );
}

#[test]
fn a_loss_over_all_logits_refuses_a_cache_of_the_greatest() {
    let _alone = alone();
    let (teacher, _) = Counting::new("roberta/sequence");
    let pipeline =
        Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student().seen_by(ClassifierOutputAdaptor))
            .soft_targets(KdCe::at(2.0))
            .plan()
            .unwrap();
    let cache = MemoryCache::keeping(Payload::whole().top_logits(2));
    let refused = Trainer::new(pipeline).teacher_cache(cache).run(Texts::of(6));
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("`kd_ce` reads all logits of a teacher"), "{message}");
}

// brew keeps no draws: the greatest logits would be taken for them, and be no estimate of anything.
#[test]
fn a_loss_over_draws_refuses_a_cache_of_the_greatest() {
    let _alone = alone();
    let (teacher, _) = Counting::new("roberta/sequence");
    let pipeline =
        Distill::new(teacher.seen_by(ClassifierOutputAdaptor), student().seen_by(ClassifierOutputAdaptor))
            .soft_targets(SampledKl::draws(2))
            .plan()
            .unwrap();
    let cache = MemoryCache::keeping(Payload::whole().top_logits(2));
    let refused = Trainer::new(pipeline).teacher_cache(cache).run(Texts::of(6));
    let message = refused.unwrap_err().to_string();
    assert!(message.contains("`sampled_kl` reads all logits of a teacher"), "{message}");
}

// The toy's attention is a softmax over all positions, padding among them.
#[test]
fn a_teacher_that_sees_padding_is_noticed_and_its_rows_serve_one_length() {
    let _alone = alone();
    let pipeline = || {
        Distill::new(Toy::new(1, 6, 0).seen_by(ToyOutputAdaptor), Toy::new(1, 6, 1).seen_by(ToyOutputAdaptor))
            .matching(attention(teacher_layer(0), student_layer(0)).by(AttentionMse::probabilities()))
            .plan()
            .unwrap()
    };
    let cache = MemoryCache::new();
    let record = Record::default();
    Trainer::new(pipeline())
        .teacher_cache(cache.clone())
        .observe(record.clone())
        .run(sentences(3, 4, 5))
        .unwrap();
    assert_eq!(record.with("depends on the padding of a row").len(), 1, "{:?}", record.words.borrow());
    // Two positions of padding more: no row is found, and no wrong one is used.
    let longer: Vec<_> = sentences(3, 4, 5)
        .into_iter()
        .map(|batch| {
            let pad = |name: &str, tensor: &Tensor| match name {
                "labels" => tensor.shallow_clone(),
                _ => tensor.constant_pad_nd([0, 2]),
            };
            batch.map(&mut |name, tensor| Ok(pad(name, tensor))).unwrap()
        })
        .collect();
    let record = Record::default();
    Trainer::new(pipeline()).teacher_cache(cache).observe(record.clone()).run(longer).unwrap();
    assert_eq!(record.with(": 0 found, 12 computed").len(), 1, "{:?}", record.words.borrow());
}
