//! How often two models predict the same.

use tch::{Kind, Tensor};

use super::Predictions;
use crate::error::{Error, Result};
use crate::model::ProblemType;

impl Predictions {
    /// The share, 0 to 1, of examples (for token classes, of tokens that count) for which both predict the
    /// same class; with several heads, all must agree. If several classes may apply (the model's
    /// `problem_type` is `multi_label_classification`), both must predict the same set.
    ///
    /// # Errors
    /// Predictions for different data, or predicted numbers, which have no class.
    pub fn agreement(&self, other: &Predictions) -> Result<f64> {
        let mut agree: Option<Tensor> = None;
        for (ours, theirs) in self.values.iter().zip(&other.values) {
            if ours.size() != theirs.size() {
                return Err(Error::invalid(format!(
                    "predictions of {:?} cannot be compared with {:?}: they are for different data",
                    ours.size(),
                    theirs.size()
                )));
            }
            let equal = match self.problem.or(other.problem) {
                Some(ProblemType::MultiLabelClassification) => {
                    ours.f_gt(0.0)?.f_eq_tensor(&theirs.f_gt(0.0)?)?.f_all_dim(-1, false)?
                }
                Some(ProblemType::Regression) => return Err(numbers_do_not_agree()),
                _ if self.values.len() == 1 && ours.size().last() == Some(&1) => {
                    return Err(numbers_do_not_agree());
                }
                _ => ours.f_argmax(-1, false)?.f_eq_tensor(&theirs.f_argmax(-1, false)?)?,
            };
            agree = Some(match agree {
                Some(before) => before.f_logical_and(&equal)?,
                None => equal,
            });
        }
        let Some(agree) = agree else { return Ok(0.0) };
        let agree = match &self.mask {
            Some(mask) => agree.f_masked_select(mask)?,
            None => agree,
        };
        Ok(if agree.numel() == 0 { 0.0 } else { agree.f_mean(Kind::Double)?.f_double_value(&[])? })
    }
}

fn numbers_do_not_agree() -> Error {
    Error::invalid(
        "one logit, or the numbers of a regression, have no class that two models could agree on: compare them with the same labels by `Pearson` or `Spearman`",
    )
}
