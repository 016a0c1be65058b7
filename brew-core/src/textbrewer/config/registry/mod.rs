//! What the names in a config stand for. One value, no globals: parts of one's own are added to it.

mod find;
mod textbrewer;

pub(super) use find::layers_problem;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::Arc;

use crate::loss::Loss;
pub use crate::loss::catalogue::LayersRead;
use crate::plan::Activation;
use crate::role::Role;
use crate::schedule::{TemperatureSchedule, WeightSchedule};

type Schedule = Option<Arc<dyn TemperatureSchedule>>;
type MakesSoftTargets = Arc<dyn Fn(f64, Schedule) -> Box<dyn Loss>>;
type MakesTemperatures = Arc<dyn Fn(&[f64]) -> Arc<dyn TemperatureSchedule>>;

/// The losses, projections, schedules and features that configs name: every loss of the
/// [catalogue](crate::loss::catalogue), TextBrewer's other names, and one's own. One's own come first.
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
    activations: BTreeMap<String, Activation>,
    weight_schedules: BTreeMap<String, WeightSchedule>,
    temperature_schedules: BTreeMap<String, TemperatureSchedules>,
    features: BTreeSet<String>,
}

/// How a loss between layers is made.
#[derive(Clone)]
struct MatchLosses {
    layers: LayersRead,
    make: Arc<dyn Fn() -> Box<dyn Loss>>,
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
}
