//! A type-erased executor: everything that a run needs from a pipeline apart from its data.

use std::collections::{BTreeMap, BTreeSet};

use tch::{Kind, Tensor};

use crate::adaptor::Adaptor;
use crate::cache::CacheReport;
use crate::distill::Weighed;
use crate::error::{InStage as _, Result};
use crate::execute::{Executor, Noted};
use crate::loss::Learns;
use crate::model::Model as _;
use crate::parameters::Parameters;
use crate::plan::{OptimizerChanges, Plan};
use crate::rollout::TextRow;
use crate::schedule::Weight;

/// What losses need to know of the batches that other ranks run.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Notes {
    /// No loss learns.
    #[default]
    Nothing,
    /// Their terms, before the step ends.
    AfterThePasses,
    /// Their terms, before the next batch runs.
    InTurn,
}

/// The executor of any pipeline.
pub(crate) trait ErasedExecutor {
    /// The plan that runs.
    fn plan(&self) -> &Plan;
    /// The plan as declared, without the stages that the run added.
    fn declared(&self) -> &Plan;
    /// The student's parameters.
    fn student(&self) -> Parameters;
    /// The student's identity apart from its tensors, as named values.
    fn student_identity(&self) -> Result<BTreeMap<String, String>>;
    /// Whether the student takes its dropout from the pass.
    fn student_takes_dropout(&self) -> bool;
    /// Each teacher's identity as named values: the hash of its tensors and what its model reports.
    fn teachers(&self) -> Result<Vec<BTreeMap<String, String>>>;
    /// What the student holds and does not list.
    fn student_unlisted(&self) -> Parameters;
    /// The parameters and buffers of each teacher, and then what each holds and does not list.
    fn teachers_hold(&self) -> Vec<[Parameters; 2]>;
    /// The parameters learned beside the student's, by name.
    fn learned(&self) -> Parameters;
    /// The parameters learned in groups, with each group's changes to the optimizer's settings.
    fn learned_groups(&self) -> Vec<(OptimizerChanges, Parameters)>;
    /// Only the learned projections.
    fn projections(&self) -> Parameters;
    /// Replaces its projections with these where name and size match.
    fn share_projections(&mut self, with: &Parameters);
    /// What is learnt in place of each row of a step, if the plan has a rollout.
    fn write(&self, texts: &[TextRow], seed: i64, step: u64) -> Result<Vec<Vec<TextRow>>>;
    /// Sets the dtype that the models compute in; `None` is float32.
    fn compute_in(&mut self, kind: Option<Kind>) -> Result<()>;
    /// The loss weights that change over the run, by loss name: their values at these steps.
    fn scheduled_weights(&self, at: &BTreeSet<u64>, steps: u64) -> Vec<(String, Vec<f64>)>;
    /// Notifies the losses that an optimizer step begins.
    fn before_step(&self, step: u64, steps: u64) -> Result<()>;
    /// What its losses need to know of the batches that other ranks run.
    fn notes(&self) -> Notes;
    /// Tells the losses of terms that were kept apart, in the order of the step.
    fn note(&self, noted: &[Noted]) -> Result<()>;
    /// Notifies the losses that the step is done.
    fn after_step(&self) -> Result<()>;
    /// The state that losses carry from step to step, by stage and name.
    fn carried(&self) -> Result<Vec<(String, Tensor)>>;
    /// Restores the state of losses, named as by [`ErasedExecutor::carried`].
    fn carry_on(&self, carried: &BTreeMap<String, Tensor>) -> Result<()>;
    /// Makes everything written to the teachers' caches outlast the process.
    fn flush_caches(&self);
    /// Reports of the caches since the last call, and their warnings.
    fn cache_reports(&self) -> (Vec<CacheReport>, Vec<String>);
}

impl<T: 'static, A: Adaptor> ErasedExecutor for Executor<'_, T, A> {
    fn plan(&self) -> &Plan {
        Executor::plan(self)
    }

    fn declared(&self) -> &Plan {
        &self.pipeline().plan
    }

    fn student(&self) -> Parameters {
        self.pipeline().student.parameters()
    }

    fn student_identity(&self) -> Result<BTreeMap<String, String>> {
        let mut identity = self.pipeline().student.identity()?;
        identity.insert("adaptor".to_owned(), std::any::type_name::<A>().to_owned());
        Ok(identity)
    }

