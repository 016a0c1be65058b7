//! Stages, and what flows between them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Combine, Projection};
use crate::cache::{Keep, Payload};
use crate::loss::Average;
use crate::side::Owner;

/// The position of a stage in a [`Plan`](super::Plan).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StageId(pub(super) u32);

/// A step of the plan with the name that errors, metrics and drawings use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Stage {
    /// Unique in its plan.
    pub name: String,
    /// What it does.
    pub kind: StageKind,
}

/// What a stage does.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StageKind {
    /// Brings the batch.
    Batch,
    /// Runs a teacher: frozen, in evaluation mode, without gradients.
    Teacher {
        /// Which of the pipeline's teachers.
        index: usize,
    },
    /// Runs the student.
    Student,
    /// Reads roles from a model's output, which is dropped afterwards.
    Adaptor {
        /// Whose output.
        owner: Owner,
        /// The roles it can give.
        roles: Vec<String>,
    },
    /// Reads a teacher's features of rows that a cache holds, so that the teacher need not run, and keeps
    /// those that it computed. Put in by [`passes::recall`](super::passes::recall).
    Recall(RecallStage),
    /// Brings the student's features to the teacher's width.
    Projection(Projection),
    /// Compares features.
    Loss(LossStage),
    /// Adds the weighted losses up.
    Sum,
}

/// The cache of one teacher as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecallStage {
    /// Which of the pipeline's teachers, counted from 0.
    pub teacher: usize,
    /// Where the rows are kept.
    pub place: String,
    /// What is kept of a feature.
    pub payload: Payload,
    /// The features that are kept of a row.
    pub keeps: Vec<Keep>,
}

/// A loss as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LossStage {
    /// The loss's name.
    pub loss: String,
    /// Its options.
    pub options: serde_json::Value,
    /// The factor of its value in the sum.
    pub weight: f64,
    /// The name of the schedule of that factor, where it changes over the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// What it is divided by.
    pub average: Average,
    /// How several teachers' logits become one, where it reads those of several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combine: Option<Combine>,
    /// Whether the teacher's highest score is first exchanged with that of the student's label.
    #[serde(default, skip_serializing_if = "is_false")]
    pub probability_shift: bool,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes fields by reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// What flows from one stage to another.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Flow {
    /// The whole batch.
    Batch,
    /// A model's output.
    Output,
    /// Features of a role.
    Feature {
        /// The role.
        role: String,
        /// The layers in the order the reader takes them; all of them where it is `None`.
        layers: Option<Vec<i64>>,
    },
    /// A weighted loss.
    Term,
}

impl fmt::Display for Flow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Flow::Batch => formatter.write_str("batch"),
            Flow::Output => formatter.write_str("output"),
            Flow::Feature { role, layers: None } => formatter.write_str(role),
            Flow::Feature { role, layers: Some(layers) } => {
                let layers: Vec<String> = layers.iter().map(i64::to_string).collect();
                write!(formatter, "{role}[{}]", layers.join(", "))
            }
            Flow::Term => formatter.write_str("term"),
        }
    }
}
