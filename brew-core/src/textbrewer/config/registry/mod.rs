//! The registry: defines what the names in a config stand for. It is an ordinary value, not a global; you can
//! add your own parts to it.

mod find;
mod textbrewer;

pub(super) use find::layers_problem;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::loss::Loss;
pub use crate::loss::catalogue::LayersRead;
use crate::plan::ProjectionActivation;
use crate::role::Role;
use crate::schedule::{TemperatureSchedule, WeightSchedule};

type OwnTemperature = Option<Arc<dyn TemperatureSchedule>>;
type MakesSoftTargets = Arc<dyn Fn(f64, OwnTemperature) -> Box<dyn Loss>>;
type MakesTemperatures = Arc<dyn Fn(&[f64]) -> Arc<dyn TemperatureSchedule>>;

/// The losses, projections, schedules and features that configs name: every loss of the
/// [catalogue](crate::loss::catalogue), TextBrewer's other names, and your own, which take precedence.
///
/// ```
/// use brew_core::textbrewer::config::{LayersRead, Registry};
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
    activations: BTreeMap<String, ProjectionActivation>,
    weight_schedules: BTreeMap<String, WeightSchedule>,
    temperature_schedules: BTreeMap<String, TemperatureSchedules>,
    features: BTreeSet<String>,
}

/// A constructor of losses between layers.
#[derive(Clone)]
struct MatchLosses {
    layers: LayersRead,
    make: Arc<dyn Fn() -> Box<dyn Loss>>,
}

/// A constructor of temperature schedules, and its parameters; those with a default are optional.
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

impl Registry {
    /// Adds a loss on logits, for `kd_loss_type`: constructed from a temperature and, if the config has one,
    /// its schedule.
    pub fn soft_targets(
        mut self,
        name: &str,
        make: impl Fn(f64, OwnTemperature) -> Box<dyn Loss> + 'static,
    ) -> Self {
        self.soft_targets.insert(name.to_owned(), Arc::new(make));
        self
    }

    /// Adds a loss between layers, for a match's `loss`.
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

    /// Adds a projection, for a match's `proj`: a linear map followed by this activation, under the
    /// activation's name.
    pub fn projection(mut self, activation: ProjectionActivation) -> Self {
        self.activations.insert(activation.name().to_owned(), activation);
        self
    }

    /// Adds a weight schedule under its own name.
    pub fn weight_schedule(mut self, schedule: WeightSchedule) -> Self {
        self.weight_schedules.insert(schedule.name().to_owned(), schedule);
        self
    }

    /// Adds a temperature schedule: constructed from the values of these parameters, in order; those with a
    /// default may be omitted in a config.
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

    /// Adds your own role, for a match's `feature`.
    pub fn feature<R: Role>(mut self) -> Self {
        self.features.insert(R::NAME.to_owned());
        self
    }
}
