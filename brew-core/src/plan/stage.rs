//! The kinds of stages, one declarative row each.
//!
//! The row says what a kind reads, what it provides, whether it needs a gradient and what state it
//! keeps; the checks, the explanation and the drawings all read it, so a new kind is one variant and
//! one row.

use std::fmt;
use std::ops::RangeInclusive;

use serde::{Deserialize, Serialize};

use super::Projection;
use crate::loss::Average;

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
    /// Brings the student's features to the teacher's width.
    Projection(Projection),
    /// Compares features.
    Loss(LossStage),
    /// Adds the weighted losses up.
    Sum,
}

/// Whose features: a teacher's or the student's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Owner {
    /// The teacher of this index.
    Teacher(usize),
    /// The student.
    Student,
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
    /// What it is divided by, where that is known before the pass.
    pub average: Option<Average>,
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

/// What a kind of stage reads, provides, needs and keeps.
#[derive(Debug)]
pub struct KindRow {
    /// The kind's name.
    pub name: &'static str,
    /// How many flows it takes.
    pub inputs: RangeInclusive<usize>,
    /// What it reads, in words.
    pub reads: &'static str,
    /// What it provides, in words.
    pub provides: &'static str,
    /// Whether gradients pass through it.
    pub gradient: bool,
    /// What it keeps from step to step, in words; empty for nothing.
    pub state: &'static str,
}

/// One row a kind, in the order of the life of a batch.
#[rustfmt::skip]
pub const KINDS: &[KindRow] = &[
    KindRow { name: "batch", inputs: 0..=0, reads: "the data", provides: "a batch", gradient: false, state: "" },
    KindRow { name: "teacher", inputs: 1..=1, reads: "a batch", provides: "an output", gradient: false, state: "" },
    KindRow { name: "student", inputs: 1..=1, reads: "a batch", provides: "an output", gradient: true, state: "parameters" },
    KindRow { name: "adaptor", inputs: 1..=2, reads: "an output and its batch", provides: "features", gradient: true, state: "" },
    KindRow { name: "projection", inputs: 1..=1, reads: "features", provides: "features", gradient: true, state: "parameters" },
    KindRow { name: "loss", inputs: 1..=usize::MAX, reads: "features", provides: "a term", gradient: true, state: "" },
    KindRow { name: "sum", inputs: 1..=usize::MAX, reads: "terms", provides: "the loss", gradient: true, state: "" },
];

impl StageKind {
    /// The row of this kind.
    pub fn row(&self) -> &'static KindRow {
        let index = match self {
            StageKind::Batch => 0,
            StageKind::Teacher { .. } => 1,
            StageKind::Student => 2,
            StageKind::Adaptor { .. } => 3,
            StageKind::Projection(_) => 4,
            StageKind::Loss(_) => 5,
            StageKind::Sum => 6,
        };
        &KINDS[index]
    }

    /// Whether the student's gradient passes through this stage.
    pub fn needs_gradient(&self) -> bool {
        self.row().gradient && !matches!(self, StageKind::Adaptor { owner: Owner::Teacher(_), .. })
    }
}
