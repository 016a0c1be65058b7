//! How much each layer of a model changes what passes through it: which layers a student can do without.

use std::fmt;

use tch::{Kind, Tensor};

use crate::error::{Error, InStage as _, Result};

/// The block influence of each layer, measured on a sample of text.
///
/// The influence of layer `i` is `1 - mean(cos(h_i, h_{i+1}))` over all tokens of the sample, where `h_i` is what the
/// layer reads and `h_{i+1}` what it adds its results to and passes on: 0 for a layer that changes only the length of
/// its input, up to 2. (Men et al. 2024, "ShortGPT: Layers in Large Language Models are More Redundant Than You
/// Expect", equation 1.) Cosines are computed in float32, whatever the dtype of the model.
///
/// Measure it with [`DecoderForCausalLm::block_influence`](super::DecoderForCausalLm::block_influence); displayed, it
/// is one line per layer.
#[derive(Debug, Clone, PartialEq)]
pub struct BlockInfluence(Vec<f64>);

impl BlockInfluence {
    /// One number per layer, the layer next to the embeddings first.
    pub fn of_layers(&self) -> &[f64] {
        &self.0
    }

    /// The layers from the most to the least influential; of equal ones, the one nearer to the embeddings first.
    pub(super) fn ranking(&self) -> Vec<usize> {
        let mut layers: Vec<usize> = (0..self.0.len()).collect();
        layers.sort_by(|left, right| {
            let [left, right] = [left, right].map(|layer| self.0.get(*layer).copied().unwrap_or(0.0));
            right.total_cmp(&left)
        });
        layers
    }
}

impl fmt::Display for BlockInfluence {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines = self.0.iter().enumerate().map(|(layer, value)| format!("layer {layer:>3}: {value:.4}"));
        formatter.write_str(&lines.collect::<Vec<_>>().join("\n"))
    }
}

/// Sums over the batches of a sample.
#[derive(Debug, Default)]
pub(super) struct Sums {
    /// The cosines of each layer, summed over tokens.
    cosines: Vec<f64>,
    tokens: i64,
}

impl Sums {
    /// Adds the states `(batch, length, width)` before, between and after the layers; `mask` `(batch, length)` is 0 at
    /// padding.
    pub(super) fn add(&mut self, states: &[Tensor], mask: &Tensor) -> Result<()> {
        let of_batch = || -> Result<(Vec<f64>, i64)> {
            let padding = mask.f_eq(0)?;
            let cosines = states.iter().zip(states.iter().skip(1)).map(|(before, after)| {
                let [before, after] = [before.f_to_kind(Kind::Float)?, after.f_to_kind(Kind::Float)?];
                let cosines = Tensor::f_cosine_similarity(&before, &after, -1, 1e-8)?;
                // Not a product with the mask: padding may hold anything.
                Ok(cosines.f_masked_fill(&padding, 0.0)?.f_sum(Kind::Double)?)
            });
            // Read at once: each reading waits for a GPU.
            let cosines = Tensor::f_stack(&cosines.collect::<Result<Vec<_>>>()?, 0)?;
            let tokens = padding.f_logical_not()?.f_sum(Kind::Int64)?;
            Ok((Vec::try_from(cosines)?, tokens.f_int64_value(&[])?))
        };
        let (cosines, tokens) = of_batch().in_stage("block influence")?;
        self.cosines.resize(cosines.len(), 0.0);
        for (sum, cosine) in self.cosines.iter_mut().zip(cosines) {
            *sum += cosine;
        }
        self.tokens += tokens;
        Ok(())
    }

    /// The mean over all tokens.
    ///
    /// # Errors
    /// A sample without tokens; layers whose states are not finite.
    pub(super) fn influence(self) -> Result<BlockInfluence> {
        if self.tokens == 0 {
            return Err(Error::invalid("the sample has no tokens: give at least one row of text"));
        }
        let influence: Vec<f64> = self.cosines.iter().map(|sum| 1.0 - sum / self.tokens as f64).collect();
        match influence.iter().position(|value| !value.is_finite()) {
            None => Ok(BlockInfluence(influence)),
            Some(layer) => Err(Error::invalid(format!(
                "the output of layer {layer} is not finite on this sample, so no influence can be measured: check the model's weights, and hold it in float32 or bfloat16"
            ))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn influence(states: &[[f32; 4]], mask: &[i64]) -> Result<BlockInfluence> {
        // Two tokens of width two per state.
        let states: Vec<Tensor> =
            states.iter().map(|state| Tensor::from_slice(state).reshape([1, 2, 2])).collect();
        let mut sums = Sums::default();
        sums.add(&states, &Tensor::from_slice(mask).unsqueeze(0))?;
        sums.influence()
    }

    #[test]
    fn a_layer_that_only_scales_has_none_and_one_that_turns_around_two() {
        let states =
            [[1.0, 0.0, 0.0, 2.0], [3.0, 0.0, 0.0, 1.0], [-3.0, 0.0, 0.0, -2.0], [0.0, 1.0, -2.0, 0.0]];
        let found = influence(&states, &[1, 1]).unwrap();
        assert_eq!(found.of_layers(), [0.0, 2.0, 1.0]);
        assert_eq!(found.ranking(), [1, 2, 0]);
        assert_eq!(found.to_string(), "layer   0: 0.0000\nlayer   1: 2.0000\nlayer   2: 1.0000");
    }

    #[test]
    fn what_padding_holds_does_not_count_and_documents_do() {
        let states = [[1.0, 0.0, f32::NAN, 2.0], [1.0, 1.0, f32::NAN, 2.0]];
        let found = influence(&states, &[2, 0]).unwrap();
        assert!((found.of_layers()[0] - (1.0 - 0.5_f64.sqrt())).abs() < 1e-7, "{found}");
        let message = influence(&states, &[1, 1]).unwrap_err().to_string();
        assert!(message.contains("layer 0"), "{message}");
        let message = influence(&states, &[0, 0]).unwrap_err().to_string();
        assert!(message.contains("no tokens"), "{message}");
    }
}
