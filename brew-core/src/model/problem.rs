//! Problem types: which labels a classifier's head is trained on, and how its logits are read.
//!
//! This is decided only here, for the models' losses, the check before the first step, metrics, and
//! predictions. The rules are transformers' (5.24: `ForSequenceClassificationLoss` for labels,
//! `TextClassificationPipeline.postprocess` for predictions); cases that it computes by accident or where it
//! fails without an explanation are refused with a fix.

use std::fmt;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};
use tch::{Kind, Tensor};

use crate::error::{Error, Result};
use crate::role::counts;
use crate::words::shape;

/// The kind of labels of a head, which determines its loss: `problem_type` in a `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ProblemType {
    /// One number per logit: squared error.
    Regression,
    /// One class per example or token: cross entropy. Needs at least two classes.
    SingleLabelClassification,
    /// For each class whether it applies, from 0 to 1: binary cross entropy.
    MultiLabelClassification,
}

impl fmt::Display for ProblemType {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            ProblemType::Regression => "regression",
            ProblemType::SingleLabelClassification => "single_label_classification",
            ProblemType::MultiLabelClassification => "multi_label_classification",
        })
    }
}

/// The form of labels for logits of `(rows…, classes)`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Form {
    /// `(rows…)`: one label per example or token.
    PerRow,
    /// `(rows…, classes)`: one label per logit.
    PerLogit,
    Other,
}

impl Form {
    /// Whether logits of this shape are one per row, and the form of labels of that shape beside them.
    fn of(labels: &[i64], logits: &[i64]) -> (bool, Self) {
        // One number per row is one logit.
        let (one, rows) = match logits {
            [_] => (true, logits),
            [rows @ .., classes] => (*classes == 1, rows),
            [] => (false, logits),
        };
        let form = match labels {
            found if found == rows => Form::PerRow,
            found if found == logits => Form::PerLogit,
            _ => Form::Other,
        };
        (one, form)
    }
}

impl ProblemType {
    /// The problem type of these labels for a head with logits of this shape, `(batch, classes)` or `(batch,
    /// length, classes)`, whose config may state a problem type.
    ///
    /// If none is stated, one logit means regression, integers mean one class per row, and floats mean
    /// several labels per row.
    ///
    /// | stated | logits | integers per row | integers per logit | floats per row | floats per logit |
    /// |---|---|---|---|---|---|
    /// | none | one | regression | regression | regression | regression |
    /// | none | more | single label | refused | refused | multi label |
    /// | regression | one | regression | regression | regression | regression |
    /// | regression | more | refused | regression | refused | regression |
    /// | single label | one | refused | refused | refused | refused |
    /// | single label | more | single label | refused | refused | refused |
    /// | multi label | one | refused | refused | multi label | multi label |
    /// | multi label | more | refused | refused | refused | multi label |
    ///
    /// # Errors
    /// The mismatch, with a fix.
    pub fn of(stated: Option<Self>, logits: &[i64], labels: &Tensor) -> Result<Self> {
        let sizes = labels.size();
        let (one, form) = Form::of(&sizes, logits);
        let kind = labels.f_kind()?;
        let integers = matches!(kind, Kind::Int64 | Kind::Int | Kind::Int16 | Kind::Int8 | Kind::Uint8);
        let floats = matches!(kind, Kind::Float | Kind::Double | Kind::Half | Kind::BFloat16);
        let refused = |wanted: &str, mend: &str| {
            let head = match stated {
                Some(stated) => format!("`problem_type` is {stated}"),
                None => "the head states no `problem_type`".to_owned(),
            };
            Err(Error::invalid(format!(
                "`labels` is {} {kind:?} and the logits are {}, and {head}: {wanted}; {mend}",
                shape(&sizes),
                shape(logits)
            )))
        };
        if !integers && !floats {
            return refused("labels are integers or floats", "declare the column as i64 or f32");
        }
        Self::fitting(stated, one, form, integers).or_else(|(wanted, mend)| refused(wanted, mend))
    }

