//! What changes from step to step or from row to row: learning rates, weights, temperatures.
//!
//! Every schedule is a pure function of what it is given. Nothing is counted up and no setting is
//! overwritten, so that any step can be computed alone and a config can be used twice.

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
