//! The two sets of numeric rules: exact and TextBrewer's.

use serde::{Deserialize, Serialize};

/// Which of two sets of numeric rules a run follows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Semantics {
    /// The textbook's rules: projections are clipped together with the student, weight decay exempts biases
    /// and norms, a window of accumulated batches divides by the counts of the whole window, and a weight's
    /// schedule multiplies the weight.
    #[default]
    Exact,
    /// TextBrewer's rules: only the student is clipped, weight decay applies to every parameter, a window is
    /// the mean of its batches' means, and a weight's schedule replaces the weight after the first step.
    TextBrewer,
}
