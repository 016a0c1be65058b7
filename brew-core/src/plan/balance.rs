//! Balancing: how a pipeline's losses are scaled against one another, beyond their weights and schedules.
//!
//! With L_i the value of term i and w_i its weight:
//!
//! | balance | the sum |
//! |---|---|
//! | weights | sum_i w_i L_i |
//! | magnitude of r | w_r L_r + sum_{i != r} w_i c_i L_i, where c_i = abs(L_r) / abs(L_i) without gradient, 0 where L_i is 0 |
//! | uncertainty | sum_i w_i (exp(-s_i) L_i + s_i) / 2, where each s_i is learned, and 0 at first |
//!
//! s_i is a log variance. Sources: uncertainty: Kendall, Gal and Cipolla, "Multi-Task Learning Using
//! Uncertainty to Weigh Losses" (2018), equation 7 with s = log sigma^2; magnitude: NVIDIA's ModelOpt, whose
//! balancer scales distillation to the size of the original loss.

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a pipeline's losses are balanced:
///
/// - [`Weights`](Balance::Weights): sum_i w_i L_i
/// - [`MagnitudeOf`](Balance::MagnitudeOf): every other term is scaled to the size of one of them
/// - [`Uncertainty`](Balance::Uncertainty): sum_i w_i (exp(-s_i) L_i + s_i) / 2 with learned s_i
///
/// ```
/// use brew_core::plan::Balance;
///
/// let balance = Balance::magnitude_of("hard_labels");
/// assert_eq!(serde_json::to_string(&balance).unwrap(), r#"{"magnitude_of":"hard_labels"}"#);
/// assert_eq!(serde_json::to_string(&Balance::Uncertainty).unwrap(), r#""uncertainty""#);
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Balance {
    /// Only by the declared weights.
    #[default]
    Weights,
    /// Each term is scaled to the size of the loss with this name, batch by batch, and then weighted.
    MagnitudeOf(String),
    /// Each term has a variance that is learned with the student.
    Uncertainty,
}

impl Balance {
    /// Scales every other term to the size of the loss with this name, such as `hard_labels`, `kd_ce` or
    /// `hidden_mse_t4_s2`.
    pub fn magnitude_of(loss: impl Into<String>) -> Self {
        Balance::MagnitudeOf(loss.into())
    }

    /// Whether only the declared weights apply.
    pub(crate) fn is_by_weights(&self) -> bool {
        *self == Balance::Weights
    }
}

impl fmt::Display for Balance {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Balance::Weights => formatter.write_str("by weights"),
            Balance::MagnitudeOf(loss) => write!(formatter, "each scaled to the size of {loss}"),
            Balance::Uncertainty => formatter.write_str("by learned uncertainty"),
        }
    }
}
