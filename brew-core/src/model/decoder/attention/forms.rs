//! The two forms of attention: step by step, which gives the map, and fused.

use tch::{Device, Kind, Tensor};

use super::{Attention, Visibility};
use crate::error::{InStage, Result};
use crate::model::parts::dropout;
use crate::pass::Pass;

impl Attention {
    /// Repeats keys or values for each head of queries that shares them.
    pub(super) fn for_all_heads(&self, of_key_values: &Tensor) -> Result<Tensor> {
        match self.heads / self.key_value_heads {
            1 => Ok(of_key_values.shallow_clone()),
            each => of_key_values.f_repeat_interleave_self_int(each, 1, None).in_stage("attention"),
        }
    }

    /// `softmax(cap(Q Kᵀ scale))` over the keys that each query sees, after dropout, as transformers returns it.
    pub(super) fn map(
        &self,
        query: &Tensor,
        key: &Tensor,
        visibility: &Visibility,
        pass: &Pass,
    ) -> Result<Tensor> {
        let map = self.probabilities(query, key, |scores| {
            let length = scores.size().last().copied().unwrap_or(0);
            let hidden = match visibility.of(self.window) {
                Some(seen) => seen.f_logical_not()?,
                None => Tensor::f_ones([length, length], (Kind::Bool, scores.device()))?.f_triu(1)?,
            };
            // No row is completely hidden: every position sees itself.
            Ok(scores.f_masked_fill(&hidden, f64::NEG_INFINITY)?)
        });
        dropout(map.in_stage("attention map")?, self.dropout, pass)
    }

    /// `softmax(cap(Q Kᵀ scale))`, where `hide` sets the scores of keys that are not seen to -inf.
    pub(super) fn probabilities(
        &self,
        query: &Tensor,
        key: &Tensor,
        hide: impl FnOnce(Tensor) -> Result<Tensor>,
    ) -> Result<Tensor> {
        let mut scores = query.f_matmul(&key.f_transpose(2, 3)?)?.f_mul_scalar(self.scale)?;
        if let Some(cap) = self.cap {
            scores = capped(&scores, cap)?;
        }
        let scores = hide(scores)?;
        let kind = scores.kind();
        let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        Ok(scores.f_softmax(-1, Some(wide))?.f_to_kind(kind)?)
    }

    pub(super) fn fused(
        &self,
        query: &Tensor,
        key: &Tensor,
        value: &Tensor,
        visibility: &Visibility,
        dropout: f64,
    ) -> Result<Tensor> {
        let seen = visibility.of(self.window);
        let shared = self.heads != self.key_value_heads;
        // On other devices, the kernels that accept a mask do not accept shared heads.
        let repeats = shared && seen.is_some() && query.device() != Device::Cpu;
        let (key, value) = if repeats {
            (self.for_all_heads(key)?, self.for_all_heads(value)?)
        } else {
            (key.shallow_clone(), value.shallow_clone())
        };
        Tensor::f_scaled_dot_product_attention(
            query,
            &key,
            &value,
            seen,
            dropout,
            seen.is_none(),
            Some(self.scale),
            shared && !repeats,
        )
        .in_stage("fused attention")
    }
}

/// `cap tanh(x / cap)`: limits numbers to between `-cap` and `cap`.
pub(crate) fn capped(numbers: &Tensor, cap: f64) -> Result<Tensor> {
    Ok(numbers.f_div_scalar(cap)?.f_tanh()?.f_mul_scalar(cap)?)
}
