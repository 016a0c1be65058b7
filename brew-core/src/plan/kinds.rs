//! The kinds of stages, one declarative row each.
//!
//! A row says what a kind reads and provides, whether it needs a gradient, and what state it keeps. The
//! checks, the explanation and the drawings all use it, so a new kind needs one variant and one row.

use std::ops::RangeInclusive;

use super::StageKind;
use crate::side::Owner;

/// What a kind of stage reads, provides, needs and keeps.
#[derive(Debug)]
pub struct KindRow {
    /// The kind's name.
    pub name: &'static str,
    /// The number of input flows it takes.
    pub inputs: RangeInclusive<usize>,
    /// What it reads, in words.
    pub reads: &'static str,
    /// What it provides, in words.
    pub provides: &'static str,
    /// Whether gradients pass through it.
    pub gradient: bool,
    /// The state it keeps from step to step, in words; empty for none.
    pub state: &'static str,
}

/// One row per kind, in the order in which a batch passes through them.
#[rustfmt::skip]
pub const KINDS: &[KindRow] = &[
    KindRow { name: "batch", inputs: 0..=0, reads: "the data", provides: "a batch", gradient: false, state: "" },
    KindRow { name: "rollout", inputs: 1..=1, reads: "a batch", provides: "a batch", gradient: false, state: "" },
    KindRow { name: "teacher", inputs: 1..=1, reads: "a batch", provides: "an output", gradient: false, state: "" },
    KindRow { name: "student", inputs: 1..=1, reads: "a batch", provides: "an output", gradient: true, state: "parameters" },
    KindRow { name: "adaptor", inputs: 1..=2, reads: "an output and its batch", provides: "features", gradient: true, state: "" },
    KindRow { name: "recall", inputs: 2..=usize::MAX, reads: "a batch and features", provides: "features", gradient: false, state: "rows of features" },
    KindRow { name: "projection", inputs: 1..=usize::MAX, reads: "features", provides: "features", gradient: true, state: "parameters" },
    KindRow { name: "loss", inputs: 1..=usize::MAX, reads: "features", provides: "a term", gradient: true, state: "" },
    KindRow { name: "sum", inputs: 1..=usize::MAX, reads: "terms", provides: "the loss", gradient: true, state: "" },
];

impl StageKind {
    /// The row of this kind.
    pub fn row(&self) -> &'static KindRow {
        let index = match self {
            StageKind::Batch => 0,
            StageKind::Rollout(_) => 1,
            StageKind::Teacher { .. } => 2,
            StageKind::Student => 3,
            StageKind::Adaptor { .. } => 4,
            StageKind::Recall(_) => 5,
            StageKind::Projection(_) => 6,
            StageKind::Loss(_) => 7,
            StageKind::Sum => 8,
        };
        &KINDS[index]
    }

    /// Whether the student's gradient passes through this stage.
    pub fn needs_gradient(&self) -> bool {
        self.row().gradient && !matches!(self, StageKind::Adaptor { owner: Owner::Teacher(_), .. })
    }
}
