//! The norms: RMS norms and layer norms.

use tch::{Kind, Tensor};

use super::config::DecoderConfig;
use super::switches::NormKind;
use crate::error::{InStage, Result};
use crate::model::parts::LayerNorm;
use crate::model::weights::Weights;

/// A norm over the last dimension.
#[derive(Debug)]
pub(crate) enum Norm {
    Rms(RmsNorm),
    Layer(LayerNorm),
}

impl Norm {
    /// The norm of this name and width, of the architecture's kind.
    pub(crate) fn take(weights: &mut Weights, name: String, width: i64, config: &DecoderConfig) -> Self {
        let kind = config.model_type.switches().norm;
        if kind == NormKind::Layer {
            return Norm::Layer(LayerNorm::take(weights, name, width, config.norm_eps));
        }
        Norm::Rms(RmsNorm {
            weight: weights.take(&format!("{name}.weight"), &[width]),
            name,
            epsilon: config.norm_eps,
            from_one: kind == NormKind::RmsFromOne,
        })
    }

    /// The same norm: another handle of its parameters.
    pub(crate) fn shallow_clone(&self) -> Self {
        match self {
            Norm::Rms(norm) => {
                Norm::Rms(RmsNorm { name: norm.name.clone(), weight: norm.weight.shallow_clone(), ..*norm })
            }
            Norm::Layer(norm) => Norm::Layer(norm.shallow_clone()),
        }
    }

    pub(crate) fn forward(&self, input: &Tensor) -> Result<Tensor> {
        match self {
            Norm::Rms(norm) => norm.forward(input).in_stage(&norm.name),
            Norm::Layer(norm) => norm.forward(input),
        }
    }

    pub(crate) fn parameters(&self) -> Vec<(String, Tensor)> {
        match self {
            Norm::Rms(norm) => vec![(format!("{}.weight", norm.name), norm.weight.shallow_clone())],
            Norm::Layer(norm) => norm.parameters().into(),
        }
    }
}

/// `x / sqrt(mean(x²) + epsilon) w` (Zhang and Sennrich 2019), divided in float32 or wider.
#[derive(Debug)]
pub(crate) struct RmsNorm {
    name: String,
    weight: Tensor,
    epsilon: f64,
    /// Whether the factor is `1 + w`, multiplied before the conversion back to the input's dtype.
    from_one: bool,
}

impl RmsNorm {
    fn forward(&self, input: &Tensor) -> Result<Tensor> {
        let kind = input.kind();
        let wide = if kind == Kind::Double { Kind::Double } else { Kind::Float };
        let numbers = input.f_to_kind(wide)?;
        let square = numbers.f_square()?.f_mean_dim(-1, true, None::<Kind>)?;
        let normed = numbers.f_mul(&square.f_add_scalar(self.epsilon)?.f_rsqrt()?)?;
        Ok(if self.from_one {
            normed.f_mul(&self.weight.f_to_kind(wide)?.f_add_scalar(1.0)?)?.f_to_kind(kind)?
        } else {
            normed.f_to_kind(kind)?.f_mul(&self.weight)?
        })
    }
}
