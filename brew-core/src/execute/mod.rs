//! The executor: a plan on a device. The only room where the plan meets tensors.
//!
//! Stages run in the plan's order. Each flow between two stages holds handles of its own, which the
//! reading stage takes away: so a tensor is dropped after its last reader, and a model's output as
//! soon as its adaptor has picked the features somebody wants.

mod balance;
mod classes;
mod combine;
mod heads;
mod outputs;
mod probe;
mod projections;
mod reads;
mod recall;
mod shift;
mod window;

use std::any::Any;
use std::collections::BTreeMap;

use tch::{Device, Kind, Tensor};
use tracing::debug_span;

use crate::adaptor::Adaptor;
use crate::batch::{Batch, Feeds};
use crate::distill::{Pipeline, Weighed};
use crate::error::{Error, InStage, Result};
use crate::feature::Feature;
use crate::loss::{Loss, Place};
use crate::model::{Model as _, Side, labelled};
use crate::native::Autocast;
use crate::parameters::Parameters;
use crate::pass::Pass;
use crate::plan::{Flow, FlowId, OptimizerChanges, Plan, Stage, StageId, StageKind};
use crate::role::{Labels, Losses as LossesRole, Role};
use crate::schedule::Weight;
use crate::side::Owner;

pub use probe::Probe;
pub use projections::Projections;
use window::Divided;
pub(crate) use window::tokens;
pub use window::{BatchCounts, Window};

/// Runs the plan of a pipeline.
#[derive(Debug)]
pub struct Executor<'p, T: 'static, A: Adaptor> {
    pipeline: &'p Pipeline<T, A>,
    order: Vec<StageId>,
    orders: classes::Orders,
    projections: Projections,
    variances: balance::Variances,
    caches: Option<recall::Caches>,
    device: Device,
    /// The dtype of autocast; `None` for float32.
    precision: Option<Kind>,
}

/// What one run of a plan gives.
#[derive(Debug)]
pub struct StepLosses {
    /// The weighted sum, a scalar with the gradient.
    pub total: Tensor,
    /// Each loss before its weight, a scalar without gradient, in the plan's order.
    pub terms: Vec<(String, Tensor)>,
}

/// Called after each stage with the number of tensors that are held for later stages.
pub type Watch<'w> = dyn FnMut(&Stage, usize) + 'w;

/// The tensors and outputs that wait for their readers.
#[derive(Default)]
struct Held {
    outputs: BTreeMap<StageId, Box<dyn Any>>,
    flows: BTreeMap<FlowId, Vec<Tensor>>,
    counts: OwnCounts,
}

/// What the student's own losses of a batch count.
#[derive(Default)]
struct OwnCounts {
    losses: Option<Vec<Tensor>>,
    rows: usize,
}

impl Held {
    /// Distinct tensors among the flows; handles of one tensor count once.
    fn tensors(&self) -> usize {
        let pointers = self.flows.values().flatten().map(|tensor| tensor.data_ptr() as usize);
        pointers.collect::<std::collections::BTreeSet<_>>().len()
    }
}

