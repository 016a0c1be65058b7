//! TextBrewer's names, which every registry starts with.

use std::collections::BTreeMap;

use super::{LayersRead, Registry};
use crate::loss::{
    AttentionCe, AttentionCeMean, AttentionMse, AttentionMseSum, Cos, Fsp, HiddenMse, KdCe, KdMse, Nst, Pkd,
};
use crate::plan::Activation;
use crate::role::{Attention, Hidden, Role as _};
use crate::schedule::{Cwsm, Flsw, WeightSchedule};

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
                    Some(schedule) => loss.scheduled(schedule),
                    None => loss,
                })
            })
            .soft_targets("mse", |temperature, schedule| {
                let loss = KdMse::at(temperature);
                Box::new(match schedule {
                    Some(schedule) => loss.scheduled(schedule),
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
