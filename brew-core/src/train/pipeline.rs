//! Training one pipeline over its data, for a number of epochs or steps.

use std::marker::PhantomData;

use super::evaluation::{EvaluationSet, StudentItself};
use super::settings::Duration;
use super::task::Task;
use super::worker::Worker;
use super::{Trained, Trainer, run};
use crate::adaptor::{Adaptor, Provides};
use crate::batch::{Batches, Feeds};
use crate::distill::Pipeline;
use crate::error::Result;
use crate::observe::Metric;
use crate::role::Role;

impl<'o, T: 'static, A: Adaptor> Trainer<'o, Pipeline<T, A>> {
    /// The number of passes over the data, whose length must be known.
    pub fn epochs(mut self, epochs: u64) -> Self {
        self.settings.duration = Duration::Epochs(epochs);
        self
    }

    /// Checkpoints per epoch, in a run of epochs; default 1. With s steps per epoch they are written floor(s
    /// i / n) steps after the start of the epoch, for i = 1, …, n. TextBrewer's `ckpt_frequency`.
    pub fn checkpoints_per_epoch(mut self, checkpoints: u64) -> Self {
        self.settings.checkpoints.per_epoch = checkpoints;
        self
    }

    /// Writes checkpoints only in every `epochs`-th epoch and in the last, in a run of epochs; default 1.
    /// TextBrewer's `ckpt_epoch_frequency`.
    pub fn checkpoint_every_epochs(mut self, epochs: u64) -> Self {
        self.settings.checkpoints.every_epochs = epochs;
        self
    }

    /// Evaluates the student on these batches after each epoch, or in a run of steps at each checkpoint. Call
    /// it again to add another metric; `best/` and [`stop_after`](Trainer::stop_after) use the first.
    ///
    /// The metric decides which role it reads: the logits, or any other that the student's adaptor provides.
    /// Before the first step, student, batches and metric are tried on two rows and on the rows that hold the
    /// data's extremes.
    pub fn evaluate<R, D>(self, data: D, metric: impl Metric<R> + 'o) -> Self
    where
        R: Role,
        A: Provides<R>,
        D: Batches<Batch = A::Batch> + 'o,
    {
        self.evaluated(
            metric.name().to_owned(),
            EvaluationSet { judged: StudentItself, data, metric, role: PhantomData },
        )
    }

    /// Checks two rows, trains, and returns the student.
    ///
    /// # Errors
    /// [`crate::Error::Plan`] with every problem that two rows reveal, also in the evaluations,
    /// before anything is trained; errors of the data, such as data that yields no batch; errors of a step,
    /// with the stage, the epoch and the batch; an error of the callback, with the step.
    pub fn run<B, D>(mut self, data: D) -> Result<Trained<A>>
    where
        B: Feeds<T, A::Batch>,
        D: Batches<Batch = B>,
    {
        self.refuse(Vec::new())?;
        let (pipeline, settings, mut caller) = self.parts();
        let work = Box::new(Worker::new(pipeline, &data, settings.seed)?);
        let tasks = vec![Task { name: None, work }];
        let (projections, summary) = run::run(settings, tasks, 1.0, &mut caller)?;
        Ok(Trained { student: self.trained.into_student(), projections, summary })
    }
}
