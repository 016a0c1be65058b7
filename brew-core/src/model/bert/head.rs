//! The classifier on top of the encoder, and the loss of its predictions.

use tch::{Device, Reduction, Tensor};

use super::config::BertConfig;
use crate::error::{Error, InStage, Result};
use crate::model::normal::normal;
use crate::model::parts::{Linear, dropout};
use crate::model::weights::Weights;
use crate::pass::Pass;

/// The name of the classifier's linear layer.
const NAME: &str = "classifier";
/// The standard deviation of a new classifier's weights: BERT's own `initializer_range`.
const DEVIATION: f64 = 0.02;
/// The label of an example that has no loss, as in PyTorch.
const IGNORED: i64 = -100;

/// Dropout and a linear layer from the pooled vector to one score a class.
#[derive(Debug)]
pub(crate) struct Head {
    dense: Linear,
    dropout: f64,
}

impl Head {
    pub(crate) fn take(weights: &mut Weights, config: &BertConfig) -> Self {
        let dense = Linear::take(weights, NAME.to_owned(), config.hidden_size, config.classes());
        Head { dense, dropout: config.classifier_dropout() }
    }

    /// Whether there is a classifier among the weights.
    pub(crate) fn is_in(weights: &Weights) -> bool {
        weights.has(&format!("{NAME}.weight"))
    }

    /// Puts a new classifier among the weights: N(0, 0.02) from this seed, bias 0.
    pub(crate) fn renew(weights: &mut Weights, config: &BertConfig, seed: u64) -> Result<()> {
        let (classes, width) = (config.classes(), config.hidden_size);
        let count = usize::try_from(classes * width).unwrap_or(0);
        let drawn = Tensor::f_from_slice(&normal(seed, count, DEVIATION))?.f_reshape([classes, width])?;
        weights.set(format!("{NAME}.weight"), drawn);
        let zeros = Tensor::f_zeros([classes], (tch::Kind::Float, Device::Cpu)).in_stage(NAME)?;
        weights.set(format!("{NAME}.bias"), zeros);
        Ok(())
    }

    /// `(batch, width)` to logits `(batch, classes)`.
    pub(crate) fn forward(&self, pooled: Tensor, pass: &Pass) -> Result<Tensor> {
        self.dense.forward(&dropout(pooled, self.dropout, pass)?)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> {
        self.dense.parameters().into_iter()
    }
}

/// The cross entropy of each example, `(batch,)`, in float32; 0 where the label is -100.
pub(crate) fn cross_entropy(logits: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let logits = logits.f_to_kind(tch::Kind::Float).in_stage("loss")?;
    let loss = logits.f_cross_entropy_loss(labels, None::<Tensor>, Reduction::None, IGNORED, 0.0);
    loss.map_err(|error| {
        let classes = logits.size().last().copied().unwrap_or(0);
        let error = Error::from(error);
        Error::invalid(format!(
            "`labels` must be one class an example, int64, from 0 to {}: {error}",
            classes - 1
        ))
    })
}
