//! TextBrewer's front doors: its distillers and its trainer, over its two configs.
//!
//! Each lays the plan that the typed builder lays, in TextBrewer's semantics, and hands it to the same
//! loop. What TextBrewer's names stand for is in [`config`].

mod basic;
mod basic_trainer;
pub mod config;
mod configured;
mod general;
mod multi_task;
mod multi_teacher;
mod training;

pub use basic::{Basic, BasicDistiller};
pub use basic_trainer::BasicTrainer;
pub use configured::{Configured, Door};
pub use general::{General, GeneralDistiller};
pub use multi_task::MultiTaskDistiller;
pub use multi_teacher::{MultiTeacher, MultiTeacherDistiller};
