//! One layer of the encoder: attention, then a feed-forward block, each added to its input.

use tch::Tensor;

use super::attended::Attended;
use super::attention::Attention;
use super::config::BertConfig;
use crate::error::Result;
use crate::model::activation::Activation;
use crate::model::layer_outputs::Inside;
use crate::model::parts::{LayerNorm, Linear, dropout_and_add};
use crate::model::weights::Weights;
use crate::pass::Pass;

/// A layer of the encoder.
#[derive(Debug)]
pub(crate) struct Layer {
    attention: Attention,
    intermediate: Linear,
    activation: Activation,
    output: Linear,
    norm: LayerNorm,
    dropout: f64,
}

impl Layer {
    pub(crate) fn take(weights: &mut Weights, name: &str, config: &BertConfig) -> Self {
        let (narrow, wide) = (config.hidden_size, config.intermediate_size);
        let parts = config.model_type.layer_names();
        let full = |part: &str| format!("{name}.{part}");
        Layer {
            attention: Attention::take(weights, name, config),
            intermediate: Linear::take(weights, full(parts.intermediate), narrow, wide),
            activation: config.hidden_act,
            output: Linear::take(weights, full(parts.output), wide, narrow),
            norm: LayerNorm::take(weights, full(parts.output_norm), narrow, config.layer_norm_eps),
            dropout: config.hidden_dropout_prob,
        }
    }

    /// The same layer, with shared parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        Layer {
            attention: self.attention.shallow_clone(),
            intermediate: self.intermediate.shallow_clone(),
            output: self.output.shallow_clone(),
            norm: self.norm.shallow_clone(),
            ..*self
        }
    }

    /// Maps `(batch, length, width)` to the same shape, and returns the wanted internals of its attention;
    /// `number` is the index of this layer and the number of layers.
    pub(crate) fn forward(
        &self,
        hidden: &Tensor,
        attended: &Attended,
        number: (usize, usize),
        pass: &Pass,
    ) -> Result<(Tensor, Inside)> {
        let (context, inside) = self.attention.forward(hidden, attended, number, pass)?;
        let activated = self.activation.forward(&self.intermediate.forward(&context, pass)?)?;
        let output = dropout_and_add(self.output.forward(&activated, pass)?, &context, self.dropout, pass)?;
        Ok((self.norm.forward(&output)?, inside))
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.attention
            .parameters()
            .chain(self.intermediate.parameters())
            .chain(self.output.parameters())
            .chain(self.norm.parameters())
    }
}