impl<'p, T: 'static, A: Adaptor> Executor<'p, T, A> {
    /// Prepares a pipeline: freezes its teachers and makes its projections from this seed.
    pub fn new(pipeline: &'p Pipeline<T, A>, seed: i64) -> Result<Self> {
        pipeline.plan.check()?;
        let order =
            pipeline.plan.order().map_err(|names| Error::Plan(vec![crate::error::Problem::Cycle(names)]))?;
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
            part.loss.prepare(&Place { kind, device, seed }).in_stage(name)?;
        }
        let variances = balance::Variances::new(&pipeline.plan, (kind, device))?;
        let orders = classes::Orders::of(pipeline)?;
        Ok(Executor {
            pipeline,
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
    pub(crate) fn losses(&self) -> impl Iterator<Item = (&str, &dyn Loss)> {
        self.pipeline
            .losses
            .iter()
            .filter_map(|(id, part)| self.plan().stage(*id).map(|stage| (stage.name.as_str(), &*part.loss)))
    }

    /// Their weights, with the names of their stages.
    pub(crate) fn weights(&self) -> impl Iterator<Item = (&str, &Weight)> {
        self.pipeline
            .losses
            .iter()
            .filter_map(|(id, part)| self.plan().stage(*id).map(|stage| (stage.name.as_str(), &part.weight)))
    }

    /// What is learned beside the student: projections, and what losses learn, each under its stage's
    /// name.
    pub fn learned(&self) -> Parameters {
        let of_losses = self.losses().flat_map(|(stage, loss)| named(stage, &loss.parameters()));
        let projections = self.projections.parameters();
        let projections: Vec<_> =
            projections.iter().map(|(name, tensor)| (name.to_owned(), tensor.shallow_clone())).collect();
        Parameters::new(projections.into_iter().chain(of_losses).chain(self.variances.parameters()))
    }

    /// The same in groups, with what each changes of the optimizer's settings.
    pub(crate) fn learned_groups(&self) -> impl Iterator<Item = (OptimizerChanges, Parameters)> {
        let of_losses = self.losses().map(|(stage, loss)| {
            (OptimizerChanges::default(), Parameters::new(named(stage, &loss.parameters())))
        });
        let variances = (balance::NO_DECAY, Parameters::new(self.variances.parameters()));
        self.projections.groups().chain(of_losses).chain([variances])
    }

    /// Takes these parameters in place of its own where a projection has one of that name and size: so
    /// several plans train one projection.
    pub(crate) fn share_projections(&mut self, with: &Parameters) {
        self.projections.share(with);
    }

    /// Lets teachers and student compute in a low precision, by autocast; `None` is float32. The
    /// teachers' weights are held in it from now on; the student's, projections and losses stay wide.
    pub fn compute_in(&mut self, kind: Option<Kind>) -> Result<()> {
        self.precision = kind;
        let (Some(kind), _guard) = (kind, tch::no_grad_guard()) else { return Ok(()) };
        for teacher in &self.pipeline.teachers {
            // Buffers keep their dtype, as autocast expects of running statistics.
            for (name, weight) in teacher.parameters().without_buffers() {
                // A weight that two layers share has one handle's change already.
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

    /// The plan that is run.
    pub fn plan(&self) -> &Plan {
        &self.pipeline.plan
    }

    /// What a batch counts in a window of several.
    pub fn counts<B: Feeds<T, A::Batch>>(&self, batch: &B) -> Result<BatchCounts> {
        BatchCounts::of::<A>(&self.pipeline.student, batch.student())
    }

    /// What the batches of one optimizer step count together.
    pub fn window<B: Feeds<T, A::Batch>>(&self, batches: &[B]) -> Result<Window> {
        let counts = batches.iter().map(|batch| self.counts(batch)).collect::<Result<Vec<_>>>()?;
        Window::sum(self.plan().semantics(), batches.len(), &counts.iter().collect::<Vec<_>>())
    }

    /// One pass over the plan. The wishes of `pass` are replaced by the plan's own; teachers never
    /// train. `window` says what to divide by where the batch is one of several.
    pub fn run<B: Feeds<T, A::Batch>>(
        &self,
        batch: &B,
        pass: &Pass,
        window: Option<&Window>,
        watch: &mut Watch<'_>,
    ) -> Result<StepLosses> {
        let mut held = Held::default();
        let mut losses = StepLosses { total: Tensor::new(), terms: Vec::new() };
        let mut weights = BTreeMap::new();
        for &id in &self.order {
            let Some(stage) = self.plan().stage(id) else { continue };
            match &stage.kind {
                StageKind::Batch => {}
                StageKind::Teacher { index } if batch.teacher_output(*index).is_some() => {}
                StageKind::Teacher { .. } | StageKind::Student => {
                    let output = self.forward(id, stage, batch, pass)?;
                    held.outputs.insert(id, output);
                }
                StageKind::Adaptor { owner, .. } => {
                    for (flow, feature) in self.adapt(id, *owner, batch, &mut held).in_stage(&stage.name)? {
                        held.flows.insert(flow, feature.in_stage(&stage.name)?);
                    }
                }
                StageKind::Projection(_) => {
                    let features = self.project(id, &mut held).in_stage(&stage.name)?;
                    held.flows.extend(features);
                }
                StageKind::Loss(_) => {
                    let _span = debug_span!("loss", name = stage.name).entered();
                    let value = self.loss(id, window, &mut held).in_stage(&stage.name)?;
                    losses.terms.push((stage.name.clone(), value.f_detach()?));
                    let weight =
                        self.weighed(id)?.weight.at(self.plan().semantics(), pass.step(), pass.steps());
                    weights.insert(id, weight);
                    for (flow, ..) in self.plan().outputs(id) {
                        held.flows.insert(flow, vec![value.shallow_clone()]);
                    }
                }
                StageKind::Sum => {
                    let share = window.map_or(1.0, Window::share);
                    losses.total = self.sum(id, &mut held, &weights, share).in_stage(&stage.name)?;
                }
            }
            watch(stage, held.tensors());
        }
        Ok(losses)
    }

    fn forward<B: Feeds<T, A::Batch>>(
        &self,
        id: StageId,
        stage: &Stage,
        batch: &B,
        pass: &Pass,
    ) -> Result<Box<dyn Any>> {
        let _span = match stage.kind {
            StageKind::Teacher { index } => debug_span!("teacher", index),
            _ => debug_span!("student"),
        }
        .entered();
        self.pass_through(id, stage, batch, pass)
    }

    /// The same without a span, for passes that are no part of a step.
    fn pass_through<B: Feeds<T, A::Batch>>(
        &self,
        id: StageId,
        stage: &Stage,
        batch: &B,
        pass: &Pass,
    ) -> Result<Box<dyn Any>> {
        let pass = &pass.with_argument(self.pipeline.argument.clone());
        let adaptors = self.plan().outputs(id);
        let wants = adaptors.first().map(|(_, adaptor, _)| self.plan().wants(*adaptor)).unwrap_or_default();
        let autocast = || self.precision.map(|kind| Autocast::enter(self.device, kind)).transpose();
        match stage.kind {
            StageKind::Teacher { index } => {
                let pass = &pass.for_teacher(wants);
                if let Some(recalled) = self.recalled(index, batch, pass).in_stage(&stage.name)? {
                    return Ok(Box::new(recalled));
                }
                let (_guard, _autocast) = (tch::no_grad_guard(), autocast()?);
                self.teacher(index)?.forward(batch.teacher(), pass)
            }
            _ => {
                let _autocast = autocast()?;
                self.student()
                    .forward(batch.student(), &pass.with_wants(wants))
                    .map_err(|error| with_label_range(error, self.student(), batch.student()))
            }
        }
        .in_stage(&stage.name)
    }

    /// The features that flow out of an adaptor, each with its own error.
    fn adapt<B: Feeds<T, A::Batch>>(
        &self,
        id: StageId,
        owner: Owner,
        batch: &B,
        held: &mut Held,
    ) -> Result<Vec<(FlowId, Result<Vec<Tensor>>)>> {
        let model = self.plan().inputs(id).into_iter().find(|(_, _, flow)| matches!(flow, Flow::Output));
        let made = model.and_then(|(_, model, _)| held.outputs.remove(&model));
        let given = match owner {
            Owner::Teacher(index) => batch.teacher_output(index),
            Owner::Student => None,
        };
        let output = made.as_deref().or(given);
        let output = output.ok_or_else(|| Error::invalid("an adaptor has no output to read"))?;
        let _guard = matches!(owner, Owner::Teacher(_)).then(tch::no_grad_guard);
        let kept;
        let recalled = match (owner, made.as_deref()) {
            // What a batch brings along is not the teacher's own to keep.
            (Owner::Teacher(index), Some(output)) if self.is_cached(index) => {
                match output.downcast_ref::<crate::cache::Recalled>() {
                    None => {
                        kept = self.settle(index, batch, self.flows(index, id, batch.teacher(), output)?)?;
                        kept.as_ref()
                    }
                    recalled => recalled,
                }
            }
            _ => None,
        };
        let mut features = Vec::new();
        for (flow, _, kind) in self.plan().outputs(id) {
            let Flow::Feature { role, layers } = kind else { continue };
            let feature = match (owner, recalled) {
                (Owner::Teacher(index), Some(recalled)) => {
                    match self.teacher(index)?.read_batch(role, batch.teacher())? {
                        None => {
                            features.push((flow, recalled.flow(role, layers.as_deref())));
                            continue;
                        }
                        given => Ok(given),
                    }
                }
                (Owner::Teacher(index), None) => self.teacher(index)?.read(role, batch.teacher(), output),
                (Owner::Student, _) => self.student().read(role, batch.student(), output),
            };
            let feature = feature.and_then(|feature| reads::pick(role, feature, layers.as_deref()));
            if owner == Owner::Student && role == LossesRole::NAME {
                held.counts = self.own_counts(batch.student(), output)?;
            }
            features.push((flow, feature));
        }
        Ok(features)
    }

    /// What the student's own losses count; labels that the model gives itself are known only now.
    fn own_counts(&self, batch: &A::Batch, output: &dyn Any) -> Result<OwnCounts> {
        let losses = match self.student().losses_count(batch)? {
            Some(counts) => Some(counts),
            None => self
                .student()
                .read(Labels::NAME, batch, output)?
                .and_then(|labels| labelled(&labels.into_tensors()))
                .transpose()?,
        };
        Ok(OwnCounts { losses, rows: Batch::rows(batch) })
    }

    fn project(&self, id: StageId, held: &mut Held) -> Result<Vec<(FlowId, Vec<Tensor>)>> {
        let inputs = self.plan().inputs(id);
        // What goes in first comes out first: a projection may serve several losses.
        let outputs = self.plan().outputs(id);
        let paired = inputs
            .iter()
            .zip(&outputs)
            .filter_map(|((from, ..), (to, ..))| held.flows.remove(from).map(|features| (*to, features)));
        paired
            .map(|(to, features)| {
                let projected = features.iter().map(|feature| self.projections.apply(id, feature));
                Ok((to, projected.collect::<Result<Vec<_>>>()?))
            })
            .collect()
    }

    /// The value of a loss: its terms, each divided, added up.
    fn loss(&self, id: StageId, window: Option<&Window>, held: &mut Held) -> Result<Tensor> {
        let loss = &*self.weighed(id)?.loss;
        let (role, pairs) = reads::gather(self.plan(), id, loss, &self.orders, held)?;
        let mut total: Option<Tensor> = None;
        let heads = pairs.len();
        for (head, (student, teacher)) in pairs.into_iter().enumerate() {
            reads::same_masks(loss, &student, &teacher)?;
            let term = loss.term(&student, &teacher)?;
            let value = match window {
                Some(window) => window.divide(&term, &Divided { loss, role: &role, head, heads })?,
                None => term.mean()?,
            };
            total = Some(match total {
                Some(sum) => sum.f_add(&value)?,
                None => value,
            });
        }
        total.ok_or_else(|| Error::invalid("a loss was given nothing to compare"))
    }

    /// The weighted and balanced sum of the terms; `share` is the part of an optimizer step that this
    /// batch is.
    fn sum(
        &self,
        id: StageId,
        held: &mut Held,
        weights: &BTreeMap<StageId, f64>,
        share: f64,
    ) -> Result<Tensor> {
        let mut terms = Vec::new();
        for (flow, from, _) in self.plan().inputs(id) {
            let values = held.flows.remove(&flow).unwrap_or_default();
            let name = self.plan().stage(from).map_or_else(String::new, |stage| stage.name.clone());
            let weight = weights.get(&from).copied().unwrap_or(1.0);
            let weighed = |value| balance::Weighed { name: name.clone(), value, weight };
            terms.extend(values.into_iter().map(weighed));
        }
        balance::sum(self.plan().balance(), &self.variances, &terms, share)
    }

    fn teacher(&self, index: usize) -> Result<&dyn Side<T>> {
        let teachers = &self.pipeline.teachers;
        teachers.get(index).map(|teacher| &**teacher).ok_or_else(|| {
            Error::invalid(format!(
                "the plan runs teacher {index}, and the pipeline has {}, counted from 0",
                teachers.len()
            ))
        })
    }

    fn student(&self) -> &dyn Side<A::Batch> {
        &self.pipeline.student
    }

    fn weighed(&self, id: StageId) -> Result<&Weighed> {
        let loss = self.pipeline.losses.get(&id);
        loss.ok_or_else(|| Error::invalid("the plan has a loss that the pipeline lacks"))
    }
}

/// What a loss learns, under its stage's name.
fn named(stage: &str, parameters: &Parameters) -> Vec<(String, Tensor)> {
    let under = |(name, tensor): (&str, &Tensor)| (format!("{stage}.{name}"), tensor.shallow_clone());
    parameters.iter().map(under).collect()
}

/// Adds the range of the batch's labels to a student's error: libtorch names a label that is out of
/// bounds, not where it came from.
fn with_label_range<B: 'static>(error: Error, student: &dyn Side<B>, batch: &B) -> Error {
    let labels = student.read_batch(Labels::NAME, batch).ok().flatten().map(Feature::into_tensors);
    let range = labels.and_then(|labels| {
        let labels = labels.into_iter().next()?.f_to_kind(tch::Kind::Double).ok()?;
        Some((labels.f_min().ok()?.f_double_value(&[]).ok()?, labels.f_max().ok()?.f_double_value(&[]).ok()?))
    });
    match (error, range) {
        (Error::Torch { stages, message }, Some((low, high))) => {
            Error::Torch { stages, message: format!("{message} (the batch's labels are {low} to {high})") }
        }
        (error, _) => error,
    }
}
