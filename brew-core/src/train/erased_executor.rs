//! An executor with its types erased: what a run asks of a pipeline apart from its data.

use std::collections::{BTreeMap, BTreeSet};

use tch::{Kind, Tensor};

use crate::adaptor::Adaptor;
use crate::cache::CacheReport;
use crate::error::{InStage as _, Result};
use crate::execute::Executor;
use crate::loss::Learns;
use crate::model::Model as _;
use crate::parameters::Parameters;
use crate::plan::{OptimizerChanges, Plan};
use crate::schedule::Weight;

/// An executor of any pipeline.
pub(crate) trait ErasedExecutor {
    /// The plan that is run.
    fn plan(&self) -> &Plan;
    /// The plan as it was declared, without what the run added.
    fn declared(&self) -> &Plan;
    /// The student's parameters.
    fn student(&self) -> Parameters;
    /// What the student is beside its tensors, as values by name.
    fn student_identity(&self) -> Result<BTreeMap<String, String>>;
    /// What each of the teachers is, as values by name: the hash of its tensors, and its identity.
    fn teachers(&self) -> Result<Vec<BTreeMap<String, String>>>;
    /// What is learned beside the student, by name.
    fn learned(&self) -> Parameters;
    /// What is learned in groups, with what each changes of the optimizer's settings.
    fn learned_groups(&self) -> Vec<(OptimizerChanges, Parameters)>;
    /// The learned projections alone.
    fn projections(&self) -> Parameters;
    /// Takes another's projections in place of its own, where name and size are equal.
    fn share_projections(&mut self, with: &Parameters);
    /// Lets the models compute in this dtype; `None` is float32.
    fn compute_in(&mut self, kind: Option<Kind>) -> Result<()>;
    /// The weights that change over the run, by their losses' names: their values at these steps.
    fn scheduled_weights(&self, at: &BTreeSet<u64>, steps: u64) -> Vec<(String, Vec<f64>)>;
    /// Tells the losses that an optimizer step begins.
    fn before_step(&self, step: u64, steps: u64) -> Result<()>;
    /// Tells the losses that the step is done.
    fn after_step(&self) -> Result<()>;
    /// What losses carry from step to step, by stage and name.
    fn carried(&self) -> Result<Vec<(String, Tensor)>>;
    /// Gives losses what they carried, as [`ErasedExecutor::carried`] named it.
    fn carry_on(&self, carried: &BTreeMap<String, Tensor>) -> Result<()>;
    /// Makes what the teachers' caches were given outlast the process.
    fn flush_caches(&self);
    /// What the caches did since the last call, and their warnings.
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

    fn teachers(&self) -> Result<Vec<BTreeMap<String, String>>> {
        Executor::teachers(self)
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

/// Does this with every loss that learns or carries something.
fn each_learns<T: 'static, A: Adaptor>(
    executor: &Executor<'_, T, A>,
    mut work: impl FnMut(&mut dyn Learns) -> Result<()>,
) -> Result<()> {
    executor.losses().try_for_each(|(stage, loss)| loss.learns(&mut work).unwrap_or(Ok(())).in_stage(stage))
}
