//! Multi-head self-attention, in two forms that agree.
//!
//! When somebody reads the attention map it is computed step by step and kept; otherwise one fused
//! operation, libtorch's or our own, does the same without ever holding the map in memory. Queries, keys
//! and values are kept where somebody reads them.

use tch::{Device, Kind, Tensor};

use super::architecture::Network;
use super::config::BertConfig;
use crate::error::{Error, InStage, Result};
use crate::model::parts::{LayerNorm, Linear, dropout, dropout_and_add, forward_together};
use crate::model::weights::Weights;
use crate::native::ffi;
use crate::pass::Pass;
use crate::role;

/// What somebody reads of the inside of a layer's attention; undefined where nobody does.
#[derive(Debug)]
pub(crate) struct Inside {
    /// `(batch, heads, length, length)`.
    pub(crate) map: Tensor,
    /// `(batch, length, width)`, as the keys and the values.
    pub(crate) query: Tensor,
    pub(crate) key: Tensor,
    pub(crate) value: Tensor,
}

/// Self-attention with the linear layer, the sum and the norm after it.
#[derive(Debug)]
pub(crate) struct Attention {
    query: Linear,
    key: Linear,
    value: Linear,
    output: Linear,
    norm: LayerNorm,
    heads: i64,
    head_size: i64,
    probability_dropout: f64,
    hidden_dropout: f64,
}

impl Attention {
    /// The attention of the layer whose parameters' names begin with `layer`.
    pub(crate) fn take(weights: &mut Weights, layer: &str, config: &BertConfig) -> Self {
        let width = config.hidden_size;
        let names = config.model_type.layer_names();
        let mut linear = |part: &str| Linear::take(weights, format!("{layer}.{part}"), width, width);
        Attention {
            query: linear(names.query),
            key: linear(names.key),
            value: linear(names.value),
            output: linear(names.attention_output),
            norm: LayerNorm::take(
                weights,
                format!("{layer}.{}", names.attention_norm),
                width,
                config.layer_norm_eps,
            ),
            heads: config.num_attention_heads,
            head_size: config.head_size(),
            probability_dropout: config.attention_probs_dropout_prob,
            hidden_dropout: match config.model_type.network() {
                Network::Bert | Network::Roberta => config.hidden_dropout_prob,
                Network::DistilBert => 0.0,
            },
        }
    }

    /// The same attention: another handle of its parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        Attention {
            query: self.query.shallow_clone(),
            key: self.key.shallow_clone(),
            value: self.value.shallow_clone(),
            output: self.output.shallow_clone(),
            norm: self.norm.shallow_clone(),
            ..*self
        }
    }

    /// `(batch, length, width)` to the same shape, and what is wanted of the inside of this layer, of
    /// so many. `mask` is added to the scores: see [`additive_mask`].
    pub(crate) fn forward(
        &self,
        hidden: &Tensor,
        mask: &Tensor,
        (layer, layers): (usize, usize),
        pass: &Pass,
    ) -> Result<(Tensor, Inside)> {
        let wants = pass.wants();
        let keep = |wanted: bool, tensor: &Tensor| {
            if wanted { tensor.shallow_clone() } else { Tensor::new() }
        };
        let joined = forward_together(&[&self.query, &self.key, &self.value], hidden)?;
        // One operation, whose gradient is one concatenation: that of a slice is a whole one of zeros.
        let parts = joined.f_chunk(3, -1).in_stage("attention")?;
        let [query, key, value] = parts
            .try_into()
            .map_err(|_| Error::invalid("queries, keys and values that are not three parts of a whole"))?;
        let mut inside = Inside {
            map: Tensor::new(),
            query: keep(wants.layer::<role::Query>(layer, layers), &query),
            key: keep(wants.layer::<role::Key>(layer, layers), &key),
            value: keep(wants.layer::<role::Value>(layer, layers), &value),
        };
        let wants_map = wants.layer::<role::Attention>(layer, layers);
        let drops = pass.is_training() && self.probability_dropout > 0.0;
        // libtorch has no fused kernel with dropout there, and draws its masks slowly.
        let slow_to_drop = drops && joined.device() == Device::Cpu;
        let context = if slow_to_drop && !wants_map && joined.kind() == Kind::Float {
            ffi::attention(&joined, mask, self.heads, self.probability_dropout)?
        } else {
            let (query, key, value) = (self.split(&query)?, self.split(&key)?, self.split(&value)?);
            let context = if wants_map || slow_to_drop {
                let map = self.map(&query, &key, mask, pass)?;
                let context = map.f_matmul(&value).in_stage("attention")?;
                inside.map = keep(wants_map, &map);
                context
            } else {
                self.fused(&query, &key, &value, mask, pass)?
            };
            context.f_transpose(1, 2)?.f_flatten(2, 3).in_stage("attention")?
        };
        let output = dropout_and_add(self.output.forward(&context)?, hidden, self.hidden_dropout, pass)?;
        Ok((self.norm.forward(&output)?, inside))
    }

    /// `(batch, length, width)` to `(batch, heads, length, head_size)`.
    fn split(&self, projected: &Tensor) -> Result<Tensor> {
        Ok(projected.f_unflatten(2, [self.heads, self.head_size])?.f_transpose(1, 2)?)
    }

    /// `softmax(Q Kᵀ / sqrt(head_size) + mask)`, after dropout as transformers returns it.
    fn map(&self, query: &Tensor, key: &Tensor, mask: &Tensor, pass: &Pass) -> Result<Tensor> {
        let scale = 1.0 / (self.head_size as f64).sqrt();
        let scores = query.f_matmul(&key.f_transpose(2, 3)?).in_stage("attention scores")?;
        let masked = scores.f_mul_scalar(scale)?.f_add(mask).in_stage("attention scores")?;
        let map = masked.f_softmax(-1, None).in_stage("attention map")?;
        dropout(map, self.probability_dropout, pass)
    }

    fn fused(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        mask: &Tensor,
        pass: &Pass,
    ) -> Result<Tensor> {
        let dropout = if pass.is_training() { self.probability_dropout } else { 0.0 };
        Tensor::f_scaled_dot_product_attention(query, key, value, Some(mask), dropout, false, None, false)
            .in_stage("fused attention")
    }

    pub(crate) fn parameters(&self) -> impl Iterator<Item = (String, Tensor)> + '_ {
        [&self.query, &self.key, &self.value, &self.output]
            .into_iter()
            .flat_map(Linear::parameters)
            .chain(self.norm.parameters())
    }
}