    fn student_takes_dropout(&self) -> bool {
        self.pipeline().student.takes_dropout()
    }

    fn teachers(&self) -> Result<Vec<BTreeMap<String, String>>> {
        Executor::teachers(self)
    }

    fn student_unlisted(&self) -> Parameters {
        self.pipeline().student.unlisted()
    }

    fn teachers_hold(&self) -> Vec<[Parameters; 2]> {
        let teachers = self.pipeline().teachers.iter();
        teachers.map(|teacher| [teacher.parameters(), teacher.unlisted()]).collect()
    }

    fn learned(&self) -> Parameters {
        Executor::learned(self)
    }

    fn learned_groups(&self) -> Vec<(OptimizerChanges, Parameters)> {
        Executor::learned_groups(self).collect()
    }

    fn projections(&self) -> Parameters {
        Executor::projections(self).parameters()
    }

    fn share_projections(&mut self, with: &Parameters) {
        Executor::share_projections(self, with);
    }

    fn write(&self, texts: &[TextRow], seed: i64, step: u64) -> Result<Vec<Vec<TextRow>>> {
        Executor::write(self, texts, seed, step)
    }

    fn compute_in(&mut self, kind: Option<Kind>) -> Result<()> {
        Executor::compute_in(self, kind)
    }

    fn scheduled_weights(&self, at: &BTreeSet<u64>, steps: u64) -> Vec<(String, Vec<f64>)> {
        let semantics = ErasedExecutor::plan(self).semantics();
        let scheduled = self.weights().filter(|(_, weight)| weight.schedule().is_some());
        let values = |weight: &Weight| at.iter().map(|step| weight.at(semantics, *step, steps)).collect();
        scheduled.map(|(name, weight)| (name.to_owned(), values(weight))).collect()
    }

    fn before_step(&self, step: u64, steps: u64) -> Result<()> {
        each_learns(self, |learns| learns.before_step(step, steps))
    }

    fn notes(&self) -> Notes {
        let of_loss = |loss: &Weighed| loss.learns(|learns| learns.reads_own_step());
        let needed = self.losses().filter_map(|(_, loss)| of_loss(loss));
        needed
            .map(|in_turn| if in_turn { Notes::InTurn } else { Notes::AfterThePasses })
            .max()
            .unwrap_or_default()
    }

    fn note(&self, noted: &[Noted]) -> Result<()> {
        Executor::note(self, noted)
    }

    fn after_step(&self) -> Result<()> {
        each_learns(self, |learns| learns.after_step())
    }

    fn carried(&self) -> Result<Vec<(String, Tensor)>> {
        let mut carried = Vec::new();
        for (stage, loss) in self.losses() {
            let state = loss.learns(|learns| learns.state()).transpose().in_stage(stage)?.unwrap_or_default();
            carried.extend(state.into_iter().map(|(name, tensor)| (format!("{stage}.{name}"), tensor)));
        }
        Ok(carried)
    }

    fn carry_on(&self, carried: &BTreeMap<String, Tensor>) -> Result<()> {
        for (stage, loss) in self.losses() {
            let of_stage = carried.iter().filter_map(|(name, tensor)| {
                let name = name.strip_prefix(stage)?.strip_prefix('.')?;
                Some((name.to_owned(), tensor.shallow_clone()))
            });
            let of_stage = of_stage.collect();
            loss.learns(|learns| learns.restore(&of_stage)).transpose().in_stage(stage)?;
        }
        Ok(())
    }

    fn flush_caches(&self) {
        Executor::flush_caches(self);
    }

    fn cache_reports(&self) -> (Vec<CacheReport>, Vec<String>) {
        (Executor::cache_reports(self), self.cache_warnings())
    }
}

/// Applies a function to every loss that learns or carries state.
fn each_learns<T: 'static, A: Adaptor>(
    executor: &Executor<'_, T, A>,
    mut work: impl FnMut(&mut dyn Learns) -> Result<()>,
) -> Result<()> {
    executor.losses().try_for_each(|(stage, loss)| loss.learns(&mut work).unwrap_or(Ok(())).in_stage(stage))
}
