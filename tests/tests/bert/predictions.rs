//! Predictions and metrics of models for tokens and for questions, over batches of unequal lengths.

use brew_core::model::{
    BertForQuestionAnswering, BertForTokenClassification, SpanOutputAdaptor, TokenClassifierOutputAdaptor,
};
use brew_core::observe::{EntityF1, Predictions};
use brew_core::pass::Wants;
use brew_core::prelude::*;

use super::support::{head_folder, recorded, span_batch, token_batch};

/// The rows of a recording, and the same rows cut to a shorter length.
fn cut<B: Batch>(batch: &B, length: i64) -> B {
    batch
        .map(&mut |_, tensor| {
            Ok(if tensor.dim() == 2 { tensor.narrow(1, 0, length) } else { tensor.shallow_clone() })
        })
        .unwrap()
}

// Each row is judged as in a batch of its own, by hand: the loop below is the definition of accuracy.
#[test]
fn tokens_of_batches_of_unequal_lengths_are_judged_as_if_each_came_alone() {
    let model = BertForTokenClassification::from_pretrained(head_folder("bert/token"), Device::Cpu).unwrap();
    let whole = token_batch(&recorded("bert/token"));
    let short = cut(&whole, 5);
    let (mut right, mut all) = (0, 0);
    for batch in [&whole, &short] {
        let output = model.run(batch, &Pass::evaluation(Wants::nothing())).unwrap();
        let labels = batch.labels.as_ref().unwrap();
        for row in 0..labels.size()[0] {
            for place in 0..labels.size()[1] {
                let label = labels.int64_value(&[row, place]);
                if label != -100 && batch.attention_mask.int64_value(&[row, place]) == 1 {
                    let best = output.logits.get(row).get(place).argmax(-1, false).int64_value(&[]);
                    right += i64::from(best == label);
                    all += 1;
                }
            }
        }
    }
    let (rows, length) = (whole.input_ids.size()[0], whole.input_ids.size()[1]);
    assert!(length > 5 && all > 0);
    let predictions =
        Predictions::of(&model.seen_by(TokenClassifierOutputAdaptor), &vec![whole, short]).unwrap();
    assert_eq!(predictions.logits()[0].size(), [2 * rows, length, 5]);
    assert_eq!(Accuracy.value(&predictions).unwrap(), right as f64 / all as f64);
    let tags = EntityF1::new(["O", "B-a", "I-a", "B-b", "I-b"]).unwrap();
    assert!((0.0..=1.0).contains(&tags.value(&predictions).unwrap()));
    assert_eq!(predictions.agreement(&predictions).unwrap(), 1.0);
}

#[test]
fn positions_of_a_shorter_batch_are_padded_with_what_no_span_begins_at() {
    let model = BertForQuestionAnswering::from_pretrained(head_folder("bert/question"), Device::Cpu).unwrap();
    let whole = span_batch(&recorded("bert/question"));
    let (rows, length) = (whole.input_ids.size()[0], whole.input_ids.size()[1]);
    let batches = vec![cut(&whole, 4), whole];
    let predictions = Predictions::of(&model.seen_by(SpanOutputAdaptor), &batches).unwrap();
    assert_eq!(predictions.logits().len(), 2);
    assert_eq!(predictions.labels()[1].size(), [2 * rows]);
    let start = &predictions.logits()[0];
    assert_eq!(start.size(), [2 * rows, length]);
    assert_eq!(start.get(0).double_value(&[length - 1]), f64::NEG_INFINITY);
}
