//! The student's buffers as they were before a step, for a step that is left out.
//!
//! A forward pass in training moves running statistics; one of a batch that is not finite spoils them for good.

use std::collections::BTreeMap;

use tch::Tensor;

use super::task::{Task, student_of};
use crate::error::{InStage as _, Result};

/// Copies of the student's buffers, by name; none where it has none.
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

    /// Gives the student's buffers these values again.
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
