//! Projections as data: the widths they join, what follows the linear map, and how they are trained.

use serde::{Deserialize, Serialize};

/// A learned map from the student's width to the teacher's.
///
/// Weights start from N(0, 0.02), biases from 0, as in TextBrewer; they are trained with the student
/// beside it: [`Trained::projections`](crate::train::Trained::projections) has them after a run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Projection {
    /// What follows the linear map.
    pub activation: Activation,
    /// The width of the student's features.
    pub student: i64,
    /// The width of the teacher's features.
    pub teacher: i64,
    /// Settings of the optimizer that are this projection's own.
    #[serde(default, skip_serializing_if = "OptimizerChanges::is_empty")]
    pub optimizer: OptimizerChanges,
}

/// Settings of the optimizer that differ from the run's; what is `None` does not.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OptimizerChanges {
    /// The learning rate before the schedule.
    #[serde(rename = "lr", default, skip_serializing_if = "Option::is_none")]
    pub learning_rate: Option<f64>,
    /// The decay rates of the two moments.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub betas: Option<(f64, f64)>,
    /// What is added to the root of the second moment.
    #[serde(rename = "eps", default, skip_serializing_if = "Option::is_none")]
    pub epsilon: Option<f64>,
    /// The decoupled weight decay.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub weight_decay: Option<f64>,
}

impl OptimizerChanges {
    /// Whether nothing differs.
    pub fn is_empty(&self) -> bool {
        *self == OptimizerChanges::default()
    }
}

/// What follows a projection's linear map.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Activation {
    /// Nothing.
    Linear,
    /// max(x, 0).
    Relu,
    /// tanh(x).
    Tanh,
}

impl Activation {
    /// The name in configs.
    pub fn name(&self) -> &'static str {
        match self {
            Activation::Linear => "linear",
            Activation::Relu => "relu",
            Activation::Tanh => "tanh",
        }
    }
}

impl Projection {
    /// A linear map from the student's width to the teacher's (TextBrewer's `linear`).
    pub fn linear(student: i64, teacher: i64) -> Self {
        Projection::new(Activation::Linear, student, teacher)
    }

    /// A linear map, then max(x, 0) (TextBrewer's `relu`).
    pub fn relu(student: i64, teacher: i64) -> Self {
        Projection::new(Activation::Relu, student, teacher)
    }

    /// A linear map, then tanh(x) (TextBrewer's `tanh`).
    pub fn tanh(student: i64, teacher: i64) -> Self {
        Projection::new(Activation::Tanh, student, teacher)
    }

    /// A linear map, then this activation.
    pub fn new(activation: Activation, student: i64, teacher: i64) -> Self {
        Projection { activation, student, teacher, optimizer: OptimizerChanges::default() }
    }

    /// A learning rate of its own, before the run's schedule.
    #[must_use]
    pub fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.optimizer.learning_rate = Some(learning_rate);
        self
    }

    /// A weight decay of its own.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.optimizer.weight_decay = Some(weight_decay);
        self
    }
}
