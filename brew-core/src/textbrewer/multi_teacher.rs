//! TextBrewer's `MultiTeacherDistiller`: several teachers of one task, one student.
//!
//! The loss on logits reads the mean of the teachers' logits, as in TextBrewer, or combines them by another
//! [`Combine`]; a match reads the layers of the one teacher that it names: `"teacher": 1`.

use super::config::{DistillationConfig, TrainingConfig};
use super::configured::{Configured, Door};
use crate::adaptor::Adaptor;
use crate::distill::Teachers;
use crate::model::Seen;
use crate::plan::Combine;

/// Builds a pipeline with TextBrewer's semantics from TextBrewer's configs and several teachers: a `Vec` if
/// they share an adaptor, or `first.and(second)`.
///
/// ```no_run
/// # use brew_core::prelude::*;
/// # use brew_core::plan::Combine;
/// # use brew_core::textbrewer::MultiTeacherDistiller;
/// # use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
/// # fn example<A: Adaptor>(first: Seen<A>, second: Seen<A>, student: Seen<A>, reviews: Vec<A::Batch>) -> Result<()> {
/// let distill = DistillationConfig { temperature: 8.0, ..DistillationConfig::default() };
/// let student = MultiTeacherDistiller::new(&TrainingConfig::default(), &distill, vec![first, second], student)
///     .combining(Combine::weighted([2.0, 1.0]))
///     .trainer()?
///     .optimizer(AdamW::with_lr(1e-4))
///     .run(reviews)?;
/// # Ok(())
/// # }
/// ```
pub type MultiTeacherDistiller<T, A> = Configured<MultiTeacher, T, A>;

/// The kind of a [`MultiTeacherDistiller`].
#[derive(Debug)]
pub struct MultiTeacher;

impl Door for MultiTeacher {
    fn problems(_: &DistillationConfig) -> Vec<String> {
        Vec::new()
    }
}

impl<T: Teachers, A: Adaptor> Configured<MultiTeacher, T, A> {
    /// Distils these teachers into this student.
    pub fn new(train: &TrainingConfig, distill: &DistillationConfig, teachers: T, student: Seen<A>) -> Self {
        Configured::of(train, distill, teachers, student)
    }

    /// Overrides the config's policy for combining the teachers in the loss on logits.
    pub fn combining(self, combine: Combine) -> Self {
        let config = DistillationConfig { combine_teachers: combine, ..self.config().clone() };
        self.with_config(config)
    }
}
