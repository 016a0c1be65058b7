//! The names of TextBrewer that every registry starts with; TextBrewer's losses are in the catalogue.

use std::collections::BTreeMap;

use super::Registry;
use crate::plan::ProjectionActivation;
use crate::role::{Attention, Embedding, Hidden, Key, Query, Role as _, Value};
use crate::schedule::{Cwsm, Flsw, WeightSchedule};

impl Default for Registry {
    /// The catalogue's losses and TextBrewer's other names. Names such as `attention_mse` without options
    /// stand for TextBrewer's own variants.
    fn default() -> Self {
        let features = [Hidden::NAME, Attention::NAME, Query::NAME, Key::NAME, Value::NAME, Embedding::NAME];
        let empty = Registry {
            soft_targets: BTreeMap::new(),
            match_losses: BTreeMap::new(),
            activations: BTreeMap::new(),
            weight_schedules: BTreeMap::new(),
            temperature_schedules: BTreeMap::new(),
            features: features.map(str::to_owned).into(),
        };
        empty
            .projection(ProjectionActivation::linear())
            .projection(ProjectionActivation::relu())
            .projection(ProjectionActivation::tanh())
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
