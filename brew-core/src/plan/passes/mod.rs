//! Passes: functions from plan to plan that insert the stages that a run adds to the declared ones.
//!
//! A pipeline's plan is built before it is known how it will run. A pass inserts what the run decides:
//! currently the teacher cache, [`recall`]. The executor then runs exactly the resulting plan.

mod recall;

pub use recall::recall;
