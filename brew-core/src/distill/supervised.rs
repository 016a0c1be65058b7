//! Training without a teacher: the student's own loss is the only one (TextBrewer's `BasicTrainer`).

use super::{Declared, Pipeline};
use crate::adaptor::{Adaptor, Provides};
use crate::error::Result;
use crate::model::Seen;
use crate::plan::Semantics;
use crate::role::Losses;

/// Builds a pipeline that trains one model on its labels: how teachers are fine-tuned and plain
/// students made, over the same plan and the same loop as distillation.
///
/// ```no_run
/// # use brew_core::prelude::*;
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

    /// The numeric rules to run with; [`Semantics::Exact`] unless said otherwise.
    pub fn semantics(self, semantics: Semantics) -> Self {
        Supervised { semantics, ..self }
    }

    /// Lays the plan and checks it.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] with everything that is wrong with the plan.
    pub fn plan(self) -> Result<Pipeline<A::Batch, A>> {
        Pipeline::lay(
            Vec::new(),
            self.model,
            vec![Declared::hard_labels(1.0.into())],
            self.semantics,
            Vec::new(),
        )
    }
}
