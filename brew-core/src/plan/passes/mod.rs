//! Passes: functions from plan to plan that insert the stages that a run adds to the declared ones.
//!
//! A pipeline's plan is built before it is known how it will run. A pass inserts what is decided later: a student that
//! writes what it learns from, [`rollout`], and the teacher cache of a run, [`recall`]. The executor then runs exactly the
//! resulting plan.

mod recall;
mod rollout;

pub use recall::recall;
pub use rollout::rollout;
