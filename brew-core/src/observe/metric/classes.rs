//! The counts behind classification metrics: predicted and true classes.

use tch::{Kind, Tensor};

use super::super::predictions::Predictions;
use crate::error::{Error, InStage, Result};
use crate::model::ProblemType;
use crate::role::{IGNORED, Logits, Role, counts};

/// The predicted and true classes of a data set.
#[derive(Debug)]
pub(super) enum Classes {
    /// One class per example or token: `(predicted, true)` for each that counts.
    One(Vec<(i64, i64)>),
    /// Any number of classes per example: for each example `(predicted, true)` of every class.
    Any(Vec<Vec<(bool, bool)>>),
}

impl Classes {
    /// Reads predictions of one head.
    ///
    /// [`ProblemType::of`] decides what the labels mean. With one class per example the class of the largest
    /// logit is predicted, the first of equal ones. With any number of classes, those with a logit above 0 (a
    /// probability above one half) are predicted, and those with a label above 0.5 are true.
    ///
    /// # Errors
    /// Missing labels, several heads, a regression, and labels that do not fit the head; labels outside 0 to
    /// classes - 1 (other than -100) and NaN logits, with the example.
    pub(super) fn of(metric: &str, predictions: &Predictions) -> Result<Self> {
        let (logits, labels) = one_head(metric, predictions)?;
        match problem(metric, predictions, logits, labels)? {
            ProblemType::SingleLabelClassification => {}
            ProblemType::MultiLabelClassification => return Self::any(metric, predictions, logits, labels),
            ProblemType::Regression => {
                return Err(Error::invalid(format!(
                    "{metric} measures classes, but this head, with logits of {:?} and labels of {:?}, is a regression: measure it with `Pearson` or `Spearman`; for classes the model needs one logit per class, and integer labels (`#[column(i64)]`)",
                    logits.size(),
                    labels.size()
                )));
            }
        }
        let predicted = logits.f_argmax(-1, false)?;
        let mut counts = counts(labels)?;
        if let Some(mask) = predictions.mask() {
            counts = counts.f_logical_and(mask).in_stage("logits_mask")?;
        }
        check(predictions, metric, logits, labels, &counts)?;
        let predicted = integers(&predicted.f_masked_select(&counts)?)?;
        let labels = integers(&labels.f_masked_select(&counts)?)?;
        Ok(Classes::One(predicted.into_iter().zip(labels).collect()))
    }

    fn any(metric: &str, predictions: &Predictions, logits: &Tensor, labels: &Tensor) -> Result<Self> {
        let classes = logits.size().last().copied().unwrap_or(0).max(1);
        // With a single logit the labels may be one per example.
        let labels = &labels.f_reshape(logits.size())?;
        let rows = logits.size()[..logits.dim().saturating_sub(1)].to_vec();
        let counts = match predictions.mask().filter(|_| rows.len() > 1) {
            Some(mask) => mask.f_reshape(&rows).in_stage("logits_mask")?,
            None => Tensor::f_ones(&rows, (Kind::Bool, labels.device()))?,
        }
        .f_unsqueeze(-1)?;
        let outside = labels.f_ge(0.0)?.f_logical_and(&labels.f_le(1.0)?)?.f_logical_not()?;
        let outside = outside.f_logical_and(&counts)?;
        if let Some(place) = first(&outside)? {
            let value = labels.f_reshape([-1])?.f_double_value(&[place])?;
            return Err(Error::invalid(format!(
                "{metric}: the label of {} is {value}: labels per class must lie in 0 to 1",
                named(place, &labels.size(), "class")
            )));
        }
        refuse_nan(metric, logits, &logits.f_isnan()?.f_logical_and(&counts)?)?;
        let flags = |tensor: &Tensor, limit: f64| integers(&tensor.f_gt(limit)?.f_masked_select(&counts)?);
        let both = flags(logits, 0.0)?.into_iter().zip(flags(labels, 0.5)?);
        let both: Vec<(bool, bool)> = both.map(|(predicted, label)| (predicted != 0, label != 0)).collect();
        let classes = usize::try_from(classes).unwrap_or(1);
        Ok(Classes::Any(both.chunks(classes).map(<[_]>::to_vec).collect()))
    }

