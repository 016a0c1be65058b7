//! TextBrewer's `BasicTrainer`: training without a teacher, from a training config.

use super::config::TrainingConfig;
use crate::adaptor::{Adaptor, Provides};
use crate::distill::{Pipeline, Supervised};
use crate::error::{Problem, Result};
use crate::model::Seen;
use crate::role::Losses;
use crate::semantics::Semantics;
use crate::train::Trainer;

/// TextBrewer's trainer without a teacher, from its training config and with its semantics: the loss is the
/// sum of the means of the adaptor's `losses`.
///
/// ```no_run
/// # use brew_core::prelude::*;
/// # use brew_core::adaptor::Provides;
/// # use brew_core::textbrewer::BasicTrainer;
/// # use brew_core::textbrewer::config::TrainingConfig;
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

impl<A: Adaptor + Provides<Losses>> BasicTrainer<A> {
    /// Trains this model.
    pub fn new(train: &TrainingConfig, model: Seen<A>) -> Self {
        BasicTrainer { train: train.clone(), model }
    }

    /// Builds the plan and checks it.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] with every problem of the config and of the plan.
    pub fn plan(self) -> Result<Pipeline<A::Batch, A>> {
        let problems = self.train.problems().into_iter().map(Problem::Config).collect();
        let supervised = Supervised::new(self.model).semantics(Semantics::TextBrewer);
        Ok(Pipeline { warnings: self.train.warnings(), ..supervised.lay(problems)? })
    }

    /// Builds the plan and its trainer, with the config's accumulation, checkpoints and run folder.
    ///
    /// # Errors
    /// Those of [`plan`](Self::plan).
    pub fn trainer<'o>(self) -> Result<Trainer<'o, Pipeline<A::Batch, A>>> {
        let train = self.train.clone();
        Ok(Trainer::new(self.plan()?).training_config(&train))
    }
}
