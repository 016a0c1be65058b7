//! Policies for combining several teachers' logits into the ones that a loss compares with the student's.
//!
//! For a row (an example, or one position of it), let t_k be the logits of teacher k of K, T the loss's
//! temperature, p_k = softmax(t_k / T) and y the label. A policy gives logits t, or weights w_k of the
//! teachers with sum_k w_k = 1:
//!
//! | policy | formula |
//! |---|---|
//! | mean of logits | t = sum_k t_k / K |
//! | mean of probabilities | w_k = 1 / K, mixed |
//! | weighted | t = sum_k w_k t_k, w_k = weight k / sum of the weights |
//! | by confidence | w_k = (1 - exp(c_k) / sum_j exp(c_j)) / (K - 1), c_k = -log softmax(t_k)_y, mixed |
//! | by entropy | w_k = (1 / h_k) / sum_j (1 / h_j), h_k the entropy of softmax(t_k), mixed |
//! | routed by example | t = t_r, where r is the row's `teacher_index` |
//!
//! *Mixed* is the weighted mean of probabilities, p = sum_k w_k p_k, expressed as logits whose softmax at T
//! is p: t = T log p + sum_k w_k T logsumexp(t_k / T). The last term does not change the softmax; it
//! preserves the offset of the logits, so that teachers that agree give exactly the logits that they agree
//! on.
//!
//! Sources: the mean of logits is TextBrewer's `MultiTeacherDistiller` (Liu, He, Chen and Gao, "Improving
//! Multi-Task Deep Neural Networks via Knowledge Distillation", 2019), which at any temperature is the
//! geometric mean of the probabilities; geometric and arithmetic mean: Hinton, Vinyals and Dean,
//! "Distilling the Knowledge in a Neural Network" (2015), section 3; by confidence: Zhang, Chen and
//! Wang, "Confidence-Aware Multi-Teacher Knowledge Distillation" (2022), equation 3; by entropy, the
//! surer teacher at a larger rate: Kwon, Na, Lee and Kim, "Adaptive Knowledge Distillation Based on
//! Entropy" (2020).

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::role::{Labels, Role, TeacherIndex};

/// How several teachers are combined for a loss on logits:
///
/// - [`MeanOfLogits`](Combine::MeanOfLogits): t = sum_k t_k / K
/// - [`MeanOfProbabilities`](Combine::MeanOfProbabilities): p = sum_k softmax(t_k / T) / K
/// - [`Weighted`](Combine::Weighted): t = sum_k w_k t_k
/// - [`ByConfidence`](Combine::ByConfidence): p = sum_k w_k softmax(t_k / T), with less weight for a teacher
///   whose cross-entropy with the label is large
/// - [`ByEntropy`](Combine::ByEntropy): the same, with less weight for a teacher whose entropy is large
/// - [`RoutedByExample`](Combine::RoutedByExample): the teacher that the batch names
///
/// A probability shift applies after combining, to the combined logits. The teachers' masks must be equal to
/// one another and to the student's. Rows outside the mask may hold anything.
///
/// ```
/// use brew_core::prelude::*;
/// use brew_core::plan::Combine;
///
/// let loss = loss::KdCe::at(8.0).combining(Combine::MeanOfProbabilities).weight(0.5);
/// assert_eq!(serde_json::to_string(&Combine::weighted([2.0, 1.0])).unwrap(), r#"{"weighted":[2.0,1.0]}"#);
/// ```
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Combine {
    /// The mean of their logits, as in TextBrewer.
    #[default]
    MeanOfLogits,
    /// The mean of their probabilities at the loss's temperature, which must be the same for all rows.
    MeanOfProbabilities,
    /// The weighted mean of their logits: one number per teacher, not negative, with any sum above 0.
    Weighted(Vec<f64>),
    /// The mean of their probabilities, each row weighted by how well a teacher predicts its label. A row
    /// without a label (a negative label) weights them equally. Reads the student's `labels`.
    ByConfidence,
    /// The mean of their probabilities, each row weighted by how sure a teacher is.
    ByEntropy,
    /// Each row learns from the teacher that the student's role `teacher_index` names.
    RoutedByExample,
}

impl Combine {
    /// The weighted mean of logits, one number per teacher.
    pub fn weighted(weights: impl Into<Vec<f64>>) -> Self {
        Combine::Weighted(weights.into())
    }

    /// Whether it averages probabilities rather than logits.
    pub(crate) fn mixes_probabilities(&self) -> bool {
        matches!(self, Combine::MeanOfProbabilities | Combine::ByConfidence | Combine::ByEntropy)
    }

    /// The student's role that it also reads.
    pub(crate) fn reads(&self) -> Option<&'static str> {
        match self {
            Combine::ByConfidence => Some(Labels::NAME),
            Combine::RoutedByExample => Some(TeacherIndex::NAME),
            _ => None,
        }
    }

    /// What keeps it from combining this many teachers for a loss at this temperature (`None` if rows have
    /// their own).
    pub(crate) fn problems(&self, teachers: usize, temperature: Option<f64>) -> Vec<String> {
        let mut problems = Vec::new();
        if let Combine::Weighted(weights) = self {
            if weights.len() != teachers {
                problems.push(format!(
                    "{} weights for {teachers} teachers: give one number per teacher, in their order",
                    weights.len()
                ));
            }
            let usable = weights.iter().all(|weight| weight.is_finite() && *weight >= 0.0);
            if !usable || weights.iter().sum::<f64>() <= 0.0 {
                problems.push(format!(
                    "the teachers' weights are {weights:?}; they must be finite and not negative, and at least one above 0"
                ));
            }
        }
        if self.mixes_probabilities() && teachers > 1 && temperature.is_none() {
            problems.push(format!(
                "`{self}` averages probabilities at one temperature, but this loss gives every row its own: remove its temperature schedule, or combine by `mean_of_logits`"
            ));
        }
        problems
    }
}

/// The form that plans use.
impl fmt::Display for Combine {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = match self {
            Combine::MeanOfLogits => "mean_of_logits",
            Combine::MeanOfProbabilities => "mean_of_probabilities",
            Combine::Weighted(weights) => return write!(formatter, "weighted {weights:?}"),
            Combine::ByConfidence => "by_confidence",
            Combine::ByEntropy => "by_entropy",
            Combine::RoutedByExample => "routed_by_example",
        };
        formatter.write_str(name)
    }
}
