//! The executor: runs a plan on a device. Only here does a plan meet tensors.
//!
//! Stages run in the plan's order. Each flow between two stages holds its own tensor handles, which the
//! reading stage consumes: a tensor is therefore dropped after its last reader, and a model's output as soon
//! as its adaptor has extracted the wanted features.
//!
//! `run` walks the plan with one match over the kinds of stages. The kinds are implemented in `teacher`,
//! `student`, `loss` and `teacher_cache`; `rollout` rewrites the batches of a step before it begins; `probe` walks the plan with two rows and collects every problem.

mod balance;
mod checks;
mod class_orders;
mod classes;
mod combine;
mod compared_tokens;
mod heads;
mod held;
mod loss;
mod output_layers;
mod outputs;
mod probe;
mod projections;
mod reads;
mod rollout;
mod run;
mod shift;
mod student;
mod teacher;
mod teacher_cache;
pub(crate) mod vocabularies;
mod window;

use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};

use crate::adaptor::Adaptor;
use crate::batch::Feeds;
use crate::cache::RowKeys;
use crate::distill::{Pipeline, Weighed};
use crate::error::{Error, InStage, Problem, Result};
use crate::loss::Place;
use crate::model::{ErasedModel, Model as _};
use crate::native::Autocast;
use crate::parameters::Parameters;
use crate::pass::Wants;
use crate::plan::{OptimizerChanges, Plan, StageId};
use crate::schedule::Weight;

pub use probe::Probe;
pub use projections::Projections;
pub(crate) use run::Noted;
pub use run::StepLosses;
pub(crate) use window::tokens;
pub use window::{BatchCounts, Window};

/// The keys of a batch's rows, for each teacher that has a cache.
pub(crate) type Keys = BTreeMap<usize, RowKeys>;

/// Runs the plan of a pipeline.
#[derive(Debug)]
pub struct Executor<'p, T: 'static, A: Adaptor> {
    pipeline: &'p Pipeline<T, A>,
    /// The plan that runs: the pipeline's, with the stages that the run added.
    plan: Plan,
    order: Vec<StageId>,
    orders: class_orders::Orders,
    projections: Projections,
    variances: balance::Variances,
    caches: Option<teacher_cache::Caches>,
    device: Device,
    /// The dtype of autocast; `None` for float32.
    precision: Option<Kind>,
}

