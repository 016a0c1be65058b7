//! TextBrewer's `MultiTaskDistiller`: several tasks, each with its teacher and its data, and one student.

use std::fmt;

use super::GeneralDistiller;
use super::config::{DistillationConfig, Registry, TrainingConfig};
use crate::adaptor::Adaptor;
use crate::batch::{Batches, Feeds};
use crate::error::{Error, Result};
use crate::model::Seen;
use crate::train::{MultiTask, Trainer};
use crate::words::numbered;

/// Builds a [`MultiTask`] with TextBrewer's semantics from TextBrewer's configs: every task has the config's
/// losses, weights and temperature, and all tasks train the same projections.
///
/// Differences from TextBrewer: task sizes count examples, not batches; draws come from the run's seed;
/// `ckpt_steps` may be missing or larger than the run.
///
/// ```no_run
/// # use std::sync::{Arc, Mutex};
/// # use brew_core::prelude::*;
/// # use brew_core::textbrewer::MultiTaskDistiller;
/// # use brew_core::textbrewer::config::{DistillationConfig, TrainingConfig};
/// # fn example<A: Adaptor, B: Adaptor, M>(movie_teacher: Seen<A>, movies: Vec<A::Batch>, product_teacher: Seen<B>, products: Vec<B::Batch>, student: Arc<Mutex<M>>, view: A, other_view: B) -> Result<()>
/// # where M: Model + Forward<A::Batch, Output = A::Output> + Forward<B::Batch, Output = B::Output> {
/// let train = TrainingConfig::from_json_file("train.json")?;
/// let distill = DistillationConfig::from_json_file("distill.json")?;
/// let trained = MultiTaskDistiller::new(&train, &distill)
///     .task("movies", movie_teacher, Arc::clone(&student).seen_by(view), movies)
///     .task("products", product_teacher, Arc::clone(&student).seen_by(other_view), products)
///     .tau(0.5)
///     .trainer()?
///     .optimizer(AdamW::with_lr(1e-4))
///     .steps(10_000)
///     .run()?;
/// # Ok(())
/// # }
/// ```
#[must_use = "a distiller does nothing until `.tasks()` or `.trainer()`"]
pub struct MultiTaskDistiller<'d> {
    configs: Configs,
    tau: f64,
    tasks: Vec<(String, Box<Lay<'d>>)>,
}

struct Configs {
    train: TrainingConfig,
    distill: DistillationConfig,
    registry: Registry,
}

/// Builds a task's plan and adds it to the others.
type Lay<'d> = dyn FnOnce(&Configs, &mut MultiTask<'d>) -> Result<()> + 'd;

impl fmt::Debug for MultiTaskDistiller<'_> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<&str> = self.tasks.iter().map(|(name, _)| name.as_str()).collect();
        formatter.debug_struct("MultiTaskDistiller").field("tasks", &names).finish_non_exhaustive()
    }
}

impl<'d> MultiTaskDistiller<'d> {
    /// No tasks yet; tau is 1.
    pub fn new(train: &TrainingConfig, distill: &DistillationConfig) -> Self {
        let (train, distill, registry) = (train.clone(), distill.clone(), Registry::default());
        MultiTaskDistiller { configs: Configs { train, distill, registry }, tau: 1.0, tasks: Vec::new() }
    }

    /// The registry that defines the names in the configs; TextBrewer's by default.
    pub fn registry(mut self, registry: Registry) -> Self {
        self.configs.registry = registry;
        self
    }

    /// Adds a task: its teacher, the student as this task's adaptor sees it, and its data.
    pub fn task<T: Adaptor, A: Adaptor, D: Batches + 'd>(
        mut self,
        name: impl Into<String>,
        teacher: Seen<T>,
        student: Seen<A>,
        data: D,
    ) -> Self
    where
        D::Batch: Feeds<T::Batch, A::Batch>,
    {
        let name = name.into();
        let named = name.clone();
        let lay = move |configs: &Configs, tasks: &mut MultiTask<'d>| {
            let distiller = GeneralDistiller::new(&configs.train, &configs.distill, teacher, student);
            tasks.add(named, distiller.registry(configs.registry.clone()).plan()?, data);
            Ok(())
        };
        self.tasks.push((name, Box::new(lay)));
        self
    }

    /// How strongly the tasks' sizes affect the drawing: see [`MultiTask::tau`].
    pub fn tau(self, tau: f64) -> Self {
        MultiTaskDistiller { tau, ..self }
    }

    /// Builds the plans of all tasks and checks them.
    ///
    /// # Errors
    /// Every problem of the configs and of the tasks' plans.
    pub fn tasks(self) -> Result<MultiTask<'d>> {
        let mut laid = MultiTask::new().tau(self.tau);
        // A config's problem occurs in every task, but is reported once.
        let mut problems: Vec<(String, Vec<String>)> = Vec::new();
        for (name, lay) in self.tasks {
            let Err(error) = lay(&self.configs, &mut laid) else { continue };
            let error = error.to_string();
            match problems.iter_mut().find(|(known, _)| *known == error) {
                Some((_, tasks)) => tasks.push(name),
                None => problems.push((error, vec![name])),
            }
        }
        if problems.is_empty() {
            return Ok(laid);
        }
        let of_tasks = |(error, tasks): &(String, Vec<String>)| format!("`{}`: {error}", tasks.join("`, `"));
        let problems: Vec<String> = problems.iter().map(of_tasks).collect();
        Err(Error::invalid(numbered("tasks cannot run", &problems)))
    }

    /// Builds the plans and their trainer, with the config's accumulation, checkpoints and run folder.
    ///
    /// # Errors
    /// Those of [`tasks`](Self::tasks).
    pub fn trainer<'o>(self) -> Result<Trainer<'o, MultiTask<'d>>> {
        let train = self.configs.train.clone();
        Ok(Trainer::new(self.tasks()?).training_config(&train))
    }
}