    /// Refuses a data set in which no example counts: no value would say anything about the model.
    /// scikit-learn 1.9.1 refuses it too ("Found empty input array").
    pub(super) fn not_empty(self, metric: &str) -> Result<Self> {
        let empty = match &self {
            Classes::One(pairs) => pairs.is_empty(),
            Classes::Any(rows) => rows.is_empty(),
        };
        if empty { Err(nothing_counts(metric)) } else { Ok(self) }
    }
}

/// The error for a data set in which no example counts.
pub(super) fn nothing_counts(metric: &str) -> Error {
    Error::invalid(format!(
        "{metric} has nothing to measure: no label counts; every label is {IGNORED} or masked, or there are no rows"
    ))
}

/// Refuses labels that are the model's own input, labels outside 0 to classes - 1, and NaN logits where
/// labels count.
pub(super) fn check(
    predictions: &Predictions,
    metric: &str,
    logits: &Tensor,
    labels: &Tensor,
    counts: &Tensor,
) -> Result<()> {
    if let Some(column) = predictions.labels_are_inputs() {
        return Err(Error::invalid(format!(
            "{metric}: the labels are the column `{column}` that the model reads, so each token's logits would be compared with the token itself: to measure a causal language model on the next token, use `next_token({metric})`"
        )));
    }
    within_classes(logits, labels, counts, true)
        .map_err(|error| Error::invalid(format!("{metric}: {error}")))?;
    refuse_nan(metric, logits, &logits.f_isnan()?.f_any_dim(-1, false)?.f_logical_and(counts)?)
}

/// Refuses class labels outside 0 to classes - 1, other than -100, for any metric. Labels whose shape is not
/// that of classes, and labels of a model with one logit, are left to the metric. The error names the example
/// if `by_example` is true.
pub(crate) fn labels_within_classes<R: Role>(predictions: &Predictions<R>, by_example: bool) -> Result<()> {
    if R::NAME != Logits::NAME {
        return Ok(());
    }
    for (logits, labels) in predictions.values().iter().zip(predictions.labels()) {
        let size = logits.size();
        let Some((&classes, rest)) = size.split_last() else { continue };
        if classes < 2 || rest != labels.size() || labels.f_kind()? != Kind::Int64 {
            continue;
        }
        let mut counts = counts(labels)?;
        if let Some(mask) = predictions.mask().filter(|mask| mask.size() == labels.size()) {
            counts = counts.f_logical_and(mask).in_stage("logits_mask")?;
        }
        within_classes(logits, labels, &counts, by_example)?;
    }
    Ok(())
}

fn within_classes(logits: &Tensor, labels: &Tensor, counts: &Tensor, by_example: bool) -> Result<()> {
    let classes = logits.size().last().copied().unwrap_or(0);
    let outside = labels.f_lt(0)?.f_logical_or(&labels.f_ge(classes)?)?.f_logical_and(counts)?;
    let Some(place) = first(&outside)? else { return Ok(()) };
    let label = labels.f_reshape([-1])?.f_int64_value(&[place])?;
    let which = match by_example {
        true => format!("the label of {}", named(place, &labels.size(), "token")),
        false => "a label".to_owned(),
    };
    Err(Error::invalid(format!(
        "{which} is {label}, but the logits have {classes} classes: labels are 0 to {}, or {IGNORED} to ignore a position",
        classes - 1
    )))
}

