//! The result of a run.

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
    /// The trained student.
    pub fn student(&self) -> &Seen<A> {
        &self.student
    }

    /// Returns the student by value.
    pub fn into_student(self) -> Seen<A> {
        self.student
    }

    /// The learned projections, by the names of their stages, and the parameters that losses learned; may be
    /// empty.
    pub fn projections(&self) -> &Parameters {
        &self.projections
    }

    /// What the run did.
    pub fn summary(&self) -> &Summary {
        &self.summary
    }

    /// Writes the student to a folder, in its model's format.
    pub fn save(&self, folder: impl AsRef<Path>) -> Result<()> {
        self.student.save(folder.as_ref())
    }
}

/// A student that was trained on several tasks. The model itself belongs to the caller who gave it to the
/// tasks.
#[derive(Debug)]
pub struct TrainedTasks<'d> {
    pub(super) tasks: MultiTask<'d>,
    pub(super) projections: Parameters,
    pub(super) summary: Summary,
}

impl<'d> TrainedTasks<'d> {
    /// The trained tasks.
    pub fn tasks(&self) -> &MultiTask<'d> {
        &self.tasks
    }

    /// The learned projections, which all tasks share, and the parameters that losses learned.
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
