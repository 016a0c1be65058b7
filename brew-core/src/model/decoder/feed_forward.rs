//! The feed-forward block: two linear layers with an activation between, gated or not.

use tch::Tensor;

use super::config::DecoderConfig;
use super::linear::{Projection, asked};
use crate::error::{InStage, Result};
use crate::model::activation::Activation;
use crate::model::weights::Weights;
use crate::pass::Pass;

/// `down(act(gate x) up x)`, or `down(act(up x))` without a gate.
#[derive(Debug)]
pub(crate) struct FeedForward {
    gate: Option<Projection>,
    up: Projection,
    down: Projection,
    activation: Activation,
}

impl FeedForward {
    pub(crate) fn take(weights: &mut Weights, name: &str, config: &DecoderConfig) -> Self {
        let switches = config.model_type.switches();
        let (names, narrow, wide) = (&switches.names.layer, config.hidden_size, config.feed_forward_size());
        let has_bias = asked(switches.biases[2], config.mlp_bias);
        let mut linear = |part: &str, sizes: (i64, i64)| {
            Projection::take(weights, format!("{name}.{part}"), sizes, has_bias, switches.names.inputs_first)
        };
        FeedForward {
            gate: switches.gated.then(|| linear(names.gate, (narrow, wide))),
            up: linear(names.up, (narrow, wide)),
            down: linear(names.down, (wide, narrow)),
            activation: config.hidden_act,
        }
    }

    /// The same block: another handle of its parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        FeedForward {
            gate: self.gate.as_ref().map(Projection::shallow_clone),
            up: self.up.shallow_clone(),
            down: self.down.shallow_clone(),
            ..*self
        }
    }

    pub(crate) fn forward(&self, input: &Tensor, pass: &Pass) -> Result<Tensor> {
        let up = self.up.forward(input, pass)?;
        let activated = match &self.gate {
            Some(gate) => self
                .activation
                .forward(&gate.forward(input, pass)?)?
                .f_mul(&up)
                .in_stage("feed-forward block")?,
            None => self.activation.forward(&up)?,
        };
        self.down.forward(&activated, pass)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        self.gate.iter().chain([&self.up, &self.down]).flat_map(Projection::parameters)
    }
}