/// What is added to the scores of positions that nobody may attend to.
///
/// Low enough that the softmax of such a score is 0 in every dtype, and yet finite in all of them,
/// half precision too: a row of padding alone gets some mean, where infinity would give NaN.
const HIDDEN_SCORE: f64 = -3e4;

/// `(batch, length)` of 0 and 1 to `(batch, 1, 1, length)` of 0 where the mask is 1 and of a very
/// low score where it is 0, in the dtype of `like`.
pub(crate) fn additive_mask(attention_mask: &Tensor, like: &Tensor) -> Result<Tensor> {
    let kind = like.f_kind().in_stage("attention_mask")?;
    let mask = attention_mask.f_to_kind(kind)?.f_unsqueeze(1)?.f_unsqueeze(1).in_stage("attention_mask")?;
    mask.f_mul_scalar(-HIDDEN_SCORE)?.f_add_scalar(HIDDEN_SCORE).in_stage("attention_mask")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::parts::tests::drawn_twice;

    const CPU: (Kind, Device) = (Kind::Float, Device::Cpu);

    /// Batch, length, heads, and size of a head: below, at and above what a vector of the processor holds.
    const SHAPES: [[i64; 4]; 6] =
        [[1, 1, 1, 1], [2, 5, 3, 7], [3, 16, 2, 16], [2, 27, 12, 32], [2, 70, 2, 64], [1, 33, 1, 40]];

    /// The formula step by step in float64; `left` is what dropout multiplies the map by.
    fn step_by_step(joined: &Tensor, mask: &Tensor, heads: i64, left: Option<&Tensor>) -> Tensor {
        let parts: Vec<Tensor> = joined
            .to_kind(Kind::Double)
            .chunk(3, -1)
            .iter()
            .map(|part| part.unflatten(2, [heads, -1]).transpose(1, 2))
            .collect();
        let size = parts[0].size()[3] as f64;
        let scores = parts[0].matmul(&parts[1].transpose(2, 3)) / size.sqrt() + mask.to_kind(Kind::Double);
        let map = scores.softmax(-1, None);
        let map = left.map_or(map.shallow_clone(), |left| map * left);
        map.matmul(&parts[2]).transpose(1, 2).flatten(2, 3)
    }

    /// Queries, keys and values, and a mask whose rows end earlier and earlier.
    fn given([batch, length, heads, size]: [i64; 4]) -> (Tensor, Tensor) {
        let joined = Tensor::randn([batch, length, 3 * heads * size], CPU).set_requires_grad(true);
        let ends =
            Tensor::from_slice(&(0..batch).map(|row| length - row * length / batch).collect::<Vec<_>>());
        let attended =
            Tensor::arange(length, (Kind::Int64, Device::Cpu)).unsqueeze(0).lt_tensor(&ends.unsqueeze(1));
        let mask = additive_mask(&attended, &joined).unwrap();
        (joined, mask)
    }

    fn close(ours: &Tensor, theirs: &Tensor, what: &str) {
        let difference = (ours.to_kind(Kind::Double) - theirs).abs().max().double_value(&[]);
        let largest = theirs.abs().max().double_value(&[]);
        assert!(difference <= 3e-6 * (1.0 + largest), "{what}: {difference} of {largest}");
    }

    /// Values and gradients of both forms.
    fn compare(shape: [i64; 4], ours: &Tensor, joined: &Tensor, theirs: &Tensor) {
        close(ours, theirs, &format!("contexts of {shape:?}"));
        let weights = Tensor::randn(ours.size(), CPU);
        let gradient = |of: &Tensor| {
            let sum = (of * weights.to_kind(of.kind())).sum(of.kind());
            Tensor::run_backward(&[sum], &[joined], false, false)[0].to_kind(Kind::Double)
        };
        close(&gradient(ours), &gradient(theirs), &format!("gradients of {shape:?}"));
    }

    // Against libtorch's own operations in float64, with their gradients by autograd.
    #[test]
    fn the_fused_form_is_the_formula_with_its_gradients() {
        let _turn = crate::native::generator_alone();
        tch::manual_seed(1);
        for shape in SHAPES {
            let (joined, mask) = given(shape);
            let ours = ffi::attention(&joined, &mask, shape[2], 0.0).unwrap();
            compare(shape, &ours, &joined, &step_by_step(&joined, &mask, shape[2], None));
        }
    }

    // A value that all tokens have is their mean, whatever the shares.
    #[test]
    fn a_row_of_padding_alone_gets_some_mean() {
        let _turn = crate::native::generator_alone();
        let joined = Tensor::randn([2, 9, 2 * 24], CPU);
        let values = Tensor::full([2, 9, 24], 0.5, CPU);
        let joined = Tensor::cat(&[joined, values], -1);
        let mask = Tensor::full([2, 1, 1, 9], HIDDEN_SCORE, CPU);
        let contexts = ffi::attention(&joined, &mask, 3, 0.0).unwrap();
        close(&contexts, &Tensor::full([2, 9, 24], 0.5, (Kind::Double, Device::Cpu)), "means");
    }

    // With the unit matrix for values the context is the map itself, after dropout: so the mask is known.
    #[test]
    fn dropout_takes_part_of_the_map_away_and_gradients_know_which() {
        let _turn = crate::native::generator_alone();
        for shape @ [batch, length, heads, size] in SHAPES.into_iter().filter(|shape| shape[1] <= shape[3]) {
            tch::manual_seed(2);
            let (joined, mask) = given(shape);
            let unit = Tensor::eye_m(length, size, CPU).repeat([batch, 1, heads]);
            let parts = joined.detach().chunk(3, -1);
            let seen = Tensor::cat(&[&parts[0], &parts[1], &unit], -1);
            let fused = |joined: &Tensor| {
                tch::manual_seed(3);
                ffi::attention(joined, &mask, heads, 0.25).unwrap()
            };
            let contexts =
                |all: &Tensor| all.unflatten(2, [heads, size]).transpose(1, 2).narrow(3, 0, length);
            let whole = contexts(&step_by_step(&seen, &mask, heads, None));
            let left = contexts(&fused(&seen)).to_kind(Kind::Double) / whole.clamp_min(1e-30);
            let kept = left.ne(0.0).to_kind(Kind::Double);
            // What is hidden is 0 with and without dropout, and says nothing.
            let attended = whole.gt(1e-20).to_kind(Kind::Double);
            let expected: Tensor = &kept * &attended / 0.75;
            close(&(&left * &attended), &expected, "what is kept is scaled up");
            if shape == [2, 27, 12, 32] {
                let count = attended.sum(Kind::Double).double_value(&[]);
                let share = (&kept * &attended).sum(Kind::Double).double_value(&[]) / count;
                // Five standard deviations of a binomial share.
                assert!((share - 0.75).abs() < 5.0 * (0.1875 / count).sqrt(), "kept {share} of {count}");
            }
            compare(shape, &fused(&joined), &joined, &step_by_step(&joined, &mask, heads, Some(&expected)));
        }
    }

    #[test]
    fn what_is_dropped_follows_from_the_seed_whatever_the_threads() {
        let _turn = crate::native::generator_alone();
        let (joined, mask) = given([4, 27, 3, 32]);
        let (first, second) = drawn_twice(|| ffi::attention(&joined, &mask, 3, 0.25).unwrap().detach());
        assert_ne!(first, second);
    }

    #[test]
    fn what_does_not_fit_is_refused_by_name() {
        let _turn = crate::native::generator_alone();
        let (joined, mask) = given([2, 5, 3, 7]);
        let double = joined.to_kind(Kind::Double);
        for (refused, told) in [
            (ffi::attention(&joined, &mask, 2, 0.1), "queries, keys and values of 2 heads are [2, 5, 63]"),
            (
                ffi::attention(&joined, &mask.narrow(3, 0, 4), 3, 0.1),
                "one number for each of 2 x 5 positions",
            ),
            (ffi::attention(&double, &mask, 3, 0.1), "float32 on the CPU, and it is given Double on cpu"),
            (ffi::attention(&joined, &mask, 3, 1.0), "it must lie in [0, 1)"),
        ] {
            let error = refused.unwrap_err().to_string();
            assert!(error.contains(told), "{error}");
        }
    }
}
