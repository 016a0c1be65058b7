//! Attention masks: which positions of a batch are attended to, and the effect on scores and gradients.

use tch::{Device, Kind, Tensor};

use crate::error::{InStage, Result};

/// Added to the scores of masked positions.
///
/// It is so low that any score added to it is lost: in a row of only padding all scores become equal, and
/// each position attends equally to all, as in transformers, which adds the dtype's lowest number. It is
/// finite because infinity would give NaN there. This holds on the CPU; on other devices such a row attends
/// by its scores.
const HIDDEN_SCORE: f64 = -1e38;

/// The same for half precision, whose range ends at 65504, and for other devices, whose fused kernels keep
/// the logarithm of the sum of exponentials: added to -1e38, that of a row of only padding would be lost.
const MODEST_HIDDEN_SCORE: f64 = -3e4;

/// The positions that are attended to.
#[derive(Debug)]
pub(crate) struct Attended {
    /// Added to the scores, `(batch, 1, 1, length)`: 0 where the mask is 1, [`HIDDEN_SCORE`] where it is 0.
    pub(super) scores: Tensor,
    /// Whether some row is known to have no position to attend to; libtorch's fused CPU kernel has the same
    /// problem as those of other devices for such a row.
    pub(super) nothing: bool,
    /// Which rows have only one position to attend to, `(batch, 1, 1)`; `None` if no row is known to.
    pub(super) alone: Option<Tensor>,
}

impl Attended {
    /// From a mask `(batch, length)` of 0 and 1, in the dtype of `like`.
    pub(crate) fn by(attention_mask: &Tensor, like: &Tensor) -> Result<Self> {
        let of_mask = || -> Result<Self> {
            let kind = like.f_kind()?;
            let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
            let mask = attention_mask.f_to_kind(wide)?;
            let counts = mask.f_sum_dim_intlist(-1, false, None)?;
            let alone = counts.f_eq(1.0)?;
            // On a GPU the answers would require synchronizing.
            let on_cpu = mask.device() == Device::Cpu;
            let any = |rows: &Tensor| -> Result<bool> { Ok(rows.f_any()?.f_int64_value(&[])? != 0) };
            let nothing = on_cpu && any(&counts.f_eq(0.0)?)?;
            let known_alone = !on_cpu || any(&alone)?;
            let hidden = if on_cpu { HIDDEN_SCORE } else { MODEST_HIDDEN_SCORE };
            let scores = mask.f_unsqueeze(1)?.f_unsqueeze(1)?.f_mul_scalar(-hidden)?.f_add_scalar(hidden)?;
            let alone = known_alone.then(|| alone.f_unsqueeze(1)?.f_unsqueeze(1)).transpose()?;
            Ok(Attended { scores: in_kind(&scores, kind)?, nothing, alone })
        };
        of_mask().in_stage("attention_mask")
    }

    pub(crate) fn shallow_clone(&self) -> Self {
        Attended {
            scores: self.scores.shallow_clone(),
            nothing: self.nothing,
            alone: self.alone.as_ref().map(Tensor::shallow_clone),
        }
    }

    /// The values to add to scores of this dtype.
    pub(super) fn scores_in(&self, kind: Kind) -> Result<Tensor> {
        match kind {
            Kind::Half => in_kind(&self.scores, kind),
            // Autocast brings the others to one dtype.
            _ => Ok(self.scores.shallow_clone()),
        }
    }

    /// The same queries, keys and values, `(batch, length, 3 width)`, but with no gradient for the queries
    /// and keys of rows with only one position to attend to: its attention is 1 whatever they are. Fused
    /// kernels leave round-off in that gradient, which Adam would turn into a full step.
    pub(super) fn without_the_alone(&self, joined: &Tensor) -> Result<Tensor> {
        let Some(alone) = self.alone.as_ref().filter(|_| joined.requires_grad()) else {
            return Ok(joined.shallow_clone());
        };
        let width = joined.size().last().copied().unwrap_or(0);
        let columns = Tensor::f_arange(width, (Kind::Int64, joined.device()))?;
        let still = alone.f_logical_and(&columns.f_lt(width / 3 * 2)?)?;
        joined.f_detach()?.f_where_self(&still, joined).in_stage("attention")
    }
}

/// Converts mask scores to a dtype that may not be able to represent them.
fn in_kind(scores: &Tensor, kind: Kind) -> Result<Tensor> {
    match kind {
        Kind::Half => Ok(scores.f_clamp_min(MODEST_HIDDEN_SCORE)?.f_to_kind(kind)?),
        _ => Ok(scores.f_to_kind(kind)?),
    }
}
