//! Learned projections as data: widths, activation and optimizer settings.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};
use tch::Tensor;

use crate::error::{Error, Result};

/// A learned map from the student's width to the teacher's.
///
/// Weights start from N(0, 0.02), biases from 0, as in TextBrewer; they are trained with the student and
/// available after a run from [`Trained::projections`](crate::train::Trained::projections).
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Projection {
    /// The activation after the linear map.
    pub activation: ProjectionActivation,
    /// The width of the student's features.
    pub student: i64,
    /// The width of the teacher's features.
    pub teacher: i64,
    /// The name under which several matches share it; `None` if it belongs to one match.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared: Option<String>,
    /// This projection's own optimizer settings.
    #[serde(default, skip_serializing_if = "OptimizerChanges::is_empty")]
    pub optimizer: OptimizerChanges,
}

impl Projection {
    /// A linear map from the student's width to the teacher's (TextBrewer's `linear`).
    pub fn linear(student: i64, teacher: i64) -> Self {
        Projection::new(ProjectionActivation::linear(), student, teacher)
    }

    /// A linear map, then max(x, 0) (TextBrewer's `relu`).
    pub fn relu(student: i64, teacher: i64) -> Self {
        Projection::new(ProjectionActivation::relu(), student, teacher)
    }

    /// A linear map, then tanh(x) (TextBrewer's `tanh`).
    pub fn tanh(student: i64, teacher: i64) -> Self {
        Projection::new(ProjectionActivation::tanh(), student, teacher)
    }

    /// A linear map, then this activation.
    pub fn new(activation: ProjectionActivation, student: i64, teacher: i64) -> Self {
        Projection { activation, student, teacher, shared: None, optimizer: OptimizerChanges::default() }
    }

    /// Shares it between all matches that use this name: one set of weights, trained by all of them and saved
    /// once as `projection_<name>`. All must declare the same projection.
    ///
    /// ```
    /// use brew_core::prelude::*;
    /// use brew_core::distill::{student_layer, teacher_layer};
    /// use brew_core::plan::Projection;
    ///
    /// let body = Projection::linear(312, 768).shared("body");
    /// let matches = [0, 1, 2].map(|layer| {
    ///     hidden(teacher_layer(3 * layer), student_layer(layer)).by(loss::HiddenMse).project(&body)
    /// });
    /// ```
    #[must_use]
    pub fn shared(self, name: impl Into<String>) -> Self {
        Projection { shared: Some(name.into()), ..self }
    }

    /// Sets its own learning rate, before the run's schedule.
    #[must_use]
    pub fn learning_rate(mut self, learning_rate: f64) -> Self {
        self.optimizer.learning_rate = Some(learning_rate);
        self
    }

    /// Sets its own weight decay.
    #[must_use]
    pub fn weight_decay(mut self, weight_decay: f64) -> Self {
        self.optimizer.weight_decay = Some(weight_decay);
        self
    }
}

impl From<&Projection> for Projection {
    fn from(projection: &Projection) -> Self {
        projection.clone()
    }
}

/// Optimizer settings that override the run's; `None` keeps the run's value.
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
    /// Whether nothing is overridden.
    pub fn is_empty(&self) -> bool {
        *self == OptimizerChanges::default()
    }
}

type Function = Arc<dyn Fn(&Tensor) -> Result<Tensor> + Send + Sync>;

/// The activation after a projection's linear map: a function, with its name in plans and configs.
///
/// ```
/// use brew_core::plan::{Projection, ProjectionActivation};
///
/// let gelu = ProjectionActivation::new("gelu", |features| Ok(features.f_gelu("none")?));
/// let projection = Projection::new(gelu, 312, 768);
/// assert_eq!(projection.activation.name(), "gelu");
/// ```
#[derive(Clone)]
pub struct ProjectionActivation {
    name: String,
    /// `None` if the plan was read from a file that names a custom activation.
    function: Option<Function>,
}

impl ProjectionActivation {
    /// Nothing.
    pub fn linear() -> Self {
        ProjectionActivation::new("linear", |features| Ok(features.shallow_clone()))
    }

    /// max(x, 0).
    pub fn relu() -> Self {
        ProjectionActivation::new("relu", |features| Ok(features.f_relu()?))
    }

    /// tanh(x).
    pub fn tanh() -> Self {
        ProjectionActivation::new("tanh", |features| Ok(features.f_tanh()?))
    }

    /// A custom activation: a function that preserves the shape of its input.
    pub fn new(
        name: impl Into<String>,
        function: impl Fn(&Tensor) -> Result<Tensor> + Send + Sync + 'static,
    ) -> Self {
        ProjectionActivation { name: name.into(), function: Some(Arc::new(function)) }
    }

    /// The name in plans and configs.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Applies it to features.
    pub(crate) fn apply(&self, features: &Tensor) -> Result<Tensor> {
        match &self.function {
            Some(function) => function(features),
            None => Err(Error::invalid(format!(
                "the activation `{}` is known only by name: a plan read from a file holds no functions",
                self.name
            ))),
        }
    }
}

impl fmt::Debug for ProjectionActivation {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.name)
    }
}

/// By name, which is all that a plan on disk can compare.
impl PartialEq for ProjectionActivation {
    fn eq(&self, other: &Self) -> bool {
        self.name == other.name
    }
}

impl Serialize for ProjectionActivation {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.name)
    }
}

impl<'de> Deserialize<'de> for ProjectionActivation {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let name = String::deserialize(deserializer)?;
        let own =
            [ProjectionActivation::linear(), ProjectionActivation::relu(), ProjectionActivation::tanh()];
        let known = own.into_iter().find(|activation| activation.name == name);
        Ok(known.unwrap_or(ProjectionActivation { name, function: None }))
    }
}
