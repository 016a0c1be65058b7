//! The last layer of a side: what turns its hidden states into logits.

use tch::Tensor;

use super::super::Features;
use super::super::term::wide;
use crate::error::Result;
use crate::role::{LogitScale, LogitSoftcap, OutputBias, OutputWeight, Role as _};

/// What makes logits of rows of hidden states: `softcap tanh(scale (hidden x weight^T + bias) / softcap)`.
pub(super) struct OutputLayer {
    /// `(rows, width)`.
    pub(super) hidden: Tensor,
    /// `(vocabulary, width)`.
    pub(super) weight: Tensor,
    /// `(vocabulary,)`.
    pub(super) bias: Option<Tensor>,
    /// Scalars.
    scale: Option<Tensor>,
    softcap: Option<Tensor>,
}

impl OutputLayer {
    /// These rows of hidden states, with the output layer of the side that they are of.
    pub(super) fn of(hidden: Tensor, side: &Features) -> Result<Self> {
        let part = |role: &str| side.also.get(role).map(Tensor::shallow_clone);
        // A number without dimensions does not change the dtype of what it is applied to.
        let number =
            |role: &str| part(role).map(|number| number.f_detach()?.f_reshape(&[] as &[i64])).transpose();
        Ok(OutputLayer {
            hidden,
            weight: side.also::<OutputWeight>()?.shallow_clone(),
            bias: part(OutputBias::NAME),
            scale: number(LogitScale::NAME)?,
            softcap: number(LogitSoftcap::NAME)?,
        })
    }

    /// The logits of products of hidden states and the matrix, both float32 or wider.
    pub(super) fn logits(&self, products: &Tensor, bias: Option<&Tensor>) -> Result<Tensor> {
        let mut logits = match bias {
            Some(bias) => products.f_add(&wide(bias)?)?,
            None => products.shallow_clone(),
        };
        if let Some(scale) = &self.scale {
            logits = logits.f_mul(scale)?;
        }
        if let Some(softcap) = &self.softcap {
            logits = logits.f_div(softcap)?.f_tanh()?.f_mul(softcap)?;
        }
        Ok(logits)
    }
}

/// The problem of a student's output layer with a number that is learned: as a constant it would get no gradient. Of a
/// number that the model computes, this is known only while gradients are enabled.
pub(super) fn learned(student: &Features) -> Option<String> {
    let learned = |role: &&str| student.also.get(*role).is_some_and(Tensor::requires_grad);
    [LogitScale::NAME, LogitSoftcap::NAME].into_iter().find(learned).map(|role| {
        format!("the student's {role} is learned, but a chunked loss takes it as a constant: use the loss over logits")
    })
}

/// The logits of a side's hidden states, `(…, vocabulary)`, all at once and without gradients.
pub(crate) fn logits_of(side: &Features) -> Result<Tensor> {
    let layer = OutputLayer::of(side.feature()?.f_detach()?, side)?;
    let weight = layer.weight.f_detach()?.f_to_kind(layer.hidden.kind())?;
    let products = wide(&layer.hidden.f_matmul(&weight.f_tr()?)?)?;
    let bias = layer.bias.as_ref().map(Tensor::f_detach).transpose()?;
    layer.logits(&products, bias.as_ref())
}