impl<'p, T: 'static, A: Adaptor> Executor<'p, T, A> {
    /// Prepares a pipeline: freezes its teachers and initializes its projections from this seed.
    pub fn new(pipeline: &'p Pipeline<T, A>, seed: i64) -> Result<Self> {
        pipeline.plan.check()?;
        let order = order_of(&pipeline.plan)?;
        for teacher in &pipeline.teachers {
            teacher.parameters().freeze()?;
        }
        let parameters = pipeline.student.parameters();
        let double = parameters.iter().any(|(_, parameter)| parameter.kind() == Kind::Double);
        let kind = if double { Kind::Double } else { Kind::Float };
        let device = parameters.device();
        let projections = Projections::new(&pipeline.plan, (kind, device), seed)?;
        for (index, (id, part)) in pipeline.losses.iter().enumerate() {
            let name = pipeline.plan.stage(*id).map_or("", |stage| &stage.name);
            let seed = seed.wrapping_add(i64::try_from(index + 1).unwrap_or(i64::MAX));
            let place = Place { kind, device, seed };
            part.learns(|learns| learns.prepare(&place)).transpose().in_stage(name)?;
        }
        let variances = balance::Variances::new(&pipeline.plan, (kind, device))?;
        let orders = class_orders::Orders::of(pipeline)?;
        Ok(Executor {
            pipeline,
            plan: pipeline.plan.clone(),
            order,
            orders,
            projections,
            variances,
            caches: None,
            device,
            precision: None,
        })
    }

    /// The losses with the names of their stages.
    pub(crate) fn losses(&self) -> impl Iterator<Item = (&str, &Weighed)> {
        self.pipeline
            .losses
            .iter()
            .filter_map(|(id, part)| self.plan().stage(*id).map(|stage| (stage.name.as_str(), part)))
    }

    /// The losses' weights, with the names of their stages.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&str, &Weight)> {
        self.pipeline
            .losses
            .iter()
            .filter_map(|(id, part)| self.plan().stage(*id).map(|stage| (stage.name.as_str(), &part.weight)))
    }

    /// The parameters learned beside the student's: those of projections and losses, each under its stage's
    /// name.
    pub fn learned(&self) -> Parameters {
        let of_losses = self.losses().flat_map(|(stage, loss)| named(stage, &learned(loss)));
        let projections = self.projections.parameters();
        let projections: Vec<_> =
            projections.iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect();
        Parameters::new(projections.into_iter().chain(of_losses).chain(self.variances.parameters()))
    }

    /// The same in groups, each with its changes to the optimizer's settings.
    pub(crate) fn learned_groups(&self) -> impl Iterator<Item = (OptimizerChanges, Parameters)> {
        let of_losses = self.losses().map(|(stage, loss)| {
            (OptimizerChanges::default(), Parameters::new(named(stage, &learned(loss))))
        });
        let variances = (balance::NO_DECAY, Parameters::new(self.variances.parameters()));
        self.projections.groups().chain(of_losses).chain([variances])
    }

    /// Replaces the parameters of its projections with these where name and size match, so that several plans
    /// train one projection.
    pub(crate) fn share_projections(&mut self, with: &Parameters) {
        self.projections.share(with);
    }

    /// Makes teachers and student compute in low precision, by autocast; `None` is float32. The teachers'
    /// weights are converted to it permanently; the weights of the student, projections and losses stay in
    /// float32.
    pub fn compute_in(&mut self, kind: Option<Kind>) -> Result<()> {
        self.precision = kind;
        let (Some(kind), _guard) = (kind, tch::no_grad_guard()) else { return Ok(()) };
        for teacher in &self.pipeline.teachers {
            // Buffers keep their dtype, as autocast expects of running statistics.
            for (name, weight) in teacher.parameters().without_buffers() {
                // A weight that two layers share may already be converted.
                if weight.kind() == Kind::Float {
                    weight.shallow_clone().f_set_data(&weight.f_to_kind(kind)?).in_stage(name)?;
                }
            }
        }
        Ok(())
    }

    /// The learned projections.
    pub fn projections(&self) -> &Projections {
        &self.projections
    }

    /// The plan that runs: the declared stages and those that the run added.
    pub fn plan(&self) -> &Plan {
        &self.plan
    }

    /// The pipeline as declared.
    pub(crate) fn pipeline(&self) -> &Pipeline<T, A> {
        self.pipeline
    }

    /// Switches to a plan that a pass made from the current one.
    fn run_plan(&mut self, plan: Plan) -> Result<()> {
        self.order = order_of(&plan)?;
        self.plan = plan;
        Ok(())
    }

    /// The counts of a batch in a window of several batches.
    pub fn counts<B: Feeds<T, A::Batch>>(&self, batch: &B) -> Result<BatchCounts> {
        let losses = self.losses().map(|(_, loss)| loss.loss());
        BatchCounts::of::<A>(&self.pipeline.student, batch.student(), losses)
    }

    /// The combined counts of the batches of one optimizer step.
    pub fn window<B: Feeds<T, A::Batch>>(&self, batches: &[B]) -> Result<Window> {
        let counts = batches.iter().map(|batch| self.counts(batch)).collect::<Result<Vec<_>>>()?;
        Window::sum(self.plan().semantics(), batches.len(), &counts.iter().collect::<Vec<_>>())
    }

    /// What a model's adaptor reads from its output.
    fn wants_of(&self, model: StageId) -> Wants {
        let adaptors = self.plan().outputs(model);
        adaptors.first().map(|(_, adaptor, _)| self.plan().wants(*adaptor)).unwrap_or_default()
    }

    fn autocast(&self) -> Result<Option<Autocast>> {
        self.precision.map(|kind| Autocast::enter(self.device, kind)).transpose()
    }

    fn teacher(&self, index: usize) -> Result<&dyn ErasedModel<T>> {
        let teachers = &self.pipeline.teachers;
        teachers.get(index).map(|teacher| &**teacher).ok_or_else(|| {
            Error::invalid(format!(
                "the plan runs teacher {index}, but the pipeline has {}, counted from 0",
                teachers.len()
            ))
        })
    }

    fn student(&self) -> &dyn ErasedModel<A::Batch> {
        &self.pipeline.student
    }

    fn weighed(&self, id: StageId) -> Result<&Weighed> {
        let loss = self.pipeline.losses.get(&id);
        loss.ok_or_else(|| Error::invalid("the plan has a loss that the pipeline lacks"))
    }
}

/// The order that a plan's stages run in.
fn order_of(plan: &Plan) -> Result<Vec<StageId>> {
    plan.order().map_err(|names| Error::Plan(vec![Problem::Cycle(names)]))
}

/// The parameters that a loss learns.
fn learned(loss: &Weighed) -> Parameters {
    loss.learns(|learns| learns.parameters()).unwrap_or_default()
}

/// The parameters that a loss learns, under its stage's name.
fn named(stage: &str, parameters: &Parameters) -> Vec<(String, Tensor)> {
    let under = |(name, tensor): (&str, &Tensor)| (format!("{stage}.{name}"), tensor.shallow_clone());
    parameters.iter().map(under).collect()
}
