//! Training without a teacher: the student's own loss is the only one (TextBrewer's `BasicTrainer`).

use super::{Declared, Pipeline};
use crate::adaptor::{Adaptor, Provides};
use crate::config::TrainingConfig;
use crate::error::{Problem, Result};
use crate::model::Seen;
use crate::role::Losses;
use crate::semantics::Semantics;
use crate::train::Trainer;

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
        self.lay(Vec::new())
    }

    fn lay(self, problems: Vec<Problem>) -> Result<Pipeline<A::Batch, A>> {
        let losses = vec![Declared::hard_labels(1.0.into())];
        Pipeline::lay(Vec::new(), self.model, losses, self.semantics, problems)
    }
}

/// TextBrewer's trainer without a teacher, of its training config, in its semantics: the loss is the sum
/// of the means of the adaptor's `losses`.
///
/// ```no_run
/// # use brew_core::prelude::*;
/// # fn example<A: Adaptor + Provides<role::Losses>>(model: Seen<A>, reviews: Vec<A::Batch>) -> Result<()> {
/// let config = TrainingConfig::from_json_file("train.json")?;
/// let trained = BasicTrainer::new(&config, model).trainer()?.optimizer(AdamW::with_lr(2e-5)).epochs(3).run(reviews)?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a trainer does nothing until `.plan()` or `.trainer()`"]
#[derive(Debug)]
pub struct BasicTrainer<A: Adaptor> {
    train: TrainingConfig,
    model: Seen<A>,
}

impl<A: Adaptor> BasicTrainer<A> {
    /// Trains this model.
    pub fn new(train: &TrainingConfig, model: Seen<A>) -> Self
    where
        A: Provides<Losses>,
    {
        BasicTrainer { train: train.clone(), model }
    }

    /// Lays the plan and checks it.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] with everything that is wrong with the config, and with the plan.
    pub fn plan(self) -> Result<Pipeline<A::Batch, A>> {
        let problems = self.train.problems().into_iter().map(Problem::Config).collect();
        let supervised = Supervised { model: self.model, semantics: Semantics::TextBrewer };
        Ok(Pipeline { warnings: self.train.warnings(), ..supervised.lay(problems)? })
    }

    /// Lays the plan and makes its trainer, with the accumulation, the checkpoints and the run folder of
    /// the config.
    ///
    /// # Errors
    /// As [`plan`](Self::plan).
    pub fn trainer<'o>(self) -> Result<Trainer<'o, Pipeline<A::Batch, A>>> {
        let train = self.train.clone();
        Ok(Trainer::new(self.plan()?).training_config(&train))
    }
}
