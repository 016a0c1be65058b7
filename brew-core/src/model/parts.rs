//! The parts that every transformer is made of: linear layers, layer norms, dropout, activations.
//!
//! A part knows the full name of its parameters, so that saving needs no second list of names and a
//! refusal of libtorch says which layer of the model it happened in.

use serde::{Deserialize, Serialize};
use tch::Tensor;

use crate::error::{Error, InStage, Result, suggest};
use crate::model::weights::Weights;
use crate::pass::Pass;

/// `x Wᵀ + b`, for `x` of `(…, inputs)`.
#[derive(Debug)]
pub(crate) struct Linear {
    name: String,
    weight: Tensor,
    bias: Tensor,
}

impl Linear {
    /// Takes `name.weight`, `(outputs, inputs)`, and `name.bias`, `(outputs,)`.
    pub(crate) fn take(weights: &mut Weights, name: String, inputs: i64, outputs: i64) -> Self {
        let weight = weights.take(&format!("{name}.weight"), &[outputs, inputs]);
        let bias = weights.take(&format!("{name}.bias"), &[outputs]);
        Linear { name, weight, bias }
    }

    /// The same layer: another handle of its parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        let (weight, bias) = (self.weight.shallow_clone(), self.bias.shallow_clone());
        Linear { name: self.name.clone(), weight, bias }
    }

    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input.f_linear(&self.weight, Some(&self.bias)).in_stage(&self.name)
    }

    pub(crate) fn parameters(&self) -> [(String, Tensor); 2] {
        weight_and_bias(&self.name, &self.weight, &self.bias)
    }
}

/// `(x - mean) / sqrt(variance + epsilon) · w + b` over the last dimension.
#[derive(Debug)]
pub(crate) struct LayerNorm {
    name: String,
    weight: Tensor,
    bias: Tensor,
    epsilon: f64,
}

impl LayerNorm {
    /// Takes `name.weight` and `name.bias`, both `(width,)`.
    pub(crate) fn take(weights: &mut Weights, name: String, width: i64, epsilon: f64) -> Self {
        let weight = weights.take(&format!("{name}.weight"), &[width]);
        let bias = weights.take(&format!("{name}.bias"), &[width]);
        LayerNorm { name, weight, bias, epsilon }
    }

    /// The same norm: another handle of its parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        let (weight, bias) = (self.weight.shallow_clone(), self.bias.shallow_clone());
        LayerNorm { name: self.name.clone(), weight, bias, epsilon: self.epsilon }
    }

    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        input
            .f_layer_norm(self.weight.size(), Some(&self.weight), Some(&self.bias), self.epsilon, true)
            .in_stage(&self.name)
    }

    pub(crate) fn parameters(&self) -> [(String, Tensor); 2] {
        weight_and_bias(&self.name, &self.weight, &self.bias)
    }
}

fn weight_and_bias(name: &str, weight: &Tensor, bias: &Tensor) -> [(String, Tensor); 2] {
    [(format!("{name}.weight"), weight.shallow_clone()), (format!("{name}.bias"), bias.shallow_clone())]
}

/// Sets values to zero with this probability and scales the others up, in passes of training only.
pub(crate) fn dropout(input: Tensor, probability: f64, pass: &Pass) -> Result<Tensor> {
    if pass.is_training() && probability > 0.0 {
        input.f_dropout(probability, true).in_stage("dropout")
    } else {
        Ok(input)
    }
}

/// The function between the two linear layers of a feed-forward block.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Activation {
    /// `x Φ(x)`, with the exact normal distribution function: `gelu`.
    Gelu,
    /// The approximation of [`Activation::Gelu`] by a hyperbolic tangent: `gelu_new`.
    GeluNew,
    /// `max(x, 0)`: `relu`.
    Relu,
}

/// Each activation with its name in a `config.json`.
const ACTIVATIONS: [(&str, Activation); 3] =
    [("gelu", Activation::Gelu), ("gelu_new", Activation::GeluNew), ("relu", Activation::Relu)];

impl Activation {
    pub(crate) fn forward(self, input: &Tensor) -> Result<Tensor> {
        match self {
            Activation::Gelu => input.f_gelu("none"),
            Activation::GeluNew => input.f_gelu("tanh"),
            Activation::Relu => input.f_relu(),
        }
        .in_stage("activation")
    }
}

impl TryFrom<String> for Activation {
    type Error = Error;
    fn try_from(name: String) -> Result<Self> {
        let known = ACTIVATIONS.iter().find(|(known, _)| *known == name);
        known.map(|(_, activation)| *activation).ok_or_else(|| {
            let near = suggest(&name, ACTIVATIONS.iter().map(|(known, _)| *known));
            Error::invalid(format!("there is no activation `{name}` for `hidden_act`{near}"))
        })
    }
}

impl From<Activation> for String {
    fn from(activation: Activation) -> String {
        let named = ACTIVATIONS.iter().find(|(_, known)| *known == activation);
        named.map(|(name, _)| (*name).to_owned()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Activation, Tensor};

    // transformers 5.23.0, torch 2.11.0:
    // from transformers.activations import ACT2FN
    // for name in ["gelu", "gelu_new", "relu"]: print(ACT2FN[name](torch.tensor([-2, -.5, 0, 1, 3])))
    #[test]
    fn activations_are_those_of_transformers() {
        let input = Tensor::from_slice(&[-2.0_f32, -0.5, 0.0, 1.0, 3.0]);
        for (name, golden) in [
            ("gelu", [-0.045_500_28_f32, -0.154_268_77, 0.0, 0.841_344_7, 2.995_949_7]),
            ("gelu_new", [-0.045_402_29, -0.154_286, 0.0, 0.841_192, 2.996_362_7]),
            ("relu", [0.0, 0.0, 0.0, 1.0, 3.0]),
        ] {
            let activation = Activation::try_from(name.to_owned()).unwrap();
            assert_eq!(String::from(activation), name);
            let found = activation.forward(&input).unwrap();
            let off = (found - Tensor::from_slice(&golden)).abs().max().double_value(&[]);
            assert!(off < 1e-6, "{name} is off by {off:e}");
        }
    }
}
