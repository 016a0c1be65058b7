//! TextBrewer's `DistillationConfig`: the losses of a distillation and their weights.

use std::path::Path;

use serde::{Deserialize, Deserializer, Serialize};
use serde_json::Value;

use super::fields::{self, Fields, Readable};
use super::{IntermediateMatch, LossConfig, Registry, SchedulerConfig, preset};
use crate::error::{Error, Result};
use crate::plan::{Balance, Combine};

const WHAT: &str = "distillation config";

/// The settings of a distillation's losses, with TextBrewer's names and defaults.
///
/// A run never changes it; a weight's schedule is a function of the step.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct DistillationConfig {
    /// Divides both sides' logits; in (0, inf). 4 by default.
    pub temperature: f64,
    /// `none`, `constant`, `["flsw", beta, gamma]`, `["cwsm", beta]`, or a schedule in the registry.
    pub temperature_scheduler: SchedulerConfig,
    /// The weight of the student's own loss on the labels. 0 by default.
    pub hard_label_weight: f64,
    /// `none`, `linear_decay`, `linear_growth`, or a schedule in the registry.
    pub hard_label_weight_scheduler: String,
    /// `ce`, `mse`, another loss on logits of the [catalogue](crate::loss::catalogue), such as `["kd_ce",
    /// {"temperature_squared": true}]`, or a loss in the registry. `ce` by default. A loss with a temperature
    /// uses the config's unless its options set one.
    pub kd_loss_type: LossConfig,
    /// The weight of the loss on logits. 1 by default.
    pub kd_loss_weight: f64,
    /// Same values as `hard_label_weight_scheduler`.
    pub kd_loss_weight_scheduler: String,
    /// Swaps the teacher's highest score with that of the label; needs the student's labels.
    pub probability_shift: bool,
    /// Keeps the teachers' features of the first epoch in memory: a distiller's `.trainer()` then has a
    /// [`MemoryCache`](crate::cache::MemoryCache). (In TextBrewer `GeneralDistiller` ignores it.)
    pub is_caching_logits: bool,
    /// How several teachers are combined for the loss on logits; see [`Combine`]. `mean_of_logits`, as in
    /// TextBrewer, by default.
    #[serde(skip_serializing_if = "is_default")]
    pub combine_teachers: Combine,
    /// How the losses are balanced: `weights`, `uncertainty`, or `{"magnitude_of": "kd_ce"}`; see
    /// [`Balance`]. Not in TextBrewer. `weights` by default.
    #[serde(skip_serializing_if = "Balance::is_by_weights")]
    pub balance: Balance,
    /// Losses between layers. In a file an item may also be the name of a [`preset`].
    pub intermediate_matches: Vec<IntermediateMatch>,
}

fn is_default(combine: &Combine) -> bool {
    *combine == Combine::default()
}

impl Readable for Combine {
    const MUST_BE: &'static str = "`mean_of_logits`, `mean_of_probabilities`, {\"weighted\": [2, 1]}, `by_confidence`, `by_entropy` or `routed_by_example`";
    fn read(value: &Value) -> Option<Self> {
        serde_json::from_value(value.clone()).ok()
    }
}

impl Readable for Balance {
    const MUST_BE: &'static str = "`weights`, `uncertainty` or {\"magnitude_of\": a loss's name}";
    fn read(value: &Value) -> Option<Self> {
        serde_json::from_value(value.clone()).ok()
    }
}

impl Default for DistillationConfig {
    fn default() -> Self {
        DistillationConfig {
            temperature: 4.0,
            temperature_scheduler: SchedulerConfig::bare("none"),
            hard_label_weight: 0.0,
            hard_label_weight_scheduler: "none".to_owned(),
            kd_loss_type: "ce".into(),
            kd_loss_weight: 1.0,
            kd_loss_weight_scheduler: "none".to_owned(),
            probability_shift: false,
            is_caching_logits: false,
            combine_teachers: Combine::default(),
            balance: Balance::default(),
            intermediate_matches: Vec::new(),
        }
    }
}

impl DistillationConfig {
    /// Reads a JSON file with TextBrewer's names.
    ///
    /// # Errors
    /// Names the file and every problem in it: unknown keys and names, with the nearest valid one,
    /// and values of the wrong type or out of range.
    pub fn from_json_file(path: impl AsRef<Path>) -> Result<Self> {
        Self::from_json_file_with(path, &Registry::default())
    }

    /// Reads a JSON file with the names in this registry.
    ///
    /// # Errors
    /// As [`from_json_file`](Self::from_json_file).
    pub fn from_json_file_with(path: impl AsRef<Path>, registry: &Registry) -> Result<Self> {
        let path = path.as_ref();
        Self::checked(fields::parse_file(path)?, registry).map_err(|message| Error::file(path, message))
    }

