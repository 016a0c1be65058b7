//! One pass over the plan: runs a batch and returns its losses.

use std::any::Any;

use tch::Tensor;
use tracing::debug_span;

use super::held::Held;
use super::{Executor, Keys, Window};
use crate::adaptor::Adaptor;
use crate::batch::Feeds;
use crate::error::{InStage, Result};
use crate::loss::Term;
use crate::pass::Pass;
use crate::plan::{FlowId, Stage, StageId, StageKind};
use crate::side::Owner;

/// The result of one pass over a plan.
#[derive(Debug)]
pub struct StepLosses {
    /// The weighted sum, a scalar with the gradient.
    pub total: Tensor,
    /// Each loss before its weight, a scalar without gradient, in the plan's order.
    pub terms: Vec<(String, Tensor)>,
    /// What the losses have not been told of yet, if it is kept apart.
    pub(crate) noted: Vec<Noted>,
}

/// A term of a training pass, without gradient, for a loss that learns.
#[derive(Debug)]
pub(crate) struct Noted {
    pub(crate) stage: StageId,
    pub(crate) term: Term,
}

/// The inputs of one pass.
pub(super) struct PassInputs<'a, B> {
    pub(super) batch: &'a B,
    /// The keys of the batch's rows, for the teachers that have a cache.
    pub(super) keys: &'a Keys,
    pub(super) pass: &'a Pass,
    /// What to divide losses by, if the batch is one of several in a step.
    pub(super) window: Option<&'a Window>,
    /// Whether the terms that losses want to be told of are kept in [`StepLosses::noted`].
    pub(super) notes_apart: bool,
}

/// The outputs of a stage, each flow with its own error.
pub(super) type StageFeatures = Vec<(FlowId, Result<Vec<Tensor>>)>;

/// The result of a stage.
pub(super) enum Provided {
    /// Nothing that a later stage reads.
    Nothing,
    /// A model's output.
    Output(Box<dyn Any>),
    /// Features, flow by flow.
    Features(StageFeatures),
    /// The value of a loss.
    Term(Tensor),
    /// The weighted sum of all terms.
    Total(Tensor),
}

impl<T: 'static, A: Adaptor> Executor<'_, T, A> {
    /// One pass over the plan. The `wants` of `pass` are replaced by the plan's own; teachers never train.
    /// `window` says what to divide by if the batch is one of several in a step. If the plan has a rollout, the batch is one
    /// that [`roll_out`](Self::roll_out) returned.
    ///
    /// # Errors
    /// The first error of a stage, with the stage's name.
    pub fn run<B: Feeds<T, A::Batch>>(
        &self,
        batch: &B,
        pass: &Pass,
        window: Option<&Window>,
    ) -> Result<StepLosses> {
        self.run_watched(batch, pass, window, &mut |_, _| {})
    }

    /// The same, calling `watch` after each stage with the number of tensors held for later stages.
    #[doc(hidden)]
    pub fn run_watched<B: Feeds<T, A::Batch>>(
        &self,
        batch: &B,
        pass: &Pass,
        window: Option<&Window>,
        watch: &mut dyn FnMut(&Stage, usize),
    ) -> Result<StepLosses> {
        let keys = &Keys::new();
        self.run_with(&PassInputs { batch, keys, pass, window, notes_apart: false }, watch)
    }

    pub(crate) fn run_keyed<B: Feeds<T, A::Batch>>(
        &self,
        (batch, keys): (&B, &Keys),
        pass: &Pass,
        window: Option<&Window>,
        notes_apart: bool,
    ) -> Result<StepLosses> {
        self.run_with(&PassInputs { batch, keys, pass, window, notes_apart }, &mut |_, _| {})
    }

    fn run_with<B: Feeds<T, A::Batch>>(
        &self,
        inputs: &PassInputs<'_, B>,
        watch: &mut dyn FnMut(&Stage, usize),
    ) -> Result<StepLosses> {
        let mut held = Held::default();
        let mut losses = StepLosses { total: Tensor::new(), terms: Vec::new(), noted: Vec::new() };
        for &id in &self.order {
            let Some(stage) = self.plan().stage(id) else { continue };
            match self.provide(id, stage, inputs, &mut held).in_stage(&stage.name)? {
                Provided::Nothing => {}
                Provided::Output(output) => {
                    held.outputs.insert(id, output);
                }
                Provided::Features(features) => {
                    for (flow, feature) in features {
                        held.flows.insert(flow, feature.in_stage(&stage.name)?);
                    }
                }
                Provided::Term(value) => {
                    losses.terms.push((stage.name.clone(), value.f_detach()?));
                    for (flow, ..) in self.plan().outputs(id) {
                        held.flows.insert(flow, vec![value.shallow_clone()]);
                    }
                }
                Provided::Total(total) => losses.total = total,
            }
            watch(stage, held.tensors());
        }
        losses.noted = held.noted;
        Ok(losses)
    }

    /// Runs one stage.
    pub(super) fn provide<B: Feeds<T, A::Batch>>(
        &self,
        id: StageId,
        stage: &Stage,
        inputs: &PassInputs<'_, B>,
        held: &mut Held,
    ) -> Result<Provided> {
        match &stage.kind {
            // The student has answered the prompts of the whole step before its batches were counted: see `rollout`.
            StageKind::Batch | StageKind::Rollout(_) => Ok(Provided::Nothing),
            StageKind::Teacher { index } => self.teach(id, *index, inputs, held),
            StageKind::Student => self.study(id, inputs).map(Provided::Output),
            StageKind::Adaptor { owner: Owner::Teacher(index), .. } => {
                self.teacher_features(id, *index, inputs, held).map(Provided::Features)
            }
            StageKind::Adaptor { owner: Owner::Student, .. } => {
                self.student_features(id, inputs, held).map(Provided::Features)
            }
            StageKind::Recall(recall) => {
                self.recall(id, recall.teacher, inputs, held).map(Provided::Features)
            }
            StageKind::Projection(_) => self.project(id, held).map(Provided::Features),
            StageKind::Loss(_) => {
                let _span = debug_span!("loss", name = stage.name).entered();
                self.loss(id, inputs, held).map(Provided::Term)
            }
            StageKind::Sum => self.sum(id, inputs, held).map(Provided::Total),
        }
    }
}
