//! TextBrewer's API: its distillers and its trainer, driven by its two configs.
//!
//! Each builds the same plan as the typed builder, with TextBrewer's semantics, and runs it in the same loop.
//! [`config`] defines what TextBrewer's names stand for.

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
