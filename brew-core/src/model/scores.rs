//! How a head's logits become scores.

use tch::{Kind, Tensor};

use super::problem::ProblemType;
use crate::error::{InStage, Result};

/// How a head's logits become scores, as in transformers' pipeline.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scores {
    /// Probabilities of mutually exclusive classes, which sum to 1.
    Softmax,
    /// For each class the probability that it applies.
    Sigmoid,
    /// The predicted numbers themselves, which are not probabilities.
    Numbers,
}

impl Scores {
    /// The scores of a head with this many logits per example, whose config states this problem type.
    pub fn of(stated: Option<ProblemType>, logits: i64) -> Self {
        match (stated, logits) {
            (Some(ProblemType::Regression), _) => Scores::Numbers,
            (Some(ProblemType::MultiLabelClassification), _) | (_, 1) => Scores::Sigmoid,
            _ => Scores::Softmax,
        }
    }

    /// `(…, classes)` logits as scores of that shape, float32.
    ///
    /// # Errors
    /// Those of libtorch.
    pub fn from_logits(self, logits: &Tensor) -> Result<Tensor> {
        let logits = logits.f_to_kind(Kind::Float).in_stage("scores")?;
        match self {
            Scores::Softmax => logits.f_softmax(-1, Kind::Float),
            Scores::Sigmoid => logits.f_sigmoid(),
            Scores::Numbers => return Ok(logits),
        }
        .in_stage("scores")
    }
}
