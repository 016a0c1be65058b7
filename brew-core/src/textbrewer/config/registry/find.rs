//! Looks up names: returns what a name stands for, or a problem with its key, value and nearest known name.

use std::collections::BTreeMap;

use serde_json::json;

use super::super::{Layers, LossConfig, SchedulerConfig};
use super::{LayersRead, OwnTemperature, Registry};
use crate::loss::Loss;
use crate::loss::catalogue::{self, Entry, Options};
use crate::plan::ProjectionActivation;
use crate::schedule::WeightSchedule;
use crate::words::suggest;

impl Registry {
    /// A loss on logits with this temperature, which may have a schedule.
    pub(crate) fn soft_targets_of(
        &self,
        key: &str,
        config: &LossConfig,
        (temperature, schedule): (f64, OwnTemperature),
    ) -> Result<Box<dyn Loss>, Vec<String>> {
        if let Some(make) = self.soft_targets.get(&config.name) {
            return match no_options(key, config) {
                Some(problem) => Err(vec![problem]),
                None => Ok(make(temperature, schedule)),
            };
        }
        let own = self.soft_targets.keys();
        let entry = entry_of(key, config, own, Entry::is_on_logits, "compares layers: name it in a match")?;
        let mut problems = Vec::new();
        if schedule.is_some() && !entry.scheduled {
            problems.push(format!(
                "`{key}` is `{}`, which takes no temperature schedule: remove `temperature_scheduler`",
                config.name
            ));
        }
        let mut options = config.options.clone();
        if entry.options.iter().any(|row| row.name == "temperature") && temperature > 0.0 {
            options.entry("temperature").or_insert(json!(temperature));
        }
        let options = Options::read(entry, &options, &mut problems).scheduled(schedule);
        made(key, entry, &options, problems)
    }

    /// A loss between layers, and how many layers it compares.
    pub(crate) fn match_loss_of(
        &self,
        key: &str,
        config: &LossConfig,
    ) -> Result<(LayersRead, Box<dyn Loss>), Vec<String>> {
        if let Some(own) = self.match_losses.get(&config.name) {
            return match no_options(key, config) {
                Some(problem) => Err(vec![problem]),
                None => Ok((own.layers, (own.make)())),
            };
        }
        let own = self.match_losses.keys();
        let on_layers = |entry: &Entry| !entry.is_on_logits();
        let entry = entry_of(key, config, own, on_layers, "compares logits: name it as `kd_loss_type`")?;
        let mut problems = Vec::new();
        let options = Options::read(entry, &config.options, &mut problems);
        Ok((entry.layers, made(key, entry, &options, problems)?))
    }

    pub(crate) fn activation_of(&self, key: &str, name: &str) -> Result<&ProjectionActivation, String> {
        find(&self.activations, key, name)
    }

    /// The schedule with this name; `None` for `none`.
    pub(crate) fn weight_schedule_of(&self, key: &str, name: &str) -> Result<Option<WeightSchedule>, String> {
        if name == "none" {
            return Ok(None);
        }
        find(&self.weight_schedules, key, name).cloned().map(Some)
    }

    /// The schedule with this name and arguments; `None` for `none` and `constant`.
    pub(crate) fn temperature_schedule_of(
        &self,
        key: &str,
        config: &SchedulerConfig,
    ) -> Result<OwnTemperature, String> {
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

    pub(in crate::textbrewer::config) fn feature_problem(&self, key: &str, name: &str) -> Option<String> {
        let known = self.features.iter().map(String::as_str);
        (!self.features.contains(name)).then(|| format!("`{key}` is `{name}`{}", suggest(name, known)))
    }
}

/// The catalogue row of a loss of the right kind, or a problem that says what to write instead.
fn entry_of<'o>(
    key: &str,
    config: &LossConfig,
    own: impl Iterator<Item = &'o String>,
    fits: impl Fn(&Entry) -> bool,
    otherwise: &str,
) -> Result<&'static Entry, Vec<String>> {
    let name = config.name.as_str();
    let problem = match catalogue::find(name) {
        Ok(entry) if fits(entry) => return Ok(entry),
        Ok(_) => format!("`{key}` is `{name}`, which {otherwise}"),
        Err(_) => {
            let mut known: Vec<&str> = own.map(String::as_str).collect();
            for entry in catalogue::entries().filter(|entry| fits(entry)) {
                known.extend(entry.names().map(|name| -> &str { name }));
            }
            format!("`{key}` is `{name}`{}", suggest(name, known))
        }
    };
    Err(vec![problem])
}

/// The loss, or all problems of its options.
fn made(
    key: &str,
    entry: &Entry,
    options: &Options,
    problems: Vec<String>,
) -> Result<Box<dyn Loss>, Vec<String>> {
    if !problems.is_empty() {
        return Err(problems.into_iter().map(|problem| format!("`{key}`: {problem}")).collect());
    }
    (entry.make)(options).map_err(|error| vec![format!("`{key}`: {error}")])
}

fn no_options(key: &str, config: &LossConfig) -> Option<String> {
    let (name, option) = (&config.name, config.options.keys().next()?);
    Some(format!("`{key}`: `{name}` takes no `{option}`; it has no options"))
}

/// The problem of layers that a loss cannot compare.
pub(in crate::textbrewer::config) fn layers_problem(
    layers: LayersRead,
    at: &str,
    loss: &str,
    teacher: &Layers,
    student: &Layers,
) -> Option<String> {
    let (expected, words) = match layers {
        LayersRead::Many => return None,
        LayersRead::One => (1, "one layer with one: write a number for each of"),
        LayersRead::Two => (2, "two layers with two: write a list of two for each of"),
    };
    let fits = teacher.indices().len() == expected && student.indices().len() == expected;
    (!fits).then(|| format!("`{at}`: `{loss}` compares {words} `layer_T` and `layer_S`"))
}

fn find<'r, V>(known: &'r BTreeMap<String, V>, key: &str, name: &str) -> Result<&'r V, String> {
    known
        .get(name)
        .ok_or_else(|| format!("`{key}` is `{name}`{}", suggest(name, known.keys().map(String::as_str))))
}
