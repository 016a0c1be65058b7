//! Passes: functions from a plan to a plan, which put in the stages that a run adds to what was declared.
//!
//! What a pipeline declares is laid before anybody knows how it will be run. A pass adds what the run
//! decides: today the teacher cache, [`recall`]. The executor then runs the plan that comes out, and
//! nothing beside it.

mod recall;

pub use recall::recall;
