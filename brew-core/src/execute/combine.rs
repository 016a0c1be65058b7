//! Combines several teachers' logits: the formulas of [`Combine`].

use tch::Tensor;

use super::shift;
use crate::error::{Error, Result};
use crate::loss::wide;
use crate::plan::Combine;
use crate::words::shape;

/// Per-row inputs that decide how the teachers are combined.
#[derive(Debug, Default)]
pub(super) struct Guides<'g> {
    /// The logits' shape without the class dimension; negative means no label.
    pub(super) labels: Option<&'g Tensor>,
    /// The teacher that each row learns from, `(batch,)` or the labels' shape, int64.
    pub(super) teacher: Option<&'g Tensor>,
}

/// The combined logits that a loss compares: `(batch, classes)` or `(batch, length, classes)`, like each
/// teacher's.
pub(super) fn combine(
    policy: &Combine,
    temperature: Option<f64>,
    logits: &[&Tensor],
    guides: &Guides<'_>,
) -> Result<Tensor> {
    let all = stacked(logits)?;
    if policy.mixes_probabilities() && all.size().last() == Some(&1) {
        return Err(Error::invalid(format!(
            "the teachers' logits are {}, and `{policy}` mixes probabilities: with a single logit the probability is always 1; combine by `mean_of_logits` or `weighted`",
            shape(&logits.first().map(|logits| logits.size()).unwrap_or_default())
        )));
    }
    let teachers = logits.len() as f64;
    let rows = || -> Result<Vec<i64>> {
        Ok(all.size().split_last().map(|(_, rows)| rows.to_vec()).unwrap_or_default())
    };
    let mixed = |weights: &Tensor| mixed(&all, weights, temperature.unwrap_or(1.0));
    match policy {
        Combine::MeanOfLogits => Ok(all.f_mean_dim(0, false, None)?),
        Combine::Weighted(weights) => {
            let sum: f64 = weights.iter().sum();
            let weights: Vec<f64> = weights.iter().map(|weight| weight / sum).collect();
            let weights = Tensor::f_from_slice(&weights)?.f_to_kind(all.kind())?.f_to_device(all.device())?;
            Ok(Tensor::f_tensordot(&weights, &all, [0_i64].as_slice(), [0_i64].as_slice())?)
        }
        Combine::MeanOfProbabilities => {
            mixed(&Tensor::f_full(&rows()?, 1.0 / teachers, (all.kind(), all.device()))?)
        }
        Combine::ByConfidence => {
            let labels = guides
                .labels
                .ok_or_else(|| Error::invalid("`by_confidence` needs labels, and none were given"))?;
            mixed(&by_confidence(&all, labels)?)
        }
        Combine::ByEntropy => {
            let log = all.f_log_softmax(-1, None)?;
            let entropy = log.f_exp()?.f_xlogy(&log.f_exp()?)?.f_sum_dim_intlist(-1, false, None)?.f_neg()?;
            let sureness = entropy.f_clamp_min(SUREST)?.f_reciprocal()?;
            mixed(&sureness.f_div(&sureness.f_sum_dim_intlist(0, true, None)?)?)
        }
        Combine::RoutedByExample => {
            let teacher = guides.teacher.ok_or_else(|| {
                Error::invalid("`routed_by_example` needs `teacher_index`, and none was given")
            })?;
            routed(&all, teacher)
        }
    }
}

/// Entropies, in nats, are clamped to at least this: a teacher that is surer still gains no more weight.
const SUREST: f64 = 1e-6;

/// `(teachers, batch, …, classes)`, in float32 or wider.
fn stacked(logits: &[&Tensor]) -> Result<Tensor> {
    let first = logits.first().map(|logits| logits.size()).unwrap_or_default();
    if let Some(index) = logits.iter().position(|logits| logits.size() != first) {
        return Err(Error::invalid(format!(
            "the logits of teacher 0 are {}, those of teacher {index} are {}: teachers can only be combined if their logits have the same shape",
            shape(&first),
            shape(&logits[index].size())
        )));
    }
    Ok(Tensor::f_stack(&logits.iter().map(|logits| wide(logits)).collect::<Result<Vec<_>>>()?, 0)?)
}

/// Logits whose softmax at this temperature is the weighted mean of the teachers'; `weights` are
/// `(teachers, batch, …)`.
fn mixed(all: &Tensor, weights: &Tensor, temperature: f64) -> Result<Tensor> {
    let cooled = all.f_div_scalar(temperature)?;
    let height = cooled.f_logsumexp([-1_i64].as_slice(), true)?;
    let weights = weights.f_unsqueeze(-1)?;
    let log_mean =
        (cooled.f_sub(&height)?).f_add(&weights.f_log()?)?.f_logsumexp([0_i64].as_slice(), false)?;
    let height = height.f_mul(&weights)?.f_sum_dim_intlist(0, false, None)?;
    Ok(log_mean.f_add(&height)?.f_mul_scalar(temperature)?)
}

/// The weights of CA-MKD: `(teachers, batch, …)`.
fn by_confidence(all: &Tensor, labels: &Tensor) -> Result<Tensor> {
    let teachers = all.size().first().copied().unwrap_or(1);
    let one = all.f_select(0, 0)?;
    shift::one_label_a_row(&one, labels, "`by_confidence`")?;
    let label = labels.f_clamp_min(0)?.f_unsqueeze(-1)?.f_unsqueeze(0)?;
    let mut sizes = label.size();
    sizes[0] = teachers;
    let cross_entropy = all
        .f_log_softmax(-1, None)?
        .f_gather(-1, &label.f_expand(&sizes, false)?, false)?
        .f_squeeze_dim(-1)?
        .f_neg()?;
    // Two teachers that rule out the label would give infinity minus infinity.
    let share = cross_entropy.f_clamp_max(1e30)?.f_softmax(0, None)?;
    let weights = share.f_neg()?.f_add_scalar(1.0)?.f_div_scalar((teachers - 1).max(1) as f64)?;
    Ok(weights.f_masked_fill(&labels.f_lt(0)?.f_unsqueeze(0)?, 1.0 / teachers as f64)?)
}

/// Picks each row's own teacher.
fn routed(all: &Tensor, teacher: &Tensor) -> Result<Tensor> {
    let sizes = all.size();
    let (teachers, rows) = (sizes[0], &sizes[1..sizes.len() - 1]);
    let found = teacher.size();
    if found != rows && found != rows[..1] {
        return Err(Error::invalid(format!(
            "`teacher_index` is {}; it must be one number per row, {}",
            shape(&found),
            shape(&rows[..1])
        )));
    }
    let outside = teacher.f_lt(0)?.f_logical_or(&teacher.f_ge(teachers)?)?;
    if outside.f_any()?.f_int64_value(&[])? != 0 {
        let first = outside.f_nonzero()?.f_select(0, 0)?;
        let row = first.f_int64_value(&[0])?;
        let index = teacher.f_masked_select(&outside)?.f_int64_value(&[0])?;
        return Err(Error::invalid(format!(
            "`teacher_index` of row {row} of the batch is {index}, but there are {teachers} teachers, counted from 0"
        )));
    }
    let mut index = teacher.f_unsqueeze(0)?;
    while index.dim() < sizes.len() {
        index = index.f_unsqueeze(-1)?;
    }
    let mut one = sizes.clone();
    one[0] = 1;
    Ok(all.f_gather(0, &index.f_expand(&one, false)?, false)?.f_squeeze_dim(0)?)
}
