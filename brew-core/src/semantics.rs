//! The two sets of numeric rules: the textbook's and TextBrewer's.

use serde::{Deserialize, Serialize};

/// Which of two sets of numeric rules a run follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Semantics {
    /// The textbook's: projections are clipped with the student, weight decay spares biases and
    /// norms, a window of accumulated batches divides by what the whole window counts, and the
    /// schedule of a weight multiplies it.
    #[default]
    Exact,
    /// TextBrewer's: only the student is clipped, weight decay reaches every parameter, a window is
    /// the mean of its batches' means, and the value of a weight's schedule stands in its place after
    /// the first step.
    TextBrewer,
}
