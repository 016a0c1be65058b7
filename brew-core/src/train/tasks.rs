//! Training one student on several tasks.

use std::marker::PhantomData;

use super::evaluation::EvaluationSet;
use super::settings::Duration;
use super::{MultiTask, TrainedTasks, Trainer, run};
use crate::adaptor::{Adaptor, Provides};
use crate::batch::Batches;
use crate::error::Result;
use crate::model::Seen;
use crate::observe::Metric;
use crate::role::Role;

impl<'o, 'd> Trainer<'o, MultiTask<'d>> {
    /// Evaluates the student of a task on these batches at each checkpoint; the metric is logged as
    /// `task/metric`.
    pub fn evaluate<A, R, D>(self, task: &str, student: Seen<A>, data: D, metric: impl Metric<R> + 'o) -> Self
    where
        A: Adaptor + Provides<R>,
        R: Role,
        D: Batches<Batch = A::Batch> + 'o,
    {
        let metric_of_task = format!("{task}/{}", metric.name());
        self.evaluated(metric_of_task, EvaluationSet { judged: student, data, metric, role: PhantomData })
    }

    /// Checks two rows of each task and trains for the number of `.steps(…)`.
    ///
    /// # Errors
    /// The same as for a single pipeline, with the task's name.
    pub fn run(mut self) -> Result<TrainedTasks<'d>> {
        let mut problems = self.trained.problems();
        if let Duration::Epochs(_) = self.settings.duration {
            problems.push(
                "several tasks have no common epoch: set the length of the run with `.steps(…)`".to_owned(),
            );
        }
        self.refuse(problems)?;
        let (trained, settings, mut caller) = self.parts();
        let (projections, summary) =
            run::run(settings, trained.open(settings.seed)?, trained.tau, &mut caller)?;
        Ok(TrainedTasks { tasks: self.trained, projections, summary })
    }
}
