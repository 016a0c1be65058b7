//! What the names in a config stand for. One value, no globals: parts of one's own are added to it.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use super::{Layers, SchedulerConfig};
use crate::error::suggest;
use crate::loss::{
    AttentionCe, AttentionCeMean, AttentionMse, AttentionMseSum, Cos, Fsp, HiddenMse, KdCe, KdMse, Loss, Nst,
    Pkd,
};
use crate::plan::Activation;
use crate::role::{Attention, Hidden, Role};
use crate::schedule::{Cwsm, Flsw, TemperatureSchedule, WeightSchedule};

type Schedule = Option<Arc<dyn TemperatureSchedule>>;
type MakesSoftTargets = Arc<dyn Fn(f64, Schedule) -> Box<dyn Loss>>;
type MakesTemperatures = Arc<dyn Fn(&[f64]) -> Arc<dyn TemperatureSchedule>>;

/// The losses, projections, schedules and features that configs name: TextBrewer's, and one's own.
///
/// ```
/// use brew_core::config::{LayersRead, Registry};
/// use brew_core::loss::HiddenMse;
/// use brew_core::schedule::WeightSchedule;
///
/// let registry = Registry::default()
///     .match_loss("my_loss", LayersRead::One, || HiddenMse)
///     .weight_schedule(WeightSchedule::new("late", |done| if done < 0.5 { 0.0 } else { 1.0 }));
/// ```
#[derive(Clone)]
#[must_use]
pub struct Registry {
    soft_targets: BTreeMap<String, MakesSoftTargets>,
    match_losses: BTreeMap<String, MatchLosses>,
    activations: BTreeMap<String, Activation>,
    weight_schedules: BTreeMap<String, WeightSchedule>,
    temperature_schedules: BTreeMap<String, TemperatureSchedules>,
    features: BTreeSet<String>,
}

/// How many layers of a side a loss compares.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LayersRead {
    /// One with one.
    One,
    /// Two with two.
    Two,
}

/// How a loss between layers is made.
#[derive(Clone)]
pub(crate) struct MatchLosses {
    layers: LayersRead,
    pub(crate) make: Arc<dyn Fn() -> Box<dyn Loss>>,
}

/// How a temperature schedule is made, and of which numbers; those with a default may be left out.
#[derive(Clone)]
struct TemperatureSchedules {
    parameters: Vec<(&'static str, Option<f64>)>,
    make: MakesTemperatures,
}

impl fmt::Debug for Registry {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Registry")
            .field("soft_targets", &self.soft_targets.keys())
            .field("match_losses", &self.match_losses.keys())
            .field("activations", &self.activations.keys())
            .field("weight_schedules", &self.weight_schedules.keys())
            .field("temperature_schedules", &self.temperature_schedules.keys())
            .field("features", &self.features)
            .finish()
    }
}

impl Default for Registry {
    /// TextBrewer's names. Its losses over attention maps are those of `textbrewer()`.
    fn default() -> Self {
        use LayersRead::{One, Two};
        let empty = Registry {
            soft_targets: BTreeMap::new(),
            match_losses: BTreeMap::new(),
            activations: BTreeMap::new(),
            weight_schedules: BTreeMap::new(),
            temperature_schedules: BTreeMap::new(),
            features: [Hidden::NAME, Attention::NAME].map(str::to_owned).into(),
        };
        empty
            .soft_targets("ce", |temperature, schedule| {
                let loss = KdCe::at(temperature);
                Box::new(match schedule {
                    Some(schedule) => loss.scheduled_by(schedule),
                    None => loss,
                })
            })
            .soft_targets("mse", |temperature, schedule| {
                let loss = KdMse::at(temperature);
                Box::new(match schedule {
                    Some(schedule) => loss.scheduled_by(schedule),
                    None => loss,
                })
            })
            .match_loss("attention_mse", One, AttentionMse::textbrewer)
            .match_loss("attention_mse_sum", One, AttentionMseSum::textbrewer)
            .match_loss("attention_ce", One, AttentionCe::textbrewer)
            .match_loss("attention_ce_mean", One, AttentionCeMean::textbrewer)
            .match_loss("hidden_mse", One, || HiddenMse)
            .match_loss("cos", One, || Cos)
            .match_loss("pkd", One, || Pkd)
            .match_loss("fsp", Two, || Fsp)
            .match_loss("gram", Two, || Fsp)
            .match_loss("nst", Two, || Nst)
            .match_loss("mmd", Two, || Nst)
            .projection(Activation::linear())
            .projection(Activation::relu())
            .projection(Activation::tanh())
            .weight_schedule(WeightSchedule::linear_decay())
            .weight_schedule(WeightSchedule::linear_growth())
            .temperature_schedule(
                "flsw",
                &[("beta", None), ("gamma", None), ("eps", Some(1e-4))],
                |numbers| match *numbers {
                    [beta, gamma, epsilon] => Flsw::new(beta, gamma).epsilon(epsilon),
                    _ => Flsw::new(f64::NAN, f64::NAN),
                },
            )
            .temperature_schedule("cwsm", &[("beta", None)], |numbers| {
                Cwsm::new(numbers.first().copied().unwrap_or(f64::NAN))
            })
    }
}

impl Registry {
    /// Adds a loss on logits, for `kd_loss_type`: made of a temperature and, where the config has one,
    /// a schedule of it.
    pub fn soft_targets(
        mut self,
        name: &str,
        make: impl Fn(f64, Schedule) -> Box<dyn Loss> + 'static,
    ) -> Self {
        self.soft_targets.insert(name.to_owned(), Arc::new(make));
        self
    }

    /// Adds a loss between layers, for the `loss` of a match.
    pub fn match_loss<L: Loss>(
        mut self,
        name: &str,
        layers: LayersRead,
        make: impl Fn() -> L + 'static,
    ) -> Self {
        let make = Arc::new(move || Box::new(make()) as Box<dyn Loss>);
        self.match_losses.insert(name.to_owned(), MatchLosses { layers, make });
        self
    }

    /// Adds a projection for the `proj` of a match: a linear map and this activation, under the
    /// activation's name.
    pub fn projection(mut self, activation: Activation) -> Self {
        self.activations.insert(activation.name().to_owned(), activation);
        self
    }

    /// Adds a schedule for weights under its own name.
    pub fn weight_schedule(mut self, schedule: WeightSchedule) -> Self {
        self.weight_schedules.insert(schedule.name().to_owned(), schedule);
        self
    }

    /// Adds a schedule for temperatures: made of the numbers of these parameters, in their order; those
    /// with a default may be left out of a config.
    pub fn temperature_schedule<T: TemperatureSchedule>(
        mut self,
        name: &str,
        parameters: &[(&'static str, Option<f64>)],
        make: impl Fn(&[f64]) -> T + 'static,
    ) -> Self {
        let make: MakesTemperatures = Arc::new(move |numbers| Arc::new(make(numbers)));
        let schedules = TemperatureSchedules { parameters: parameters.to_vec(), make };
        self.temperature_schedules.insert(name.to_owned(), schedules);
        self
    }

    /// Adds a role of one's own, for the `feature` of a match.
    pub fn feature<R: Role>(mut self) -> Self {
        self.features.insert(R::NAME.to_owned());
        self
    }

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

    pub(super) fn feature_problem(&self, key: &str, name: &str) -> Option<String> {
        let known = self.features.iter().map(String::as_str);
        (!self.features.contains(name)).then(|| format!("`{key}` is `{name}`{}", suggest(name, known)))
    }
}

impl MatchLosses {
    /// Layers that this loss cannot compare.
    pub(super) fn layers_problem(
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
