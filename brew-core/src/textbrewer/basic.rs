//! TextBrewer's `BasicDistiller`: one teacher, one student, the loss on logits and the hard labels.

use super::config::{DistillationConfig, TrainingConfig};
use super::configured::{Configured, Door};
use crate::adaptor::Adaptor;
use crate::model::Seen;

/// Builds a pipeline with TextBrewer's semantics from TextBrewer's configs, without losses between layers.
///
/// A config with `intermediate_matches` is refused; they are not silently ignored.
///
/// ```no_run
/// # use brew_core::prelude::*;
/// # use brew_core::textbrewer::BasicDistiller;
/// # use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
/// # fn example<A: Adaptor>(teacher: Seen<A>, student: Seen<A>, reviews: Vec<A::Batch>) -> Result<()> {
/// let distill = DistillationConfig { temperature: 8.0, ..DistillationConfig::default() };
/// let distiller = BasicDistiller::new(&TrainingConfig::default(), &distill, teacher, student);
/// let student = distiller.trainer()?.optimizer(AdamW::with_lr(1e-4)).epochs(3).run(reviews)?;
/// # Ok(())
/// # }
/// ```
pub type BasicDistiller<T, A> = Configured<Basic, Seen<T>, A>;

/// The kind of a [`BasicDistiller`].
#[derive(Debug)]
pub struct Basic;

impl Door for Basic {
    fn problems(config: &DistillationConfig) -> Vec<String> {
        match config.intermediate_matches.len() {
            0 => Vec::new(),
            count => vec![format!(
                "`intermediate_matches` has {count}, but a BasicDistiller only learns from logits and labels: use a GeneralDistiller, or remove them"
            )],
        }
    }
}

impl<T: Adaptor, A: Adaptor> Configured<Basic, Seen<T>, A> {
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
