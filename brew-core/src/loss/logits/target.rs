//! Splits log-probabilities at the label: the label's, the others' total, and the distribution among the
//! others.

use tch::Tensor;

use super::super::logit_shapes::ONE_LOGIT_MEND;
use super::log_space::LOG_ZERO;
use crate::error::Result;
use crate::words::shape;

/// One side's logits, split at the labels.
pub(super) struct Target {
    /// log q_y, `(rows,)`.
    pub(super) label: Tensor,
    /// log(1 - q_y), `(rows,)`.
    pub(super) others: Tensor,
    /// The log-probabilities among the classes other than the label, `(rows, classes)`; 0 at the label.
    pub(super) among_others: Tensor,
}

impl Target {
    /// Splits logits `(rows, classes)`, already divided by their temperature, at labels `(rows,)`.
    pub(super) fn split(logits: &Tensor, labels: &Tensor) -> Result<Self> {
        let column = labels.f_unsqueeze(-1)?;
        let at_label = logits.f_zeros_like()?.f_to_kind(tch::Kind::Bool)?.f_scatter_value(-1, &column, 1)?;
        // Not 1 - q_y, which would be exactly 0 if the label has nearly all of the probability.
        let rest = logits.f_masked_fill(&at_label, f64::NEG_INFINITY)?.f_logsumexp([-1], true)?;
        let label = logits.f_gather(-1, &column, false)?;
        let all = rest.f_logaddexp(&label)?;
        Ok(Target {
            label: label.f_sub(&all)?.f_squeeze_dim(-1)?,
            others: rest.f_sub(&all)?.f_squeeze_dim(-1)?,
            among_others: logits.f_sub(&rest)?.f_clamp_min(LOG_ZERO)?.f_masked_fill(&at_label, 0.0)?,
        })
    }

    /// The probabilities among the others, 0 at the label.
    pub(super) fn probabilities_among_others(&self, labels: &Tensor) -> Result<Tensor> {
        Ok(self.among_others.f_exp()?.f_scatter_value(-1, &labels.f_unsqueeze(-1)?, 0.0)?)
    }
}

/// The problem of a single class: there is no class other than the label.
pub(super) fn classes_problem(sizes: &[i64]) -> Option<String> {
    (sizes.last().is_some_and(|classes| *classes < 2)).then(|| {
        format!(
            "the logits are {}: a loss on the classes other than the label needs two or more; {ONE_LOGIT_MEND}",
            shape(sizes)
        )
    })
}
