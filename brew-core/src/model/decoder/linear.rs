//! Linear layers with or without biases, stored either way round.

use tch::Tensor;

use super::config::DecoderConfig;
use super::names::ProjectionNames;
use super::switches::Bias;
use crate::error::{Error, InStage, Result};
use crate::model::lora::{Adapter, adapted};
use crate::model::weights::Weights;
use crate::pass::Pass;

/// `x Wᵀ + b`, for `x` of `(…, inputs)`.
#[derive(Debug)]
pub(crate) struct Projection {
    name: String,
    /// `(outputs, inputs)`, or the other way round.
    weight: Tensor,
    bias: Option<Tensor>,
    inputs_first: bool,
    adapter: Option<Adapter>,
}

impl Projection {
    /// Takes `name.weight`, and `name.bias` if there is one.
    pub(crate) fn take(
        weights: &mut Weights,
        name: String,
        (inputs, outputs): (i64, i64),
        has_bias: bool,
        inputs_first: bool,
    ) -> Self {
        let shape = if inputs_first { [inputs, outputs] } else { [outputs, inputs] };
        let weight = weights.take(&format!("{name}.weight"), &shape);
        let bias = has_bias.then(|| weights.take(&format!("{name}.bias"), &[outputs]));
        let adapter = weights.adapter(&name, (inputs, outputs), &weight);
        Projection { name, weight, bias, inputs_first, adapter }
    }

    /// The same layer: another handle of its parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        Projection {
            name: self.name.clone(),
            weight: self.weight.shallow_clone(),
            bias: self.bias.as_ref().map(Tensor::shallow_clone),
            inputs_first: self.inputs_first,
            adapter: self.adapter.as_ref().map(Adapter::shallow_clone),
        }
    }

    pub(crate) fn forward(&self, input: &Tensor, pass: &Pass) -> Result<Tensor> {
        let weight = if self.inputs_first { self.weight.f_tr()? } else { self.weight.shallow_clone() };
        let output = input.f_linear(&weight, self.bias.as_ref()).in_stage(&self.name)?;
        adapted(output, self.adapter.as_ref(), input, pass)
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        let weight = (format!("{}.weight", self.name), self.weight.shallow_clone());
        let bias = self.bias.as_ref().map(|bias| (format!("{}.bias", self.name), bias.shallow_clone()));
        let adapter = self.adapter.iter().flat_map(Adapter::parameters);
        std::iter::once(weight).chain(bias).chain(adapter)
    }
}

/// The linear layers that give queries, keys and values.
#[derive(Debug)]
pub(crate) enum Projections {
    Three(Box<[Projection; 3]>),
    Joined(Projection),
}

impl Projections {
    pub(crate) fn take(weights: &mut Weights, layer: &str, config: &DecoderConfig) -> Self {
        let switches = config.model_type.switches();
        let (width, head) = (config.hidden_size, config.head_size());
        let (queries, keys) = (config.num_attention_heads * head, config.key_value_heads() * head);
        let has_bias = asked(switches.biases[0], config.attention_bias);
        let mut one = |part: &str, outputs: i64| {
            let name = format!("{layer}.{part}");
            Projection::take(weights, name, (width, outputs), has_bias, switches.names.inputs_first)
        };
        match switches.names.layer.projections {
            ProjectionNames::Three { query, key, value } => {
                Projections::Three(Box::new([one(query, queries), one(key, keys), one(value, keys)]))
            }
            ProjectionNames::Joined(name) => Projections::Joined(one(name, 3 * queries)),
        }
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        match self {
            Projections::Three(three) => {
                Projections::Three(Box::new(three.each_ref().map(Projection::shallow_clone)))
            }
            Projections::Joined(joined) => Projections::Joined(joined.shallow_clone()),
        }
    }

    /// `(batch, length, width)` to queries, keys and values, `(batch, length, heads x head width)`.
    pub(crate) fn forward(&self, input: &Tensor, pass: &Pass) -> Result<[Tensor; 3]> {
        match self {
            Projections::Three(three) => {
                let [query, key, value] = &**three;
                Ok([query.forward(input, pass)?, key.forward(input, pass)?, value.forward(input, pass)?])
            }
            Projections::Joined(joined) => {
                let parts = joined.forward(input, pass)?.f_chunk(3, -1).in_stage("attention")?;
                parts
                    .try_into()
                    .map_err(|_| Error::invalid("queries, keys and values are not three equal parts"))
            }
        }
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        let all = match self {
            Projections::Three(three) => three.as_slice(),
            Projections::Joined(joined) => std::slice::from_ref(joined),
        };
        all.iter().flat_map(Projection::parameters)
    }
}

/// Whether there is a bias, given the config's value for those that it decides.
pub(crate) fn asked(bias: Bias, by_config: bool) -> bool {
    match bias {
        Bias::Never => false,
        Bias::Always => true,
        Bias::Asked => by_config,
    }
}
