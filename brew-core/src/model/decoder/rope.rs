//! Rotary positions (Su et al. 2021): pairs of a head's numbers are rotated by angles proportional to the position.
//!
//! Pair i of a head of width d is rotated by `position theta^(-2i/d)`. Scaling reduces the angles, so that a model can
//! read longer texts than those it was trained on. Everything is computed in float32 with the same steps as in
//! transformers, so the numbers are the same.

use std::f64::consts::TAU;

use serde::{Deserialize, Serialize};
use tch::{Device, Kind, Tensor};

use crate::error::{InStage, Result};

/// The rotation of queries and keys.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Rope {
    /// The base of the angles.
    pub theta: f64,
    /// How the angles are reduced.
    pub scaling: RopeScaling,
}

/// How the angles are reduced: the `rope_type` of a config.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(tag = "rope_type", rename_all = "lowercase")]
pub enum RopeScaling {
    /// They are not.
    Default,
    /// All angles are divided by the factor.
    Linear {
        /// The divisor.
        factor: f64,
    },
    /// Llama 3.1's: slow rotations are divided by the factor, fast ones stay, and those between are interpolated.
    Llama3 {
        /// The divisor of slow rotations.
        factor: f64,
        /// Rotations with fewer turns than this over the original length are slow.
        low_freq_factor: f64,
        /// Rotations with more turns than this are fast.
        high_freq_factor: f64,
        /// The original length, in tokens.
        original_max_position_embeddings: i64,
    },
}

impl Rope {
    /// The rotation with this base, without scaling.
    pub fn of_theta(theta: f64) -> Self {
        Rope { theta, scaling: RopeScaling::Default }
    }

    /// The angle per position of each pair of a head of this width: `(width / 2,)`, float32.
    pub(crate) fn frequencies(&self, width: i64, device: Device) -> Result<Tensor> {
        let of_rope = || -> Result<Tensor> {
            let exponents = Tensor::f_arange_start_step(0, width, 2, (Kind::Float, device))?;
            let exponents = exponents.f_div_scalar(width)?;
            let inverse = Tensor::f_pow_scalar(self.theta, &exponents)?.f_reciprocal()?;
            match self.scaling {
                RopeScaling::Default => Ok(inverse),
                RopeScaling::Linear { factor } => Ok(inverse.f_div_scalar(factor)?),
                RopeScaling::Llama3 {
                    factor,
                    low_freq_factor: low,
                    high_freq_factor: high,
                    original_max_position_embeddings,
                } => {
                    let original = original_max_position_embeddings as f64;
                    let wavelength = inverse.f_reciprocal()?.f_mul_scalar(TAU)?;
                    let slow = wavelength.f_gt(original / low)?;
                    let fast = wavelength.f_lt(original / high)?;
                    let share = wavelength.f_reciprocal()?.f_mul_scalar(original)?;
                    let share = share.f_sub_scalar(low)?.f_div_scalar(high - low)?;
                    let slowed = inverse.f_div_scalar(factor)?;
                    let rest = share.f_neg()?.f_add_scalar(1.0)?;
                    let mixed = rest.f_mul(&inverse)?.f_div_scalar(factor)?.f_add(&share.f_mul(&inverse)?)?;
                    let scaled = slowed.f_where_self(&slow, &mixed)?;
                    Ok(inverse.f_where_self(&fast, &scaled)?)
                }
            }
        };
        of_rope().in_stage("rope")
    }

    /// Sines and cosines of these positions, `(rows, length)`, for heads of this width.
    pub(crate) fn at(&self, positions: &Tensor, width: i64, kind: Kind) -> Result<Rotation> {
        let frequencies = self.frequencies(width, positions.device())?;
        let angles = positions.f_to_kind(Kind::Float)?.f_unsqueeze(1)?.f_unsqueeze(-1)?.f_mul(&frequencies);
        let angles = angles.in_stage("rope")?;
        Ok(Rotation { cos: angles.f_cos()?.f_to_kind(kind)?, sin: angles.f_sin()?.f_to_kind(kind)? })
    }
}

