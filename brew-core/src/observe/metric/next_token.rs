//! Metrics for causal language models: compare each position's logits with the next position's label.

use tch::Tensor;

use super::Metric;
use crate::error::{Error, InStage as _, Result};
use crate::loss::Transformed;
use crate::loss::logits::{NextTokenShift, Targets, but_first};
use crate::observe::Predictions;

/// Made by [`next_token`](crate::loss::next_token); it has the name of the inner metric.
impl<M: Metric> Metric for Transformed<NextTokenShift, M> {
    fn name(&self) -> &'static str {
        self.loss.name()
    }

    fn options(&self) -> serde_json::Value {
        serde_json::json!({ "next_token": self.loss.options() })
    }

    fn reads_order(&self) -> bool {
        self.loss.reads_order()
    }

    fn less_is_better(&self) -> bool {
        self.loss.less_is_better()
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        self.loss.value(&shifted(predictions)?)
    }

    fn check(&self, rows: &Predictions) -> Result<()> {
        self.loss.check(&shifted(rows)?)
    }

    fn of_labelled_batch(&self, batch: &Predictions) -> Result<Option<Tensor>> {
        self.loss.of_labelled_batch(&shifted(batch)?)
    }

    fn of_batch(&self, logits: Vec<Tensor>, mask: Option<&Tensor>) -> Result<Vec<Tensor>> {
        self.loss.of_batch(logits, mask)
    }
}

/// The logits of all positions except the last, labels and mask of all except the first, without those that follow
/// no token of their document. What was kept of batches was made from shifted ones.
fn shifted(predictions: &Predictions) -> Result<Predictions> {
    if let Some(kept) = predictions.reduced() {
        return Ok(Predictions::new(vec![kept.shallow_clone()], Vec::new(), None)?.that_are_reduced());
    }
    let fits = |tensor: &Tensor| tensor.size().get(1).is_some_and(|length| *length > 0);
    if let Some(short) = predictions.logits().iter().chain(predictions.labels()).find(|one| !fits(one)) {
        return Err(Error::invalid(format!(
            "a shift to the next token needs logits of (examples, length, classes) and labels of (examples, length); one of them is {:?}",
            short.size()
        )));
    }
    let rows = |tensor: &Tensor| tensor.size().into_iter().take(2).collect::<Vec<_>>();
    let documents = predictions.documents();
    if let (Some(documents), Some(logits)) = (documents, predictions.logits().first())
        && documents.size() != rows(logits)
    {
        return Err(Error::invalid(format!(
            "inputs_mask is {:?}; for a shift to the next token it must be (examples, length), here {:?}",
            documents.size(),
            rows(logits)
        )));
    }
    let targets = Targets::of(predictions.numbers().or(predictions.mask()), documents)?;
    let logits = predictions
        .logits()
        .iter()
        .map(|logits| logits.f_narrow(1, 0, logits.size()[1] - 1).in_stage("next_token"));
    let labels = predictions.labels().iter().map(|labels| targets.labels(labels).in_stage("next_token"));
    let mask = targets.mask(predictions.mask()).in_stage("next_token")?;
    let shifted = Predictions::new(logits.collect::<Result<_>>()?, labels.collect::<Result<_>>()?, mask)?;
    let shifted = shifted.with_problem(predictions.problem());
    let shifted = shifted.with_numbers(predictions.numbers().map(but_first).transpose()?);
    Ok(match documents {
        Some(documents) => shifted.with_documents(but_first(documents)?),
        None => shifted,
    })
}

#[cfg(test)]
mod tests {
    use super::super::{Accuracy, EntityF1, Metric as _};
    use super::{Predictions, Tensor};
    use crate::loss::next_token;

    // transformers' examples/pytorch/language-modeling/run_clm.py: `labels[:, 1:]` against `preds[:, :-1]`.
    // By hand: rows 4 7 9 and 8 2 -100 predict 7 1 0 and 2 6 5, so 7 and 2 are correct and 9 is missed.
    #[test]
    fn each_position_is_judged_by_the_label_of_the_next() {
        let logits = Tensor::from_slice(&[7_i64, 1, 0, 2, 6, 5]).one_hot(10).view([2, 3, 10]);
        let labels = Tensor::from_slice(&[4_i64, 7, 9, 8, 2, -100]).view([2, 3]);
        let of = |mask| {
            let (logits, labels) = (vec![logits.shallow_clone()], vec![labels.shallow_clone()]);
            Predictions::new(logits, labels, mask).unwrap()
        };
        assert!((next_token(Accuracy).value(&of(None)).unwrap() - 2.0 / 3.0).abs() < 1e-15);
        let mask = Tensor::from_slice(&[1_i64, 1, 0, 1, 1, 1]).view([2, 3]).ne(0);
        assert_eq!(next_token(Accuracy).value(&of(Some(mask))).unwrap(), 1.0);
    }

    // By hand: the logits of padding, and those of the last token of a document, predict nothing that counts.
    #[test]
    fn what_follows_padding_or_another_document_is_not_judged() {
        let logits = Tensor::from_slice(&[7_i64, 8, 9, 1, 0]).one_hot(10).view([1, 5, 10]);
        let labels = Tensor::from_slice(&[5_i64, 7, 8, 3, 1]).view([1, 5]);
        for (documents, expected) in
            [([1_i64, 1, 1, 1, 1], 0.75), ([1, 1, 1, 2, 2], 1.0), ([0, 0, 1, 1, 1], 0.5)]
        {
            let documents = Tensor::from_slice(&documents).view([1, 5]);
            let of = Predictions::new(
                vec![logits.shallow_clone()],
                vec![labels.shallow_clone()],
                Some(documents.ne(0)),
            );
            let of = of.unwrap().with_documents(documents);
            assert!((next_token(Accuracy).value(&of).unwrap() - expected).abs() < 1e-15);
        }
    }

    #[test]
    fn what_has_no_positions_is_refused() {
        let logits = Tensor::from_slice2(&[[0.0_f32, 1.0]]);
        let predictions = Predictions::new(vec![logits], vec![Tensor::from_slice(&[1_i64])], None).unwrap();
        let error = next_token(Accuracy).value(&predictions).unwrap_err().to_string();
        assert!(error.contains("a shift to the next token needs"), "{error}");
        let tags = next_token(EntityF1::new(["O", "B-a"]).unwrap());
        assert_eq!(tags.name(), "entity_f1");
    }
}
