//! Perplexity: `exp(- Σ log p(label) / number of labels)` over the labels of all rows together.
//!
//! Not the mean of batches' or rows' perplexities, which would depend on how the data is divided.

use tch::{Kind, Tensor};

use super::Metric;
use super::labelled_rows::{Labelled, pairs};
use crate::error::Result;
use crate::observe::Predictions;

/// The perplexity of labels under the model: the number of equally likely tokens that would be as hard to guess. At least 1;
/// less is better.
///
/// A language model's logits predict the next token, so it is [`next_token(Perplexity)`](crate::loss::next_token) that
/// measures it. Only a sum and a count of each row stay in memory.
///
/// ```
/// use brew_core::loss::next_token;
/// use brew_core::prelude::*;
/// use brew_core::observe::{Perplexity, Predictions};
///
/// // All four tokens are equally likely.
/// let labels = Tensor::from_slice(&[3i64, 1, 2]).view([1, 3]);
/// let logits = Tensor::zeros([1, 3, 4], (Kind::Float, Device::Cpu));
/// let predictions = Predictions::new(vec![logits], vec![labels], None)?;
/// assert!((next_token(Perplexity).value(&predictions)? - 4.0).abs() < 1e-6);
/// # Ok::<(), brew_core::Error>(())
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Perplexity;

fn sums(predictions: &Predictions) -> Result<Tensor> {
    let labelled = Labelled::of("perplexity", predictions)?;
    let logits = labelled.logits.f_to_kind(Kind::Float)?;
    let none = tch::Reduction::None;
    let losses = logits.f_cross_entropy_loss(&labelled.labels, None::<&Tensor>, none, -100, 0.0)?;
    labelled.sums(&losses)
}

impl Metric for Perplexity {
    fn name(&self) -> &'static str {
        "perplexity"
    }

    fn less_is_better(&self) -> bool {
        true
    }

    fn of_labelled_batch(&self, batch: &Predictions) -> Result<Option<Tensor>> {
        sums(batch).map(Some)
    }

    fn value(&self, predictions: &Predictions) -> Result<f64> {
        let pairs = pairs("perplexity", predictions, sums)?;
        let (loss, labels) = pairs.iter().fold((0.0, 0.0), |sum, pair| (sum.0 + pair.0, sum.1 + pair.1));
        Ok((loss / labels).exp())
    }

    fn check(&self, _rows: &Predictions) -> Result<()> {
        // Reducing the batch checked all of it; two rows may lack labels.
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::loss::next_token;

    /// Logits, labels and a mask of two rows of four tokens among five.
    fn rows() -> (Tensor, Tensor, Tensor) {
        let logits = (Tensor::arange(40, (Kind::Float, tch::Device::Cpu)) * 0.7).sin().view([2, 4, 5]) * 2.0;
        let labels = Tensor::from_slice(&[1_i64, 3, 0, 4, 2, -100, 1, 1]).view([2, 4]);
        let mask = Tensor::from_slice(&[1_i64, 1, 1, 1, 1, 1, 1, 0]).view([2, 4]).ne(0);
        (logits, labels, mask)
    }

    // torch 2.11.0:
    // z = (torch.arange(40.) * .7).sin().view(2, 4, 5) * 2
    // y = torch.tensor([[1, 3, 0, 4], [2, -100, 1, -100]])
    // F.cross_entropy(z[:, :-1].reshape(-1, 5).double(), y[:, 1:].reshape(-1)).exp() and, without the shift,
    // F.cross_entropy(z.view(-1, 5).double(), y.view(-1)).exp()
    #[test]
    fn is_that_of_pytorch_over_all_labels() {
        let (logits, labels, mask) = rows();
        let all = Predictions::new(vec![logits], vec![labels], Some(mask)).unwrap();
        for (value, wanted) in
            [(next_token(Perplexity).value(&all).unwrap(), SHIFTED), (Perplexity.value(&all).unwrap(), PLAIN)]
        {
            assert!((value / wanted - 1.0).abs() < 1e-6, "{value} of {wanted}");
        }
    }

    const SHIFTED: f64 = 12.546390672;
    const PLAIN: f64 = 4.695052480;

    #[test]
    fn data_without_labels_and_labels_out_of_range_are_refused() {
        let (logits, labels, _) = rows();
        let of = |labels: Tensor| {
            let predictions = Predictions::new(vec![logits.shallow_clone()], vec![labels], None).unwrap();
            Perplexity.value(&predictions).unwrap_err().to_string()
        };
        assert!(of(labels.full_like(-100)).contains("no label counts"));
        let message = of(labels.full_like(5));
        assert!(message.contains("perplexity: the label of example 0, token 0 is 5"), "{message}");
        let message = of(labels.narrow(1, 0, 3));
        assert!(message.contains("perplexity needs logits of (rows, length, tokens)"), "{message}");
    }
}
