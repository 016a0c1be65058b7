//! Models of custom sizes with new weights, drawn as transformers draws them.
//!
//! Weights of linear layers and embeddings are N(0, `initializer_range`²), biases 0, norms 1, and the embedding
//! of padding is 0. In GPT-2 the deviation of layers that add to the residual is divided by the square root of the
//! number of such layers. Each tensor's values depend only on the seed and its name.

use std::path::Path;

use tch::{Device, Kind, Tensor};

use super::switches::{NormKind, Positions};
use super::{DecoderConfig, DecoderForCausalLm};
use crate::error::{Error, Result};
use crate::model::folder::companions;
use crate::model::normal::{normal, of_name, problem_of};
use crate::model::weights::Weights;
use crate::words::numbered;

impl DecoderForCausalLm {
    /// A model of these sizes with new weights, the same for the same seed. They have the same distribution as those
    /// of transformers' `from_config`.
    ///
    /// # Errors
    /// Lists every invalid value of the config.
    pub fn new(config: DecoderConfig, seed: u64, device: Device) -> Result<Self> {
        let mut problems = config.problems();
        problems.extend(problem_of(config.initializer_range));
        if !problems.is_empty() {
            return Err(Error::invalid(numbered("invalid model config", &problems)));
        }
        let drawn = config.clone();
        let weights = Weights::drawn(device, move |name, shape| draw(&drawn, seed, name, shape));
        Self::build(config, weights, Vec::new())
    }

    /// The same model, saved with the tokenizer files and generation config of a folder or GGUF file.
    #[must_use]
    pub fn with_tokenizer_of(self, path: impl AsRef<Path>) -> Self {
        DecoderForCausalLm { companions: companions(path.as_ref()), ..self }
    }
}

/// A new parameter of this name, float32.
fn draw(config: &DecoderConfig, seed: u64, name: &str, shape: &[i64]) -> Result<Tensor> {
    let cpu = (Kind::Float, Device::Cpu);
    let switches = config.model_type.switches();
    if name.ends_with(".bias") {
        return Ok(Tensor::f_zeros(shape, cpu)?);
    }
    // Matrices have two dimensions, the weights of norms one.
    if shape.len() == 1 {
        let from_one = switches.norm == NormKind::RmsFromOne;
        return Ok(if from_one { Tensor::f_zeros(shape, cpu)? } else { Tensor::f_ones(shape, cpu)? });
    }
    let residual = [switches.names.layer.attention_output, switches.names.layer.down];
    let scaled = switches.positions == Positions::Learned
        && residual.iter().any(|part| name.ends_with(&format!(".{part}.weight")));
    let sums = if scaled { 2.0 * config.num_hidden_layers as f64 } else { 1.0 };
    let count = usize::try_from(shape.iter().product::<i64>()).unwrap_or(0);
    let values = normal(of_name(seed, name), count, config.initializer_range / sums.sqrt());
    let drawn = Tensor::f_from_slice(&values)?.f_reshape(shape)?;
    let is_table = switches.padding_row && name == format!("{}.weight", switches.names.tokens);
    if let Some(pad) = config.pad_token_id.filter(|pad| is_table && (0..shape[0]).contains(pad)) {
        let _ = drawn.f_narrow(0, pad, 1)?.f_zero_()?;
    }
    Ok(drawn)
}
