//! Training without a teacher: the model's own loss is the only one.

use super::{Declared, Pipeline};
use crate::adaptor::{Adaptor, Provides};
use crate::error::{Problem, Result};
use crate::model::Seen;
use crate::role::Losses;
use crate::semantics::Semantics;

/// Builds a pipeline that trains one model on its labels, for fine-tuning teachers and training baseline
/// students, with the same plan and loop as distillation.
///
/// ```no_run
/// # use brew_core::prelude::*;
/// # use brew_core::adaptor::Provides;
/// # fn example<A: Adaptor + Provides<role::Losses>>(model: Seen<A>) -> Result<()> {
/// let pipeline = Supervised::new(model).plan()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a pipeline does nothing until `.plan()`"]
#[derive(Debug)]
pub struct Supervised<A: Adaptor> {
    model: Seen<A>,
    semantics: Semantics,
}

impl<A: Adaptor> Supervised<A> {
    /// Trains this model.
    pub fn new(model: Seen<A>) -> Self
    where
        A: Provides<Losses>,
    {
        Supervised { model, semantics: Semantics::default() }
    }

    /// The numeric rules to run with; default [`Semantics::Exact`].
    pub fn semantics(self, semantics: Semantics) -> Self {
        Supervised { semantics, ..self }
    }

    /// Builds the plan and checks it.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] with every problem of the plan.
    pub fn plan(self) -> Result<Pipeline<A::Batch, A>> {
        self.lay(Vec::new())
    }

    /// The same, with problems found earlier.
    pub(crate) fn lay(self, problems: Vec<Problem>) -> Result<Pipeline<A::Batch, A>> {
        let losses = vec![Declared::hard_labels(1.0.into())];
        Pipeline::lay(Vec::new(), self.model, losses, self.semantics, problems)
    }
}