    /// One cell of the table of [`of`](Self::of), or what is required and the fix.
    fn fitting(
        stated: Option<Self>,
        one: bool,
        form: Form,
        integers: bool,
    ) -> std::result::Result<Self, (&'static str, &'static str)> {
        use ProblemType::{
            MultiLabelClassification as Multi, Regression, SingleLabelClassification as Single,
        };
        match (stated, one, form, integers) {
            (None | Some(Regression), true, Form::PerRow | Form::PerLogit, _)
            | (Some(Regression), false, Form::PerLogit, _) => Ok(Regression),
            (None | Some(Single), false, Form::PerRow, true) => Ok(Single),
            (None, false, Form::PerLogit, false)
            | (Some(Multi), false, Form::PerLogit, false)
            | (Some(Multi), true, Form::PerRow | Form::PerLogit, false) => Ok(Multi),

            (Some(Single), true, ..) => Err(("a softmax over one logit is always 1", ONE_LOGIT)),
            (None | Some(Regression), ..) if one => {
                Err(("there must be one number per logit", "give a column of one number per example"))
            }
            (Some(Regression), ..) => Err((
                "there must be one number per logit",
                "give lists of as many numbers, or a head with one logit",
            )),
            (Some(Multi), _, _, true) => Err(("there must be 0 or 1 for each class, as floats", FLOATS)),
            (Some(Multi), ..) => Err(("there must be 0 or 1 for each class", FLOATS)),
            (None | Some(Single), _, Form::PerLogit, _) => {
                Err(("there must be one class per row, as an integer", SEVERAL))
            }
            (None | Some(Single), _, Form::PerRow, false) => Err((
                "there must be one class per row, as an integer",
                "declare the column as i64, or give the head one logit if they are numbers",
            )),
            (None | Some(Single), ..) => Err((
                "there must be one class per row, as an integer, or floats in the shape of the logits",
                "give labels in one of these shapes",
            )),
        }
    }

    /// Refuses a problem type that a head with this many classes cannot have.
    pub(crate) fn check_classes(self, classes: i64) -> Result<()> {
        if self == ProblemType::SingleLabelClassification && classes < 2 {
            return Err(Error::invalid(format!(
                "{self} needs at least two classes, but the head has {classes}: a softmax over one logit is always 1; {ONE_LOGIT}"
            )));
        }
        Ok(())
    }

    /// The problem with the values of labels that [`ProblemType::of`] accepts; `None` if there is none.
    pub(crate) fn misfit(self, labels: &Tensor, classes: i64) -> Result<Option<String>> {
        let first = |outside: Tensor| -> Result<Option<f64>> {
            let found = labels.f_masked_select(&outside)?;
            Ok(if found.numel() == 0 { None } else { Some(found.f_double_value(&[0])?) })
        };
        let outside = |low: f64, high: f64| -> Result<Tensor> {
            Ok(labels.f_ge(low)?.f_logical_and(&labels.f_le(high)?)?.f_logical_not()?)
        };
        Ok(match self {
            ProblemType::SingleLabelClassification => {
                let outside = outside(0.0, classes as f64 - 1.0)?.f_logical_and(&counts(labels)?)?;
                first(outside)?.map(|label| {
                    format!(
                        "a label is {label}, but the logits have {classes} classes: labels are 0 to {}, or -100 to ignore a position",
                        classes - 1
                    )
                })
            }
            ProblemType::MultiLabelClassification => first(outside(0.0, 1.0)?)?.map(|label| {
                format!(
                    "a label is {label}, but each class either applies or does not: labels must lie in 0 to 1"
                )
            }),
            ProblemType::Regression => first(labels.f_isfinite()?.f_logical_not()?)?
                .map(|label| format!("a label is {label}: labels of a regression must be finite")),
        })
    }
}

const ONE_LOGIT: &str = "give the head two classes, or `.problem(ProblemType::Regression)` for numbers, or `.problem(ProblemType::MultiLabelClassification)` with float labels for a yes or no";
const FLOATS: &str = "give a list of 0 and 1 per example as f32 (`FloatLabelTextBatch`), or `.problem(ProblemType::SingleLabelClassification)` if each example has one class";
const SEVERAL: &str = "if several classes may apply, declare the column as f32 (`FloatLabelTextBatch`) and say `.problem(ProblemType::MultiLabelClassification)`";

/// The problem type of a head: what its config states, or else what the first labels imply. transformers also
/// stores the latter in the config, so that a saved model says how to read it.
#[derive(Debug, Default)]
pub(crate) struct HeadProblem(OnceLock<ProblemType>);

impl HeadProblem {
    pub(crate) fn new(stated: Option<ProblemType>) -> Self {
        let problem = HeadProblem::default();
        problem.learn(stated);
        problem
    }

    pub(crate) fn get(&self) -> Option<ProblemType> {
        self.0.get().copied()
    }

    /// Sets the problem type if there is none yet.
    pub(crate) fn learn(&self, found: Option<ProblemType>) {
        if let Some(found) = found {
            let _ = self.0.set(found);
        }
    }

    /// The problem type of these labels, by [`ProblemType::of`].
    pub(crate) fn of(&self, logits: &[i64], labels: &Tensor) -> Result<ProblemType> {
        let found = ProblemType::of(self.get(), logits, labels)?;
        self.learn(Some(found));
        Ok(found)
    }
}
