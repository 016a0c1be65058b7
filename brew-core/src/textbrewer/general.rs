//! TextBrewer's `GeneralDistiller`: one teacher, one student, losses on logits and between layers.

use super::config::{DistillationConfig, TrainingConfig};
use super::configured::{Configured, Door};
use crate::adaptor::Adaptor;
use crate::model::Seen;

/// Builds a pipeline with TextBrewer's semantics from TextBrewer's configs, with all of their losses.
///
/// ```no_run
/// # use brew_core::prelude::*;
/// # use brew_core::textbrewer::GeneralDistiller;
/// # use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
/// # fn example<A: Adaptor>(teacher: Seen<A>, student: Seen<A>, reviews: Vec<A::Batch>) -> Result<()> {
/// let train = TrainingConfig::from_json_file("train.json")?;
/// let distill = DistillationConfig::from_json_file("distill.json")?;
/// let distiller = GeneralDistiller::new(&train, &distill, teacher, student);
/// let student = distiller.trainer()?.optimizer(AdamW::with_lr(1e-4)).epochs(3).run(reviews)?;
/// # Ok(())
/// # }
/// ```
pub type GeneralDistiller<T, A> = Configured<General, Seen<T>, A>;

/// The kind of a [`GeneralDistiller`].
#[derive(Debug)]
pub struct General;

impl Door for General {
    fn problems(_: &DistillationConfig) -> Vec<String> {
        Vec::new()
    }
}

impl<T: Adaptor, A: Adaptor> Configured<General, Seen<T>, A> {
    /// Distils this teacher into this student.
    pub fn new(
        train: &TrainingConfig,
        distill: &DistillationConfig,
        teacher: Seen<T>,
        student: Seen<A>,
    ) -> Self {
        Configured::of(train, distill, teacher, student)
    }
}
