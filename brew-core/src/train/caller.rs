//! The training loop's view of its caller, and the sink for its events.

use std::path::Path;

use super::communicator::Communicator;
use crate::error::{Problem, Result};
use crate::observe::Event;

/// What the loop needs from its caller, the only place that knows the student's type.
pub(super) trait Caller {
    /// Problems of the evaluations, found before the first step.
    fn problems(&self) -> Vec<Problem>;
    /// Whether there is anything to evaluate.
    fn evaluates(&self) -> bool;
    /// Evaluates the student on all ranks together, metric by metric; `doing` is for errors.
    fn evaluate(&mut self, over: (&Communicator, &str), tell: &mut dyn FnMut(Measured<'_>)) -> Result<()>;
    /// The evaluations, metric by metric, as `config.json` stores them.
    fn evaluations(&self) -> Result<Vec<serde_json::Value>>;
    /// Called after each checkpoint, with its step.
    fn at_checkpoint(&mut self, step: u64) -> Result<()>;
    /// Writes the student to a folder.
    fn save(&self, folder: &Path) -> Result<()>;
}

/// The value of one metric.
pub(super) struct Measured<'m> {
    /// The metric's name; with several tasks `task/metric`.
    pub(super) metric: &'m str,
    pub(super) value: f64,
    pub(super) less_is_better: bool,
}

/// Receives the events of a run.
pub(super) type Tell<'t> = dyn FnMut(&Event<'_>) + 't;
