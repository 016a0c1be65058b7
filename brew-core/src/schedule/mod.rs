//! Schedules: learning rates and weights that change from step to step, temperatures that change from row to
//! row.
//!
//! Every schedule is a pure function of its arguments. It keeps no counter and overwrites no setting, so that
//! any step can be computed on its own and a config can be reused.

mod decay;
mod learning_rate;
mod one_cycle;
mod temperature;
mod weight;

pub use decay::Decay;
pub use learning_rate::Schedule;
pub use one_cycle::OneCycle;
pub use temperature::{Cwsm, Flsw, TemperatureSchedule};
pub use weight::{Weight, WeightSchedule};
