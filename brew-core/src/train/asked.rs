//! `config.json`: every setting that affects a run's results, so that a run can only resume with the settings
//! it began with.
//!
//! Whatever is missing here either does not affect the results or is compared elsewhere: losses and
//! projections in the plan, the training data through its position, a model's code through its outputs for
//! two rows.

use std::collections::BTreeSet;

use serde_json::{Map, Value, json};
use tch::Kind;

use super::settings::{Duration, Settings};
use super::task::Task;
use crate::error::Result;
use crate::json;

/// The settings that a run was started with.
pub(super) struct Asked<'a, 'r, 'o> {
    pub(super) settings: &'a Settings<'o>,
    pub(super) tasks: &'a [Task<'r>],
    pub(super) tau: f64,
    /// The autocast dtype chosen for the current device.
    pub(super) precision: Option<Kind>,
    /// Each metric and what its data depends on.
    pub(super) evaluations: Vec<Value>,
}

impl Asked<'_, '_, '_> {
    /// These settings as `config.json` stores them.
    ///
    /// # Errors
    /// A model that fails to report its identity.
    pub(super) fn config(self) -> Result<Value> {
        let settings = self.settings;
        let mut config = settings.config();
        let mut set = |name: &str, value: Value| config.insert(name.to_owned(), value);
        let semantics = self.tasks.first().map(|first| first.work.executor().plan().semantics());
        set("semantics", json!(semantics));
        set("autocast", json!(self.precision.map(|kind| format!("{kind:?}"))));
        let (mut teachers, mut students) = (Vec::new(), Vec::new());
        for task in self.tasks {
            teachers.extend(task.work.executor().teachers()?);
            students.push(task.work.executor().student_identity()?);
        }
        set("teachers", json!(teachers));
        // The student's tensors change during training; its other settings, such as dropout, must not.
        set("students", json!(students));
        // A custom schedule may print nothing but its name, so some of its values are stored too.
        let at = samples();
        let multipliers = at.iter().map(|step| json::value(settings.schedule.multiplier(*step, STEPS)));
        let multipliers: Vec<Value> = multipliers.collect();
        set("schedule", json!({ "as": format!("{:?}", settings.schedule), "multipliers": multipliers }));
        let mut weights = Map::new();
        for task in self.tasks {
            for (name, values) in task.work.executor().scheduled_weights(&at, STEPS) {
                weights.insert(task.full_name(&name), values.into_iter().map(json::value).collect());
            }
        }
        set("scheduled_weights", Value::Object(weights));
        let names: Vec<&str> = self.tasks.iter().filter_map(|task| task.name.as_deref()).collect();
        if !names.is_empty() {
            set("tasks", json!(names));
            set("tau", json::value(self.tau));
        }
        if !self.evaluations.is_empty() {
            let when = match settings.duration {
                Duration::Epochs(_) => json!("after each epoch"),
                Duration::Steps(_) => json!({ "every_steps": settings.checkpoints.every_steps }),
            };
            set("evaluations", Value::Array(self.evaluations));
            set("evaluated", when);
        }
        Ok(Value::Object(config))
    }
}

/// The run length at which functions of the step are sampled. It is fixed, so that data of a different size
/// is reported as different data and not as a different schedule.
const STEPS: u64 = 1_000;

/// The steps to sample.
fn samples() -> BTreeSet<u64> {
    BTreeSet::from([0, 1, 250, 500, 750, 999])
}
