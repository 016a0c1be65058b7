//! What the loop asks of the one who called it, and whom it tells.

use std::path::Path;

use crate::error::{Problem, Result};
use crate::observe::Event;

/// What the loop asks of the one who called it, who alone knows the student's type.
pub(super) trait Caller {
    /// What is wrong with the evaluations, found before the first step.
    fn problems(&self) -> Vec<Problem>;
    /// Whether there is anything to evaluate.
    fn evaluates(&self) -> bool;
    /// Evaluates the student, metric by metric.
    fn evaluate(&mut self, tell: &mut dyn FnMut(&str, f64)) -> Result<()>;
    /// What is evaluated, metric by metric, as `config.json` holds it.
    fn evaluations(&self) -> Result<Vec<serde_json::Value>>;
    /// Called after each checkpoint, with its step.
    fn at_checkpoint(&mut self, step: u64) -> Result<()>;
    /// Writes the student to a folder.
    fn save(&self, folder: &Path) -> Result<()>;
}

/// Who is told of an event.
pub(super) type Tell<'t> = dyn FnMut(&Event<'_>) + 't;