/// Sines and cosines of positions.
#[derive(Debug)]
pub(crate) struct Rotation {
    /// `(rows, 1, length, width / 2)`, as the sines.
    cos: Tensor,
    sin: Tensor,
}

impl Rotation {
    /// Vectors `(batch, heads, length, width)`, each rotated: number i of the first half is paired with
    /// number i of the second.
    pub(crate) fn turn(&self, vectors: &Tensor) -> Result<Tensor> {
        let turned = || -> Result<Tensor> {
            let half = vectors.size().last().copied().unwrap_or(0) / 2;
            let (first, second) = (vectors.f_narrow(-1, 0, half)?, vectors.f_narrow(-1, half, half)?);
            let left = first.f_mul(&self.cos)?.f_sub(&second.f_mul(&self.sin)?)?;
            let right = second.f_mul(&self.cos)?.f_add(&first.f_mul(&self.sin)?)?;
            Ok(Tensor::f_cat(&[left, right], -1)?)
        };
        turned().in_stage("rope")
    }

    /// The rotation of these columns only.
    pub(crate) fn narrow(&self, first: i64, length: i64) -> Result<Self> {
        let part = |tensor: &Tensor| tensor.f_narrow(2, first, length).in_stage("rope");
        Ok(Rotation { cos: part(&self.cos)?, sin: part(&self.sin)? })
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        Rotation { cos: self.cos.shallow_clone(), sin: self.sin.shallow_clone() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // transformers 5.24.0, torch 2.11.0, for Llama-3.2-1B:
    // ROPE_INIT_FUNCTIONS["llama3"](LlamaConfig(hidden_size=2048, num_attention_heads=32, rope_parameters={
    //     "rope_type": "llama3", "rope_theta": 5e5, "factor": 32, "low_freq_factor": 1, "high_freq_factor": 4,
    //     "original_max_position_embeddings": 8192}))[0][[0, 8, 15, 16, 17, 18, 20, 24, 31]]
    #[test]
    fn llama3_slows_the_rotation_as_transformers_does() {
        let plain = Rope::of_theta(5e5);
        let scaling = RopeScaling::Llama3 {
            factor: 32.0,
            low_freq_factor: 1.0,
            high_freq_factor: 4.0,
            original_max_position_embeddings: 8192,
        };
        let scaled = Rope { scaling, ..plain };
        let golden = [
            (0, 1.0),
            (8, 3.760_603_070e-2),
            (15, 1.290_548_011e-3),
            (16, 4.295_567_051e-4),
            (17, 9.708_286_234e-5),
            (18, 1.946_163_866e-5),
            (20, 8.570_255_886e-6),
            (24, 1.661_967_417e-6),
            (31, 9.418_306_490e-8),
        ];
        let unscaled =
            [(15, 2.131_119_603e-3), (16, 1.414_213_446e-3), (17, 9.384_738_514e-4), (31, 3.013_858_077e-6)];
        for (rope, golden) in [(scaled, &golden[..]), (plain, &unscaled[..])] {
            let found = rope.frequencies(64, Device::Cpu).unwrap();
            for (place, value) in golden {
                let off = (found.double_value(&[*place]) / value - 1.0).abs();
                assert!(off < 3e-7, "{place}: off by {off:e}");
            }
        }
    }

    // Positions divided by 4 turn as far as angles divided by 4.
    #[test]
    fn linear_scaling_is_a_division_of_positions() {
        let slow = Rope { scaling: RopeScaling::Linear { factor: 4.0 }, ..Rope::of_theta(1e4) };
        let vectors = Tensor::arange(48, (Kind::Double, Device::Cpu)).view([1, 2, 3, 8]);
        let turn = |rope: Rope, positions: [i64; 3]| {
            let positions = Tensor::from_slice(&positions).unsqueeze(0);
            rope.at(&positions, 8, Kind::Double).unwrap().turn(&vectors).unwrap()
        };
        let off = turn(slow, [0, 8, 20]) - turn(Rope::of_theta(1e4), [0, 2, 5]);
        assert!(off.abs().max().double_value(&[]) < 1e-5);
    }
}
