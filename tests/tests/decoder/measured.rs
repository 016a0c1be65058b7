//! Metrics of language models in a run: perplexity and exact matches over the tokens of all batches.

use brew_core::loss::next_token;
use brew_core::model::{CausalLmBatch, CausalLmOutput, DecoderArchitecture};
use brew_core::observe::{ExactMatch, Perplexity, Predictions};
use brew_core::prelude::*;
use tests::alone;

use super::denominators::model;
use super::distilled::{pipeline, texts};
use super::packed::{packed, separate};

/// The same rows, one in each batch.
fn row_by_row() -> Vec<CausalLmBatch> {
    let row = |batch: &CausalLmBatch, row: i64| {
        let part = |tensor: &Tensor| tensor.narrow(0, row, 1);
        CausalLmBatch {
            input_ids: part(&batch.input_ids),
            attention_mask: part(&batch.attention_mask),
            labels: batch.labels.as_ref().map(part),
        }
    };
    texts().iter().flat_map(|batch| (0..4).map(|number| row(batch, number)).collect::<Vec<_>>()).collect()
}

// By hand, from the logits of each batch: the shift, and one mean over the labels of all batches.
#[test]
fn perplexity_counts_tokens_whatever_the_batches_and_its_smallest_value_is_the_best() {
    let _alone = alone();
    let trained = Trainer::new(pipeline(DecoderArchitecture::Llama, false))
        .optimizer(AdamW::with_lr(3e-3))
        .epochs(3)
        .evaluate(texts(), next_token(Perplexity))
        .evaluate(row_by_row(), next_token(Perplexity))
        .evaluate(texts(), next_token(ExactMatch))
        .run(texts())
        .unwrap();
    let summary = trained.summary().clone();
    let values: Vec<f64> = summary.evaluations.chunks(3).map(|values| values[0]).collect();
    assert!(values.windows(2).all(|pair| pair[1] < pair[0]), "{values:?}");
    assert_eq!(summary.best.unwrap().value, values[2]);
    assert!((summary.evaluations[7] / values[2] - 1.0).abs() < 1e-5, "{:?}", summary.evaluations);

    let (mut loss, mut labels, mut right) = (0.0, 0.0, 0.0);
    for batch in texts() {
        let predictions = Predictions::of(trained.student(), &vec![batch]).unwrap();
        let (logits, ids) =
            (&predictions.logits()[0].narrow(1, 0, 9), &predictions.labels()[0].narrow(1, 1, 9));
        let log_probs = logits.log_softmax(-1, Kind::Double);
        for row in 0..4 {
            let mut missed = 0;
            for place in 0..9 {
                let id = ids.int64_value(&[row, place]);
                if id >= 0 {
                    loss -= log_probs.double_value(&[row, place, id]);
                    labels += 1.0;
                    missed += i64::from(logits.argmax(-1, false).int64_value(&[row, place]) != id);
                }
            }
            right += f64::from(missed == 0);
        }
    }
    let wanted = f64::exp(loss / labels);
    assert!((values[2] / wanted - 1.0).abs() < 1e-5, "{} of {wanted}", values[2]);
    assert_eq!(summary.evaluations[8], right / 24.0);
}

// By hand: two answers of three tokens, of which the model misses one token.
#[test]
fn exact_match_judges_each_document_of_a_packed_row() {
    let predicted = [7_i64, 8, 0, 1, 3, 0];
    let logits = Tensor::from_slice(&predicted).one_hot(10).to_kind(Kind::Float);
    let labels = Tensor::from_slice(&[5_i64, 7, 8, 4, 1, 2]);
    let of = |shape: [i64; 2], documents: &[i64]| {
        let logits = logits.view([shape[0], shape[1], 10]);
        let predictions = Predictions::new(vec![logits], vec![labels.view(shape)], None).unwrap();
        let predictions = predictions.with_documents(Tensor::from_slice(documents).view(shape));
        next_token(ExactMatch).value(&predictions).unwrap()
    };
    assert_eq!(of([2, 3], &[1, 1, 1, 1, 1, 1]), 0.5);
    assert_eq!(of([1, 6], &[1, 1, 1, 2, 2, 2]), 0.5);
}

/// Numbers the documents by its logits' mask alone.
#[derive(Debug)]
struct Numbered;

#[adaptor(batch = CausalLmBatch, output = CausalLmOutput)]
impl Numbered {
    fn logits(output: &CausalLmOutput) -> &Tensor {
        &output.logits
    }
    fn logits_mask(batch: &CausalLmBatch) -> &Tensor {
        &batch.attention_mask
    }
    fn labels(batch: &CausalLmBatch) -> Option<&Tensor> {
        batch.labels.as_ref()
    }
}

// Whose first token has a label, too, which follows the last token of another document.
#[test]
fn metrics_of_the_next_token_know_the_documents_that_only_the_mask_of_logits_numbers() {
    let of = |batch: CausalLmBatch| {
        let seen = model(5, DecoderArchitecture::Llama).seen_by(Numbered);
        let predictions = Predictions::of(&seen, &vec![batch]).unwrap();
        next_token(Perplexity).value(&predictions).unwrap()
    };
    let (packed, separate) = (of(packed()), of(separate()));
    assert!((packed / separate - 1.0).abs() < 1e-5, "{packed} of {separate}");
}
