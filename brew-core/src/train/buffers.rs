//! Copies of the student's buffers from before a step, to restore if the step is skipped.
//!
//! A forward pass in training updates running statistics; a non-finite batch would corrupt them permanently.

use std::collections::BTreeMap;

use tch::Tensor;

use super::task::{Task, student_of};
use crate::error::{InStage as _, Result};

/// Copies of the student's buffers, by name; empty if the student has none.
#[derive(Debug)]
pub(super) struct Buffers(BTreeMap<String, Tensor>);

impl Buffers {
    pub(super) fn of(tasks: &[Task<'_>]) -> Result<Self> {
        let student = student_of(tasks);
        let copied = student.buffers().map(|(name, buffer)| {
            let mut copy = buffer.f_empty_like().in_stage(name)?;
            copy.f_copy_(buffer).in_stage(name)?;
            Ok((name.to_owned(), copy))
        });
        Ok(Buffers(copied.collect::<Result<_>>()?))
    }

    /// The name of a buffer that differs from its copy.
    pub(super) fn changed(&self, tasks: &[Task<'_>]) -> Result<Option<String>> {
        for (name, buffer) in student_of(tasks).buffers() {
            let same = self.0.get(name).map_or(Ok(true), |before| before.f_equal(buffer)).in_stage(name)?;
            if !same {
                return Ok(Some(name.to_owned()));
            }
        }
        Ok(None)
    }

    /// Restores the student's buffers to these values.
    pub(super) fn put_back(&self, tasks: &[Task<'_>]) -> Result<()> {
        let _guard = tch::no_grad_guard();
        for (name, buffer) in student_of(tasks).buffers() {
            if let Some(before) = self.0.get(name) {
                buffer.shallow_clone().f_copy_(before).in_stage(name)?;
            }
        }
        Ok(())
    }
}
