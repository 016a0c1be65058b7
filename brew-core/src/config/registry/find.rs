//! Looking names up: what a name stands for, or the problem with its key, its value and the nearest name.

use std::collections::BTreeMap;

use super::super::{Layers, SchedulerConfig};
use super::{LayersRead, MakesSoftTargets, MatchLosses, Registry, Schedule};
use crate::error::suggest;
use crate::plan::Activation;
use crate::schedule::WeightSchedule;

impl Registry {
    pub(crate) fn soft_targets_of(&self, key: &str, name: &str) -> Result<&MakesSoftTargets, String> {
        find(&self.soft_targets, key, name)
    }

    pub(crate) fn match_loss_of(&self, key: &str, name: &str) -> Result<&MatchLosses, String> {
        find(&self.match_losses, key, name)
    }

    pub(crate) fn activation_of(&self, key: &str, name: &str) -> Result<&Activation, String> {
        find(&self.activations, key, name)
    }

    /// The schedule of a name; `None` for `none`.
    pub(crate) fn weight_schedule_of(&self, key: &str, name: &str) -> Result<Option<WeightSchedule>, String> {
        if name == "none" {
            return Ok(None);
        }
        find(&self.weight_schedules, key, name).cloned().map(Some)
    }

    /// The schedule of a name with its arguments; `None` for `none` and `constant`.
    pub(crate) fn temperature_schedule_of(
        &self,
        key: &str,
        config: &SchedulerConfig,
    ) -> Result<Schedule, String> {
        if ["none", "constant"].contains(&config.name.as_str()) {
            return Ok(None);
        }
        let schedules = find(&self.temperature_schedules, key, &config.name)?;
        let numbers =
            config.resolve(&schedules.parameters).map_err(|problem| format!("`{key}`: {problem}"))?;
        let schedule = (schedules.make)(&numbers);
        match schedule.problems().as_slice() {
            [] => Ok(Some(schedule)),
            problems => Err(format!("`{key}`: {}", problems.join("; "))),
        }
    }

    pub(in crate::config) fn feature_problem(&self, key: &str, name: &str) -> Option<String> {
        let known = self.features.iter().map(String::as_str);
        (!self.features.contains(name)).then(|| format!("`{key}` is `{name}`{}", suggest(name, known)))
    }
}

impl MatchLosses {
    /// Layers that this loss cannot compare.
    pub(in crate::config) fn layers_problem(
        &self,
        at: &str,
        loss: &str,
        teacher: Layers,
        student: Layers,
    ) -> Option<String> {
        let (expected, words) = match self.layers {
            LayersRead::One => (1, "one layer with one: write a number for each of"),
            LayersRead::Two => (2, "two layers with two: write a list of two for each of"),
        };
        let fits = teacher.indices().len() == expected && student.indices().len() == expected;
        (!fits).then(|| format!("`{at}`: `{loss}` compares {words} `layer_T` and `layer_S`"))
    }
}

fn find<'r, V>(known: &'r BTreeMap<String, V>, key: &str, name: &str) -> Result<&'r V, String> {
    known
        .get(name)
        .ok_or_else(|| format!("`{key}` is `{name}`{}", suggest(name, known.keys().map(String::as_str))))
}