/// NaN logits have no largest class. scikit-learn 1.9.1 refuses it too ("Input y_pred contains NaN").
fn refuse_nan(metric: &str, logits: &Tensor, nan: &Tensor) -> Result<()> {
    let Some(place) = first(nan)? else { return Ok(()) };
    let last = if nan.dim() == logits.dim() { "class" } else { "token" };
    Err(Error::invalid(format!(
        "{metric}: a logit of {} is NaN: the model has no prediction there",
        named(place, &nan.size(), last)
    )))
}

/// The index of the first true element in the flattened tensor.
fn first(flags: &Tensor) -> Result<Option<i64>> {
    let places = flags.f_reshape([-1])?.f_nonzero()?;
    if places.numel() == 0 { Ok(None) } else { Ok(Some(places.f_int64_value(&[0, 0])?)) }
}

/// `example 3` or `example 3, token 5`: names an element of a tensor of this shape; `last` names the last
/// dimension.
fn named(place: i64, shape: &[i64], last: &str) -> String {
    match shape {
        [rows, length, classes] => {
            let token = named(place / classes.max(&1), &[*rows, *length], "token");
            format!("{token}, {last} {}", place % classes.max(&1))
        }
        [_, length] => format!("example {}, {last} {}", place / length.max(&1), place % length.max(&1)),
        _ => format!("example {place}"),
    }
}

/// The logits and labels of a model with one head.
pub(super) fn one_head<'p>(metric: &str, predictions: &'p Predictions) -> Result<(&'p Tensor, &'p Tensor)> {
    let [logits] = predictions.logits() else {
        return Err(Error::invalid(format!(
            "{metric} needs one head, but this model has {}: write your own `Metric` over `logits()`; for answers in text use `SquadF1` and `SquadExactMatch`",
            predictions.logits().len()
        )));
    };
    let [labels] = predictions.labels() else {
        return Err(Error::invalid(format!(
            "{metric} needs labels: give the adaptor the role `labels`, or the batch a column `labels`"
        )));
    };
    Ok((logits, labels))
}

/// The problem type of this head with these labels, by the same table that its loss uses.
pub(super) fn problem(
    metric: &str,
    predictions: &Predictions,
    logits: &Tensor,
    labels: &Tensor,
) -> Result<ProblemType> {
    ProblemType::of(predictions.problem(), &logits.size(), labels)
        .map_err(|error| Error::invalid(format!("{metric}: {error}")))
}

/// All values of a tensor.
pub(super) fn integers(tensor: &Tensor) -> Result<Vec<i64>> {
    Ok(Vec::try_from(&tensor.f_to_kind(Kind::Int64)?.f_reshape([-1])?)?)
}

#[cfg(test)]
pub(super) mod cases {
    //! Predictions for the metrics' tests.

    use super::{Predictions, Tensor};

    /// Predictions of these classes, out of `classes`, with these labels.
    pub(in super::super) fn single(classes: i64, predicted: &[i64], labels: &[i64]) -> Predictions {
        let logits = Tensor::from_slice(predicted).one_hot(classes).to_kind(tch::Kind::Float);
        Predictions::new(vec![logits], vec![Tensor::from_slice(labels)], None).unwrap()
    }

    /// The example behind the golden values of scikit-learn.
    pub(in super::super) fn four_classes() -> Predictions {
        single(4, &[0, 2, 2, 2, 1, 1, 0, 1, 0, 0, 1, 1], &[0, 1, 2, 2, 1, 0, 3, 1, 2, 0, 1, 2])
    }

    /// Three classes, any number of which may apply to an example.
    pub(in super::super) fn multi_label() -> Predictions {
        let logits = [[2.0_f32, -1.0, -0.5], [-1.0, 0.1, 3.0], [1.0, -4.0, 0.0], [-1.0, -1.0, -1.0]];
        let labels = [[1.0_f32, 0.0, 1.0], [0.0, 0.0, 1.0], [1.0, 1.0, 0.0], [0.0, 0.0, 0.0]];
        Predictions::new(vec![Tensor::from_slice2(&logits)], vec![Tensor::from_slice2(&labels)], None)
            .unwrap()
    }
}