    /// Reads JSON with TextBrewer's names.
    ///
    /// # Errors
    /// As [`from_json_file`](Self::from_json_file), without the file.
    pub fn from_json(json: &str) -> Result<Self> {
        Self::checked(fields::parse(WHAT, json)?, &Registry::default()).map_err(Error::invalid)
    }

    fn checked(value: Value, registry: &Registry) -> Result<Self, String> {
        let (config, places, mut problems) = Self::read(value);
        problems.extend(config.problems_at(&places, registry));
        if problems.is_empty() { Ok(config) } else { Err(fields::refusal(WHAT, &problems)) }
    }

    /// Reads keys and types. An unreadable value is replaced by its default, an unreadable match is skipped.
    /// Returns the config, the index of each match in the file's list, and the problems.
    fn read(value: Value) -> (Self, Vec<usize>, Vec<String>) {
        let (default, mut problems) = (DistillationConfig::default(), Vec::new());
        let mut fields = Fields::of("", "a distillation config", value, &mut problems);
        let mut config = DistillationConfig {
            temperature: fields.take("temperature", default.temperature),
            temperature_scheduler: fields.take("temperature_scheduler", default.temperature_scheduler),
            hard_label_weight: fields.take("hard_label_weight", default.hard_label_weight),
            hard_label_weight_scheduler: fields
                .take("hard_label_weight_scheduler", default.hard_label_weight_scheduler),
            kd_loss_type: fields.take("kd_loss_type", default.kd_loss_type),
            kd_loss_weight: fields.take("kd_loss_weight", default.kd_loss_weight),
            kd_loss_weight_scheduler: fields
                .take("kd_loss_weight_scheduler", default.kd_loss_weight_scheduler),
            probability_shift: fields.take("probability_shift", default.probability_shift),
            is_caching_logits: fields.take("is_caching_logits", default.is_caching_logits),
            combine_teachers: fields.take("combine_teachers", default.combine_teachers),
            balance: fields.take("balance", default.balance),
            intermediate_matches: Vec::new(),
        };
        let matches: Option<Value> = fields.take("intermediate_matches", None);
        fields.finish();
        let (places, matches) = read_matches(matches, &mut problems).into_iter().unzip();
        config.intermediate_matches = matches;
        (config, places, problems)
    }

    /// The problems of names and values, each with its key and its fix.
    pub fn problems(&self, registry: &Registry) -> Vec<String> {
        let places: Vec<usize> = (0..self.intermediate_matches.len()).collect();
        self.problems_at(&places, registry)
    }

    fn problems_at(&self, places: &[usize], registry: &Registry) -> Vec<String> {
        let mut problems = Vec::new();
        if !(self.temperature.is_finite() && self.temperature > 0.0) {
            problems.push(format!("`temperature` is {}; it must be finite and above 0", self.temperature));
        }
        let schedule = registry.temperature_schedule_of("temperature_scheduler", &self.temperature_scheduler);
        let schedule = schedule.unwrap_or_else(|problem| {
            problems.push(problem);
            None
        });
        let loss = registry.soft_targets_of("kd_loss_type", &self.kd_loss_type, (self.temperature, schedule));
        problems.extend(loss.err().unwrap_or_default());
        for (key, weight, schedule) in [
            ("hard_label_weight", self.hard_label_weight, &self.hard_label_weight_scheduler),
            ("kd_loss_weight", self.kd_loss_weight, &self.kd_loss_weight_scheduler),
        ] {
            if !weight.is_finite() {
                problems.push(format!("`{key}` is {weight}; it must be finite"));
            }
            problems.extend(registry.weight_schedule_of(&format!("{key}_scheduler"), schedule).err());
        }
        for (index, found) in places.iter().zip(&self.intermediate_matches) {
            problems.extend(found.problems(&format!("intermediate_matches[{index}]"), registry));
        }
        problems
    }
}

fn read_matches(matches: Option<Value>, problems: &mut Vec<String>) -> Vec<(usize, IntermediateMatch)> {
    let items = match matches {
        None => return Vec::new(),
        Some(Value::Array(items)) => items,
        Some(other) => {
            problems.push(format!("`intermediate_matches` is {other}; it must be a list of matches"));
            return Vec::new();
        }
    };
    let mut found = Vec::new();
    for (index, item) in items.into_iter().enumerate() {
        let at = format!("intermediate_matches[{index}]");
        match item {
            Value::String(name) => match preset(&name) {
                Ok(matches) => found.extend(matches.into_iter().map(|item| (index, item))),
                Err(error) => problems.push(format!("`{at}`: {error}")),
            },
            item => {
                found.extend(IntermediateMatch::read(&at, item, problems).map(|item| (index, item)));
            }
        }
    }
    found
}

/// Checks keys and types; names are checked when a pipeline is built from the config.
impl<'de> Deserialize<'de> for DistillationConfig {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let (config, _, problems) = Self::read(Value::deserialize(deserializer)?);
        if problems.is_empty() {
            Ok(config)
        } else {
            Err(serde::de::Error::custom(fields::refusal(WHAT, &problems)))
        }
    }
}
