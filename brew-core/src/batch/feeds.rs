//! The batches of a pipeline: one for both sides, or one for the teachers and one for the student.

use std::any::Any;

use tch::Device;

use super::Batch;
use crate::error::Result;

/// A pair of batches for teachers and a student that read different inputs, such as from different
/// tokenizers.
#[derive(Debug)]
pub struct Both<T, S> {
    /// The batch that every teacher reads.
    pub teacher: T,
    /// The batch that the student reads, with the same rows in the same order.
    pub student: S,
}

/// A batch that can feed teachers that read `T` and a student that reads `S`.
#[diagnostic::on_unimplemented(
    message = "batches of `{Self}` do not feed this pipeline: its teachers read `{T}`, its student reads `{S}`",
    label = "batches of another type than the models read",
    note = "where teacher and student read different batches, stream `Both<TeacherBatch, StudentBatch>`"
)]
pub trait Feeds<T, S>: Send {
    /// The batch that the teachers read.
    fn teacher(&self) -> &T;
    /// The batch that the student reads.
    fn student(&self) -> &S;
    /// The first `rows` rows of both.
    fn first_rows(&self, rows: usize) -> Result<Self>
    where
        Self: Sized;
    /// Both on a device.
    fn to_device(&self, device: Device) -> Result<Self>
    where
        Self: Sized;
    /// A batch whose teachers read what the student reads; `None` if the two sides, or the batch's teachers' outputs,
    /// cannot follow from the student's batch alone.
    fn of_student(_batch: S) -> Option<Self>
    where
        Self: Sized,
    {
        None
    }
    /// The output of this teacher (from 0), if the batch brings it: then the teacher does not run. See
    /// [`WithTeacherOutput`](super::WithTeacherOutput).
    fn teacher_output(&self, _teacher: usize) -> Option<&dyn Any> {
        None
    }
}

impl<B: Batch> Feeds<B, B> for B {
    fn teacher(&self) -> &B {
        self
    }
    fn student(&self) -> &B {
        self
    }
    fn first_rows(&self, rows: usize) -> Result<Self> {
        Batch::first_rows(self, rows)
    }
    fn to_device(&self, device: Device) -> Result<Self> {
        Batch::to_device(self, device)
    }
    fn of_student(batch: B) -> Option<B> {
        Some(batch)
    }
}

impl<T: Batch, S: Batch> Feeds<T, S> for Both<T, S> {
    fn teacher(&self) -> &T {
        &self.teacher
    }
    fn student(&self) -> &S {
        &self.student
    }
    fn first_rows(&self, rows: usize) -> Result<Self> {
        Ok(Both { teacher: self.teacher.first_rows(rows)?, student: self.student.first_rows(rows)? })
    }
    fn to_device(&self, device: Device) -> Result<Self> {
        Ok(Both { teacher: self.teacher.to_device(device)?, student: self.student.to_device(device)? })
    }
}
