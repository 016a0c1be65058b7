//! The stages of a plan, and the flows between them.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::{Combine, Projection};
use crate::cache::{KeptFeature, Payload};
use crate::loss::Average;
use crate::rollout::Rollout;
use crate::side::Owner;

/// The position of a stage in a [`Plan`](super::Plan).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct StageId(pub(super) u32);

/// A stage of the plan, with the name that errors, metrics and drawings use.
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
    /// Lets the student answer the prompts of a step, before its rows are counted. Inserted by
    /// [`passes::rollout`](super::passes::rollout).
    Rollout(Rollout),
    /// Runs a teacher: frozen, in evaluation mode, without gradients.
    Teacher {
        /// The index of the teacher in the pipeline, from 0.
        index: usize,
    },
    /// Runs the student.
    Student,
    /// Reads roles from a model's output, which is dropped afterwards.
    Adaptor {
        /// The owner of that output.
        owner: Owner,
        /// The roles it provides.
        roles: Vec<String>,
    },
    /// Reads a teacher's features from a cache, so that the teacher need not run, and stores newly computed
    /// ones. Inserted by [`passes::recall`](super::passes::recall).
    Recall(RecallStage),
    /// Projects the student's features to the teacher's width.
    Projection(Projection),
    /// Compares features.
    Loss(LossStage),
    /// Adds up the weighted losses.
    Sum,
}

/// The cache of one teacher as data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecallStage {
    /// The index of the teacher in the pipeline, from 0.
    pub teacher: usize,
    /// Where the rows are stored.
    pub place: String,
    /// What is stored of a feature.
    pub payload: Payload,
    /// The features stored per row.
    pub keeps: Vec<KeptFeature>,
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
    /// The name of the factor's schedule, if it changes over the run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<String>,
    /// What it is divided by.
    pub average: Average,
    /// How several teachers' logits are combined, if it reads several.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub combine: Option<Combine>,
    /// Whether the teacher's highest score is first swapped with the score of the student's label.
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
        /// The layers in the order that the reader takes them; `None` for all.
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
