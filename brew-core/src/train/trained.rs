//! What a run gives back.

use std::path::Path;

use super::MultiTask;
use crate::adaptor::Adaptor;
use crate::error::Result;
use crate::model::{Model as _, Seen};
use crate::observe::Summary;
use crate::parameters::Parameters;

/// A trained student.
#[derive(Debug)]
pub struct Trained<A: Adaptor> {
    pub(super) student: Seen<A>,
    pub(super) projections: Parameters,
    pub(super) summary: Summary,
}

impl<A: Adaptor> Trained<A> {
    /// The student, to go on with.
    pub fn student(&self) -> &Seen<A> {
        &self.student
    }

    /// The student alone.
    pub fn into_student(self) -> Seen<A> {
        self.student
    }

    /// The learned projections, by the names of their stages, and what losses learned; empty without
    /// any.
    pub fn projections(&self) -> &Parameters {
        &self.projections
    }

    /// What the run did.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Writes the student to a folder, as its model does.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        self.student.save(folder.as_ref())
    }
}

/// A student that was trained on several tasks. The model itself is in the hands of whoever gave it to
/// the tasks.
#[derive(Debug)]
pub struct TrainedTasks<'d> {
    pub(super) tasks: MultiTask<'d>,
    pub(super) projections: Parameters,
    pub(super) summary: Summary,
}

impl<'d> TrainedTasks<'d> {
    /// The tasks, to go on with.
    pub fn tasks(&self) -> &MultiTask<'d> {
        &self.tasks
    }

    /// The learned projections, which all tasks share, and what losses learned.
    pub fn projections(&self) -> &Parameters {
        &self.projections
    }

    /// What the run did.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Writes the student to a folder: see [`MultiTask::save`].
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        self.tasks.save(folder.as_ref())
    }
}
